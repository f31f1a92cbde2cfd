//! An input to its store, or, where the input is a merged file, to one store an input that was merged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::chrome::decode::Decoder;
use super::chrome::meta;
use super::deflate::Mark;
use super::lengths::{Lengths, Measured};
use super::pipeline::{Finished, Opened, PassError, at_once};
#[cfg(feature = "program")]
use super::stretches::{Stretch, stretches};
use super::unmerge::{PartsSink, SplitPlan};
use super::unslim::{Anew, Former};
use super::{Progress, ReadError, ReadOptions};
use crate::diag::timings::timed;
use crate::diag::{IssueKind, Reporter};
use crate::model::limits::{SPREAD_FROM_THREADS, STRETCHES_FROM_THREADS};
use crate::store::{
    Keep, Layout, Part, SLIM_KEY, SpareChunks, Store, StoreBuilder, parts_of, report_own_losses,
};

/// What a trace file gave.
pub(super) struct ReadTrace {
    pub(super) store: Store,
    pub(super) reporter: Reporter,
    pub(super) json_bytes: u64,
    /// The input of a merged file that this is.
    pub(super) part: Option<Part>,
}

/// What is wanted of a second pass over the same file.
#[cfg_attr(
    not(feature = "program"),
    expect(dead_code, reason = "only who writes traces reads a file again")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadAgain {
    /// There is none.
    Never,
    /// All events.
    Whole,
    /// Some events: it is worth while to keep what it takes to pass over the others.
    Partly,
}

impl ReadAgain {
    /// Whether so many threads are to begin at many places: what they make of all events waits in memory for its turn, so that few
    /// of them do so for some events only.
    fn begins_at_places(self, n_threads: usize) -> bool {
        match self {
            Self::Never => false,
            Self::Whole => at_once(n_threads) >= SPREAD_FROM_THREADS,
            Self::Partly => at_once(n_threads) >= STRETCHES_FROM_THREADS,
        }
    }
}

/// Where each block's events stand among all of the file: what a second pass over the same file needs to know them
/// again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventIndex {
    /// By the offset of a block.
    blocks: BTreeMap<u64, Indexed>,
    /// Whether nothing was wrong with how the file is compressed.
    pub(super) is_stream_sound: bool,
    /// Places from which on it can be inflated, where nothing but events stands in the blocks.
    marks: Vec<Mark>,
    /// Bytes of the text.
    n_text: u64,
}

/// The events of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Indexed {
    /// Number of the first of them.
    pub(crate) first: u64,
    /// What is known of them; of blocks with anything but events, of merged files and of traces that were written anew nothing.
    pub(crate) lengths: Lengths,
}

#[cfg(feature = "program")]
impl EventIndex {
    /// The block at an offset; `None` where that was a wrong guess.
    pub(crate) fn block(&self, offset: u64) -> Option<&Indexed> {
        self.blocks.get(&offset)
    }

    /// The blocks as many threads can read them.
    pub(super) fn stretches(&self) -> Option<Vec<Stretch<'_>>> {
        stretches(self.blocks.keys().copied(), &self.marks, self.n_text)
            .filter(|stretches| !stretches.is_empty())
    }
}

/// Reads one input as one store. For a second pass the store knows each slice's event number, and the index is filled.
pub(super) fn read_whole(
    path: &Path,
    options: &ReadOptions,
    progress: &Arc<Progress>,
    again: ReadAgain,
) -> Result<(ReadTrace, EventIndex), ReadError> {
    read_opened(path, Opened::new(path, progress)?, options, again)
}

/// Reads one input as [`read_whole`]; a merged file gives one trace for each of its inputs.
pub(super) fn read_parts(
    path: &Path,
    options: &ReadOptions,
    progress: &Arc<Progress>,
    again: ReadAgain,
) -> Result<Vec<(ReadTrace, EventIndex)>, ReadError> {
    let opened = Opened::new(path, progress)?;
    let parts = parts_of(&opened.head.entries);
    if parts.is_empty() {
        return Ok(vec![read_opened(path, opened, options, again)?]);
    }
    let keeps_order = again != ReadAgain::Never;
    let plan = SplitPlan::new(&parts);
    let slim = opened.head.entries.iter().find(|(key, _)| key == SLIM_KEY).cloned();
    let keep = Keep { order: keeps_order, arguments: options.keeps_arguments };
    let mut builders: Vec<StoreBuilder> =
        parts.iter().map(|_| StoreBuilder::new(keeps_order)).collect();
    let mut reporters = vec![Reporter::default(); parts.len()];
    let mut indexes = vec![EventIndex::default(); parts.len()];
    let make = |_: u64| PartsSink::new(&plan, keep);
    let finished = opened.run(options, &make, &mut |offset, chunks| {
        for (i, (chunk, reporter)) in chunks.into_iter().enumerate() {
            if keeps_order {
                let (first, lengths) = (builders[i].n_events(), Lengths::default());
                indexes[i].blocks.insert(offset, Indexed { first, lengths });
            }
            builders[i].append(chunk).map_err(std::io::Error::other)?;
            reporters[i].merge(reporter);
        }
        Ok(())
    });
    let finished = finished.map_err(|error| read_error(path, error))?;
    let is_stream_sound = is_stream_sound(&finished.reporter);
    indexes.iter_mut().for_each(|index| index.is_stream_sound = is_stream_sound);
    reporters[0].merge(finished.reporter);
    let n_events = builders.iter().map(StoreBuilder::n_events).sum();
    explain_damage(path, &mut reporters[0], n_events);
    report_own_losses(&finished.head.entries, &mut reporters[0]);
    let mut traces = Vec::with_capacity(parts.len());
    for (((part, builder), mut reporter), index) in
        parts.into_iter().zip(builders).zip(reporters).zip(indexes)
    {
        let truncated = part.truncated || finished.truncated;
        let meta = meta::trace_meta(
            entries_of(&part, slim.as_ref()),
            part.layout(),
            truncated,
            &mut reporter,
        );
        let store = builder.finish(meta, &mut reporter);
        note_window_end(&store, &mut reporter);
        let json_bytes = if traces.is_empty() { finished.json_bytes } else { 0 };
        traces.push((ReadTrace { store, reporter, json_bytes, part: Some(part) }, index));
    }
    Ok(traces)
}

