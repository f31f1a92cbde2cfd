//! Hand-offs between processes that share no collective: what one sent and another received.
//!
//! Stages hand work on through queues (`shm_broadcast`): a receive cannot end before its send began, whatever the clocks
//! say. One direction alone bounds an offset on one side only, as nothing says how long a message was under way; where
//! work goes both ways, as between a front end and its workers, the bounds enclose the offset. Hand-offs are matched by
//! order, and only where both sides recorded equally many: a window that misses some would pair the wrong ones.

use super::AlignInput;
use crate::model::{EventKind, Identity, Role};
use crate::store::Store;

/// What tells of a hand-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Send,
    Receive,
    Work,
}

/// Sends and receives of one input, in order. Times are those of the file, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandOffs {
    /// When each send began.
    pub sends: Vec<i64>,
    /// When each receive ended.
    pub receives: Vec<i64>,
}

/// What hand-offs say of a difference between two clocks, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandOffBounds {
    /// The input it is measured against.
    pub reference: usize,
    /// This clock less the reference's is not below this.
    pub at_least_ns: Option<i64>,
    /// Nor above this.
    pub at_most_ns: Option<i64>,
    /// Hand-offs that matched.
    pub n_matched: usize,
}

impl HandOffBounds {
    /// The offset in the middle of the bounds and its error, in nanoseconds; `None` where there is a bound on one side only.
    pub fn offset(&self) -> Option<(i64, i64)> {
        let (least, most) = (self.at_least_ns?, self.at_most_ns?);
        let error_ns = most.saturating_sub(least).saturating_add(1) / 2;
        Some((least.saturating_add(most.saturating_sub(least) / 2), error_ns.max(1)))
    }

    /// The bounds with what the bases account for.
    pub(super) fn shifted(self, shift_ns: i64) -> Self {
        let shifted = |bound: Option<i64>| bound.map(|ns| ns.saturating_add(shift_ns));
        let (at_least_ns, at_most_ns) = (shifted(self.at_least_ns), shifted(self.at_most_ns));
        Self { at_least_ns, at_most_ns, ..self }
    }

    /// Whether the clocks as they are cannot be: something was received before it was sent.
    pub fn excludes_zero(&self) -> bool {
        self.at_least_ns.is_some_and(|ns| ns > 0) || self.at_most_ns.is_some_and(|ns| ns < 0)
    }
}

impl HandOffs {
    /// A worker's sends and receives count where work lies between: others carry commands and replies to a supervisor.
    pub(super) fn of(store: &Store, identity: &Identity) -> Self {
        let marks = marks(store);
        let mut found = Self::default();
        let is_front_end = identity.role == Role::FrontEnd;
        let (mut received_ns, mut has_worked) = (None, is_front_end);
        for &(start_ns, end_ns, mark) in &marks {
            match mark {
                Mark::Receive if is_front_end => found.receives.push(end_ns),
                Mark::Receive => received_ns = Some(end_ns),
                Mark::Work => {
                    found.receives.extend(received_ns.take());
                    has_worked = true;
                }
                Mark::Send if has_worked => {
                    found.sends.push(start_ns);
                    has_worked = is_front_end;
                }
                Mark::Send => {}
            }
        }
        found
    }
}

/// What bounds the clock of `b` less that of `a`, without their bases; `None` where nothing matches, and where what
/// matches contradicts itself.
pub(super) fn bounds(a: &AlignInput<'_>, b: &AlignInput<'_>) -> Option<HandOffBounds> {
    let (to, from) = directions(a, b);
    let none = (None, 0);
    let (there, here) = (&a.digest.handoffs, &b.digest.handoffs);
    let (at_most_ns, n_to) = if to { shortest(there, here) } else { none };
    let (back_ns, n_from) = if from { shortest(here, there) } else { none };
    let at_least_ns = back_ns.map(i64::saturating_neg);
    let is_possible =
        !matches!((at_least_ns, at_most_ns), (Some(least), Some(most)) if least > most);
    let n_matched = n_to + n_from;
    (n_matched > 0 && is_possible).then_some(HandOffBounds {
        reference: 0,
        at_least_ns,
        at_most_ns,
        n_matched,
    })
}

