//! Who reads: as many threads as are wanted, none of which waits while there is something to do.
//!
//! One inflates and cuts, and reads blocks where there is no room for more of them. One, the caller's, joins in order, and reads blocks
//! where none is ready to be joined. All others read blocks. So two threads keep two processors busy: a thread that has to wait for
//! another one leaves its processor idle longer than its work would take.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, never, select_biased, unbounded};

use super::block_text::Text;
use super::chrome::walk::{How, Sink, Walked, walk};
use super::pipeline::MakeSink;
use super::room::{Closes, Entered, Room};
use super::spread::{Hands, Sums, Task};
use crate::diag::Reporter;
use crate::diag::timings::timed;

/// A piece of the event array.
pub(super) struct Block {
    pub(super) number: u64,
    /// Offset of the first byte in the decompressed input.
    pub(super) offset: u64,
    pub(super) text: Text,
    /// Who wants its checksum.
    pub(super) sums: Option<Sums>,
}

/// What any thread may do.
enum Work {
    /// Give a block to a sink.
    Block(Block),
    /// Something that the one that cuts waits for.
    Task(Task),
}

/// What there is to do.
#[derive(Clone)]
pub(super) struct Works {
    tasks: Receiver<Task>,
    /// Those who read and join alone own it: what is left when they are gone goes with them, and nobody waits for it.
    blocks: Arc<Receiver<Block>>,
}

impl Works {
    /// What comes next; `None` once there is no more.
    fn next(&mut self) -> Option<Work> {
        loop {
            select_biased! {
                recv(self.tasks) -> task => match task {
                    Ok(task) => return Some(Work::Task(task)),
                    Err(_) => self.tasks = never(),
                },
                recv(self.blocks) -> block => return block.ok().map(Work::Block),
            }
        }
    }
}

/// Those who read, for whoever has tasks for them; where it would wait for one, it does others itself, so that none is left undone when
/// the others are gone.
pub(super) fn hands(n: usize) -> (Hands, Receiver<Task>) {
    let (to_readers, tasks) = unbounded::<Task>();
    let left = tasks.clone();
    let help = move || left.try_recv().map(|task| task()).is_ok();
    let give = move |task| to_readers.send(task).map_err(|back| back.0);
    (Hands { n, give: Box::new(give), help: Box::new(help) }, tasks)
}

/// A block that was read.
pub(super) struct Parsed<O> {
    pub(super) block: Block,
    pub(super) given: Given<O>,
}

/// What text of events became.
pub(super) struct Given<O> {
    pub(super) output: O,
    pub(super) reporter: Reporter,
    pub(super) walked: Walked,
}

/// Reads text that begins between two events, at an offset.
pub(super) fn parse_text<S: Sink>(
    text: &[u8],
    offset: u64,
    how: How,
    make: &impl MakeSink<S>,
) -> Given<S::Output> {
    give_text(text, offset, how, make(offset))
}

/// The same with the sink at hand.
pub(super) fn give_text<S: Sink>(
    text: &[u8],
    offset: u64,
    how: How,
    mut sink: S,
) -> Given<S::Output> {
    let walked = walk(text, offset, how, &mut sink);
    let (output, reporter) = sink.finish();
    Given { output, reporter, walked }
}

/// How blocks are read.
pub(super) struct Parser<'r, M> {
    pub(super) make: &'r M,
    pub(super) tolerant_only: bool,
}

impl<M> Clone for Parser<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Parser<'_, M> {}

impl<M> Parser<'_, M> {
    /// Does one thing. Gives what a block became.
    fn parse<S: Sink>(self, work: Work) -> Option<Parsed<S::Output>>
    where
        M: MakeSink<S>,
    {
        let mut block = match work {
            Work::Block(block) => block,
            Work::Task(task) => {
                task();
                return None;
            }
        };
        if let Some(sums) = block.sums.take() {
            sums.add(block.offset, &block.text);
        }
        let how = How { tolerant_only: self.tolerant_only, is_last: false };
        let parse = || parse_text(&block.text, block.offset, how, self.make);
        let given = timed("read: parse", parse);
        Some(Parsed { block, given })
    }
}

/// Who reads an input.
pub(super) struct Crew<'r, S: Sink, M> {
    /// Of the one that cuts.
    pub(super) out: Out<'r, S, M>,
    /// Of those that do nothing but read.
    pub(super) more: Vec<(Reader<'r, S, M>, Works)>,
    /// Of the one that joins.
    pub(super) in_order: InOrder<'r, S, M>,
}

