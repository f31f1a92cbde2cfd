//! Device activity with its launch, and when its stream was free for it.

use std::collections::BTreeMap;

use super::input::CausalInput;

/// One activity whose launch call is in the trace. Times are those of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Launched {
    /// The call's begin and end.
    pub(super) called: (i64, i64),
    /// End of the last activity before it on its stream; `None` for the first.
    pub(super) free_ns: Option<i64>,
}

impl Launched {
    /// Whether nothing was left to do on its stream when its launch was over.
    pub(super) fn is_starved(&self) -> bool {
        self.free_ns.is_none_or(|free_ns| free_ns <= self.called.1)
    }
}

/// The activities of an input with a launch, by device and start.
pub(super) fn launched(input: &CausalInput<'_>) -> Vec<Launched> {
    let store = input.store;
    let mut found = Vec::new();
    for device in &input.base.devices {
        let mut free: BTreeMap<Option<u32>, i64> = BTreeMap::new();
        for row in &device.slices {
            let slice = row.slice as usize;
            let free_ns = free.get(&row.stream).copied();
            if let Some(call) = input.base.launches.call_of(store, slice) {
                let called = (store.slices.ts_ns[call], store.slices.end_ns(call));
                found.push(Launched { called, free_ns });
            }
            free.insert(row.stream, free_ns.map_or(row.span.end_ns, |ns| ns.max(row.span.end_ns)));
        }
    }
    found
}
