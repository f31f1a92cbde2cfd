//! Leaving classes of time out: how much of any stretch of a work thread is excluded, and what is kept of its window.
//!
//! Everything reconciles to the nanosecond: `total = kept + excluded`, for a window as for any single event. Device time
//! is never excluded. Background and idle threads are part of no total, so that nothing of theirs is excluded.

use super::base::TimeBase;
use super::intervals::{CoverIndex, Span};
use super::timeline::Class;
use super::window::slice_span;
use crate::store::Store;

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
    /// (slice, track) of overhead rows that belong to a thread of another track, by slice.
    overhead: Vec<(u32, usize)>,
}

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
        let track = match self.overhead.binary_search_by_key(&(slice as u32), |&(row, _)| row) {
            Ok(found) => self.overhead[found].1,
            Err(_) => store.track_of(slice),
        };
        let span = slice_span(store, slice);
        self.excluded_ns(track, span.start_ns, span.end_ns)
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
pub fn exclusion(base: &TimeBase, classes: &[Class]) -> Exclusion {
    let mut classes = classes.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let mut result = Exclusion { classes, ..Exclusion::default() };
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
        result.overhead.extend(thread.overhead.iter().map(|&row| (row, thread.track)));
    }
    result.overhead.sort_unstable();
    result
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

#[cfg(test)]
mod tests {
    use super::{Class, parse_classes};

    #[test]
    fn classes_are_read_by_name() {
        assert_eq!(parse_classes("ipc_wait, python"), Ok(vec![Class::IpcWait, Class::Python]));
        assert!(parse_classes("ipc").unwrap_err().contains("`ipc` is no class of time"));
    }
}
