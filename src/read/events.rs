//! A second pass over an input: its events as spans of their text, in order, for rewriting them.
//!
//! The first pass ([`read_for_rewriting`]) gives the store and an index; the second ([`visit`]) gives every event again
//! with its number, so that what was learned of a slice can be applied to its text. Both cut alike.

use std::io;
use std::path::Path;
use std::sync::Arc;

pub(crate) use super::chrome::decode::flow_id;
pub(crate) use super::chrome::event::{RawEvent, RawValue, key_text};
pub(crate) use super::chrome::tolerant::Reading;
use super::chrome::walk::Sink;
pub(crate) use super::ids::{id_space, shifted_id};
use super::pipeline::{Opened, PassError};
pub(crate) use super::trace::EventIndex;
use super::{Input, Progress, ReadError, ReadOptions, input_of, trace};
use crate::diag::Reporter;

/// Why a second pass ended early.
#[derive(Debug)]
pub(crate) enum VisitError {
    /// The input cannot be read.
    Read(ReadError),
    /// The output cannot be written.
    Write(io::Error),
}

/// What is done with the events of one block.
pub(crate) trait Visitor: Send {
    /// What a block becomes.
    type Output: Send;

    /// Takes an event with its number among all events of the file.
    fn event(&mut self, number: u64, event: &RawEvent<'_>, reading: Reading);

    /// What the block became.
    fn finish(self) -> Self::Output;
}

/// Reads an input as it stands, with each slice's event number.
pub(crate) fn read_for_rewriting(
    path: &Path,
    options: &ReadOptions,
    progress: &Arc<Progress>,
) -> Result<(Input, EventIndex), ReadError> {
    let (trace, index) = trace::read_whole(path, options, progress, true)?;
    Ok((input_of(path, trace), index))
}

/// Goes through the events again. `make` gives the visitor of a block, `take` gets what blocks became, in order.
pub(crate) fn visit<V: Visitor>(
    path: &Path,
    options: &ReadOptions,
    progress: &Arc<Progress>,
    index: &EventIndex,
    make: &(impl Fn() -> V + Sync),
    mut take: impl FnMut(V::Output) -> io::Result<()>,
) -> Result<(), VisitError> {
    let opened = Opened::new(path, progress).map_err(VisitError::Read)?;
    let make = |offset: u64| Numbered {
        visitor: make(),
        // A block that is not in the index was cut wrongly; what it gives is thrown away.
        next: index.first_event(offset).unwrap_or(0),
        reporter: Reporter::default(),
    };
    match opened.run(options, &make, &mut |_, output| take(output)) {
        Ok(_) => Ok(()),
        Err(PassError::Read(error)) => Err(VisitError::Read(error)),
        Err(PassError::Take(error)) => Err(VisitError::Write(error)),
    }
}

/// Counts the events of a block for its visitor.
struct Numbered<V> {
    visitor: V,
    next: u64,
    reporter: Reporter,
}

impl<V: Visitor> Sink for Numbered<V> {
    type Output = V::Output;

    fn event(&mut self, event: &RawEvent<'_>, _: u64, reading: Reading) {
        self.visitor.event(self.next, event, reading);
        self.next += 1;
    }

    fn reporter(&mut self) -> &mut Reporter {
        &mut self.reporter
    }

    fn finish(self) -> (V::Output, Reporter) {
        (self.visitor.finish(), self.reporter)
    }
}
