//! How long iterations took.

use super::{Line, Sentence};
use crate::analyze::iteration_names::Phase;
use crate::schema::{Pointer, pointer};
use crate::table::{Cell, IterationSummaryRow};

/// `8 decode iterations: median 2.1 ms on the CPU, longest 5.0 ms.`
pub(super) fn iterations(number: usize, row: &IterationSummaryRow) -> Sentence {
    let at = Pointer::<IterationSummaryRow>::row(number);
    let phase = if row.phase == Phase::Unknown { "" } else { row.phase.as_str() };
    let space = if phase.is_empty() { "" } else { " " };
    let word = if row.count == 1 { "iteration" } else { "iterations" };
    let line = Line::new("")
        .figure(Cell::Count(row.count), pointer!(at.count))
        .words(format!("{space}{phase} {word} ({}): ", row.scheme.as_str()));
    let line = if row.count == 1 {
        line.figure(Cell::Ns(row.p50_ns), pointer!(at.p50_ns)).words(" on the CPU")
    } else if row.count == 2 {
        // The median by nearest rank of two is the smaller one.
        line.figure(Cell::Ns(row.min_ns), pointer!(at.min_ns))
            .words(" and ")
            .figure(Cell::Ns(row.max_ns), pointer!(at.max_ns))
            .words(" on the CPU")
    } else {
        line.words("median ")
            .figure(Cell::Ns(row.p50_ns), pointer!(at.p50_ns))
            .words(" on the CPU, longest ")
            .figure(Cell::Ns(row.max_ns), pointer!(at.max_ns))
    };
    line.words(".").see::<IterationSummaryRow>()
}

#[cfg(test)]
mod tests {
    use super::iterations;
    use crate::analyze::iteration_names::{Phase, Scheme};
    use crate::analyze::iterations::IterationFigure;
    use crate::table::IterationSummaryRow;
    use crate::table::verdict::line::said;

    /// The median of two is the smaller one, and of one there is no longest.
    #[test]
    fn few_iterations_have_no_median() {
        let of = |phase, count, [min_ns, p50_ns, max_ns]: [i64; 3]| {
            let row = IterationSummaryRow {
                input: 0,
                scheme: Scheme::Execute,
                phase,
                figure: IterationFigure::Cpu,
                count,
                sum_ns: 0,
                min_ns,
                p50_ns,
                p90_ns: max_ns,
                p99_ns: max_ns,
                max_ns,
            };
            said(&iterations(0, &row).parts)
        };
        assert_eq!(of(Phase::Unknown, 1, [5, 5, 5]), "1 iteration (execute): 5 ns on the CPU.");
        assert_eq!(
            of(Phase::Decode, 2, [5, 5, 9]),
            "2 decode iterations (execute): 5 ns and 9 ns on the CPU."
        );
        assert_eq!(
            of(Phase::Decode, 3, [5, 7, 9]),
            "3 decode iterations (execute): median 7 ns on the CPU, longest 9 ns."
        );
    }
}
