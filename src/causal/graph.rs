//! The graph itself: nodes on lanes, edges between them, all in columns.
//!
//! A node is a stretch of one lane: leaf time of a host thread, an activity of a stream, or an instant at which
//! something waited for arrives. Nodes of a host thread follow each other without a gap, so that their order needs no
//! stored edge; every other edge says from where its time counts and how long after that its successor can begin.

use std::ops::Range;

use crate::schema::words;

/// The number that stands for "none" among slices and nodes.
pub const NONE: u32 = u32::MAX;

words! {
    /// What the time of a node or an edge is spent on.
    What {
        /// Waiting for another process.
        IpcWait "ipc_wait",
        /// Waiting for the device.
        GpuSync "gpu_sync",
        /// In a call that starts device work.
        Launch "launch",
        /// In another runtime or driver call.
        Runtime "runtime",
        /// Loading or compiling device code.
        ModuleLoading "module_loading",
        /// In an operator.
        CpuOp "cpu_op",
        /// In Python.
        Python "python",
        /// Another wait.
        OtherWait "other_wait",
        /// In the profiler.
        Profiler "profiler",
        /// On a host thread, and no event says what.
        Unattributed "unattributed",
        /// A kernel that computes.
        Kernel "kernel",
        /// A kernel that communicates; of a matched collective, the time from its last rank on.
        Comm "comm",
        /// A copy, a memset, or a kernel that only moves data.
        Copy "copy",
        /// From a launch call to the begin of its work on an idle stream.
        LaunchLatency "launch_latency",
        /// Between two activities that follow each other.
        StreamGap "stream_gap",
        /// From the end of device work to the return of the call that waited for it.
        SyncLatency "sync_latency",
        /// From a send to what received it.
        HandOff "hand_off",
        /// From one thread of a process to another.
        ThreadHandOver "thread_hand_over",
        /// Before the first event of the path, or after its last.
        Outside "outside",
    }

    /// Why one node can begin only after another.
    EdgeKind {
        /// Both are of one host thread.
        ProgramOrder "program_order",
        /// A call started a device activity.
        Launch "launch",
        /// Both are of one stream.
        StreamOrder "stream_order",
        /// A stream waited for an event of another one.
        StreamWait "stream_wait",
        /// A call waited for device work.
        Sync "sync",
        /// All ranks of a collective had to arrive.
        Collective "collective",
        /// One process sent what another received.
        HandOff "hand_off",
        /// One thread of a process waited for another.
        Thread "thread",
        /// Nothing: the node begins when it was recorded to.
        Start "start",
    }
}

impl What {
    /// Every kind of time that a host thread or a device spends.
    pub const OF_NODES: [Self; 13] = [
        Self::IpcWait,
        Self::GpuSync,
        Self::Launch,
        Self::Runtime,
        Self::ModuleLoading,
        Self::CpuOp,
        Self::Python,
        Self::OtherWait,
        Self::Profiler,
        Self::Unattributed,
        Self::Kernel,
        Self::Comm,
        Self::Copy,
    ];

    /// The kind of a name that nodes have.
    pub fn of_node(name: &str) -> Option<Self> {
        Self::OF_NODES.into_iter().find(|what| what.as_str() == name)
    }

    /// Whether it is activity of a device.
    pub fn is_on_device(self) -> bool {
        matches!(self, Self::Kernel | Self::Comm | Self::Copy)
    }
}

impl EdgeKind {
    /// Every kind that edges of the graph have, in the order of outputs.
    pub const OF_EDGES: [Self; 8] = [
        Self::ProgramOrder,
        Self::Launch,
        Self::StreamOrder,
        Self::StreamWait,
        Self::Sync,
        Self::Collective,
        Self::HandOff,
        Self::Thread,
    ];

    /// What the gap of such an edge is spent on.
    pub fn gap_is(self) -> What {
        match self {
            Self::ProgramOrder => What::Unattributed,
            Self::Launch => What::LaunchLatency,
            Self::StreamOrder | Self::StreamWait => What::StreamGap,
            Self::Sync => What::SyncLatency,
            Self::Collective => What::Comm,
            Self::HandOff => What::HandOff,
            Self::Thread => What::ThreadHandOver,
            Self::Start => What::Outside,
        }
    }
}

