//! Iterations, one by one and as percentiles.

use serde::Serialize;

use super::{Cell, Column, IdCell, Table, TableRow, Unit};
use crate::analyze::iterations::{Iteration, PhaseSummary};

/// One iteration of one input, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IterationRow {
    /// Number of the input.
    pub input: usize,
    /// Process.
    pub pid: IdCell,
    /// Thread.
    pub tid: IdCell,
    /// Name of the annotation.
    pub name: String,
    /// Which annotations: `execute`, `step`, `forward`, `executor`, `diffusion`, `denoise_step`, `train_step`, `1f1b` or
    /// `profiler_step`.
    pub scheme: &'static str,
    /// `prefill`, `decode`, `mixed`, `empty` or `unknown`.
    pub phase: &'static str,
    /// Requests in context; `None` where the annotation does not say.
    pub context_requests: Option<u64>,
    /// Their tokens.
    pub context_tokens: Option<u64>,
    /// Requests in generation.
    pub generation_requests: Option<u64>,
    /// Their tokens.
    pub generation_tokens: Option<u64>,
    /// Start, in the time of the trace.
    pub start_ns: i64,
    /// Start after the start of the profiled window.
    pub offset_ns: i64,
    /// Length on the CPU.
    pub cpu_ns: i64,
    /// What was left out of the length.
    pub excluded_ns: i64,
    /// Kernels launched inside.
    pub n_kernels: u64,
    /// Union of these kernels; `None` where the trace has no device activity.
    pub kernel_busy_ns: Option<i64>,
    /// Sum of these kernels.
    pub kernel_sum_ns: Option<i64>,
    /// First start to last end of what was launched inside.
    pub device_span_ns: Option<i64>,
    /// IPC wait between the previous iteration and this one; `None` where no Python frames show it.
    pub ipc_wait_before_ns: Option<i64>,
    /// IPC wait inside it.
    pub ipc_wait_inside_ns: Option<i64>,
    /// From its end to the start of the next one; `None` for the last.
    pub gap_to_next_ns: Option<i64>,
    /// Keys of the requests in context, summed (`sk`); `context_tokens` is the sum of their query lengths `sq`.
    pub context_sk: Option<u64>,
    /// Sum of `sq` times `sq` over the requests in context.
    pub context_sqsq: Option<u64>,
    /// Sum of `sq` times `sk` over the requests in context.
    pub context_sqsk: Option<u64>,
    /// Keys of the requests in generation, summed.
    pub generation_sk: Option<u64>,
    /// Sum of `sq` times `sq` over the requests in generation.
    pub generation_sqsq: Option<u64>,
    /// Sum of `sq` times `sk` over the requests in generation.
    pub generation_sqsk: Option<u64>,
}

impl IterationRow {
    /// The row of an iteration of a thread.
    pub fn of(
        input: usize,
        (pid, tid): (&str, &str),
        window_start_ns: i64,
        one: &Iteration,
    ) -> Self {
        Self {
            input,
            pid: IdCell::of(pid),
            tid: IdCell::of(tid),
            name: one.name.clone(),
            scheme: one.scheme.as_str(),
            phase: one.phase.as_str(),
            context_requests: one.batch.context_requests,
            context_tokens: one.batch.context_tokens,
            generation_requests: one.batch.generation_requests,
            generation_tokens: one.batch.generation_tokens,
            start_ns: one.start_ns,
            offset_ns: one.start_ns.saturating_sub(window_start_ns),
            cpu_ns: one.cpu_ns,
            excluded_ns: one.excluded_ns,
            n_kernels: one.n_kernels,
            kernel_busy_ns: one.kernel_busy_ns,
            kernel_sum_ns: one.kernel_sum_ns,
            device_span_ns: one.device_span_ns,
            ipc_wait_before_ns: one.ipc_wait_before_ns,
            ipc_wait_inside_ns: one.ipc_wait_inside_ns,
            gap_to_next_ns: one.gap_to_next_ns,
            context_sk: one.batch.context_sums.sk,
            context_sqsq: one.batch.context_sums.sqsq,
            context_sqsk: one.batch.context_sums.sqsk,
            generation_sk: one.batch.generation_sums.sk,
            generation_sqsq: one.batch.generation_sums.sqsq,
            generation_sqsk: one.batch.generation_sums.sqsk,
        }
    }
}

