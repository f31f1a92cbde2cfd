//! Recomputing printed figures.
//!
//! A figure is recomputed with the writer's own formula, in the writer's own order of operations, from the figures that
//! were printed beside it. Where those were rounded for display, the result is an interval: the printed figure agrees
//! when it can be one of its values.

use super::CheckRow;
use crate::model::log::Quantity;

/// Where a figure stands, and what it is.
pub(super) struct Site<'a> {
    pub(super) log: usize,
    pub(super) line: u64,
    pub(super) subject: &'a str,
}

/// A formula by name.
pub(super) struct Formula<F> {
    pub(super) field: &'static str,
    pub(super) words: &'static str,
    pub(super) compute: F,
}

/// Checks a printed figure; nothing where it or an input was not recorded.
pub(super) fn check<F: Fn(&[f64]) -> f64>(
    checks: &mut Vec<CheckRow>,
    site: &Site<'_>,
    formula: &Formula<F>,
    printed: Option<Quantity>,
    inputs: &[Option<Quantity>],
) {
    let known: Vec<Quantity> = inputs.iter().copied().flatten().collect();
    let (Some(printed), true) = (printed, known.len() == inputs.len()) else {
        return;
    };
    let Some((recomputed, low, high)) = bounds(&formula.compute, &known) else {
        return;
    };
    let noise = 16.0 * f64::EPSILON * high.abs().max(low.abs());
    let agrees = printed.value + printed.rounding >= low - noise
        && printed.value - printed.rounding <= high + noise;
    checks.push(CheckRow {
        log: site.log,
        line: site.line,
        subject: site.subject.to_owned(),
        field: formula.field,
        printed: printed.value,
        recomputed,
        low,
        high,
        agrees,
        formula: formula.words,
    });
}

/// Inputs beyond this many are taken as exact: corners double with each.
const MAX_ROUNDED_INPUTS: usize = 8;

/// The value of a formula that is monotonic in each input, and its least and greatest value within their rounding.
fn bounds(compute: impl Fn(&[f64]) -> f64, inputs: &[Quantity]) -> Option<(f64, f64, f64)> {
    let mut values: Vec<f64> = inputs.iter().map(|input| input.value).collect();
    let center = compute(&values);
    let rounded: Vec<usize> =
        (0..inputs.len()).filter(|&i| inputs[i].rounding > 0.0).take(MAX_ROUNDED_INPUTS).collect();
    let (mut low, mut high) = (center, center);
    let corners = if rounded.is_empty() { 0 } else { 1_u32 << rounded.len() };
    for corner in 0..corners {
        for (bit, &i) in rounded.iter().enumerate() {
            let sign = if corner >> bit & 1 == 1 { 1.0 } else { -1.0 };
            values[i] = inputs[i].value + sign * inputs[i].rounding;
        }
        low = low.min(compute(&values));
        high = high.max(compute(&values));
    }
    [center, low, high].iter().all(|value| value.is_finite()).then_some((center, low, high))
}

/// The sum of printed figures, with the sum of their rounding; `None` where there is none.
pub(super) fn sum(parts: impl Iterator<Item = Quantity>) -> Option<Quantity> {
    parts.reduce(|a, b| Quantity { value: a.value + b.value, rounding: a.rounding + b.rounding })
}

/// An exact count as an input of a formula.
#[expect(clippy::cast_precision_loss, reason = "counts of a log are far below 2^53")]
pub(super) fn count(value: Option<i64>) -> Option<Quantity> {
    value.map(|value| Quantity::exact(value as f64))
}

/// The pipeline's rate: megabits of 10^6 a second from bytes and milliseconds, 0 for no bytes.
pub(super) fn mbps(bytes: f64, ms: f64) -> f64 {
    if bytes > 0.0 { (bytes * 8.0) / (ms.max(1e-6) * 1000.0) } else { 0.0 }
}

/// The pipeline's rate of tokens: tokens a second from milliseconds, 0 for no time.
pub(super) fn per_second(tokens: f64, ms: f64) -> f64 {
    if ms > 0.0 { tokens * 1000.0 / ms } else { 0.0 }
}

/// `a / b`, 0 where `b` is 0, as the pipeline's averages are.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::{Formula, Site, check, mbps, sum};
    use crate::model::log::Quantity;

    fn run(printed: &str, inputs: &[&str], rounded: bool) -> (bool, f64) {
        let mut checks = Vec::new();
        let formula = Formula { field: "f", words: "", compute: |v: &[f64]| v[0] * 1000.0 / v[1] };
        let inputs: Vec<_> = inputs.iter().map(|text| Quantity::parse(text, rounded)).collect();
        let site = Site { log: 0, line: 1, subject: "s" };
        check(&mut checks, &site, &formula, Quantity::parse(printed, rounded), &inputs);
        (checks[0].agrees, checks[0].recomputed)
    }

    #[test]
    fn rounded_inputs_give_an_interval() {
        // 558 tokens in 311.77330017089844 ms, printed in a table as 311.773 ms and 1,789.762 tokens/s.
        assert!(run("1,789.762", &["558", "311.773"], true).0);
        assert!(!run("1,789.770", &["558", "311.773"], true).0);
        assert_eq!(
            run("1789.7619831272673", &["558", "311.77330017089844"], false),
            (true, 1_789.761_983_127_267_3)
        );
        assert!(!run("1789.76198312", &["558", "311.77330017089844"], false).0);
    }

    #[test]
    fn the_seed_rate_is_megabits() {
        assert_eq!(mbps(3_148_794.0, 5.676_269_531_25), 4_437.835_776);
        assert_eq!(mbps(0.0, 0.0), 0.0);
    }

    #[test]
    fn missing_inputs_check_nothing() {
        let mut checks = Vec::new();
        let formula = Formula { field: "f", words: "", compute: |v: &[f64]| v[0] };
        let site = Site { log: 0, line: 1, subject: "s" };
        check(&mut checks, &site, &formula, Some(Quantity::exact(1.0)), &[None]);
        check(&mut checks, &site, &formula, None, &[Some(Quantity::exact(1.0))]);
        assert!(checks.is_empty());
        assert_eq!(sum([].into_iter()), None);
    }
}
