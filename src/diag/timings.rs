//! How long the steps of a run took and when, for whoever makes them faster. Off unless asked for; nothing is measured then.
//!
//! Steps that run on several threads at once add up their busy times. Nothing here prints, and no output depends on it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

static IS_ON: AtomicBool = AtomicBool::new(false);
static STARTED: OnceLock<Instant> = OnceLock::new();
static STEPS: Mutex<Steps> = Mutex::new(Steps { part: "", known: BTreeMap::new() });

/// The steps so far, by the part of the run that they belong to.
struct Steps {
    /// The part that goes on now.
    part: &'static str,
    known: BTreeMap<(&'static str, &'static str), Timing>,
}

/// What is known of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often it ran.
    pub count: u64,
    /// Sum over all threads.
    pub busy: Duration,
    /// When it ran first, since the measuring began.
    pub first: Duration,
    /// When it ended last.
    pub last: Duration,
}

/// Begins to measure.
pub fn start() {
    STARTED.get_or_init(Instant::now);
    IS_ON.store(true, Ordering::Relaxed);
}

/// Begins a part of the run; what it does is told apart from the same steps before. The first part has no name.
pub fn part(name: &'static str) {
    STEPS.lock().unwrap_or_else(PoisonError::into_inner).part = name;
}

/// Does some work, and adds its time to a step where times are measured.
pub fn timed<T>(step: &'static str, work: impl FnOnce() -> T) -> T {
    let Some(&started) = STARTED.get().filter(|_| IS_ON.load(Ordering::Relaxed)) else {
        return work();
    };
    let begin = started.elapsed();
    let result = work();
    let end = started.elapsed();
    let mut steps = STEPS.lock().unwrap_or_else(PoisonError::into_inner);
    let new = Timing { count: 0, busy: Duration::ZERO, first: begin, last: end };
    let part = steps.part;
    let timing = steps.known.entry((part, step)).or_insert(new);
    timing.count += 1;
    timing.busy += end - begin;
    timing.first = timing.first.min(begin);
    timing.last = timing.last.max(end);
    result
}

/// The steps so far, each behind its part, in the order in which they began; empty where times are not measured.
pub fn timings() -> Vec<((&'static str, &'static str), Timing)> {
    let steps = STEPS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all: Vec<_> = steps.known.iter().map(|(&step, &timing)| (step, timing)).collect();
    all.sort_by_key(|(_, timing)| timing.first);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_add_up_once_it_is_on() {
        assert_eq!(timed("before", || 1), 1);
        start();
        for _ in 0..3 {
            timed("sleep", || std::thread::sleep(Duration::from_millis(2)));
        }
        part("again");
        timed("sleep", || ());
        let all = timings();
        assert!(!all.iter().any(|&((_, step), _)| step == "before"));
        let of = |part| all.iter().find(|&&(step, _)| step == (part, "sleep")).expect("it ran").1;
        let (sleep, again) = (of(""), of("again"));
        assert_eq!((sleep.count, again.count), (3, 1));
        assert!(sleep.busy >= Duration::from_millis(6) && sleep.last - sleep.first >= sleep.busy);
    }
}
