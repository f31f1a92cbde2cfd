//! Leaving classes of time out: how much of any stretch of a work thread is excluded, and what is kept of its window.
//!
//! Everything reconciles to the nanosecond: `total = kept + excluded`, for a window as for any single event. Device time
//! is never excluded. Background and idle threads are part of no total, so that nothing of theirs is excluded.

use super::base::TimeBase;
use super::host::ThreadKind;
use super::intervals::{CoverIndex, Span};
use super::percent;
use super::threads::ThreadRow;
use super::timeline::Class;
use super::window::slice_span;
use crate::model::EventKind;
use crate::schema::{IdCell, tables};
use crate::store::{Store, StrId};

tables! {
    /// What was left out of one work thread, as the machine output gives it.
    ExcludedRow: "excluded", "Left out of the work threads", "What did --exclude leave out, and where?", groups 3, on Breakdown 4, carried whole {
        input: usize, Count, All, "#", "number of the input";
        pid: IdCell, Text, All, "pid", "process";
        tid: IdCell, Text, All, "tid", "thread";
        class: Class, Text, All / End, "class", "class of time that was left out";
        excluded_ns: i64, Ns, All, "excluded", "what was left out";
        excluded_pct: Option<f64>, Percent, All, "share", "of the whole window";
        whole_window_ns: i64, Ns, All / Lead, "whole window", "window with everything";
        kept_window_ns: i64, Ns, All / Lead, "kept", "window less what was left out";
    }
}

impl ExcludedRow {
    /// The rows of an input, one for each work thread and class.
    pub fn of(input: usize, threads: &[ThreadRow], exclusion: &Exclusion) -> Vec<Self> {
        let mut rows = Vec::new();
        for part in &exclusion.threads {
            let found = threads.iter().find(|thread| thread.track == part.track);
            let id =
                |id: fn(&ThreadRow) -> &IdCell| found.map_or(IdCell::of(""), |one| id(one).clone());
            rows.extend(part.by_class.iter().map(|&(class, ns)| Self {
                input,
                pid: id(|thread| &thread.pid),
                tid: id(|thread| &thread.tid),
                class,
                excluded_ns: ns,
                excluded_pct: percent(ns, part.window_ns),
                whole_window_ns: part.window_ns,
                kept_window_ns: part.kept_ns,
            }));
        }
        rows
    }
}

/// What is excluded of one work thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadExclusion {
    /// Index into [`crate::store::Store::tracks`].
    pub track: usize,
    /// The window.
    pub window_ns: i64,
    /// Of it, what is excluded.
    pub excluded_ns: i64,
    /// Of it, what is kept.
    pub kept_ns: i64,
    /// The excluded time by class, in the order of [`Class::ALL`].
    pub by_class: Vec<(Class, i64)>,
}

/// The excluded time of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusion {
    /// The excluded classes, in the order of [`Class::ALL`].
    pub classes: Vec<Class>,
    /// The work threads, by track.
    pub threads: Vec<ThreadExclusion>,
    /// By thread, in the same order.
    indexes: Vec<CoverIndex>,
    /// Overhead rows that belong to a thread of another track, with that track, sorted.
    overhead: Vec<(OverheadKey, usize)>,
    /// Where the IPC wait is excluded: background and idle threads, with the time in which they run something that is
    /// neither Python nor a wait, by track.
    helpers: Vec<(usize, CoverIndex)>,
    window: Span,
}

/// What an overhead row is known by, in a store as in the part of it that the window cuts out: slices are numbered anew
/// in a part, while tracks, names and cut spans stay.
type OverheadKey = (usize, StrId, i64, i64);

impl Exclusion {
    /// Excluded time of a track between two instants, in logarithmic time. 0 for tracks that are no work thread.
    pub fn excluded_ns(&self, track: usize, start_ns: i64, end_ns: i64) -> i64 {
        match self.threads.binary_search_by_key(&track, |thread| thread.track) {
            Ok(found) => self.indexes[found].covered_ns(start_ns, end_ns),
            Err(_) => 0,
        }
    }

    /// Excluded time inside an event of the host; that of an overhead row is on the thread that it belongs to.
    pub fn of_slice(&self, store: &Store, slice: usize) -> i64 {
        let span = slice_span(store, slice);
        self.excluded_ns(self.owner(store, slice), span.start_ns, span.end_ns)
    }

