//! Begin and end events to spans, per track by time.
//!
//! An end closes the innermost open begin of its category and name, as Perfetto's importer matches them; one that names
//! nothing closes the innermost. What began inside and is still open ends there too, as torch ends an event without an
//! end with its parent. What is open at the end of the input is taken to last until then, as Perfetto shows it.

use super::chunk;
use super::strings::SeenStr;

/// One end, with the numbers of the whole input.
type Edge = chunk::Edge<SeenStr, u32>;

/// A span that a begin event opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct EdgeSpan {
    pub(super) begin: Edge,
    pub(super) end_ns: i64,
    /// Whether its own end was written.
    pub(super) is_closed: bool,
}

/// What begin and end events make.
#[derive(Debug, Default)]
pub(super) struct EdgeSpans {
    pub(super) spans: Vec<EdgeSpan>,
    /// Ends that close nothing.
    pub(super) n_unmatched_ends: u64,
}

/// Joins begin and end events. `nothing` is the number of the empty text; `last_ns` is when the input ends.
pub(super) fn join(mut edges: Vec<Edge>, nothing: Option<SeenStr>, last_ns: i64) -> EdgeSpans {
    edges.sort_by_key(|edge| (edge.track, edge.ts_ns));
    let last_ns = edges.iter().map(|edge| edge.ts_ns).fold(last_ns, i64::max);
    let mut out = EdgeSpans::default();
    for of_track in edges.chunk_by(|a, b| a.track == b.track) {
        let mut open: Vec<Edge> = Vec::new();
        for edge in of_track {
            if edge.is_begin {
                open.push(*edge);
            } else if let Some(at) = open.iter().rposition(|begin| closes(edge, begin, nothing)) {
                out.close(open.drain(at..), edge.ts_ns);
            } else {
                out.n_unmatched_ends += 1;
            }
        }
        let left = open.into_iter();
        out.spans.extend(left.map(|begin| EdgeSpan { begin, end_ns: last_ns, is_closed: false }));
    }
    out
}

impl EdgeSpans {
    /// Closes begins, the first of which has its end here.
    fn close(&mut self, begins: impl Iterator<Item = Edge>, end_ns: i64) {
        let span = |(nth, begin)| EdgeSpan { begin, end_ns, is_closed: nth == 0 };
        self.spans.extend(begins.enumerate().map(span));
    }
}

/// Whether an end can belong to a begin: where both name something, it is the same.
fn closes(end: &Edge, begin: &Edge, nothing: Option<SeenStr>) -> bool {
    let agree = |a: SeenStr, b: SeenStr| a == b || Some(a) == nothing || Some(b) == nothing;
    agree(end.name, begin.name) && agree(end.category, begin.category)
}
