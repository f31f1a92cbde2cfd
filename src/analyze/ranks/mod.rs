//! Many ranks: how their figures spread, which rank works longer than its like, which link is slower than its like, and why.
//!
//! Ranks that share collectives wait for each other, so that the steps of all of them are equally long; what tells them apart
//! is what they do between waits. A rank's *own time* is the time from its first to its last shared operation, less the time
//! when nothing but communication ran on its device. It *waited* what its kernel took beyond the shortest of the same
//! operation, whose rank came last. Neither needs a common clock. Ranks of one run, stage and pipeline stage are held against each other by median and MAD;
//! nothing is named among fewer than [`FEWEST`], nor what lies within the usual spread.

mod functions;
mod links;
mod roles;
mod slow;
mod spread;
mod statistics;
mod work;

pub use roles::places;

use std::collections::BTreeMap;

use super::devices::DeviceRow;
use super::kernels::{ActivityDurations, ActivityKind};
use crate::align::{Digest, Together};
use crate::model::Identity;
use crate::schema::{tables, words};

/// Ranks, or links, below which nothing is said of their spread.
pub const FEWEST: usize = 8;

words! {
    /// What a rank spends more time in than its like.
    Cause {
        /// Most of its kernels, alike.
        AllKernels "all_kernels",
        /// Some of its kernels.
        Kernels "kernels",
        /// Copies and memsets.
        Copies "copies",
        /// Garbage collection of the interpreter.
        GarbageCollection "garbage_collection",
        /// Waiting for data to be loaded.
        DataLoading "data_loading",
        /// Something else of the host.
        Host "host",
        /// Nothing that is recorded.
        Unknown "unknown",
    }

    /// What a function of a rank is.
    FunctionKind {
        /// A kernel that computes.
        Kernel "kernel",
        /// A copy or a memset.
        Copy "copy",
        /// An operator, a call, a frame or an annotation of the host.
        Host "host",
    }

    /// What lies between ranks.
    LinkKind {
        /// Two ranks that send each other messages.
        Pair "pair",
        /// The ranks of a process group.
        Group "group",
    }
}

