//! Memory while reading: bytes an event at the peak, and held afterwards, counted by the allocator.

#![expect(unsafe_code, reason = "a counting allocator cannot be written without")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use omni_trace::read::{ReadOptions, read_input};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; only counters are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let live = LIVE.fetch_add(new_size, Ordering::Relaxed) + new_size;
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        PEAK.fetch_max(live - layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The promise of this version; the fixed part holds blocks in flight and the runtime.
const MAX_PEAK_BYTES_AN_EVENT: usize = 48;
const FIXED_BYTES: usize = 64 << 20;

/// Two million small events: Python frames, as in the traces that are too large to open.
fn write_trace(path: &std::path::Path, n_events: usize) {
    let mut text = String::from("{\"schemaVersion\": 1, \"traceEvents\": [\n");
    for i in 0..n_events {
        let comma = if i == 0 { "" } else { ",\n" };
        write!(
            text,
            "{comma}{{\"ph\":\"X\",\"cat\":\"python_function\",\"name\":\"file{}.py(1): f\",\"pid\":1,\"tid\":1,\"ts\":{i}.000,\"dur\":0.900,\"args\":{{\"Python parent id\":1,\"Python id\":{i}}}}}",
            i % 500
        )
        .unwrap();
    }
    text.push_str("]}");
    std::fs::write(path, text).unwrap();
}

#[test]
fn bytes_an_event() {
    let n_events = 2_000_000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.json");
    write_trace(&path, n_events);
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let input = read_input(&path, &ReadOptions { threads: 2, ..ReadOptions::default() }).unwrap();
    let peak = PEAK.load(Ordering::Relaxed) - before;
    let held = LIVE.load(Ordering::Relaxed) - before;
    assert_eq!(input.store.slices.len(), n_events);
    let an_event = |bytes: usize| bytes as f64 / n_events as f64;
    println!("held {:.1} B an event, peak {:.1} B an event", an_event(held), an_event(peak));
    assert!(peak <= FIXED_BYTES + n_events * MAX_PEAK_BYTES_AN_EVENT, "peak {peak}");
    // The columns are 25 bytes an event.
    assert!(held <= n_events * 30, "held {held}");
}
