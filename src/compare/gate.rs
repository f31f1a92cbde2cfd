//! Gates: what may not become slower, and by how much it may; and the verdict of an interval.

use std::str::FromStr;

use super::estimate::{Estimate, Statistic, of_statistic};
use super::rows::{GateRow, Verdict};
use super::sample::{Lane, Sample};
use crate::analyze::units::Side;

/// What a gate measures of an iteration.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Measure {
    /// Its length.
    Duration,
    /// Time in rows of an account whose class is one of these and whose name holds a text.
    Rows(Side, &'static [&'static str], String),
    /// Calls that start device work.
    Launches,
}

/// One gate: `3%`, `p50=3%`, `decode.p90=5%`, `kernel:attention=5%`, `idle=10%`, `launches=1%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// As it was given, without its limit.
    text: String,
    /// Only iterations of this phase.
    phase: Option<String>,
    statistic: Statistic,
    measure: Measure,
    /// By how much B may exceed A, in percent.
    limit_pct: f64,
}

/// Words that begin a gate on rows of an account.
const ROWS: [(&str, Side, &[&str]); 5] = [
    ("kernel", Side::Device, &["kernel"]),
    ("comm", Side::Device, &["comm"]),
    ("copy", Side::Device, &["copy"]),
    ("op", Side::Lead, &["cpu_op", "runtime", "python"]),
    ("wait", Side::Lead, &["ipc_wait", "gpu_sync", "other_wait"]),
];

const PHASES: [&str; 5] = ["prefill", "decode", "mixed", "empty", "unknown"];

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, limit) = text.rsplit_once('=').unwrap_or(("mean", text));
        let number = limit.trim().strip_suffix('%').ok_or_else(|| {
            format!("`{limit}` is no limit: write a percentage, `3%` for example")
        })?;
        let limit_pct: f64 =
            number.trim().parse().map_err(|_| format!("`{number}` is no number"))?;
        if !limit_pct.is_finite() || limit_pct <= 0.0 {
            return Err("the limit must be above 0 %".to_owned());
        }
        let gate = Self {
            text: what.trim().to_owned(),
            phase: None,
            statistic: Statistic::Mean,
            measure: Measure::Duration,
            limit_pct,
        };
        gate.measuring(what.trim())
    }
}

impl Gate {
    fn measuring(self, what: &str) -> Result<Self, String> {
        if let Some((kind, name)) = what.split_once(':') {
            let known = ROWS.iter().find(|(word, ..)| *word == kind);
            let &(_, side, classes) = known.ok_or_else(|| {
                format!("`{kind}:` is not known; there are kernel:, comm:, copy:, op: and wait:")
            })?;
            return Ok(Self { measure: Measure::Rows(side, classes, name.to_owned()), ..self });
        }
        let (phase, figure) = match what.split_once('.') {
            Some((phase, figure)) => (Some(phase), figure),
            None if PHASES.contains(&what) => (Some(what), "mean"),
            None => (None, what),
        };
        if let Some(unknown) = phase.filter(|phase| !PHASES.contains(phase)) {
            return Err(format!("`{unknown}` is no phase; there are {}", PHASES.join(", ")));
        }
        let gate = Self { phase: phase.map(str::to_owned), ..self };
        Ok(match figure {
            "mean" => gate,
            "launches" => Self { measure: Measure::Launches, ..gate },
            "idle" => {
                Self { measure: Measure::Rows(Side::Device, &["idle"], String::new()), ..gate }
            }
            _ => Self { statistic: percentile(figure)?, ..gate },
        })
    }

    /// Holds a lane to the gate. `level` is that of the interval's upper end.
    pub(super) fn judge(&self, number: usize, lane: &Lane, level: f64, is_same: bool) -> GateRow {
        let chosen = self.chosen_rows(lane);
        let value = |sample: &Sample| self.value(sample, &chosen);
        let estimate = of_statistic(lane, self.phase.as_deref(), self.statistic, level, value);
        let share = |ns: f64, a: f64| (a > 0.0).then(|| ns * 100.0 / a);
        let interval = estimate.as_ref().and_then(|e| Some((e.a, e.interval?)));
        let low_pct = interval.and_then(|(a, interval)| share(interval.low, a));
        let high_pct = interval.and_then(|(a, interval)| share(interval.high, a));
        let diff_pct = estimate.as_ref().and_then(|e| share(e.diff(), e.a));
        let verdict = match (low_pct, high_pct) {
            _ if is_same => Verdict::NoChangeShown,
            (Some(low), Some(high)) => beyond(low, high, self.limit_pct),
            _ => Verdict::Inconclusive,
        };
        let n = lane.len(0).min(lane.len(1));
        let needed = || needed(n, diff_pct?, high_pct? - low_pct?, self.limit_pct);
        GateRow {
            lane: number,
            gate: self.text.clone(),
            limit_pct: self.limit_pct,
            verdict,
            diff_pct,
            low_pct,
            high_pct,
            n_needed: if verdict == Verdict::Inconclusive { needed() } else { None },
        }
    }

