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

    /// Whether an event need not be read where it is known, which is then not given.
    fn passes(&self, _number: u64) -> bool {
        false
    }

    /// Takes note of so many events that were passed, all of this kind and together this long.
    fn passed(&mut self, _n: u64, _known: Known<'_>) {}

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

    fn passes_all(&mut self) -> bool {
        let Some(Indexed { first, lengths }) = self.block else { return false };
        let passes = lengths.are_all(|number| self.visitor.passes(first + number));
        if passes {
            lengths.totals().for_each(|(n, known)| self.visitor.passed(n, known));
        }
        passes
    }

    fn steps_over(&mut self, rest: &[u8]) -> Option<usize> {
        let block = self.block?;
        let known = block.lengths.get(self.n_passed)?;
        // A file that is another one by now is read as it is.
        let is_there = rest.get(known.len - 1) == Some(&b'}');
        if !is_there || !self.visitor.passes(block.first + self.n_passed) {
            return None;
        }
        self.visitor.passed(1, known);
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
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::model::limits::SPREAD_FROM_BYTES;
    use crate::read::chance::Numbers;

    /// Number and time of the events that were given, and how many were passed, with their bytes.
    #[derive(Debug, Default, PartialEq)]
    struct Seen {
        given: Vec<(u64, Vec<u8>)>,
        n_passed: u64,
        passed_bytes: usize,
    }

    /// Takes the text of events, and passes those of whose number that is said.
    struct Looks {
        passes: fn(u64) -> bool,
        seen: Seen,
    }

    impl Visitor for Looks {
        type Output = Seen;

        fn event(&mut self, number: u64, event: &RawEvent<'_>, _: Reading) {
            self.seen.given.push((number, event.ts.0.to_vec()));
        }

        fn passes(&self, number: u64) -> bool {
            (self.passes)(number)
        }

        fn passed(&mut self, n: u64, known: Known<'_>) {
            self.seen.n_passed += n;
            self.seen.passed_bytes += known.len;
        }

        fn finish(self) -> Self::Output {
            self.seen
        }
    }

    /// What some threads see of a file, and whether they begin at many places of it.
    fn seen(file: &[u8], threads: usize, passes: fn(u64) -> bool) -> (Seen, bool) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("a.json");
        std::fs::write(&path, file).expect("there is room for a file");
        let options = ReadOptions { threads, ..ReadOptions::default() };
        let progress = Arc::default();
        let read = read_for_rewriting(&path, &options, &progress, ReadAgain::Partly);
        let (_, again) = read.expect("it is a trace");
        let make = || Looks { passes, seen: Seen::default() };
        let mut all = Seen::default();
        let take = |mut more: Seen| {
            all.given.append(&mut more.given);
            all.n_passed += more.n_passed;
            all.passed_bytes += more.passed_bytes;
            Ok(())
        };
        visit(&again, &options, &progress, &make, take).expect("it is there");
        (all, again.index.stretches().is_some())
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
        let passes = |number| number % 7 < 5;
        for (damage, every) in [("", 1), ("{\"ph\":\"X\",\"ts\":,\n", 9000), ("{},", 20_000)] {
            let text = trace(20_000, damage, every);
            let (all, _) = seen(text.as_bytes(), 2, |_| false);
            let (some, _) = seen(text.as_bytes(), 2, passes);
            assert!(all.n_passed == 0 && all.given.len() > 20_000, "{damage}");
            assert!((0..).zip(&all.given).all(|(i, event)| event.0 == i), "{damage}");
            let n_given = all.given.len() as u64 - some.n_passed;
            assert!(some.n_passed > 5000 && some.given.len() as u64 == n_given, "{damage}");
            assert!(some.given.iter().all(|event| all.given[event.0 as usize] == *event));
            let n_wanted = |seen: &Seen| seen.given.iter().filter(|e| !passes(e.0)).count();
            assert_eq!(n_wanted(&some), n_wanted(&all), "{damage}");
        }
    }

    /// A file that is large enough for many places.
    fn large_file() -> Vec<u8> {
        let mut numbers = Numbers(5);
        let mut file = GzEncoder::new(Vec::new(), Compression::new(1));
        file.write_all(b"{\"traceEvents\":[\n").expect("memory is written");
        while file.get_ref().len() as u64 <= SPREAD_FROM_BYTES {
            let word: String =
                (0..60).map(|_| char::from(b'0' + numbers.below(64) as u8)).collect();
            let (word, ts) = (word.replace('\\', "z"), numbers.below(1 << 40));
            let event = r#"{"ph":"X","name":"n","pid":1,"tid":2,"dur":1"#;
            writeln!(file, r#"{event},"ts":{ts},"args":{{"word":"{word}"}}}},"#)
                .expect("memory is written");
        }
        file.write_all(b"{\"ph\":\"M\",\"name\":\"end\"}]}\n").expect("memory is written");
        file.finish().expect("memory is written")
    }

    #[test]
    fn many_threads_see_what_one_sees() {
        let file = large_file();
        // Runs of events that are longer than a block, and such that are not.
        let runs = |number| number / 20_000 % 3 != 1 || number % 20_000 > 3;
        let kinds: [fn(u64) -> bool; 4] = [|_| false, |_| true, runs, |number| number % 2 == 0];
        for passes in kinds {
            let (right, is_spread) = seen(&file, 1, passes);
            assert!(!is_spread);
            for threads in [2, 4] {
                let (found, is_spread) = seen(&file, threads, passes);
                assert_eq!(is_spread, at_once(threads) >= STRETCHES_FROM_THREADS);
                assert!(found == right, "{threads} threads");
            }
        }
    }
}
