//! What can be changed, and which nodes it changes.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::glob::is_match;
use super::graph::{EdgeKind, LaneOf, NONE, What};
use super::host::PAUSE_NS;
use super::replay::{Changes, Effect, Place};
use super::subject::Subject;
use crate::analyze::intervals::{Intervals, Span};
use crate::analyze::iteration_names::Phase;
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// What a pattern of names is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Kernels by name.
    Kernel,
    /// Copies and memsets by name.
    Copy,
    /// Operators and annotations by name: the host's time in them.
    Op,
    /// Runtime and driver calls by name.
    Call,
    /// A class of time.
    Class,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// What is of a name takes so many times as long.
    Scale(Named, String, f64),
    /// A class of time costs nothing.
    Free(What),
    /// Calls of a name cost nothing and wait for nothing.
    FreeCall(String),
    /// Device activity of a class or name does not hold up what comes after it on its stream.
    Overlap(Option<What>, String),
    /// Operators, annotations or Python frames do not happen, nor what they launch.
    DropOp(String),
    /// Kernels do not happen.
    DropKernel(String),
    /// Copies do not happen.
    DropCopy(String),
    /// The host side of iterations of a phase is one launch; `None`: of all.
    CudaGraph(Option<String>),
    /// A stage costs nothing: the index of the input.
    Stage(usize),
    /// What is of a stage takes so many times as long.
    ScaleStage(u32, f64),
    /// Kernels of a name cost nothing; the name as it stands.
    FreeKernel(String),
    /// The host's own time in operators of a name costs nothing; the name as it stands.
    FreeOperator(String),
}

impl Change {
    /// Where it has device activity run.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Overlap(Some(_), _) => Place::Beside,
            Self::Overlap(None, _) => Place::Apart,
            _ => Place::Own,
        }
    }

    /// Whether it is about a class of time, and so about no name.
    pub fn is_of_class(&self) -> bool {
        matches!(self, Self::Free(_) | Self::Overlap(Some(_), _))
    }
}

/// A change with the words that asked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// As it was typed.
    pub text: String,
    /// What it is.
    pub change: Change,
}

/// What a launch of a graph takes where the trace shows none.
pub const GRAPH_LAUNCH_NS: i64 = 10_000;

/// `--scale KIND:GLOB=FACTOR`.
pub fn parse_scale(text: &str) -> Result<Change, String> {
    let wrong = || format!("`{text}` is not KIND:GLOB=FACTOR");
    let (of, factor) = text.rsplit_once('=').ok_or_else(wrong)?;
    let (kind, glob) = of.split_once(':').ok_or_else(wrong)?;
    let factor = f64::from_str(factor).ok().filter(|f| f.is_finite() && *f >= 0.0);
    let factor = factor.ok_or_else(|| format!("`{text}`: the factor is no number from 0 on"))?;
    let named = match kind {
        "kernel" => Named::Kernel,
        "copy" => Named::Copy,
        "op" => Named::Op,
        "call" => Named::Call,
        "class" => Named::Class,
        "stage" => {
            let stage =
                glob.parse().map_err(|_| format!("`{text}`: `{glob}` is no number of a stage"))?;
            return Ok(Change::ScaleStage(stage, factor));
        }
        _ => return Err(format!("`{kind}` is not one of kernel, copy, op, call, class, stage")),
    };
    if named == Named::Class && What::of_node(glob).is_none() {
        return Err(format!("`{glob}` is no class; {}", class_names()));
    }
    Ok(Change::Scale(named, glob.to_owned(), factor))
}

/// `--free CLASS|call:GLOB`: a class by name, or by the short names that people use; or calls.
pub fn parse_free(text: &str) -> Result<Change, String> {
    if let Some(glob) = text.strip_prefix("call:") {
        return Ok(Change::FreeCall(glob.to_owned()));
    }
    let short = match text {
        "ipc" => Some(What::IpcWait),
        "sync" => Some(What::GpuSync),
        "copies" => Some(What::Copy),
        _ => None,
    };
    let what = short.or_else(|| What::of_node(text));
    what.map(Change::Free).ok_or_else(|| format!("`{text}` is no class; {}", class_names()))
}

fn class_names() -> String {
    let names: Vec<&str> = What::OF_NODES.iter().map(|what| what.as_str()).collect();
    format!("it is one of ipc, sync, copies, {}", names.join(", "))
}

