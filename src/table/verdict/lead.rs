//! What the lead thread did with its time, and who was busy while it waited for other processes.

use super::{Line, Sentence, Tone, WORTH_TELLING_PCT, own};
use crate::analyze::host::ThreadKind;
use crate::analyze::timeline::Class;
use crate::schema::{Pointer, pointer};
use crate::table::{
    AnalyzeReport, BlameCellRow, BlameRow, BreakdownRow, Cell, ThreadClassRow, ThreadRow, TrustRow,
    percent,
};

/// `The lead thread 594 waited 77.1 % of its time: ipc_wait 76.4 %, gpu_sync 0.7 %.`
pub(super) fn lead_thread(
    report: &AnalyzeReport,
    number: usize,
    row: &BreakdownRow,
) -> Vec<Sentence> {
    let at = Pointer::<BreakdownRow>::row(number);
    let whole = || (row.total_ns, pointer!(at.total_ns));
    if row.total_ns == 0 {
        return Vec::new();
    }
    let tid = row.tid.as_ref().map_or(String::new(), |tid| format!(" {tid}"));
    let is_blind = lead_of(report, row).is_some_and(|(_, thread)| is_blind(thread));
    let mut line = Line::new(format!("Lead thread{tid}: ")).share_from(
        is_blind,
        (row.execution_ns, pointer!(at.execution_ns)),
        whole(),
        Some("execution"),
    );
    if let Some(waiting_ns) = row.waiting_ns {
        line = line.words(", ").share_from(
            is_blind,
            (waiting_ns, pointer!(at.waiting_ns)),
            whole(),
            Some("waiting"),
        );
        line = waits_of(report, row, line);
    }
    if row.unattributed_ns > 0 {
        line = line
            .words(", ")
            .share((row.unattributed_ns, pointer!(at.unattributed_ns)), whole())
            .words(" that no event explains");
    }
    let mut out = vec![line.words(".").see::<BreakdownRow>()];
    if is_blind {
        let words = match row.lacks(Class::IpcWait) {
            true => {
                "Without Python frames the lead thread's waits for other processes do not show: they are in what no event explains, and take at most that."
            }
            false => {
                "Without Python frames only those waits for other processes show that annotations name: their time is a lower bound."
            }
        };
        out.push(Line::new(words).tone(Tone::Caution).see::<TrustRow>());
    }
    out
}

/// Whether a thread has time that no event explains and no Python frames, which would tell Python and waits for other
/// processes: what is known of execution and waiting are lower bounds.
pub(super) fn is_blind(thread: &ThreadRow) -> bool {
    let ns = |class| thread.classes.iter().find(|row| row.class == class).map(|row| row.ns);
    ns(Class::Python) == Some(None) && ns(Class::Unattributed).flatten().is_some_and(|ns| ns > 0)
}

/// The lead thread of a breakdown with its number among the threads.
pub(super) fn lead_of<'a>(
    report: &'a AnalyzeReport,
    row: &BreakdownRow,
) -> Option<(usize, &'a ThreadRow)> {
    let is_lead = |thread: &ThreadRow| {
        thread.kind == ThreadKind::Work && Some(&thread.tid) == row.tid.as_ref()
    };
    own(&report.threads, row.input, |thread| thread.input).find(|(_, thread)| is_lead(thread))
}

/// The waits of the lead thread by class, in brackets.
fn waits_of(report: &AnalyzeReport, row: &BreakdownRow, mut line: Line) -> Line {
    let Some((t, thread)) = lead_of(report, row) else { return line };
    let at = Pointer::<ThreadRow>::around::<ThreadClassRow>(t);
    let mut opened = false;
    for (c, class) in thread.classes.iter().enumerate() {
        let (Some(ns), words) = (class.ns, wait_words(class.class)) else { continue };
        let is_told = percent(ns, thread.window_ns).is_some_and(|pct| pct >= WORTH_TELLING_PCT);
        let Some(words) = words.filter(|_| is_told) else { continue };
        let inside = at.inside::<ThreadClassRow>(c);
        line = line
            .words(if opened { ", " } else { " (" })
            .share((ns, pointer!(inside.ns)), (thread.window_ns, pointer!(at.window_ns)))
            .words(words);
        opened = true;
    }
    if opened { line.words(")") } else { line }
}

