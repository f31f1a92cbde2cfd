//! A second pass over an input: its events as spans of their text, in order, for rewriting them.
//!
//! The first pass ([`read_for_rewriting`]) gives the store and an index; the second ([`visit`]) gives every event again
//! with its number, so that what was learned of a slice can be applied to its text. Both cut alike.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use super::chrome::decode::flow_id;
pub(crate) use super::chrome::event::{
    Alike, RawEvent, RawValue, escaped_char, key_text, utf16_unit,
};
pub(crate) use super::chrome::tolerant::Reading;
use super::chrome::walk::Sink;
pub(crate) use super::ids::{IdSpace, id_space, shifted_id};
pub(crate) use super::lengths::Known;
use super::pipeline::{Opened, PassError, at_once};
pub(crate) use super::trace::ReadAgain;
use super::trace::{EventIndex, Indexed, ReadTrace};
use super::unmerge::{Restorer, SplitPlan};
use super::unslim::{Anew, Former};
use super::{Input, Progress, ReadError, ReadOptions, input_of, stretches, trace};
use crate::diag::Reporter;
use crate::model::limits::STRETCHES_FROM_THREADS;
use crate::store::parts_of;

/// Why a second pass ended early.
#[derive(Debug)]
pub(crate) enum VisitError {
    /// The input cannot be read.
    Read(ReadError),
    /// The output cannot be written.
    Write(io::Error),
}

impl From<PassError> for VisitError {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Read(error) => Self::Read(error),
            PassError::Take(error) => Self::Write(error),
        }
    }
}

/// What is done with the events of one block.
pub(crate) trait Visitor: Send {
    /// What a block becomes.
    type Output: Send;

    /// Takes an event with its number among all events of the file.
    fn event(&mut self, number: u64, event: &RawEvent<'_>, reading: Reading);

    /// Whether an event of which this is known need not be read, which is then not given.
    fn passes(&mut self, _number: u64, _known: Known<'_>) -> bool {
        false
    }

    /// What the block became.
    fn finish(self) -> Self::Output;
}

/// Where the events of an input are read again.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    path: PathBuf,
    index: EventIndex,
    /// Which of a merged file's inputs.
    part: Option<usize>,
}

impl Again {
    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads an input with each slice's event number, as it stands.
pub(crate) fn read_for_rewriting(
    path: &Path,
    options: &ReadOptions,
    progress: &Arc<Progress>,
    again: ReadAgain,
) -> Result<(Input, Again), ReadError> {
    let (trace, index) = trace::read_whole(path, options, progress, again)?;
    Ok((input_of(path, trace), Again { path: path.to_owned(), index, part: None }))
}

/// The same of each of the inputs that a merged file was made of, whole; of any other file, of that one.
pub(crate) fn read_apart_for_rewriting(
    path: &Path,
    options: &ReadOptions,
    progress: &Arc<Progress>,
) -> Result<Vec<(Input, Again)>, ReadError> {
    let traces = trace::read_parts(path, options, progress, ReadAgain::Whole)?;
    let input = |(i, (trace, index)): (usize, (ReadTrace, EventIndex))| {
        let part = trace.part.is_some().then_some(i);
        (input_of(path, trace), Again { path: path.to_owned(), index, part })
    };
    Ok(traces.into_iter().enumerate().map(input).collect())
}

/// Goes through the events again. `make` gives the visitor of a block, `take` gets what blocks became, in order.
pub(crate) fn visit<V: Visitor>(
    again: &Again,
    options: &ReadOptions,
    progress: &Arc<Progress>,
    make: &(impl Fn() -> V + Sync),
    mut take: impl FnMut(V::Output) -> io::Result<()>,
) -> Result<(), VisitError> {
    let numbered = |offset: u64| Numbered {
        visitor: make(),
        block: again.index.block(offset),
        n_passed: 0,
        reporter: Reporter::default(),
    };
    if again.part.is_none()
        && at_once(options.threads) >= STRETCHES_FROM_THREADS
        && let Some(all) = again.index.stretches()
    {
        let how = (options, &**progress);
        return Ok(stretches::run(&again.path, &all, how, &numbered, &mut |_, b| take(b))?);
    }
    let mut opened = Opened::new(&again.path, progress).map_err(VisitError::Read)?;
    if again.index.is_stream_sound {
        opened.trust_sums();
    }
    let finished = match again.part {
        None => {
            let anew = Anew::take(&mut opened.head.entries);
            let former = |offset: u64| Former::new(&anew, numbered(offset));
            opened.run(options, &former, &mut |_, output| take(output))
        }
        Some(part) => {
            let plan = SplitPlan::new(&parts_of(&opened.head.entries));
            let restored = |offset: u64| OnePart {
                restorer: Restorer::new(&plan),
                part,
                numbered: numbered(offset),
            };
            opened.run(options, &restored, &mut |_, output| take(output))
        }
    };
    Ok(finished.map(|_| ())?)
}

/// Gives a visitor the events of one of a merged file's inputs, as that had them.
struct OnePart<'p, V> {
    restorer: Restorer<'p>,
    part: usize,
    numbered: Numbered<'p, V>,
}

