//! Where device activity of a name comes from: the operators around its launches, its streams, and how often an iteration
//! launches it.
//!
//! The operator is the innermost one around the launching call. A launch belongs to an iteration as in
//! [`super::iterations`]; of the schemes of an input the one with the most iterations counts, the first of equals.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rayon::prelude::*;

use super::base::TimeBase;
use super::iterations::{Iterations, Launched, launched_activities};
use super::kernels::ActivityKind;
use super::launches::Launches;
use super::nesting::nests;
use crate::model::EventKind;
use crate::schema::carried;
use crate::store::{Store, StrId, Track};

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
    // In the order of the activity, too.
    let mut steps = steps(store, base, found).into_iter().peekable();
    let rows = base.devices.iter().flat_map(|device| &device.slices);
    let one = |row: &super::devices::ActivityRow| {
        let iteration = steps.next_if(|step| step.0 == row.slice).map(|step| step.1);
        let slice = row.slice as usize;
        let call = base.launches.call_of(store, slice);
        Some(One {
            kind: ActivityKind::of(store.kind(slice))?,
            name: store.slices.name[slice],
            operator: call.and_then(|call| operators.of_call(call)),
            stream: row.stream,
            iteration,
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
    /// Goes through all slices of the host once.
    pub fn of(store: &Store, launches: &Launches) -> Self {
        let tracks = if launches.has_activity() { &store.tracks[..] } else { &[] };
        let of_track = |track: &Track| Around::of(store).operators(track.slices.clone(), launches);
        Self(tracks.par_iter().flat_map_iter(of_track).collect())
    }

    fn of_call(&self, call: usize) -> Option<StrId> {
        let at = self.0.binary_search_by_key(&call, |&(slice, _)| slice as usize).ok()?;
        Some(self.0[at].1)
    }
}

/// Looks for the operators around calls. What is around a slice is what a walk over its track would have open there
/// ([`super::nesting`]): of what begins before it, what neither it nor anything between the two ends after. So from one call to the
/// next it is enough to go backwards once, with the latest end so far.
struct Around<'a> {
    store: &'a Store,
    /// By category.
    nests: Vec<bool>,
    is_operator: Vec<bool>,
    /// The operators around the last call, outermost first.
    open: Vec<usize>,
}

impl<'a> Around<'a> {
    fn of(store: &'a Store) -> Self {
        let kinds = || store.categories.iter().map(|&(_, kind)| kind);
        let is_operator = kinds().map(|kind| kind == EventKind::CpuOp).collect();
        Self { store, nests: kinds().map(nests).collect(), is_operator, open: Vec::new() }
    }

    /// Of the calls of a track that started something, those in an operator, with its name.
    fn operators(mut self, slices: Range<usize>, launches: &Launches) -> Vec<(u32, StrId)> {
        let store = self.store;
        let is_launch = |&call: &usize| launches.activities_of(store, call).next().is_some();
        let mut found = Vec::new();
        let mut from = slices.start;
        for call in store.slices_of(slices, EventKind::is_api_call).filter(is_launch) {
            self.go_on(from, call);
            let operator = self.open.last().map(|&operator| store.slices.name[operator]);
            found.extend(operator.map(|operator| (call as u32, operator)));
            from = call;
        }
        found
    }

    /// Goes on from a slice to a later one.
    fn go_on(&mut self, from: usize, to: usize) {
        let slices = &self.store.slices;
        let (start_ns, mut latest_ns) = (slices.ts_ns[to], slices.end_ns(to));
        let n_before = self.open.len();
        for slice in (from..to).rev() {
            let category = self.store.category_number(slice);
            if !self.nests[category] {
                continue;
            }
            let end_ns = slices.end_ns(slice);
            if self.is_operator[category] && end_ns >= latest_ns && end_ns > start_ns {
                self.open.push(slice);
            }
            latest_ns = latest_ns.max(end_ns);
        }
        // Those between the two were found from the inside.
        self.open[n_before..].reverse();
        let is_open = |operator: usize| {
            let end_ns = slices.end_ns(operator);
            end_ns >= latest_ns && end_ns > start_ns
        };
        let n_open = self.open[..n_before].partition_point(|&operator| is_open(operator));
        self.open.drain(n_open..n_before);
    }
}

/// The slice of each activity that an iteration of the scheme that counts launched, and that iteration, in the order of the activity.
fn steps(store: &Store, base: &TimeBase, found: &Iterations) -> Vec<(u32, u32)> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Around;
    use crate::analyze::nesting::{NestStack, nests};
    use crate::diag::Reporter;
    use crate::model::EventKind;
    use crate::store::{ChunkBuilder, SliceRow, Store, TraceMeta, TrackId};

    const CATEGORIES: [&str; 4] = ["cpu_op", "python_function", "cuda_runtime", "user_annotation"];

    fn store(slices: &[(usize, i64, i64)]) -> Store {
        let mut builder = ChunkBuilder::default();
        for &(category, ts_ns, dur_ns) in slices {
            let row = SliceRow {
                ts_ns,
                dur_ns,
                name: builder.string("n"),
                category: builder.string(CATEGORIES[category]),
                track: builder.track(TrackId::Int(1), TrackId::Int(0)),
                id_a: None,
                id_b: None,
            };
            builder.slice(row);
        }
        Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
    }

    proptest! {
        /// The operators around slices are those that a walk has open there, whatever crosses and wherever one stops.
        #[test]
        fn operators_around_are_those_of_a_walk(
            slices in prop::collection::vec((0..4_usize, 0..40_i64, 0..20_i64), 1..40),
            stops in prop::collection::vec(any::<bool>(), 40),
        ) {
            let store = store(&slices);
            let mut stack = NestStack::default();
            let mut around = Around::of(&store);
            let mut from = 0;
            for (slice, is_stop) in (0..store.slices.len()).zip(stops) {
                prop_assert!(nests(store.kind(slice)));
                let (start_ns, end_ns) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
                stack.enter(slice as u32, start_ns, end_ns, |_| ());
                if !is_stop {
                    continue;
                }
                around.go_on(from, slice);
                from = slice;
                let above = &stack.open()[..stack.open().len() - 1];
                let expected: Vec<usize> = above
                    .iter()
                    .map(|open| open.slice as usize)
                    .filter(|&one| store.kind(one) == EventKind::CpuOp)
                    .collect();
                prop_assert_eq!(&around.open, &expected);
            }
        }
    }
}
