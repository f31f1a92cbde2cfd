//! Tracks to processes and threads, as JSON texts of pid and tid.

use std::collections::{BTreeMap, BTreeSet};

use omni_trace_proto::perfetto::TrackDescriptor;

use super::gpu::lane_of;

/// Tracks stand in tracks; not deeper than this.
const MAX_DEPTH: usize = 64;

/// A track.
#[derive(Clone, Debug, Default)]
pub(super) struct TrackInfo {
    /// As JSON.
    pub(super) pid: String,
    /// As JSON.
    pub(super) tid: String,
    pub(super) name: String,
    /// Name of a counter's series.
    pub(super) series: Option<String>,
    pub(super) multiplier: i64,
    pub(super) is_incremental: bool,
    /// What an incremental counter has come to.
    pub(super) counter: f64,
}

/// A name that a descriptor gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameEvent {
    pub(super) kind: &'static str,
    pub(super) key: &'static str,
    pub(super) pid: String,
    pub(super) tid: String,
    pub(super) name: String,
}

/// All tracks of a trace.
#[derive(Default)]
pub(super) struct Tracks {
    tracks: BTreeMap<u64, TrackInfo>,
    descriptors: BTreeMap<u64, TrackDescriptor>,
    used: BTreeSet<(String, String)>,
    /// Tracks that no descriptor with a uuid tells of, by pid, tid and counter.
    made: BTreeMap<(String, String, String), u64>,
    /// Names of processes by pid.
    processes: BTreeMap<i32, String>,
    /// Devices whose process has its label.
    labelled: BTreeSet<i32>,
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn name_event(
    kind: &'static str,
    key: &'static str,
    pid: &str,
    tid: &str,
    name: &str,
) -> NameEvent {
    NameEvent { kind, key, pid: pid.into(), tid: tid.into(), name: name.into() }
}

impl Tracks {
    /// Takes a descriptor; gives the names that it tells.
    pub(super) fn describe(&mut self, descriptor: &TrackDescriptor) -> Vec<NameEvent> {
        let mut names = Vec::new();
        if let Some(process) = &descriptor.process {
            let pid = process.pid().to_string();
            let name = process.process_name.as_ref().or(process.cmdline.first());
            if let Some(name) = name {
                self.processes.insert(process.pid(), name.clone());
                names.push(name_event("process_name", "name", &pid, "0", name));
            }
            if !process.process_labels.is_empty() {
                let labels = process.process_labels.join(",");
                names.push(name_event("process_labels", "labels", &pid, "0", &labels));
            }
        } else if let Some(thread) = &descriptor.thread
            && let Some(name) = &thread.thread_name
        {
            let (pid, tid) = (thread.pid().to_string(), thread.tid().to_string());
            names.push(name_event("thread_name", "name", &pid, &tid, name));
        }
        self.tracks.remove(&descriptor.uuid());
        self.descriptors.insert(descriptor.uuid(), descriptor.clone());
        names
    }

    /// What a descriptor says of its track. Of a track that is neither process nor thread its parent says where it is, which
    /// may be described after it.
    fn resolve(&mut self, uuid: u64, descriptor: &TrackDescriptor, depth: usize) -> TrackInfo {
        let name = descriptor.name.clone().or_else(|| descriptor.static_name.clone());
        let mut info =
            TrackInfo { multiplier: 1, name: name.unwrap_or_default(), ..TrackInfo::default() };
        if let Some(process) = &descriptor.process {
            (info.pid, info.tid) = (process.pid().to_string(), "0".to_owned());
        } else if let Some(thread) = &descriptor.thread {
            (info.pid, info.tid) = (thread.pid().to_string(), thread.tid().to_string());
        } else {
            let parent = descriptor.parent_uuid.filter(|parent| {
                self.descriptors.contains_key(parent) && *parent != uuid && depth < MAX_DEPTH
            });
            let parent = parent.map(|parent| self.at_depth(parent, depth + 1).clone());
            info.pid =
                parent.as_ref().map_or_else(|| quoted("tracks"), |parent| parent.pid.clone());
            if let Some(counter) = &descriptor.counter {
                info.tid = parent.map_or_else(|| "0".to_owned(), |parent| parent.tid);
                info.series =
                    Some(descriptor.description.clone().unwrap_or_else(|| "value".to_owned()));
                info.multiplier = counter.unit_multiplier.unwrap_or(1);
                info.is_incremental = counter.is_incremental();
            } else {
                info.tid = self.fresh_tid(&info.pid, &info.name, uuid);
            }
        }
        self.used.insert((info.pid.clone(), info.tid.clone()));
        info
    }

