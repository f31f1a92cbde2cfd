//! A second pass over every input, and what comes of it into one file.

use std::io::{self, Write};
use std::sync::Arc;

use super::edit::{Edit, Tally};
use super::json::JsonFile;
use super::plan::InputPlan;
use super::rewrite::{Rewriter, added_events};
use crate::read::events::{Again, VisitError, visit};
use crate::read::{Progress, ReadError, ReadOptions};
use crate::store::{BASE_KEY, PARTS_KEY, Store};

/// One input to write.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// Where its events are read again, from the first pass.
    pub(crate) again: &'a Again,
    /// Its events, from the first pass.
    pub(crate) store: &'a Store,
    /// What becomes of it.
    pub(crate) plan: &'a InputPlan,
    /// What is left out of it.
    pub(crate) edit: Option<&'a Edit>,
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// An input could not be read again.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The output could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl From<VisitError> for WriteError {
    fn from(error: VisitError) -> Self {
        match error {
            VisitError::Read(error) => Self::Read(error),
            VisitError::Write(error) => Self::Write(error),
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Bytes before compression.
    pub(crate) text_bytes: u64,
    /// What stayed and what went.
    pub(crate) tally: Tally,
    /// Events that the format has no place for.
    pub(crate) n_left_out: u64,
}

/// How to read the inputs again.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    pub(crate) options: &'a ReadOptions,
    pub(crate) progress: &'a Arc<Progress>,
}

/// The top-level members of a merged file, before its events.
pub(crate) fn merged_members(
    base_time_ns: Option<i64>,
    plans: &[InputPlan],
) -> serde_json::Result<Vec<(String, String)>> {
    let parts: Vec<_> = plans.iter().map(|plan| &plan.part).collect();
    let mut members = vec![
        ("schemaVersion".to_owned(), "1".to_owned()),
        ("displayTimeUnit".to_owned(), "\"ms\"".to_owned()),
    ];
    members.extend(base_time_ns.map(|base| (BASE_KEY.to_owned(), base.to_string())));
    members.push((PARTS_KEY.to_owned(), serde_json::to_string(&parts)?));
    Ok(members)
}

/// Writes the sources one after the other as Chrome JSON; `level` asks for gzip.
pub(crate) fn write_json(
    out: impl Write,
    level: Option<u32>,
    members: &[(String, String)],
    sources: &[Source<'_>],
    pass: Pass<'_>,
) -> Result<Written, WriteError> {
    let mut file = JsonFile::new(out, level, members)?;
    let mut tally = Tally::default();
    for source in sources {
        file.append_text(&added_events(source.plan))?;
        let make = || Rewriter::new(source.plan, source.edit, level);
        visit(source.again, pass.options, pass.progress, &make, |block| {
            tally.merge(&block.tally);
            file.append(&block)
        })?;
    }
    let text_bytes = file.text_bytes();
    file.finish()?.flush()?;
    Ok(Written { text_bytes, tally, n_left_out: 0 })
}