/// Whether work goes from the first to the second, and back: to the next stage, and both ways between a front end and the
/// workers of its stage.
fn directions(a: &AlignInput<'_>, b: &AlignInput<'_>) -> (bool, bool) {
    let (a, b) = (a.identity, b.identity);
    if a.replica != b.replica {
        return (false, false);
    }
    if a.role != b.role {
        let is_same = a.stage == b.stage;
        return (is_same, is_same);
    }
    match (a.stage, b.stage) {
        (Some(a), Some(b)) => (a.checked_add(1) == Some(b), b.checked_add(1) == Some(a)),
        _ => (false, false),
    }
}

/// The shortest time, by the two clocks, from the begin of a send to the end of its receive, and how many matched.
fn shortest(from: &HandOffs, to: &HandOffs) -> (Option<i64>, usize) {
    if from.sends.len() != to.receives.len() {
        return (None, 0);
    }
    let pairs = from.sends.iter().zip(&to.receives);
    let shortest = pairs.map(|(sent, received)| received.saturating_sub(*sent)).min();
    (shortest, from.sends.len())
}

/// All marks by start.
fn marks(store: &Store) -> Vec<(i64, i64, Mark)> {
    let known: Vec<Option<Mark>> = store.strings.iter().map(|(_, name)| mark_of(name)).collect();
    let slices = &store.slices;
    let on_host = store.tracks.iter().filter(|track| {
        track.slices.clone().next().is_some_and(|slice| store.kind(slice).is_on_host())
    });
    let mut marks: Vec<(i64, i64, Mark)> = Vec::new();
    for slice in on_host.flat_map(|track| track.slices.clone()) {
        let Some(mark) = known.get(slices.name[slice].0 as usize).copied().flatten() else {
            continue;
        };
        let is_told =
            matches!(store.kind(slice), EventKind::UserAnnotation | EventKind::PythonFunction);
        if is_told {
            marks.push((slices.ts_ns[slice], slices.end_ns(slice), mark));
        }
    }
    marks.sort_by_key(|&(start_ns, end_ns, _)| (start_ns, -end_ns));
    // An annotation and the frame that it stands in are one hand-off.
    let mut until_ns = i64::MIN;
    marks.retain(|&(_, end_ns, mark)| {
        let is_inside = mark != Mark::Work && end_ns <= until_ns;
        if mark != Mark::Work && !is_inside {
            until_ns = end_ns;
        }
        !is_inside
    });
    marks
}

/// What a name tells: the queue's annotations of this project's captures, its frames in vLLM, and iterations.
fn mark_of(name: &str) -> Option<Mark> {
    let is_queue = name.starts_with("shm_broadcast: ") || name.contains("shm_broadcast.py(");
    if is_queue {
        return match name.rsplit(": ").next() {
            Some("enqueue") => Some(Mark::Send),
            Some("dequeue") => Some(Mark::Receive),
            _ => None,
        };
    }
    let is_iteration =
        ["execute_", "diffusion_", "ProfilerStep#"].iter().any(|start| name.starts_with(start));
    is_iteration.then_some(Mark::Work)
}

#[cfg(test)]
mod tests {
    use super::{HandOffs, Mark, mark_of, shortest};

    #[test]
    fn names() {
        assert_eq!(mark_of("shm_broadcast: enqueue"), Some(Mark::Send));
        let frame = "vllm/distributed/device_communicators/shm_broadcast.py(608): dequeue";
        assert_eq!(mark_of(frame), Some(Mark::Receive));
        assert_eq!(mark_of("vllm/shm_broadcast.py(608): acquire_read"), None);
        assert_eq!(mark_of("execute_context_1(64)_generation_0(0)"), Some(Mark::Work));
        assert_eq!(mark_of("queue.py(1): dequeue"), None);
    }

    #[test]
    fn other_numbers_do_not_match() {
        let from = HandOffs { sends: vec![10, 50], receives: Vec::new() };
        let to = HandOffs { sends: Vec::new(), receives: vec![25, 60] };
        assert_eq!(shortest(&from, &to), (Some(10), 2));
        let fewer = HandOffs { sends: Vec::new(), receives: vec![25] };
        assert_eq!(shortest(&from, &fewer), (None, 0));
    }
}
