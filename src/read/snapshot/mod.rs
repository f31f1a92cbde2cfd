//! Snapshots of torch's caching allocator: pickles that are read as data, without running any of them.
//!
//! Two of torch's writers make them: Python's pickler (`torch.cuda.memory._dump_snapshot`) and torch's own in C++ (on an
//! out-of-memory from C++); both give the same dictionary. Memory is about three times the file while it is read, and less
//! than its size afterwards.

mod build;
mod bytes;
mod machine;
mod pickle;

use std::path::Path;
use std::sync::Arc;

use self::bytes::Bytes;
use self::pickle::{Fault, Pickle};
use super::source::ByteStream;
use super::text::count_damages;
use super::{Input, Progress, ReadError, kinds};
use crate::diag::timings::timed;
use crate::diag::{IssueKind, Reporter};
use crate::store::Snapshot;

/// A snapshot that was read.
pub(super) struct ReadSnapshot {
    pub(super) snapshot: Snapshot,
    pub(super) reporter: Reporter,
    /// Bytes of the pickle, after decompression.
    pub(super) bytes: u64,
}

/// Whether a file begins as pickles do. What is no regular file is not looked at: it can be read once only.
pub(super) fn is_pickle(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let mut start = Vec::new();
    let stream = ByteStream::open(path, Arc::new(Progress::default()));
    let read = stream.map(|mut stream| stream.append(&mut start, 2));
    matches!(read, Ok(Ok(_))) && kinds::is_pickle(&start)
}

/// Reads a snapshot.
///
/// # Errors
///
/// What is no pickle, not all of one, or none of a snapshot.
pub(super) fn read(path: &Path, progress: &Arc<Progress>) -> Result<ReadSnapshot, ReadError> {
    let mut bytes = Bytes::new(ByteStream::open(path, Arc::clone(progress))?);
    let pickle =
        timed("read: pickle", || machine::read(&mut bytes)).map_err(|fault| match fault {
            Fault::Io(source) => ReadError::Io { path: path.to_owned(), source },
            other => ReadError::BadSnapshot { path: path.to_owned(), what: other.to_string() },
        })?;
    let (n_bytes, mut stream) = (bytes.taken(), bytes.into_stream());
    let mut reporter = Reporter::default();
    count_damages(&mut stream, &mut reporter);
    report_odd(&pickle, &mut reporter);
    let snapshot = timed("read: snapshot", || build::snapshot(&pickle, &mut reporter));
    let snapshot = snapshot
        .ok_or(ReadError::OtherKind { path: path.to_owned(), what: kinds::OTHER_PICKLE })?;
    Ok(ReadSnapshot { snapshot, reporter, bytes: n_bytes })
}

/// Notes what was odd in a pickle.
fn report_odd(pickle: &Pickle, reporter: &mut Reporter) {
    let (count, first) = &pickle.calls;
    if *count > 0 {
        reporter.add(IssueKind::PickleCall, *count, None, Some(format!("the first is {first}")));
    }
    let texts =
        [(IssueKind::OversizedText, pickle.n_cut), (IssueKind::InvalidUtf8, pickle.n_bad_texts)];
    for (kind, count) in texts.into_iter().filter(|one| one.1 > 0) {
        reporter.add(kind, count, None, None);
    }
}

/// Gives snapshots that were read beside traces to the traces of their processes: to the only one there is, or to that of the
/// same stage, replica and rank. Others stay inputs of their own.
pub fn with_snapshots(inputs: Vec<Input>) -> Vec<Input> {
    let is_alone = |input: &Input| input.snapshot.is_some() && input.store.n_events == 0;
    if !inputs.iter().any(is_alone) {
        return inputs;
    }
    let (snapshots, mut traces): (Vec<_>, Vec<_>) = inputs.into_iter().partition(is_alone);
    let mut others = Vec::new();
    for mut input in snapshots {
        let found = match traces.as_mut_slice() {
            [only] => Some(only),
            several => of_same(several, &input),
        };
        match found.filter(|trace| trace.snapshot.is_none()) {
            Some(trace) => {
                trace.snapshot = input.snapshot.take();
                trace.diag.merge(input.diag);
            }
            None => others.push(input),
        }
    }
    traces.append(&mut others);
    traces
}

/// The one trace of the process that wrote a snapshot, by what their names and metadata tell.
fn of_same<'a>(traces: &'a mut [Input], snapshot: &Input) -> Option<&'a mut Input> {
    let who = |input: &Input| {
        let identity = &input.identity;
        (identity.stage, identity.replica, identity.any_rank())
    };
    let rank = snapshot.identity.any_rank()?;
    let is_same = |trace: &&mut Input| match who(snapshot) {
        // The name of a snapshot tells the rank alone.
        (None, None, _) => trace.identity.any_rank() == Some(rank),
        all => who(trace) == all,
    };
    let mut found = traces.iter_mut().filter(is_same);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}
