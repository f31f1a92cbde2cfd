//! What becomes of an input in the output: names of processes, numbers of threads, lanes, offsets of ids and clocks.
//!
//! A plan is made from the store alone and is immutable while events are rewritten; it also says how to undo it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use serde_json::value::RawValue;

use super::edit::ByEvent;
use super::flows::FlowLanes;
use super::lanes::{TrackLanes, lanes_of};
use crate::model::Identity;
use crate::read::ID_ARGUMENTS;
use crate::store::{Part, PartProcess, PartThread, Store, StrId, Track, TrackId};

/// Numbers of threads that had none, and of lanes, start here.
const FIRST_THREAD_NUMBER: i64 = 1_000_000_000;

/// Pids of one input lie within this many, unless it has more processes.
const PIDS_PER_INPUT: i64 = 1_000;

/// A pid or tid as the plan knows it: numbers, or the decoded text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum IdKey {
    /// A number.
    Int(i128),
    /// Any other text.
    Text(String),
}

impl IdKey {
    pub(crate) fn of(store: &Store, id: &TrackId) -> Self {
        match id {
            TrackId::Int(v) => Self::Int(*v),
            TrackId::Text(text) => Self::Text(store.strings.get(*text).to_owned()),
        }
    }

    /// As JSON.
    fn json(&self) -> Box<RawValue> {
        let text = match self {
            Self::Int(v) => v.to_string(),
            Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        };
        RawValue::from_string(text).expect("a number or a quoted string is JSON")
    }
}

/// What is planned from.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    /// Path as given.
    pub path: &'a Path,
    /// Who wrote it.
    pub identity: &'a Identity,
    /// How the output calls it.
    pub label: &'a str,
    /// Its events; the order of the file must have been kept.
    pub store: &'a Store,
    /// Whether each slice goes; empty where all stay.
    pub is_gone: &'a [bool],
    /// What is added to its timestamps, in nanoseconds.
    pub shift_ns: i64,
    /// The part of the shift that corrects its clock.
    pub clock_offset_ns: i64,
    /// Its number among all inputs of its run, where others are merged elsewhere: pids and ids of all are apart.
    pub place: Option<usize>,
}

/// Ids of an input of a run whose others are merged elsewhere lie within as many.
const IDS_PER_INPUT: u64 = 1 << 32;

/// What becomes of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessPlan {
    pub(crate) pid: i64,
    pub(crate) name: String,
    pub(crate) sort_index: i64,
    pub(crate) original_name: Option<String>,
}

/// What becomes of a track beyond its process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TrackPlan {
    /// Its new number, where it has another.
    pub(crate) tid: Option<i64>,
    /// Numbers of its lanes.
    pub(crate) lanes: Vec<i64>,
    /// Lanes of the ends of flows.
    pub(crate) flow_lanes: FlowLanes,
    pub(crate) original_name: Option<String>,
}

/// What becomes of one input.
#[derive(Clone, Debug, Default)]
pub struct InputPlan {
    pub(crate) shift_ns: i64,
    pub(crate) id_offset: u64,
    pub(crate) processes: BTreeMap<IdKey, ProcessPlan>,
    /// Tracks that are renumbered or have lanes.
    pub(crate) tracks: BTreeMap<(IdKey, IdKey), TrackPlan>,
    /// Lane, from 1, of each slice that is not on its track's own, by event number.
    pub(crate) lane_of_event: ByEvent<u16>,
    /// Names of new threads: (pid, tid, name).
    pub(crate) thread_names: Vec<(i64, i64, String)>,
    /// Whether processes keep their pids and names.
    pub(crate) is_same: bool,
    /// How to undo all this.
    pub(crate) part: Part,
}

impl InputPlan {
    /// The first of its pids.
    pub fn first_pid(&self) -> Option<i64> {
        self.processes.values().map(|process| process.pid).min()
    }

    /// Tracks added for slices that overlap without nesting.
    pub fn n_lanes(&self) -> u64 {
        self.tracks.values().map(|track| track.lanes.len() as u64).sum()
    }

