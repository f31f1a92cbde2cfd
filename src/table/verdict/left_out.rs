//! What is missing from the figures: data that was lost, and what was left out because somebody asked for that.

use super::{Line, Sentence, Tone};
use crate::analyze::timeline::Class;
use crate::schema::{Pointer, pointer};
use crate::table::{AnalyzeReport, Cell, ExcludedRow, IssueRow, Severity, TotalsRow};

pub(super) fn losses(report: &AnalyzeReport) -> impl Iterator<Item = Sentence> + '_ {
    let issues = report.issues.iter().enumerate();
    issues.filter(|(_, issue)| issue.severity >= Severity::DataLoss).map(|(number, issue)| {
        let at = Pointer::<IssueRow>::row(number);
        let place = match report.inputs.len() {
            1 => String::new(),
            _ => format!(" in {}", report.name_of(issue.input)),
        };
        Line::new(format!("Data was lost{place}: "))
            .figure(Cell::Count(issue.count), pointer!(at.count))
            .words(" × ")
            .figure(Cell::Text(issue.message.clone()), pointer!(at.message))
            .tone(Tone::Loss)
            .see::<IssueRow>()
    })
}

pub(super) fn excluded(report: &AnalyzeReport) -> Option<Sentence> {
    if report.excluded_classes.is_empty() {
        return None;
    }
    let root = Pointer::<AnalyzeReport>::root();
    let totals = Pointer::<TotalsRow>::at(pointer!(root.totals));
    let line = Line::new(format!(
        "Left out of windows, CPU totals and shares of work threads: {}, ",
        Class::names(&report.excluded_classes)
    ))
    .figure(Cell::Ns(report.totals.excluded_ns), pointer!(totals.excluded_ns));
    Some(line.words(" in all.").tone(Tone::Caution).see::<ExcludedRow>())
}

#[cfg(test)]
mod tests {
    use super::{excluded, losses};
    use crate::analyze::timeline::Class;
    use crate::table::verdict::line::said;
    use crate::table::{AnalyzeReport, InputRow, IssueKind, IssueRow};

    fn issue(kind: IssueKind) -> IssueRow {
        let message = kind.meaning().to_owned();
        IssueRow {
            severity: kind.severity(),
            kind,
            count: 2,
            first_offset: None,
            message,
            input: 0,
        }
    }

    /// What only changes how a figure is read is no loss.
    #[test]
    fn only_what_was_lost_is_a_loss() {
        let issues = vec![issue(IssueKind::NoWindowEnd), issue(IssueKind::TruncatedFile)];
        let inputs = vec![InputRow::default()];
        let report = AnalyzeReport { issues, inputs, ..AnalyzeReport::default() };
        let told: Vec<String> = losses(&report).map(|one| said(&one.parts)).collect();
        let [only] = told.as_slice() else { panic!("{told:?}") };
        assert!(only.starts_with("Data was lost: 2 × the file ends early"), "{only}");
        let none =
            AnalyzeReport { issues: vec![issue(IssueKind::LeftOut)], ..AnalyzeReport::default() };
        assert_eq!(losses(&none).count(), 0);
    }

    #[test]
    fn what_is_left_out_is_named_where_something_is() {
        assert_eq!(excluded(&AnalyzeReport::default()), None);
        let excluded_classes = vec![Class::IpcWait];
        let report = AnalyzeReport { excluded_classes, ..AnalyzeReport::default() };
        let told = said(&excluded(&report).unwrap().parts);
        assert_eq!(
            told,
            "Left out of windows, CPU totals and shares of work threads: ipc_wait, 0 ns in all."
        );
    }
}
