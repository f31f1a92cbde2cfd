//! What runs while a server is profiled: a command, or just time passing.
//!
//! A command gets our standard streams and a process group of its own, so that an interrupt reaches it once, from us.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Between two looks at the command and at the user's wishes.
const TICK: Duration = Duration::from_millis(20);
/// How long an interrupted command may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workload {
    /// A program with its arguments, and variables for its environment.
    Command {
        /// Program and arguments.
        line: Vec<String>,
        /// Variables added to the environment.
        env: Vec<(String, String)>,
    },
    /// Nothing of ours, for this long.
    Time(Duration),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkloadEnd {
    /// In order.
    Done,
    /// With this exit code.
    Failed(i32),
    /// By this signal.
    Killed(i32),
    /// Because the user wished so.
    Interrupted,
    /// It never ran.
    NotStarted(String),
}

impl Workload {
    /// Runs it to its end, or until the user interrupts.
    pub fn run(self, interrupts: &AtomicUsize) -> WorkloadEnd {
        match self {
            Self::Time(limit) => wait(limit, interrupts),
            Self::Command { line, env } => match start(&line, env) {
                Ok(child) => watch(child, interrupts),
                Err(error) => {
                    let program = line.first().map_or("", String::as_str);
                    WorkloadEnd::NotStarted(format!("{program}: {error}"))
                }
            },
        }
    }
}

fn wait(limit: Duration, interrupts: &AtomicUsize) -> WorkloadEnd {
    let began = Instant::now();
    while began.elapsed() < limit {
        if interrupts.load(Ordering::Relaxed) > 0 {
            return WorkloadEnd::Interrupted;
        }
        std::thread::sleep(TICK.min(limit.saturating_sub(began.elapsed())));
    }
    WorkloadEnd::Done
}

fn start(line: &[String], env: Vec<(String, String)>) -> io::Result<Child> {
    let (program, args) =
        line.split_first().ok_or_else(|| io::Error::other("no command is given"))?;
    Command::new(program).args(args).envs(env).process_group(0).spawn()
}

fn watch(mut child: Child, interrupts: &AtomicUsize) -> WorkloadEnd {
    let mut interrupted: Option<Instant> = None;
    loop {
        match child.try_wait() {
            Ok(Some(_)) if interrupted.is_some() => {
                // Children that it left in its group go too.
                signal(&child, Signal::KILL);
                return WorkloadEnd::Interrupted;
            }
            Ok(Some(status)) => {
                return match (status.code(), status.signal()) {
                    (Some(0), _) => WorkloadEnd::Done,
                    (Some(code), _) => WorkloadEnd::Failed(code),
                    (None, signal) => WorkloadEnd::Killed(signal.unwrap_or(0)),
                };
            }
            Ok(None) => {}
            Err(error) => return WorkloadEnd::NotStarted(error.to_string()),
        }
        let wishes = interrupts.load(Ordering::Relaxed);
        if wishes > 0 && interrupted.is_none() {
            signal(&child, Signal::INT);
            interrupted = Some(Instant::now());
        }
        let out_of_patience = interrupted.is_some_and(|since| since.elapsed() > GRACE);
        if wishes > 1 || out_of_patience {
            signal(&child, Signal::KILL);
        }
        std::thread::sleep(TICK);
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        // Gone already is as good.
        kill_process_group(group, signal).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &[&str]) -> Workload {
        Workload::Command { line: line.iter().map(|s| (*s).to_owned()).collect(), env: vec![] }
    }

    #[test]
    fn ends_are_told_apart() {
        let calm = AtomicUsize::new(0);
        assert_eq!(command(&["true"]).run(&calm), WorkloadEnd::Done);
        assert_eq!(command(&["sh", "-c", "exit 3"]).run(&calm), WorkloadEnd::Failed(3));
        assert_eq!(command(&["sh", "-c", "kill -9 $$"]).run(&calm), WorkloadEnd::Killed(9));
        let missing = command(&["/no/such/program"]).run(&calm);
        assert!(matches!(missing, WorkloadEnd::NotStarted(_)));
        assert_eq!(Workload::Time(Duration::from_millis(1)).run(&calm), WorkloadEnd::Done);
    }

    #[test]
    fn an_interrupt_ends_the_command_and_its_children() {
        let wish = AtomicUsize::new(1);
        let began = Instant::now();
        assert_eq!(command(&["sh", "-c", "sleep 100 & wait"]).run(&wish), WorkloadEnd::Interrupted);
        assert_eq!(Workload::Time(GRACE).run(&wish), WorkloadEnd::Interrupted);
        assert!(began.elapsed() < GRACE);
    }
}
