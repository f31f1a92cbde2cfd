//! Which stretch of time is accounted for: the profiled window of a file, and of each device in it.
//!
//! The file window is the `PyTorch Profiler` span (a `Trace` event) where there is one, else first start to last end of
//! the complete events. Other spans of category `Trace`, `GPU: PyTorch Profiler` above all, count only where there is no
//! such span; of several, those that were never closed do not count. A device's window is the file's, stretched to hold every activity of the device, because
//! writers keep kernels that end after the profiler stopped.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::intervals::Span;
use crate::model::{EventKind, limits::IMPOSSIBLE_DUR_NS};
use crate::store::Store;

/// A part of the file window to look at, as offsets from its start. Both `None`: the whole window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowConfig {
    /// First nanosecond, after the window's start.
    pub from_ns: Option<i64>,
    /// First nanosecond after the part.
    pub to_ns: Option<i64>,
}

impl FromStr for WindowConfig {
    type Err = String;

    /// A part as people write it: `10ms..25ms`, `..1s`, `1.5s..`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) =
            text.split_once("..").ok_or("write it as A..B, `10ms..25ms` for example")?;
        let side = |side: &str| match side.trim() {
            "" => Ok(None),
            offset => offset_ns(offset).map(Some),
        };
        let window = Self { from_ns: side(from)?, to_ns: side(to)? };
        match window {
            Self { from_ns: None, to_ns: None } => {
                Err("at least one side must be given".to_owned())
            }
            Self { from_ns, to_ns: Some(to) } if from_ns.unwrap_or(0) >= to => {
                Err("it ends before it starts".to_owned())
            }
            window => Ok(window),
        }
    }
}

/// A decimal with a unit as whole nanoseconds, exactly.
///
/// # Errors
///
/// What it should have been.
pub fn offset_ns(text: &str) -> Result<i64, String> {
    let fail = || format!("`{text}` is no offset: write a number with ns, us, ms or s");
    if !text.is_empty() && text.bytes().all(|b| b == b'0') {
        return Ok(0);
    }
    let split = text.find(|c: char| c.is_alphabetic() || c == 'µ').ok_or_else(fail)?;
    let (number, unit) = text.split_at(split);
    let scale: i128 = match unit {
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return Err(fail()),
    };
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) || fraction.len() > 18 {
        return Err(fail());
    }
    let value: i128 = digits.parse().map_err(|_| fail())?;
    let ns = value.checked_mul(scale).ok_or_else(fail)? / 10_i128.pow(fraction.len() as u32);
    i64::try_from(ns).map_err(|_| fail())
}

impl WindowConfig {
    /// Whether it asks for less than the whole.
    pub fn is_clipped(self) -> bool {
        self.from_ns.is_some() || self.to_ns.is_some()
    }

    fn apply(self, whole: Span) -> Span {
        let at = |offset: i64| whole.start_ns.saturating_add(offset);
        let part =
            Span::new(self.from_ns.map_or(whole.start_ns, at), self.to_ns.map_or(whole.end_ns, at));
        part.clip(whole)
    }
}

/// Where the file window comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowSource {
    /// The file holds no complete event.
    #[default]
    Empty,
    /// The `Trace` event.
    ProfilerSpan,
    /// First start to last end of the complete events.
    Events,
    /// First to last event of a snapshot of torch's allocator, where nothing else was read.
    Snapshot,
}

/// The window of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceWindow {
    /// Device index; `None` where the trace names none.
    pub device: Option<u32>,
    /// The window.
    pub span: Span,
    /// By how much device activity begins before the file window.
    pub stretched_before_ns: i64,
    /// By how much device activity ends after the file window.
    pub stretched_after_ns: i64,
}

/// The windows of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// The window of the file, clipped as configured.
    pub file: Span,
    /// The window of the file before clipping.
    pub whole: Span,
    /// Where it comes from.
    pub source: WindowSource,
    /// Whether less than the whole was asked for.
    pub is_clipped: bool,
    /// The devices that show activity, by index.
    pub devices: Vec<DeviceWindow>,
}

impl Windows {
    /// The same; where the file has no event of its own, with the span of what was read beside it.
    pub(super) fn or(self, span: Option<Span>, config: WindowConfig) -> Self {
        match span.filter(|_| self.source == WindowSource::Empty) {
            Some(whole) => {
                Self { file: config.apply(whole), whole, source: WindowSource::Snapshot, ..self }
            }
            None => self,
        }
    }
}

/// A duration that no capture can hold.
pub(super) fn is_impossible(dur_ns: i64) -> bool {
    dur_ns > IMPOSSIBLE_DUR_NS
}

/// An event without a place on the time line: its duration is impossible, or it has no start. It is left out of every
/// time account and named in the trust panel.
#[inline]
pub fn is_unplaced(store: &Store, slice: usize) -> bool {
    is_impossible(store.slices.dur_ns(slice)) || !store.has_time(slice)
}

