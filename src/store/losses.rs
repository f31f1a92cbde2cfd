//! What was lost of a trace, carried on in what was written from it: the top-level member [`LOSSES_KEY`].
//!
//! A file that is written anew is whole by itself. That something is missing from it, only what reading its source reported
//! can tell.

use serde::{Deserialize, Serialize};

use super::parts::{PARTS_KEY, parts_of};
use crate::diag::{IssueKind, Reporter, Severity};

/// The top-level key under which a trace that was written anew says what was lost of those that it was written from.
pub const LOSSES_KEY: &str = "omniTraceLosses";

/// What the member holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Losses {
    /// Whether the source ended early.
    truncated: bool,
    /// What was lost, by kind.
    lost: Vec<Loss>,
}

/// One kind of loss.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Loss {
    /// What was lost and why, in words.
    what: String,
    /// How often.
    count: u64,
}

impl Losses {
    fn of(reporter: &Reporter, truncated: bool) -> Self {
        let lost = reporter.issues().filter(|issue| issue.kind.severity() >= Severity::DataLoss);
        let loss = |issue: &crate::diag::Issue| {
            let what = match (&issue.detail, issue.first_offset) {
                // What was carried up to here says itself what it was.
                (Some(detail), _) if issue.kind == IssueKind::LostBefore => detail.clone(),
                (_, None) => format!("{}: {}", issue.kind.as_str(), issue.message()),
                (_, Some(at)) => {
                    format!("{}: {} (first at byte {at})", issue.kind.as_str(), issue.message())
                }
            };
            Loss { what, count: issue.count }
        };
        Self { truncated, lost: lost.map(loss).collect() }
    }

    fn said_by(members: &[(String, String)]) -> Option<Self> {
        let (_, text) = members.iter().rev().find(|(key, _)| key == LOSSES_KEY)?;
        serde_json::from_str(text).ok()
    }

    fn report(self, reporter: &mut Reporter) -> bool {
        for loss in self.lost {
            reporter.named_n(IssueKind::LostBefore, loss.count.max(1), None, loss.what);
        }
        self.truncated
    }
}

/// Puts among top-level members what was lost of a trace, in place of what they said of it before.
pub fn carry_losses(members: &mut Vec<(String, String)>, reporter: &Reporter, truncated: bool) {
    members.retain(|(key, _)| key != LOSSES_KEY);
    let mut losses = Losses::of(reporter, truncated);
    // What a merged file's inputs lost, they say themselves.
    let said: Vec<Losses> = of_parts(members).collect();
    losses.lost.retain(|loss| !said.iter().any(|part| part.lost.contains(loss)));
    losses.truncated &= !said.iter().any(|part| part.truncated);
    if losses == Losses::default() {
        return;
    }
    if let Ok(text) = serde_json::to_string(&losses) {
        members.push((LOSSES_KEY.to_owned(), text));
    }
}

/// Counts what members say was lost, of the file itself and of those that it was merged from. Gives whether any had ended early.
pub fn report_losses(members: &[(String, String)], reporter: &mut Reporter) -> bool {
    let truncated = report_own_losses(members, reporter);
    of_parts(members).fold(truncated, |truncated, part| part.report(reporter) | truncated)
}

/// As [`report_losses`], of the file itself alone.
pub fn report_own_losses(members: &[(String, String)], reporter: &mut Reporter) -> bool {
    Losses::said_by(members).is_some_and(|losses| losses.report(reporter))
}

/// What each input of a merged file says that it lost.
fn of_parts(members: &[(String, String)]) -> impl Iterator<Item = Losses> {
    let is_merged = members.iter().any(|(key, _)| key == PARTS_KEY);
    let parts = if is_merged { parts_of(members) } else { Vec::new() };
    parts.into_iter().filter_map(|part| Losses::said_by(&part.entries()))
}

#[cfg(test)]
mod tests {
    use super::{carry_losses, report_losses};
    use crate::diag::{IssueKind, Reporter};

    #[test]
    fn losses_are_carried_over_any_number_of_files() {
        let mut first = Reporter::default();
        first.add(IssueKind::UnreadableEvent, 3, Some(70), Some("`{x`".to_owned()));
        first.add(IssueKind::RepairedEvent, 9, Some(1), None);
        let mut members = vec![("a".to_owned(), "1".to_owned())];
        carry_losses(&mut members, &first, true);
        for _ in 0..3 {
            let mut read = Reporter::default();
            assert!(report_losses(&members, &mut read));
            let told: Vec<_> = read.issues().map(|i| (i.kind, i.count, i.detail.clone())).collect();
            let what = "unreadable_event: an event could not be read and is missing from every figure: `{x` (first at byte 70)";
            assert_eq!(told, [(IssueKind::LostBefore, 3, Some(what.to_owned()))]);
            carry_losses(&mut members, &read, true);
            assert_eq!(members.len(), 2);
        }
    }

    #[test]
    fn what_is_whole_says_nothing() {
        let mut members = Vec::new();
        carry_losses(&mut members, &Reporter::default(), false);
        assert!(members.is_empty() && !report_losses(&members, &mut Reporter::default()));
    }
}
