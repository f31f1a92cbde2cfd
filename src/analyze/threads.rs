//! What each host thread did: its window split into classes, and the table of its waits.

use std::collections::BTreeMap;

use serde::Serialize;

use super::base::TimeBase;
use super::breakdown::{BreakdownRow, breakdown};
use super::exclude::Exclusion;
use super::host::{HostThread, ThreadKind, WaitFrame};
use super::percent;
use super::timeline::Class;
use super::wait_rules::{WaitRules, group_name};
use super::window::slice_span;
use crate::model::EventKind;
use crate::schema::{IdCell, carried, tables};
use crate::store::Store;

tables! {
    /// One class of a thread's time.
    ThreadClassRow: "threads", "Threads", "What did each thread do with its window?", groups 6, on Breakdown 7, inside "threads" "classes", shown Folded, carried whole {
        #[serde(skip)]
        input: usize, Count, All, "#", "number of the input";
        #[serde(skip)]
        pid: IdCell, Text, All, "pid", "process";
        #[serde(skip)]
        tid: IdCell, Text, All, "tid", "thread";
        #[serde(skip)]
        kind: ThreadKind, Text, All, "kind", "work, background or idle";
        #[serde(skip)]
        name: Option<String>, Text, All, "thread", "name of the thread";
        #[serde(skip)]
        window_ns: i64, Ns, All, "window", "the thread's window";
        #[serde(skip)]
        excluded_ns: i64, Ns, Machines, "excluded", "what was left out of the window";
        class: Class, Text, All, "class", "what the thread was doing";
        ns: Option<i64>, Ns, All, "time", "time in the class; none where the trace records nothing that would show it";
        pct: Option<f64>, Percent, All, "share", "time in the class, of the window";
    }
}

/// One host thread of one input, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ThreadRow {
    /// Number of the input.
    pub input: usize,
    /// Process.
    pub pid: IdCell,
    /// Thread.
    pub tid: IdCell,
    /// `thread_name`, without the trailing spaces that writers leave.
    pub name: Option<String>,
    /// What the thread is there for.
    pub kind: ThreadKind,
    /// The file window less what is excluded of a work thread; the classes partition it.
    pub window_ns: i64,
    /// Every class in the order of [`Class::ALL`], without those that were left out. The times that are there sum to the
    /// window.
    pub classes: Vec<ThreadClassRow>,
    /// What was left out of the window.
    pub excluded_ns: i64,
    /// Index into [`Store::tracks`].
    #[serde(skip)]
    pub track: usize,
}

carried!(ThreadRow {
    input: usize,
    pid: IdCell,
    tid: IdCell,
    name: Option<String>,
    kind: ThreadKind,
    window_ns: i64,
    classes: Vec<ThreadClassRow>,
    excluded_ns: i64,
} track);

impl ThreadRow {
    /// Time of a class; 0 where it is not recorded.
    pub fn class_ns(&self, class: Class) -> i64 {
        self.classes.iter().find(|row| row.class == class).and_then(|row| row.ns).unwrap_or(0)
    }

    /// Takes an excluded part out of the window, and its classes out of the row.
    fn leave_out(&mut self, exclusion: &Exclusion) {
        let found = exclusion.threads.iter().find(|part| part.track == self.track);
        self.excluded_ns = found.map_or(0, |part| part.excluded_ns);
        self.window_ns -= self.excluded_ns;
        self.classes.retain(|row| !exclusion.classes.contains(&row.class));
        for row in &mut self.classes {
            (row.window_ns, row.excluded_ns) = (self.window_ns, self.excluded_ns);
            row.pct = row.ns.and_then(|ns| percent(ns, self.window_ns));
        }
    }
}

tables! {
    /// One name that threads waited in, as the machine output gives it.
    WaitRow: "waits", "Waits", "What did threads wait in?", groups 0, on Waits 1, carried whole {
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

/// The host side of one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Threads {
    /// The threads: work, then background, then idle ones; by track.
    pub threads: Vec<ThreadRow>,
    /// Waits of the work threads, by class, then sum descending.
    pub waits: Vec<WaitRow>,
    /// Waits of the background threads, in the same order; part of no total.
    pub background_waits: Vec<WaitRow>,
    /// Index into `threads` of the lead: the work thread of which the trace explains the most time.
    pub lead: Option<usize>,
    /// Execution, waiting and total of the lead, so that the total is time on the wall; the same of all work threads, where
    /// there is more than one.
    pub breakdown: Vec<BreakdownRow>,
}

/// The time account of the host threads.
pub fn threads(store: &Store, base: &TimeBase, rules: &WaitRules) -> Threads {
    let shown = Recorded::of(store);
    let row = |thread| thread_row(store, base.input, thread, shown);
    let mut threads: Vec<ThreadRow> = base.threads.iter().map(row).collect();
    threads.sort_by_key(|thread| (thread.kind, thread.track));
    let works = threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
    let explained = |thread: &ThreadRow| thread.window_ns - thread.class_ns(Class::Unattributed);
    let lead = (0..works.clone().count()).min_by_key(|&i| (-explained(&threads[i]), i));
    Threads {
        lead,
        breakdown: breakdown(&threads, lead),
        threads,
        waits: wait_rows(store, base, rules, ThreadKind::Work),
        background_waits: wait_rows(store, base, rules, ThreadKind::Background),
    }
}

impl Threads {
    /// Takes excluded classes out of the windows of the work threads, their classes and the breakdown. The waits stay:
    /// they are where the excluded time is.
    pub fn leave_out(&mut self, exclusion: &Exclusion) {
        let works = self.threads.iter_mut().filter(|thread| thread.kind == ThreadKind::Work);
        works.for_each(|thread| thread.leave_out(exclusion));
        self.breakdown = breakdown(&self.threads, self.lead);
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

fn thread_row(store: &Store, input: usize, thread: &HostThread, shown: Recorded) -> ThreadRow {
    let track = &store.tracks[thread.track];
    let sums = thread.timeline.totals();
    let shows = |class| match thread.kind {
        ThreadKind::Idle => matches!(class, Class::OtherWait | Class::Unattributed),
        _ => shown.shows(class, thread.has_frames),
    };
    let [pid, tid] = [&track.pid, &track.tid].map(|id| IdCell::of(&store.track_id_text(id)));
    let name = track.thread_name.map(|name| store.strings.get(name).trim_end().to_owned());
    let window_ns = thread.timeline.window().len_ns();
    let row = |class| {
        let ns = sums.get(class);
        let ns = (ns > 0 || shows(class)).then_some(ns);
        ThreadClassRow {
            input,
            pid: pid.clone(),
            tid: tid.clone(),
            kind: thread.kind,
            name: name.clone(),
            window_ns,
            excluded_ns: 0,
            class,
            ns,
            pct: ns.and_then(|ns| percent(ns, window_ns)),
        }
    };
    ThreadRow {
        input,
        classes: Class::ALL.into_iter().map(row).collect(),
        pid,
        tid,
        name,
        kind: thread.kind,
        window_ns,
        excluded_ns: 0,
        track: thread.track,
    }
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
