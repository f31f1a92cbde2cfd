//! The tables that traces and logs give, by name.

use std::sync::LazyLock;

use crate::recorded;
use crate::schema::{Source, Spec};
use crate::table::stages::StagesReport;
use crate::table::{AnalyzeReport, BandwidthReport};

/// Which question gives a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// None: what was recorded, event by event.
    Events,
    /// Where the time went.
    Analyze,
    /// Copies and collectives.
    Bandwidth,
    /// What logs tell.
    Stages,
}

/// A table, whatever the inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct TableInfo {
    /// The name that it has alone among all of these; a plain word, also for SQL.
    pub name: String,
    /// Its key among the tables of its question.
    pub key: &'static str,
    /// The question.
    pub of: Of,
    /// Its title.
    pub title: &'static str,
    /// Its definition: the question that it answers, and the columns.
    pub spec: &'static Spec,
}

static TABLES: LazyLock<Vec<TableInfo>> = LazyLock::new(named);

/// Every table of traces and of logs, those of events first.
pub fn tables() -> &'static [TableInfo] {
    &TABLES
}

/// The tables with their names: the key, and where another table has it, the question before the key. The inputs and issues of
/// traces are the same whatever is asked, and are here once.
fn named() -> Vec<TableInfo> {
    let (analyze, bandwidth) = (AnalyzeReport::default(), BandwidthReport::default());
    let stages = StagesReport::default();
    let mut all: Vec<TableInfo> = Vec::new();
    for &spec in recorded::SPECS {
        add(&mut all, Of::Events, "", (spec.key, spec.title, spec));
    }
    let mut add_all = |of, prefix, sources: Vec<Source<'_>>| {
        for one in sources {
            add(&mut all, of, prefix, (one.key, one.title, one.spec));
        }
    };
    add_all(Of::Analyze, "analyze", analyze.tables(|_| true));
    add_all(Of::Bandwidth, "bandwidth", bandwidth.tables());
    add_all(Of::Stages, "stages", stages.tables());
    all
}

fn add(
    all: &mut Vec<TableInfo>,
    of: Of,
    prefix: &str,
    (key, title, spec): (&'static str, &'static str, &'static Spec),
) {
    let is_same = |one: &TableInfo| one.key == key && one.spec == spec;
    if of == Of::Bandwidth && all.iter().any(is_same) {
        return;
    }
    let is_taken = all.iter().any(|one| one.name == key);
    let name = if is_taken { format!("{prefix}_{key}") } else { key.to_owned() };
    all.push(TableInfo { name, key, of, title, spec });
}

#[cfg(test)]
mod tests {
    use super::{Of, tables};

    #[test]
    fn names_are_plain_and_their_own() {
        let mut names: Vec<&str> = tables().iter().map(|info| info.name.as_str()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
        for name in &names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        }
        for name in ["events", "kernels", "copies", "bandwidth_copies", "stages_waits", "issues"] {
            assert!(names.contains(&name), "{name} of {names:?}");
        }
        let count = |of| tables().iter().filter(|info| info.of == of).count();
        assert!(count(Of::Events) > 10 && count(Of::Analyze) > 20 && count(Of::Bandwidth) > 5);
    }
}
