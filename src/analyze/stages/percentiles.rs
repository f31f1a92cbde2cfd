//! How request times spread: mean and percentiles over the requests of a run, as serving benchmarks report them.
//!
//! Percentiles are of nearest rank: values that occur, to the nanosecond. One request spreads nothing and has no row.

use super::super::rates::nearest_rank;
use super::{DiffusionRow, RequestRow, RequestStageRow};

/// Which time of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestTime {
    /// End to end.
    EndToEnd,
    /// To prepare the input.
    Prepare,
    /// Waiting before generation.
    Queue,
    /// To the first token.
    FirstToken,
    /// Generation.
    Generation,
    /// Transfers between stages.
    Transfers,
    /// One denoising step of a diffusion request.
    Step,
    /// A whole diffusion request.
    Diffusion,
}

impl RequestTime {
    /// The name in the machine output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EndToEnd => "end_to_end",
            Self::Prepare => "prepare",
            Self::Queue => "queue",
            Self::FirstToken => "first_token",
            Self::Generation => "generation",
            Self::Transfers => "transfers",
            Self::Step => "step",
            Self::Diffusion => "diffusion",
        }
    }
}

/// How one time spreads over requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PercentileRow {
    /// Index of the run.
    pub run: usize,
    /// The stage; `None` of whole requests.
    pub stage: Option<u32>,
    /// Which time.
    pub time: RequestTime,
    /// Requests, in a stage passes, that have it.
    pub count: u64,
    /// Sum over count, rounded down.
    pub mean_ns: i64,
    /// Median.
    pub p50_ns: i64,
    /// 90 of 100 take no longer.
    pub p90_ns: i64,
    /// 95 of 100 take no longer.
    pub p95_ns: i64,
    /// 99 of 100 take no longer.
    pub p99_ns: i64,
    /// The longest.
    pub max_ns: i64,
}

/// A time and where a row has it.
type TimeOf<R> = (RequestTime, fn(&R) -> Option<i64>);

/// The spread of every time that two requests of a run have at least.
pub(super) fn rows_of(
    run: usize,
    requests: &[RequestRow],
    passes: &[RequestStageRow],
    diffusion: &[DiffusionRow],
) -> Vec<PercentileRow> {
    let whole: [TimeOf<RequestRow>; 5] = [
        (RequestTime::EndToEnd, |row| row.e2e_ns),
        (RequestTime::Prepare, |row| row.preprocess_ns),
        (RequestTime::Queue, |row| row.queue_ns),
        (RequestTime::Generation, |row| row.generation_ns),
        (RequestTime::Transfers, |row| row.transfers_ns),
    ];
    let in_stage: [TimeOf<RequestStageRow>; 3] = [
        (RequestTime::Queue, |row| row.queue_ns),
        (RequestTime::FirstToken, |row| row.first_token_ns),
        (RequestTime::Generation, |row| row.generation_ns),
    ];
    let of_images: [TimeOf<DiffusionRow>; 2] =
        [(RequestTime::Step, |row| row.step_ns), (RequestTime::Diffusion, |row| row.total_ns)];

    let mut rows = Vec::new();
    let mut add = |stage, time, values: Vec<i64>| rows.extend(spread(run, stage, time, values));
    for (time, value) in whole {
        add(None, time, requests.iter().filter_map(value).collect());
    }
    let mut stages: Vec<u32> = passes.iter().map(|pass| pass.stage).collect();
    stages.sort_unstable();
    stages.dedup();
    for stage in stages {
        let own = || passes.iter().filter(|pass| pass.stage == stage);
        for (time, value) in in_stage {
            add(Some(stage), time, own().filter_map(value).collect());
        }
    }
    for (time, value) in of_images {
        add(None, time, diffusion.iter().filter_map(value).collect());
    }
    rows
}

fn spread(
    run: usize,
    stage: Option<u32>,
    time: RequestTime,
    mut values: Vec<i64>,
) -> Option<PercentileRow> {
    if values.len() < 2 {
        return None;
    }
    values.sort_unstable();
    let sum: i128 = values.iter().map(|&ns| i128::from(ns)).sum();
    let percentile = |percent| nearest_rank(&values, percent);
    Some(PercentileRow {
        run,
        stage,
        time,
        count: values.len() as u64,
        mean_ns: sum.div_euclid(values.len() as i128) as i64,
        p50_ns: percentile(50)?,
        p90_ns: percentile(90)?,
        p95_ns: percentile(95)?,
        p99_ns: percentile(99)?,
        max_ns: percentile(100)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{RequestTime, spread};

    #[test]
    fn percentiles_are_times_that_occur() {
        let values: Vec<i64> = (1..=100).rev().collect();
        let row = spread(3, Some(1), RequestTime::Queue, values).unwrap();
        let tail = (row.p50_ns, row.p90_ns, row.p95_ns, row.p99_ns, row.max_ns);
        assert_eq!((row.count, row.mean_ns, tail), (100, 50, (50, 90, 95, 99, 100)));
        let row = spread(0, None, RequestTime::EndToEnd, vec![7, 3]).unwrap();
        assert_eq!((row.mean_ns, row.p50_ns, row.p90_ns, row.max_ns), (5, 3, 7, 7));
        assert_eq!(spread(0, None, RequestTime::EndToEnd, vec![7]), None);
    }
}