impl TableRow for IterationRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("tid", "tid", Unit::Text, "thread"),
        Column::new("at", "offset_ns", Unit::Ns, "start, after the start of the window"),
        Column::new("phase", "phase", Unit::Text, "prefill, decode, mixed, empty or unknown"),
        Column::new("ctx", "context_requests", Unit::Count, "requests in context"),
        Column::new("tokens", "context_tokens", Unit::Count, "their tokens"),
        Column::new("gen", "generation_requests", Unit::Count, "requests in generation"),
        Column::new("tokens", "generation_tokens", Unit::Count, "their tokens"),
        Column::new("CPU", "cpu_ns", Unit::Ns, "length on the CPU"),
        Column::new("excluded", "excluded_ns", Unit::Ns, "what was left out of the length"),
        Column::new("kernels", "n_kernels", Unit::Count, "kernels launched inside"),
        Column::new("kernel busy", "kernel_busy_ns", Unit::Ns, "union of these kernels"),
        Column::new("kernel sum", "kernel_sum_ns", Unit::Ns, "sum of these kernels"),
        Column::new(
            "IPC before",
            "ipc_wait_before_ns",
            Unit::Ns,
            "IPC wait since the previous one",
        ),
        Column::new("gap to next", "gap_to_next_ns", Unit::Ns, "from its end to the next start"),
        Column::new("ctx sk", "context_sk", Unit::Count, "keys of the requests in context"),
        Column::new("ctx sqsq", "context_sqsq", Unit::Count, "sum of tokens squared, in context"),
        Column::new("ctx sqsk", "context_sqsk", Unit::Count, "sum of tokens by keys, in context"),
        Column::new("gen sk", "generation_sk", Unit::Count, "keys of the requests in generation"),
        Column::new(
            "gen sqsq",
            "generation_sqsq",
            Unit::Count,
            "sum of tokens squared, in generation",
        ),
        Column::new(
            "gen sqsk",
            "generation_sqsk",
            Unit::Count,
            "sum of tokens by keys, in generation",
        ),
        Column::new("name", "name", Unit::Text, "name of the annotation"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let count = |n| Cell::or_none(n, Cell::Count);
        let ns = |ns| Cell::or_none(ns, Cell::Ns);
        vec![
            Cell::Count(self.input as u64),
            Cell::Text(self.tid.to_string()),
            Cell::Ns(self.offset_ns),
            Cell::Text(self.phase.to_owned()),
            count(self.context_requests),
            count(self.context_tokens),
            count(self.generation_requests),
            count(self.generation_tokens),
            Cell::Ns(self.cpu_ns),
            Cell::Ns(self.excluded_ns),
            Cell::Count(self.n_kernels),
            ns(self.kernel_busy_ns),
            ns(self.kernel_sum_ns),
            ns(self.ipc_wait_before_ns),
            ns(self.gap_to_next_ns),
            count(self.context_sk),
            count(self.context_sqsq),
            count(self.context_sqsk),
            count(self.generation_sk),
            count(self.generation_sqsq),
            count(self.generation_sqsk),
            Cell::Text(self.name.clone()),
        ]
    }
}

/// The iterations whose name is shown. Columns that the trace does not fill are left out.
pub fn iteration_table(rows: &[IterationRow], shown: impl Fn(&str) -> bool) -> Table {
    let rows = rows.iter().filter(|row| shown(&row.name));
    let mut table = Table::of("iterations", "Iterations", rows);
    let is_empty = |cell: &Cell, key: &str| {
        *cell == Cell::NotRecorded || (key == "excluded_ns" && *cell == Cell::Ns(0))
    };
    let kept: Vec<bool> = table
        .columns
        .iter()
        .enumerate()
        .map(|(c, column)| !table.rows.iter().all(|row| is_empty(&row[c], column.key)))
        .collect();
    table.keep_columns_where(&kept);
    table
}

