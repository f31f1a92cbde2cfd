//! Why each device was idle: every gap between its activities, split by what the launching thread was doing.
//!
//! A gap is ended by the activity that starts at its end; the thread that launched that activity (by correlation) is the
//! one that could have launched it sooner, so its classes of time are the causes. The gap after the last activity is
//! explained by the thread that launched that one. Where a part of the trace is looked at, the activity may lie outside
//! it, so that the causes of the parts sum to those of the whole. Where no launch is known, or the thread's time is in no class, the
//! cause is *not recorded*. The causes of a device sum to its idle time.

use serde::Serialize;

use super::base::TimeBase;
use super::devices::DeviceActivity;
use super::host::HostThread;
use super::intervals::Span;
use super::percent;
use super::threads::Recorded;
use super::timeline::{Class, ClassNs};
use super::wait_rules::group_name;
use crate::model::EventKind;
use crate::schema::{Kind, Value, Values, carried, tables, words};
use crate::store::Store;

/// Gaps that are listed one by one.
const N_LARGEST: usize = 10;

words! {
    /// Why a device idled: what the thread was doing that launched what came next.
    Cause {
        /// Waiting for another process.
        IpcWait "ipc_wait",
        /// Waiting for the device.
        GpuSync "gpu_sync",
        /// In a runtime or driver call that does not wait.
        Runtime "runtime",
        /// Loading or compiling device code.
        ModuleLoading "module_loading",
        /// In an operator.
        CpuOp "cpu_op",
        /// In Python.
        Python "python",
        /// Another wait.
        OtherWait "other_wait",
        /// In the profiler itself.
        Profiler "profiler",
        /// No event says what, or no launch is known.
        NotRecorded "not_recorded",
    }
}

impl Cause {
    /// A class of time as a cause: what no event explains is not recorded.
    pub fn of(class: Class) -> Self {
        match class {
            Class::IpcWait => Self::IpcWait,
            Class::GpuSync => Self::GpuSync,
            Class::Runtime => Self::Runtime,
            Class::ModuleLoading => Self::ModuleLoading,
            Class::CpuOp => Self::CpuOp,
            Class::Python => Self::Python,
            Class::OtherWait => Self::OtherWait,
            Class::Profiler => Self::Profiler,
            Class::Unattributed => Self::NotRecorded,
        }
    }
}

/// The idle time of one device by cause.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceIdle {
    /// Device index; `None` where the trace names none.
    pub device: Option<u32>,
    /// Idle time; the causes sum to it.
    pub idle_ns: i64,
    /// Every cause in the order of [`Class::ALL`], see [`Cause::of`]; `None` where the trace does not record what
    /// would show it.
    pub causes: Vec<(Class, Option<i64>)>,
    /// Number of gaps.
    pub n_gaps: u64,
    /// The ten longest gaps, longest first.
    pub largest: Vec<GapRow>,
}

tables! {
    /// One part of a device's idle time.
    IdleRow: "idle", "Device idle time by what the launching thread was doing", "Why was each device idle?", groups 3, on Breakdown 2, inside "devices" "idle_by_cause", carried whole {
        #[serde(skip)]
        input: usize, Count, All, "#", "number of the input";
        #[serde(skip)]
        device: Option<u32>, Count, All, "device", "device index";
        #[serde(skip)]
        idle_ns: i64, Ns, All, "idle", "idle time of the device";
        cause: Cause, Text, All / End, "cause", "what the launching thread was doing";
        ns: Option<i64>, Ns, All, "time", "idle time while the launching thread did this; none where the trace records nothing that would show it";
        pct: Option<f64>, Percent, All, "share", "of the idle time";
    }
}

tables! {
    /// One gap of one device, as the machine output gives it.
    GapRow: "idle_gaps", "Longest gaps of the devices", "Which single gaps were longest, and what lay around them?", groups 0, on Breakdown 5, shown Folded, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        start_ns: i64, Ns, Machines, "start", "start, in the time of the trace";
        offset_ns: i64, Ns, All, "at", "start, after the start of the window";
        dur_ns: i64, Ns, All, "gap", "length";
        cause: Cause, Text, All, "cause", "what the launching thread did for most of it";
        cause_pct: Option<f64>, Percent, All, "of gap", "the cause, of the gap";
        between: String, Text, All / End, "between", "the operators (or else the activities) that launched what is before and after";
        before: Option<GapEdgeRow>, Count, Machines, "before", "the activity before it";
        after: Option<GapEdgeRow>, Count, Machines, "after", "the activity after it";
        causes: Vec<GapCause>, Count, Machines, "causes", "all that the launching thread did meanwhile; they sum to the gap";
    }
}

