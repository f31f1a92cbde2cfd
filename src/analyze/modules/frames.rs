//! The `nn.Module` frames of one input: which modules there are, and which calls they hold.

use std::collections::{BTreeMap, BTreeSet};

use super::backward::{Forward, Nodes, has_backward};
use crate::analyze::base::TimeBase;
use crate::analyze::nesting::{NestStack, Open, Visitor, walk};
use crate::model::{EventKind, MODULE_FRAME};
use crate::store::{OpRow, Store, StrId};

/// One module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Module {
    /// Itself and those around it, outermost first: `Llama_0/Layer_3/Linear_9`.
    pub path: String,
    /// Number of the layer that it is or is inside of.
    pub layer: Option<u64>,
    /// Length of the layer's path within its own.
    layer_len: usize,
    /// Frames.
    pub calls: u64,
    /// Sum of the frames.
    pub host_ns: i64,
}

impl Module {
    /// The path of the layer that it is or is inside of.
    pub(super) fn layer_path(&self) -> Option<&str> {
        self.layer.and(self.path.get(..self.layer_len))
    }
}

/// The modules of one input.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    /// All modules, by number.
    pub modules: Vec<Module>,
    /// (call, number of its module, whether by its backward), by call.
    pub modules_of_calls: Vec<(u32, u32, bool)>,
    /// Of each captured graph its launches in order, each with its module.
    pub captures: Vec<Vec<Option<u32>>>,
}

impl Frames {
    /// The innermost module around a call, or whose backward makes it.
    pub(super) fn module_of(&self, call: u32) -> Option<u32> {
        Some(self.of_call(call)?.1)
    }

    /// Whether what a call belongs to is known by its backward.
    pub(super) fn is_backward(&self, call: u32) -> bool {
        self.of_call(call).is_some_and(|found| found.2)
    }

    fn of_call(&self, call: u32) -> Option<(u32, u32, bool)> {
        let at = self.modules_of_calls.binary_search_by_key(&call, |&(call, ..)| call).ok()?;
        Some(self.modules_of_calls[at])
    }
}

/// A call of the runtime.
#[derive(Clone, Copy, Debug)]
struct Call {
    slice: u32,
    /// The innermost module around it, or whose backward makes it.
    module: Option<u32>,
    /// The innermost backward operator around it, where no module is between the two.
    backward: Option<u32>,
}

impl Call {
    /// With the module of its backward, where that is known.
    fn resolved(self, store: &Store, nodes: &Nodes) -> Self {
        match self.backward.and_then(|slice| nodes.module_of(store, slice)) {
            Some(module) => Self { module: Some(module), ..self },
            None => Self { backward: None, ..self },
        }
    }
}

/// Reads the frames of the host threads; nothing where no module has a frame.
pub(super) fn frames(store: &Store, base: &TimeBase) -> Frames {
    let is_module: Vec<bool> =
        store.strings.iter().map(|(_, name)| name.starts_with(MODULE_FRAME)).collect();
    if !is_module.contains(&true) {
        return Frames::default();
    }
    let mut walker = Walker {
        store,
        is_module,
        numbers: BTreeMap::new(),
        modules: Vec::new(),
        calls: Vec::new(),
        forward: Vec::new(),
        inside: Vec::new(),
        next_op: 0,
        track: 0,
    };
    let mut stack = NestStack::default();
    let has_backward = has_backward(store);
    let mut of_threads = Vec::new();
    for thread in &base.threads {
        let slices = store.tracks[thread.track].slices.clone();
        let select = |kind: EventKind| {
            kind == EventKind::PythonFunction
                || kind.is_api_call()
                || has_backward && kind == EventKind::CpuOp
        };
        walker.track = thread.track as u32;
        walker.next_op = store.ops.partition_point(|row| (row.slice as usize) < slices.start);
        walk(store, slices, &mut stack, select, &mut walker);
        of_threads.push(std::mem::take(&mut walker.calls));
    }
    let Walker { mut modules, forward, .. } = walker;
    number_layers(&mut modules);
    let nodes = Nodes::of(store, forward);
    for call in of_threads.iter_mut().flatten() {
        *call = call.resolved(store, &nodes);
    }
    let captures = of_threads.iter().flat_map(|calls| captured(store, calls)).collect();
    let calls = of_threads.into_iter().flatten();
    let mut modules_of_calls: Vec<(u32, u32, bool)> = calls
        .filter_map(|call| Some((call.slice, call.module?, call.backward.is_some())))
        .collect();
    modules_of_calls.sort_unstable();
    Frames { modules, modules_of_calls, captures }
}

/// The launches between the begin and the end of each capture, with their modules.
fn captured(store: &Store, calls: &[Call]) -> Vec<Vec<Option<u32>>> {
    let mut all = Vec::new();
    let mut open: Option<Vec<Option<u32>>> = None;
    for &Call { slice, module, .. } in calls {
        let name = store.strings.get(store.slices.name[slice as usize]);
        if name.contains("StreamBeginCapture") {
            open = Some(Vec::new());
        } else if name.contains("StreamEndCapture") {
            all.extend(open.take().filter(|launches| !launches.is_empty()));
        } else if is_kernel_launch(name)
            && let Some(launches) = &mut open
        {
            launches.push(module);
        }
    }
    all
}

