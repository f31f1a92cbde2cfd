//! A second pass over every input, and what comes of it into one file.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::Builder;

use super::edit::{Edit, Tally};
use super::json::JsonFile;
use super::plan::InputPlan;
use super::rewrite::{Rewriter, Rewritten, added_events};
use super::spare::Spares;
use crate::diag::timings::timed;
use crate::model::limits::{BLOCKS_IN_FLIGHT_PER_THREAD, WRITTEN_SIDE_BY_SIDE};
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

/// Writes the sources as Chrome JSON, some of them side by side; `level` asks for gzip.
pub(crate) fn write_json(
    out: impl Write,
    level: Option<u32>,
    members: &[(String, String)],
    sources: &[Source<'_>],
    pass: Pass<'_>,
) -> Result<Written, WriteError> {
    let mut file = JsonFile::new(out, level, members)?;
    let mut tally = Tally::default();
    let spares = Spares::default();
    for group in sources.chunks(WRITTEN_SIDE_BY_SIDE) {
        in_turn(group, (level, &spares), pass, |piece| match piece {
            Piece::Added(events) => file.append_text(&events),
            Piece::Block(block) => {
                tally.add(&block.tally);
                file.append(&block)?;
                block.body.give_back(&spares);
                Ok(())
            }
        })?;
    }
    let text_bytes = file.text_bytes();
    file.finish()?.flush()?;
    Ok(Written { text_bytes, tally, n_left_out: 0 })
}

/// What comes of a source, in order.
enum Piece {
    /// Events that its plan adds.
    Added(Vec<u8>),
    /// The events of one of its blocks.
    Block(Rewritten),
}

/// Rewrites sources side by side, and gives their pieces in turn, one of each as long as it has more: an order that depends on
/// the sources alone.
fn in_turn(
    sources: &[Source<'_>],
    (level, spares): (Option<u32>, &Spares),
    pass: Pass<'_>,
    mut take: impl FnMut(Piece) -> io::Result<()>,
) -> Result<(), WriteError> {
    let threads = (pass.options.threads / sources.len().max(1)).max(1);
    let options = ReadOptions { threads, ..*pass.options };
    std::thread::scope(|scope| {
        let mut open = VecDeque::new();
        for source in sources {
            let (pieces, given) = sync_channel(BLOCKS_IN_FLIGHT_PER_THREAD);
            let make = || Rewriter::new(source.plan, source.edit, level, spares);
            let options = &options;
            let gone = |_| io::Error::other("nobody takes the blocks");
            let work = move || {
                let give =
                    |piece| timed("write: source blocked", || pieces.send(piece)).map_err(gone);
                give(Piece::Added(added_events(source.plan)))?;
                visit(source.again, options, pass.progress, &make, |b| give(Piece::Block(b)))?;
                Ok::<_, WriteError>(())
            };
            let no_thread =
                |error| ReadError::NoThread { path: source.again.path().to_owned(), source: error };
            let reader = Builder::new().spawn_scoped(scope, work).map_err(no_thread)?;
            open.push_back((given, reader));
        }
        while let Some((given, reader)) = open.pop_front() {
            match timed("write: writer idle", || given.recv()) {
                Ok(piece) => {
                    timed("write: into the file", || take(piece))?;
                    open.push_back((given, reader));
                }
                Err(_) => reader.join().unwrap_or_else(|panic| resume_unwind(panic))?,
            }
        }
        Ok(())
    })
}
