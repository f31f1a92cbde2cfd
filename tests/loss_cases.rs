//! What is lost of small inputs, and what is not, where a person can count it: cases 10, 12b and 36.

mod common;
mod program;

use program::omni_trace;
use serde_json::Value;

/// The machine output over a case; `None`, said aloud, where the cases are not there.
fn analyze(case: &str) -> Option<Value> {
    let path = common::shared_cases()?.join(case);
    let output = omni_trace(&["analyze", &path.to_string_lossy(), "--format", "json", "--quiet"]);
    assert!(output.status.success(), "{case}");
    Some(serde_json::from_slice(&output.stdout).expect("the machine output is JSON"))
}

/// Kind and count of what was lost.
fn losses(report: &Value) -> Vec<(&str, u64)> {
    let issues = report["issues"].as_array().expect("issues").iter();
    let lost = issues.filter(|issue| issue["severity"] == "data_loss");
    let number = |issue: &Value| issue["count"].as_u64().expect("a count");
    lost.map(|issue| (issue["kind"].as_str().expect("a kind"), number(issue))).collect()
}

#[test]
fn every_second_event_lacks_a_quote_10() {
    let Some(report) = analyze("10_legacy_missing_quote.json") else { return };
    assert_eq!(report["inputs"][0]["events"], 10);
    assert_eq!(losses(&report), [("unreadable_event", 10)]);
}

#[test]
fn two_ranks_wrote_one_file_12b() {
    let Some(report) = analyze("12b_short_rank_over_long_rank.json") else { return };
    assert_eq!(report["inputs"][0]["events"], 39);
    assert_eq!(losses(&report), [("events_behind_end", 14), ("unreadable_event", 1)]);
    let message = report["issues"][0]["message"].as_str().expect("a message");
    assert!(message.contains("36 % of the text"), "{message}");
}

#[test]
fn an_empty_object_at_the_end_is_no_loss_36() {
    let Some(report) = analyze("36_empty_object_at_end.json") else { return };
    assert_eq!(report["inputs"][0]["events"], 1);
    assert_eq!(losses(&report), []);
}
