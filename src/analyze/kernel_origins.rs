//! Where device activity of a name comes from: the operators around its launches, its streams, and how often an iteration
//! launches it.
//!
//! The operator is the innermost one around the launching call. A launch belongs to an iteration as in
//! [`super::iterations`]; of the schemes of an input the one with the most iterations counts, the first of equals.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::base::TimeBase;
use super::iterations::{Iterations, Launched, launched_activities};
use super::kernels::ActivityKind;
use super::launches::Launches;
use super::nesting::{NestStack, Open, Visitor, nests, walk};
use crate::model::EventKind;
use crate::schema::carried;
use crate::store::{Store, StrId};

/// How often an operator launched something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorCount {
    /// The operator; `None` for launches outside of any, and where no launch is recorded.
    pub operator: Option<String>,
    /// How often.
    pub count: u64,
}

/// Where the device activity of one kind and name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelOrigin {
    /// Kineto's category of the kind.
    pub category: &'static str,
    /// Its name.
    pub name: String,
    /// The operators, ascending, none first.
    pub operators: Vec<OperatorCount>,
    /// The streams that the trace names, ascending.
    pub streams: Vec<u32>,
    /// Launches inside iterations.
    pub in_iterations: u64,
    /// Iterations that launch it at least once.
    pub iterations: u64,
}

carried! { OperatorCount { operator: Option<String>, count: u64, } }
carried! {
    KernelOrigin {
        category: &'static str,
        name: String,
        operators: Vec<OperatorCount>,
        streams: Vec<u32>,
        in_iterations: u64,
        iterations: u64,
    }
}

impl KernelOrigin {
    /// The operator of the most launches, the first of equals; `None` where most are in none.
    pub fn operator(&self) -> Option<&str> {
        let most = self.operators.iter().rev().max_by_key(|one| one.count)?;
        most.operator.as_deref()
    }

    /// The streams as words, `7, 20`; `None` where the trace names none.
    pub fn stream_words(&self) -> Option<String> {
        let words: Vec<String> = self.streams.iter().map(u32::to_string).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// Launches in an iteration that launches it, in the mean; `None` where no iteration does.
    pub fn per_iteration(&self) -> Option<f64> {
        (self.iterations > 0).then(|| self.in_iterations as f64 / self.iterations as f64)
    }

    fn add(&mut self, other: Self) {
        let mut operators: BTreeMap<Option<String>, u64> = BTreeMap::new();
        for one in std::mem::take(&mut self.operators).into_iter().chain(other.operators) {
            *operators.entry(one.operator).or_default() += one.count;
        }
        let counts = operators.into_iter();
        self.operators =
            counts.map(|(operator, count)| OperatorCount { operator, count }).collect();
        let streams: BTreeSet<u32> = self.streams.drain(..).chain(other.streams).collect();
        self.streams = streams.into_iter().collect();
        self.in_iterations += other.in_iterations;
        self.iterations += other.iterations;
    }
}

/// Origins by category and name.
pub type Origins = BTreeMap<(&'static str, String), KernelOrigin>;

/// The origins of several inputs as one.
pub fn merge_origins(parts: impl IntoIterator<Item = KernelOrigin>) -> Origins {
    let mut all = Origins::new();
    for part in parts {
        match all.entry((part.category, part.name.clone())) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut().add(part),
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(part);
            }
        }
    }
    all
}

/// One activity of a device, for sorting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct One {
    kind: ActivityKind,
    name: StrId,
    operator: Option<StrId>,
    stream: Option<u32>,
    iteration: Option<u32>,
}

/// Where the activity of each kind and name of an input comes from.
pub fn kernel_origins(
    store: &Store,
    base: &TimeBase,
    found: &Iterations,
    operators: &CallOperators,
) -> Vec<KernelOrigin> {
    let steps = steps(store, base, found);
    let rows = base.devices.iter().flat_map(|device| &device.slices);
    let one = |row: &super::devices::ActivityRow| {
        let slice = row.slice as usize;
        let call = base.launches.call_of(store, slice);
        Some(One {
            kind: ActivityKind::of(store.kind(slice))?,
            name: store.slices.name[slice],
            operator: call.and_then(|call| operators.of_call(call)),
            stream: row.stream,
            iteration: steps.get(&row.slice).copied(),
        })
    };
    let mut all: Vec<One> = rows.filter_map(one).collect();
    all.sort_unstable();
    let groups = all.chunk_by(|a, b| (a.kind, a.name) == (b.kind, b.name));
    groups.map(|group| origin(store, group)).collect()
}

