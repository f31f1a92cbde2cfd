//! Kernels that only one side runs, and which of them stand in each other's place.

use super::names;
use super::rows::{CauseRow, KernelChange, KernelChangeRow};
use super::sample::Lane;

/// Counts per iteration that differ by no more than this share are equal.
const SAME_COUNT: f64 = 0.01;

/// The changes of a lane, the longest time first. `rows` are its causes.
pub(super) fn changes(number: usize, lane: &Lane, rows: &[CauseRow]) -> Vec<KernelChangeRow> {
    let kernels = || rows.iter().filter(|row| ["kernel", "comm"].contains(&row.class.as_str()));
    let mut gone: Vec<&CauseRow> = kernels().filter(|row| row.b_count == 0.0).collect();
    let mut new: Vec<&CauseRow> = kernels().filter(|row| row.a_count == 0.0).collect();
    gone.sort_by(|a, b| b.a_ns.cmp(&a.a_ns).then_with(|| a.key.cmp(&b.key)));
    new.sort_by(|a, b| b.b_ns.cmp(&a.b_ns).then_with(|| a.key.cmp(&b.key)));
    let op = |row: &CauseRow| {
        lane.rows.iter().find(|key| key.text() == row.key).and_then(|key| key.op.clone())
    };
    let mut out = Vec::new();
    for old in gone {
        let at = new.iter().position(|new| is_in_place(old, new, op(old), op(new)));
        let by = at.map(|at| new.remove(at));
        out.push(KernelChangeRow {
            lane: number,
            change: if by.is_some() { KernelChange::Replaced } else { KernelChange::Gone },
            op: op(old),
            a_count: Some(old.a_count),
            b_count: by.map(|by| by.b_count),
            a_ns: Some(old.a_ns),
            b_ns: by.map(|by| by.b_ns),
            name: old.name.clone(),
            by: by.map(|by| by.name.clone()),
        });
    }
    out.extend(new.into_iter().map(|row| KernelChangeRow {
        lane: number,
        change: KernelChange::New,
        op: op(row),
        a_count: None,
        b_count: Some(row.b_count),
        a_ns: None,
        b_ns: Some(row.b_ns),
        name: row.name.clone(),
        by: None,
    }));
    out.sort_by_key(|row| std::cmp::Reverse(row.a_ns.max(row.b_ns)));
    out
}

/// Whether one kernel stands in the place of another: as often, and launched by the same operator or of the same name but
/// for its tiles.
fn is_in_place(old: &CauseRow, new: &CauseRow, op: Option<String>, by: Option<String>) -> bool {
    let is_as_often = (old.a_count - new.b_count).abs() <= SAME_COUNT * old.a_count;
    let is_same_op = op.is_some() && op == by;
    let is_retiled = names::kernel(&old.name, true) == names::kernel(&new.name, true);
    is_as_often && (is_same_op || is_retiled)
}
