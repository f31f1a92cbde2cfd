//! Lines of the trust panel about times: ends that were not recorded, events without a start, events beyond the window.

use super::base::TimeBase;
use super::overruns::overruns;
use super::trust::{TrustKind, TrustRow};
use super::window::{WindowSource, is_unplaced};
use crate::diag::Severity;
use crate::model::EventKind;
use crate::model::limits::CROSSING_NS;
use crate::store::Store;

/// The lines of one input.
pub(super) fn lines(store: &Store, base: &TimeBase) -> Vec<TrustRow> {
    let mut lines = vec![unclosed_frames(store), open_begins(store), beyond_window(store, base)];
    lines.push(stream_overrun(store, base));
    lines.extend(untimed(store));
    lines
}

fn line(check: TrustKind, (count, effect_ns): (u64, i64), meaning: &'static str) -> TrustRow {
    let severity = if count == 0 { Severity::Info } else { Severity::Notice };
    super::trust::line(check, count, effect_ns, severity, meaning)
}

fn unclosed_frames(store: &Store) -> TrustRow {
    let meaning = "Python frames whose end was not recorded: taken to end with the frame around them, shorter by the effect than written";
    let (count, ns) = (store.repairs.n_unclosed_frames, store.repairs.unclosed_frames_ns);
    line(TrustKind::UnclosedFrames, (count, ns), meaning)
}

fn open_begins(store: &Store) -> TrustRow {
    let meaning = "begin events without an end: taken to end with the event around them, or with the trace; the effect is their time";
    let (count, ns) = (store.repairs.n_open_begins, store.repairs.open_begins_ns);
    line(TrustKind::OpenBegins, (count, ns), meaning)
}

/// Operators, annotations and frames that end after the profiler stopped. Calls of other threads do so in sound traces.
fn beyond_window(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "operators, annotations and frames that end after the profiled window: what lies beyond it is in no time account";
    let until_ns = base.windows.whole.end_ns;
    let is_ours = |kind: EventKind| {
        matches!(kind, EventKind::CpuOp | EventKind::UserAnnotation | EventKind::PythonFunction)
    };
    let mut found = (0, 0);
    if base.windows.source == WindowSource::ProfilerSpan {
        for slice in store.ending_after(until_ns.saturating_add(CROSSING_NS)) {
            if is_ours(store.kind(slice)) && !is_unplaced(store, slice) {
                found.0 += 1;
                found.1 += store.slices.end_ns(slice).saturating_sub(until_ns);
            }
        }
    }
    line(TrustKind::BeyondWindow, found, meaning)
}

fn stream_overrun(store: &Store, base: &TimeBase) -> TrustRow {
    let meaning = "kernels that run far past the next start of their stream, which a stream does not allow: their ends are corrupt and are counted as written";
    let all = base.devices.iter().flat_map(|activity| overruns(store, activity));
    let found = all.fold((0, 0), |(n, ns), one| (n + 1, ns + one.over_ns));
    line(TrustKind::StreamOverrun, found, meaning)
}

/// Events without a start, and the device activity among them.
fn untimed(store: &Store) -> [TrustRow; 2] {
    let events = "events with a duration and no usable start: left out of windows, busy times and classes, but not of sums by name";
    let activity = "kernels, copies and memsets without a usable start: busy times lack the effect, sums by name hold it";
    let mut activities = (0, 0, 0);
    if store.repairs.zero_is_no_time {
        for row in &store.device_rows {
            let slice = row.slice as usize;
            if store.kind(slice).is_device_activity() {
                let is_lost = !store.has_time(slice);
                activities.0 += u64::from(is_lost);
                activities.1 += if is_lost { store.slices.dur_ns(slice) } else { 0 };
                activities.2 += 1;
            }
        }
    }
    let of_events = line(TrustKind::UntimedEvents, (store.repairs.n_untimed, 0), events);
    let of_activity = line(TrustKind::UntimedActivity, (activities.0, activities.1), activity);
    [
        TrustRow { of: Some(store.slices.len() as u64), effect_ns: None, ..of_events },
        TrustRow { of: (activities.2 > 0).then_some(activities.2), ..of_activity },
    ]
}
