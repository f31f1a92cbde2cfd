//! How many runs a side would decide what one, or few, leave open.

use super::estimate::{Estimate, LEVEL};
use super::machine::Doubt;
use super::sample::Lane;
use super::student;

/// More runs than anyone makes.
const MOST: u64 = 200;

/// Runs a side that would decide whether a difference exceeds `limit`, if runs vary as far as these do: the fewest whose
/// interval is shorter than the way from the difference to the limit. `None` where runs are not what is missing, or too many
/// would be.
pub(super) fn needed(lane: &Lane, estimate: &Estimate, doubt: Doubt, limit: f64) -> Option<u64> {
    let deviation = deviation(lane, estimate, doubt).filter(|&deviation| deviation > 0.0)?;
    let distance = (estimate.diff().abs() - limit).abs();
    let is_enough = |n: &u64| {
        let df = 2.0 * *n as f64 - 2.0;
        student::quantile(LEVEL, df) * deviation <= distance * (*n as f64).sqrt()
    };
    (2..=MOST).find(is_enough)
}

/// The deviation of a difference between two single runs.
fn deviation(lane: &Lane, estimate: &Estimate, doubt: Doubt) -> Option<f64> {
    let interval = estimate.interval?;
    match doubt {
        // What the common scale explains is one draw of it.
        Doubt::Beyond(excess) => Some((estimate.diff() - excess.diff).hypot(excess.error)),
        Doubt::None if interval.has_runs => {
            let n = [0, 1].map(|side| lane.n_runs(side) as f64);
            Some(interval.error * (2.0 / (1.0 / n[0] + 1.0 / n[1])).sqrt())
        }
        Doubt::None | Doubt::Unknown(_) => None,
    }
}
