//! The account of the lead thread: what it executed and what it waited in, at every instant of a unit.
//!
//! The class of an instant is that of the thread's timeline. Execution is named by the innermost event, waiting by the rule
//! of the wait, and time that no event explains by the innermost annotation. Operators that only give out memory or describe
//! it are no work of their own: their time is that of the operator that calls them.

use std::collections::BTreeMap;

use super::Side;
use super::account::Ledger;
use super::layers::Tops;
use crate::analyze::host::HostThread;
use crate::analyze::iteration_names::parse_iteration;
use crate::analyze::nesting::{NO_PARENT, parents};
use crate::analyze::timeline::Class;
use crate::analyze::wait_rules::{WaitRules, group_name};
use crate::analyze::window::{is_unplaced, slice_span};
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// The innermost operator at every instant of a thread.
pub(super) fn operators(store: &Store, thread: &HostThread) -> Tops<StrId> {
    let slices = store.tracks[thread.track].slices.clone();
    let named = slices.filter(|&i| store.kind(i) == EventKind::CpuOp && !is_unplaced(store, i));
    Tops::of(named.map(|i| (slice_span(store, i), store.slices.name[i])))
}

/// Whether an event names the execution around an instant.
fn names_execution(kind: EventKind) -> bool {
    is_operator(kind)
        || matches!(kind, EventKind::PythonFunction | EventKind::Runtime | EventKind::Driver)
}

fn is_operator(kind: EventKind) -> bool {
    matches!(kind, EventKind::CpuOp | EventKind::Other)
}

/// Operators that give out memory or describe it.
const MEMORY: [&str; 24] = [
    "aten::_reshape_alias",
    "aten::_unsafe_view",
    "aten::alias",
    "aten::as_strided",
    "aten::detach",
    "aten::empty",
    "aten::empty_like",
    "aten::empty_strided",
    "aten::expand",
    "aten::narrow",
    "aten::new_empty",
    "aten::permute",
    "aten::reshape",
    "aten::resize_",
    "aten::select",
    "aten::slice",
    "aten::split",
    "aten::squeeze",
    "aten::t",
    "aten::transpose",
    "aten::unbind",
    "aten::unsqueeze",
    "aten::view",
    "detach",
];

/// Which operator names what a slice of a thread takes.
struct Owners {
    /// The first slice of the thread.
    first: usize,
    /// By slice: itself, or the operator that it works for.
    owners: Vec<usize>,
}

impl Owners {
    fn of(store: &Store, thread: &HostThread) -> Self {
        let slices = store.tracks[thread.track].slices.clone();
        let parents = parents(store, slices.clone(), names_execution);
        let mut known: BTreeMap<StrId, bool> = BTreeMap::new();
        let mut is_memory = |name: StrId| {
            *known
                .entry(name)
                .or_insert_with(|| MEMORY.binary_search(&store.strings.get(name)).is_ok())
        };
        let first = slices.start;
        let mut owners: Vec<usize> = Vec::with_capacity(slices.len());
        for (slice, &parent) in slices.zip(&parents) {
            let caller = (parent != NO_PARENT).then_some(parent as usize);
            let is_called =
                store.kind(slice) == EventKind::CpuOp && is_memory(store.slices.name[slice]);
            let owner = caller.filter(|&by| is_called && is_operator(store.kind(by)));
            owners.push(owner.map_or(slice, |by| owners[by - first]));
        }
        Self { first, owners }
    }

    fn owner(&self, slice: usize) -> usize {
        self.owners[slice - self.first]
    }
}

/// The label of a wait that no rule names: a copy to pageable memory.
const COPY_LABEL: &str = "sync.copy";

