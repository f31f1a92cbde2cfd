//! Torch's own floating-point times of the rows, for reproducing the digits that torch prints.
//!
//! Torch holds times as microseconds in doubles, relative to the start of the profile, and adds them up in the order of
//! its events. An average of 8.8925 µs over integers is printed as 8.892 or 8.893 depending on that noise, and rows that
//! tie in nanoseconds are sorted by it. So this follows torch's arithmetic step by step; it is used for nothing but the
//! text of `render::torch_table`. It is also a second, plain implementation of nesting and folding (torch's own loops
//! over explicit parents), which the tests hold against the one-pass tree.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::links::Links;
use super::origins::Origins;
use super::rows::{Class, First, Groups, Names};
use super::threads::Threads;
use super::tree::is_async_name;
use super::{KeyAverages, KeyAveragesConfig};
use crate::analyze::nesting::{NO_PARENT, NestStack};
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// Times of a row in torch's floating-point microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TorchTimes {
    /// `self_cpu_time_total`
    pub self_cpu_us: f64,
    /// `cpu_time_total`
    pub cpu_total_us: f64,
    /// `self_device_time_total`
    pub self_device_us: f64,
    /// `device_time_total`
    pub device_total_us: f64,
}

/// Python's `sum` over floats, which compensates rounding since 3.12 (Neumaier's algorithm).
#[derive(Clone, Copy, Debug, Default)]
struct PythonSum {
    sum: f64,
    lost: f64,
}

impl PythonSum {
    fn add(&mut self, value: f64) {
        let total = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - total) + value
        } else {
            (value - total) + self.sum
        };
        self.sum = total;
    }

    fn value(self) -> f64 {
        self.sum + self.lost
    }
}

type RowKey = (StrId, Class, u32);

/// An event of the table.
struct Event {
    first: First,
    slice: u32,
    thread: u32,
    key: RowKey,
    is_async: bool,
    /// Index of the parent among the events, after folding.
    parent: u32,
    n_children: u32,
    is_folded: bool,
    cpu_us: f64,
    /// Of kernels that a host event launched itself.
    kernels_us: f64,
    children_us: PythonSum,
    device_total_us: f64,
    children_device_us: f64,
}

/// The times of the rows of [`super::key_averages`] with the same configuration, in the order of the rows.
pub fn torch_times(
    store: &Store,
    config: &KeyAveragesConfig,
    averages: &KeyAverages,
) -> Vec<TorchTimes> {
    let names = Names::new(store);
    let groups = Groups::new(store, config);
    let origins = Origins::new(store);
    let threads = Threads::new(store, &origins);
    let links = Links::new(store, &threads, averages.torch_compat);
    let clock = Clock { start_ns: profile_start_ns(store), origins: &origins };
    let mut events = Vec::new();
    for thread in &threads.all {
        let slices = threads.slices_of(store, thread).filter(|&slice| {
            averages.python_rows || store.kind(slice) != EventKind::PythonFunction
        });
        for slice in slices {
            events.extend(clock.event(store, &names, &groups, slice, thread.track));
        }
    }
    events.sort_by_key(|event| event.first);
    add_kernels(&mut events, store, &origins, &links);
    nest(&mut events, store, threads.all.len());
    fold(&mut events);
    sum_children(&mut events);
    row_times(&events, averages)
}

/// Torch's clock: microseconds since the profile began.
struct Clock<'a> {
    start_ns: i64,
    origins: &'a Origins,
}

impl Clock<'_> {
    fn us(&self, ns: i64) -> f64 {
        ns.saturating_sub(self.start_ns) as f64 / 1_000.0
    }

    fn event(
        &self,
        store: &Store,
        names: &Names,
        groups: &Groups,
        slice: usize,
        thread: usize,
    ) -> Option<Event> {
        let kind = store.kind(slice);
        let class = Class::of(kind)?;
        let name = names.shown(store.slices.name[slice])?;
        let interval = self.origins.interval(store, slice);
        let on_device = matches!(class, Class::Device | Class::DeviceAnnotation);
        let us = self.us(interval.1) - self.us(interval.0);
        Some(Event {
            first: First::of(store, self.origins, slice),
            slice: slice as u32,
            thread: thread as u32,
            key: (name, class, if on_device { 0 } else { groups.of(store, slice) }),
            is_async: kind == EventKind::UserAnnotation && is_async_name(store.strings.get(name)),
            parent: NO_PARENT,
            n_children: 0,
            is_folded: false,
            cpu_us: if on_device { 0.0 } else { us },
            kernels_us: 0.0,
            children_us: PythonSum::default(),
            device_total_us: if on_device { us } else { 0.0 },
            children_device_us: 0.0,
        })
    }
}

