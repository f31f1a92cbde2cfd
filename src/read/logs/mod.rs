//! Pipeline logs to records: bytes → lines → joined records → [`crate::model::log`].
//!
//! Reads every generation of vLLM-Omni's output, mixed in one file and interleaved by process, with vLLM's console
//! lines between: one-line Python dictionaries, JSON lines, pretty-printed dictionaries, PrettyTable blocks,
//! `[OmniTiming]`, diffusion records, start-up, waiting and profiler lines. Every line is counted in a census by
//! class, so nothing is skipped in silence. Computes nothing: figures are kept as printed.

mod assemble;
mod clock;
mod console;
mod dictionary;
mod fields;
mod header;
mod input;
mod known;
mod lines;
mod orchestrator;
mod problems;
mod profiling;
mod scan;
mod table;
mod timing;
mod value;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::diag::{IssueKind, Reporter};
use crate::model::log::{Census, Entry, Format, LineKind, PipelineLog, Process, Record};

pub use input::{LogInput, discover_logs, is_log_name, read_log};

use assemble::{Assembler, Joined, Part, Place, Taken};
use clock::Clock;
use header::{Header, parse_header, take_process};
use lines::{LineCutter, RawLine};
use problems::Problems;

/// Reads a log that is pushed in blocks of any size.
#[derive(Default)]
pub struct LogReader {
    cutter: LineCutter,
    state: State,
}

/// Everything but the cutter, so that lines can borrow its buffer.
#[derive(Default)]
struct State {
    processes: BTreeMap<Process, u32>,
    found: Vec<Found>,
    clock: Clock,
    assembler: Assembler,
    problems: Problems,
    census: Census,
    diag: Reporter,
    line: u64,
    /// Processes whose prefix stood alone because another writer came between it and its message, with the line.
    waiting: Vec<(u32, u64)>,
}

/// An entry whose year is not known yet.
struct Found {
    place: Place,
    record: Record,
}

impl LogReader {
    /// Takes the next block.
    pub fn push(&mut self, block: &[u8]) {
        let Self { cutter, state } = self;
        cutter.push(block, |line| state.line(&line));
    }

    /// Ends the log.
    pub fn finish(mut self, name: &str) -> (PipelineLog, Reporter) {
        let Self { cutter, state } = &mut self;
        cutter.finish(|line| state.line(&line));
        self.state.assembler.finish();
        self.state.count_torn();
        self.state.into_log(name)
    }
}

/// Reads a whole log from memory.
#[cfg(any(test, feature = "rooms"))]
pub fn read_log_bytes(name: &str, bytes: &[u8]) -> (PipelineLog, Reporter) {
    let mut reader = LogReader::default();
    reader.push(bytes);
    reader.finish(name)
}

impl State {
    fn line(&mut self, raw: &RawLine<'_>) {
        self.line += 1;
        if raw.cut {
            self.diag.at(IssueKind::OversizedLine, raw.offset);
        }
        // Checked at the speed of memory first: almost every line is valid.
        let text = match std::str::from_utf8(raw.bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(raw.bytes),
        };
        if matches!(text, Cow::Owned(_)) {
            self.diag.at(IssueKind::InvalidUtf8, raw.offset);
        }
        let text = lines::clean(&text);
        let fragments = lines::fragments(&text);
        let mut inherited = None;
        for (i, fragment) in fragments.iter().enumerate() {
            let header = parse_header(fragment);
            let own = header.process.map(|(name, pid)| self.process(name, pid));
            let is_bare = header.message.is_empty() && header.level.is_none();
            match fragments.get(i + 1) {
                // A prefix alone, and another writer's prefix behind it: its message comes on a later line.
                Some(next) if own.is_some() && is_bare && take_process(next).is_some() => {
                    self.waiting.extend(own.map(|process| (process, self.line)));
                    continue;
                }
                // A prefix alone, and a progress bar behind a carriage return.
                Some(_) if own.is_some() && is_bare => {
                    inherited = own;
                    continue;
                }
                _ => {}
            }
            let bar = if header.level.is_none() { inherited } else { None };
            let process = own.or(bar).or_else(|| self.waiting_for(&header));
            self.fragment(&header, process, raw.offset);
        }
    }

