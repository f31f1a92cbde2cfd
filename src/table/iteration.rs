//! Iterations, one by one and as percentiles.

use super::IdCell;
use crate::analyze::iterations::{Iteration, PhaseSummary};
use crate::schema::tables;

tables! {
    /// One iteration of one input, as the machine output gives it.
    IterationRow: "iterations", "Iterations", "What did each iteration take?", groups 0, shown Request, carried whole {
        input: usize, Count, All / First, "#", "number of the input";
        pid: IdCell, Text, Machines, "pid", "process";
        tid: IdCell, Text, Room / First, "tid", "thread";
        name: String, Text, All / Subject, "name", "name of the annotation";
        scheme: &'static str, Text, Machines, "scheme", "which annotations: execute, step, forward, executor, diffusion, denoise_step, train_step, 1f1b or profiler_step";
        phase: &'static str, Text, All, "phase", "prefill, decode, mixed, empty or unknown";
        context_requests: Option<u64>, Count, All, "ctx", "requests in context";
        context_tokens: Option<u64>, Count, All, "tokens", "their tokens";
        generation_requests: Option<u64>, Count, All, "gen", "requests in generation";
        generation_tokens: Option<u64>, Count, All, "tokens", "their tokens";
        start_ns: i64, Ns, Machines, "start", "start, in the time of the trace";
        offset_ns: i64, Ns, All / Lead, "at", "start, after the start of the window";
        cpu_ns: i64, Ns, All, "CPU", "length on the CPU";
        excluded_ns: i64, Ns, All, "excluded", "what was left out of the length";
        n_kernels: u64, Count, All, "kernels", "kernels launched inside";
        kernel_busy_ns: Option<i64>, Ns, All, "kernel busy", "union of these kernels";
        kernel_sum_ns: Option<i64>, Ns, Room, "kernel sum", "sum of these kernels";
        device_span_ns: Option<i64>, Ns, Machines, "device span", "first start to last end of what was launched inside";
        ipc_wait_before_ns: Option<i64>, Ns, All, "IPC before", "IPC wait since the previous one";
        ipc_wait_inside_ns: Option<i64>, Ns, Machines, "ipc wait inside", "IPC wait inside it";
        gap_to_next_ns: Option<i64>, Ns, Room, "gap to next", "from its end to the next start";
        context_sk: Option<u64>, Count, All, "ctx sk", "keys of the requests in context";
        context_sqsq: Option<u64>, Count, All, "ctx sqsq", "sum of tokens squared, in context";
        context_sqsk: Option<u64>, Count, All, "ctx sqsk", "sum of tokens by keys, in context";
        generation_sk: Option<u64>, Count, All, "gen sk", "keys of the requests in generation";
        generation_sqsq: Option<u64>, Count, All, "gen sqsq", "sum of tokens squared, in generation";
        generation_sqsk: Option<u64>, Count, All, "gen sqsk", "sum of tokens by keys, in generation";
    }
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

tables! {
    /// Percentiles of one figure over the iterations of one scheme and phase of one input.
    IterationSummaryRow: "iteration_summary", "Iterations by phase", "How do iterations spread, by phase?", groups 3, carried whole {
        input: usize, Count, All, "#", "number of the input";
        scheme: &'static str, Text, All, "scheme", "which annotations";
        phase: &'static str, Text, All, "phase", "prefill, decode, mixed, empty or unknown";
        figure: &'static str, Text, All, "figure", "length on the CPU, kernels, wait before, gap";
        count: u64, Count, All, "count", "iterations that have the figure";
        sum_ns: i64, Ns, Room, "sum", "sum";
        min_ns: i64, Ns, Room, "min", "the smallest";
        p50_ns: i64, Ns, All, "p50", "the median, nearest rank";
        p90_ns: i64, Ns, Room, "p90", "the 90th percentile, nearest rank";
        p99_ns: i64, Ns, Room, "p99", "the 99th percentile, nearest rank";
        max_ns: i64, Ns, All, "max", "the largest";
    }
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
