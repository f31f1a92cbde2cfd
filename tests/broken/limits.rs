//! What the reading of one file may take, and processes of their own in which the kernel holds it: processor time, so that a machine
//! with other work fails nothing, and memory. A panic, an abort, or a file that never ends is a failure of that file alone.

use std::io::{BufRead as _, BufReader, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{Job, Tally};

/// Most that one file may take.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Processor time of all threads, in seconds.
    pub(crate) cpu_s: u64,
    /// Bytes of address space of the process that reads it, which is more than it ever uses.
    pub(crate) bytes: u64,
}

pub(crate) const LIMITS: Limits = Limits { cpu_s: 20, bytes: 2 << 30 };

/// After so long on the clock a process that waits for something is ended.
const MOST_WALL: Duration = Duration::from_secs(600);

/// What the reading of one file took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) cpu_ms: u64,
    /// The most memory that the process had at once, in KiB.
    pub(crate) peak_kib: u64,
}

impl Used {
    pub(crate) fn most(self, other: Self) -> Self {
        Self { cpu_ms: self.cpu_ms.max(other.cpu_ms), peak_kib: self.peak_kib.max(other.peak_kib) }
    }
}

/// Processor time of this process, all threads that ever were, in milliseconds: ticks of 10.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
    ticks.sum::<u64>() * 10
}

/// The most memory that this process had since [`within`] began, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn set_limit(resource: Resource, most: u64) {
    let limit = Rlimit { current: Some(most), maximum: getrlimit(resource).maximum };
    setrlimit(resource, limit).unwrap();
}

/// Does what takes no more than these limits; the kernel ends the process where it is more.
pub(crate) fn within<T>(limits: Limits, work: impl FnOnce() -> T) -> (T, Used) {
    let before_ms = cpu_ms();
    set_limit(Resource::Core, 0);
    set_limit(Resource::As, limits.bytes);
    set_limit(Resource::Cpu, before_ms.div_ceil(1000) + limits.cpu_s);
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let done = work();
    let used = Used { cpu_ms: cpu_ms() - before_ms, peak_kib: peak_kib() };
    assert!(used.cpu_ms <= limits.cpu_s * 1000, "took {} ms of the processor", used.cpu_ms);
    (done, used)
}

/// Says that this process is one of [`alone`] or [`Worker`].
const CHILD: &str = "BROKEN_CHILD";

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, "1").stdin(Stdio::null());
    command
}

/// Runs a test in a process of its own, of which others that run beside it take no processor time.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    if is_child() {
        return body();
    }
    let output = child(test).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
}

/// What an answer begins with: around it stands what the test program prints.
const ANSWER: &str = "answer: ";

/// Answers what it is asked on standard input, a line a file.
#[expect(clippy::print_stdout, reason = "is how a child tells what it found")]
pub(crate) fn serve() {
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (job, limits) = read_request(&line).unwrap_or_else(|| panic!("no request: {line}"));
        job.prepare();
        let done = catch_unwind(AssertUnwindSafe(|| within(limits, || job.run())));
        let answer = match done {
            Ok((Ok(tally), Used { cpu_ms, peak_kib })) => {
                let Tally { wanted, read, hidden } = tally;
                format!("{wanted} {read} {hidden} {cpu_ms} {peak_kib}")
            }
            Ok((Err(what), _)) => what,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                format!("panicked: {}", text.unwrap_or("without a text"))
            }
        };
        println!("{ANSWER}{}", answer.replace('\n', " "));
    }
}

fn request(job: Job, limits: Limits) -> String {
    format!("{} {} {} {} {}", job.source, job.kind, job.seed, limits.cpu_s, limits.bytes)
}

fn read_request(line: &str) -> Option<(Job, Limits)> {
    let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
    let &[source, kind, seed, cpu_s, bytes] = numbers.as_slice() else { return None };
    let job = Job { source: source as usize, kind: kind as usize, seed };
    Some((job, Limits { cpu_s, bytes }))
}

fn read_answer(line: &str) -> Result<(Tally, Used), String> {
    let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[wanted, read, hidden, cpu_ms, peak_kib]) => {
            let [wanted, read, hidden] = [wanted, read, hidden].map(|n| n as usize);
            Ok((Tally { wanted, read, hidden }, Used { cpu_ms, peak_kib }))
        }
        _ => Err(line.to_owned()),
    }
}

/// A process that reads one file after the other.
pub(crate) struct Worker {
    /// The test that calls [`serve`] in a child.
    test: &'static str,
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

impl Worker {
    pub(crate) fn start(test: &'static str) -> Self {
        let mut command = child(test);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (requests, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            let answers = lines.filter_map(|line| Some(line.split_once(ANSWER)?.1.to_owned()));
            answers.map(|answer| sender.send(answer)).take_while(Result::is_ok).for_each(drop);
        });
        Self { test, child, requests, answers }
    }

    /// Has it read a file. Where that ends the process, another takes its place.
    pub(crate) fn ask(&mut self, job: Job, limits: Limits) -> Result<(Tally, Used), String> {
        // Whether it can be written is seen by the answer.
        let _ = writeln!(self.requests, "{}", request(job, limits));
        if let Ok(answer) = self.answers.recv_timeout(MOST_WALL) {
            return read_answer(&answer);
        }
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        let (cpu_s, mib) = (limits.cpu_s, limits.bytes >> 20);
        *self = Self::start(self.test);
        Err(format!(
            "ended by {status} (limits: {cpu_s} s of the processor, {mib} MiB, {MOST_WALL:?})"
        ))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