impl<V: Visitor> Sink for OnePart<'_, V> {
    type Output = V::Output;

    fn event(&mut self, event: &RawEvent<'_>, offset: u64, reading: Reading) {
        let Self { restorer, part: wanted, numbered } = self;
        // What is none of the inputs' was counted when the file was read first.
        let _ = restorer.restore(event, |part, event| {
            if part == *wanted {
                numbered.event(event, offset, reading);
            }
        });
    }

    fn reporter(&mut self) -> &mut Reporter {
        &mut self.numbered.reporter
    }

    fn finish(self) -> (V::Output, Reporter) {
        self.numbered.finish()
    }
}

/// Counts the events of a block for its visitor.
struct Numbered<'i, V> {
    visitor: V,
    /// `None` of a block that was cut wrongly: what it gives is thrown away.
    block: Option<&'i Indexed>,
    n_passed: u64,
    reporter: Reporter,
}

impl<V: Visitor> Sink for Numbered<'_, V> {
    type Output = V::Output;

    fn event(&mut self, event: &RawEvent<'_>, _: u64, reading: Reading) {
        let first = self.block.map_or(0, |block| block.first);
        self.visitor.event(first + self.n_passed, event, reading);
        self.n_passed += 1;
    }

    fn steps_over(&mut self, rest: &[u8]) -> Option<usize> {
        let block = self.block?;
        let known = block.lengths.get(self.n_passed)?;
        // A file that is another one by now is read as it is.
        let is_there = rest.get(known.len - 1) == Some(&b'}');
        if !is_there || !self.visitor.passes(block.first + self.n_passed, known) {
            return None;
        }
        self.n_passed += 1;
        Some(known.len)
    }

    fn reporter(&mut self) -> &mut Reporter {
        &mut self.reporter
    }

    fn finish(self) -> (V::Output, Reporter) {
        (self.visitor.finish(), self.reporter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number and time of the events that were seen, number and length of those that were passed.
    type Seen = (Vec<(u64, Vec<u8>)>, Vec<(u64, usize)>);

    /// Takes the text of events, and passes those of whose number that is said.
    struct Numbers {
        passes: fn(u64) -> bool,
        seen: Vec<(u64, Vec<u8>)>,
        passed: Vec<(u64, usize)>,
    }

    impl Visitor for Numbers {
        type Output = Seen;

        fn event(&mut self, number: u64, event: &RawEvent<'_>, _: Reading) {
            self.seen.push((number, event.ts.0.to_vec()));
        }

        fn passes(&mut self, number: u64, known: Known<'_>) -> bool {
            let passes = (self.passes)(number);
            self.passed.extend(passes.then_some((number, known.len)));
            passes
        }

        fn finish(self) -> Self::Output {
            (self.seen, self.passed)
        }
    }

    /// What is seen of a file, and what is passed.
    fn seen(text: &str, passes: fn(u64) -> bool) -> Seen {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("a.json");
        std::fs::write(&path, text).expect("there is room for a file");
        let (options, progress) = (ReadOptions::default(), Arc::default());
        let read = read_for_rewriting(&path, &options, &progress, ReadAgain::Partly);
        let (_, again) = read.expect("it is a trace");
        let make = || Numbers { passes, seen: Vec::new(), passed: Vec::new() };
        let (mut seen, mut passed) = (Vec::new(), Vec::new());
        let take = |(more, gone): (Vec<_>, Vec<_>)| {
            seen.extend(more);
            passed.extend(gone);
            Ok(())
        };
        visit(&again, &options, &progress, &make, take).expect("it is there");
        (seen, passed)
    }

    /// A trace with damage every so many events.
    fn trace(n: usize, damage: &str, every: usize) -> String {
        let event = |i: usize| {
            let damage = if i % every == every - 1 { damage } else { "" };
            let long = "x".repeat(if i.is_multiple_of(1000) { 9000 } else { 200 });
            format!(
                "{{\"ph\":\"X\",\"name\":\"{long}\",\"pid\":1,\"tid\":2,\"ts\":{i}}},\n{damage}"
            )
        };
        let events: String = (0..n).map(event).collect();
        format!("{{\"traceEvents\":[\n{events}{{\"ph\":\"M\",\"name\":\"end\"}}]}}")
    }

    #[test]
    fn what_is_passed_changes_no_number() {
        for (damage, every) in [("", 1), ("{\"ph\":\"X\",\"ts\":,\n", 9000), ("{},", 20_000)] {
            let text = trace(20_000, damage, every);
            let (all, none) = seen(&text, |_| false);
            let (some, passed) = seen(&text, |number| number % 7 < 5);
            assert!(none.is_empty() && all.len() > 20_000 && passed.len() > 5000, "{damage}");
            assert!(all.iter().enumerate().all(|(i, event)| event.0 == i as u64), "{damage}");
            let is_passed = |number: u64| passed.binary_search_by_key(&number, |p| p.0).is_ok();
            let expected: Vec<_> = all.into_iter().filter(|event| !is_passed(event.0)).collect();
            assert!(some == expected, "{damage}");
        }
    }
}
