//! The one matcher of collectives: which kernels of several ranks are one collective.
//!
//! What a communication kernel is, the caller says; its arguments or, without any, its name say what it does. Ranks share
//! collectives within one run, stage and replica, in one process group; where the trace numbers them (`Seq`) they are
//! joined by number, elsewhere by order ([`super::pairing`]). Blame, stragglers, bandwidth and merge all take these pairs.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::AlignInput;
use super::digest::Signatures;
use super::operation::{Operation, plain};
use super::pairing::{Call, Calls, pairs};
use crate::model::{EventKind, Identity};
use crate::store::{CollectiveRow, Store, StrId};

/// How the ranks of a matched operation stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meeting {
    /// A collective that all ranks leave at the same time.
    EndsTogether,
    /// A collective that some ranks may leave early.
    EndsApart,
    /// One message between two ranks.
    Message,
}

/// One operation that several inputs show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matched {
    /// How the ranks stand to each other.
    pub meeting: Meeting,
    /// Whether these are kernels; else operators of the host.
    pub is_on_device: bool,
    /// (input, slice), by input; at least two, of different inputs.
    pub calls: Vec<(usize, u32)>,
    /// Start and end of each, in nanoseconds by its input's own clock.
    pub times: Vec<(i64, i64)>,
}

impl Matched {
    /// Whether it is a collective, not a message.
    pub fn is_collective(&self) -> bool {
        self.meeting != Meeting::Message
    }

    /// Start and end on one of its inputs, in nanoseconds by that one's clock.
    pub fn time_of(&self, input: usize) -> Option<(i64, i64)> {
        Some(self.times[self.place_of(input)?])
    }

    fn place_of(&self, input: usize) -> Option<usize> {
        self.calls.binary_search_by_key(&input, |&(input, _)| input).ok()
    }
}

/// What calls of one kind must share with those of other inputs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// Name, ranks and size of the process group; `None` for kernels without arguments, which name none.
    pub named: Option<(String, String, u32)>,
    /// The two ends of a message.
    pub message: Option<(u32, u32)>,
    /// How the ranks stand to each other.
    pub meeting: Meeting,
}

/// The calls of one input that can only be those of one group, by start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallGroup {
    /// What they must share with others.
    pub key: GroupKey,
    /// The calls.
    pub calls: Vec<Call>,
}

/// What calls must share to be compared at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    run: u32,
    stage: Option<u32>,
    replica: Option<u32>,
    is_on_device: bool,
    key: &'a GroupKey,
}

