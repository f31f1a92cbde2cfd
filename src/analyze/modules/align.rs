//! Where the kernels of a replayed graph belong, by comparison with kernels and launches whose modules are known.
//!
//! From the surest to the least: the launches of a recorded capture, as many as the graph has kernels; the very same
//! kernels, one after the other, run eagerly; the best alignment (Needleman-Wunsch) with kernels that ran eagerly, where
//! a kernel counts only if no other best alignment gives it another module; repetition of kernels, which tells layers only.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Rung;
use super::subsequence::best_pairs;

/// Cells of an alignment's table at most: 2 MB.
const MAX_CELLS: usize = 1 << 24;

/// Kernels of a graph in which repetition is looked for, which takes a third of their square.
const MAX_REPEATED: usize = 30_000;

/// What one input tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Number of the input.
    pub input: usize,
    /// (look, module) of the kernels that ran eagerly, in order; without a module those outside of all.
    pub eager: Vec<(u32, Option<u32>)>,
    /// Of each captured graph its launches in order, each with its module.
    pub captures: Vec<Vec<Option<u32>>>,
    /// Where each look comes first among `eager`.
    first: HashMap<u32, usize, FixedState>,
}

impl Known {
    /// Of the input of this number.
    pub(super) fn new(
        input: usize,
        eager: Vec<(u32, Option<u32>)>,
        captures: Vec<Vec<Option<u32>>>,
    ) -> Self {
        let mut first = HashMap::default();
        for (at, &(symbol, _)) in eager.iter().enumerate() {
            first.entry(symbol).or_insert(at);
        }
        Self { input, eager, captures, first }
    }

    /// Whether a look is among the first `len` eager kernels.
    fn has(&self, symbol: u32, len: usize) -> bool {
        self.first.get(&symbol).is_some_and(|&at| at < len)
    }
}

/// Where a kernel belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The input whose module it is.
    pub input: usize,
    /// The module.
    pub module: Option<u32>,
    /// The layer, where no module is known.
    pub layer: Option<u64>,
    /// How it is known.
    pub rung: Rung,
}

const NOWHERE: Place = Place { input: 0, module: None, layer: None, rung: Rung::Nothing };

/// Places the kernels of one graph, in the order in which they began.
pub(super) fn place_graph(symbols: &[u32], known: &[Known]) -> Vec<Place> {
    let sequence = known.iter().find_map(|one| exact(symbols, one));
    let capture = || known.iter().find_map(|one| captured(symbols, one));
    let alignment = || known.iter().find_map(|one| aligned(symbols, one));
    sequence.or_else(capture).or_else(alignment).unwrap_or_else(|| repeated(symbols))
}

/// The graph's kernels as one stretch of eager kernels; `None` where stretches disagree on a module.
fn exact(symbols: &[u32], known: &Known) -> Option<Vec<Place>> {
    if !symbols.iter().all(|&symbol| known.has(symbol, known.eager.len())) {
        return None;
    }
    let mut stretches = stretches(symbols, &known.eager);
    let found = stretches.next()?;
    if stretches.any(|other| other != found) {
        return None;
    }
    let place = |&(_, module): &(u32, Option<u32>)| Place {
        input: known.input,
        module,
        layer: None,
        rung: Rung::Sequence,
    };
    Some(found.iter().map(place).collect())
}

/// The stretches of eager kernels that are the graph's (Knuth, Morris and Pratt).
fn stretches<'a>(
    symbols: &'a [u32],
    eager: &'a [(u32, Option<u32>)],
) -> impl Iterator<Item = &'a [(u32, Option<u32>)]> {
    let mut begins = vec![0; symbols.len()];
    for i in 1..symbols.len() {
        begins[i] = begun(symbols, &begins, begins[i - 1], symbols[i]);
    }
    let mut len = 0;
    eager.iter().enumerate().filter_map(move |(at, &(symbol, _))| {
        len = begun(symbols, &begins, len, symbol);
        (len == symbols.len()).then(|| &eager[at + 1 - len..=at])
    })
}

/// How much of the graph's begin stands at the end of a stretch with a kernel more, where `len` stood before. `begins` says
/// the same, shorter than all, of each begin of the graph.
fn begun(symbols: &[u32], begins: &[usize], mut len: usize, next: u32) -> usize {
    while len > 0 && symbols.get(len) != Some(&next) {
        len = begins[len - 1];
    }
    len + usize::from(symbols.get(len) == Some(&next))
}