tables! {
    /// One rank among others: what it did between waiting for them.
    RankRow: "ranks", "Ranks", "What did each rank do between waiting for the others?", groups 0, on Waits 7, shown Request {
        input: usize, Count, All / First, "#", "number of the input";
        rank: Option<u32>, Count, All, "rank", "global rank, as far as known";
        stage: Option<u32>, Count, All, "stage", "stage of a multi-stage pipeline";
        tp_rank: Option<u32>, Count, All, "TP", "tensor-parallel rank";
        pp_rank: Option<u32>, Count, All, "PP", "pipeline-parallel rank";
        dp_rank: Option<u32>, Count, All, "DP", "data-parallel rank";
        ep_rank: Option<u32>, Count, All, "EP", "expert-parallel rank";
        own_ns: i64, Ns, All, "own", "from its first to its last shared operation, less the time when only communication ran";
        wait_ns: i64, Ns, All, "waited", "what its shared operations took beyond the shortest of each";
        n_shared: u64, Count, All, "shared", "operations that other inputs show, too";
        n_last: u64, Count, All, "last", "of these, those in which it waited least";
        compute_ns: i64, Ns, All, "compute", "sum of its kernels, without those that communicate";
        copies_ns: i64, Ns, All, "copies", "sum of its copies and memsets";
        idle_ns: i64, Ns, All, "idle", "idle time of its devices";
        run: u32, Count, Machines, "run", "number of the run that it is of";
    }

    /// How one figure spreads over the ranks of a run.
    SpreadRow: "rank_spread", "Spread over ranks", "How do figures spread over ranks, and which ranks are at the ends?", groups 1, on Waits 6 {
        run: u32, Count, All / First, "run", "number of the run";
        figure: &'static str, Text, All, "figure", "own, wait, compute, copies, idle, as in ranks; busy, comm, exposed_comm, as in devices";
        n_ranks: u64, Count, Room, "ranks", "ranks that have it";
        min_ns: i64, Ns, All, "min", "the smallest";
        min_input: usize, Count, All, "#", "number of the input that has it";
        min_rank: Option<u32>, Count, All, "rank", "its rank";
        median_ns: i64, Ns, All, "median", "the median, nearest rank";
        p99_ns: i64, Ns, All, "p99", "the 99th percentile, nearest rank";
        max_ns: i64, Ns, All, "max", "the largest";
        max_input: usize, Count, All, "#", "number of the input that has it";
        max_rank: Option<u32>, Count, All, "rank", "its rank";
    }

    /// How one function spreads over the ranks of one role.
    FunctionSpreadRow: "rank_functions", "Functions over ranks of one role", "How long does each function take on the ranks of one role, and which rank is off?", groups 3, on Waits 8, shown Request {
        run: u32, Count, Machines, "run", "number of the run";
        stage: Option<u32>, Count, All, "stage", "stage of a multi-stage pipeline that the ranks are of";
        pp_rank: Option<u32>, Count, All, "PP", "their pipeline-parallel rank: ranks of one stage and pipeline stage do the same";
        kind: FunctionKind, Text, All, "kind", "kernel (that computes), copy (or memset), host (operator, call, frame or annotation)";
        n_ranks: u64, Count, All, "ranks", "ranks of the role";
        n_shown: u64, Count, All, "show it", "of these, those that show it; it took 0 on the others";
        median_ns: i64, Ns, All, "median", "the median (of two the lower) over the ranks of its time on one: the sum of durations, of the host self time";
        mad_ns: i64, Ns, All, "MAD", "the median distance from that median";
        min_ns: i64, Ns, All, "min", "the smallest";
        max_ns: i64, Ns, All, "max", "the largest";
        max_input: usize, Count, All, "#", "number of the input that has it";
        max_rank: Option<u32>, Count, All, "rank", "its rank";
        n_out: u64, Count, All, "stand out", "ranks more than 6 times the usual spread above the median; that spread is 1.4826 times the MAD, at least 0.5 % of the median and 0.1 % of the median own time of the ranks";
        name: String, Text, All / Subject, "name", "of the kernel, copy, operator or frame";
    }

    /// One rank that works longer than its like, and in what.
    SlowRankRow: "slow_ranks", "Slow ranks", "Which rank do the others wait for, and why?", groups 0, on Waits 4 {
        input: usize, Count, All / First, "#", "number of the input";
        rank: Option<u32>, Count, All, "rank", "global rank, as far as known";
        cause: Cause, Text, All, "because of", "what it spends the time in: all_kernels (most are longer alike: clocks, power, heat), kernels (some are), copies, garbage_collection, data_loading, host, or unknown";
        excess_ns: i64, Ns, All, "longer by", "own time beyond the median of its like";
        excess_pct: Option<f64>, Percent, All, "longer by %", "of that median";
        usual_ns: i64, Ns, All, "usual spread", "own times lie mostly within this of the median: 1.4826 times the median distance, at least 0.2 %";
        cause_ns: i64, Ns, All, "of it", "of the excess, in what is named";
        wait_ns: i64, Ns, All, "it waited", "in shared operations";
        median_wait_ns: i64, Ns, All, "others waited", "the median of its like";
        n_ranks: u64, Count, Room, "of ranks", "ranks that it is held against, itself among them";
        run: u32, Count, Machines, "run", "number of the run";
        name: Option<String>, Text, All / Subject, "name", "the kernel, operator or frame that grew most";
    }

    /// One link that is slower than its like.
    SlowLinkRow: "slow_links", "Slow links", "Which link is slower than others for the same operation and size?", groups 0, on Waits 5 {
        run: u32, Count, Machines, "run", "number of the run";
        kind: LinkKind, Text, All, "link", "pair (two ranks that send messages) or group (the ranks of a process group)";
        ranks: String, Text, All, "ranks", "the ranks at its ends, or of the group, as far as named";
        operation: String, Text, All / Subject, "operation", "operation, type and elements";
        count: u64, Count, All, "count", "operations that were compared";
        median_ns: i64, Ns, All, "median", "median time of the rank that came last: the transfer without waiting";
        others_ns: i64, Ns, All, "others", "the median of the like links";
        slower_pct: Option<f64>, Percent, All, "slower by %", "of that median";
        n_links: u64, Count, Room, "of links", "links that it is held against, itself among them";
    }
}

