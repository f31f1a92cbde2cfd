//! Warnings, errors and tracebacks of a log, gathered by what they say.
//!
//! A traceback's lines belong together: they are followed per writer, from `Traceback (most recent call last):` over its
//! frames and the exceptions chained to it, to the last exception, which names it. Memory is bounded by the number of
//! different complaints, which is limited.

use std::collections::BTreeMap;

use crate::model::limits::MAX_LOG_PROBLEMS;
use crate::model::log::{Gravity, Problem};

use super::assemble::Place;
use super::clock::Stamp;
use super::header::{Header, Level};
use super::scan::{after, holds};

/// Characters of a complaint that are kept.
const KEPT_CHARS: usize = 300;

/// Characters of a complaint that tell it from others.
const SHAPE_CHARS: usize = 160;

/// A word with digits that is longer than this is an identifier.
const LONGEST_WORD: usize = 8;

/// The text of complaints beyond the limit.
const OTHERS: &str = "(other messages, more kinds than are told apart)";

/// The complaints so far.
#[derive(Default)]
pub(crate) struct Problems {
    found: BTreeMap<(Gravity, String, String), Gathered>,
    tracebacks: Vec<Traceback>,
}

/// Complaints of one kind.
struct Gathered {
    count: u64,
    processes: Vec<u32>,
    first: Place,
    last_line: u64,
    first_time: Option<Stamp>,
    last_time: Option<Stamp>,
    text: String,
}

/// A traceback that is being written.
struct Traceback {
    process: Option<u32>,
    /// Source of the header that each of its lines has; empty for plain text.
    writer: String,
    gravity: Gravity,
    place: Place,
    /// The innermost frame so far.
    frame: String,
    /// The exception; empty while frames are written.
    exception: String,
}

impl Problems {
    /// Offers a line. Whether it belongs to a traceback.
    pub(crate) fn traceback_takes(&mut self, header: &Header<'_>, place: &Place) -> bool {
        let writer = header.source.unwrap_or("");
        let at = self
            .tracebacks
            .iter()
            .position(|open| open.process == place.process && open.writer == writer);
        if begins_traceback(header.message) {
            match at {
                Some(at) => self.tracebacks[at].exception.clear(),
                None => self.tracebacks.push(Traceback {
                    process: place.process,
                    writer: writer.to_owned(),
                    gravity: header
                        .level
                        .and_then(gravity_of)
                        .unwrap_or(Gravity::Error)
                        .max(Gravity::Error),
                    place: place.clone(),
                    frame: String::new(),
                    exception: String::new(),
                }),
            }
            return true;
        }
        let Some(at) = at else { return false };
        let is_own = self.tracebacks[at].take(header.message);
        if !is_own {
            let ended = self.tracebacks.remove(at);
            self.add_traceback(ended);
        }
        is_own
    }

    /// Counts a line that complains, by its level or its form. Whether it does.
    pub(crate) fn takes(&mut self, header: &Header<'_>, place: &Place) -> bool {
        let by_level = header.level.and_then(gravity_of);
        let Some(gravity) = by_level.or_else(|| gravity_of_form(header)) else { return false };
        let source = header.source.unwrap_or("");
        let source = source.rsplit('/').next().unwrap_or(source);
        self.add(gravity, source, header.message, place);
        true
    }

    /// Ends the log, whose first line is of `first_year`. The complaints, the gravest first, then by line.
    pub(crate) fn finish(mut self, first_year: i32) -> Vec<Problem> {
        for open in std::mem::take(&mut self.tracebacks) {
            self.add_traceback(open);
        }
        let problem =
            |((gravity, source, _), gathered): ((Gravity, String, String), Gathered)| Problem {
                gravity,
                source,
                count: gathered.count,
                processes: gathered.processes,
                first_line: gathered.first.line,
                last_line: gathered.last_line,
                first_wall_ns: gathered.first_time.map(|time| time.wall_ns(first_year)),
                last_wall_ns: gathered.last_time.map(|time| time.wall_ns(first_year)),
                text: gathered.text,
            };
        let mut problems: Vec<Problem> = self.found.into_iter().map(problem).collect();
        problems.sort_by_key(|problem| (std::cmp::Reverse(problem.gravity), problem.first_line));
        problems
    }

    fn add_traceback(&mut self, ended: Traceback) {
        let text = if ended.exception.is_empty() {
            "Traceback without its exception"
        } else {
            &ended.exception
        };
        self.add(ended.gravity, &ended.frame, text, &ended.place);
    }