/// Enters what a thread did.
pub(super) fn account(
    store: &Store,
    thread: &HostThread,
    rules: &WaitRules,
    ledger: &mut Ledger<'_>,
) {
    let mut names = Names { store, known: BTreeMap::new() };
    let owners = Owners::of(store, thread);
    let execution = execution(store, thread, &owners);
    let annotations = annotations(store, thread);
    let label = |rule: Option<u16>| match rule {
        Some(number) => rules.rules()[usize::from(number)].label.as_str(),
        None => COPY_LABEL,
    };
    let waits = |class: Class| {
        let own = thread.waits.iter().filter(move |wait| wait.class == class);
        Tops::of(own.map(|wait| (slice_span(store, wait.slice as usize), wait.rule)))
    };
    let waits =
        [Class::IpcWait, Class::GpuSync, Class::OtherWait].map(|class| (class, waits(class)));
    for (span, class) in thread.timeline.spans() {
        if ledger.meeting(span).is_empty() {
            continue;
        }
        if let Some((_, waits)) = waits.iter().find(|(of, _)| *of == class) {
            waits.cut(span, |span, rule| {
                let name = rule.map_or(class.as_str(), label);
                let part = ledger.part(Side::Lead, class.as_str(), name);
                ledger.add(span, part);
            });
        } else if class == Class::Profiler {
            let part = ledger.part(Side::Lead, class.as_str(), class.as_str());
            ledger.add(span, part);
        } else if class == Class::Unattributed {
            annotations.cut(span, |span, name| {
                let part = names.annotation(ledger, name);
                ledger.add(span, part);
            });
        } else {
            execution.cut(span, |span, name| {
                let part = names.part(ledger, class, name);
                ledger.add(span, part);
            });
        }
    }
    counts(store, thread, &owners, &label, &mut names, ledger);
}

/// What names the execution of a thread at every instant.
fn execution(store: &Store, thread: &HostThread, owners: &Owners) -> Tops<StrId> {
    let slices = store.tracks[thread.track].slices.clone();
    let named = slices.filter(|&i| names_execution(store.kind(i)) && !is_unplaced(store, i));
    Tops::of(named.map(|i| (slice_span(store, i), store.slices.name[owners.owner(i)])))
}

/// The innermost annotation at every instant of a thread; those of iterations tell nothing of what is in them.
fn annotations(store: &Store, thread: &HostThread) -> Tops<StrId> {
    let mut known: BTreeMap<StrId, bool> = BTreeMap::new();
    let slices = store.tracks[thread.track].slices.clone();
    let named = slices.filter(|&i| {
        let name = store.slices.name[i];
        store.kind(i) == EventKind::UserAnnotation
            && !is_unplaced(store, i)
            && *known
                .entry(name)
                .or_insert_with(|| parse_iteration(store.strings.get(name)).is_none())
    });
    Tops::of(named.map(|i| (slice_span(store, i), store.slices.name[i])))
}

/// A name without its numbers, which count steps, requests and layers.
fn without_numbers(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '0'..='9' if shown.ends_with('#') => {}
            '0'..='9' => shown.push('#'),
            c => shown.push(c),
        }
    }
    shown
}

/// Counts where operators, calls, frames and waits begin.
fn counts<'a>(
    store: &Store,
    thread: &HostThread,
    owners: &Owners,
    label: &impl Fn(Option<u16>) -> &'a str,
    names: &mut Names<'_>,
    ledger: &mut Ledger<'_>,
) {
    for slice in store.tracks[thread.track].slices.clone() {
        let class = match store.kind(slice) {
            EventKind::CpuOp | EventKind::Other => Class::CpuOp,
            EventKind::PythonFunction => Class::Python,
            EventKind::Runtime | EventKind::Driver => Class::Runtime,
            _ => continue,
        };
        if !is_unplaced(store, slice) && owners.owner(slice) == slice {
            let part = names.part(ledger, class, Some(store.slices.name[slice]));
            ledger.begin(store.slices.ts_ns[slice], part);
        }
    }
    for wait in &thread.waits {
        let at_ns = store.slices.ts_ns[wait.slice as usize];
        let part = ledger.part(Side::Lead, wait.class.as_str(), label(wait.rule));
        ledger.begin(at_ns, part);
        if wait.class == Class::GpuSync {
            ledger.count(at_ns, |counts| counts.syncs += 1);
        }
    }
}

/// Parts by class and name, looked up once each.
struct Names<'a> {
    store: &'a Store,
    known: BTreeMap<(Class, Option<StrId>), u32>,
}

impl Names<'_> {
    fn part(&mut self, ledger: &mut Ledger<'_>, class: Class, name: Option<StrId>) -> u32 {
        *self.known.entry((class, name)).or_insert_with(|| {
            let text = name.map(|name| group_name(self.store.strings.get(name)));
            ledger.part(Side::Lead, class.as_str(), text.as_deref().unwrap_or(class.as_str()))
        })
    }

    /// Time that no event explains, by the annotation around it.
    fn annotation(&mut self, ledger: &mut Ledger<'_>, name: Option<StrId>) -> u32 {
        let class = Class::Unattributed;
        *self.known.entry((class, name)).or_insert_with(|| {
            let text = name.map(|name| without_numbers(self.store.strings.get(name)));
            ledger.part(Side::Lead, class.as_str(), text.as_deref().unwrap_or(class.as_str()))
        })
    }
}
