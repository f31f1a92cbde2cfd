//! How request times spread: mean and percentiles over the requests of a run, as serving benchmarks report them.
//!
//! Percentiles are of nearest rank: values that occur, to the nanosecond. One request spreads nothing and has no row.

use super::{DiffusionRow, PercentileRow, RequestRow, RequestStageRow};
use crate::analyze::quantiles::Quantiles;
use crate::schema::words;

words! {
    /// Which time of a request.
    RequestTime {
        /// End to end.
        EndToEnd "end_to_end",
        /// To prepare the input.
        Prepare "prepare",
        /// Waiting before generation.
        Queue "queue",
        /// To the first token.
        FirstToken "first_token",
        /// To the first output of the last stage.
        FirstOutput "first_output",
        /// Between tokens, in the mean of a request.
        BetweenTokens "between_tokens",
        /// For each token after the first.
        PerToken "per_token",
        /// Generation.
        Generation "generation",
        /// Transfers between stages.
        Transfers "transfers",
        /// One denoising step of a diffusion request.
        Step "step",
        /// A whole diffusion request.
        Diffusion "diffusion",
    }
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
    let whole: [TimeOf<RequestRow>; 7] = [
        (RequestTime::EndToEnd, |row| row.e2e_ns),
        (RequestTime::Prepare, |row| row.preprocess_ns),
        (RequestTime::Queue, |row| row.queue_ns),
        (RequestTime::FirstToken, |row| row.first_token_ns),
        (RequestTime::FirstOutput, |row| row.first_output_ns),
        (RequestTime::Generation, |row| row.generation_ns),
        (RequestTime::Transfers, |row| row.transfers_ns),
    ];
    let in_stage: [TimeOf<RequestStageRow>; 5] = [
        (RequestTime::Queue, |row| row.queue_ns),
        (RequestTime::FirstToken, |row| row.first_token_ns),
        (RequestTime::BetweenTokens, |row| row.between_tokens_ns),
        (RequestTime::PerToken, |row| row.per_token_ns),
        (RequestTime::Generation, |row| row.generation_ns),
    ];
    let of_images: [TimeOf<DiffusionRow>; 2] =
        [(RequestTime::Step, |row| row.step_ns), (RequestTime::Diffusion, |row| row.total_ns)];

    let mut rows = Vec::new();
    let mut add = |stage, time, values: &mut dyn Iterator<Item = i64>| {
        let spread = Quantiles::of(values).filter(|spread| spread.count > 1);
        rows.extend(spread.map(|spread| row(run, stage, time, spread)));
    };
    for (time, value) in whole {
        add(None, time, &mut requests.iter().filter_map(value));
    }
    let mut stages: Vec<u32> = passes.iter().map(|pass| pass.stage).collect();
    stages.sort_unstable();
    stages.dedup();
    for stage in stages {
        let own = || passes.iter().filter(|pass| pass.stage == stage);
        for (time, value) in in_stage {
            add(Some(stage), time, &mut own().filter_map(value));
        }
    }
    for (time, value) in of_images {
        add(None, time, &mut diffusion.iter().filter_map(value));
    }
    rows
}

fn row(run: usize, stage: Option<u32>, time: RequestTime, spread: Quantiles) -> PercentileRow {
    let Quantiles { count, mean_ns, p50_ns, p90_ns, p95_ns, p99_ns, max_ns, .. } = spread;
    PercentileRow { run, stage, time, count, mean_ns, p50_ns, p90_ns, p95_ns, p99_ns, max_ns }
}

#[cfg(test)]
mod tests {
    use super::{DiffusionRow, RequestTime, rows_of};

    fn images(totals_ns: impl Iterator<Item = i64>) -> Vec<DiffusionRow> {
        let row = |ns| DiffusionRow { total_ns: Some(ns), ..DiffusionRow::default() };
        totals_ns.map(row).collect()
    }

    #[test]
    fn percentiles_are_times_that_occur() {
        let rows = rows_of(3, &[], &[], &images((1..=100).rev()));
        let [row] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((row.run, row.stage, row.time), (3, None, RequestTime::Diffusion));
        let q = row;
        let tail = (q.p50_ns, q.p90_ns, q.p95_ns, q.p99_ns, q.max_ns);
        assert_eq!((q.count, q.mean_ns, tail), (100, 50, (50, 90, 95, 99, 100)));
        let q = &rows_of(0, &[], &[], &images([7, 3].into_iter()))[0];
        assert_eq!((q.mean_ns, q.p50_ns, q.p90_ns, q.max_ns), (5, 3, 7, 7));
        assert_eq!(rows_of(0, &[], &[], &images([7].into_iter())), []);
    }
}
