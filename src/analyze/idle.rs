//! Why each device was idle: every gap between its activities, split by what the launching thread was doing.
//!
//! A gap is ended by the activity that starts at its end; the thread that launched that activity (by correlation) is the
//! one that could have launched it sooner, so its classes of time are the causes. The gap after the last activity is
//! explained by the thread that launched that one. Where a part of the trace is looked at, the activity may lie outside
//! it, so that the causes of the parts sum to those of the whole. Where no launch is known, or the thread's time is in no class, the
//! cause is *not recorded*. The causes of a device sum to its idle time.

use super::base::TimeBase;
use super::devices::DeviceActivity;
use super::host::HostThread;
use super::intervals::Span;
use super::threads::Recorded;
use super::timeline::{Class, ClassNs};
use super::wait_rules::group_name;
use crate::model::EventKind;
use crate::store::Store;

/// Gaps that are listed one by one.
const N_LARGEST: usize = 10;

/// The name of a class as a cause of idle time: what no event explains is not recorded.
pub fn cause_name(class: Class) -> &'static str {
    match class {
        Class::Unattributed => "not_recorded",
        _ => class.as_str(),
    }
}

/// The idle time of one device by cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceIdle {
    /// Device index; `None` where the trace names none.
    pub device: Option<u32>,
    /// Idle time; the causes sum to it.
    pub idle_ns: i64,
    /// Every cause in the order of [`Class::ALL`], named by [`cause_name`]; `None` where the trace does not record what
    /// would show it.
    pub causes: Vec<(Class, Option<i64>)>,
    /// Number of gaps.
    pub n_gaps: u64,
    /// The ten longest gaps, longest first.
    pub largest: Vec<Gap>,
}

/// One gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Start.
    pub start_ns: i64,
    /// Length.
    pub dur_ns: i64,
    /// The cause of most of it.
    pub cause: Class,
    /// All its causes.
    pub causes: ClassNs,
    /// Track of the thread that explains it.
    pub thread: Option<usize>,
    /// The activity before it; `None` at the start of the window.
    pub before: Option<GapEdge>,
    /// The activity after it; `None` at the end of the window.
    pub after: Option<GapEdge>,
}

/// An activity beside a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapEdge {
    /// The slice.
    pub slice: u32,
    /// Its name.
    pub name: String,
    /// The innermost operator around its launch.
    pub op: Option<String>,
}

/// The idle time of every device that shows activity.
pub fn idle(store: &Store, base: &TimeBase) -> Vec<DeviceIdle> {
    base.devices.iter().map(|activity| device_idle(store, base, activity)).collect()
}

/// A gap with the activities beside it, by number in [`DeviceActivity::slices`].
struct RawGap {
    span: Span,
    before: Option<usize>,
    after: Option<usize>,
    thread: Option<usize>,
    causes: ClassNs,
}

fn device_idle(store: &Store, base: &TimeBase, activity: &DeviceActivity) -> DeviceIdle {
    let mut gaps = raw_gaps(activity);
    let mut sums = ClassNs::default();
    let mut has_frames = false;
    for gap in &mut gaps {
        let thread = launching_thread(store, base, explaining(activity, gap));
        gap.causes = causes(thread, gap.span);
        gap.thread = thread.map(|thread| thread.track);
        has_frames |= thread.is_some_and(|thread| thread.has_frames);
        sums.add_all(&gap.causes);
    }
    let recorded = Recorded::of(store);
    let row = |class| {
        let ns = sums.get(class);
        (class, (ns > 0 || recorded.shows(class, has_frames)).then_some(ns))
    };
    let n_gaps = gaps.len() as u64;
    gaps.sort_by_key(|gap| (-gap.span.len_ns(), gap.span.start_ns));
    gaps.truncate(N_LARGEST);
    DeviceIdle {
        device: activity.device,
        idle_ns: sums.total_ns(),
        causes: Class::ALL.into_iter().map(row).collect(),
        n_gaps,
        largest: gaps.iter().map(|gap| shown_gap(store, base, activity, gap)).collect(),
    }
}

/// The gaps of the busy time in the window, in time order.
fn raw_gaps(activity: &DeviceActivity) -> Vec<RawGap> {
    let gap = |span: Span| {
        // Activities that only touch the gap, and empty ones inside it, are beside it: the first one at or after its
        // end ends it, the last one to end before it came before it.
        let after = activity.slices.partition_point(|row| row.span.start_ns < span.end_ns);
        let started = activity.slices.partition_point(|row| row.span.start_ns < span.start_ns);
        let before = (0..started).rev().find(|&i| activity.slices[i].span.end_ns == span.start_ns);
        RawGap {
            span,
            before: before.or_else(|| started.checked_sub(1)),
            after: (after < activity.slices.len()).then_some(after),
            thread: None,
            causes: ClassNs::default(),
        }
    };
    activity.busy.gaps_in(activity.window).spans().iter().copied().map(gap).collect()
}

/// The activity whose launch explains a gap: the next one, else the last one.
fn explaining(activity: &DeviceActivity, gap: &RawGap) -> Option<u32> {
    let slice = |row: usize| activity.slices[row].slice;
    let next = gap.after.map(slice).or(activity.after);
    next.or_else(|| gap.before.map(slice)).or(activity.before)
}

fn launching_thread<'a>(
    store: &Store,
    base: &'a TimeBase,
    activity: Option<u32>,
) -> Option<&'a HostThread> {
    let call = base.launches.call_of(store, activity? as usize)?;
    base.thread_of_track(store.track_of(call))
}

/// What a thread did in a span; time outside its window, and all time of an unknown thread, is in no class.
fn causes(thread: Option<&HostThread>, span: Span) -> ClassNs {
    let mut sums = thread.map(|thread| thread.timeline.within(span)).unwrap_or_default();
    sums.add(Class::Unattributed, span.len_ns() - sums.total_ns());
    sums
}

fn shown_gap(store: &Store, base: &TimeBase, activity: &DeviceActivity, gap: &RawGap) -> Gap {
    let most = Class::ALL.into_iter().rev().max_by_key(|&class| gap.causes.get(class));
    let edge = |row: usize| {
        let slice = activity.slices[row].slice;
        let call = base.launches.call_of(store, slice as usize);
        GapEdge {
            slice,
            name: group_name(store.name(slice as usize)),
            op: call.and_then(|call| enclosing_op(store, call)).map(str::to_owned),
        }
    };
    Gap {
        start_ns: gap.span.start_ns,
        dur_ns: gap.span.len_ns(),
        cause: most.unwrap_or(Class::Unattributed),
        causes: gap.causes,
        thread: gap.thread,
        before: gap.before.map(edge),
        after: gap.after.map(edge),
    }
}

/// The innermost operator around a call.
fn enclosing_op(store: &Store, call: usize) -> Option<&str> {
    let first = store.tracks[store.track_of(call)].slices.start;
    let end = store.slices.end_ns(call);
    let encloses =
        |op: &usize| store.kind(*op) == EventKind::CpuOp && store.slices.end_ns(*op) >= end;
    (first..call).rev().find(encloses).map(|op| store.name(op))
}
