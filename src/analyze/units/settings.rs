//! How a run was set up, as far as its trace says: what a comparison must say before any figure.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Counts;
use crate::analyze::base::TimeBase;
use crate::analyze::host::HostThread;
use crate::model::EventKind;
use crate::store::{Layout, Store};

/// The settings of one input. What a trace does not say is `None`, or not among the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What the trace states of versions and of the profiler: key and value, by key.
    pub stated: Vec<(String, String)>,
    /// Names of the devices with activity, or of all that are listed where none has any.
    pub gpus: Vec<String>,
    /// Which torch wrote the file, as far as its layout says.
    pub writer: Option<String>,
    /// Ranks of the process group.
    pub world_size: Option<u32>,
    /// Whether Python frames were recorded on the lead thread: they slow it.
    pub has_frames: bool,
    /// Whether device activity was recorded.
    pub has_device: bool,
    /// Kernels in all units.
    pub kernels: u64,
    /// Of these, those of graphs.
    pub graph_kernels: u64,
    /// Shapes and types of the weights of matrix products, each once; empty where shapes were not recorded.
    pub weights: Vec<String>,
}

/// What differs from run to run and says nothing of how it was set up.
const NOT_A_SETTING: [&str; 8] = [
    "baseTimeNanoseconds",
    "displayTimeUnit",
    "traceName",
    "trace_id",
    "traceEvents",
    "deviceProperties",
    "distributedInfo",
    "schemaVersion",
];

/// Longer values are no settings.
const MAX_VALUE_BYTES: usize = 80;

/// Operators that multiply by a weight.
const PRODUCTS: [&str; 4] = ["aten::mm", "aten::addmm", "aten::linear", "aten::convolution"];

impl Settings {
    /// Of a store, given its units' counts.
    pub(super) fn of(
        store: &Store,
        base: &TimeBase,
        lead: Option<&HostThread>,
        counts: &[Counts],
    ) -> Self {
        let sum = |of: fn(&Counts) -> u32| counts.iter().map(|c| u64::from(of(c))).sum();
        let distributed = store.meta.distributed.as_ref();
        Self {
            stated: stated(store),
            gpus: gpus(store, base),
            writer: writer(store.meta.layout).map(str::to_owned),
            world_size: distributed.and_then(|d| d.world_size),
            has_frames: lead.is_some_and(|lead| lead.has_frames),
            has_device: !base.devices.is_empty(),
            kernels: sum(|counts| counts.kernels),
            graph_kernels: sum(|counts| counts.graph_kernels),
            weights: weights(store),
        }
    }

    /// Share of the kernels that a graph started, in percent; `None` without kernels.
    pub fn graph_pct(&self) -> Option<u64> {
        (self.kernels > 0).then(|| self.graph_kernels * 100 / self.kernels)
    }
}

fn stated(store: &Store) -> Vec<(String, String)> {
    let is_setting = |(key, value): &&(String, String)| {
        !NOT_A_SETTING.contains(&key.as_str())
            && value.len() <= MAX_VALUE_BYTES
            && !value.starts_with(['{', '['])
    };
    let entries = store.meta.entries.iter().filter(is_setting);
    let mut stated: Vec<(String, String)> =
        entries.map(|(key, value)| (key.clone(), value.trim_matches('"').to_owned())).collect();
    if let Some(distributed) = &store.meta.distributed {
        let known =
            [("backend", &distributed.backend), ("nccl_version", &distributed.nccl_version)];
        stated.extend(known.iter().filter_map(|(key, v)| Some(((*key).to_owned(), (*v).clone()?))));
    }
    stated.sort();
    stated.dedup();
    stated
}

fn gpus(store: &Store, base: &TimeBase) -> Vec<String> {
    let active: BTreeSet<Option<u32>> = base.devices.iter().map(|device| device.device).collect();
    let listed = store.meta.devices.iter();
    let named = listed.filter(|device| active.is_empty() || active.contains(&Some(device.id)));
    named.map(|device| device.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn writer(layout: Layout) -> Option<&'static str> {
    match layout {
        Layout::Unknown => None,
        Layout::KinetoOld => Some("torch up to 2.11"),
        Layout::KinetoNew => Some("torch 2.13 or 2.14"),
        Layout::TorchCompact => Some("torch 2.15 or later"),
    }
}

/// The last two-dimensional input of every matrix product, with the types.
fn weights(store: &Store) -> Vec<String> {
    let mut seen: BTreeSet<(u32, u32)> = BTreeSet::new();
    let mut found: BTreeSet<String> = BTreeSet::new();
    for row in &store.ops {
        let Some(shapes) = row.shapes else { continue };
        let name = store.slices.name[row.slice as usize];
        let is_product = store.kind(row.slice as usize) == EventKind::CpuOp
            && seen.insert((shapes, name.0))
            && PRODUCTS.contains(&store.strings.get(name));
        if is_product {
            let shapes = &store.shapes[shapes as usize];
            let dims = shapes.dims.map(|dims| store.strings.get(dims));
            found.extend(dims.and_then(last_matrix));
        }
    }
    found.into_iter().collect()
}

/// The last of some shapes with two dimensions or four: `[[4,512],[512,2048]]` gives `512 × 2048`.
fn last_matrix(dims: &str) -> Option<String> {
    let all: Vec<serde_json::Value> = serde_json::from_str(dims).ok()?;
    let sizes = |value: &serde_json::Value| -> Option<Vec<u64>> {
        value.as_array()?.iter().map(serde_json::Value::as_u64).collect()
    };
    let matrix = all.iter().rev().filter_map(sizes).find(|sizes| [2, 4].contains(&sizes.len()))?;
    Some(matrix.iter().map(u64::to_string).collect::<Vec<_>>().join(" × "))
}