/// What is looked at of one input.
#[derive(Clone, Debug)]
pub struct RankInput<'a> {
    /// Who wrote it.
    pub identity: &'a Identity,
    /// What it shares.
    pub shared: &'a Digest,
    /// Durations of its device activity.
    pub durations: &'a ActivityDurations,
    /// Names of its kernels that communicate.
    pub comm_names: &'a [String],
    /// Its devices.
    pub devices: &'a [DeviceRow],
    /// Host time by name: self time of operators, calls and frames.
    pub host: Vec<(&'a str, i64)>,
}

impl RankInput<'_> {
    /// Whether an activity is a kernel that computes.
    fn computes(&self, kind: ActivityKind, name: &String) -> bool {
        kind == ActivityKind::Kernel && !self.comm_names.contains(name)
    }
}

/// The figures over many ranks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranks {
    /// Every rank that shares operations with others.
    pub ranks: Vec<RankRow>,
    /// How their figures spread.
    pub spread: Vec<SpreadRow>,
    /// How each function spreads over the ranks of one role, those that differ most first within each role and kind.
    pub functions: Vec<FunctionSpreadRow>,
    /// Those that work longer than their like, the longest first.
    pub slow: Vec<SlowRankRow>,
    /// Links that are slower than their like, the slowest first.
    pub links: Vec<SlowLinkRow>,
}

impl Ranks {
    /// Leaves the rows of some inputs, which are numbered from 0 on, and how the figures of all spread.
    pub fn keep(&mut self, inputs: &[usize]) {
        let place = |input: usize| inputs.iter().position(|&one| one == input);
        let is_of = |ranks: &str| {
            self.ranks.iter().any(|row| place(row.input).is_some() && names(ranks, row.rank))
        };
        self.links.retain(|row| is_of(&row.ranks));
        self.ranks.retain_mut(|row| place(row.input).map(|at| row.input = at).is_some());
        self.slow.retain_mut(|row| place(row.input).map(|at| row.input = at).is_some());
    }

    /// Of several inputs.
    pub fn of(inputs: &[RankInput<'_>], together: &Together) -> Self {
        let works = work::works(inputs.len(), &together.matched);
        let row = |(input, work): (usize, &work::Work)| {
            (work.n_shared > 0).then(|| work.row(input, &inputs[input], together.runs[input]))
        };
        let ranks: Vec<RankRow> = works.iter().enumerate().filter_map(row).collect();
        let mut like: BTreeMap<_, Vec<&RankRow>> = BTreeMap::new();
        for rank in &ranks {
            like.entry((rank.run, rank.stage, rank.pp_rank)).or_default().push(rank);
        }
        let large = || like.values().filter(|ranks| ranks.len() >= FEWEST);
        let mut slow: Vec<SlowRankRow> =
            large().flat_map(|ranks| slow::slow_ranks(ranks, inputs)).collect();
        slow.sort_by_key(|row| (row.run, -row.excess_ns, row.input));
        let spread = spread::spread(&ranks, inputs);
        let functions = large().flat_map(|ranks| functions::functions(ranks, inputs)).collect();
        let links = links::slow_links(inputs, together);
        Self { ranks, spread, functions, slow, links }
    }
}

/// Whether a list of ranks, or two ends of a message, has one.
fn names(ranks: &str, rank: Option<u32>) -> bool {
    let mut words = ranks.split(|c: char| !c.is_ascii_digit());
    words.any(|word| word.parse::<u32>().is_ok_and(|one| Some(one) == rank))
}
