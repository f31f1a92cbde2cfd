//! The overview of a whole run: what every device and work thread did, in a bounded number of pieces.
//!
//! A lane with few segments keeps them all, exactly as they are. One with more is cut into equal stretches, each with
//! the exact time of every class in it. So the size has a bound whatever the trace, and the sums over a lane are those
//! of the analyses to the nanosecond.

use super::base::TimeBase;
use super::devices::{ActivityKind, DeviceActivity};
use super::host::HostThread;
use super::intervals::{Intervals, Span};
use super::iteration_names::Phase;
use super::iterations::Iterations;
use super::overview_names::{MAX_NAMED_IN_ALL, NamedSpan, named};
use super::timeline::Class;
use crate::store::Store;

/// Lanes shown at most; a page with more could not be read.
pub const MAX_LANES: usize = 64;

/// Pieces of one lane at most: about as many as a wide screen has columns.
pub const MAX_PIECES: usize = 2_048;

/// Pieces of all lanes at most, which bounds the size of what is drawn from them.
pub const MAX_PIECES_IN_ALL: usize = 24_576;

/// What a device can be seen doing. Where several things run at once, the first of compute, comm, memcpy and memset.
pub const DEVICE_CLASSES: [&str; 5] = ["idle", "compute", "comm", "memcpy", "memset"];

/// What a thread can be in the midst of.
pub const ITERATION_CLASSES: [&str; 6] =
    ["between", "prefill", "decode", "mixed", "empty", "unknown"];

/// One input with what the overview is made from.
#[derive(Clone, Copy, Debug)]
pub struct OverviewInput<'a> {
    /// Its events.
    pub store: &'a Store,
    /// Its time base.
    pub base: &'a TimeBase,
    /// Its iterations.
    pub iterations: &'a Iterations,
    /// What to add to its timestamps for the common time line; `None` where it has no place on it.
    pub offset_ns: Option<i64>,
}

/// What a lane is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneKind {
    /// A device, by index; `None` where the trace names none. Classes: [`DEVICE_CLASSES`].
    Device(Option<u32>),
    /// A work thread, by track. Classes: [`Class::ALL`].
    Thread(usize),
    /// The iterations of a work thread, by track. Classes: [`ITERATION_CLASSES`].
    Iterations(usize),
}

/// A stretch of a lane with the time of each class in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// (number of the class, its time), by class; at least one, none of them empty.
    pub parts: Vec<(u8, i64)>,
}

impl Piece {
    /// Its length.
    pub fn len_ns(&self) -> i64 {
        self.parts.iter().map(|&(_, ns)| ns).sum()
    }
}

/// One line of the overview. Its pieces follow each other without gaps and fill its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Number of the input.
    pub input: usize,
    /// What it is about.
    pub kind: LaneKind,
    /// Start of its window, after the start of the overview.
    pub start_ns: i64,
    /// Whether its pieces are the segments themselves, rather than sums over equal stretches.
    pub is_exact: bool,
    /// Its pieces, in time order.
    pub pieces: Vec<Piece>,
    /// What its longest parts are called, by start.
    pub named: Vec<NamedSpan>,
    /// Parts with a name that are left out, because there are too many.
    pub n_unnamed: usize,
}

impl Lane {
    /// Length of its window.
    pub fn len_ns(&self) -> i64 {
        self.pieces.iter().map(Piece::len_ns).sum()
    }
}

/// The lanes of all inputs on one time line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// From the first start to the last end of the lanes.
    pub len_ns: i64,
    /// The lanes: by input its devices, then its threads, the iterations of a thread before it.
    pub lanes: Vec<Lane>,
    /// Lanes that are left out, because there are too many.
    pub n_hidden: usize,
    /// Inputs without a place on the common time line: they begin at its start.
    pub unplaced: Vec<usize>,
}

/// A lane before it is cut: segments that fill the window, with their classes.
struct Segments {
    input: usize,
    kind: LaneKind,
    start_ns: i64,
    spans: Vec<(i64, u8)>,
}

