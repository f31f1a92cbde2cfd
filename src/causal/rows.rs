//! The tables of this room.

use super::graph::{EdgeKind, What};
use crate::analyze::launched::BoundBy;
use crate::schema::{tables, words};

words! {
    /// What time is told apart by.
    By {
        /// What it is spent on.
        Class "class",
        /// Why the next thing could not begin earlier.
        Edge "edge",
        /// The input that it is of.
        Stage "stage",
        /// Kernels, copies and memsets.
        Kernel "kernel",
        /// Operators of the host.
        Operator "operator",
    }

    /// What a prediction is of.
    #[derive(Default)]
    UnitOf {
        /// Iterations of a thread, each to the start of the next.
        Iteration "iteration",
        /// The whole window, where there are none.
        #[default]
        Window "window",
    }

    /// What the answers rest on and may be wrong by.
    DoubtKind {
        /// Edges that times contradict.
        DroppedEdges "dropped_edges",
        /// Activity that begins before the one before it has ended.
        Overlaps "overlaps",
        /// Activity without a launch.
        UnlaunchedActivity "unlaunched_activity",
        /// Waits without a writer.
        UnmatchedWaits "unmatched_waits",
        /// Waits with a writer.
        MatchedWaits "matched_waits",
        /// Waits that logs explain.
        LoggedWaits "logged_waits",
        /// Waits of streams, paired by order.
        GuessedStreamWaits "guessed_stream_waits",
        /// Synchronizing calls whose stream is not said.
        GuessedSyncs "guessed_syncs",
        /// Collectives that one rank alone shows.
        UnmatchedComm "unmatched_comm",
        /// Inputs without a clock.
        UnplacedInputs "unplaced_inputs",
    }
}

