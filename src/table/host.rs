//! What each host thread did with its window, as people see it.

use std::collections::BTreeMap;

use super::ThreadRow;
use crate::analyze::host::ThreadKind;
use crate::schema::{Source, Table};

/// The threads table. What the trace cannot show of a thread is said under it, never as zero.
pub(super) fn threads(rows: &[ThreadRow]) -> Source<'_> {
    let classes = rows.iter().flat_map(|thread| &thread.classes);
    let used = classes.filter(|class| class.ns.is_some_and(|ns| ns != 0)).collect();
    Source::some(used).with(|table| with_unrecorded(table, rows))
}

fn with_unrecorded(mut table: Table, threads: &[ThreadRow]) -> Table {
    let work = threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
    let mut unknown: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
    for thread in work {
        let missing = thread.classes.iter().filter(|class| class.ns.is_none());
        let classes: Vec<&str> = missing.map(|class| class.class.as_str()).collect();
        if !classes.is_empty() {
            let whose = format!("#{} tid {}", thread.input, thread.tid);
            unknown.entry(classes).or_default().push(whose);
        }
    }
    for (classes, whose) in unknown {
        let note = format!("not recorded for {}: {}", whose.join(", "), classes.join(", "));
        table = table.with_note(note);
    }
    table
}
