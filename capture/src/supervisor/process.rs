//! The worker processes: starting, listening, ending, and what became of each.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::board::Board;
use crate::error::CaptureError;
use crate::output::manifest::{End, WorkerResult};
use crate::plan::{Edge, Plan, WorkerOrder};
use crate::recorder::scratch_dir;
use crate::report::{Report, Timing};

/// The argument that makes this program a worker.
pub const WORKER_ARG: &str = "__worker";
/// Reports on their way; a worker that is faster waits.
const NEWS_IN_FLIGHT: usize = 1024;
/// Set for workers, unless the user has set them: libtorch keeps its log lines to itself; ranks meet on this machine.
const WORKER_ENV: [(&str, &str); 2] = [("KINETO_LOG_LEVEL", "5"), ("GLOO_SOCKET_IFNAME", "lo")];

/// What a worker's output brought.
pub(super) enum News {
    Report(usize, Report),
    Ended(usize),
}

struct Member {
    child: Option<Child>,
    // Closing it tells the worker that the supervisor is gone.
    stdin: Option<ChildStdin>,
    ready: bool,
    said_done: bool,
    killed: bool,
    result: WorkerResult,
}

/// All workers of a capture.
pub(super) struct Crew {
    members: Vec<Member>,
    names: Vec<String>,
    news: Receiver<News>,
}

impl Crew {
    /// Starts every worker and gives it its order.
    pub(super) fn start(
        plan: &Plan,
        scratch: &Path,
        board: &Board,
        edges: &[Edge],
    ) -> Result<Self, CaptureError> {
        let (tell, news) = sync_channel(NEWS_IN_FLIGHT);
        let mut crew = Self { members: Vec::new(), names: Vec::new(), news };
        for (index, (stage, rank)) in plan.workers().into_iter().enumerate() {
            let order = WorkerOrder {
                plan: plan.clone(),
                stage,
                rank,
                index,
                board_fd: board.raw_fd(),
                edges: edges.to_vec(),
                scratch: scratch_dir(scratch, stage, rank),
            };
            let name = format!("stage {stage} ({}) rank {rank}", plan.stages[stage as usize].name);
            // A failure here drops the crew, and with it every worker that was started.
            crew.members.push(start_one(&order, &name, &tell)?);
            crew.names.push(name);
        }
        Ok(crew)
    }

    pub(super) fn news(&self, patience: Duration) -> Result<News, RecvTimeoutError> {
        self.news.recv_timeout(patience)
    }

    /// Lets every worker begin.
    pub(super) fn go(&mut self) {
        for stdin in self.members.iter_mut().filter_map(|m| m.stdin.as_mut()) {
            // A worker that is gone is noticed by its output's end.
            stdin.write_all(b"go\n").and_then(|()| stdin.flush()).ok();
        }
    }

    /// Keeps what a report says of its worker.
    pub(super) fn note(&mut self, worker: usize, report: Report) {
        let member = &mut self.members[worker];
        let result = &mut member.result;
        match report {
            Report::Ready { device, parameters, .. } => {
                member.ready = true;
                result.device = device;
                result.parameters = parameters;
            }
            Report::Window(window) => result.windows.push(*window),
            Report::WindowLost { index, error } => result.lost.push((index, error)),
            Report::Done(timing) => {
                member.said_done = true;
                result.timing = timing;
            }
            Report::Failed { error } => result.end = End::Failed(error),
            Report::Sent(_) | Report::Received(_) | Report::Served(_) | Report::GateClosed => {}
        }
    }

    /// Takes the exit status of a worker whose output has ended.
    pub(super) fn reap(&mut self, worker: usize, aborted: bool) {
        let member = &mut self.members[worker];
        let Some(mut child) = member.child.take() else { return };
        member.stdin = None;
        let status = child.wait();
        let end = &mut member.result.end;
        *end = match (&end, status) {
            (End::Hung(_), _) => return,
            (_, _) if member.killed => End::Interrupted,
            (_, Ok(status)) if status.success() && member.said_done => End::Done,
            (End::Failed(_), _) if aborted => End::Interrupted,
            (End::Failed(why), _) => End::Failed(why.clone()),
            (_, Ok(status)) => End::Died(describe_exit(status)),
            (_, Err(error)) => End::Died(error.to_string()),
        };
    }

    /// Why a worker that has ended gives reason to end the capture.
    pub(super) fn ended_badly(&self, worker: usize) -> Option<String> {
        let end = &self.members[worker].result.end;
        if *end == End::Interrupted { None } else { end.describe(&self.names[worker]) }
    }

    pub(super) fn kill_as_hung(&mut self, worker: usize, why: &str) {
        let member = &mut self.members[worker];
        member.result.end = End::Hung(why.to_owned());
        if let Some(child) = &mut member.child {
            // Gone already is as good.
            child.kill().ok();
        }
    }

