//! The prompt on a pseudo-terminal: statements of several lines, completion, history, mistakes, and how it is left.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{program, query};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

const TP2: &str = "fixtures/vllm_tp2_step";

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program on a terminal.
struct Prompt {
    child: Child,
    keyboard: File,
    seen: Arc<Mutex<Vec<u8>>>,
    /// What was waited for up to here.
    read_to: usize,
}

impl Prompt {
    fn start(cache: &Path) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let size = Winsize { ws_row: 40, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&theirs, size).unwrap();
        let child = program(["query", TP2])
            .env("TERM", "xterm")
            .env("XDG_CACHE_HOME", cache)
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs)
            .spawn()
            .unwrap();
        let keyboard = File::from(ours);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, shared) = (keyboard.try_clone().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // A terminal whose program has ended gives an error.
            while let Ok(n @ 1..) = screen.read(&mut part) {
                shared.lock().unwrap().extend_from_slice(&part[..n]);
            }
        });
        let mut prompt = Self { child, keyboard, seen, read_to: 0 };
        prompt.wait_for("sql> ");
        prompt
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until something is shown behind what was waited for before; gives what was shown up to there.
    fn wait_for(&mut self, text: &str) -> String {
        let begin = Instant::now();
        loop {
            let shown =
                String::from_utf8_lossy(&self.seen.lock().unwrap()[self.read_to..]).into_owned();
            if let Some(at) = shown.find(text) {
                self.read_to += at + text.len();
                return shown[..at + text.len()].to_owned();
            }
            assert!(begin.elapsed() < PATIENCE, "no {text:?} in {shown:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What Ctrl-C does on a terminal while a statement runs.
    fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Waits until the program has used so much of the processor.
    fn wait_until_busy(&self, ticks: u64) {
        let stat = format!("/proc/{}/stat", self.child.id());
        let used = || {
            let text = std::fs::read_to_string(&stat).unwrap();
            // The name, which may hold anything, ends with the last parenthesis; user time is the 12th field behind it.
            let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[11].parse::<u64>().unwrap()
        };
        let (before, begin) = (used(), Instant::now());
        while used() < before + ticks {
            assert!(begin.elapsed() < PATIENCE, "nothing runs");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The program's exit code.
    fn end(mut self) -> Option<i32> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            if begin.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                panic!("it did not end");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A statement of a count over so many rows that it does not end in a day.
const ENDLESS: &str = "SELECT count(*) AS n FROM events a CROSS JOIN events b CROSS JOIN events c WHERE a.dur_ns + b.dur_ns = c.dur_ns;\r";

#[test]
fn an_interruption_ends_the_statement_and_not_the_prompt() {
    let dir = tempfile::tempdir().unwrap();
    let mut prompt = Prompt::start(dir.path());
    prompt.type_in("CREATE TABLE mine AS SELECT count(*) AS n FROM kernel_events;\r");
    prompt.wait_for("sql> ");
    for _ in 0..3 {
        prompt.type_in(ENDLESS);
        prompt.wait_until_busy(30);
        prompt.interrupt();
        prompt.wait_for("error: interrupted");
        prompt.wait_for("sql> ");
        // What was made before is there, and the prompt answers.
        prompt.type_in("SELECT 41 + count(*) AS answer FROM mine;\r");
        prompt.wait_for("42\r\n");
        prompt.wait_for("sql> ");
    }
    // Not while a line is typed: there it only drops the line.
    prompt.interrupt();
    prompt.type_in("SELECT 1 AS one FROM mine;\r");
    prompt.wait_for("one");
    prompt.wait_for("sql> ");
    prompt.type_in(".quit\r");
    assert_eq!(prompt.end(), Some(0));
}

#[test]
fn long_names_are_shortened_and_stay_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut prompt = Prompt::start(dir.path());
    let long = "void at::native::a_kernel<4, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul> >(int, int)";
    let of = |end: &str| format!("SELECT '{}{end}' AS name", &long[..long.len() - 1]);
    prompt.type_in(&format!("{} UNION ALL {};\r", of(", long)"), of(")")));
    prompt.wait_for("\r\na_kernel<4, CUDAFunctor_add<float>>");
    prompt.wait_for("\r\na_kernel<4, CUDAFunctor_add<float>>~2\r\n");
    prompt.wait_for("names are shortened");
    prompt.wait_for("sql> ");
    prompt.type_in(".quit\r");
    assert_eq!(prompt.end(), Some(0));
}

#[test]
fn statements_are_typed_completed_recalled_and_answered() {
    let dir = tempfile::tempdir().unwrap();
    let n = query(&[TP2, "--format", "csv", "SELECT count(*) AS n FROM kernel_events"]);
    let n = n.lines().nth(1).unwrap();

    let mut prompt = Prompt::start(dir.path());
    // Two lines, the table completed by Tab.
    prompt.type_in("SELECT count(*) AS n\r");
    prompt.type_in("FROM kernel_ev\t");
    prompt.wait_for("kernel_events");
    prompt.type_in(";\r");
    prompt.wait_for(&format!("{n}\r\n"));
    prompt.wait_for("sql> ");
    // A mistake is told and the prompt goes on.
    prompt.type_in("SELECT 1 FROM kernles;\r");
    prompt.wait_for("there is no table `kernles`");
    prompt.wait_for("did you mean kernels?");
    prompt.wait_for("sql> ");
    // Ctrl-C drops what is being typed.
    prompt.type_in("SELECT nothing at all");
    prompt.wait_for("nothing at all");
    prompt.type_in("\u{3}");
    prompt.wait_for("sql> ");
    prompt.type_in(".ask kernels-by-stream\r");
    prompt.wait_for("stream");
    prompt.wait_for("sql> ");
    prompt.type_in(".nothing\r");
    prompt.wait_for("there are .help, .list, .ask NAME, .tables and .quit");
    prompt.wait_for("sql> ");
    prompt.type_in(".quit\r");
    assert_eq!(prompt.end(), Some(0));

    // The next one knows what was typed: three entries up is the wrong table, four up the statement of two lines.
    let mut prompt = Prompt::start(dir.path());
    prompt.type_in("\u{10}\u{10}\u{10}\u{10}\u{10}");
    prompt.wait_for("kernel_events;");
    prompt.type_in("\r");
    prompt.wait_for(&format!("{n}\r\n"));
    prompt.wait_for("sql> ");
    prompt.type_in("\u{4}");
    assert_eq!(prompt.end(), Some(0));
    let history = std::fs::read_to_string(dir.path().join("omni-trace/query_history")).unwrap();
    assert!(history.contains("kernles"), "{history}");
}