impl<'r, S: Sink, M: MakeSink<S>> Crew<'r, S, M> {
    /// So many threads. What is on the way is bounded by the room.
    pub(super) fn new(
        n_threads: usize,
        tasks: Receiver<Task>,
        parser: Parser<'r, M>,
        room: &'r Room,
    ) -> Self {
        let ((to_readers, blocks), (results, parsed)) = (unbounded(), unbounded());
        let works = Works { tasks, blocks: Arc::new(blocks) };
        let left = Arc::downgrade(&works.blocks);
        let reader = Reader { results, parser, room };
        let n_more = n_threads.saturating_sub(2);
        let more = (0..n_more).map(|_| (reader.clone(), works.clone())).collect();
        // Where one thread alone is wanted, the one that cuts reads all blocks.
        let in_order = InOrder::new(parsed, (works, n_threads > 1), parser);
        Self { out: Out { blocks: to_readers, left, reader }, more, in_order }
    }
}

/// Reads blocks for the one that joins.
pub(super) struct Reader<'r, S: Sink, M> {
    results: Sender<Parsed<S::Output>>,
    parser: Parser<'r, M>,
    room: &'r Room,
}

impl<S: Sink, M> Clone for Reader<'_, S, M> {
    fn clone(&self) -> Self {
        Self { results: self.results.clone(), ..*self }
    }
}

impl<S: Sink, M: MakeSink<S>> Reader<'_, S, M> {
    /// Reads blocks until there are no more.
    pub(super) fn read_all(&self, mut works: Works) {
        let _closes = Closes(self.room);
        while let Some(work) = timed("read: readers idle", || works.next()) {
            if !self.read(work) {
                return;
            }
        }
    }

    /// Does one thing. Gives whether anybody takes what comes of it.
    fn read(&self, work: Work) -> bool {
        self.parser.parse(work).is_none_or(|parsed| self.results.send(parsed).is_ok())
    }
}

/// Where the one that cuts puts blocks.
pub(super) struct Out<'r, S: Sink, M> {
    blocks: Sender<Block>,
    /// Those that nobody reads yet.
    left: Weak<Receiver<Block>>,
    reader: Reader<'r, S, M>,
}

impl<S: Sink, M: MakeSink<S>> Out<'_, S, M> {
    /// Puts a block where others find it. While there is no room for it, reads some of those that are there. Gives whether there is
    /// anyone to take it: nobody is left when a reader panicked or the results are no longer taken; both are reported there.
    pub(super) fn put(&self, block: Block) -> bool {
        let Reader { room, .. } = &self.reader;
        loop {
            match room.enter() {
                Entered::Yes => return self.blocks.send(block).is_ok(),
                Entered::IsClosed => return false,
                Entered::IsFull => {}
            }
            // Nobody else puts any, so that what is not there does not come.
            match self.left.upgrade().and_then(|left| left.try_recv().ok()) {
                Some(block) => {
                    if !self.reader.read(Work::Block(block)) {
                        return false;
                    }
                }
                None => timed("read: cutter blocked", || room.wait()),
            }
        }
    }

    /// Reads what is left, once there is no more to cut.
    pub(super) fn read_rest(self) {
        drop(self.blocks);
        if let Some(blocks) = self.left.upgrade() {
            self.reader.read_all(Works { tasks: never(), blocks });
        }
    }
}

/// What blocks became, in order, for the one that joins.
pub(super) struct InOrder<'r, S: Sink, M> {
    parsed: Receiver<Parsed<S::Output>>,
    works: Works,
    /// Whether it does something of that meanwhile.
    reads_too: bool,
    parser: Parser<'r, M>,
    waiting: BTreeMap<u64, Parsed<S::Output>>,
    next: u64,
}

impl<'r, S: Sink, M: MakeSink<S>> InOrder<'r, S, M> {
    fn new(
        parsed: Receiver<Parsed<S::Output>>,
        (works, reads_too): (Works, bool),
        parser: Parser<'r, M>,
    ) -> Self {
        Self { parsed, works, reads_too, parser, waiting: BTreeMap::new(), next: 0 }
    }

    /// The next one; `None` where there are no more.
    pub(super) fn next(&mut self) -> Option<Parsed<S::Output>> {
        loop {
            if let Some(parsed) = self.waiting.remove(&self.next) {
                self.next += 1;
                return Some(parsed);
            }
            let parsed = match timed("read: joiner idle", || self.wait()) {
                Came::Parsed(parsed) => Some(parsed),
                Came::Work(work) => self.parser.parse(work),
                Came::Nothing => return None,
            };
            self.waiting.extend(parsed.map(|parsed| (parsed.block.number, parsed)));
        }
    }