/// The launches of the one capture that has as many as the graph has kernels.
fn captured(symbols: &[u32], known: &Known) -> Option<Vec<Place>> {
    let mut fitting = known.captures.iter().filter(|launches| launches.len() == symbols.len());
    let launches = fitting.next()?;
    // Two captures of one length that differ would be a guess.
    if fitting.any(|other| other != launches) {
        return None;
    }
    let place = |&module: &Option<u32>| Place {
        input: known.input,
        module,
        layer: None,
        rung: Rung::Capture,
    };
    Some(launches.iter().map(place).collect())
}

/// The best alignment with as many eager kernels as the table has room for; `None` where fewer than half of the kernels
/// find a place.
fn aligned(symbols: &[u32], known: &Known) -> Option<Vec<Place>> {
    let room = MAX_CELLS / (symbols.len() + 1);
    let eager = one_pass(&known.eager, symbols.len());
    let eager = &eager[..eager.len().min(room)];
    // What no eager kernel looks like has no place.
    let n_alike = symbols.iter().filter(|&&symbol| known.has(symbol, eager.len())).count();
    if 2 * n_alike < symbols.len() {
        return None;
    }
    let modules = unique_matches(symbols, eager);
    let n_placed = modules.iter().flatten().count();
    let place = |module: Option<Option<u32>>| match module {
        Some(module) => Place { input: known.input, module, layer: None, rung: Rung::Alignment },
        None => NOWHERE,
    };
    (2 * n_placed >= symbols.len()).then(|| modules.into_iter().map(place).collect())
}

/// One pass of a program that repeats itself: up to where the first modules come again, if that is not far from the length
/// of the graph.
fn one_pass(eager: &[(u32, Option<u32>)], len: usize) -> &[(u32, Option<u32>)] {
    let Some(first) = eager.first() else { return eager };
    let again = |from: usize| (from..eager.len()).find(|&i| eager[i] == *first);
    let mut end = again(1).unwrap_or(eager.len());
    // The first kernel may come several times in one pass.
    while end < eager.len().min(len / 2) {
        end = again(end + 1).unwrap_or(eager.len());
    }
    &eager[..end]
}

/// For each symbol the module, if any, that best alignments give it; `None` where there is no place, or where they differ.
///
/// Scores: 1 for a match, 0 for a gap, no mismatches, so that the best alignment is a longest common subsequence.
fn unique_matches(symbols: &[u32], eager: &[(u32, Option<u32>)]) -> Vec<Option<Option<u32>>> {
    let mut found: Vec<Option<Option<u32>>> = vec![None; symbols.len()];
    let eager_symbols: Vec<u32> = eager.iter().map(|&(symbol, _)| symbol).collect();
    best_pairs(symbols, &eager_symbols, |i, j| {
        let module = eager[j].1;
        let is_ambiguous = found[i].is_some_and(|before| before != module);
        found[i] = (!is_ambiguous).then_some(module);
        !is_ambiguous
    });
    found
}

