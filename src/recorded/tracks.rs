//! What events lie on, and what a trace says about itself.

use super::events;
use super::view::{Rows, View};
use crate::schema::Coded;
use crate::store::{DeviceProperties, Store, Track};

impl<'v, T> View<'v, T> {
    fn track(&self, track: usize) -> &'v Track {
        &self.store().tracks[track]
    }

    fn gpu(&self, row: usize) -> &'v DeviceProperties {
        &self.store().meta.devices[row]
    }
}

/// The first track of each process.
fn processes(store: &Store) -> Rows {
    let is_first = |&i: &usize| i == 0 || store.tracks[i].pid != store.tracks[i - 1].pid;
    Rows::Some((0..store.tracks.len()).filter(is_first).map(|i| i as u32).collect())
}

events! {
    /// Threads and streams.
    Tracks<'v>: "tracks", "Threads and streams", "What do events lie on?", |store| Rows::All(store.tracks.len()) => {
        input: usize, Count, "#", "number of the input", |v, _| v.number();
        track: usize, Count, "track", "its number, as other tables have it", |_, i| i;
        pid: Coded<'v>, Text, "pid", "process; the device of a device's stream", |v, i| v.pid(i);
        tid: Coded<'v>, Text, "tid", "thread; the stream of a device's stream", |v, i| v.tid(i);
        process_name: Option<Coded<'v>>, Text, "process", "name of the process", |v, i| Some(v.text(v.track(i).process_name?));
        process_labels: Option<Coded<'v>>, Text, "labels", "labels of the process", |v, i| Some(v.text(v.track(i).process_labels?));
        thread_name: Option<Coded<'v>>, Text, "thread", "name of the thread", |v, i| Some(v.text(v.track(i).thread_name?));
        n_events: usize, Count, "events", "rows of the table events on it", |v, i| v.track(i).slices.len();
    }
}

events! {
    /// Processes.
    Processes<'v>: "processes", "Processes and devices", "Which processes and devices does a trace show?", processes => {
        input: usize, Count, "#", "number of the input", |v, _| v.number();
        pid: Coded<'v>, Text, "pid", "process, or the number of a device", |v, i| v.pid(i);
        name: Option<Coded<'v>>, Text, "name", "its name", |v, i| Some(v.text(v.track(i).process_name?));
        labels: Option<Coded<'v>>, Text, "labels", "its labels", |v, i| Some(v.text(v.track(i).process_labels?));
        n_tracks: usize, Count, "tracks", "threads and streams of it", |v, i| v.store().tracks[i..].iter().take_while(|track| track.pid == v.track(i).pid).count();
    }
}

events! {
    /// Devices as the trace describes them.
    Gpus<'v>: "gpus", "GPUs", "What were the GPUs of the machine?", |store| Rows::All(store.meta.devices.len()) => {
        input: usize, Count, "#", "number of the input", |v, _| v.number();
        device: u32, Count, "device", "device index", |v, i| v.gpu(i).id;
        name: &'v str, Text, "name", "what the vendor calls it", |v, i| v.gpu(i).name.as_str();
        memory_bytes: Option<u64>, Bytes, "memory", "its memory", |v, i| v.gpu(i).total_memory_bytes;
        n_sms: Option<u32>, Count, "SMs", "its streaming multiprocessors", |v, i| v.gpu(i).n_sms;
    }
}

events! {
    /// Members of a trace beside its events.
    Metadata<'v>: "metadata", "What traces say about themselves", "What does a trace say beside its events?", |store| Rows::All(store.meta.entries.len()) => {
        input: usize, Count, "#", "number of the input", |v, _| v.number();
        key: &'v str, Text, "key", "name of the member", |v, i| v.store().meta.entries[i].0.as_str();
        json: &'v str, Text, "json", "its value as the trace writes it, JSON", |v, i| v.store().meta.entries[i].1.as_str();
    }
}