/// Every operation that at least two inputs of a run show.
pub fn matched(inputs: &[AlignInput<'_>]) -> Vec<Matched> {
    let mut signatures = Signatures::default();
    let mut groups: BTreeMap<Group<'_>, Vec<(usize, &CallGroup)>> = BTreeMap::new();
    let mut numbers = Vec::with_capacity(inputs.len());
    for (number, input) in inputs.iter().enumerate() {
        numbers.push(signatures.numbers(&input.digest.signatures));
        for of_group in &input.digest.groups {
            let (stage, replica) = (input.identity.stage, input.identity.replica);
            let (is_on_device, key) = (input.digest.is_on_device, &of_group.key);
            let group = Group { run: input.run, stage, replica, is_on_device, key };
            groups.entry(group).or_default().push((number, of_group));
        }
    }
    let calls = |&(input, group): &(usize, &CallGroup)| {
        let number = |call: &Call| numbers[input][call.signature as usize];
        let numbered = |call: &Call| Call { signature: number(call), ..*call };
        (input, Calls::of(group.calls.iter().map(numbered).collect()))
    };
    let of_group = |(group, parts): (Group<'_>, Vec<(usize, &CallGroup)>)| {
        let parts: Vec<(usize, Calls)> = parts.par_iter().map(calls).collect();
        let (meeting, is_on_device) = (group.key.meeting, group.is_on_device);
        same(&parts).into_iter().map(move |set| Matched {
            meeting,
            is_on_device,
            calls: set.iter().map(|&(input, call)| (input, call.slice)).collect(),
            times: set.iter().map(|(_, call)| (call.start_ns, call.end_ns)).collect(),
        })
    };
    groups.retain(|_, parts| parts.len() > 1);
    groups.into_par_iter().flat_map_iter(of_group).collect()
}

/// The calls of one group that are the same: each input against those before it, until all its calls are known.
fn same(parts: &[(usize, Calls)]) -> Vec<Vec<(usize, Call)>> {
    let mut sets: Vec<Vec<(usize, Call)>> = Vec::new();
    let mut set_of: Vec<Vec<Option<usize>>> = Vec::with_capacity(parts.len());
    // Each is held against the first one, and mostly against no other.
    let first = |(_, part): &(usize, Calls)| pairs(&parts[0].1, part);
    let mut of_first: Vec<Vec<(usize, usize)>> = parts[1..].par_iter().map(first).collect();
    for (at, (input, part)) in parts.iter().enumerate() {
        let calls = &part.calls;
        let mut own: Vec<Option<usize>> = vec![None; calls.len()];
        for (before, (other, others)) in parts[..at].iter().enumerate() {
            if own.iter().all(Option::is_some) {
                break;
            }
            let found = match before {
                0 => std::mem::take(&mut of_first[at - 1]),
                _ => pairs(others, part),
            };
            // A place in an order says all there is to say; numbers may join the rest to later inputs.
            let is_placed = !found.is_empty() && calls.iter().any(|call| call.seq.is_none());
            for (theirs, ours) in found {
                let set = *set_of[before][theirs].get_or_insert_with(|| {
                    let mut set = Vec::with_capacity(parts.len());
                    set.push((*other, others.calls[theirs]));
                    sets.push(set);
                    sets.len() - 1
                });
                let is_new = sets[set].last().is_some_and(|&(last, _)| last != *input);
                if own[ours].is_none() && is_new {
                    own[ours] = Some(set);
                    sets[set].push((*input, calls[ours]));
                }
            }
            if is_placed {
                break;
            }
        }
        set_of.push(own);
    }
    sets.retain(|set| set.len() > 1);
    sets
}

/// The calls of an input by group, with the texts that tell calls apart: its communication kernels, or where it has none
/// the operators that carry arguments.
pub(super) fn calls_of(
    store: &Store,
    identity: &Identity,
    comm: &[u32],
) -> (Vec<CallGroup>, Vec<String>) {
    let mut reading = Reading {
        store,
        identity,
        signatures: BTreeMap::new(),
        known: BTreeMap::new(),
        groups: BTreeMap::new(),
    };
    let mut found: BTreeMap<usize, Vec<Call>> = BTreeMap::new();
    let is_op = |row: &&CollectiveRow| store.kind(row.slice as usize) == EventKind::CpuOp;
    let ops = store.collectives.iter().filter(|row| comm.is_empty() && is_op(row));
    let kernels = comm.iter().map(|&slice| (slice, store.collective_row(slice as usize)));
    for (slice, row) in kernels.chain(ops.map(|row| (row.slice, Some(row)))) {
        let Some((group, signature)) = reading.kind_of(slice, row) else { continue };
        let at = slice as usize;
        let (start_ns, end_ns) = (store.slices.ts_ns[at], store.slices.end_ns(at));
        let seq = row.and_then(|row| row.seq);
        found.entry(group).or_default().push(Call { seq, signature, start_ns, end_ns, slice });
    }
    let Reading { groups, signatures, .. } = reading;
    let by_start = |mut calls: Vec<Call>| {
        calls.sort_by_key(|call| (call.start_ns, call.end_ns, call.slice));
        calls
    };
    let group =
        |(key, at): (GroupKey, usize)| Some(CallGroup { key, calls: by_start(found.remove(&at)?) });
    let groups = groups.into_iter().filter_map(group).collect();
    let mut texts: Vec<(u32, String)> =
        signatures.into_iter().map(|(text, number)| (number, text)).collect();
    texts.sort_unstable();
    (groups, texts.into_iter().map(|(_, text)| text).collect())
}

/// What tells one kind of call of an input from another, without looking at texts.
type KindKey = (StrId, [Option<StrId>; 3], [Option<u32>; 3], u64);

/// The kinds of call of one input; texts are compared once for each kind.
struct Reading<'a> {
    store: &'a Store,
    identity: &'a Identity,
    /// Texts that tell calls apart, numbered as they are met.
    signatures: BTreeMap<String, u32>,
    /// Number of the group, and signature; `None` for what is shared with nobody.
    known: BTreeMap<KindKey, Option<(usize, u32)>>,
    /// The groups, numbered as they are met.
    groups: BTreeMap<GroupKey, usize>,
}