    fn add(&mut self, gravity: Gravity, source: &str, text: &str, place: &Place) {
        let text = text.trim();
        let mut key = (gravity, source.to_owned(), shape(text));
        let mut kept = text;
        if self.found.len() >= MAX_LOG_PROBLEMS && !self.found.contains_key(&key) {
            key = (gravity, String::new(), OTHERS.to_owned());
            kept = OTHERS;
        }
        let gathered = self.found.entry(key).or_insert_with(|| Gathered {
            count: 0,
            processes: Vec::new(),
            first: place.clone(),
            last_line: place.line,
            first_time: None,
            last_time: None,
            text: kept.chars().take(KEPT_CHARS).collect(),
        });
        gathered.count += 1;
        gathered.last_line = gathered.last_line.max(place.line);
        gathered.first_time = gathered.first_time.or(place.time);
        gathered.last_time = place.time.or(gathered.last_time);
        if let Some(process) = place.process
            && !gathered.processes.contains(&process)
        {
            gathered.processes.push(process);
        }
    }
}

impl Traceback {
    /// Takes a line of its writer; whether it is one of its own.
    fn take(&mut self, message: &str) -> bool {
        let text = message.trim();
        if text.is_empty() || is_chain(text) {
            return true;
        }
        if message.starts_with([' ', '\t']) {
            if let Some(frame) = frame_of(text).filter(|_| self.exception.is_empty()) {
                self.frame = frame;
            }
            return true;
        }
        if self.exception.is_empty() {
            self.exception = text.chars().take(KEPT_CHARS).collect();
            return true;
        }
        false
    }
}

fn begins_traceback(message: &str) -> bool {
    let text = message.trim_start_matches([' ', '|', '+']);
    text.starts_with("Traceback (most recent call last)")
        || text.starts_with("Exception Group Traceback (most recent call last)")
}

/// What stands between a traceback and the one that is chained to it.
fn is_chain(text: &str) -> bool {
    text.starts_with("During handling of the above exception")
        || text.starts_with("The above exception was the direct cause")
}

/// `File "/x/vllm/v1/engine/core.py", line 834, in run` → `core.py:834`.
fn frame_of(text: &str) -> Option<String> {
    let (path, rest) =
        text.trim_start_matches(['|', ' ']).strip_prefix("File \"")?.split_once('"')?;
    let line = rest.strip_prefix(", line ")?.split(',').next()?;
    Some(format!("{}:{line}", path.rsplit('/').next().unwrap_or(path)))
}

fn gravity_of(level: Level) -> Option<Gravity> {
    match level {
        Level::Debug | Level::Info => None,
        Level::Warning => Some(Gravity::Warning),
        Level::Error => Some(Gravity::Error),
        Level::Critical => Some(Gravity::Critical),
    }
}

/// What ends a process, as the interpreter, the C library or the shell prints it.
const FATAL: [&str; 7] = [
    "Fatal Python error: ",
    "Segmentation fault",
    "terminate called ",
    "Aborted (core dumped)",
    "Bus error",
    "Killed",
    "!!!!!!! Segfault encountered",
];

/// Complaints without a level.
fn gravity_of_form(header: &Header<'_>) -> Option<Gravity> {
    if header.level.is_some() {
        return None;
    }
    let text = header.message;
    if FATAL.iter().any(|fatal| text.starts_with(fatal)) {
        return Some(Gravity::Critical);
    }
    if is_exception(text) {
        return Some(Gravity::Error);
    }
    let is_warning = holds(text, " NCCL WARN ") || is_python_warning(text);
    is_warning.then_some(Gravity::Warning)
}

/// `/path/file.py:254: UserWarning: …`.
pub(crate) fn is_python_warning(text: &str) -> bool {
    let Some(rest) = after(text, ".py:") else { return false };
    let path = &text[..text.len() - rest.len()];
    let Some((line, rest)) = rest.split_once(": ") else { return false };
    let kind = rest.split(':').next().unwrap_or("");
    !path.contains(' ') && line.bytes().all(|b| b.is_ascii_digit()) && kind.ends_with("Warning")
}

/// `torch.OutOfMemoryError: CUDA out of memory.`: an exception's name, then what it says.
fn is_exception(text: &str) -> bool {
    let Some((name, _)) = text.split_once(": ") else { return false };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'_';
    let class = name.rsplit('.').next().unwrap_or(name);
    (class.ends_with("Error") || class.ends_with("Exception"))
        && class.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(is_name)
}

/// A text with its numbers and identifiers made alike.
fn shape(text: &str) -> String {
    let mut out = String::with_capacity(SHAPE_CHARS);
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut rest = text;
    while let Some(first) = rest.chars().next().filter(|_| out.len() < SHAPE_CHARS) {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        let has_digit = run.bytes().any(|b| b.is_ascii_digit());
        if has_digit && (run.len() > LONGEST_WORD || run.starts_with("0x")) {
            out.push('#');
        } else if has_digit {
            without_digits(run, &mut out);
        } else {
            out.push_str(run);
        }
        rest = behind;
    }
    out
}

