//! The graph played again, as recorded or with changes.

use super::graph::{EdgeKind, Graph, NONE};

/// The binding that stands for the node before in the lane.
pub const BY_LANE: u32 = u32::MAX - 1;
/// The binding that stands for nothing: the node begins when it was recorded to.
pub const BY_NOTHING: u32 = u32::MAX;

/// Where device activity runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On its stream.
    #[default]
    Own,
    /// Beside its stream: it begins after what comes before it there, and nothing there waits for it.
    Beside,
    /// On another stream, with all others that are: it waits for nothing of its own stream, nor does that for it.
    Apart,
}

/// What becomes of the nodes with one code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Its time takes this many times as long.
    pub scale: f64,
    /// And so much longer.
    pub added_ns: i64,
    /// Whether it still occupies its stream.
    pub place: Place,
    /// It does not happen.
    pub is_dropped: bool,
    /// It waits for nothing.
    pub waits_for_nothing: bool,
}

impl Effect {
    /// No change.
    pub const NONE: Self = Self {
        scale: 1.0,
        added_ns: 0,
        place: Place::Own,
        is_dropped: false,
        waits_for_nothing: false,
    };

    /// Its time costs nothing.
    pub const FREE: Self = Self { scale: 0.0, ..Self::NONE };

    fn apply(&self, ns: i64) -> i64 {
        let scaled = if self.scale == 1.0 { ns } else { (ns as f64 * self.scale).round() as i64 };
        scaled.saturating_add(self.added_ns)
    }

    /// Both changes together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            scale: self.scale * other.scale,
            added_ns: self.added_ns + other.added_ns,
            place: self.place.max(other.place),
            is_dropped: self.is_dropped || other.is_dropped,
            waits_for_nothing: self.waits_for_nothing || other.waits_for_nothing,
        }
    }
}

/// What is changed: one code a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// Index into `effects`, by node; empty where nothing is changed.
    pub code: Vec<u8>,
    /// The effects; the first one is none.
    pub effects: Vec<Effect>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { code: Vec::new(), effects: vec![Effect::NONE] }
    }
}

impl Changes {
    /// No change yet, with room for one on every node of a graph.
    pub fn of(graph: &Graph) -> Self {
        Self { code: vec![0; graph.nodes.count()], ..Self::default() }
    }

    /// The effect on a node.
    pub fn effect(&self, node: u32) -> &Effect {
        let code = self.code.get(node as usize).copied().unwrap_or(0);
        &self.effects[usize::from(code)]
    }

    /// Adds an effect to a node. More than 255 different ones leave the node with what it has.
    pub fn add(&mut self, node: u32, effect: Effect) {
        let wanted = self.effect(node).and(effect);
        let known = self.effects.iter().position(|known| *known == wanted);
        let at = known.unwrap_or_else(|| {
            self.effects.push(wanted);
            self.effects.len() - 1
        });
        if let Ok(code) = u8::try_from(at) {
            self.code[node as usize] = code;
        }
    }
}

/// The times of all nodes in a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Start by node.
    pub start: Vec<i64>,
    /// End by node.
    pub end: Vec<i64>,
    /// What the start of each node waited for last: an edge, [`BY_LANE`] or [`BY_NOTHING`].
    pub binding: Vec<u32>,
}

impl Replay {
    /// Plays the graph. Linear in nodes and edges.
    pub fn of(graph: &Graph, changes: &Changes) -> Self {
        let n = graph.nodes.count();
        let mut replay = Self { start: vec![0; n], end: vec![0; n], binding: vec![BY_NOTHING; n] };
        let is_any_aside = changes.effects.iter().any(|effect| effect.place != Place::Own);
        let aside = vec![i64::MIN; if is_any_aside { n } else { 0 }];
        let free = vec![i64::MIN; n];
        let mut player = Player { graph, changes, free, aside, replay: &mut replay };
        let mut next = 0;
        for &node in &graph.order {
            let first = next;
            while next < graph.edges.count() && graph.edges.to[next] == node {
                next += 1;
            }
            player.play(node, first..next);
        }
        replay
    }

    /// When the last node ends.
    pub fn last_ns(&self) -> Option<i64> {
        self.end.iter().copied().max()
    }

    /// When an instant of a lane is in this replay. Inside a node, and while something is waited for, time goes on
    /// evenly; after the last node it goes on as recorded.
    pub fn time_at(&self, graph: &Graph, lane: usize, t_ns: i64) -> Option<i64> {
        let node = graph.node_at(lane, t_ns)?;
        let i = node as usize;
        let (start, end) = (graph.nodes.start[i], graph.nodes.end[i]);
        if t_ns <= end {
            return Some(
                self.start[i] + stretched(t_ns - start, end - start, self.end[i] - self.start[i]),
            );
        }
        if node + 1 >= graph.lanes[lane].nodes.end {
            return Some(self.end[i] + t_ns - end);
        }
        let (then, now) = (graph.nodes.start[i + 1] - end, self.start[i + 1] - self.end[i]);
        Some(self.end[i] + stretched(t_ns - end, then, now))
    }
}