    /// What comes next: what was read before what is to be read.
    fn wait(&mut self) -> Came<S::Output> {
        let Self { parsed, works, reads_too, .. } = self;
        loop {
            if !*reads_too {
                return parsed.recv().map_or(Came::Nothing, Came::Parsed);
            }
            select_biased! {
                recv(parsed) -> parsed => return parsed.map_or(Came::Nothing, Came::Parsed),
                recv(works.tasks) -> task => match task {
                    Ok(task) => return Came::Work(Work::Task(task)),
                    Err(_) => works.tasks = never(),
                },
                recv(works.blocks) -> block => match block {
                    Ok(block) => return Came::Work(Work::Block(block)),
                    // What others have is still to come.
                    Err(_) => *reads_too = false,
                },
            }
        }
    }
}

enum Came<O> {
    Parsed(Parsed<O>),
    Work(Work),
    Nothing,
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::Path;
    use std::sync::Arc;

    use crate::diag::Reporter;
    use crate::model::limits::BLOCK_BYTES;
    use crate::read::chrome::event::RawEvent;
    use crate::read::chrome::tolerant::Reading;
    use crate::read::chrome::walk::Sink;
    use crate::read::pipeline::{Opened, PassError};
    use crate::read::{Progress, ReadOptions};

    const N_BLOCKS: usize = 40;

    /// Counts events, and panics at the one at an offset.
    struct Counts(u64, u64, Reporter);

    impl Sink for Counts {
        type Output = u64;

        fn event(&mut self, _: &RawEvent<'_>, offset: u64, _: Reading) {
            assert!(offset < self.1, "an event that cannot be");
            self.0 += 1;
        }

        fn reporter(&mut self) -> &mut Reporter {
            &mut self.2
        }

        fn finish(self) -> (u64, Reporter) {
            (self.0, self.2)
        }
    }

    /// Events that all have the same length, and how many.
    fn write_events(path: &Path) -> u64 {
        let event = format!(r#"{{"ph":"X","name":"{}","ts":1}},"#, "n".repeat(4000));
        let n = N_BLOCKS * BLOCK_BYTES / event.len();
        let text = [r#"{"traceEvents":["#, &event.repeat(n), r#"{"ph":"X","name":"z"}]}"#].concat();
        std::fs::write(path, text).expect("a file is written");
        n as u64 + 1
    }

    /// Reads with so many threads; an event behind an offset panics.
    fn read(
        (path, n_threads, until): (&Path, usize, u64),
        take: &mut dyn FnMut(u64, u64) -> io::Result<()>,
    ) -> Result<(), PassError> {
        let opened = Opened::new(path, &Arc::new(Progress::default()))?;
        let options = ReadOptions { threads: n_threads, ..ReadOptions::default() };
        opened.run(&options, &|_| Counts(0, until, Reporter::default()), take).map(drop)
    }

    #[test]
    fn any_number_of_threads_reads_the_same_and_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        let n_events = write_events(&path);
        let mut counts = Vec::new();
        for n_threads in [1, 2, 3, 8] {
            let mut blocks = Vec::new();
            let all = &mut |offset, n| {
                blocks.push((offset, n));
                Ok(())
            };
            read((&path, n_threads, u64::MAX), all).expect("it is read");
            assert_eq!(blocks.iter().map(|&(_, n)| n).sum::<u64>(), n_events, "{n_threads}");
            assert!(blocks.len() >= N_BLOCKS && blocks.is_sorted(), "{n_threads}");
            counts.push(blocks);

            let mut n_taken = 0;
            let some = &mut |_, _| {
                n_taken += 1;
                if n_taken == 3 { Err(io::Error::other("enough")) } else { Ok(()) }
            };
            let ended = read((&path, n_threads, u64::MAX), some);
            assert!(matches!(ended, Err(PassError::Take(_))), "{n_threads}: {ended:?}");
            assert_eq!(n_taken, 3, "{n_threads}");

            let until = (N_BLOCKS * BLOCK_BYTES / 2) as u64;
            let until = AssertUnwindSafe((path.as_path(), n_threads, until));
            let panics = catch_unwind(|| read(*until, &mut |_, _| Ok(())).is_ok());
            assert!(panics.is_err(), "{n_threads}");
        }
        assert!(counts.iter().all(|blocks| *blocks == counts[0]));
    }
}