fn without_digits(run: &str, out: &mut String) {
    let mut was_digit = false;
    for c in run.chars() {
        let is_digit = c.is_ascii_digit();
        match (is_digit, was_digit) {
            (true, true) => {}
            (true, false) => out.push('#'),
            (false, _) => out.push(c),
        }
        was_digit = is_digit;
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_log_bytes;
    use super::{is_exception, is_python_warning, shape};
    use crate::model::log::{Gravity, Problem};

    fn problems(text: &str) -> Vec<Problem> {
        read_log_bytes("a.log", text.as_bytes()).0.problems
    }

    #[test]
    fn numbers_and_identifiers_are_alike() {
        assert_eq!(shape("cmpl-8f2a91c0d4 took 12.5 s at 0x7f"), "# took #.# s at #");
        assert_eq!(shape("use fp16 on gpu3"), "use fp# on gpu#");
        assert!(shape(&"word ".repeat(1000)).len() < 200);
    }

    #[test]
    fn forms_are_told() {
        assert!(is_exception("torch.OutOfMemoryError: CUDA out of memory."));
        assert!(is_exception("ValueError: x"));
        for text in ["No Error: all well", "error: x", "the ValueError: x", "ValueError"] {
            assert!(!is_exception(text), "{text}");
        }
        assert!(is_python_warning("/a/b.py:25: UserWarning: x"));
        assert!(!is_python_warning("see a.py:25 or Warning: x"));
    }

    #[test]
    fn a_traceback_is_one_problem() {
        let head = "(EngineCore pid=7) ERROR 11-21 23:49:33 [core.py:843] ";
        let lines = [
            "EngineCore failed to start.",
            "Traceback (most recent call last):",
            "  File \"/x/core.py\", line 834, in run",
            "    engine.run()",
            "    ^^^^^^^^^^^^",
            "  File \"/x/worker.py\", line 12, in load",
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.",
            "",
            "During handling of the above exception, another exception occurred:",
            "",
            "Traceback (most recent call last):",
            "  File \"/x/top.py\", line 3, in main",
            "RuntimeError: Engine core initialization failed.",
        ];
        let text: String = lines.iter().map(|line| format!("{head}{line}\n")).collect();
        let found = problems(&text);
        let short: Vec<_> =
            found.iter().map(|p| (p.first_line, p.source.as_str(), p.text.as_str())).collect();
        assert_eq!(
            short,
            [
                (1, "core.py:843", "EngineCore failed to start."),
                (2, "top.py:3", "RuntimeError: Engine core initialization failed."),
            ]
        );
        assert!(found.iter().all(|p| p.gravity == Gravity::Error && p.processes == [0]));
    }

    #[test]
    fn tracebacks_of_two_writers_interleave_with_other_lines() {
        let text = "(A pid=1) Traceback (most recent call last):\n\
                    (B pid=2) Traceback (most recent call last):\n\
                    (A pid=1)   File \"/x/a.py\", line 1, in f\n\
                    INFO 11-21 23:49:33 [x.py:1] Loading weights took 1.0 seconds\n\
                    (B pid=2)   File \"/x/b.py\", line 2, in g\n\
                    (B pid=2) KeyError: 'b'\n\
                    (A pid=1) ValueError: a\n\
                    (A pid=1) done\n";
        let found = problems(text);
        let short: Vec<_> =
            found.iter().map(|p| (p.first_line, p.source.as_str(), p.text.as_str())).collect();
        assert_eq!(short, [(1, "a.py:1", "ValueError: a"), (2, "b.py:2", "KeyError: 'b'")]);
    }

    #[test]
    fn complaints_are_counted_with_their_processes_and_times() {
        let line = |pid: u32, second: u32| {
            format!("(W pid={pid}) WARNING 11-21 23:49:{second} [s.py:5] {second} blocks left\n")
        };
        let text = [line(1, 10), line(2, 11), line(1, 30), "Killed\n".to_owned()].concat();
        let found = problems(&text);
        assert_eq!((found[0].gravity, found[0].text.as_str()), (Gravity::Critical, "Killed"));
        let warning = &found[1];
        assert_eq!((warning.count, warning.first_line, warning.last_line), (3, 1, 3));
        assert_eq!(
            (warning.processes.as_slice(), warning.text.as_str()),
            (&[0, 1][..], "10 blocks left")
        );
        assert_eq!(warning.last_wall_ns.unwrap() - warning.first_wall_ns.unwrap(), 20_000_000_000);
    }
}
