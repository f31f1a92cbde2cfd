//! Runs `omni-trace-capture` on a pipeline as a process of its own, and learns where its results are.
//!
//! The program prints what it did and, last, `OUTCOME: DIRECTORY`; its lines are passed on as they come. It gets a process
//! group of its own, so that each of the user's wishes to end reaches it once, from us; and it ends when this process does.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::{Captured, Left};
use crate::locate;

/// Tells the program the process that started it, so that it ends with that one.
pub const PARENT_VAR: &str = "OMNI_TRACE_CAPTURE_PARENT";
/// The file that makes a directory one of a capture.
pub const MANIFEST: &str = "manifest.pb";
/// How a program ends whose libraries cannot be loaded; the loader has said which, and why.
const NOT_LOADED: i32 = 127;
/// Between two looks at the program and at the user's wishes.
const TICK: Duration = Duration::from_millis(10);

/// Runs the program with these arguments.
pub fn run(args: &[OsString], interrupts: &AtomicUsize) -> anyhow::Result<Captured> {
    let located = locate::locate(|name| std::env::var_os(name))?;
    let mut command = Command::new(&located.program);
    command.args(args).env(PARENT_VAR, std::process::id().to_string());
    if let Some(path) = located.library_path {
        command.env("LD_LIBRARY_PATH", path);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let cannot = || format!("cannot run {}", located.program.display());
    let mut child = command.spawn().with_context(cannot)?;
    let output = child.stdout.take();
    let reader = std::thread::Builder::new()
        .name("capture-output".into())
        .spawn(move || output.and_then(pass_on))
        .with_context(cannot)?;
    let code = wait(&mut child, interrupts).with_context(cannot)?;
    if code == NOT_LOADED {
        bail!(locate::Missing::Unfit(located.program.display().to_string()));
    }
    let last = reader.join().ok().flatten();
    let dir = last.as_deref().and_then(directory);
    Ok(Captured { code, left: dir.map_or(Left::Nothing, Left::Pipeline) })
}

/// Passes on what the program prints, line by line; gives the last line.
fn pass_on(output: impl Read) -> Option<Vec<u8>> {
    let (mut output, mut line, mut last) = (BufReader::new(output), Vec::new(), None);
    while output.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        // A closed pipe is no error; the program is heard to its end all the same.
        std::io::stdout().write_all(&line).and_then(|()| std::io::stdout().flush()).ok();
        last = Some(std::mem::take(&mut line));
    }
    last
}

/// The directory that the last line names, if there is a capture in it.
fn directory(line: &[u8]) -> Option<PathBuf> {
    let line = std::str::from_utf8(line).ok()?.trim_end_matches('\n');
    let dir = Path::new(line.split_once(": ")?.1);
    dir.join(MANIFEST).is_file().then(|| dir.to_owned())
}

fn wait(child: &mut Child, interrupts: &AtomicUsize) -> std::io::Result<i32> {
    let mut passed = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            // As shells give it, where a signal ended the program.
            return Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
        }
        let wishes = interrupts.load(Ordering::Relaxed);
        for _ in passed..wishes {
            if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
                // Gone already is as good.
                kill_process(pid, Signal::INT).ok();
            }
        }
        passed = wishes;
        std::thread::sleep(TICK);
    }
}
