//! Asynchronous begin and end events to spans: matched by category and id whatever thread they are on.

use super::chunk;
use super::strings::SeenStr;

/// One end, with the numbers of the whole input.
type AsyncEdge = chunk::AsyncEdge<SeenStr, u32>;

/// Begins with the time of their ends, in order of file within each id, and how many had no other end.
///
/// Spans of one id nest; where the ends are not in the order of nesting, the name tells which begin is meant.
pub(super) fn pairs(mut edges: Vec<AsyncEdge>) -> (Vec<(AsyncEdge, i64)>, u64) {
    let key = |edge: &AsyncEdge| (edge.category, edge.key);
    edges.sort_by_key(|edge| (key(edge), edge.ts_ns));
    let mut pairs = Vec::with_capacity(edges.len() / 2);
    let mut n_unmatched = 0;
    for of_id in edges.chunk_by(|a, b| key(a) == key(b)) {
        let mut open: Vec<AsyncEdge> = Vec::new();
        for edge in of_id {
            if edge.is_begin {
                open.push(*edge);
                continue;
            }
            let named = open.iter().rposition(|begin| begin.name == edge.name);
            match named.or(open.len().checked_sub(1)) {
                Some(at) => pairs.push((open.remove(at), edge.ts_ns)),
                None => n_unmatched += 1,
            }
        }
        n_unmatched += open.len() as u64;
    }
    (pairs, n_unmatched)
}

#[cfg(test)]
mod tests {
    use super::{AsyncEdge, SeenStr, pairs};

    fn edge(ts_ns: i64, name: u32, key: u32, is_begin: bool) -> AsyncEdge {
        AsyncEdge {
            ts_ns,
            track: 0,
            name: SeenStr(name),
            category: SeenStr(0),
            key: SeenStr(key),
            is_begin,
            event: 0,
        }
    }

    #[test]
    fn spans_of_one_id_nest_and_ids_do_not_mix() {
        let edges = vec![
            edge(0, 1, 1, true),
            edge(1, 2, 1, true),
            edge(2, 1, 2, true),
            edge(3, 1, 1, false),
            edge(5, 2, 1, false),
            edge(9, 1, 2, false),
            edge(10, 1, 2, false),
        ];
        let (found, n_unmatched) = pairs(edges);
        let spans: Vec<_> = found.iter().map(|(b, end)| (b.name.0, b.ts_ns, *end)).collect();
        assert_eq!(spans, [(1, 0, 3), (2, 1, 5), (1, 2, 9)]);
        assert_eq!(n_unmatched, 1);
    }
}