/// Layers by the repetition that covers the most kernels: at least three times the same kernels, one after the other.
fn repeated(symbols: &[u32]) -> Vec<Place> {
    let n = symbols.len();
    if n > MAX_REPEATED {
        return vec![NOWHERE; n];
    }
    let mut best = (0, 0, 0);
    for period in 1..=n / 3 {
        let mut run = 0;
        for i in 0..n - period {
            run = if symbols[i] == symbols[i + period] { run + 1 } else { 0 };
            let covered = (run / period + 1) * period;
            if run >= 2 * period && covered > best.0 {
                best = (covered, period, i + 1 - run);
            }
        }
    }
    let (covered, period, start) = best;
    let place = |i: usize| {
        if i < start || i >= start + covered || period < 2 {
            return NOWHERE;
        }
        Place { layer: Some(((i - start) / period) as u64), rung: Rung::Repetition, ..NOWHERE }
    };
    (0..n).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::{Known, Place, aligned, exact, one_pass, place_graph, repeated, unique_matches};
    use crate::analyze::modules::Rung;
    use proptest::prelude::*;

    fn layers(symbols: &[u32]) -> Vec<Option<u64>> {
        repeated(symbols).iter().map(|place| place.layer).collect()
    }

    #[test]
    fn three_times_the_same_are_layers() {
        let symbols = [9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 8];
        let expected = [
            None,
            Some(0),
            Some(0),
            Some(0),
            Some(1),
            Some(1),
            Some(1),
            Some(2),
            Some(2),
            Some(2),
            None,
        ];
        assert_eq!(layers(&symbols), expected);
        assert_eq!(layers(&[1, 2, 1, 2]), [None; 4]);
        assert_eq!(layers(&[5, 5, 5, 5, 5, 5]), [None; 6], "one kernel over and over is no layer");
    }

    /// Modules by number; every eager kernel is in one.
    fn matches(symbols: &[u32], eager: &[(u32, u32)]) -> Vec<Option<u32>> {
        let eager: Vec<_> = eager.iter().map(|&(symbol, module)| (symbol, Some(module))).collect();
        unique_matches(symbols, &eager).into_iter().map(Option::flatten).collect()
    }

    #[test]
    fn a_match_that_could_be_another_is_none() {
        // The 2 can be either eager 2; both belong to different modules.
        let eager = [(1, 10), (2, 11), (2, 12), (3, 13)];
        assert_eq!(matches(&[1, 2, 3], &eager), [Some(10), None, Some(13)]);
        assert_eq!(matches(&[1, 2, 2, 3], &eager), [Some(10), Some(11), Some(12), Some(13)]);
        // An extra kernel has no place, and takes none away.
        assert_eq!(
            matches(&[1, 7, 2, 2, 3], &eager),
            [Some(10), None, Some(11), Some(12), Some(13)]
        );
    }

    #[test]
    fn a_graph_of_more_than_twice_the_eager_kernels_ends() {
        let eager = vec![(1, Some(1)), (7, None)];
        let known = [Known::new(0, eager, Vec::new())];
        let places = place_graph(&[1, 2, 3, 1, 2, 3, 1, 2, 3], &known);
        assert!(places.iter().all(|place| place.rung == Rung::Repetition), "{places:?}");
    }

    #[test]
    fn stretches_that_disagree_are_no_answer() {
        let eager = vec![(1, Some(1)), (2, Some(2)), (1, Some(3)), (2, None)];
        let known = [Known::new(0, eager, Vec::new())];
        let places = place_graph(&[1, 2], &known);
        assert!(places.iter().all(|place| place.rung != Rung::Sequence), "{places:?}");
        let captures = vec![vec![Some(5), None]];
        let known = [Known::new(0, Vec::new(), captures)];
        let places = place_graph(&[1, 2], &known);
        assert_eq!((places[0].module, places[0].rung), (Some(5), Rung::Capture));
        assert_eq!(
            (places[1].module, places[1].rung),
            (None, Rung::Capture),
            "outside of every module"
        );
    }

    /// Every stretch of as many eager kernels looked at; modules, where all that are the graph's have the same.
    fn naive_exact(symbols: &[u32], known: &Known) -> Option<Vec<Option<u32>>> {
        let stretches = known.eager.windows(symbols.len());
        let stretches = stretches.map(|stretch| stretch.iter().copied().unzip());
        let stretches =
            stretches.filter(|(looks, _): &(Vec<u32>, Vec<Option<u32>>)| looks == symbols);
        let mut modules: Vec<_> = stretches.map(|(_, modules)| modules).collect();
        modules.dedup();
        (modules.len() == 1).then(|| modules.remove(0))
    }

    /// Kernels of few looks and modules, so that much repeats.
    fn eager() -> impl Strategy<Value = Vec<(u32, Option<u32>)>> {
        (1_u32..5, 1_u32..4).prop_flat_map(|(looks, modules)| {
            prop::collection::vec((0..looks, prop::option::of(0..modules)), 0..60)
        })
    }

    fn graph() -> impl Strategy<Value = Vec<u32>> {
        (1_u32..8).prop_flat_map(|looks| prop::collection::vec(0..looks, 2..7))
    }

    proptest! {
        #[test]
        fn sequences_are_those_of_all_stretches(symbols in graph(), eager in eager()) {
            let known = Known::new(0, eager, Vec::new());
            let found = exact(&symbols, &known).map(|places| places.iter().map(|place| place.module).collect());
            prop_assert_eq!(found, naive_exact(&symbols, &known));
        }

        #[test]
        fn what_is_not_aligned_has_no_place_for_half(symbols in graph(), eager in eager()) {
            let modules = unique_matches(&symbols, one_pass(&eager, symbols.len()));
            let n_placed = modules.iter().flatten().count();
            let found = aligned(&symbols, &Known::new(0, eager, Vec::new()));
            let found = found.map(|places| {
                let module = |place: &Place| (place.rung == Rung::Alignment).then_some(place.module);
                places.iter().map(module).collect::<Vec<_>>()
            });
            prop_assert_eq!(found, (2 * n_placed >= symbols.len()).then_some(modules));
        }
    }
}