/// One cause of a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapCause {
    /// What the launching thread did.
    pub cause: Cause,
    /// For how much of the gap, in nanoseconds; causes without any are left out.
    pub ns: i64,
}

carried!(GapCause { cause: Cause, ns: i64 });

impl Value for Vec<GapCause> {
    const KIND: Kind = Kind::Rows;

    fn put(&self, _to: &mut Values) {}
}

/// One activity beside a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GapEdgeRow {
    /// Its name.
    pub name: String,
    /// The innermost operator around its launch.
    pub op: Option<String>,
}

carried!(GapEdgeRow { name: String, op: Option<String>, });

impl GapEdgeRow {
    /// The operator, or else the activity itself.
    fn text<'a>(edge: Option<&'a Self>, none: &'a str) -> &'a str {
        edge.map_or(none, |edge| edge.op.as_deref().unwrap_or(&edge.name))
    }
}

impl Value for GapEdgeRow {
    const KIND: Kind = Kind::Rows;

    fn put(&self, _to: &mut Values) {}
}

impl DeviceIdle {
    /// The causes as rows.
    pub fn rows(&self, input: usize) -> Vec<IdleRow> {
        let row = |&(class, ns): &(Class, Option<i64>)| IdleRow {
            input,
            device: self.device,
            idle_ns: self.idle_ns,
            cause: Cause::of(class),
            ns,
            pct: ns.and_then(|ns| percent(ns, self.idle_ns)),
        };
        self.causes.iter().map(row).collect()
    }
}

/// The idle time of every device that shows activity.
pub fn idle(store: &Store, base: &TimeBase) -> Vec<DeviceIdle> {
    base.devices.iter().map(|activity| device_idle(store, base, activity)).collect()
}

/// The gaps of a device, in time order, each with the thread that explains it.
pub(super) fn explained_gaps<'a>(
    store: &Store,
    base: &'a TimeBase,
    activity: &DeviceActivity,
) -> Vec<(Span, Option<&'a HostThread>)> {
    let explained =
        |gap: RawGap| (gap.span, launching_thread(store, base, explaining(activity, &gap)));
    raw_gaps(activity).into_iter().map(explained).collect()
}

/// A gap with the activities beside it, by number in [`DeviceActivity::slices`].
struct RawGap {
    span: Span,
    before: Option<usize>,
    after: Option<usize>,
    causes: ClassNs,
}

fn device_idle(store: &Store, base: &TimeBase, activity: &DeviceActivity) -> DeviceIdle {
    let mut gaps = raw_gaps(activity);
    let mut sums = ClassNs::default();
    let mut has_frames = false;
    for gap in &mut gaps {
        let thread = launching_thread(store, base, explaining(activity, gap));
        gap.causes = causes(thread, gap.span);
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

fn shown_gap(store: &Store, base: &TimeBase, activity: &DeviceActivity, gap: &RawGap) -> GapRow {
    let most = Class::ALL.into_iter().rev().max_by_key(|&class| gap.causes.get(class));
    let edge = |row: usize| {
        let slice = activity.slices[row].slice;
        let call = base.launches.call_of(store, slice as usize);
        GapEdgeRow {
            name: group_name(store.name(slice as usize)),
            op: call.and_then(|call| enclosing_op(store, call)).map(str::to_owned),
        }
    };
    let (before, after) = (gap.before.map(edge), gap.after.map(edge));
    let cause = most.unwrap_or(Class::Unattributed);
    let causes = Class::ALL.into_iter().map(|class| (class, gap.causes.get(class)));
    let causes = causes.filter(|&(_, ns)| ns != 0);
    GapRow {
        input: base.input,
        device: activity.device,
        start_ns: gap.span.start_ns,
        offset_ns: gap.span.start_ns.saturating_sub(base.windows.file.start_ns),
        dur_ns: gap.span.len_ns(),
        cause: Cause::of(cause),
        cause_pct: percent(gap.causes.get(cause), gap.span.len_ns()),
        between: format!(
            "{} -> {}",
            GapEdgeRow::text(before.as_ref(), "window start"),
            GapEdgeRow::text(after.as_ref(), "window end")
        ),
        before,
        after,
        causes: causes.map(|(class, ns)| GapCause { cause: Cause::of(class), ns }).collect(),
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
