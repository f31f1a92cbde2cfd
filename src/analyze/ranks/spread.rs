//! How figures spread over the ranks of a run.

use super::{FEWEST, RankInput, RankRow, SpreadRow};
use crate::analyze::devices::DeviceRow;
use crate::analyze::quantiles::nearest_rank;

/// A figure of a rank.
type Figure = (&'static str, fn(&RankRow, &[DeviceRow]) -> i64);

fn of_devices(devices: &[DeviceRow], of: fn(&DeviceRow) -> i64) -> i64 {
    devices.iter().map(of).fold(0, i64::saturating_add)
}

/// The figures, in the order of rows.
const FIGURES: [Figure; 8] = [
    ("own", |rank, _| rank.own_ns),
    ("wait", |rank, _| rank.wait_ns),
    ("compute", |rank, _| rank.compute_ns),
    ("copies", |rank, _| rank.copies_ns),
    ("idle", |rank, _| rank.idle_ns),
    ("busy", |_, devices| of_devices(devices, |device| device.busy_ns)),
    ("comm", |_, devices| of_devices(devices, |device| device.comm_busy_ns)),
    ("exposed_comm", |_, devices| of_devices(devices, |device| device.exposed_comm_ns)),
];

/// The rows of every run that has enough ranks.
pub(super) fn spread(ranks: &[RankRow], inputs: &[RankInput<'_>]) -> Vec<SpreadRow> {
    let mut runs: Vec<u32> = ranks.iter().map(|rank| rank.run).collect();
    runs.sort_unstable();
    runs.dedup();
    let mut rows = Vec::new();
    for run in runs {
        let own: Vec<&RankRow> = ranks.iter().filter(|rank| rank.run == run).collect();
        if own.len() >= FEWEST {
            rows.extend(FIGURES.iter().filter_map(|figure| row(run, *figure, &own, inputs)));
        }
    }
    rows
}

fn row(
    run: u32,
    (figure, of): Figure,
    ranks: &[&RankRow],
    inputs: &[RankInput<'_>],
) -> Option<SpreadRow> {
    let value = |rank: &&RankRow| (of(rank, inputs[rank.input].devices), rank.input, rank.rank);
    let mut values: Vec<(i64, usize, Option<u32>)> = ranks.iter().map(value).collect();
    values.sort_unstable();
    let (min, max) = (*values.first()?, *values.last()?);
    Some(SpreadRow {
        run,
        figure,
        n_ranks: values.len() as u64,
        min_ns: min.0,
        min_input: min.1,
        min_rank: min.2,
        median_ns: nearest_rank(&values, 50)?.0,
        p99_ns: nearest_rank(&values, 99)?.0,
        max_ns: max.0,
        max_input: max.1,
        max_rank: max.2,
    })
}