/// Whose nodes a lane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneOf {
    /// A host thread, an index into the tracks of the store.
    Thread(usize),
    /// A stream of a device.
    Stream(Option<u32>, Option<u32>),
    /// The meetings of collectives, on no input's own time.
    Meetings,
}

/// A range of nodes in time order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Index of the input among those of the graph; 0 for meetings.
    pub input: usize,
    /// Whose nodes these are.
    pub of: LaneOf,
    /// The nodes.
    pub nodes: Range<u32>,
}

impl Lane {
    /// Whether it is a thread or stream of an input of the graph.
    pub fn is_of(&self, input: usize) -> bool {
        self.input == input && self.of != LaneOf::Meetings
    }
}

/// The nodes by column. Times are those of the common time line.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    /// Start in nanoseconds.
    pub start: Vec<i64>,
    /// End in nanoseconds; of a wait, when it could have ended at the earliest.
    pub end: Vec<i64>,
    /// The innermost event that the time is of; [`NONE`] where none is.
    pub slice: Vec<u32>,
    /// The innermost operator around it, or around its launch; [`NONE`] where none is.
    pub op: Vec<u32>,
    /// What the time is spent on.
    pub what: Vec<What>,
    /// Whether the node follows the one before it in its lane without a gap.
    pub follows: Vec<bool>,
}

/// A node before it is in the columns.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Start in nanoseconds.
    pub start: i64,
    /// End in nanoseconds.
    pub end: i64,
    /// See [`Nodes::slice`].
    pub slice: u32,
    /// See [`Nodes::op`].
    pub op: u32,
    /// See [`Nodes::what`].
    pub what: What,
    /// See [`Nodes::follows`].
    pub follows: bool,
}

impl Nodes {
    /// Number of nodes.
    pub fn count(&self) -> usize {
        self.start.len()
    }

    /// Adds a node and gives its number.
    pub fn push(&mut self, node: Node) -> u32 {
        self.start.push(node.start);
        self.end.push(node.end);
        self.slice.push(node.slice);
        self.op.push(node.op);
        self.what.push(node.what);
        self.follows.push(node.follows);
        (self.start.len() - 1) as u32
    }
}

/// Edges by column, in the order in which a replay needs them: by successor, in the order of [`Graph::order`].
#[derive(Clone, Debug, Default)]
pub struct Edges {
    /// Predecessor.
    pub from: Vec<u32>,
    /// Successor.
    pub to: Vec<u32>,
    /// What lies between the predecessor's time and the successor's start at least, in nanoseconds.
    pub gap: Vec<i64>,
    /// Why.
    pub kind: Vec<EdgeKind>,
    /// Whether the predecessor's start counts, not its end.
    pub from_start: Vec<bool>,
}

/// An edge before it is in the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Predecessor.
    pub from: u32,
    /// Successor.
    pub to: u32,
    /// Least time between, in nanoseconds.
    pub gap: i64,
    /// Why.
    pub kind: EdgeKind,
    /// Whether the predecessor's start counts.
    pub from_start: bool,
}

impl Edges {
    /// Number of edges.
    pub fn count(&self) -> usize {
        self.from.len()
    }

    /// One edge.
    pub fn get(&self, edge: usize) -> Edge {
        Edge {
            from: self.from[edge],
            to: self.to[edge],
            gap: self.gap[edge],
            kind: self.kind[edge],
            from_start: self.from_start[edge],
        }
    }

    fn push(&mut self, edge: Edge) {
        self.from.push(edge.from);
        self.to.push(edge.to);
        self.gap.push(edge.gap);
        self.kind.push(edge.kind);
        self.from_start.push(edge.from_start);
    }
}

/// What was found odd while the graph was made: what the answers rest on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Edges left out because the successor began before its predecessor's time.
    pub n_dropped: u64,
    /// Activities that begin shortly before the end of the one before them on their stream.
    pub n_overlaps: u64,
    /// Device activities whose launch was not recorded.
    pub n_unlaunched: u64,
    /// Waits for other processes whose writer was not recorded.
    pub n_unmatched_waits: u64,
    /// Waits for other processes whose writer is known.
    pub n_matched_waits: u64,
    /// Waits for other processes of which the logs say from where what ended them came.
    pub n_logged_waits: u64,
    /// Waits of streams that were paired by the order of calls, as the trace does not say which event they are for.
    pub n_guessed_stream_waits: u64,
    /// Synchronizing calls whose stream the trace does not say.
    pub n_guessed_syncs: u64,
    /// Communication kernels that no other input shows: waiting for other ranks is in their time.
    pub n_unmatched_comm: u64,
    /// Inputs without a place on the common time line.
    pub n_unplaced_inputs: u64,
}