/// Start of the profile: that of its `Trace` span.
fn profile_start_ns(store: &Store) -> i64 {
    let window = store.all_of(|kind| kind == EventKind::Window).next();
    let first = store.slices.ts_ns.iter().copied().min().unwrap_or(0);
    window.map_or(first, |slice| store.slices.ts_ns[slice])
}

fn is_on_device(event: &Event) -> bool {
    matches!(event.key.1, Class::Device | Class::DeviceAnnotation)
}

/// Gives each host event the durations of its kernels, added in torch's order.
fn add_kernels(events: &mut [Event], store: &Store, origins: &Origins, links: &Links<'_>) {
    let mut kernels: HashMap<u64, PythonSum, FixedState> = HashMap::default();
    for event in events.iter().filter(|event| is_on_device(event)) {
        if let Some(id) = origins.linked_op(store, event.slice as usize) {
            kernels.entry(id).or_default().add(event.device_total_us);
        }
    }
    for event in events.iter_mut().filter(|event| !is_on_device(event) && !event.is_async) {
        let id = links.operator_id(store, event.slice as usize);
        let own = id.and_then(|id| kernels.get(&id));
        event.kernels_us = own.map_or(0.0, |sum| sum.value());
    }
}

fn nest(events: &mut [Event], store: &Store, n_threads: usize) {
    let mut stacks = vec![NestStack::default(); n_threads];
    for index in 0..events.len() {
        let event = &events[index];
        if is_on_device(event) || event.is_async {
            continue;
        }
        let slice = event.slice as usize;
        let (start_ns, end_ns) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
        let stack = &mut stacks[event.thread as usize];
        if let Some(parent) = stack.enter(index as u32, start_ns, end_ns, |_| ()) {
            events[index].parent = parent;
            events[parent as usize].n_children += 1;
        }
    }
}

/// `_remove_dup_nodes`: parents come before their children, so one pass is torch's fixpoint.
fn fold(events: &mut [Event]) {
    for index in 0..events.len() {
        if events[index].parent == NO_PARENT {
            continue;
        }
        let mut parent = events[index].parent as usize;
        if events[parent].is_folded {
            parent = events[parent].parent as usize;
            events[index].parent = parent as u32;
        }
        if events[parent].key.0 == events[index].key.0 && events[parent].n_children == 1 {
            events[parent].n_children = events[index].n_children;
            events[parent].kernels_us = events[index].kernels_us;
            events[index].is_folded = true;
        }
    }
}

/// Sums the children of each event, in their order.
fn sum_children(events: &mut [Event]) {
    let mut first_child = vec![0_u32; events.len() + 1];
    let is_child = |event: &Event| !event.is_folded && event.parent != NO_PARENT;
    for event in events.iter().filter(|event| is_child(event)) {
        first_child[event.parent as usize + 1] += 1;
    }
    for parent in 0..events.len() {
        first_child[parent + 1] += first_child[parent];
    }
    let mut next = first_child.clone();
    let mut children = vec![0_u32; first_child[events.len()] as usize];
    for index in 0..events.len() {
        if is_child(&events[index]) {
            let (parent, cpu_us) = (events[index].parent as usize, events[index].cpu_us);
            events[parent].children_us.add(cpu_us);
            children[next[parent] as usize] = index as u32;
            next[parent] += 1;
        }
    }
    // Children come after their parents, so backwards every child is done before its parent.
    for index in (0..events.len()).rev() {
        if is_on_device(&events[index]) {
            continue;
        }
        let mut sum = PythonSum::default();
        for &child in &children[first_child[index] as usize..first_child[index + 1] as usize] {
            sum.add(events[child as usize].device_total_us);
        }
        events[index].children_device_us = sum.value();
        events[index].device_total_us = events[index].kernels_us + sum.value();
    }
}

/// Adds the events up to rows in torch's order.
fn row_times(events: &[Event], averages: &KeyAverages) -> Vec<TorchTimes> {
    let mut rows: HashMap<RowKey, usize, FixedState> = HashMap::default();
    let is_timed =
        |&row: &usize| !["[memory]", "[OutOfMemory]"].contains(&averages.rows[row].name.as_str());
    // A row's place is that of its first event, so rows are met in their order.
    let mut places = (0..averages.rows.len()).filter(is_timed);
    let mut times = vec![TorchTimes::default(); averages.rows.len()];
    for event in events.iter().filter(|event| !event.is_folded) {
        let place = *rows.entry(event.key).or_insert_with(|| places.next().unwrap_or(0));
        let Some(row) = times.get_mut(place) else { continue };
        row.cpu_total_us += event.cpu_us;
        if event.is_async {
            continue;
        }
        row.self_cpu_us += event.cpu_us - event.children_us.value();
        row.device_total_us += event.device_total_us;
        row.self_device_us += event.device_total_us - event.children_device_us;
    }
    times
}
