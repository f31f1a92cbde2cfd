//! What each host thread did: its window split into classes, and the table of its waits.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::exclude::Exclusion;
use super::host::{HostThread, ThreadKind, WaitFrame};
use super::timeline::{Class, ClassNs};
use super::wait_rules::{WaitRules, group_name};
use super::window::slice_span;
use crate::model::EventKind;
use crate::schema::tables;
use crate::store::Store;

/// The time account of one host thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadTime {
    /// Index into [`Store::tracks`].
    pub track: usize,
    /// Process id as the trace gives it.
    pub pid: String,
    /// Thread id as the trace gives it.
    pub tid: String,
    /// `thread_name`, without the trailing spaces that writers leave.
    pub name: Option<String>,
    /// What the thread is there for.
    pub kind: ThreadKind,
    /// The file window less what is excluded of a work thread; the classes partition it.
    pub window_ns: i64,
    /// What [`Threads::leave_out`] took out of the window.
    pub excluded_ns: i64,
    /// Whether Python frames were recorded on it.
    pub has_frames: bool,
    /// Every class in the order of [`Class::ALL`], with its time; `None` where the trace does not record what would
    /// show it. The times that are there sum to the window.
    pub classes: Vec<(Class, Option<i64>)>,
}

impl ThreadTime {
    /// Time of a class; 0 where it is not recorded.
    pub fn class_ns(&self, class: Class) -> i64 {
        self.classes.iter().find(|&&(known, _)| known == class).and_then(|&(_, ns)| ns).unwrap_or(0)
    }
}

tables! {
    /// One name that threads waited in, as the machine output gives it.
    WaitRow: "waits", "Waits", "What did threads wait in?", groups 0, carried whole {
        input: usize, Count, All / First, "#", "number of the input";
        class: Class, Text, All / First, "class", "class of the wait";
        name: String, Text, All / Subject, "name", "outermost frame of the wait";
        count: u64, Count, All, "count", "how often";
        sum_ns: i64, Ns, All, "sum", "sum of the waits";
        max_ns: i64, Ns, All / End, "max", "the longest wait";
        net_ns: i64, Ns, All, "net", "sum less the deserialization inside";
        label: String, Text, All / Lead, "rule", "label of the rule that matched";
    }
}

/// Execution, waiting and the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Threads summed.
    pub n_threads: u64,
    /// Time in operators, calls, loading, Python and the profiler.
    pub execution_ns: i64,
    /// Time in IPC waits, GPU synchronization and other waits.
    pub waiting_ns: i64,
    /// Time that no event explains.
    pub unattributed_ns: i64,
    /// Sum of the windows of the threads: execution, waiting and unattributed.
    pub total_ns: i64,
    /// What was excluded of these threads; in none of the above.
    pub excluded_ns: i64,
}

/// The host side of one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Threads {
    /// The threads: work, then background, then idle ones; by track.
    pub threads: Vec<ThreadTime>,
    /// Waits of the work threads, by class, then sum descending.
    pub waits: Vec<WaitRow>,
    /// Waits of the background threads, in the same order; part of no total.
    pub background_waits: Vec<WaitRow>,
    /// Index into `threads` of the lead: the work thread of which the trace explains the most time.
    pub lead: Option<usize>,
    /// Execution, waiting and total of the lead, so that the total is time on the wall.
    pub breakdown: Breakdown,
    /// The same, summed over all work threads.
    pub breakdown_all: Breakdown,
}

/// The time account of the host threads.
pub fn threads(store: &Store, base: &TimeBase, rules: &WaitRules) -> Threads {
    let shown = Recorded::of(store);
    let mut threads: Vec<ThreadTime> =
        base.threads.iter().map(|thread| thread_time(store, thread, shown)).collect();
    threads.sort_by_key(|thread| (thread.kind, thread.track));
    let works = threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
    let explained = |thread: &ThreadTime| thread.window_ns - thread.class_ns(Class::Unattributed);
    let lead = (0..works.clone().count()).min_by_key(|&i| (-explained(&threads[i]), i));
    Threads {
        lead,
        breakdown: breakdown(lead.map(|i| &threads[i])),
        breakdown_all: breakdown(works),
        threads,
        waits: wait_rows(store, base, rules, ThreadKind::Work),
        background_waits: wait_rows(store, base, rules, ThreadKind::Background),
    }
}

impl Threads {
    /// Takes excluded classes out of the windows of the work threads, their classes and the breakdown. The waits stay:
    /// they are where the excluded time is.
    pub fn leave_out(&mut self, exclusion: &Exclusion) {
        for thread in self.threads.iter_mut().filter(|thread| thread.kind == ThreadKind::Work) {
            let found = exclusion.threads.iter().find(|part| part.track == thread.track);
            thread.excluded_ns = found.map_or(0, |part| part.excluded_ns);
            thread.window_ns -= thread.excluded_ns;
            thread.classes.retain(|(class, _)| !exclusion.classes.contains(class));
        }
        self.breakdown = breakdown(self.lead.map(|i| &self.threads[i]));
        let is_work = |thread: &&ThreadTime| thread.kind == ThreadKind::Work;
        self.breakdown_all = breakdown(self.threads.iter().filter(is_work));
    }
}

