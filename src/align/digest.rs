//! What the comparison of inputs needs of one: made from its store where that lies, and compared without it elsewhere.
//!
//! Nothing here is of a single event but the times of collectives and hand-offs, which are what is compared.

use std::collections::BTreeMap;

use super::clocks::{ClockBase, base_of};
use super::collectives::{CallGroup, calls_of};
use super::handoffs::HandOffs;
use super::runs::job_of;
use crate::model::Identity;
use crate::store::Store;

/// One input without its events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    /// What its times are relative to.
    pub base: ClockBase,
    /// Its first time of anything, in nanoseconds by its own clock; `None` where it holds nothing.
    pub first_ns: Option<i64>,
    /// The job that it says it is of.
    pub job: Option<String>,
    /// The collectives and messages that it shows, by what they must share with those of others.
    pub groups: Vec<CallGroup>,
    /// What must agree between equal calls; calls name it by number.
    pub signatures: Vec<String>,
    /// What it sent and received; empty where nobody asked.
    pub handoffs: HandOffs,
    /// Communication kernels are what it shows; else operators of the host.
    pub is_on_device: bool,
}

impl Digest {
    /// The digest of an input; `comm` are its communication kernels, ascending. Hand-offs are looked for only where there
    /// is another input, or may be.
    pub fn of(store: &Store, identity: &Identity, comm: &[u32], is_alone: bool) -> Self {
        let (groups, signatures) = calls_of(store, identity, comm);
        Self {
            base: base_of(store),
            first_ns: first_ns(store),
            job: job_of(store),
            groups,
            signatures,
            handoffs: if is_alone { HandOffs::default() } else { HandOffs::of(store, identity) },
            is_on_device: !comm.is_empty(),
        }
    }

    /// Whether it shows a communication kernel.
    pub(super) fn communicates(&self) -> bool {
        self.is_on_device
    }
}

/// The first time of anything in a trace.
fn first_ns(store: &Store) -> Option<i64> {
    // The slices of a track are in order.
    let slices = store.tracks.iter().filter_map(|track| store.slices.ts_ns.get(track.slices.start));
    let slices = slices.copied();
    let instants = store.instants.iter().map(|one| one.ts_ns);
    let flows = store.flows.iter().map(|one| one.ts_ns);
    let counters = store.counters.iter().map(|one| one.ts_ns);
    slices.chain(instants).chain(flows).chain(counters).min()
}

/// Numbers of signatures over all inputs: equal texts have equal numbers.
#[derive(Debug, Default)]
pub(super) struct Signatures<'a>(BTreeMap<&'a str, u32>);

impl<'a> Signatures<'a> {
    /// The numbers over all inputs of an input's own.
    pub(super) fn numbers(&mut self, texts: &'a [String]) -> Vec<u32> {
        let number = |text: &'a String| {
            let next = self.0.len() as u32;
            *self.0.entry(text.as_str()).or_insert(next)
        };
        texts.iter().map(number).collect()
    }
}
