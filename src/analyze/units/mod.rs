//! Units of comparison: every iteration of an input as one unit, with a complete account of its device and one of its
//! lead thread. What `diff` compares, and what a stored baseline holds.
//!
//! A unit lasts from the start of an iteration to the start of the next one of its thread, so that work which the host
//! only launched, and what it does between iterations, belong to one. Both accounts of a unit sum to its length.

mod account;
mod device;
mod layers;
mod lead;
mod settings;
mod spans;

pub use settings::Settings;
pub use spans::{UnitSpan, UnitSpans, unit_spans};

use serde::{Deserialize, Serialize};

use self::account::Ledger;
use super::base::TimeBase;
use super::intervals::Span;
use super::iterations::iterations;
use super::wait_rules::WaitRules;
use crate::model::Identity;
use crate::schema::words;
use crate::store::Store;

words! {
    /// Which account a part of a unit is of.
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Side {
        /// The device: what ran, and why nothing did.
        #[default]
        Device "device",
        /// The lead thread: what it executed, what it waited in.
        Lead "lead",
    }
}

/// What time of a unit can be spent in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Its account.
    pub side: Side,
    /// On the device `kernel`, `comm`, `copy` or `idle`; on the lead thread a class of time.
    pub class: String,
    /// Kernel, copy, cause of idle time, operator, call, frame or rule of a wait; as recorded, frames without their line.
    pub name: String,
    /// The innermost operator of the lead thread around the first launch of a kernel or copy.
    pub op: Option<String>,
}

/// Iterations that are alike: of one phase and about one size.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bucket {
    /// `prefill`, `decode`, `mixed`, `empty`, `unknown`; `window` for the whole window.
    pub phase: String,
    /// Requests and context tokens, rounded up to a quarter of an octave beyond 16; empty where the annotation gives none.
    pub size: String,
}

impl Bucket {
    /// `decode, 4 requests`.
    pub fn label(&self) -> String {
        if self.size.is_empty() {
            self.phase.clone()
        } else {
            format!("{}, {}", self.phase, self.size)
        }
    }
}

/// How often things happened in a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls that started device work.
    pub launches: u32,
    /// Of these, replays of graphs.
    pub graph_launches: u32,
    /// Kernels that they started.
    pub kernels: u32,
    /// Of these, those of graphs.
    pub graph_kernels: u32,
    /// Copies and memsets that they started.
    pub copies: u32,
    /// Waits of the lead thread for the device.
    pub syncs: u32,
}

/// What the critical path of a run was in while a unit lasted, in nanoseconds; the parts sum to its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathNs {
    /// Host code: operators, Python, calls, loading, what no event covers.
    pub host: i64,
    /// Waits that nothing recorded ends.
    pub waits: i64,
    /// Computing kernels.
    pub kernels: i64,
    /// Communication.
    pub comm: i64,
    /// Copies and memsets.
    pub copies: i64,
    /// Between two things: launches, stream gaps, returns of synchronizations, hand-offs.
    pub gaps: i64,
    /// Before the path began, or after it was over.
    pub outside: i64,
}

impl PathNs {
    /// The parts with what each is called.
    pub fn parts(&self) -> [(&'static str, i64); 7] {
        [
            ("host", self.host),
            ("waits", self.waits),
            ("kernels", self.kernels),
            ("comm", self.comm),
            ("copies", self.copies),
            ("gaps", self.gaps),
            ("outside", self.outside),
        ]
    }
}

/// One unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Start, after the start of the window.
    pub at_ns: i64,
    /// Length: to the start of the next iteration.
    pub dur_ns: i64,
    /// Length of the iteration's own annotation.
    pub annotation_ns: i64,
    /// Index of its bucket.
    pub bucket: u32,
    /// How often things happened.
    pub counts: Counts,
    /// Index of the part, its time, and how often it began; those of either account sum to the length.
    pub parts: Vec<(u32, i64, u32)>,
    /// The critical path of the run meanwhile; `None` where it was not asked for, or the inputs are of several runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathNs>,
}

