//! Device activity with its launch, and when its stream was free for it: what launch statistics, queues and the critical
//! path by iteration are made of.

use std::collections::BTreeMap;

use super::base::TimeBase;
use crate::schema::words;
use crate::store::Store;

/// One activity whose launch call is in the trace. Times are those of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The activity.
    pub slice: u32,
    /// The call.
    pub call: u32,
    /// Device and stream.
    pub queue: (Option<u32>, Option<u32>),
    /// The call's begin and end.
    pub called: (i64, i64),
    /// The activity's begin and end.
    pub ran: (i64, i64),
    /// End of the last activity before it on its stream; `None` for the first.
    pub free_ns: Option<i64>,
    /// Whether it is what its call started first; a replayed graph starts many.
    pub is_first: bool,
}

words! {
    /// What limits work that is launched.
    BoundBy {
        /// The host: the streams had mostly run dry before the launches were over.
        Host "host_bound",
        /// The device.
        Device "device_bound",
    }
}

impl BoundBy {
    /// Of so many launches, at `n_starved` of which the stream had run dry: the host at more than half.
    pub fn of(n_starved: u64, n_launched: u64) -> Self {
        if n_starved * 2 > n_launched { Self::Host } else { Self::Device }
    }
}

impl Launched {
    /// Whether nothing was left to do on its stream when its launch was over.
    pub fn is_starved(&self) -> bool {
        self.free_ns.is_none_or(|free_ns| free_ns <= self.called.1)
    }

    /// From the begin of the call to its own.
    pub fn total_ns(&self) -> i64 {
        self.ran.0.saturating_sub(self.called.0)
    }

    /// From when the call was over and the stream free to its begin; 0 where it began before.
    pub fn queue_wait_ns(&self) -> i64 {
        let ready_ns = self.free_ns.map_or(self.called.1, |free_ns| free_ns.max(self.called.1));
        self.ran.0.saturating_sub(ready_ns).max(0)
    }
}

/// The activities of an input with a launch, by device and start.
pub fn launched(store: &Store, base: &TimeBase) -> Vec<Launched> {
    let mut found = Vec::new();
    let mut is_seen = vec![false; store.slices.len()];
    for device in &base.devices {
        let mut free: BTreeMap<Option<u32>, Option<i64>> = BTreeMap::new();
        for row in &device.slices {
            let slice = row.slice as usize;
            let free = free.entry(row.stream).or_default();
            let free_ns = free.replace(free.map_or(row.span.end_ns, |ns| ns.max(row.span.end_ns)));
            if let Some(call) = base.launches.call_of(store, slice) {
                found.push(Launched {
                    slice: row.slice,
                    call: call as u32,
                    queue: (device.device, row.stream),
                    called: (store.slices.ts_ns[call], store.slices.end_ns(call)),
                    ran: (row.span.start_ns, row.span.end_ns),
                    free_ns,
                    is_first: !std::mem::replace(&mut is_seen[call], true),
                });
            }
        }
    }
    found
}