/// The origin of what has one kind and name.
fn origin(store: &Store, group: &[One]) -> KernelOrigin {
    let text = |id: StrId| store.strings.get(id).to_owned();
    let mut operators: BTreeMap<Option<String>, u64> = BTreeMap::new();
    for same in group.chunk_by(|a, b| a.operator == b.operator) {
        *operators.entry(same[0].operator.map(text)).or_default() += same.len() as u64;
    }
    let counts = operators.into_iter();
    let streams: BTreeSet<u32> = group.iter().filter_map(|one| one.stream).collect();
    let iterations: BTreeSet<u32> = group.iter().filter_map(|one| one.iteration).collect();
    KernelOrigin {
        category: group[0].kind.as_str(),
        name: text(group[0].name),
        operators: counts.map(|(operator, count)| OperatorCount { operator, count }).collect(),
        streams: streams.into_iter().collect(),
        in_iterations: group.iter().filter(|one| one.iteration.is_some()).count() as u64,
        iterations: iterations.len() as u64,
    }
}

/// The innermost operator around each call that started something: its name by the call's slice, ascending.
#[derive(Clone, Debug, Default)]
pub struct CallOperators(Vec<(u32, StrId)>);

impl CallOperators {
    /// Goes through all slices of the host.
    pub fn of(store: &Store, launches: &Launches) -> Self {
        let mut around = Around { store, launches, operators: Vec::new() };
        if launches.has_activity() {
            let mut stack = NestStack::default();
            for track in &store.tracks {
                walk(store, track.slices.clone(), &mut stack, nests, &mut around);
            }
        }
        Self(around.operators)
    }

    fn of_call(&self, call: usize) -> Option<StrId> {
        let at = self.0.binary_search_by_key(&call, |&(slice, _)| slice as usize).ok()?;
        Some(self.0[at].1)
    }
}

struct Around<'a> {
    store: &'a Store,
    launches: &'a Launches,
    operators: Vec<(u32, StrId)>,
}

impl Visitor for Around<'_> {
    fn enter(&mut self, slice: usize, above: &[Open]) {
        let store = self.store;
        let is_launch = || self.launches.activities_of(store, slice).next().is_some();
        if store.kind(slice).is_api_call() && is_launch() {
            let mut outwards = above.iter().rev().map(|open| open.slice as usize);
            let operator = outwards.find(|&one| store.kind(one) == EventKind::CpuOp);
            self.operators.extend(operator.map(|one| (slice as u32, store.slices.name[one])));
        }
    }
}

/// The iteration of each activity that one launched, by slice; of the scheme that counts.
fn steps(store: &Store, base: &TimeBase, found: &Iterations) -> HashMap<u32, u32> {
    let mut counts = BTreeMap::new();
    found.rows.iter().for_each(|row| *counts.entry(row.scheme).or_insert(0_usize) += 1);
    let most = counts.into_iter().rev().max_by_key(|&(_, n)| n).map(|(scheme, _)| scheme);
    let mut by_track: BTreeMap<usize, Vec<(i64, i64, u32)>> = BTreeMap::new();
    for (number, row) in (0..).zip(&found.rows).filter(|(_, row)| Some(row.scheme) == most) {
        by_track.entry(row.track).or_default().push((row.start_ns, row.span().end_ns, number));
    }
    let launched = launched_activities(store, base, by_track.keys().copied()).into_iter();
    let step = |(track, (at_ns, _, _, slice)): (usize, Launched)| {
        let steps = &by_track[&track];
        let after = steps.partition_point(|&(start_ns, ..)| start_ns <= at_ns);
        let &(_, end_ns, number) = steps.get(after.checked_sub(1)?)?;
        (at_ns < end_ns).then_some((slice, number))
    };
    launched.filter_map(step).collect()
}