    /// The process whose lone prefix a message without one belongs to: the message follows within a few lines.
    fn waiting_for(&mut self, header: &Header<'_>) -> Option<u32> {
        header.source?;
        let line = self.line;
        self.waiting.retain(|(_, since)| line - since <= 3);
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0).0)
    }

    fn process(&mut self, name: &str, pid: Option<u32>) -> u32 {
        let next = u32::try_from(self.processes.len()).unwrap_or(u32::MAX);
        *self.processes.entry(Process { name: name.to_owned(), pid }).or_insert(next)
    }

    fn fragment(&mut self, header: &Header<'_>, process: Option<u32>, offset: u64) {
        let time = header.time.map(|time| self.clock.stamp(time));
        let place = Place { line: self.line, offset, process, time };
        if known::is_progress(header.message) {
            return self.count(LineKind::Ignored, "progress", header);
        }
        if self.problems.traceback_takes(header, &place) {
            return self.count(LineKind::Recognized, "traceback", header);
        }
        let taken = self.assembler.offer(Part {
            place: place.clone(),
            source: header.source,
            has_header: header.level.is_some(),
            text: header.message,
        });
        self.count_torn();
        match taken {
            Taken::No => self.message(header, place),
            Taken::Part(class) => self.count(LineKind::Recognized, class, header),
            Taken::Done(place, joined) => self.joined(place, &joined, header),
        }
    }

    fn joined(&mut self, place: Place, joined: &Joined, header: &Header<'_>) {
        let made = match joined {
            Joined::Table(table) => table::records_of(table),
            Joined::Dictionary { lead, text, lines } => {
                value::parse_value(text).and_then(|value| {
                    dictionary::records_of(lead, &value, format_of(lead, text, *lines))
                })
            }
        };
        match made {
            Some((class, records)) => {
                self.count(LineKind::Recognized, class, header);
                self.keep(&place, records);
            }
            None => {
                self.count(LineKind::Unknown, "unknown dictionary or table", header);
                self.diag.at(IssueKind::UnknownLine, place.offset);
            }
        }
    }

    fn message(&mut self, header: &Header<'_>, place: Place) {
        let message = header.message;
        let is_problem = self.problems.takes(header, &place);
        let recognized = profiling::profiling(message)
            .map(|record| ("profiler", record))
            .or_else(|| console::console(message))
            .or_else(|| orchestrator::orchestrator(message).map(|record| ("orchestrator", record)))
            .or_else(|| timing::timing(message).map(|record| ("omni_timing", record)));
        if let Some((class, record)) = recognized {
            self.count(LineKind::Recognized, class, header);
            self.keep(&place, vec![record]);
        } else if is_problem {
            self.count(LineKind::Recognized, "problem", header);
        } else if let Some(class) = known::class_of(header) {
            self.count(LineKind::Ignored, class, header);
        } else {
            let class = header.source_file().map_or("text".to_owned(), str::to_owned);
            self.count(LineKind::Unknown, &class, header);
            self.diag.at(IssueKind::UnknownLine, place.offset);
        }
    }

    fn keep(&mut self, place: &Place, records: Vec<Record>) {
        let found = records.into_iter().map(|record| Found { place: place.clone(), record });
        self.found.extend(found);
    }

    fn count(&mut self, kind: LineKind, class: &str, header: &Header<'_>) {
        self.census.add(kind, class, self.line, header.message);
    }

    fn count_torn(&mut self) {
        for place in self.assembler.take_torn() {
            self.diag.at(IssueKind::TornRecord, place.offset);
        }
    }

    fn into_log(self, name: &str) -> (PipelineLog, Reporter) {
        let mut processes = vec![Process::default(); self.processes.len()];
        for (process, index) in self.processes {
            processes[index as usize] = process;
        }
        name_by_pid(&mut processes);
        let first_year = self.clock.year();
        let entry = |found: Found| Entry {
            line: found.place.line,
            offset: found.place.offset,
            process: found.place.process,
            wall_ns: found.place.time.map(|time| time.wall_ns(first_year)),
            resolution_ns: found.place.time.map_or(0, clock::Stamp::resolution_ns),
            record: found.record,
        };
        let log = PipelineLog {
            name: name.to_owned(),
            processes,
            entries: self.found.into_iter().map(entry).collect(),
            census: self.census,
            problems: self.problems.finish(first_year),
            year: self.clock.known_year(),
            first_wall_ns: self.clock.first.map(|time| time.wall_ns(first_year)),
        };
        (log, self.diag)
    }
}

/// Names the processes of which a line gives the pid alone, as Kineto's do, by other lines of that pid.
fn name_by_pid(processes: &mut [Process]) {
    let named: BTreeMap<Option<u32>, String> = processes
        .iter()
        .filter(|process| !process.name.is_empty())
        .map(|process| (process.pid, process.name.clone()))
        .collect();
    for process in processes.iter_mut().filter(|process| process.name.is_empty()) {
        if let Some(name) = named.get(&process.pid) {
            process.name.clone_from(name);
        }
    }
}

/// How a dictionary was written.
fn format_of(lead: &str, text: &str, lines: usize) -> Format {
    if lines > 1 {
        Format::PrettyDictionary
    } else if lead.is_empty() && text.starts_with("{\"") {
        Format::JsonLine
    } else {
        Format::Dictionary
    }
}
