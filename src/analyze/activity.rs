//! What any trace holds by process or device, kind and name: also of writers that nothing else is known of.
//!
//! Rows are of device activity, of asynchronous spans, and of spans whose category says nothing; what operators, calls,
//! annotations and Python frames did has tables of its own.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::model::EventKind;
use crate::schema::tables;
use crate::store::{Store, StrId};

tables! {
    /// All spans of one device or process, kind and name, as the machine output gives them.
    ActivityRow: "activity", "Activity by device or process, and name", "What does any trace hold, by device or process and name?", groups 0, on Kernels 4, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        process: Option<String>, Text, All, "process", "process of what is no device's";
        kind: EventKind, Text, All, "kind", "what it is; derived rows repeat others, a device_mark is no work";
        category: String, Text, All, "category", "category as the trace writes it";
        name: String, Text, All / Subject, "name", "name";
        count: u64, Count, All, "count", "how often";
        sum_ns: i64, Ns, All, "sum", "sum of the durations";
        min_ns: i64, Ns, All, "min", "the shortest";
        max_ns: i64, Ns, All, "max", "the longest";
    }
}

impl ActivityRow {
    /// Whether no table of devices, kernels or copies has it.
    pub fn is_other(&self) -> bool {
        !self.kind.is_device_activity()
    }
}

/// Whether a kind has rows.
fn has_rows(kind: EventKind) -> bool {
    use EventKind::{Async, Derived, DeviceMark, Other};
    kind.is_device_activity() || matches!(kind, DeviceMark | Derived | Async | Other)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    device: Option<u32>,
    /// First track of the process; 0 of device activity.
    process: usize,
    category: usize,
    name: StrId,
}

struct Sum {
    count: u64,
    sum_ns: i64,
    min_ns: i64,
    max_ns: i64,
}

/// The rows of a store, the largest sum first.
pub fn activity(input: usize, store: &Store) -> Vec<ActivityRow> {
    if !store.categories.iter().any(|&(_, kind)| has_rows(kind)) {
        return Vec::new();
    }
    let mut sums: HashMap<Key, Sum, FixedState> = HashMap::default();
    let mut devices = store.device_rows.iter().peekable();
    let mut process = 0;
    for (number, track) in store.tracks.iter().enumerate() {
        if track.pid != store.tracks[process].pid {
            process = number;
        }
        for slice in store.slices_of(track.slices.clone(), has_rows) {
            while devices.next_if(|row| (row.slice as usize) < slice).is_some() {}
            let row = devices.peek().filter(|row| row.slice as usize == slice);
            let dur_ns = store.slices.dur_ns(slice);
            sums.entry(key(store, slice, row.and_then(|row| row.device), process))
                .and_modify(|sum| sum.add(dur_ns))
                .or_insert(Sum { count: 1, sum_ns: dur_ns, min_ns: dur_ns, max_ns: dur_ns });
        }
    }
    let mut sums: Vec<(Key, Sum)> = sums.into_iter().collect();
    sums.sort_by_key(|&(key, _)| key);
    let row = |(key, sum)| ActivityRow { input, ..row(store, key, &sum) };
    let mut rows: Vec<ActivityRow> = sums.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.sum_ns));
    rows
}

fn key(store: &Store, slice: usize, device: Option<u32>, process: usize) -> Key {
    let device = device.filter(|_| store.kind(slice).is_device_activity());
    let process = if device.is_some() { 0 } else { process };
    Key { device, process, category: store.category_number(slice), name: store.slices.name[slice] }
}

impl Sum {
    fn add(&mut self, dur_ns: i64) {
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(dur_ns);
        self.min_ns = self.min_ns.min(dur_ns);
        self.max_ns = self.max_ns.max(dur_ns);
    }
}

fn row(store: &Store, key: Key, sum: &Sum) -> ActivityRow {
    let process = || {
        let track = &store.tracks[key.process];
        let named = track.process_name.map(|name| store.strings.get(name).trim().to_owned());
        named.unwrap_or_else(|| store.track_id_text(&track.pid))
    };
    let (category, kind) = store.categories[key.category];
    ActivityRow {
        input: 0,
        device: key.device,
        process: if key.device.is_some() { None } else { Some(process()) }
            .filter(|p| !p.is_empty()),
        kind,
        category: store.strings.get(category).to_owned(),
        name: store.strings.get(key.name).to_owned(),
        count: sum.count,
        sum_ns: sum.sum_ns,
        min_ns: sum.min_ns,
        max_ns: sum.max_ns,
    }
}
