//! How much memory of each device is allocated and reserved over the window, in parts of it.
//!
//! A total holds from its event to the next one. Before the first event the total is that of the event without its own
//! bytes. The most of all parts is the peak of the device.

use super::base::TimeBase;
use super::intervals::Span;
use super::memory_events::{DeviceMemory, Event, MemoryEvents, MemorySource};
use crate::schema::tables;

/// Parts of the window.
const N_PARTS: i64 = 240;

tables! {
    /// The memory of one device over a part of the window.
    MemoryLineRow: "memory_line", "Memory over time", "How much memory was allocated and reserved when?", groups 2, on Use 8, shown Request, carried whole {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        start_ns: i64, Ns, All, "from", "begin of the part, after the start of the window";
        dur_ns: i64, Ns, All, "time", "length of the part; the window has 240";
        allocated_bytes: Option<i64>, Bytes, All, "allocated", "most that was allocated in it";
        reserved_bytes: Option<i64>, Bytes, All, "reserved", "most that the allocator had reserved in it; none before the first event";
        source: MemorySource, Text, All, "source", "memory events of the trace, or a snapshot of torch's allocator";
    }
}

/// The memory of every device with an event, part by part.
pub fn memory_line(events: &MemoryEvents, base: &TimeBase) -> Vec<MemoryLineRow> {
    let window = base.windows.file;
    let line = |one: &DeviceMemory| {
        let events = &one.events;
        let row = |span: Span| MemoryLineRow {
            input: base.input,
            device: one.device,
            start_ns: span.start_ns - window.start_ns,
            dur_ns: span.len_ns(),
            allocated_bytes: most(events, span, |one| one.total).max(first(events, span)),
            reserved_bytes: most(events, span, |one| one.reserved),
            source: one.source,
        };
        parts(window).into_iter().map(row).collect::<Vec<_>>()
    };
    events.inside(base).flat_map(line).collect()
}

/// The parts of a window that are not empty; they are as long as it.
fn parts(window: Span) -> Vec<Span> {
    let len_ns = i128::from(window.len_ns());
    let at = |part: i64| {
        let from_start = len_ns * i128::from(part) / i128::from(N_PARTS);
        window.start_ns.saturating_add(i64::try_from(from_start).unwrap_or(i64::MAX))
    };
    let all = (0..N_PARTS).map(|part| Span::new(at(part), at(part + 1)));
    all.filter(|span| !span.is_empty()).collect()
}

/// The most that a total is in a part: that before it, and those of the events in it. An event at the end of the last part
/// is in none other, so that parts hold their ends.
fn most(events: &[Event], span: Span, total: impl Fn(&Event) -> Option<i64>) -> Option<i64> {
    let from = events.partition_point(|one| one.at_ns < span.start_ns);
    let to = events.partition_point(|one| one.at_ns <= span.end_ns);
    events[from.saturating_sub(1)..to].iter().filter_map(total).max()
}

/// What was allocated before the first event, in the parts up to it.
fn first(events: &[Event], span: Span) -> Option<i64> {
    let first = events.first().filter(|one| span.start_ns < one.at_ns)?;
    Some(first.total?.saturating_sub(first.bytes))
}