/// One causal graph of all inputs of a run.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The lanes; their nodes are numbered one lane after the other.
    pub lanes: Vec<Lane>,
    /// The nodes.
    pub nodes: Nodes,
    /// The edges that no lane's order says.
    pub edges: Edges,
    /// All nodes, so that a predecessor comes before its successors.
    pub order: Vec<u32>,
    /// When the first window begins, on the common time line.
    pub start_ns: i64,
    /// When the last window, or the last node, ends.
    pub end_ns: i64,
    /// What was odd.
    pub doubts: Doubts,
}

impl Graph {
    /// The lane of a node.
    pub fn lane_of(&self, node: u32) -> usize {
        self.lanes.partition_point(|lane| lane.nodes.end <= node)
    }

    /// When a predecessor counts, as recorded.
    pub fn time_of(&self, edge: Edge) -> i64 {
        let times = if edge.from_start { &self.nodes.start } else { &self.nodes.end };
        times[edge.from as usize]
    }

    /// The last node of a lane that starts no later than an instant.
    pub fn node_at(&self, lane: usize, t_ns: i64) -> Option<u32> {
        let nodes = &self.lanes[lane].nodes;
        let starts = &self.nodes.start[nodes.start as usize..nodes.end as usize];
        let after = starts.partition_point(|&start| start <= t_ns);
        Some(nodes.start + after.checked_sub(1)? as u32)
    }

    /// Puts nodes in the order of replay and the edges with them, so that an unchanged replay gives what was recorded.
    ///
    /// The gap of an edge comes as the least that its kind takes. Edges whose successor began before their
    /// predecessor's time are left out and counted. Of the others the one that binds gets what was recorded.
    pub(super) fn finish(&mut self, mut edges: Vec<Edge>) {
        let rank = self.put_in_order();
        let n_before = edges.len();
        let goes_on = |edge: &Edge| {
            self.time_of(*edge) + edge.gap.min(0) <= self.nodes.start[edge.to as usize]
                && rank[edge.from as usize] < rank[edge.to as usize]
        };
        edges.retain(goes_on);
        self.doubts.n_dropped += (n_before - edges.len()) as u64;
        edges.sort_by_key(|edge| rank[edge.to as usize]);
        for into in edges.chunk_by_mut(|a, b| a.to == b.to) {
            self.bind(into);
        }
        let mut columns = Edges::default();
        edges.into_iter().for_each(|edge| columns.push(edge));
        self.edges = columns;
    }

    /// Sorts the nodes by start; the place of each node.
    fn put_in_order(&mut self) -> Vec<u32> {
        let nodes = &self.nodes;
        let mut order: Vec<u32> = (0..nodes.count() as u32).collect();
        let key = |&node: &u32| {
            let i = node as usize;
            (nodes.start[i], nodes.what[i].is_on_device(), nodes.end[i], node)
        };
        order.sort_unstable_by_key(key);
        let mut rank = vec![0_u32; order.len()];
        for (at, &node) in order.iter().enumerate() {
            rank[node as usize] = at as u32;
        }
        self.order = order;
        rank
    }

    /// Gives the edges into one node the gaps with which it begins as recorded; a wait that something ended could have
    /// ended as soon as it began, but for what the call itself takes.
    fn bind(&mut self, into: &mut [Edge]) {
        let to = into[0].to as usize;
        let start = self.nodes.start[to];
        let mut best = 0;
        for i in 0..into.len() {
            let time = self.time_of(into[i]);
            into[i].gap = into[i].gap.min(start - time);
            let reach = |at: usize| {
                let time = self.time_of(into[at]);
                (time + into[at].gap, time)
            };
            if reach(i) > reach(best) {
                best = i;
            }
        }
        let time = self.time_of(into[best]);
        if self.nodes.follows[to] {
            let before = to - 1;
            let began = self.nodes.start[before];
            if time <= began {
                return;
            }
            let is_call = matches!(into[best].kind, EdgeKind::Sync | EdgeKind::HandOff);
            let own = if is_call { start - time } else { 0 };
            self.nodes.end[before] = (began + own).min(start);
        }
        into[best].gap = start - time;
    }
}
