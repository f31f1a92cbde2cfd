//! Begin and end events (`ph` = `B`, `E`) to complete events.

use std::collections::BTreeMap;

use super::chunk::{Chunk, ChunkBuilder, LocalEdge, LocalStr};
use super::{SliceRow, TrackId};
use crate::diag::{IssueKind, Reporter};

/// An edge with its texts looked up, so that edges of different chunks can meet.
struct Edge<'a> {
    ts_ns: i64,
    name: &'a str,
    category: &'a str,
    is_begin: bool,
}

/// A (pid, tid) with its texts looked up.
type Key<'a> = (TrackId<&'a str>, TrackId<&'a str>);

/// Matches begin and end events per track by time and nesting, and appends the resulting slices as a chunk of their own.
/// What has no partner is counted.
pub(super) fn join_edges(chunks: &mut Vec<Chunk>, reporter: &mut Reporter) {
    if chunks.iter().all(|chunk| chunk.edges.is_empty()) {
        return;
    }
    let mut by_track: BTreeMap<Key<'_>, Vec<Edge<'_>>> = BTreeMap::new();
    for chunk in chunks.iter() {
        for edge in &chunk.edges {
            by_track.entry(key(chunk, edge)).or_default().push(Edge {
                ts_ns: edge.ts_ns,
                name: chunk.strings.get(edge.name.0),
                category: chunk.strings.get(edge.category.0),
                is_begin: edge.is_begin,
            });
        }
    }
    let mut builder = ChunkBuilder::default();
    let mut n_unmatched = 0;
    for (key, mut edges) in by_track {
        edges.sort_by_key(|edge| edge.ts_ns);
        n_unmatched += match_track(&mut builder, key, &edges);
    }
    if n_unmatched > 0 {
        reporter.add(IssueKind::UnmatchedBegin, n_unmatched, None, None);
    }
    chunks.push(builder.finish());
}

fn key<'a>(chunk: &'a Chunk, edge: &LocalEdge) -> Key<'a> {
    let text = |id: TrackId<LocalStr>| match id {
        TrackId::Int(v) => TrackId::Int(v),
        TrackId::Text(s) => TrackId::Text(chunk.strings.get(s.0)),
    };
    let (pid, tid) = chunk.tracks[edge.track.0 as usize];
    (text(pid), text(tid))
}

/// Adds the slices of one track; gives the number of edges without partner.
fn match_track(builder: &mut ChunkBuilder, (pid, tid): Key<'_>, edges: &[Edge<'_>]) -> u64 {
    let mut local = |id: TrackId<&str>| match id {
        TrackId::Int(v) => TrackId::Int(v),
        TrackId::Text(s) => TrackId::Text(builder.string(s)),
    };
    let (pid, tid) = (local(pid), local(tid));
    let track = builder.track(pid, tid);
    let mut open: Vec<&Edge<'_>> = Vec::new();
    let mut n_unmatched = 0;
    for edge in edges {
        if edge.is_begin {
            open.push(edge);
            continue;
        }
        let Some(begin) = open.pop() else {
            n_unmatched += 1;
            continue;
        };
        let name = builder.string(begin.name);
        let category = builder.string(begin.category);
        builder.slice(SliceRow {
            ts_ns: begin.ts_ns,
            dur_ns: edge.ts_ns.saturating_sub(begin.ts_ns),
            name,
            category,
            track,
            id_a: None,
            id_b: None,
        });
    }
    n_unmatched + open.len() as u64
}