    /// The track of a thread that has no uuid. They count down from the largest, where no writer's are.
    pub(super) fn of_thread(&mut self, pid: i32, tid: i64) -> u64 {
        self.make(pid.to_string(), tid.to_string(), None)
    }

    /// The track of a queue of a device, and the names that it needs where it is new.
    pub(super) fn of_queue(&mut self, device: i32, queue: &str) -> (u64, Vec<NameEvent>) {
        let (pid, tid) = (device.to_string(), lane_of(queue));
        let n_made = self.made.len();
        let uuid = self.make(pid.clone(), tid.clone(), None);
        let mut names = Vec::new();
        if self.labelled.insert(device) {
            let label = format!("GPU {device}");
            names.push(name_event("process_labels", "labels", &pid, "0", &label));
        }
        if self.made.len() > n_made {
            names.push(name_event("thread_name", "name", &pid, &tid, queue));
        }
        (uuid, names)
    }

    /// The track of a device's counter, in a process of its own, as torch's JSON has it.
    pub(super) fn of_counter(&mut self, device: i32, name: &str) -> u64 {
        self.make(quoted(&format!("GPU {device} Counters")), "0".to_owned(), Some(name))
    }

    fn make(&mut self, pid: String, tid: String, counter: Option<&str>) -> u64 {
        let next = u64::MAX - self.made.len() as u64;
        let key = (pid.clone(), tid.clone(), counter.unwrap_or_default().to_owned());
        let uuid = *self.made.entry(key).or_insert(next);
        if uuid == next {
            self.used.insert((pid.clone(), tid.clone()));
            let name = counter.unwrap_or_default().to_owned();
            let info = TrackInfo { pid, tid, name, multiplier: 1, ..TrackInfo::default() };
            self.tracks.insert(uuid, info);
        }
        uuid
    }

    /// A name of its own for a track that is no thread.
    fn fresh_tid(&self, pid: &str, name: &str, uuid: u64) -> String {
        let name = if name.is_empty() { format!("track {uuid}") } else { name.to_owned() };
        let first = quoted(&name);
        if !self.used.contains(&(pid.to_owned(), first.clone())) {
            return first;
        }
        quoted(&format!("{name} ({uuid})"))
    }

    /// The name of the process that a track belongs to; empty where it is not known.
    pub(super) fn process_name(&self, uuid: u64) -> &str {
        let descriptor = self.descriptors.get(&uuid);
        let thread = descriptor.and_then(|descriptor| descriptor.thread.as_ref());
        let name = thread.and_then(|thread| self.processes.get(&thread.pid()));
        name.map_or("", String::as_str)
    }

    /// A track; one that was never described gets a name by its number.
    pub(super) fn get(&mut self, uuid: u64) -> &mut TrackInfo {
        self.at_depth(uuid, 0)
    }

    fn at_depth(&mut self, uuid: u64, depth: usize) -> &mut TrackInfo {
        if !self.tracks.contains_key(&uuid) {
            let info = match self.descriptors.get(&uuid).cloned() {
                Some(descriptor) => self.resolve(uuid, &descriptor, depth),
                None => TrackInfo {
                    pid: quoted("tracks"),
                    tid: quoted(&format!("track {uuid}")),
                    multiplier: 1,
                    ..TrackInfo::default()
                },
            };
            self.tracks.insert(uuid, info);
        }
        self.tracks.entry(uuid).or_default()
    }
}
