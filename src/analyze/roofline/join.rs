//! Which operator call a kernel belongs to, and what the call costs by its model.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::RooflineConfig;
use super::models::{Cost, OpModel, OpModels};
use super::serving::has_sums;
use super::shapes::inputs;
use super::transfers::{Group, collective};
use crate::analyze::base::TimeBase;
use crate::analyze::iterations::{IterationRow, Iterations};
use crate::analyze::nesting::{NestStack, Open, Visitor, walk};
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// A call of an operator, or a kernel that no operator launched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Call {
    /// Device of its kernels.
    pub device: Option<u32>,
    /// Name of the operator.
    pub name: Option<StrId>,
    /// Index into [`Store::shapes`].
    pub shapes: Option<u32>,
    /// Of a collective that its kernel's arguments tell.
    pub group: Option<Group>,
    /// Whether a kernel's name says that factors have 19 bits.
    pub is_tf32: bool,
    /// Length on the host.
    pub host_ns: i64,
    /// Sum of its kernels.
    pub device_ns: i64,
    /// What it costs; `None` without a model or without shapes.
    pub cost: Option<Cost>,
    /// The word of the model.
    pub model: Option<&'static str>,
    /// When it began on the host; of a kernel without a launch, on the device.
    pub at_ns: i64,
}

/// The operators with a model, each with what it costs.
struct Costs<'a> {
    store: &'a Store,
    models: &'a OpModels,
    iterations: &'a Iterations,
    index: IterationIndex,
    /// Whether an annotation says what attention serves.
    has_sums: bool,
    of_names: BTreeMap<StrId, Option<&'a OpModel>>,
    /// By name, inputs, and the iteration where the cost follows from it.
    costs: BTreeMap<(StrId, u32, Option<usize>), Option<Cost>>,
}

impl<'a> Costs<'a> {
    fn new(store: &'a Store, models: &'a OpModels, iterations: &'a Iterations) -> Self {
        Self {
            store,
            models,
            iterations,
            index: IterationIndex::new(iterations),
            has_sums: iterations.rows.iter().any(|row| has_sums(&row.batch)),
            of_names: BTreeMap::new(),
            costs: BTreeMap::new(),
        }
    }

    fn model(&mut self, name: StrId) -> Option<&'a OpModel> {
        let (store, models, has_sums) = (self.store, self.models, self.has_sums);
        let find = || models.find(store.strings.get(name));
        let known = |model: &&OpModel| has_sums || !model.is_of_batch();
        *self.of_names.entry(name).or_insert_with(|| find().filter(known))
    }

    fn cost(&mut self, model: &OpModel, name: StrId, shapes: u32, at_ns: i64) -> Option<Cost> {
        let (store, rows) = (self.store, &self.iterations.rows);
        let iteration = model.is_of_batch().then(|| self.index.at(at_ns)).flatten();
        let batch = iteration.map(|row| &rows[row].batch);
        let cost = || model.cost(&inputs(store, &store.shapes[shapes as usize]), batch);
        *self.costs.entry((name, shapes, iteration)).or_insert_with(cost)
    }

    /// A call of an operator, without its kernels.
    fn call(&mut self, slice: u32) -> Call {
        let store = self.store;
        let name = store.slices.name[slice as usize];
        let row = store.ops.binary_search_by_key(&slice, |row| row.slice).ok();
        let shapes = row.and_then(|at| store.ops[at].shapes);
        let model = self.model(name);
        let at_ns = store.slices.ts_ns[slice as usize];
        let cost = model.zip(shapes).and_then(|(m, shapes)| self.cost(m, name, shapes, at_ns));
        Call {
            name: Some(name),
            shapes,
            host_ns: store.slices.dur_ns(slice as usize),
            cost,
            model: model.map(OpModel::name),
            at_ns,
            ..Call::default()
        }
    }
}