/// Percentiles of one figure over the iterations of one scheme and phase of one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IterationSummaryRow {
    /// Number of the input.
    pub input: usize,
    /// Which annotations: `execute`, `step`, `forward`, `executor`, `diffusion`, `denoise_step`, `train_step`, `1f1b` or
    /// `profiler_step`.
    pub scheme: &'static str,
    /// `prefill`, `decode`, `mixed`, `empty` or `unknown`.
    pub phase: &'static str,
    /// `cpu`, `kernel_busy`, `kernel_sum`, `ipc_wait_before` or `gap_to_next`.
    pub figure: &'static str,
    /// Iterations that have the figure.
    pub count: u64,
    /// Sum.
    pub sum_ns: i64,
    /// Smallest.
    pub min_ns: i64,
    /// Median, nearest rank.
    pub p50_ns: i64,
    /// 90th percentile, nearest rank.
    pub p90_ns: i64,
    /// 99th percentile, nearest rank.
    pub p99_ns: i64,
    /// Largest.
    pub max_ns: i64,
}

impl IterationSummaryRow {
    /// The rows of a phase: one for each figure that the trace records.
    pub fn of(input: usize, phase: &PhaseSummary) -> Vec<Self> {
        let figures = [
            ("cpu", phase.cpu),
            ("kernel_busy", phase.kernel_busy),
            ("kernel_sum", phase.kernel_sum),
            ("ipc_wait_before", phase.ipc_wait_before),
            ("gap_to_next", phase.gap_to_next),
        ];
        let row = |(figure, quantiles): (_, Option<crate::analyze::quantiles::Quantiles>)| {
            let q = quantiles?;
            Some(Self {
                input,
                scheme: phase.scheme.as_str(),
                phase: phase.phase.as_str(),
                figure,
                count: q.count,
                sum_ns: q.sum_ns,
                min_ns: q.min_ns,
                p50_ns: q.p50_ns,
                p90_ns: q.p90_ns,
                p99_ns: q.p99_ns,
                max_ns: q.max_ns,
            })
        };
        figures.into_iter().filter_map(row).collect()
    }
}

impl TableRow for IterationSummaryRow {
    const N_GROUP_COLUMNS: usize = 3;
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("scheme", "scheme", Unit::Text, "which annotations"),
        Column::new("phase", "phase", Unit::Text, "prefill, decode, mixed, empty or unknown"),
        Column::new("figure", "figure", Unit::Text, "length on the CPU, kernels, wait before, gap"),
        Column::new("count", "count", Unit::Count, "iterations that have the figure"),
        Column::new("sum", "sum_ns", Unit::Ns, "sum"),
        Column::new("min", "min_ns", Unit::Ns, "the smallest"),
        Column::new("p50", "p50_ns", Unit::Ns, "the median, nearest rank"),
        Column::new("p90", "p90_ns", Unit::Ns, "the 90th percentile, nearest rank"),
        Column::new("p99", "p99_ns", Unit::Ns, "the 99th percentile, nearest rank"),
        Column::new("max", "max_ns", Unit::Ns, "the largest"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::Text(self.scheme.to_owned()),
            Cell::Text(self.phase.to_owned()),
            Cell::Text(self.figure.to_owned()),
            Cell::Count(self.count),
            Cell::Ns(self.sum_ns),
            Cell::Ns(self.min_ns),
            Cell::Ns(self.p50_ns),
            Cell::Ns(self.p90_ns),
            Cell::Ns(self.p99_ns),
            Cell::Ns(self.max_ns),
        ]
    }
}
