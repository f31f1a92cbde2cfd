//! Tracks to processes and threads, as JSON texts of pid and tid.

use std::collections::{BTreeMap, BTreeSet};

use omni_trace_proto::perfetto::TrackDescriptor;

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
    used: BTreeSet<(String, String)>,
    /// Tracks of threads that no descriptor with a uuid tells of.
    threads: BTreeMap<(i32, i64), u64>,
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Tracks {
    /// Takes a descriptor; gives the names that it tells.
    pub(super) fn describe(&mut self, descriptor: &TrackDescriptor) -> Vec<NameEvent> {
        let mut names = Vec::new();
        let parent = descriptor.parent_uuid.and_then(|uuid| self.tracks.get(&uuid)).cloned();
        let mut info = TrackInfo { multiplier: 1, ..TrackInfo::default() };
        info.name =
            descriptor.name.clone().or_else(|| descriptor.static_name.clone()).unwrap_or_default();
        let mut event = |kind, key, pid: &str, tid: &str, name: &str| {
            names.push(NameEvent {
                kind,
                key,
                pid: pid.into(),
                tid: tid.into(),
                name: name.into(),
            });
        };
        if let Some(process) = &descriptor.process {
            info.pid = process.pid().to_string();
            info.tid = "0".to_owned();
            let name = process.process_name.as_ref().or(process.cmdline.first());
            if let Some(name) = name {
                event("process_name", "name", &info.pid, "0", name);
            }
            if !process.process_labels.is_empty() {
                event(
                    "process_labels",
                    "labels",
                    &info.pid,
                    "0",
                    &process.process_labels.join(","),
                );
            }
        } else if let Some(thread) = &descriptor.thread {
            info.pid = thread.pid().to_string();
            info.tid = thread.tid().to_string();
            if let Some(name) = &thread.thread_name {
                event("thread_name", "name", &info.pid, &info.tid, name);
            }
        } else {
            info.pid =
                parent.as_ref().map_or_else(|| quoted("tracks"), |parent| parent.pid.clone());
            info.tid = self.fresh_tid(&info.pid, &info.name, descriptor.uuid());
            if let Some(counter) = &descriptor.counter {
                info.tid = parent.map_or_else(|| "0".to_owned(), |parent| parent.tid);
                info.series =
                    Some(descriptor.description.clone().unwrap_or_else(|| "value".to_owned()));
                info.multiplier = counter.unit_multiplier.unwrap_or(1);
                info.is_incremental = counter.is_incremental();
            }
        }
        self.used.insert((info.pid.clone(), info.tid.clone()));
        self.tracks.insert(descriptor.uuid(), info);
        names
    }

    /// The track of a thread that has no uuid. They count down from the largest, where no writer's are.
    pub(super) fn of_thread(&mut self, pid: i32, tid: i64) -> u64 {
        let next = u64::MAX - self.threads.len() as u64;
        let uuid = *self.threads.entry((pid, tid)).or_insert(next);
        if uuid == next {
            let (pid, tid) = (pid.to_string(), tid.to_string());
            self.used.insert((pid.clone(), tid.clone()));
            let info = TrackInfo { pid, tid, multiplier: 1, ..TrackInfo::default() };
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

    /// A track; one that was never described gets a name by its number.
    pub(super) fn get(&mut self, uuid: u64) -> &mut TrackInfo {
        self.tracks.entry(uuid).or_insert_with(|| TrackInfo {
            pid: quoted("tracks"),
            tid: quoted(&format!("track {uuid}")),
            multiplier: 1,
            ..TrackInfo::default()
        })
    }
}