    fn chosen_rows(&self, lane: &Lane) -> Vec<bool> {
        let Measure::Rows(side, classes, text) = &self.measure else { return Vec::new() };
        let text = text.to_lowercase();
        let is_chosen = |row: &super::sample::RowKey| {
            row.side == *side
                && classes.contains(&row.class.as_str())
                && row.name.to_lowercase().contains(&text)
        };
        lane.rows.iter().map(is_chosen).collect()
    }

    fn value(&self, sample: &Sample, chosen: &[bool]) -> f64 {
        match self.measure {
            Measure::Duration => sample.dur_ns as f64,
            Measure::Launches => f64::from(sample.counts.launches),
            Measure::Rows(..) => {
                let own = sample.rows.iter().filter(|row| chosen[row.0 as usize]);
                own.map(|row| row.1).sum::<i64>() as f64
            }
        }
    }
}

fn percentile(figure: &str) -> Result<Statistic, String> {
    let fail =
        || format!("`{figure}` is not known; there are mean, p50, p90, p99, idle and launches");
    let percent: u8 = figure.strip_prefix('p').ok_or_else(fail)?.parse().map_err(|_| fail())?;
    if (1..100).contains(&percent) { Ok(Statistic::Percentile(percent)) } else { Err(fail()) }
}

/// The verdict of an interval against a limit, all in percent.
fn beyond(low: f64, high: f64, limit: f64) -> Verdict {
    match () {
        () if low > limit => Verdict::Regression,
        () if high < -limit => Verdict::Improvement,
        () if high <= limit => Verdict::NoChangeShown,
        () => Verdict::Inconclusive,
    }
}

/// How many iterations a side would decide a gate, if the difference stays and the interval shrinks with the square root of
/// their number.
fn needed(n: u64, diff_pct: f64, width_pct: f64, limit_pct: f64) -> Option<u64> {
    let distance = (diff_pct - limit_pct).abs();
    let factor = (width_pct / 2.0 / distance).powi(2);
    let needed = (n as f64 * factor).ceil();
    (distance > 0.0 && needed.is_finite() && needed < 1e9).then_some(needed as u64)
}

/// A difference that matters where nobody said what does, in percent of A: data that cannot show it decide nothing.
const WORTH_SHOWING_PCT: f64 = 5.0;

/// The verdict of a difference without a gate.
pub(super) fn verdict(estimate: &Estimate) -> Verdict {
    let Some(interval) = estimate.interval else { return Verdict::Inconclusive };
    match () {
        () if interval.low > 0.0 => Verdict::Regression,
        () if interval.high < 0.0 => Verdict::Improvement,
        () if interval.detectable * 100.0 <= estimate.a * WORTH_SHOWING_PCT => {
            Verdict::NoChangeShown
        }
        () => Verdict::Inconclusive,
    }
}

/// Of several verdicts the one that counts: a regression, else what is not decided, else an improvement.
pub(super) fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    let weight = |verdict: &Verdict| match verdict {
        Verdict::Regression => 3,
        Verdict::Inconclusive => 2,
        Verdict::Improvement => 1,
        Verdict::NoChangeShown => 0,
    };
    verdicts.max_by_key(weight).unwrap_or(Verdict::Inconclusive)
}

#[cfg(test)]
mod tests {
    use super::{Gate, Verdict, beyond, needed};

    #[test]
    fn gates_are_read() {
        for right in [
            "3%",
            "0.5 %",
            "decode.p50=3%",
            "p99=10%",
            "kernel:attention=5%",
            "decode=2%",
            "idle=1%",
            "prefill.launches=1%",
            "op:a=b=3%",
        ] {
            assert!(right.parse::<Gate>().is_ok(), "{right}");
        }
        for wrong in [
            "3",
            "",
            "%",
            "-1%",
            "0%",
            "decoding.p50=3%",
            "p0=3%",
            "p100=3%",
            "q=3%",
            "thing:x=3%",
            "nan%",
            "inf%",
        ] {
            assert!(wrong.parse::<Gate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_interval_is_beyond_a_limit_within_it_or_neither() {
        assert_eq!(beyond(3.1, 5.0, 3.0), Verdict::Regression);
        assert_eq!(beyond(-9.0, -3.1, 3.0), Verdict::Improvement);
        assert_eq!(beyond(-2.9, 3.0, 3.0), Verdict::NoChangeShown);
        assert_eq!(beyond(1.0, 3.1, 3.0), Verdict::Inconclusive);
        assert_eq!(beyond(-8.0, 1.0, 3.0), Verdict::NoChangeShown);
        assert_eq!(needed(10, 1.0, 8.0, 3.0), Some(40));
        assert_eq!(needed(10, 3.0, 8.0, 3.0), None);
    }
}
