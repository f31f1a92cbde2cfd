//! The tables of a comparison.

use crate::analyze::units::Side;
use crate::schema::{tables, words};

words! {
    /// What a comparison comes to.
    #[derive(Default)]
    Verdict {
        /// B is slower.
        Regression "regression",
        /// B is faster.
        Improvement "improvement",
        /// No difference was shown that the data could have shown.
        NoChangeShown "no_change_shown",
        /// The data do not decide it.
        #[default]
        Inconclusive "inconclusive",
    }

    /// What became of a kernel.
    KernelChange {
        /// Only B runs it.
        New "new",
        /// Only A runs it.
        Gone "gone",
        /// B runs another one in its place.
        Replaced "replaced",
    }
}

tables! {
    /// One thing in which the two sides are set up differently.
    DifferenceRow: "differences", "What is compared", "Are the two sides set up alike?", groups 1, on Trust 1 {
        lane: Option<usize>, Count, Room, "lane", "number of the lane; none where it is about all";
        what: String, Text, All, "what", "what differs";
        a: Option<String>, Text, All, "A", "of A; none where the trace does not say";
        b: Option<String>, Text, All, "B", "of B";
        matters: bool, Text, All, "changes times", "whether it changes times by itself: such a difference is no change of the code";
    }

    /// One lane: a stage and rank of both sides, whose iterations are compared.
    #[derive(Default)]
    LaneRow: "lanes", "Iterations", "Which side is faster, by how much, and is it real?", groups 1, on Breakdown 2 {
        lane: usize, Count, All, "lane", "number of the lane";
        label: String, Text, All, "who", "stage and rank, as A calls them";
        unit: String, Text, All, "unit", "which annotations are the iterations: execute, step, forward, executor, diffusion, denoise_step, train_step, 1f1b, profiler_step; window where there are none";
        verdict: Verdict, Text, All, "verdict", "regression, improvement, no_change_shown or inconclusive; by the gates where there are some, else by whether the interval of the rate leaves out zero; with one run a side only where that of the excess does too";
        n_a: u64, Count, All, "n A", "iterations of A";
        n_b: u64, Count, All, "n B", "iterations of B";
        cut_a: u64, Count, Request, "cut A", "iterations of A that were cut as warm-up";
        cut_b: u64, Count, Request, "cut B", "iterations of B that were cut as warm-up";
        a_ns: i64, Ns, All, "A", "mean iteration of A, from its start to the start of the next one";
        b_ns: i64, Ns, All, "B", "mean iteration of B";
        diff_ns: i64, Ns, All, "B - A", "difference of the means; rate and mix sum to it";
        diff_pct: Option<f64>, Percent, All, "%", "the difference as a share of the mean of A";
        low_ns: Option<i64>, Ns, All, "low", "lower end of its 95 % interval; none where nothing tells how iterations vary";
        high_ns: Option<i64>, Ns, All, "high", "upper end";
        rate_ns: i64, Ns, All, "rate", "what equal iterations take longer: over the buckets of both sides, weighted as in B";
        rate_pct: Option<f64>, Percent, All, "rate %", "the rate as a share of the mean of A, weighted as in B";
        rate_low_ns: Option<i64>, Ns, Request, "rate low", "lower end of its 95 % interval, by block bootstrap over iterations";
        rate_high_ns: Option<i64>, Ns, Request, "rate high", "upper end";
        mix_ns: i64, Ns, All, "mix", "what comes of other iterations: their shares changed, or one side alone has them";
        detectable_ns: Option<i64>, Ns, All, "detectable", "smallest difference of the rate that data like these show in four of five cases";
        common_pct: Option<f64>, Percent, Request, "common %", "how much longer the same work takes in B: the median over names (of the account that says more of the difference) of which both sides run as many; with one run a side that cannot be told from a slower machine. None where several runs tell how runs vary, and where fewer than four names are in both";
        common_spread_pct: Option<f64>, Percent, Request, "spread %", "how far names stray from it, as a standard deviation";
        common_names: u64, Count, Machines, "names", "names that it is taken from";
        excess_ns: Option<i64>, Ns, Request, "excess", "the rate without the common scale: of B, less A times the scale";
        excess_low_ns: Option<i64>, Ns, Request, "excess low", "lower end of its 95 % interval, in which is how far names stray and how iterations vary without work";
        excess_high_ns: Option<i64>, Ns, Request, "excess high", "upper end";
        runs_needed: Option<u64>, Count, Request, "runs would decide", "runs a side that would decide it if these are typical; none where it is decided, and where iterations are what is missing";
        a_p50_ns: Option<i64>, Ns, Request, "median A", "median of A over the buckets of both sides, weighted as in B";
        b_p50_ns: Option<i64>, Ns, Request, "median B", "median of B over the same";
        p50_diff_ns: Option<i64>, Ns, All, "medians", "difference of the medians";
        p50_low_ns: Option<i64>, Ns, Request, "medians low", "lower end of its 95 % interval";
        p50_high_ns: Option<i64>, Ns, Request, "medians high", "upper end";
        a_inside_ns: i64, Ns, Machines, "inside A", "mean length of the annotation itself in A; the rest of an iteration lies between it and the next one";
        b_inside_ns: i64, Ns, Machines, "inside B", "the same in B";
        runs_a: u64, Count, Machines, "runs A", "runs of A";
        runs_b: u64, Count, Machines, "runs B", "runs of B";
        first_account: Side, Text, Machines, "first account", "which account is shown first: device where it says more of the difference or its work has the larger certain changes, else lead";
    }

    /// One kind of iteration of a lane.
    BucketRow: "buckets", "Kinds of iteration", "Did equal iterations change, or their mix?", groups 1, on Breakdown 4 {
        lane: usize, Count, All, "lane", "number of the lane";
        bucket: String, Text, All, "iterations", "phase, and requests or tokens, rounded up to a quarter of an octave beyond 16";
        n_a: u64, Count, All, "n A", "iterations of A";
        n_b: u64, Count, All, "n B", "iterations of B";
        cut_a: u64, Count, All, "cut A", "iterations of A that were cut as warm-up";
        cut_b: u64, Count, All, "cut B", "iterations of B that were cut as warm-up";
        a_ns: Option<i64>, Ns, All, "A", "mean of A; none where A has no such iterations";
        b_ns: Option<i64>, Ns, All, "B", "mean of B";
        rate_ns: i64, Ns, All, "rate", "what it adds to the rate; these sum to the rate of the lane";
        mix_ns: i64, Ns, All, "mix", "what it adds to the mix; these sum to the mix of the lane";
    }

    /// One cause of a difference.
    CauseRow: "causes", "What explains it", "What takes longer, and is it real?", groups 0, shown Always {
        lane: usize, Count, Machines, "lane", "number of the lane";
        key: String, Text, Machines, "key", "the same in every comparison: account, class and name";
        account: Side, Text, Machines, "account", "device (what ran at every instant, and why nothing did) or lead (what the lead thread did)";
        class: String, Text, All, "class", "of the device kernel, comm, copy (of these two what no kernel hides) or idle; of the lead thread its class of time; mix for what comes of other iterations";
        name: String, Text, All / Last, "name", "kernel, cause of idle time, operator, call, frame, rule of a wait or, of time that no event explains, annotation, by the name that is compared; allocations and views that an operator calls are its own time";
        a_ns: i64, Ns, All, "A", "mean over the iterations of A, the buckets weighted as in B";
        b_ns: i64, Ns, All, "B", "mean over those of B";
        diff_ns: i64, Ns, All, "B - A", "the difference; the rows of an account sum to that of the lane";
        diff_pct: Option<f64>, Percent, All, "of A", "the difference as a share of the mean iteration of A";
        low_ns: Option<i64>, Ns, All, "low", "lower end of its 95 % interval; none where nothing tells how iterations vary";
        high_ns: Option<i64>, Ns, All, "high", "upper end";
        q: Option<f64>, Rate, Request, "q", "share of false findings among rows that are no less likely, by Benjamini and Hochberg over the rows of both accounts; with one run a side of the less certain of the difference and the excess";
        excess_ns: Option<i64>, Ns, Request, "excess", "the difference without the common scale of the lane (of its account), with one run a side";
        excess_low_ns: Option<i64>, Ns, Machines, "excess low", "lower end of its 95 % interval";
        excess_high_ns: Option<i64>, Ns, Machines, "excess high", "upper end";
        is_shown: bool, Text, All, "real", "whether q is at most 0.05, and the difference and the excess are of one sign";
        a_count: f64, Rate, Request, "n A", "how often it begins in an iteration of A";
        b_count: f64, Rate, Request, "n B", "how often it begins in an iteration of B";
    }

    /// One class of time of an account.
    ClassRow: "classes", "Where an iteration goes", "What kind of time grew or shrank?", groups 2, on Breakdown 3 {
        lane: usize, Count, All, "lane", "number of the lane";
        account: Side, Text, All, "account", "device or lead";
        class: String, Text, All, "class", "of the device kernel, comm, copy or idle; of the lead thread its class of time; mix for what comes of other iterations";
        a_ns: i64, Ns, All, "A", "mean over the iterations of A, the buckets weighted as in B; the classes of an account sum to the mean of A";
        b_ns: i64, Ns, All, "B", "mean over those of B";
        diff_ns: i64, Ns, All, "B - A", "the difference";
        diff_pct: Option<f64>, Percent, All, "of A", "the difference as a share of the mean iteration of A";
        low_ns: Option<i64>, Ns, All, "low", "lower end of its 95 % interval; none where nothing tells how iterations vary";
        high_ns: Option<i64>, Ns, All, "high", "upper end";
    }

    /// One part of the critical path of an iteration.
    PathChangeRow: "paths", "The critical path of an iteration", "What decides how long an iteration takes, and did that move?", groups 1, on Breakdown 6 {
        lane: usize, Count, All, "lane", "number of the lane";
        part: &'static str, Text, All, "path in", "host (operators, Python, calls, what no event covers), waits (that nothing recorded ends), kernels, comm, copies, gaps (between two things: launches, stream gaps, returns of synchronizations, hand-offs), outside (the path had not begun, or was over)";
        a_ns: i64, Ns, All, "A", "mean over the iterations of A, the buckets weighted as in B; the parts sum to the mean of A";
        b_ns: i64, Ns, All, "B", "mean over those of B";
        diff_ns: i64, Ns, All, "B - A", "the difference; these sum to the rate of the lane";
        diff_pct: Option<f64>, Percent, All, "of A", "the difference as a share of the mean iteration of A";
        low_ns: Option<i64>, Ns, All, "low", "lower end of its 95 % interval; none where nothing tells how iterations vary";
        high_ns: Option<i64>, Ns, All, "high", "upper end";
    }

    /// One count of an iteration.
    CountRow: "counts", "Launches per iteration", "Does an iteration start more work?", groups 1 {
        lane: usize, Count, All, "lane", "number of the lane";
        what: &'static str, Text, All, "what", "launches (calls that start device work), graph_launches (of these), kernels, graph_kernels (of these), copies, syncs (waits for the device)";
        a: f64, Rate, All, "A", "mean per iteration of A, the buckets weighted as in B";
        b: f64, Rate, All, "B", "mean per iteration of B";
        diff: f64, Rate, All, "B - A", "the difference";
        low: Option<f64>, Rate, Room, "low", "lower end of its 95 % interval";
        high: Option<f64>, Rate, Room, "high", "upper end";
    }

    /// One kernel that only one side runs.
    KernelChangeRow: "kernel_changes", "Kernels of one side", "Which kernels are new, gone or replaced?", groups 1 {
        lane: usize, Count, All, "lane", "number of the lane";
        change: KernelChange, Text, All, "change", "new, gone, or replaced: by a kernel that the same operator launches as often, or of the same name but for its tiles";
        op: Option<String>, Text, All, "operator", "innermost operator around its first launch; none for kernels of graphs";
        a_count: Option<f64>, Rate, All, "n A", "how often it runs in an iteration of A";
        b_count: Option<f64>, Rate, All, "n B", "how often it, or what replaces it, runs in an iteration of B";
        a_ns: Option<i64>, Ns, All, "A", "its time in an iteration of A";
        b_ns: Option<i64>, Ns, All, "B", "the time of it, or of what replaces it, in an iteration of B";
        name: String, Text, All / Subject, "kernel", "its name, as it is compared";
        by: Option<String>, Text, All / Last, "replaced by", "the kernel in its place";
    }

    /// One gate.
    GateRow: "gates", "Gates", "Is what was asked for within its limit?", groups 1, on Breakdown 1 {
        lane: usize, Count, All, "lane", "number of the lane";
        gate: String, Text, All, "gate", "what is held to the limit";
        limit_pct: f64, Percent, All, "limit", "by how much B may exceed A";
        verdict: Verdict, Text, All, "verdict", "regression where the whole interval exceeds the limit, improvement where it lies below its negative, no_change_shown where it stays between, else inconclusive; with one run a side a regression only where the interval of the excess says the same, and an improvement where that is below 0";
        diff_pct: Option<f64>, Percent, All, "B - A", "the difference as a share of A; none where A has nothing of it";
        low_pct: Option<f64>, Percent, All, "low", "lower end of its 95 % interval";
        high_pct: Option<f64>, Percent, All, "high", "upper end";
        excess_pct: Option<f64>, Percent, All, "without scale", "the difference without the common scale of the machine, as a share of A; none where several runs tell how runs vary";
        excess_low_pct: Option<f64>, Percent, Request, "excess low", "lower end of its 95 % interval";
        excess_high_pct: Option<f64>, Percent, Request, "excess high", "upper end";
        n_needed: Option<u64>, Count, All, "would decide", "iterations a side that would decide it if these are typical; none where it is decided, or no number would";
        runs_needed: Option<u64>, Count, All, "runs", "runs a side that would decide it if these are typical; none where it is decided, and where iterations are what is missing";
    }

    /// One of several runs.
    TrendRow: "trend", "Trend", "How did iterations change from run to run?", groups 1, on Breakdown 5 {
        lane: usize, Count, All, "lane", "number of the lane";
        run: usize, Count, All, "run", "number of the run, in the order given";
        n: u64, Count, All, "n", "its iterations";
        mean_ns: i64, Ns, All, "mean", "mean iteration";
        p50_ns: i64, Ns, All, "median", "median iteration";
        rate_ns: Option<i64>, Ns, All, "against first", "what equal iterations take longer than in the first run";
        rate_pct: Option<f64>, Percent, All, "%", "the same as a share of the first run's mean";
        low_ns: Option<i64>, Ns, All, "low", "lower end of its 95 % interval";
        high_ns: Option<i64>, Ns, All, "high", "upper end";
        name: String, Text, All / Last, "name", "what the run is called";
    }

    /// One thing to keep in mind.
    CautionRow: "cautions", "To be read with care", "What can these figures not tell?", groups 0, on Trust 2 {
        text: String, Prose, All, "caution", "what cannot be told, or only with care";
    }
}
