//! The account of the lead thread: what it executed and what it waited in, at every instant of a unit.
//!
//! The class of an instant is that of the thread's timeline. Execution is named by the innermost event, waiting by the rule
//! of the wait.

use std::collections::BTreeMap;

use super::Side;
use super::account::Ledger;
use super::layers::Tops;
use crate::analyze::host::HostThread;
use crate::analyze::timeline::Class;
use crate::analyze::wait_rules::{WaitRules, group_name};
use crate::analyze::window::{is_unplaced, slice_span};
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// The innermost operator at every instant of a thread.
pub(super) fn operators(store: &Store, thread: &HostThread) -> Tops<StrId> {
    innermost(store, thread, |kind| kind == EventKind::CpuOp)
}

fn innermost(
    store: &Store,
    thread: &HostThread,
    is_named: impl Fn(EventKind) -> bool,
) -> Tops<StrId> {
    let slices = store.tracks[thread.track].slices.clone();
    let named = slices.filter(|&i| is_named(store.kind(i)) && !is_unplaced(store, i));
    Tops::of(named.map(|i| (slice_span(store, i), store.slices.name[i])))
}

/// Whether an event names the execution around an instant.
fn names_execution(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::CpuOp
            | EventKind::Other
            | EventKind::PythonFunction
            | EventKind::Runtime
            | EventKind::Driver
    )
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
    let execution = innermost(store, thread, names_execution);
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
        } else if class == Class::Unattributed || class == Class::Profiler {
            let part = ledger.part(Side::Lead, class.as_str(), class.as_str());
            ledger.add(span, part);
        } else {
            execution.cut(span, |span, name| {
                let part = names.part(ledger, class, name);
                ledger.add(span, part);
            });
        }
    }
    counts(store, thread, &label, &mut names, ledger);
}

/// Counts where operators, calls, frames and waits begin.
fn counts<'a>(
    store: &Store,
    thread: &HostThread,
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
        if !is_unplaced(store, slice) {
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
}