/// The units of one input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputUnits {
    /// Stage index.
    pub stage: Option<u32>,
    /// Rank.
    pub rank: Option<u32>,
    /// What the input is called: stage, rank.
    pub label: String,
    /// Which annotations the iterations are; `None` where there are none and the window is the only unit.
    pub scheme: Option<String>,
    /// Whether there is one iteration, which no other follows: its unit is the annotation alone.
    pub is_alone: bool,
    /// Work threads that have such iterations, the lead among them.
    pub n_threads: u64,
    /// Devices with activity; the account is of the busiest.
    pub n_devices: u64,
    /// How the run was set up, as far as the trace says.
    pub settings: Settings,
    /// The kinds of iteration.
    pub buckets: Vec<Bucket>,
    /// What time was spent in.
    pub parts: Vec<Part>,
    /// The units, in time order.
    pub units: Vec<Unit>,
}

impl InputUnits {
    /// Whether its units have an account of a device.
    pub fn has_device(&self) -> bool {
        self.n_devices > 0
    }

    /// Whether every index names something and both accounts of every unit sum to its length: what a stored baseline must
    /// keep.
    pub fn is_sound(&self) -> bool {
        self.units.iter().all(|unit| {
            let sum = |side: Side| -> Option<i64> {
                let mut sum = 0_i64;
                for &(part, ns, _) in &unit.parts {
                    if self.parts.get(part as usize)?.side == side {
                        sum = sum.checked_add(ns)?;
                    }
                }
                Some(sum)
            };
            let on_path =
                |path: PathNs| -> i128 { path.parts().iter().map(|part| i128::from(part.1)).sum() };
            (unit.bucket as usize) < self.buckets.len()
                && unit.path.is_none_or(|path| on_path(path) == i128::from(unit.dur_ns))
                && sum(Side::Lead) == Some(unit.dur_ns)
                && (!self.has_device() || sum(Side::Device) == Some(unit.dur_ns))
        })
    }
}

/// The units of a store.
pub fn units(store: &Store, base: &TimeBase, rules: &WaitRules, identity: &Identity) -> InputUnits {
    let found = unit_spans(&iterations(store, base).rows, base);
    let all: Vec<Span> = found.units.iter().map(|unit| unit.span).collect();
    let lead = found.lead.and_then(|track| base.thread_of_track(track));
    let mut ledger = Ledger::new(&all);
    let operators = lead.map(|thread| lead::operators(store, thread)).unwrap_or_default();
    let device = device::busiest(base, &all);
    if let Some(device) = device {
        device::account(store, base, device, (lead, &operators), &mut ledger);
    }
    if let Some(thread) = lead {
        lead::account(store, thread, rules, &mut ledger);
    }
    ledger.fill(Side::Lead, "unattributed", "unattributed");
    if device.is_some() {
        ledger.fill(Side::Device, "idle", "not_recorded");
    }
    let settings = Settings::of(store, base, lead, &ledger.counts());
    let (parts, accounts) = ledger.finish();
    let start_ns = base.windows.file.start_ns;
    let units = found.units.iter().zip(accounts).map(|(unit, (counts, parts))| Unit {
        at_ns: unit.span.start_ns.saturating_sub(start_ns),
        dur_ns: unit.span.len_ns(),
        annotation_ns: unit.annotation_ns,
        bucket: unit.bucket,
        counts,
        parts,
        path: None,
    });
    InputUnits {
        stage: identity.stage,
        rank: identity.any_rank(),
        label: identity.label(),
        scheme: found.scheme.map(|scheme| scheme.as_str().to_owned()),
        is_alone: found.is_alone,
        n_threads: found.n_threads,
        n_devices: base.devices.len() as u64,
        settings,
        units: units.collect(),
        buckets: found.buckets,
        parts,
    }
}
