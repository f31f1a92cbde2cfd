//! What any trace holds by process or device, kind and name: also of writers that nothing else is known of.
//!
//! Rows are of device activity, of asynchronous spans, and of spans whose category says nothing; what operators, calls,
//! annotations and Python frames did has tables of its own.

use std::collections::BTreeMap;

use crate::model::EventKind;
use crate::store::{Store, StrId};

/// All spans of one process or device, kind, category and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Device index of device activity; `None` of anything else and where the trace names none.
    pub device: Option<u32>,
    /// Name of the process, or its id where it has none; `None` where the trace has neither.
    pub process: Option<String>,
    /// Kind.
    pub kind: &'static str,
    /// Category as written.
    pub category: String,
    /// Name.
    pub name: String,
    /// How often.
    pub count: u64,
    /// Sum of the durations in nanoseconds.
    pub sum_ns: i64,
    /// The shortest.
    pub min_ns: i64,
    /// The longest.
    pub max_ns: i64,
}

/// The name of a kind that has rows; `None` for the others.
fn kind_name(kind: EventKind) -> Option<&'static str> {
    Some(match kind {
        EventKind::Kernel => "kernel",
        EventKind::Memcpy => "memcpy",
        EventKind::Memset => "memset",
        EventKind::DeviceMark => "device_mark",
        EventKind::Derived => "derived",
        EventKind::Async => "async_span",
        EventKind::Other => "span",
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
pub fn activity(store: &Store) -> Vec<Activity> {
    let kinds: Vec<Option<&'static str>> =
        store.categories.iter().map(|&(_, kind)| kind_name(kind)).collect();
    if kinds.iter().all(Option::is_none) {
        return Vec::new();
    }
    let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
    let mut process = 0;
    for (number, track) in store.tracks.iter().enumerate() {
        if track.pid != store.tracks[process].pid {
            process = number;
        }
        for slice in track.slices.clone() {
            let category = store.category_number(slice);
            if kinds[category].is_some() {
                let dur_ns = store.slices.dur_ns(slice);
                sums.entry(key(store, slice, process))
                    .and_modify(|sum| sum.add(dur_ns))
                    .or_insert(Sum { count: 1, sum_ns: dur_ns, min_ns: dur_ns, max_ns: dur_ns });
            }
        }
    }
    let row = |(key, sum)| row(store, &kinds, key, &sum);
    let mut rows: Vec<Activity> = sums.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.sum_ns));
    rows
}

fn key(store: &Store, slice: usize, process: usize) -> Key {
    let is_device = store.kind(slice).is_device_activity();
    let device = if is_device { store.device_row(slice).and_then(|row| row.device) } else { None };
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

fn row(store: &Store, kinds: &[Option<&'static str>], key: Key, sum: &Sum) -> Activity {
    let process = || {
        let track = &store.tracks[key.process];
        let named = track.process_name.map(|name| store.strings.get(name).trim().to_owned());
        named.unwrap_or_else(|| store.track_id_text(&track.pid))
    };
    Activity {
        device: key.device,
        process: if key.device.is_some() { None } else { Some(process()) }
            .filter(|p| !p.is_empty()),
        kind: kinds[key.category].unwrap_or("span"),
        category: store.strings.get(store.categories[key.category].0).to_owned(),
        name: store.strings.get(key.name).to_owned(),
        count: sum.count,
        sum_ns: sum.sum_ns,
        min_ns: sum.min_ns,
        max_ns: sum.max_ns,
    }
}