    /// Threads that have another tid, and lanes.
    pub fn threads(&self) -> Vec<PartThread> {
        let mut threads = Vec::new();
        for ((pid, tid), track) in &self.tracks {
            let pid = self.processes[pid].pid;
            let named = |number, name| PartThread { pid, tid: number, of: tid.json(), name };
            threads.extend(track.tid.map(|number| named(number, track.original_name.clone())));
            threads.extend(track.lanes.iter().map(|&number| named(number, None)));
        }
        threads
    }

    /// What is added to its ids: those of flows, and the arguments that carry ids of the file.
    pub fn id_offset(&self) -> u64 {
        self.id_offset
    }

    /// Slices on such tracks.
    pub fn n_moved_slices(&self) -> u64 {
        self.lane_of_event.len() as u64
    }
}

/// Plans to write an input as it is, under the pids and names that it has: for a file that was merged before.
pub fn plan_same(store: &Store) -> InputPlan {
    let mut plan = InputPlan::default();
    for (pid, facts) in processes(store) {
        let key = IdKey::of(store, &pid);
        let Some(number) = pid.as_int().and_then(|pid| i64::try_from(pid).ok()) else { continue };
        let original_name = facts.name.map(|name| store.strings.get(name).to_owned());
        let name = original_name.clone().unwrap_or_default();
        let process = ProcessPlan { pid: number, name, sort_index: number, original_name };
        plan.processes.insert(key, process);
    }
    plan.is_same = true;
    plan
}

/// Plans to write an input under the pids and names that it has, but with lanes. `is_gone` says of each slice whether it
/// goes, `shift_ns` is added to its times.
pub fn plan_alone(store: &Store, is_gone: &[bool], shift_ns: i64) -> InputPlan {
    let mut plan = InputPlan { shift_ns, ..plan_same(store) };
    plan_tracks(store, is_gone, &mut plan);
    plan
}