/// Whether a call launches one kernel: `cudaLaunchKernel`, `cuLaunchKernelEx`, `hipModuleLaunchKernel`, ….
fn is_kernel_launch(name: &str) -> bool {
    name.contains("LaunchKernel") || name.contains("LaunchCooperativeKernel")
}

/// Walks threads and collects modules and calls.
struct Walker<'a> {
    store: &'a Store,
    /// By text, whether it names the frame of a module.
    is_module: Vec<bool>,
    /// Module by (module around it, name).
    numbers: BTreeMap<(Option<u32>, StrId), u32>,
    modules: Vec<Module>,
    /// Calls in order.
    calls: Vec<Call>,
    /// Forward operators of autograd nodes.
    forward: Vec<Forward>,
    /// What is inside each open slice, outermost first.
    inside: Vec<Inside>,
    /// The first row of an operator that the walk has not come to.
    next_op: usize,
    /// The track that is walked.
    track: u32,
}

/// What something belongs to that an open slice is around.
#[derive(Clone, Copy, Debug, Default)]
struct Inside {
    /// The number of the innermost module that is open.
    module: Option<u32>,
    /// The innermost backward operator inside it.
    backward: Option<u32>,
}

impl Walker<'_> {
    /// The row of an operator that comes after those asked for before.
    fn op_row(&mut self, slice: u32) -> Option<&OpRow> {
        let rows = &self.store.ops[self.next_op..];
        self.next_op += rows.iter().take_while(|row| row.slice < slice).count();
        self.store.ops.get(self.next_op).filter(|row| row.slice == slice)
    }

    /// Notes an operator that may have made an autograd node. Gives what is inside it.
    fn operator(&mut self, slice: u32, around: Inside) -> Inside {
        let forward_thread = self.op_row(slice).and_then(|row| row.forward_thread);
        let Some(thread) = forward_thread else { return around };
        let Some(sequence) = self.store.sequence_number(slice as usize) else { return around };
        match thread {
            0 => {
                let (track, ts_ns) = (self.track, self.store.slices.ts_ns[slice as usize]);
                self.forward.push(Forward { track, ts_ns, sequence, module: around.module });
                around
            }
            _ => Inside { backward: Some(slice), ..around },
        }
    }

    /// Notes a frame of a module. Gives what is inside it, as inside other frames.
    fn frame(&mut self, slice: usize, around: Inside) -> Inside {
        let name = self.store.slices.name[slice];
        if !self.is_module[name.0 as usize] {
            return around;
        }
        let number = self.number(around.module, name);
        let module = &mut self.modules[number as usize];
        module.calls += 1;
        module.host_ns += self.store.slices.dur_ns(slice);
        Inside { module: Some(number), backward: None }
    }

    fn number(&mut self, around: Option<u32>, name: StrId) -> u32 {
        let next = self.modules.len() as u32;
        let number = *self.numbers.entry((around, name)).or_insert(next);
        if number == next {
            let own = self.store.strings.get(name).trim_start_matches(MODULE_FRAME);
            let path = match around {
                Some(around) => format!("{}/{own}", self.modules[around as usize].path),
                None => own.to_owned(),
            };
            self.modules.push(Module { path, ..Module::default() });
        }
        number
    }
}

impl Visitor for Walker<'_> {
    fn enter(&mut self, slice: usize, above: &[Open]) {
        self.inside.truncate(above.len());
        let around = self.inside.last().copied().unwrap_or_default();
        let inside = match self.store.kind(slice) {
            kind if kind.is_api_call() => {
                let Inside { module, backward } = around;
                self.calls.push(Call { slice: slice as u32, module, backward });
                around
            }
            EventKind::CpuOp => self.operator(slice as u32, around),
            _ => self.frame(slice, around),
        };
        self.inside.push(inside);
    }
}

/// Class of `Layer_3`: what stands before its number.
fn class(own: &str) -> &str {
    own.rsplit_once('_').map_or(own, |(class, _)| class)
}

/// Gives layers their numbers: the outermost modules of which one module holds several of a class, in order of their
/// first frame.
fn number_layers(modules: &mut [Module]) {
    let mut siblings: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for module in modules.iter() {
        if let Some((around, own)) = module.path.rsplit_once('/')
            && seen.insert(&module.path)
        {
            let all = siblings.entry((around.to_owned(), class(own).to_owned())).or_default();
            all.push(module.path.clone());
        }
    }
    for module in modules {
        let cuts = module.path.match_indices('/').map(|(at, _)| at).skip(1);
        let ends: Vec<usize> = cuts.chain([module.path.len()]).collect();
        for end in ends {
            let path = &module.path[..end];
            let Some((around, own)) = path.rsplit_once('/') else { continue };
            let key = (around.to_owned(), class(own).to_owned());
            let all = siblings.get(&key).map_or(&[][..], Vec::as_slice);
            if all.len() > 1 {
                module.layer = all.iter().position(|one| one == path).map(|at| at as u64);
                module.layer_len = end;
                break;
            }
        }
    }
}