/// A part of a time that took `was` and takes `is`.
fn stretched(part: i64, was: i64, is: i64) -> i64 {
    if was == 0 || was == is {
        return part;
    }
    i64::try_from(i128::from(part) * i128::from(is) / i128::from(was)).unwrap_or(is)
}

/// A replay under way.
struct Player<'a> {
    graph: &'a Graph,
    changes: &'a Changes,
    /// When the stream is free for what comes after a node.
    free: Vec<i64>,
    /// When all that runs beside or apart from it has ended; empty where nothing does.
    aside: Vec<i64>,
    replay: &'a mut Replay,
}

/// What is known of a node before it begins.
#[derive(Clone, Copy)]
struct Begin {
    start: i64,
    binding: u32,
    /// When its stream, and what is aside of it, were free before it.
    free: i64,
    aside: i64,
}

impl Player<'_> {
    fn play(&mut self, node: u32, into: std::ops::Range<usize>) {
        let nodes = &self.graph.nodes;
        let i = node as usize;
        let effect = *self.changes.effect(node);
        let mut begin = self.begin(i, into, &effect);
        let is_gone = effect.is_dropped && nodes.what[i].is_on_device();
        if is_gone && begin.free > i64::MIN {
            begin.start = begin.free;
        }
        let own = effect.apply(nodes.end[i] - nodes.start[i]).max(0);
        let end = begin.start + if effect.is_dropped { 0 } else { own };
        self.replay.start[i] = begin.start;
        self.replay.end[i] = end;
        self.replay.binding[i] = begin.binding;
        let is_aside = effect.place != Place::Own;
        self.free[i] = if effect.is_dropped || is_aside { begin.free } else { end };
        if let Some(aside) = self.aside.get_mut(i) {
            *aside = if is_aside && !effect.is_dropped { end } else { begin.aside };
        }
    }

    /// When a node can begin, and what it waits for last.
    fn begin(&self, i: usize, into: std::ops::Range<usize>, effect: &Effect) -> Begin {
        let nodes = &self.graph.nodes;
        let mut begin =
            Begin { start: i64::MIN, binding: BY_NOTHING, free: i64::MIN, aside: i64::MIN };
        if nodes.follows[i] {
            (begin.start, begin.binding) = (self.replay.end[i - 1], BY_LANE);
        }
        for edge in into {
            let from = self.graph.edges.from[edge] as usize;
            if self.is_next_on_stream(edge, i) {
                begin.free = begin.free.max(self.free[from]);
                begin.aside = begin.aside.max(self.aside.get(from).copied().unwrap_or(i64::MIN));
            }
            let Some(at) = self.reach(edge, effect) else { continue };
            if at > begin.start {
                (begin.start, begin.binding) = (at, edge as u32);
            }
        }
        if begin.binding == BY_NOTHING {
            begin.start = nodes.start[i];
        }
        begin
    }

    /// Whether an edge leads from what comes before on the stream: from the activity before, or from the begin of the
    /// same one.
    fn is_next_on_stream(&self, edge: usize, to: usize) -> bool {
        let from = self.graph.edges.from[edge] as usize;
        match self.graph.edges.kind[edge] {
            EdgeKind::StreamOrder => true,
            EdgeKind::Collective => self.graph.nodes.slice[from] == self.graph.nodes.slice[to],
            _ => false,
        }
    }

    /// When an edge lets its successor begin; `None` where it holds nothing up.
    fn reach(&self, edge: usize, effect: &Effect) -> Option<i64> {
        let edges = &self.graph.edges;
        let from = edges.from[edge] as usize;
        let times = if edges.from_start[edge] { &self.replay.start } else { &self.replay.end };
        let time = times[from];
        let gap = edges.gap[edge];
        match edges.kind[edge] {
            EdgeKind::Sync if effect.waits_for_nothing => None,
            EdgeKind::Sync => {
                let aside = self.aside.get(from).copied().unwrap_or(i64::MIN);
                Some(time.max(self.free[from]).max(aside) + gap)
            }
            EdgeKind::StreamOrder if gap < 0 => {
                Some((self.stream_free(from, effect)? + gap).max(self.replay.start[from]))
            }
            EdgeKind::StreamOrder => Some(self.stream_free(from, effect)? + gap),
            EdgeKind::Launch => {
                let nodes = &self.graph.nodes;
                let was = nodes.end[from] - nodes.start[from];
                let is = self.replay.end[from] - self.replay.start[from];
                Some(time + (gap - (was - is).max(0)).max(0))
            }
            // A meeting that does not happen is waited for by nobody.
            EdgeKind::Collective if effect.is_dropped && self.graph.nodes.slice[from] == NONE => {
                None
            }
            EdgeKind::Collective | EdgeKind::HandOff => Some(time + effect.apply(gap).max(0)),
            _ => Some(time + gap),
        }
    }

    /// When what an activity waits for on its stream is over; `None` for nothing.
    fn stream_free(&self, from: usize, effect: &Effect) -> Option<i64> {
        let aside = self.aside.get(from).copied().unwrap_or(i64::MIN);
        let until = match effect.place {
            Place::Own => self.free[from],
            Place::Beside => self.free[from].max(aside),
            Place::Apart => aside,
        };
        (until > i64::MIN).then_some(until)
    }
}