tables! {
    /// A part of the critical path. The parts of each way to tell them apart sum to the window.
    PathRow: "critical_path", "What the run waited for: the critical path", "Which work, waits and gaps decide how long the run takes?", groups 1, on Path 2, shown Always {
        by: By, Text, All, "by", "what the parts are told apart by; the parts of each sum to the window";
        ns: i64, Ns, All, "on path", "time on the path";
        pct: Option<f64>, Percent, All, "share", "of the window";
        n_stretches: u64, Count, All, "stretches", "stretches of the path";
        input: Option<usize>, Count, All, "#", "number of the input, where the parts are those of inputs";
        name: String, Text, All / Subject, "name", "class, kind of edge, input, kernel, copy or operator; `(other)` is all the rest of the path";
    }

    /// One iteration of one input, and what the critical path did while it lasted.
    PathIterationRow: "path_iterations", "The critical path by iteration", "What decides how long each iteration takes: the host, the device, or a wait?", groups 1, on Path 3, shown Request {
        input: usize, Count, All, "#", "number of the input";
        iteration: u64, Count, All, "n", "number of the iteration on its lead thread, from 0";
        phase: String, Text, All, "phase", "prefill, decode, mixed, empty, unknown";
        start_ns: i64, Ns, Room, "start", "start, since the path began";
        dur_ns: i64, Ns, All, "length", "length, to the start of the next iteration; the parts sum to it";
        host_ns: i64, Ns, All, "host", "the path was in host code: operators, Python, calls, loading, what no event covers";
        wait_ns: i64, Ns, All, "waits", "the path was in a wait that nothing recorded ends";
        kernel_ns: i64, Ns, All, "kernels", "the path was in a computing kernel";
        comm_ns: i64, Ns, All, "comm", "the path was in communication";
        copy_ns: i64, Ns, All, "copies", "the path was in a copy or memset";
        gap_ns: i64, Ns, All, "gaps", "the path was between two things: launch, stream gap, return of a synchronization, hand-off";
        outside_ns: i64, Ns, Room, "outside", "the path had not begun, or was over";
        n_starved: u64, Count, All, "dry launches", "of what was launched inside, activity whose stream had run dry before its launch was over";
        n_launched: u64, Count, Room, "launched", "device activity launched inside";
        bound: Option<BoundBy>, Text, All, "bound by", "host_bound where the streams had run dry at more than half of the launches, else device_bound; none without launches";
    }

    /// One request, or its time in one stage, and what the critical path did meanwhile.
    PathRequestRow: "path_requests", "The critical path by request", "What decides how long each request takes, over all stages?", groups 2, on Path 4, shown Rows {
        run: usize, Count, Room, "run", "number of the run in the logs";
        request: String, Text, All, "request", "request id; empty where the log counts calls only";
        stage: Option<u32>, Count, All, "stage", "stage index; none for the request from the begin of its first stage to the end of its last";
        pass: Option<u32>, Count, Request, "pass", "1, or more for further passes through the stage";
        start_ns: i64, Ns, Room, "start", "start by the log, since the path began; negative before it";
        error_ns: i64, Ns, All, "±", "how far the log's times may be off";
        dur_ns: i64, Ns, All, "length", "length by the log; the parts sum to it";
        host_ns: i64, Ns, All, "host", "the path was in host code: operators, Python, calls, loading, what no event covers";
        wait_ns: i64, Ns, All, "waits", "the path was in a wait that nothing recorded ends";
        kernel_ns: i64, Ns, All, "kernels", "the path was in a computing kernel";
        comm_ns: i64, Ns, All, "comm", "the path was in communication";
        copy_ns: i64, Ns, All, "copies", "the path was in a copy or memset";
        gap_ns: i64, Ns, All, "gaps", "the path was between two things: launch, stream gap, return of a synchronization, hand-off";
        outside_ns: i64, Ns, All, "outside", "the path had not begun, or was over: the request was not recorded then";
    }

    /// How much later some work could begin without anything ending later.
    SlackRow: "slack", "What could be slower at no cost: slack", "Which kernels and operators decide nothing, and by how much?", groups 1, on Path 5 {
        by: By, Text, All, "by", "kernel or operator";
        count: u64, Count, All, "count", "activities, or stretches of host time";
        sum_ns: i64, Ns, All, "time", "their time";
        on_path_ns: i64, Ns, All, "on path", "of it, on the critical path";
        least_slack_ns: i64, Ns, All, "least slack", "the shortest delay of one of them that delays the end";
        p50_slack_ns: i64, Ns, All, "p50 slack", "the median, nearest rank";
        name: String, Text, All / Subject, "name", "name of the kernel, copy or operator";
    }

    /// A stretch of the critical path.
    StepRow: "path_steps", "The critical path step by step", "What comes after what on the critical path?", groups 0, shown Request {
        start_ns: i64, Ns, All, "start", "start, since the path began";
        dur_ns: i64, Ns, All, "length", "length; the stretches follow each other without a gap";
        what: What, Text, All, "what", "what it is spent on";
        edge: Option<EdgeKind>, Text, All, "edge", "why the next thing could not begin earlier; none for work itself";
        input: Option<usize>, Count, All, "#", "number of the input; none outside of all";
        lane: String, Text, All, "on", "thread or stream";
        name: Option<String>, Text, All / Subject, "name", "kernel, copy, call, operator or wait; of a gap, what it leads to";
    }

    /// How well the graph of one input explains what was recorded.
    ReplayRow: "replay", "The graph, replayed without a change", "How far do the edges explain what was recorded?", groups 0, on Path 6, shown Always {
        input: usize, Count, All, "#", "number of the input";
        nodes: u64, Count, Room, "nodes", "stretches of host time, activities and ends of waits";
        exact_pct: Option<f64>, Percent, All, "exact starts", "of the nodes, those that begin in an unchanged replay when they were recorded to; this is necessary and no evidence";
        window_ns: i64, Ns, Room, "window", "from the start of its window to the last end, as recorded";
        replayed_ns: i64, Ns, Room, "replayed", "the same in an unchanged replay";
        drift_pct: Option<f64>, Percent, All, "drift", "difference of the two, of the window";
        awaited: u64, Count, Room, "awaited", "device activities and ends of waits: nodes that do not simply follow the one before on their thread";
        explained: u64, Count, Room, "explained", "of these, those whose edge binds with a gap that is usual for its kind: up to ten times the median of the run, or 10 µs";
        explained_pct: Option<f64>, Percent, All, "explained %", "explained, of the awaited";
        unexplained_ns: i64, Ns, All, "unexplained gaps", "what the gaps of binding edges are longer than usual, in sum";
        roots: u64, Count, Room, "roots", "nodes that nothing comes before";
        label: String, Text, All / Subject, "who", "what the input is called";
    }

    /// Something that the answers rest on.
    DoubtRow: "doubts", "What may be wrong", "What did the trace not say, so that answers may be wrong?", groups 0, on Path 7 {
        kind: DoubtKind, Text, All, "what", "what was met";
        count: u64, Count, All, "count", "how often";
        meaning: &'static str, Prose, All / Last, "meaning", "what it does to the answers";
    }

    /// What would come of something that costs nothing.
    #[derive(Default)]
    BoundRow: "bounds", "If this cost nothing: upper bounds", "What would it bring at most if a class, kernel, operator or stage cost nothing?", groups 1, shown Always {
        by: Option<By>, Text, All, "by", "class, kernel, operator or stage";
        sum_ns: i64, Ns, All, "time", "its time, on all lanes";
        predicted_ns: Option<i64>, Ns, All, "iteration", "median iteration of the main input without it; of the window where there are no iterations";
        change_pct: Option<f64>, Percent, All, "change", "of the median iteration as recorded; negative is faster";
        whole_ns: i64, Ns, Room, "whole", "the run without it, from the first start to the last end";
        whole_change_pct: Option<f64>, Percent, All, "whole %", "change of the whole";
        reach_pct: Option<f64>, Percent, Room, "reaches end", "of the time taken away, what the whole is shorter by; more than one lane takes part, so that this is mostly far below 100 %";
        next_bound: Option<What>, Text, All, "then", "what the path of the changed run is mostly spent on";
        name: String, Text, All / Subject, "name", "what would cost nothing";
    }

    /// What becomes of one input.
    StageRow: "predicted_stages", "What becomes of each input", "How long do the iterations of each stage and rank take after the change?", groups 0, shown Always {
        input: usize, Count, All, "#", "number of the input";
        unit: UnitOf, Text, All, "unit", "iteration, or window where there are none";
        count: u64, Count, All, "count", "how many";
        recorded_median_ns: i64, Ns, All, "recorded", "the median, nearest rank, as recorded";
        predicted_median_ns: i64, Ns, All, "predicted", "the median in the replay with the changes";
        change_pct: Option<f64>, Percent, All, "change", "of the recorded median";
        recorded_end_ns: i64, Ns, Room, "ended", "end of its last event, since the run began, as recorded";
        predicted_end_ns: i64, Ns, Room, "would end", "the same in the replay with the changes";
        label: String, Text, All / Subject, "who", "what the input is called";
    }

    /// One change and what it takes away.
    ChangeRow: "changes", "What is changed", "Which work does each change touch?", groups 0 {
        change: String, Text, All, "change", "as it was asked for";
        n_nodes: u64, Count, All, "touched", "stretches of host time and activities that it changes";
        recorded_ns: i64, Ns, All, "time", "their time as recorded";
    }

    /// One iteration before and after.
    PredictedRow: "predicted_iterations", "Each iteration, recorded and predicted", "How long does each iteration take after the change?", groups 1, shown Request {
        input: usize, Count, All, "#", "number of the input";
        iteration: u64, Count, All, "n", "number of the iteration on its lead thread, from 0";
        phase: String, Text, All, "phase", "prefill, decode, mixed, empty, unknown; window where there are no iterations";
        recorded_ns: i64, Ns, All, "recorded", "as recorded";
        predicted_ns: i64, Ns, All, "predicted", "in the replay with the changes";
    }
}