/// The overview of some inputs of one run.
pub fn overview(inputs: &[OverviewInput<'_>]) -> Overview {
    let per_input = (MAX_LANES / inputs.len().max(1)).max(1);
    let mut all: Vec<Segments> = Vec::new();
    let mut n_hidden = 0;
    for (number, input) in inputs.iter().enumerate() {
        let mut lanes = lanes_of(number, input);
        lanes.retain(|lane| !lane.spans.is_empty());
        let room = per_input.min(MAX_LANES - all.len().min(MAX_LANES));
        n_hidden += lanes.len().saturating_sub(room);
        lanes.truncate(room);
        all.extend(lanes);
    }
    let placed =
        |lane: &Segments| inputs[lane.input].offset_ns.map(|ns| lane.start_ns.saturating_add(ns));
    let zero = all.iter().filter_map(placed).min();
    let own_zero = |input: usize| all.iter().filter(|l| l.input == input).map(|l| l.start_ns).min();
    let limit = (MAX_PIECES_IN_ALL / all.len().max(1)).min(MAX_PIECES);
    let most_named = MAX_NAMED_IN_ALL / all.len().max(1);
    let lanes: Vec<Lane> = all
        .iter()
        .map(|lane| {
            let start_ns = match (placed(lane), zero) {
                (Some(at), Some(zero)) => at.saturating_sub(zero),
                _ => lane.start_ns - own_zero(lane.input).unwrap_or(lane.start_ns),
            };
            let OverviewInput { store, base, .. } = inputs[lane.input];
            let (named, n_all) = named(store, base, lane.kind, lane.start_ns, most_named);
            let n_unnamed = n_all - named.len();
            Lane { named, n_unnamed, ..cut(lane, start_ns, limit) }
        })
        .collect();
    let len_ns = lanes.iter().map(|lane| lane.start_ns.saturating_add(lane.len_ns())).max();
    let is_unplaced = |&input: &usize| inputs.len() > 1 && inputs[input].offset_ns.is_none();
    let unplaced = (0..inputs.len()).filter(is_unplaced).collect();
    Overview { len_ns: len_ns.unwrap_or(0), lanes, n_hidden, unplaced }
}

/// The lanes of an input, the most telling first: threads by how much of their time the trace explains.
fn lanes_of(number: usize, input: &OverviewInput<'_>) -> Vec<Segments> {
    let mut lanes: Vec<Segments> =
        input.base.devices.iter().map(|device| device_lane(number, device)).collect();
    let mut threads: Vec<(i64, &HostThread)> = input
        .base
        .work_threads()
        .map(|thread| (thread.timeline.totals().get(Class::Unattributed), thread))
        .collect();
    threads.sort_by_key(|&(unexplained_ns, thread)| (unexplained_ns, thread.track));
    for (_, thread) in threads {
        lanes.extend(iteration_lane(number, input.iterations, thread));
        let window = thread.timeline.window();
        let spans = thread.timeline.spans().map(|(span, class)| (span.len_ns(), class as u8));
        lanes.push(Segments {
            input: number,
            kind: LaneKind::Thread(thread.track),
            start_ns: window.start_ns,
            spans: spans.filter(|&(ns, _)| ns > 0).collect(),
        });
    }
    lanes
}

fn device_lane(input: usize, device: &DeviceActivity) -> Segments {
    let set = |wanted: &[ActivityKind]| {
        let mut set = Intervals::default();
        let rows = device.slices.iter().filter(|row| wanted.contains(&row.kind));
        rows.for_each(|row| set.push(row.span));
        set
    };
    let kinds: [&[ActivityKind]; 4] = [
        &[ActivityKind::Compute],
        &[ActivityKind::Comm],
        &[ActivityKind::Memcpy, ActivityKind::CopyKernel],
        &[ActivityKind::Memset],
    ];
    let mut covered = Intervals::default();
    let mut spans: Vec<(Span, u8)> = Vec::new();
    for (class, kind) in (1_u8..).zip(kinds) {
        let own = set(kind).subtract(&covered);
        spans.extend(own.spans().iter().map(|&span| (span, class)));
        covered = covered.union(&own);
    }
    spans.sort_unstable();
    Segments {
        input,
        kind: LaneKind::Device(device.device),
        start_ns: device.window.start_ns,
        spans: filled(spans, device.window),
    }
}

/// The iterations of a thread by phase, of the scheme that says most: the first one.
fn iteration_lane(input: usize, iterations: &Iterations, thread: &HostThread) -> Option<Segments> {
    let of_thread = || iterations.rows.iter().filter(|row| row.track == thread.track);
    let scheme = of_thread().map(|row| row.scheme).min()?;
    let window = thread.timeline.window();
    let class = |phase| match phase {
        Phase::Prefill => 1,
        Phase::Decode => 2,
        Phase::Mixed => 3,
        Phase::Empty => 4,
        Phase::Unknown => 5,
    };
    let rows = of_thread().filter(|row| row.scheme == scheme);
    let span = |start_ns: i64, len_ns: i64| Span::new(start_ns, start_ns.saturating_add(len_ns));
    let spans = rows.map(|row| {
        (span(row.start_ns, row.cpu_ns.saturating_add(row.excluded_ns)), class(row.phase))
    });
    Some(Segments {
        input,
        kind: LaneKind::Iterations(thread.track),
        start_ns: window.start_ns,
        spans: filled(spans.collect(), window),
    })
}

/// Spans in the order of their starts with class 0 between them; where two overlap, the second begins later.
fn filled(spans: Vec<(Span, u8)>, window: Span) -> Vec<(i64, u8)> {
    let mut out = Vec::with_capacity(spans.len() * 2 + 1);
    let mut now = window.start_ns;
    for (span, class) in spans {
        let start = span.start_ns.clamp(now, window.end_ns.max(now));
        let end = span.end_ns.min(window.end_ns);
        if end > start {
            out.push((start - now, 0));
            out.push((end - start, class));
            now = end;
        }
    }
    out.push((window.end_ns - now, 0));
    out.retain(|&(ns, _)| ns > 0);
    out
}

fn cut(lane: &Segments, start_ns: i64, limit: usize) -> Lane {
    let is_exact = lane.spans.len() <= limit;
    let pieces = if is_exact {
        lane.spans.iter().map(|&(ns, class)| Piece { parts: vec![(class, ns)] }).collect()
    } else {
        stretches(&lane.spans, limit)
    };
    Lane {
        input: lane.input,
        kind: lane.kind,
        start_ns,
        is_exact,
        pieces,
        named: Vec::new(),
        n_unnamed: 0,
    }
}

/// Equal stretches with their sums; neighbours of the same one class are joined.
fn stretches(spans: &[(i64, u8)], n: usize) -> Vec<Piece> {
    let len_ns: i64 = spans.iter().map(|&(ns, _)| ns).sum();
    let edge = |i: usize| (i128::from(len_ns) * i as i128 / n as i128) as i64;
    let mut pieces: Vec<Piece> = Vec::with_capacity(n);
    let mut rest = spans.iter().copied();
    let mut open = (0_i64, 0_u8);
    for i in 0..n {
        let mut left = edge(i + 1) - edge(i);
        let mut sums = [0_i64; Class::ALL.len()];
        while left > 0 {
            if open.0 == 0 {
                match rest.next() {
                    Some(span) => open = span,
                    None => break,
                }
            }
            let part = open.0.min(left);
            sums[usize::from(open.1)] += part;
            open.0 -= part;
            left -= part;
        }
        let parts = (0_u8..).zip(sums).filter(|&(_, ns)| ns > 0).collect();
        push_piece(&mut pieces, Piece { parts });
    }
    pieces
}

fn push_piece(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut().map(|last| last.parts.as_mut_slice()), piece.parts.as_slice()) {
        (_, []) => {}
        (Some([(last, sum)]), &[(class, ns)]) if *last == class => *sum += ns,
        _ => pieces.push(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::{filled, stretches};
    use crate::analyze::intervals::Span;

    #[test]
    fn stretches_hold_every_nanosecond_by_class() {
        let spans: Vec<(i64, u8)> = (0..10_007).map(|i| (1 + i % 13, (i % 7) as u8)).collect();
        let pieces = stretches(&spans, 64);
        assert_eq!(pieces.len(), 64);
        for class in 0..8 {
            let whole: i64 = spans.iter().filter(|s| s.1 == class).map(|s| s.0).sum();
            let parts = pieces.iter().flat_map(|piece| &piece.parts).filter(|p| p.0 == class);
            assert_eq!(parts.map(|part| part.1).sum::<i64>(), whole);
        }
    }

    #[test]
    fn long_stretches_of_one_class_are_one_piece() {
        let pieces = stretches(&[(1_000, 3), (1, 0), (999, 2)], 20);
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[0].parts, [(3, 1_000)]);
    }

    #[test]
    fn gaps_are_filled_and_overlaps_cut() {
        let spans = vec![(Span::new(5, 10), 1), (Span::new(8, 12), 2), (Span::new(30, 99), 1)];
        let filled = filled(spans, Span::new(0, 40));
        assert_eq!(filled, [(5, 0), (5, 1), (2, 2), (18, 0), (10, 1)]);
    }
}