    pub(super) fn kill_all(&mut self) {
        for member in &mut self.members {
            if let Some(child) = &mut member.child {
                member.killed = true;
                // Gone already is as good.
                child.kill().ok();
            }
        }
    }

    pub(super) fn running(&self) -> usize {
        self.members.iter().filter(|m| m.child.is_some()).count()
    }

    pub(super) fn is_running(&self, worker: usize) -> bool {
        self.members[worker].child.is_some()
    }

    /// Processor time of a worker so far, in the system's ticks; 0 where the system does not say.
    pub(super) fn cpu_ticks(&self, worker: usize) -> u64 {
        let path = format!("/proc/{}/stat", self.pid_of(worker));
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        // After the name, which stands in parentheses and may hold anything: the state, ten numbers, then both times.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let times = after_name.split_whitespace().skip(11).take(2);
        times.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    pub(super) fn is_ready(&self, worker: usize) -> bool {
        self.members[worker].ready
    }

    pub(super) fn stage_of(&self, worker: usize) -> u32 {
        self.members[worker].result.stage
    }

    pub(super) fn rank_of(&self, worker: usize) -> u32 {
        self.members[worker].result.rank
    }

    pub(super) fn pid_of(&self, worker: usize) -> u32 {
        self.members[worker].result.pid
    }

    pub(super) fn into_results(mut self) -> Vec<WorkerResult> {
        self.members.drain(..).map(|m| m.result).collect()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.kill_all();
        for member in &mut self.members {
            if let Some(child) = &mut member.child {
                // Reaps it, so that nothing is left.
                child.wait().ok();
            }
        }
    }
}

fn describe_exit(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("killed by signal {signal}"),
        (None, Some(code)) => format!("ended with code {code} and no report"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

/// The process, in its own directory and with its streams to us.
fn spawn(scratch: &Path) -> Result<Child, CaptureError> {
    let failed = |source| CaptureError::File { path: scratch.to_owned(), source };
    std::fs::create_dir_all(scratch).map_err(failed)?;
    let program = std::env::current_exe().map_err(CaptureError::system("this program's path"))?;
    let mut command = Command::new(program);
    command
        .arg(WORKER_ARG)
        .current_dir(scratch)
        // Ctrl-C is for the supervisor alone, which ends the workers in order.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in WORKER_ENV {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    command.spawn().map_err(CaptureError::system("starting a worker"))
}

fn start_one(
    order: &WorkerOrder,
    name: &str,
    tell: &SyncSender<News>,
) -> Result<Member, CaptureError> {
    let mut child = spawn(&order.scratch)?;
    let pid = child.id();
    let mut stdin = child.stdin.take();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let member = |child, stdin| Member {
        child: Some(child),
        stdin,
        ready: false,
        said_done: false,
        killed: false,
        result: WorkerResult {
            stage: order.stage,
            rank: order.rank,
            pid,
            device: String::new(),
            parameters: 0,
            end: End::Interrupted,
            windows: Vec::new(),
            lost: Vec::new(),
            timing: Timing::default(),
        },
    };
    if let (Some(stdin), Ok(mut line)) = (&mut stdin, serde_json::to_string(order)) {
        line.push('\n');
        // A worker that cannot take its order ends, which its output's end tells.
        stdin.write_all(line.as_bytes()).ok();
    }
    let prefix = format!("({name} pid={pid}) ");
    let (index, tell) = (order.index, tell.clone());
    let errors = prefix.clone();
    let threads = std::thread::Builder::new()
        .name("worker-stderr".into())
        .spawn(move || stderr.into_iter().for_each(|pipe| pass_on(BufReader::new(pipe), &errors)))
        .and_then(|_| {
            std::thread::Builder::new().name("worker-reports".into()).spawn(move || {
                stdout
                    .into_iter()
                    .for_each(|pipe| listen(BufReader::new(pipe), index, &prefix, &tell));
                tell.send(News::Ended(index)).ok();
            })
        });
    match threads {
        Ok(_) => Ok(member(child, stdin)),
        Err(source) => {
            child.kill().and_then(|()| child.wait().map(drop)).ok();
            Err(CaptureError::System { what: "listening to a worker", source })
        }
    }
}

fn listen(pipe: impl BufRead, index: usize, prefix: &str, tell: &SyncSender<News>) {
    for line in pipe.lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(report) => {
                if tell.send(News::Report(index, report)).is_err() {
                    return;
                }
            }
            // Not ours: something that libtorch or a script printed.
            Err(_) => pass_on(std::io::Cursor::new(line), prefix),
        }
    }
}

fn pass_on(pipe: impl BufRead, prefix: &str) {
    for line in pipe.lines().map_while(Result::ok) {
        // Nobody to tell when standard error is closed.
        writeln!(std::io::stderr(), "{prefix}{line}").ok();
    }
}