    /// What an event of the host loses in the profiler table. Where the IPC wait is excluded, Python and waits of
    /// background and idle threads leave it too: they are part of no window, and nearly all of them is waiting that no
    /// rule knows.
    pub fn of_row(&self, store: &Store, slice: usize) -> i64 {
        let track = self.owner(store, slice);
        let span = slice_span(store, slice);
        match self.helpers.binary_search_by_key(&track, |helper| helper.0) {
            Ok(found) => {
                store.slices.dur_ns(slice)
                    - self.helpers[found].1.covered_ns(span.start_ns, span.end_ns)
            }
            Err(_) => self.excluded_ns(track, span.start_ns, span.end_ns),
        }
    }

    /// The track that the time of an event is on.
    fn owner(&self, store: &Store, slice: usize) -> usize {
        let own = store.track_of(slice);
        if store.kind(slice) != EventKind::Overhead {
            return own;
        }
        let key = overhead_key(store, slice, self.window);
        match self.overhead.binary_search_by_key(&key, |&(known, _)| known) {
            Ok(found) => self.overhead[found].1,
            Err(_) => own,
        }
    }

    /// Excluded time of a class over all work threads.
    pub fn class_ns(&self, class: Class) -> i64 {
        let of_class = |thread: &ThreadExclusion| {
            thread.by_class.iter().find(|&&(known, _)| known == class).map_or(0, |&(_, ns)| ns)
        };
        self.threads.iter().map(of_class).sum()
    }

    /// What is kept of a stretch of a track.
    pub fn kept_ns(&self, track: usize, span: Span) -> i64 {
        span.len_ns() - self.excluded_ns(track, span.start_ns, span.end_ns)
    }

    /// Excluded time over all work threads.
    pub fn total_ns(&self) -> i64 {
        self.threads.iter().map(|thread| thread.excluded_ns).sum()
    }
}

/// The time of some classes on the work threads.
pub fn exclusion(store: &Store, base: &TimeBase, classes: &[Class]) -> Exclusion {
    let mut classes = classes.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let window = base.windows.file;
    let mut result = Exclusion { classes, window, ..Exclusion::default() };
    for thread in base.work_threads() {
        let excluded = thread.timeline.set_of(|class| result.classes.contains(&class));
        let sums = thread.timeline.totals();
        let window_ns = thread.timeline.window().len_ns();
        let excluded_ns = excluded.total_ns();
        result.threads.push(ThreadExclusion {
            track: thread.track,
            window_ns,
            excluded_ns,
            kept_ns: window_ns - excluded_ns,
            by_class: result.classes.iter().map(|&class| (class, sums.get(class))).collect(),
        });
        result.indexes.push(excluded.index());
        let key = |&row: &u32| (overhead_key(store, row as usize, window), thread.track);
        result.overhead.extend(thread.overhead.iter().map(key));
    }
    result.overhead.sort_unstable();
    if result.classes.contains(&Class::IpcWait) {
        let helpers = base.threads.iter().filter(|thread| thread.kind != ThreadKind::Work);
        let runs = |class| {
            matches!(
                class,
                Class::CpuOp
                    | Class::Runtime
                    | Class::GpuSync
                    | Class::ModuleLoading
                    | Class::Profiler
            )
        };
        result.helpers =
            helpers.map(|thread| (thread.track, thread.timeline.set_of(runs).index())).collect();
    }
    result
}

fn overhead_key(store: &Store, slice: usize, window: Span) -> OverheadKey {
    let span = slice_span(store, slice).clip(window);
    (store.track_of(slice), store.slices.name[slice], span.start_ns, span.end_ns)
}

/// The classes of a list such as `ipc_wait,gpu_sync`.
///
/// # Errors
///
/// Names the word that is no class, and the classes that there are.
pub fn parse_classes(text: &str) -> Result<Vec<Class>, String> {
    let one = |word: &str| {
        Class::from_name(word.trim()).ok_or_else(|| {
            let known: Vec<&str> = Class::ALL.into_iter().map(Class::as_str).collect();
            format!("`{word}` is no class of time: expected {}", known.join(", "))
        })
    };
    text.split(',').map(one).collect()
}

/// A class of time that can be left out. Operators cannot: they are what the tables are about.
///
/// # Errors
///
/// What it should have been.
pub fn excludable(word: &str) -> Result<Class, String> {
    match parse_classes(word)?.as_slice() {
        [Class::CpuOp] => {
            Err("operators are what the tables are about; leave out waits".to_owned())
        }
        [class] => Ok(*class),
        _ => Err("one class at a time, or several with commas".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, parse_classes};

    #[test]
    fn classes_are_read_by_name() {
        assert_eq!(parse_classes("ipc_wait, python"), Ok(vec![Class::IpcWait, Class::Python]));
        assert!(parse_classes("ipc").unwrap_err().contains("`ipc` is no class of time"));
    }
}