fn wait_words(class: Class) -> Option<&'static str> {
    match class {
        Class::IpcWait => Some(" IPC wait"),
        Class::GpuSync => Some(" waiting for the device"),
        Class::OtherWait => Some(" other waits"),
        _ => None,
    }
}

/// `While it waited for other processes (34.9 ms), stage 2 was busy for 23 %, …; for 56.7 % nobody recorded was.`
pub(super) fn waited_for(
    report: &AnalyzeReport,
    number: usize,
    row: &BlameRow,
) -> Option<Sentence> {
    let wait_ns = row.wait_ns.filter(|&ns| ns > 0)?;
    let nobody_ns = row.nobody_ns?;
    let at = Pointer::<BlameRow>::around::<BlameCellRow>(number);
    let whole = || (wait_ns, pointer!(at.wait_ns));
    let mut own = own(&report.threads, row.input, |thread| thread.input);
    let is_bound = own.any(|(_, thread)| thread.kind == ThreadKind::Work && is_blind(thread));
    let at_least = if is_bound { "at least " } else { "" };
    let mut line = Line::new(format!("While it waited for other processes ({at_least}"))
        .figure(Cell::Ns(wait_ns), pointer!(at.wait_ns))
        .words("), ");
    let mut busy: Vec<_> =
        row.busy.iter().enumerate().filter(|(_, c)| c.other != row.input).collect();
    busy.retain(|(_, cell)| cell.busy_pct.is_some_and(|pct| pct >= WORTH_TELLING_PCT));
    busy.sort_by_key(|&(i, cell)| (-cell.busy_ns, i));
    busy.truncate(2);
    let and = if busy.is_empty() { "" } else { "and " };
    for (i, cell) in busy {
        let inside = at.inside::<BlameCellRow>(i);
        line = line
            .words(format!("{} was busy for ", report.name_of(cell.other)))
            .share((cell.busy_ns, pointer!(inside.busy_ns)), whole())
            .words(" of it, ");
    }
    let line = line.words(format!("{and}for ")).share((nobody_ns, pointer!(at.nobody_ns)), whole());
    Some(line.words(" of it nobody that was recorded was busy.").see::<BlameCellRow>())
}

#[cfg(test)]
mod tests {
    use super::waited_for;
    use crate::table::verdict::line::said;
    use crate::table::{AnalyzeReport, BlameCellRow, BlameRow, InputRow};

    fn cell(other: usize, busy_ns: i64) -> BlameCellRow {
        BlameCellRow {
            input: 0,
            wait_ns: None,
            nobody_ns: None,
            other,
            busy_ns,
            busy_pct: Some(busy_ns as f64 / 10.0),
            device_ns: 0,
            host_ns: 0,
            unrecorded_ns: 0,
            error_ns: None,
        }
    }

    /// The two that were busy longest, none of a share below 1 %, and nothing where nobody waited.
    #[test]
    fn those_who_were_busy_longest_are_named() {
        let inputs = (0..4).map(|input| InputRow {
            input,
            label: format!("rank {input}"),
            ..InputRow::default()
        });
        let report = AnalyzeReport { inputs: inputs.collect(), ..AnalyzeReport::default() };
        let of = |wait_ns, busy: Vec<BlameCellRow>| {
            let row = BlameRow { input: 0, wait_ns, busy, nobody_ns: Some(100) };
            waited_for(&report, 0, &row).map(|one| said(&one.parts))
        };
        let busy = || vec![cell(0, 900), cell(1, 100), cell(2, 500), cell(3, 200)];
        let told = of(Some(1000), busy()).unwrap();
        assert!(
            told.contains("#2 rank 2 was busy for 50.0 % of it, #3 rank 3 was busy for 20.0 %"),
            "{told}"
        );
        assert!(!told.contains("rank 0") && !told.contains("rank 1"), "{told}");
        assert!(
            told.ends_with("and for 10.0 % of it nobody that was recorded was busy."),
            "{told}"
        );
        let told = of(Some(1000), vec![cell(1, 9)]).unwrap();
        assert!(!told.contains("rank 1"), "{told}");
        assert_eq!(of(Some(0), busy()), None);
        assert_eq!(of(None, busy()), None);
    }
}