/// The windows of a store.
pub fn windows(store: &Store, config: WindowConfig) -> Windows {
    let (whole, source) = match profiler_span(store) {
        Some(span) => (span, WindowSource::ProfilerSpan),
        None => match extent(store) {
            Some(span) => (span, WindowSource::Events),
            None => (Span::default(), WindowSource::Empty),
        },
    };
    let file = config.apply(whole);
    let devices = device_extents(store).into_iter().map(|(device, extent)| {
        if config.is_clipped() {
            return DeviceWindow {
                device,
                span: file,
                stretched_before_ns: 0,
                stretched_after_ns: 0,
            };
        }
        DeviceWindow {
            device,
            span: Span::new(file.start_ns.min(extent.start_ns), file.end_ns.max(extent.end_ns)),
            stretched_before_ns: (file.start_ns - extent.start_ns).max(0),
            stretched_after_ns: (extent.end_ns - file.end_ns).max(0),
        }
    });
    Windows { file, whole, source, is_clipped: config.is_clipped(), devices: devices.collect() }
}

/// What torch calls the span of a profile; a number in brackets follows.
const PROFILER_SPAN: &str = "PyTorch Profiler";

/// From the first to the last profiler span; `None` where there is none or it holds no time.
fn profiler_span(store: &Store) -> Option<Span> {
    if !store.categories.iter().any(|&(_, kind)| kind == EventKind::Window) {
        return None;
    }
    let is_closed = |&slice: &usize| !is_unplaced(store, slice) && store.slices.dur_ns(slice) > 0;
    let all: Vec<usize> =
        store.all_of(|kind| kind == EventKind::Window).filter(is_closed).collect();
    let own = all.iter().filter(|&&slice| store.name(slice).starts_with(PROFILER_SPAN));
    let own: Vec<Span> = own.map(|&slice| slice_span(store, slice)).collect();
    match own.as_slice() {
        [] => cover(all.into_iter().map(|slice| slice_span(store, slice))),
        [only] => Some(*only),
        several => cover(closed(store, several).into_iter()),
    }
}

/// Of several spans those that were closed. One that was not reaches further beyond the last event than the one that does
/// so least, by more than the events or the shortest span take.
fn closed(store: &Store, spans: &[Span]) -> Vec<Span> {
    let Some(events) = extent(store) else { return spans.to_vec() };
    let beyond = |span: &Span| span.end_ns.saturating_sub(events.end_ns).max(0);
    let least = spans.iter().map(beyond).min().unwrap_or(0);
    let shortest = spans.iter().map(|span| span.len_ns()).min().unwrap_or(0);
    let room = events.len_ns().max(shortest);
    spans.iter().copied().filter(|span| beyond(span) - least <= room).collect()
}

/// First start to last end of the events, the spans of profiles aside.
fn extent(store: &Store) -> Option<Span> {
    let counts =
        |&slice: &usize| store.kind(slice) != EventKind::Window && !is_unplaced(store, slice);
    cover((0..store.slices.len()).filter(counts).map(|i| slice_span(store, i)))
}

/// First start to last end of each device's activity.
fn device_extents(store: &Store) -> BTreeMap<Option<u32>, Span> {
    let mut extents: BTreeMap<Option<u32>, Span> = BTreeMap::new();
    for row in &store.device_rows {
        let slice = row.slice as usize;
        if store.kind(slice).is_device_activity() && !is_unplaced(store, slice) {
            let span = slice_span(store, slice);
            let known = extents.entry(row.device).or_insert(span);
            *known = joined(*known, span);
        }
    }
    extents
}

/// The span of a slice.
pub(super) fn slice_span(store: &Store, slice: usize) -> Span {
    Span::new(store.slices.ts_ns[slice], store.slices.end_ns(slice))
}

fn joined(a: Span, b: Span) -> Span {
    Span::new(a.start_ns.min(b.start_ns), a.end_ns.max(b.end_ns))
}

fn cover(spans: impl Iterator<Item = Span>) -> Option<Span> {
    spans.reduce(joined)
}

#[cfg(test)]
mod tests {
    use super::WindowConfig;

    #[test]
    fn windows_are_exact() {
        let parse = |text: &str| text.parse::<WindowConfig>().map(|w| (w.from_ns, w.to_ns));
        assert_eq!(parse("10ms..25ms"), Ok((Some(10_000_000), Some(25_000_000))));
        assert_eq!(parse("..1s"), Ok((None, Some(1_000_000_000))));
        assert_eq!(parse("1.5us.."), Ok((Some(1_500), None)));
        assert_eq!(parse("0..4ms"), Ok((Some(0), Some(4_000_000))));
        assert_eq!(parse("0.."), Ok((Some(0), None)));
        assert_eq!(parse("0.1s..0.3s"), Ok((Some(100_000_000), Some(300_000_000))));
        for bad in [
            "", "..", "10ms", "5..7", "2s..1s", "1s..1s", "xms..", "-1s..", "1h..", "..0", "0..0",
            "1..5ms",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
