//! Gates: what may not become slower, and by how much it may; and the verdict of an interval.

use std::str::FromStr;

use super::estimate::{Estimate, Statistic, of_statistic};
use super::machine::{Doubt, Excess, Machine};
use super::rows::{GateRow, Verdict};
use super::runs;
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
    pub(super) fn judge(
        &self,
        number: usize,
        lane: &Lane,
        machine: &Machine,
        (level, is_same): (f64, bool),
    ) -> GateRow {
        let chosen = self.chosen_rows(lane);
        let value = |sample: &Sample| self.value(sample, &chosen);
        let phase = self.phase.as_deref();
        let estimate = of_statistic(lane, phase, self.statistic, level, value);
        let doubt = match (&estimate, &self.measure) {
            (None, _) | (_, Measure::Launches) => Doubt::None,
            (Some(found), Measure::Duration) => machine.of_durations(lane, phase, found),
            (Some(found), Measure::Rows(side, ..)) => {
                let rows: Vec<usize> = (0..chosen.len()).filter(|&row| chosen[row]).collect();
                machine.of_rows(lane, phase, (*side, &rows), found)
            }
        };
        let estimate = estimate.unwrap_or_default();
        let share = |ns: f64| (estimate.a > 0.0).then(|| ns * 100.0 / estimate.a);
        let (low_pct, high_pct) = (
            estimate.interval.and_then(|i| share(i.low)),
            estimate.interval.and_then(|i| share(i.high)),
        );
        let excess = doubt.excess();
        let mut row = GateRow {
            lane: number,
            gate: self.text.clone(),
            limit_pct: self.limit_pct,
            verdict: Verdict::NoChangeShown,
            diff_pct: share(estimate.diff()),
            low_pct,
            high_pct,
            excess_pct: excess.and_then(|excess| share(excess.diff)),
            excess_low_pct: excess.and_then(|excess| share(excess.low)),
            excess_high_pct: excess.and_then(|excess| share(excess.high)),
            n_needed: None,
            runs_needed: None,
        };
        if !is_same {
            row.verdict = decided(&row, doubt, estimate.a);
        }
        if row.verdict == Verdict::Inconclusive {
            let limit = estimate.a * self.limit_pct / 100.0;
            row.runs_needed = runs::needed(lane, &estimate, doubt, limit);
            let is_of_runs = estimate.interval.is_none_or(|interval| interval.has_runs);
            row.n_needed = if is_of_runs { None } else { row.units_needed(lane) };
        }
        row
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

/// The verdict of a gate by its intervals: that of the difference, and that of what exceeds the common scale of the machine.
/// `a` is the figure of A.
fn decided(row: &GateRow, doubt: Doubt, a: f64) -> Verdict {
    let of = |ns: f64| (a > 0.0).then(|| ns * 100.0 / a);
    let plain = row.plain();
    match agreed(plain, doubt, |excess| row.of(of(excess.low), of(excess.high))) {
        // Faster beyond the limit, and with any scale of the machine faster: only by how much is open.
        Verdict::NoChangeShown if plain == Verdict::Improvement && doubt.is_faster() => plain,
        verdict => verdict,
    }
}

/// The verdict that holds with and without the common scale of the machine.
fn agreed(plain: Verdict, doubt: Doubt, of_excess: impl Fn(&Excess) -> Verdict) -> Verdict {
    let is_slower = |verdict| matches!(verdict, Verdict::Regression | Verdict::Inconclusive);
    match doubt {
        Doubt::None => plain,
        Doubt::Unknown(_) if plain == Verdict::NoChangeShown => plain,
        Doubt::Unknown(excess) | Doubt::Beyond(excess) => match (plain, of_excess(&excess)) {
            (plain, beyond) if plain == beyond => plain,
            (plain, beyond) if is_slower(plain) || is_slower(beyond) => Verdict::Inconclusive,
            _ => Verdict::NoChangeShown,
        },
    }
}

impl GateRow {
    fn of(&self, low: Option<f64>, high: Option<f64>) -> Verdict {
        match (low, high) {
            (Some(low), Some(high)) => beyond(low, high, self.limit_pct),
            _ => Verdict::Inconclusive,
        }
    }

    /// The verdict of the difference as it stands.
    fn plain(&self) -> Verdict {
        self.of(self.low_pct, self.high_pct)
    }

    /// Iterations a side that would decide it; `None` where it is not for their number that it is open.
    fn units_needed(&self, lane: &Lane) -> Option<u64> {
        if self.plain() != Verdict::Inconclusive {
            return None;
        }
        let n = lane.len(0).min(lane.len(1));
        needed(n, self.diff_pct?, self.high_pct? - self.low_pct?, self.limit_pct)
    }
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
pub(super) fn verdict(estimate: &Estimate, doubt: Doubt) -> Verdict {
    let Some(interval) = estimate.interval else { return Verdict::Inconclusive };
    let is_worth = interval.detectable * 100.0 <= estimate.a * WORTH_SHOWING_PCT;
    let of = |low: f64, high: f64| match () {
        () if low > 0.0 => Verdict::Regression,
        () if high < 0.0 => Verdict::Improvement,
        () if is_worth => Verdict::NoChangeShown,
        () => Verdict::Inconclusive,
    };
    let plain = of(interval.low, interval.high);
    match agreed(plain, doubt, |excess| of(excess.low, excess.high)) {
        // Slower by the clock and faster without its scale, or the other way round, or one of these alone.
        Verdict::NoChangeShown if plain != Verdict::NoChangeShown => Verdict::Inconclusive,
        verdict => verdict,
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