/// The calls with a model, and those that launched kernels. Collectives, and kernels without an operator, are calls of
/// their own.
pub(super) fn calls(
    store: &Store,
    base: &TimeBase,
    config: &RooflineConfig,
    iterations: &Iterations,
) -> Vec<Call> {
    let mut costs = Costs::new(store, &config.models, iterations);
    let (modelled, owners, inside) = (Vec::new(), Vec::new(), Vec::new());
    let mut found = Owners { store, costs: &mut costs, modelled, owners, inside };
    let mut stack = NestStack::default();
    for thread in &base.threads {
        let slices = store.tracks[thread.track].slices.clone();
        let select = |kind: EventKind| kind == EventKind::CpuOp || kind.is_api_call();
        walk(store, slices, &mut stack, select, &mut found);
    }
    let Owners { modelled, mut owners, .. } = found;
    owners.sort_unstable();
    let window = base.windows.file;
    let is_inside = |slice: u32| {
        let at_ns = store.slices.ts_ns[slice as usize];
        window.start_ns <= at_ns && at_ns < window.end_ns
    };
    let of_ops = modelled.into_iter().filter(|&op| is_inside(op));
    let mut calls: BTreeMap<u32, Call> = of_ops.map(|op| (op, costs.call(op))).collect();
    let mut alone = Vec::new();
    for device in &base.devices {
        for one in &device.slices {
            if !one.kind.is_kernel() {
                continue;
            }
            let launch = base.launches.call_of(store, one.slice as usize).map(|call| call as u32);
            let owner = launch.and_then(|call| {
                owners.binary_search_by_key(&call, |&(call, _)| call).ok().map(|at| owners[at].1)
            });
            let begin = launch.unwrap_or(one.slice) as usize;
            let at_ns = store.slices.ts_ns[begin];
            if let Some(call) = collective(store, config.peaks, device.device, one) {
                alone.push(Call { at_ns, ..call });
                continue;
            }
            let name = store.strings.get(store.slices.name[one.slice as usize]);
            let kernel = Call {
                device: device.device,
                is_tf32: name.contains("tf32"),
                device_ns: one.span.len_ns(),
                at_ns,
                ..Call::default()
            };
            match owner {
                Some(op) => calls.entry(op).or_insert_with(|| costs.call(op)).add(&kernel),
                None => alone.push(kernel),
            }
        }
    }
    calls.into_values().chain(alone).collect()
}

impl Call {
    fn add(&mut self, kernel: &Self) {
        self.device = self.device.or(kernel.device);
        self.is_tf32 |= kernel.is_tf32;
        self.device_ns += kernel.device_ns;
    }
}

/// Finds the operator that owns each call of the runtime.
struct Owners<'a, 'b> {
    store: &'a Store,
    costs: &'a mut Costs<'b>,
    /// Operators with a model and none around them.
    modelled: Vec<u32>,
    /// (call of the runtime, operator).
    owners: Vec<(u32, u32)>,
    /// What is around what is inside each open slice, outermost first.
    inside: Vec<Inside>,
}

/// The operators around something.
#[derive(Clone, Copy, Default)]
struct Inside {
    /// The outermost with a model.
    modelled: Option<u32>,
    innermost: Option<u32>,
}

impl Visitor for Owners<'_, '_> {
    fn enter(&mut self, slice: usize, above: &[Open]) {
        self.inside.truncate(above.len());
        let mut around = self.inside.last().copied().unwrap_or_default();
        let (own, name) = (slice as u32, self.store.slices.name[slice]);
        if self.store.kind(slice) != EventKind::CpuOp {
            let owner = around.modelled.or(around.innermost);
            self.owners.extend(owner.map(|operator| (own, operator)));
        } else {
            if around.modelled.is_none() && self.costs.model(name).is_some() {
                self.modelled.push(own);
                around.modelled = Some(own);
            }
            around.innermost = Some(own);
        }
        self.inside.push(around);
    }
}

/// The iteration that a time lies in, of those that say what attention serves: the last that began before it and had not
/// ended, which of iterations inside each other is the innermost. By position in the rows.
pub(super) struct IterationIndex {
    /// (begin, end, number of the row, the latest end up to it), by begin.
    spans: Vec<(i64, i64, usize, i64)>,
}

impl IterationIndex {
    /// Of the iterations of one input.
    pub(super) fn new(iterations: &Iterations) -> Self {
        let rows = iterations.rows.iter().enumerate();
        let span = |(i, row): (usize, &IterationRow)| {
            let end_ns = row.span().end_ns;
            (row.start_ns, end_ns, i, end_ns)
        };
        let mut spans: Vec<_> = rows.filter(|(_, row)| has_sums(&row.batch)).map(span).collect();
        // Of those that begin together the longest is around the others.
        spans.sort_unstable_by_key(|&(begin_ns, end_ns, i, _)| (begin_ns, Reverse(end_ns), i));
        for at in 1..spans.len() {
            spans[at].3 = spans[at].3.max(spans[at - 1].3);
        }
        Self { spans }
    }

    /// The row of the iteration that a time lies in.
    pub(super) fn at(&self, at_ns: i64) -> Option<usize> {
        let before = self.spans.partition_point(|&(begin_ns, ..)| begin_ns <= at_ns);
        let begun = self.spans[..before].iter().rev();
        let mut open = begun.take_while(|&&(.., latest_ns)| at_ns < latest_ns);
        open.find(|&&(_, end_ns, ..)| at_ns < end_ns).map(|&(_, _, row, _)| row)
    }
}
