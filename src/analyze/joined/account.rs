//! What the devices and work threads of an input did inside spans of time.

use std::collections::BTreeMap;

use super::{JoinInput, MatchedBy, Matches, PlacedSpan, StageInput, key_of, recorded};
use crate::analyze::intervals::{CoverIndex, Intervals, Span};
use crate::analyze::stages::{StageReport, StageSpan};
use crate::analyze::timeline::Class;

/// What an input did inside a span. Kernels, waiting without kernels, the host alone, and the rest sum to the part
/// inside the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// The part inside the recorded window.
    pub in_window_ns: i64,
    /// Of it, a kernel ran; `None` where no device activity was recorded.
    pub kernel_busy_ns: Option<i64>,
    /// Of it, a work thread waited for another process, kernels or not; `None` where waits are not recorded.
    pub ipc_wait_ns: Option<i64>,
    /// Of it, a work thread waited and no kernel ran.
    pub wait_no_kernel_ns: i64,
    /// Of it, a work thread was busy, none waited, and no kernel ran.
    pub host_ns: i64,
    /// Of it, none of these: copies, synchronizing, other waits, and what nothing explains.
    pub rest_ns: i64,
}

impl Charge {
    /// The sum of the parts that nothing else of them covers.
    pub fn parts_ns(&self) -> i64 {
        self.kernel_busy_ns.unwrap_or(0) + self.wait_no_kernel_ns + self.host_ns + self.rest_ns
    }

    fn add(&mut self, other: &Self) {
        let plus = |a: Option<i64>, b: Option<i64>| a.zip(b).map(|(a, b)| a + b).or(a).or(b);
        self.in_window_ns += other.in_window_ns;
        self.kernel_busy_ns = plus(self.kernel_busy_ns, other.kernel_busy_ns);
        self.ipc_wait_ns = plus(self.ipc_wait_ns, other.ipc_wait_ns);
        self.wait_no_kernel_ns += other.wait_no_kernel_ns;
        self.host_ns += other.host_ns;
        self.rest_ns += other.rest_ns;
    }
}

/// One span of one request, against one input of its stage.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestShare {
    /// The span as the log tells it.
    pub span: StageSpan,
    /// The input.
    pub input: usize,
    /// What tells that the input is the stage's.
    pub by: MatchedBy,
    /// Start in Unix time.
    pub start_unix_ns: i64,
    /// Start since the start of the first recorded window of all inputs.
    pub start_ns: i64,
    /// Generation time.
    pub dur_ns: i64,
    /// How far the place may be off, in both directions.
    pub error_ns: i64,
    /// Whether the part inside the window would be the same with any place that the error allows.
    pub is_sure: bool,
    /// The part outside the recorded window.
    pub outside_ns: i64,
    /// What the input did meanwhile.
    pub charge: Charge,
}

/// One stage of one run, against one of its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct StageShare {
    /// Index of the run.
    pub run: usize,
    /// Stage; `None` for calls of which only the process is known.
    pub stage: Option<u32>,
    /// The input; `None` where no input is the stage's.
    pub input: Option<usize>,
    /// What tells it.
    pub by: Option<MatchedBy>,
    /// Spans of requests that the log tells of.
    pub n_spans: u64,
    /// Of them, how many overlap the recorded window.
    pub n_in_window: u64,
    /// Sum of their generation times.
    pub generation_ns: i64,
    /// The recorded window.
    pub window_ns: Option<i64>,
    /// What the input did while at least one request was generated for; `None` where no span could be placed.
    pub inside: Option<Charge>,
    /// What it did in the rest of the window.
    pub outside: Option<Charge>,
}

/// An input in Unix time, ready to be asked.
pub(super) struct Side {
    window: Intervals,
    index: CoverIndex,
    kernels: Option<CoverIndex>,
    waits: Option<CoverIndex>,
    waits_no_kernel: CoverIndex,
    host: CoverIndex,
}

impl Side {
    pub(super) fn new(input: &JoinInput<'_>) -> Self {
        let base = input.base;
        let window = recorded(input).unwrap_or_default();
        let threads = || base.work_threads();
        let set = |wanted: fn(Class) -> bool| {
            let all = threads().fold(Intervals::default(), |all, thread| {
                all.union(&thread.timeline.set_of(wanted))
            });
            all.shifted(input.placed.offset_ns).intersect(&window)
        };
        let activity = base.devices.iter().flat_map(|device| &device.slices);
        let kernels = activity.filter(|row| row.kind.is_kernel()).map(|row| row.span).collect();
        let kernels = Intervals::union_of(kernels).shifted(input.placed.offset_ns);
        let kernels = kernels.intersect(&window);
        let waits = set(|class| class == Class::IpcWait);
        let shows_waits = threads().any(|thread| thread.has_frames) || !waits.spans().is_empty();
        let host = set(|class| !class.is_wait() && class != Class::Unattributed);
        Self {
            index: window.index(),
            waits_no_kernel: waits.subtract(&kernels).index(),
            host: host.subtract(&kernels).subtract(&waits).index(),
            waits: shows_waits.then(|| waits.index()),
            kernels: (!base.devices.is_empty()).then(|| kernels.index()),
            window,
        }
    }