/// Plans the merging of inputs, in the order of the output.
pub fn plan_merge(inputs: &[PlanInput<'_>]) -> Vec<InputPlan> {
    let mut id_offset = 0_u64;
    let n_pids = |store: &Store| store.tracks.chunk_by(|a, b| a.pid == b.pid).count();
    let most = inputs.iter().map(|input| n_pids(input.store)).max().unwrap_or(0) as i64;
    let mut spacing = PIDS_PER_INPUT;
    while spacing <= most {
        spacing *= 10;
    }
    let largest: Vec<u64> = inputs.par_iter().map(|input| largest_id(input.store)).collect();
    let numbers = inputs.iter().zip(largest).enumerate().map(|(i, (input, largest))| {
        let first_pid = (input.place.unwrap_or(i) as i64 + 1) * spacing;
        let apart = input.place.map(|place| (place as u64).wrapping_mul(IDS_PER_INPUT));
        let before = id_offset;
        id_offset = id_offset.wrapping_add(largest).wrapping_add(1);
        (first_pid, apart.unwrap_or(before))
    });
    let numbers: Vec<(i64, u64)> = numbers.collect();
    let numbered = inputs.par_iter().zip(numbers);
    numbered.map(|(input, (first_pid, offset))| plan_input(input, first_pid, offset)).collect()
}

fn plan_input(input: &PlanInput<'_>, first_pid: i64, id_offset: u64) -> InputPlan {
    let store = input.store;
    let mut plan = InputPlan { shift_ns: input.shift_ns, id_offset, ..InputPlan::default() };
    let ordered = ordered_pids(store);
    for (i, (_, key, role, name)) in ordered.into_iter().enumerate() {
        let pid = first_pid + i as i64;
        let original_name = name.map(|name| store.strings.get(name).to_owned());
        let name = format!("{} · {role}", input.label);
        plan.processes.insert(key, ProcessPlan { pid, name, sort_index: pid, original_name });
    }
    plan_tracks(store, input.is_gone, &mut plan);
    plan.part = part_of(input, &plan);
    plan
}

fn part_of(input: &PlanInput<'_>, plan: &InputPlan) -> Part {
    let meta = &input.store.meta;
    let raw = |(key, text): &(String, String)| {
        Some((key.clone(), RawValue::from_string(text.clone()).ok()?))
    };
    let mut processes: Vec<PartProcess> = plan
        .processes
        .iter()
        .map(|(key, process)| PartProcess {
            pid: process.pid,
            of: key.json(),
            name: process.original_name.clone(),
        })
        .collect();
    processes.sort_by_key(|process| process.pid);
    Part {
        path: input.path.to_string_lossy().into_owned(),
        label: input.label.to_owned(),
        layout: meta.layout.name().to_owned(),
        truncated: meta.truncated,
        shift_ns: plan.shift_ns,
        clock_offset_ns: input.clock_offset_ns,
        id_offset: plan.id_offset,
        renumbered: Some(ID_ARGUMENTS.map(str::to_owned).to_vec()),
        processes,
        threads: plan.threads(),
        metadata: meta.entries.iter().filter_map(raw).collect(),
        ..Part::of_identity(input.identity)
    }
}

/// What the tracks of a process say of it.
#[derive(Clone, Copy, Debug, Default)]
struct ProcessFacts {
    name: Option<StrId>,
    /// It has device events, or its writer labels it so.
    is_device: bool,
}

fn processes(store: &Store) -> BTreeMap<TrackId, ProcessFacts> {
    let mut processes: BTreeMap<TrackId, ProcessFacts> = BTreeMap::new();
    for track in &store.tracks {
        let facts = processes.entry(track.pid).or_default();
        facts.name = facts.name.or(track.process_name);
        facts.is_device |= is_of_device(store, track);
    }
    processes
}

/// Processes in the order of the output, hosts before devices before the others, with what to call them and their names.
fn ordered_pids(store: &Store) -> Vec<(u8, IdKey, String, Option<StrId>)> {
    let describe = |(pid, facts): (TrackId, ProcessFacts)| {
        let key = IdKey::of(store, &pid);
        let name = facts.name.map_or("", |name| store.strings.get(name));
        let (group, role) = match &key {
            _ if facts.is_device => (1, format!("GPU {}", store.track_id_text(&pid))),
            IdKey::Int(-1) => (2, "overhead".to_owned()),
            IdKey::Int(number) => (0, host_role(name, *number)),
            IdKey::Text(text) if text.is_empty() => (2, "marks".to_owned()),
            IdKey::Text(text) => (2, text.clone()),
        };
        (group, key, role, facts.name)
    };
    let mut ordered: Vec<_> = processes(store).into_iter().map(describe).collect();
    ordered.sort();
    ordered
}

fn is_of_device(store: &Store, track: &Track) -> bool {
    let is_labelled =
        track.process_labels.is_some_and(|labels| store.strings.get(labels).starts_with("GPU"));
    let at = store.device_rows.partition_point(|row| (row.slice as usize) < track.slices.start);
    let has_row = |row: &crate::store::DeviceRow| (row.slice as usize) < track.slices.end;
    is_labelled || store.device_rows.get(at).is_some_and(has_row)
}

/// `host pid 17815`, with the process's own name where it says more than that it is Python.
fn host_role(name: &str, number: i128) -> String {
    let is_plain = name.is_empty() || name.starts_with("python") || name.starts_with("pt_main");
    if is_plain { format!("host pid {number}") } else { format!("host pid {number} · {name}") }
}

/// Numbers for threads that have none or an unusable one, and lanes.
fn plan_tracks(store: &Store, is_gone: &[bool], plan: &mut InputPlan) {
    let mut used: BTreeSet<(TrackId, i128)> = BTreeSet::new();
    used.extend(store.tracks.iter().filter_map(|track| Some((track.pid, track.tid.as_int()?))));
    let mut next: BTreeMap<TrackId, i64> = BTreeMap::new();
    let mut fresh = |pid: TrackId| {
        let number = next.entry(pid).or_insert(FIRST_THREAD_NUMBER);
        while !used.insert((pid, i128::from(*number))) {
            *number += 1;
        }
        *number
    };
    let mut has_instant = vec![false; store.tracks.len()];
    store.instants.iter().for_each(|instant| has_instant[instant.track as usize] = true);
    let tids: BTreeSet<(TrackId, TrackId)> =
        store.tracks.iter().map(|track| (track.pid, track.tid)).collect();
    let mut moved = Vec::new();
    let lanes: Vec<TrackLanes> =
        store.tracks.par_iter().map(|track| lanes_of(store, track, is_gone)).collect();
    for ((track, lanes), has_instant) in store.tracks.iter().zip(lanes).zip(has_instant) {
        let needs_number = !is_usable_tid(store, (track, has_instant), &tids, plan);
        if !needs_number && lanes.n_lanes == 0 {
            continue;
        }
        let (pid, tid) = (IdKey::of(store, &track.pid), IdKey::of(store, &track.tid));
        // Without a number for its process, a track stays as it is.
        let Some(new_pid) = plan.processes.get(&pid).map(|process| process.pid) else { continue };
        let name = thread_name(store, track);
        let original_name = track.thread_name.map(|name| store.strings.get(name).to_owned());
        let mut planned = TrackPlan { original_name, ..TrackPlan::default() };
        if needs_number {
            let number = fresh(track.pid);
            plan.thread_names.push((new_pid, number, name.clone()));
            planned.tid = Some(number);
        }
        for lane in 1..=lanes.n_lanes {
            let number = fresh(track.pid);
            plan.thread_names.push((new_pid, number, format!("{name} (overlap {lane})")));
            planned.lanes.push(number);
        }
        planned.flow_lanes = FlowLanes::of(store, &lanes.moved);
        for (slice, lane) in lanes.moved {
            let number = store.slices.event_number(slice as usize);
            let number =
                number.expect("a plan is made of a store that kept the order of its events");
            moved.push((number, lane));
        }
        plan.tracks.insert((pid, tid), planned);
    }
    plan.lane_of_event = moved.into_iter().collect();
}

/// Whether importers keep the track apart by its tid: they take it for 32 bits, and 0 for the pid. Text stays where pids do.
fn is_usable_tid(
    store: &Store,
    (track, has_instant): (&Track, bool),
    tids: &BTreeSet<(TrackId, TrackId)>,
    plan: &InputPlan,
) -> bool {
    match track.tid.as_int() {
        Some(0) => {
            let pid = plan.processes.get(&IdKey::of(store, &track.pid)).map(|process| process.pid);
            let has_main = |pid: i64| tids.contains(&(track.pid, TrackId::Int(i128::from(pid))));
            // Names of processes stand on a thread 0 that nothing else is on.
            let is_bare = track.slices.is_empty() && !has_instant;
            is_bare || !pid.is_some_and(has_main)
        }
        Some(tid) => u32::try_from(tid).is_ok(),
        None => plan.is_same,
    }
}

fn thread_name(store: &Store, track: &Track) -> String {
    match track.thread_name {
        Some(name) => store.strings.get(name).trim().to_owned(),
        None => match store.track_id_text(&track.tid) {
            text if text.is_empty() => "marks".to_owned(),
            text if track.tid.as_int().is_some() => format!("thread {text}"),
            text => text,
        },
    }
}

/// The largest id that is unique only within its file.
fn largest_id(store: &Store) -> u64 {
    let of_slice = |slice: usize| {
        let ids = [
            store.correlation(slice),
            store.external_id(slice),
            store.python_id(slice),
            store.python_parent_id(slice),
        ];
        ids.into_iter().flatten().max()
    };
    let slices = (0..store.slices.len()).into_par_iter().filter_map(of_slice).max();
    let flows = store.flows.iter().map(|flow| flow.id).max();
    slices.max(flows).unwrap_or(0)
}