/// Which kinds of event the whole trace shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recorded {
    calls: bool,
    ops: bool,
    overhead: bool,
}

impl Recorded {
    pub(super) fn of(store: &Store) -> Self {
        let any =
            |wanted: &dyn Fn(EventKind) -> bool| store.categories.iter().any(|&(_, k)| wanted(k));
        Self {
            calls: any(&EventKind::is_api_call),
            ops: any(&|kind| kind == EventKind::CpuOp),
            overhead: any(&|kind| kind == EventKind::Overhead),
        }
    }

    /// Whether time of a class would show on a thread.
    pub(super) fn shows(self, class: Class, has_frames: bool) -> bool {
        match class {
            Class::IpcWait | Class::OtherWait | Class::Python => has_frames,
            Class::GpuSync | Class::Runtime => self.calls,
            Class::ModuleLoading => self.calls || self.overhead,
            Class::Profiler => self.overhead,
            Class::CpuOp => self.ops,
            Class::Unattributed => true,
        }
    }
}

fn thread_time(store: &Store, thread: &HostThread, shown: Recorded) -> ThreadTime {
    let track = &store.tracks[thread.track];
    let sums = thread.timeline.totals();
    let shows = |class| match thread.kind {
        ThreadKind::Idle => matches!(class, Class::OtherWait | Class::Unattributed),
        _ => shown.shows(class, thread.has_frames),
    };
    let row = |class| {
        let ns = sums.get(class);
        (class, (ns > 0 || shows(class)).then_some(ns))
    };
    ThreadTime {
        track: thread.track,
        pid: store.track_id_text(&track.pid),
        tid: store.track_id_text(&track.tid),
        name: track.thread_name.map(|name| store.strings.get(name).trim_end().to_owned()),
        kind: thread.kind,
        window_ns: thread.timeline.window().len_ns(),
        excluded_ns: 0,
        has_frames: thread.has_frames,
        classes: Class::ALL.into_iter().map(row).collect(),
    }
}

fn breakdown<'a>(threads: impl IntoIterator<Item = &'a ThreadTime>) -> Breakdown {
    let mut sums = ClassNs::default();
    let mut sum = Breakdown::default();
    for thread in threads {
        sum.n_threads += 1;
        sum.total_ns += thread.window_ns;
        sum.excluded_ns += thread.excluded_ns;
        thread.classes.iter().for_each(|&(class, ns)| sums.add(class, ns.unwrap_or(0)));
    }
    sum.unattributed_ns = sums.get(Class::Unattributed);
    sum.waiting_ns = Class::ALL.into_iter().filter(|c| c.is_wait()).map(|c| sums.get(c)).sum();
    sum.execution_ns = sums.total_ns() - sum.waiting_ns - sum.unattributed_ns;
    sum
}

fn wait_rows(store: &Store, base: &TimeBase, rules: &WaitRules, kind: ThreadKind) -> Vec<WaitRow> {
    let mut rows: BTreeMap<(Class, String, String), WaitRow> = BTreeMap::new();
    for thread in base.threads.iter().filter(|thread| thread.kind == kind) {
        // Names repeat; a row is looked up by text once a name, not once a wait.
        let mut by_name: BTreeMap<(Option<u16>, u32, Class), WaitSum> = BTreeMap::new();
        for wait in &thread.waits {
            let name = store.slices.name[wait.slice as usize].0;
            by_name.entry((wait.rule, name, wait.class)).or_default().add(store, thread, wait);
        }
        for ((rule, name, class), sum) in by_name {
            let label = rule.map_or("sync.copy", |n| rules.rules()[usize::from(n)].label.as_str());
            let name = group_name(store.strings.get(crate::store::StrId(name)));
            let key = (class, label.to_owned(), name.clone());
            let row = rows.entry(key).or_insert_with(|| WaitRow {
                input: base.input,
                class,
                label: label.to_owned(),
                name,
                count: 0,
                sum_ns: 0,
                net_ns: 0,
                max_ns: 0,
            });
            row.count += sum.count;
            row.sum_ns += sum.sum_ns;
            row.net_ns += sum.net_ns;
            row.max_ns = row.max_ns.max(sum.max_ns);
        }
    }
    let mut rows: Vec<WaitRow> = rows.into_values().collect();
    rows.sort_by(|a, b| {
        (a.class, b.sum_ns, &a.label, &a.name).cmp(&(b.class, a.sum_ns, &b.label, &b.name))
    });
    rows
}

/// Sums over the waits of one thread with one name.
#[derive(Clone, Copy, Debug, Default)]
struct WaitSum {
    count: u64,
    sum_ns: i64,
    net_ns: i64,
    max_ns: i64,
}

impl WaitSum {
    fn add(&mut self, store: &Store, thread: &HostThread, wait: &WaitFrame) {
        let dur_ns = match wait.class {
            Class::IpcWait => {
                slice_span(store, wait.slice as usize).clip(thread.timeline.window()).len_ns()
            }
            _ => wait.net_ns,
        };
        self.count += 1;
        self.sum_ns += dur_ns;
        self.max_ns = self.max_ns.max(dur_ns);
        self.net_ns += wait.net_ns;
    }
}