    fn charge(&self, span: Span) -> Charge {
        let inside = |set: &CoverIndex| set.covered_ns(span.start_ns, span.end_ns);
        let in_window_ns = inside(&self.index);
        let kernel_busy_ns = self.kernels.as_ref().map(inside);
        let (wait_no_kernel_ns, host_ns) = (inside(&self.waits_no_kernel), inside(&self.host));
        let known_ns = kernel_busy_ns.unwrap_or(0) + wait_no_kernel_ns + host_ns;
        Charge {
            in_window_ns,
            kernel_busy_ns,
            ipc_wait_ns: self.waits.as_ref().map(inside),
            wait_no_kernel_ns,
            host_ns,
            rest_ns: in_window_ns - known_ns,
        }
    }

    /// What was done in all of a set.
    fn charge_set(&self, set: &Intervals) -> Charge {
        let mut sum = self.charge(Span::default());
        set.spans().iter().for_each(|span| sum.add(&self.charge(*span)));
        sum
    }

    /// Whether shifting a span by less than an error changes nothing about which part of it is recorded.
    fn is_sure(&self, span: Span, error_ns: i64) -> bool {
        let wide =
            Span::new(span.start_ns.saturating_sub(error_ns), span.end_ns.saturating_add(error_ns));
        let covered = self.index.covered_ns(wide.start_ns, wide.end_ns);
        covered == 0 || covered == wide.len_ns()
    }
}

/// Every span of every request against every input of its stage, by start.
pub(super) fn request_shares(
    matches: &Matches,
    placed: &[PlacedSpan<'_>],
    sides: &[Side],
) -> Vec<RequestShare> {
    let starts = sides.iter().filter_map(|side| side.window.spans().first());
    let origin_ns = starts.map(|span| span.start_ns).min().unwrap_or(0);
    let mut shares = Vec::new();
    for one in placed {
        for &StageInput { input, by } in matches.get(&key_of(one.span)).into_iter().flatten() {
            let side = &sides[input];
            let charge = side.charge(one.unix);
            shares.push(RequestShare {
                span: one.span.clone(),
                input,
                by,
                start_unix_ns: one.unix.start_ns,
                start_ns: one.unix.start_ns.saturating_sub(origin_ns),
                dur_ns: one.unix.len_ns(),
                error_ns: one.error_ns,
                is_sure: side.is_sure(one.unix, one.error_ns),
                outside_ns: one.unix.len_ns() - charge.in_window_ns,
                charge,
            });
        }
    }
    shares.sort_by(|a, b| {
        let key = |share: &RequestShare| (share.start_unix_ns, share.span.stage, share.input);
        key(a).cmp(&key(b)).then_with(|| a.span.request.cmp(&b.span.request))
    });
    shares
}

/// Every stage against every one of its inputs. Requests that are generated for together count once.
pub(super) fn stage_shares(
    report: &StageReport,
    matches: &Matches,
    placed: &[PlacedSpan<'_>],
    sides: &[Side],
) -> Vec<StageShare> {
    let mut told: BTreeMap<_, (u64, i64)> = BTreeMap::new();
    for span in &report.spans {
        let own = told.entry(key_of(span)).or_default();
        let dur_ns = span.end_ns.saturating_sub(span.start_ns);
        *own = (own.0 + 1, own.1.saturating_add(dur_ns));
    }
    let mut spans: BTreeMap<_, Vec<Span>> = BTreeMap::new();
    for one in placed {
        spans.entry(key_of(one.span)).or_default().push(one.unix);
    }
    let mut shares = Vec::new();
    for (key, inputs) in matches {
        let Some(&(n_spans, generation_ns)) = told.get(key) else { continue };
        let empty = StageShare {
            run: key.0,
            stage: key.1,
            input: None,
            by: None,
            n_spans,
            n_in_window: 0,
            generation_ns,
            window_ns: None,
            inside: None,
            outside: None,
        };
        if inputs.is_empty() {
            shares.push(empty);
            continue;
        }
        let own = spans.get(key);
        shares.extend(inputs.iter().map(|one| {
            let side = &sides[one.input];
            let is_recorded = |span: &&Span| side.index.covered_ns(span.start_ns, span.end_ns) > 0;
            let union = own.map(|spans| Intervals::union_of(spans.clone()));
            let rest = union.as_ref().map(|union| side.window.subtract(union));
            StageShare {
                input: Some(one.input),
                by: Some(one.by),
                n_in_window: own.map_or(0, |own| own.iter().filter(is_recorded).count() as u64),
                window_ns: Some(side.window.total_ns()),
                inside: union.map(|union| side.charge_set(&union)),
                outside: rest.map(|rest| side.charge_set(&rest)),
                ..empty.clone()
            }
        }));
    }
    shares
}
