//! Whether launches are the limit of iterations.

use super::{Line, Sentence, own};
use crate::analyze::launch_stats::{LaunchBy, LaunchStatRow};
use crate::analyze::launched::BoundBy;
use crate::schema::{Pointer, pointer};
use crate::table::{AnalyzeReport, Cell};

/// Fewer launches say nothing.
const N_LAUNCHES: u64 = 20;

/// That the phase with the most launches is bound by them.
pub(super) fn bound(report: &AnalyzeReport, input: usize) -> Option<Sentence> {
    let phases = own(&report.launch_stats, input, |row| row.input);
    let phases = phases.filter(|(_, row)| row.by == LaunchBy::Phase);
    let (number, row) = phases.max_by_key(|(_, row)| row.count)?;
    let is_bound = row.bound == BoundBy::Host && row.count >= N_LAUNCHES;
    is_bound.then(|| sentence(number, row))
}

fn sentence(number: usize, row: &LaunchStatRow) -> Sentence {
    let at = Pointer::<LaunchStatRow>::row(number);
    let of = match row.name.as_str() {
        "unknown" => "Iterations are".to_owned(),
        phase => format!("Iterations of phase {phase} are"),
    };
    Line::new(format!("{of} bound by launches: the stream had run dry before "))
        .share((row.dry as i64, pointer!(at.dry)), (row.count as i64, pointer!(at.count)))
        .words(" of the ")
        .figure(Cell::Count(row.count), pointer!(at.count))
        .words(" kernels and copies that they started; of ")
        .figure(Cell::Ns(row.host_ns), pointer!(at.host_ns))
        .words(" of the host up to their launches ")
        .share((row.framework_ns, pointer!(at.framework_ns)), (row.host_ns, pointer!(at.host_ns)))
        .words(" were operators and Python, ")
        .share((row.launch_ns, pointer!(at.launch_ns)), (row.host_ns, pointer!(at.host_ns)))
        .words(" the calls.")
        .see::<LaunchStatRow>()
}
