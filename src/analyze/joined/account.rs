//! What the devices and work threads of an input did inside spans of time.

use std::collections::BTreeMap;

use super::{
    JoinInput, JoinedRequestRow, JoinedStageRow, Matches, PlacedSpan, StageInput, key_of, recorded,
};
use crate::analyze::intervals::{CoverIndex, Intervals, Span};
use crate::analyze::stages::StageReport;
use crate::analyze::timeline::Class;

/// What an input did inside a span. Kernels, waiting without kernels, the host alone, and the rest sum to the part
/// inside the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Charge {
    /// The part inside the recorded window.
    in_window_ns: i64,
    /// Of it, a kernel ran; `None` where no device activity was recorded.
    kernel_busy_ns: Option<i64>,
    /// Of it, a work thread waited for another process, kernels or not; `None` where waits are not recorded.
    ipc_wait_ns: Option<i64>,
    /// Of it, a work thread waited and no kernel ran.
    wait_no_kernel_ns: i64,
    /// Of it, a work thread was busy, none waited, and no kernel ran.
    host_ns: i64,
    /// Of it, none of these: copies, synchronizing, other waits, and what nothing explains.
    rest_ns: i64,
}

impl Charge {
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

/// An input in Unix time, ready to be asked.
pub(super) struct Recorded {
    window: Intervals,
    index: CoverIndex,
    kernels: Option<CoverIndex>,
    waits: Option<CoverIndex>,
    waits_no_kernel: CoverIndex,
    host: CoverIndex,
}

impl Recorded {
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
pub(super) fn request_rows(
    matches: &Matches,
    placed: &[PlacedSpan<'_>],
    sides: &[Recorded],
) -> Vec<JoinedRequestRow> {
    let starts = sides.iter().filter_map(|side| side.window.spans().first());
    let origin_ns = starts.map(|span| span.start_ns).min().unwrap_or(0);
    let mut rows = Vec::new();
    for one in placed {
        for &StageInput { input, by } in matches.get(&key_of(one.span)).into_iter().flatten() {
            let side = &sides[input];
            let charge = side.charge(one.unix);
            rows.push(JoinedRequestRow {
                run: one.span.run,
                request: one.span.request.clone(),
                stage: one.span.stage,
                pass: one.span.instance,
                input,
                start_ns: one.unix.start_ns.saturating_sub(origin_ns),
                start_unix_ns: one.unix.start_ns,
                error_ns: one.error_ns,
                generation_ns: one.unix.len_ns(),
                in_window_ns: charge.in_window_ns,
                outside_ns: one.unix.len_ns() - charge.in_window_ns,
                in_window_is_sure: side.is_sure(one.unix, one.error_ns),
                kernel_busy_ns: charge.kernel_busy_ns,
                wait_no_kernel_ns: charge.wait_no_kernel_ns,
                host_ns: charge.host_ns,
                rest_ns: charge.rest_ns,
                ipc_wait_ns: charge.ipc_wait_ns,
                matched_by: by,
                placed_by: one.span.source,
                log: one.span.log,
                line: one.span.line,
            });
        }
    }
    rows.sort_by(|a, b| {
        let key = |row: &JoinedRequestRow| (row.start_unix_ns, row.stage, row.input);
        key(a).cmp(&key(b)).then_with(|| a.request.cmp(&b.request))
    });
    rows
}

/// Every stage against every one of its inputs. Requests that are generated for together count once.
pub(super) fn stage_rows(
    report: &StageReport,
    matches: &Matches,
    placed: &[PlacedSpan<'_>],
    sides: &[Recorded],
) -> Vec<JoinedStageRow> {
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
    let mut rows = Vec::new();
    for (key, inputs) in matches {
        let Some(&(n_spans, generation_ns)) = told.get(key) else { continue };
        let row = JoinedStageRow {
            run: key.0,
            stage: key.1,
            spans: n_spans,
            generation_ns,
            ..JoinedStageRow::default()
        };
        if inputs.is_empty() {
            rows.push(row);
            continue;
        }
        let own = spans.get(key).map(Vec::as_slice);
        rows.extend(inputs.iter().map(|one| stage_row(row.clone(), *one, &sides[one.input], own)));
    }
    rows
}

/// A stage's row with what one of its inputs did; `own` are the spans of the stage that could be placed.
fn stage_row(
    row: JoinedStageRow,
    one: StageInput,
    side: &Recorded,
    own: Option<&[Span]>,
) -> JoinedStageRow {
    let is_recorded = |span: &&Span| side.index.covered_ns(span.start_ns, span.end_ns) > 0;
    let union = own.map(|spans| Intervals::union_of(spans.to_vec()));
    let inside = union.as_ref().map(|union| side.charge_set(union));
    let outside = union.map(|union| side.charge_set(&side.window.subtract(&union)));
    JoinedStageRow {
        input: Some(one.input),
        matched_by: Some(one.by),
        spans_in_window: own.map_or(0, |own| own.iter().filter(is_recorded).count() as u64),
        window_ns: Some(side.window.total_ns()),
        in_window_ns: inside.map(|charge| charge.in_window_ns),
        kernel_busy_ns: inside.and_then(|charge| charge.kernel_busy_ns),
        wait_no_kernel_ns: inside.map(|charge| charge.wait_no_kernel_ns),
        host_ns: inside.map(|charge| charge.host_ns),
        rest_ns: inside.map(|charge| charge.rest_ns),
        ipc_wait_ns: inside.and_then(|charge| charge.ipc_wait_ns),
        outside_kernel_busy_ns: outside.and_then(|charge| charge.kernel_busy_ns),
        outside_ipc_wait_ns: outside.and_then(|charge| charge.ipc_wait_ns),
        ..row
    }
}