impl Reading<'_> {
    fn kind_of(&mut self, slice: u32, row: Option<&CollectiveRow>) -> Option<(usize, u32)> {
        let name = row.map_or(self.store.slices.name[slice as usize], |row| row.name);
        let key: KindKey = match row {
            Some(row) => (
                name,
                [Some(row.dtype.unwrap_or(name)), row.group_name, row.group_ranks],
                [row.group_size, row.src_rank, row.dst_rank],
                elements(row),
            ),
            None => (name, [None; 3], [None; 3], 0),
        };
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let kind = self.new_kind(name, row);
        self.known.insert(key, kind);
        kind
    }

    fn new_kind(&mut self, name: StrId, row: Option<&CollectiveRow>) -> Option<(usize, u32)> {
        let store = self.store;
        let name = store.strings.get(name);
        let (meeting, message, signature) = match row {
            Some(row) => {
                let (meeting, message) = meeting_of(self.identity, row, name)?;
                (meeting, message, signature(store, row, name, meeting))
            }
            None => (meeting_of_kernel(name), None, name.to_owned()),
        };
        let text = |id: Option<StrId>| id.map_or("", |id| store.strings.get(id)).to_owned();
        let group = GroupKey {
            named: row.map(|row| {
                (text(row.group_name), text(row.group_ranks), row.group_size.unwrap_or(0))
            }),
            message,
            meeting,
        };
        let next = self.groups.len();
        let at = *self.groups.entry(group).or_insert(next);
        let next = self.signatures.len() as u32;
        Some((at, *self.signatures.entry(signature).or_insert(next)))
    }
}

/// How the ranks of a recorded operation meet, and the ends of a message; `None` for what no two ranks share, or where
/// nothing says which.
fn meeting_of(
    identity: &Identity,
    row: &CollectiveRow,
    name: &str,
) -> Option<(Meeting, Option<(u32, u32)>)> {
    if row.group_size.is_some_and(|n| n < 2) || matches!(name, "wait" | "init") {
        return None;
    }
    match Operation::of_name(name) {
        Operation::SendRecv => {
            let (from, to) = message_ends(row, name, identity.rank);
            Some((Meeting::Message, Some((from?, to?))))
        }
        operation if operation.ends_together() => Some((Meeting::EndsTogether, None)),
        // Names such as `send_recv` or `recvAnySource` do not say between whom.
        _ if name.starts_with("send") || name.starts_with("recv") => None,
        _ => Some((Meeting::EndsApart, None)),
    }
}

/// The two ends of a message, sender first, as far as known; `rank` is the input's own.
pub fn message_ends(
    row: &CollectiveRow,
    name: &str,
    rank: Option<u32>,
) -> (Option<u32>, Option<u32>) {
    let own = rank.or(row.rank);
    match name {
        "send" => (own, row.dst_rank),
        "recv" => (row.src_rank, own),
        _ => (None, None),
    }
}

/// By the name of a kernel alone. Grouped sends and receives are how NCCL does an all-to-all.
fn meeting_of_kernel(name: &str) -> Meeting {
    let operation = Operation::of_kernel(name);
    if operation.ends_together() || operation == Operation::SendRecv {
        Meeting::EndsTogether
    } else {
        Meeting::EndsApart
    }
}

fn elements(row: &CollectiveRow) -> u64 {
    row.in_elements.unwrap_or(0).max(row.out_elements.unwrap_or(0))
}

/// Name, type and size as they must agree between ranks. Where one rank is the root, sizes differ.
fn signature(store: &Store, row: &CollectiveRow, name: &str, meeting: Meeting) -> String {
    let dtype = row.dtype.map_or("", |id| store.strings.get(id));
    match meeting {
        Meeting::EndsTogether => format!("{} {dtype} {}", plain(name), elements(row)),
        Meeting::EndsApart => format!("{} {dtype}", plain(name)),
        Meeting::Message => format!("message {dtype} {}", elements(row)),
    }
}