/// The top-level members of an input of a merged file; of one from which events were left out since, that as well.
fn entries_of(part: &Part, slim: Option<&(String, String)>) -> Vec<(String, String)> {
    let mut entries = part.entries();
    let is_known = entries.iter().any(|(key, _)| key == SLIM_KEY);
    entries.extend(slim.filter(|_| !is_known).cloned());
    entries
}

fn read_opened(
    path: &Path,
    mut opened: Opened,
    options: &ReadOptions,
    again: ReadAgain,
) -> Result<(ReadTrace, EventIndex), ReadError> {
    let keeps_order = again != ReadAgain::Never;
    let mut builder = StoreBuilder::new(keeps_order);
    let mut index = EventIndex::default();
    let anew = Anew::take(&mut opened.head.entries);
    let keep = Keep { order: keeps_order, arguments: options.keeps_arguments };
    let spare = SpareChunks::default();
    // Numbers are those of the events that were, lengths those of the text.
    let begins_at_places = again.begins_at_places(options.threads);
    let measures = (begins_at_places || again == ReadAgain::Partly) && anew.is_nothing();
    if measures && begins_at_places {
        opened.keep_marks();
    }
    let former = || Former::new(&anew, Decoder::into(spare.builder(keep)));
    let make = |_: u64| Measured::new(former(), measures);
    let finished = opened.run(options, &make, &mut |offset, (chunk, lengths)| {
        if keeps_order {
            let first = builder.n_events();
            index.blocks.insert(offset, Indexed { first, lengths });
        }
        spare.give(builder.append(chunk).map_err(std::io::Error::other)?);
        Ok(())
    });
    let Finished { head, mut reporter, json_bytes, truncated, marks } =
        finished.map_err(|error| read_error(path, error))?;
    if index.blocks.values().all(|block| block.lengths.holds_events_alone) {
        index.marks = marks;
    }
    index.n_text = json_bytes;
    index.is_stream_sound = is_stream_sound(&reporter);
    let is_bare_array = head.is_bare_array;
    let meta = meta::trace_meta(head.entries, head.layout, truncated, &mut reporter);
    let store = timed("read: sort the store", || builder.finish(meta, &mut reporter));
    // An array that says what it is may be damaged throughout; one that does not is of something else.
    let holds_nothing = store.n_events == 0 || is_bare_array && is_blank(&store);
    if reporter.count(IssueKind::UnreadableEvent) > 0 && holds_nothing {
        let what = "nothing in its event array is an event".to_owned();
        return Err(ReadError::NotATrace { path: path.to_owned(), what });
    }
    note_window_end(&store, &mut reporter);
    explain_damage(path, &mut reporter, store.n_events);
    Ok((ReadTrace { store, reporter, json_bytes, part: None }, index))
}

/// Whether nothing was wrong with how a file is compressed.
fn is_stream_sound(reporter: &Reporter) -> bool {
    let damages = [IssueKind::CorruptGzip, IssueKind::TruncatedGzip, IssueKind::TrailingBytes];
    damages.into_iter().all(|damage| reporter.count(damage) == 0)
}

/// Whether nothing of what a store holds came from an event.
fn is_blank(store: &Store) -> bool {
    store.slices.is_empty()
        && store.instants.is_empty()
        && store.counters.is_empty()
        && store.flows.is_empty()
        && store.tracks.is_empty()
}

fn note_window_end(store: &Store, reporter: &mut Reporter) {
    if store.meta.layout != Layout::Unknown && !store.meta.has_window_end {
        reporter.add(IssueKind::NoWindowEnd, 1, None, None);
    }
}

/// Says how much lies behind damage of a compressed stream: bytes of the file, and about how many events, by what the rest of it
/// held.
fn explain_damage(path: &Path, reporter: &mut Reporter, n_events: u64) {
    let stored = std::fs::metadata(path).ok().filter(|file| file.is_file()).map(|file| file.len());
    reporter.explain(IssueKind::CorruptGzip, |issue| {
        let what = issue.detail.as_deref().unwrap_or("the stream is damaged");
        if issue.bytes == 0 {
            return what.to_owned();
        }
        let said = format!("{what}; {} compressed bytes were passed over", issue.bytes);
        match stored.and_then(|stored| events_in(issue.bytes, stored, n_events)) {
            Some(about) => {
                format!("{said}, about {about} events by what the rest of the file held")
            }
            None => said,
        }
    });
}

/// About how many events (or bytes of text) some bytes of a file held, by those that the others held.
pub fn events_in(lost_bytes: u64, all_bytes: u64, n_events: u64) -> Option<u64> {
    let read = all_bytes.checked_sub(lost_bytes).filter(|&read| read > 0)?;
    let about = u128::from(lost_bytes) * u128::from(n_events) / u128::from(read);
    u64::try_from(about).ok()
}

fn read_error(path: &Path, error: PassError) -> ReadError {
    match error {
        PassError::Read(error) => error,
        PassError::Take(what) => {
            ReadError::TooLarge { path: path.to_owned(), what: what.to_string() }
        }
    }
}
