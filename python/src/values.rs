//! Definitions and values as plain Python objects.

use omni_trace::{Column, Of, Values};
use pyo3::prelude::*;
use pyo3::types::PyList;

/// A column: key, heading, unit, kind, whether a value may be missing, meaning, and the words of a closed list.
#[derive(IntoPyObject)]
pub(crate) struct ColumnInfo {
    key: &'static str,
    heading: &'static str,
    unit: Option<&'static str>,
    kind: &'static str,
    is_nullable: bool,
    meaning: &'static str,
    words: Vec<&'static str>,
}

impl ColumnInfo {
    pub(crate) fn of(column: &'static Column) -> Self {
        Self {
            key: column.key,
            heading: column.name,
            unit: column.unit.name(),
            kind: column.kind.name(),
            is_nullable: column.is_nullable,
            meaning: column.doc,
            words: column.kind.words().to_vec(),
        }
    }
}

/// A table: name, key, which command answers it, title, the question that it answers, columns.
#[derive(IntoPyObject)]
pub(crate) struct TableInfo {
    name: &'static str,
    key: &'static str,
    of: &'static str,
    title: &'static str,
    question: &'static str,
    columns: Vec<ColumnInfo>,
}

impl TableInfo {
    pub(crate) fn of(info: &'static omni_trace::TableInfo) -> Self {
        Self {
            name: &info.name,
            key: info.key,
            of: command_of(info.of),
            title: info.title,
            question: info.spec.question,
            columns: info.spec.value_columns().map(ColumnInfo::of).collect(),
        }
    }
}

fn command_of(of: Of) -> &'static str {
    match of {
        Of::Events => "events",
        Of::Analyze => "analyze",
        Of::Bandwidth => "bandwidth",
        Of::Stages => "stages",
    }
}

/// Some values of a column; `None` where nothing was recorded.
pub(crate) fn list<'py>(
    py: Python<'py>,
    values: &Values,
    rows: std::ops::Range<usize>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for row in rows {
        match values {
            Values::Int(cells) => list.append(cells.get(row))?,
            Values::Float(cells) => list.append(cells.get(row))?,
            Values::Bool(cells) => list.append(cells.get(row))?,
            Values::Text(texts) => list.append(texts.get(row))?,
            Values::Word(codes, words) => {
                list.append(codes.get(row).map(|code| words[usize::from(code)]))?;
            }
            Values::List(lists) => {
                list.append(lists.get(row).map(Iterator::collect::<Vec<&str>>))?;
            }
            Values::Nested => list.append(py.None())?,
        }
    }
    Ok(list)
}