/// `--cuda-graph PHASE|all`.
pub fn parse_cuda_graph(text: &str) -> Result<Change, String> {
    const PHASES: [Phase; 4] = [Phase::Prefill, Phase::Decode, Phase::Mixed, Phase::Unknown];
    match text {
        "all" => Ok(Change::CudaGraph(None)),
        _ if PHASES.iter().any(|phase| phase.as_str() == text) => {
            Ok(Change::CudaGraph(Some(text.to_owned())))
        }
        _ => {
            let names: Vec<&str> = PHASES.iter().map(|phase| phase.as_str()).collect();
            Err(format!("`{text}` is no phase; it is one of {}, all", names.join(", ")))
        }
    }
}

/// `--overlap copies|comm|kernel:GLOB`.
pub fn parse_overlap(text: &str) -> Result<Change, String> {
    match (text, text.strip_prefix("kernel:")) {
        ("copies", _) => Ok(Change::Overlap(Some(What::Copy), String::new())),
        ("comm", _) => Ok(Change::Overlap(Some(What::Comm), String::new())),
        (_, Some(glob)) => Ok(Change::Overlap(None, glob.to_owned())),
        _ => Err(format!("`{text}` is not one of copies, comm, kernel:GLOB")),
    }
}

impl Subject<'_> {
    /// The nodes that some changes change, and how.
    pub fn changes(&self, wanted: &[Change]) -> Changes {
        let mut changes = Changes::of(self.graph);
        for change in wanted {
            self.apply(change, &mut changes);
        }
        changes
    }

    fn apply(&self, change: &Change, to: &mut Changes) {
        let free = Effect { waits_for_nothing: true, ..Effect::FREE };
        let dropped = Effect { is_dropped: true, waits_for_nothing: true, ..Effect::FREE };
        match change {
            Change::Scale(named, glob, factor) => self.scale(to, *named, glob, *factor),
            Change::Free(what) => {
                self.each(to, free, |_, node| self.graph.nodes.what[node] == *what);
            }
            Change::FreeCall(glob) => {
                self.by_name(to, free, glob, |_, kind| kind.is_api_call());
            }
            Change::Overlap(what, glob) => {
                let effect = Effect { place: change.place(), ..Effect::NONE };
                let is_kernel = |_: What, kind: EventKind| kind == EventKind::Kernel;
                match what {
                    Some(what) => self.each(to, effect, |_, i| self.graph.nodes.what[i] == *what),
                    None => self.by_name(to, effect, glob, is_kernel),
                }
            }
            Change::DropOp(glob) => self.drop_nodes(to, &self.with_pauses(self.in_ops(glob))),
            Change::DropKernel(glob) => {
                self.by_name(to, dropped, glob, |_, kind| kind == EventKind::Kernel);
                self.drop_launches(to);
            }
            Change::DropCopy(glob) => {
                self.by_name(to, dropped, glob, |what, _| what == What::Copy);
                self.drop_launches(to);
            }
            Change::CudaGraph(phase) => self.cuda_graph(to, phase.as_deref()),
            Change::Stage(input) => self.each(to, free, |lane, _| lane.is_of(*input)),
            Change::ScaleStage(stage, factor) => {
                let effect = Effect { scale: *factor, ..Effect::NONE };
                self.each(to, effect, |lane, _| {
                    lane.of != LaneOf::Meetings && self.inputs[lane.input].stage == Some(*stage)
                });
            }
            Change::FreeKernel(name) => {
                let ids = self.ids(name);
                self.each(to, Effect::FREE, |lane, node| {
                    self.graph.nodes.what[node].is_on_device()
                        && self.is_id(lane, self.graph.nodes.slice[node], &ids)
                });
            }
            Change::FreeOperator(name) => {
                let ids = self.ids(name);
                self.each(to, free, |lane, node| {
                    !self.graph.nodes.what[node].is_on_device()
                        && self.is_id(lane, self.graph.nodes.op[node], &ids)
                });
            }
        }
    }

    /// Work of a name takes so many times as long.
    fn scale(&self, to: &mut Changes, named: Named, glob: &str, factor: f64) {
        let effect = Effect { scale: factor, ..Effect::NONE };
        match named {
            Named::Class => {
                let what = What::of_node(glob);
                self.each(to, effect, |_, node| Some(self.graph.nodes.what[node]) == what);
            }
            Named::Op => self.in_ops(glob).into_iter().for_each(|node| to.add(node, effect)),
            Named::Kernel => {
                self.by_name(to, effect, glob, |_, kind| kind == EventKind::Kernel);
            }
            Named::Copy => self.by_name(to, effect, glob, |what, _| what == What::Copy),
            Named::Call => self.by_name(to, effect, glob, |_, kind| kind.is_api_call()),
        }
    }

    /// Adds an effect to each node that passes.
    fn each(
        &self,
        to: &mut Changes,
        effect: Effect,
        passes: impl Fn(&super::graph::Lane, usize) -> bool,
    ) {
        for lane in &self.graph.lanes {
            for node in lane.nodes.clone().filter(|&node| passes(lane, node as usize)) {
                to.add(node, effect);
            }
        }
    }

    /// Adds an effect to each node whose own event is of a pattern and a kind.
    fn by_name(
        &self,
        to: &mut Changes,
        effect: Effect,
        glob: &str,
        is_kind: impl Fn(What, EventKind) -> bool,
    ) {
        let is_named = self.named(glob);
        let nodes = &self.graph.nodes;
        self.each(to, effect, |lane, node| {
            let slice = nodes.slice[node];
            if slice == NONE {
                return false;
            }
            let store = self.inputs[lane.input].store;
            let name = store.slices.name[slice as usize].0 as usize;
            is_named[lane.input][name] && is_kind(nodes.what[node], store.kind(slice as usize))
        });
    }

    /// The number of a string in each input.
    fn ids(&self, name: &str) -> Vec<Option<StrId>> {
        self.inputs.iter().map(|input| input.store.strings.find(name)).collect()
    }

    /// Whether a slice has the name with these numbers.
    fn is_id(&self, lane: &super::graph::Lane, slice: u32, ids: &[Option<StrId>]) -> bool {
        if slice == NONE || lane.of == LaneOf::Meetings {
            return false;
        }
        let name = self.inputs[lane.input].store.slices.name[slice as usize];
        ids[lane.input] == Some(name)
    }

    /// Which strings of each input are of a pattern.
    fn named(&self, glob: &str) -> Vec<Vec<bool>> {
        let of =
            |store: &Store| store.strings.iter().map(|(_, name)| is_match(glob, name)).collect();
        self.inputs.iter().map(|input| of(input.store)).collect()
    }

    /// The nodes of host threads inside operators, annotations or Python frames of a pattern.
    fn in_ops(&self, glob: &str) -> Vec<u32> {
        let is_named = self.named(glob);
        let mut found = Vec::new();
        for lane in &self.graph.lanes {
            let LaneOf::Thread(track) = lane.of else { continue };
            let (input, is_named) = (&self.inputs[lane.input], &is_named[lane.input]);
            let mut inside = Intervals::default();
            for slice in input.store.tracks[track].slices.clone() {
                let is_kind = matches!(
                    input.store.kind(slice),
                    EventKind::CpuOp | EventKind::UserAnnotation | EventKind::PythonFunction
                );
                if is_kind && is_named[input.store.slices.name[slice].0 as usize] {
                    inside.push(Span::new(
                        input.store.slices.ts_ns[slice].saturating_add(input.offset_ns),
                        input.store.slices.end_ns(slice).saturating_add(input.offset_ns),
                    ));
                }
            }
            found.extend(self.within(lane.nodes.clone(), &inside));
        }
        found
    }

    /// The nodes of a lane that lie inside a set of time. An instant on an edge belongs to the wait before it.
    fn within(&self, lane: std::ops::Range<u32>, inside: &Intervals) -> Vec<u32> {
        let nodes = &self.graph.nodes;
        let spans = inside.spans();
        let mut found = Vec::new();
        for node in lane {
            let i = node as usize;
            let before = spans.partition_point(|span| span.start_ns <= nodes.start[i]);
            let is_inside =
                before.checked_sub(1).is_some_and(|at| nodes.start[i] < spans[at].end_ns);
            let is_end = nodes.follows[i] && nodes.start[i] == nodes.end[i];
            if if is_end { found.last() == Some(&(node - 1)) } else { is_inside } {
                found.push(node);
            }
        }
        found
    }

    /// The nodes of a lane that begin in a span or with its end. They stand in the order of their begins.
    fn beginning_in(&self, lane: std::ops::Range<u32>, span: Span) -> std::ops::Range<u32> {
        let begins = &self.graph.nodes.start[lane.start as usize..lane.end as usize];
        let first = begins.partition_point(|&start| start < span.start_ns) as u32;
        let behind = begins.partition_point(|&start| start <= span.end_ns) as u32;
        lane.start + first..lane.start + behind
    }

    /// Nodes of operators, and the pauses before them: what comes between two operators and no event explains is what
    /// calling the second takes, and the profiler's own time for it.
    fn with_pauses(&self, inside: Vec<u32>) -> Vec<u32> {
        let nodes = &self.graph.nodes;
        let is_pause = |node: u32| {
            let i = node as usize;
            let ns = nodes.start[i + 1] - nodes.start[i];
            nodes.what[i] == What::Unattributed
                && nodes.follows[i + 1]
                && (1..PAUSE_NS).contains(&ns)
        };
        let mut all = Vec::with_capacity(inside.len());
        for node in inside {
            let before = node.checked_sub(1).filter(|before| all.last() != Some(before));
            all.extend(before.filter(|&before| is_pause(before)));
            all.push(node);
        }
        all
    }

    /// Drops nodes of host threads, and what they launched.
    fn drop_nodes(&self, to: &mut Changes, nodes: &[u32]) {
        let effect = Effect { waits_for_nothing: true, ..Effect::FREE };
        let mut is_dropped = vec![false; self.graph.nodes.count()];
        for &node in nodes {
            is_dropped[node as usize] = true;
            to.add(node, effect);
        }
        let dropped = Effect { is_dropped: true, waits_for_nothing: true, ..Effect::FREE };
        let edges = &self.graph.edges;
        for edge in (0..edges.count()).filter(|&edge| edges.kind[edge] == EdgeKind::Launch) {
            if is_dropped[edges.from[edge] as usize] {
                self.of_activity(edges.to[edge]).for_each(|node| to.add(node, dropped));
            }
        }
    }

    /// The nodes of the activity that begins with a node.
    fn of_activity(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        let nodes = &self.graph.nodes;
        let is_same = move |&node: &u32| {
            nodes.slice.get(node as usize) == Some(&nodes.slice[first as usize])
                && nodes.what[node as usize].is_on_device()
        };
        std::iter::once(first).chain(std::iter::once(first + 1).filter(is_same))
    }

    /// Launch calls all of whose work is dropped cost nothing.
    fn drop_launches(&self, to: &mut Changes) {
        let edges = &self.graph.edges;
        let mut calls: BTreeMap<u32, bool> = BTreeMap::new();
        for edge in (0..edges.count()).filter(|&edge| edges.kind[edge] == EdgeKind::Launch) {
            let is_dropped = to.effect(edges.to[edge]).is_dropped;
            let all = calls.entry(edges.from[edge]).or_insert(true);
            *all &= is_dropped;
        }
        for (call, _) in calls.into_iter().filter(|&(_, is_dropped)| is_dropped) {
            to.add(call, Effect { waits_for_nothing: true, ..Effect::FREE });
        }
    }

    /// Replaces the host side of iterations, up to their last launch, by one launch.
    fn cuda_graph(&self, to: &mut Changes, phase: Option<&str>) {
        let cost = Effect { added_ns: self.graph_launch_ns(), ..Effect::FREE };
        let nodes = &self.graph.nodes;
        for lane in &self.graph.lanes {
            let LaneOf::Thread(track) = lane.of else { continue };
            let offset = self.inputs[lane.input].offset_ns;
            let own = self.inputs[lane.input].iterations.iter().filter(|one| one.track == track);
            for one in own.filter(|one| phase.is_none_or(|phase| one.phase.as_str() == phase)) {
                let start = one.start_ns.saturating_add(offset);
                let span = Span::new(start, start + one.cpu_ns);
                let some = self.beginning_in(lane.nodes.clone(), span);
                let mut inside = self.within(some, &Intervals::union_of(vec![span]));
                let is_launch = |&node: &u32| nodes.what[node as usize] == What::Launch;
                let Some(last) = inside.iter().rposition(is_launch) else { continue };
                inside.truncate(last + 1);
                let first = inside.iter().copied().find(|node| is_launch(node));
                for node in inside {
                    let is_first = Some(node) == first;
                    to.add(node, if is_first { cost } else { Effect::FREE });
                }
            }
        }
    }

    /// What a launch of a graph takes: the median of those recorded.
    pub fn graph_launch_ns(&self) -> i64 {
        let mut recorded = Vec::new();
        for lane in &self.graph.lanes {
            let store = self.inputs.get(lane.input).map(|input| input.store);
            for node in lane.nodes.clone() {
                let slice = self.graph.nodes.slice[node as usize];
                if let Some(store) = store
                    && self.graph.nodes.what[node as usize] == What::Launch
                    && slice != NONE
                    && store.name(slice as usize).contains("GraphLaunch")
                {
                    recorded.push(store.slices.dur_ns(slice as usize));
                }
            }
        }
        if recorded.is_empty() { GRAPH_LAUNCH_NS } else { super::device::median(&mut recorded) }
    }
}
