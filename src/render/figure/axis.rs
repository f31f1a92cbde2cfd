//! Axes: round ticks labelled with their unit, and logarithmic axes in whole decades.

use crate::render::human;

/// Round steps from 0 to at least `most`, in at most `n` steps: 1, 2 or 5 times a power of ten.
pub(super) fn ticks(most: f64, n: usize) -> Vec<f64> {
    if !(most.is_finite() && most > 0.0) {
        return vec![0.0];
    }
    let rough = most / n.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    (0..=n + 1).map(|i| i as f64 * step).take_while(|tick| *tick <= most * 1.000_001).collect()
}

/// A time of an axis that reaches to `most_ns`: all labels in one unit.
pub(super) fn time_label(ns: f64, most_ns: f64) -> String {
    let (scale, unit) = match most_ns {
        most if most >= 1e9 => (1e9, "s"),
        most if most >= 1e6 => (1e6, "ms"),
        most if most >= 1e3 => (1e3, "µs"),
        _ => (1.0, "ns"),
    };
    if ns == 0.0 {
        return "0".to_owned();
    }
    format!("{} {unit}", trimmed(ns / scale))
}

/// A number without zeros at its end.
pub(super) fn trimmed(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A round size: `1 kB`, `100 MB`.
pub(super) fn size_label(bytes: f64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = 0;
    let mut value = bytes;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    format!("{} {}", trimmed(value), UNITS[unit])
}

/// A logarithmic axis in whole decades.
pub(super) struct Decades {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Decades {
    /// The decades that hold some values.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Self {
        let logs = values.filter(|value| *value > 0.0 && value.is_finite()).map(f64::log10);
        let (low, high) =
            logs.fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
        if low > high {
            return Self { from: 0.0, to: 1.0 };
        }
        let (from, to) = (low.floor(), high.ceil());
        Self { from, to: if to > from { to } else { from + 1.0 } }
    }

    /// 0 at the start, 1 at the end.
    pub(super) fn place(&self, value: f64) -> f64 {
        ((value.max(f64::MIN_POSITIVE).log10() - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// The powers of ten.
    pub(super) fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10_f64.powi(power))
    }
}

/// A power of ten.
pub(super) fn power_label(rate: f64) -> String {
    if rate >= 1.0 { human::count(rate.round() as u64) } else { trimmed(rate) }
}

/// A rate in three digits.
pub(super) fn rate_label(rate: f64) -> String {
    let decimals = match rate.abs() {
        rate if rate >= 100.0 => 0,
        rate if rate >= 10.0 => 1,
        rate if rate >= 1.0 => 2,
        _ => 3,
    };
    trimmed(format!("{rate:.decimals$}").parse().unwrap_or(rate))
}

#[cfg(test)]
mod tests {
    use super::{size_label, ticks, time_label};

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(7.3, 4), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(ticks(0.0, 4), [0.0]);
        assert_eq!(ticks(f64::NAN, 4), [0.0]);
    }

    #[test]
    fn labels_have_one_unit() {
        assert_eq!(time_label(500_000.0, 2e6), "0.5 ms");
        assert_eq!(time_label(0.0, 2e6), "0");
        assert_eq!(size_label(1e5), "100 kB");
        assert_eq!(size_label(1.0), "1 B");
    }
}
