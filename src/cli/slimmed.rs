//! Slimmed traces beside a page: where it has no room for the names of all kernels and operators, Perfetto's page shows them.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cmd_slim::{SlimPlan, edit_of, plan_of};
use super::plan::CommonPlan;
use super::progress::ProgressDisplay;
use super::trace_output::FirstPass;
use crate::analyze::base::TimeConfig;
use crate::analyze::slim::{SlimConfig, choose_slim};
use crate::read::events::{ReadAgain, read_for_rewriting};
use crate::read::{Input, Progress, SLIM_ENDING};
use crate::table::page::Beside;
use crate::write::{Pass, Source, WriteError, write_json};

/// What the slimmed traces of a page may take together: what is larger, Perfetto's page opens slowly and nobody attaches.
const MAX_BYTES: usize = 32 << 20;

/// Level of their compression, that of `slim`.
const LEVEL: u32 = 2;

/// Beginning of the name of a slimmed trace beside a page, before the number of its input.
const NAME: &str = "input";

/// Name of the slimmed trace of an input.
fn name_of(input: usize) -> String {
    format!("{NAME}{input}{SLIM_ENDING}")
}

/// Whether a file of the folder of a page is a slimmed trace that was written beside it.
pub(super) fn is_name(name: &str) -> bool {
    let number = name.strip_prefix(NAME).and_then(|rest| rest.strip_suffix(SLIM_ENDING));
    number.is_some_and(|number| number.parse::<usize>().is_ok_and(|n| name == name_of(n)))
}

/// A file of the folder: its name there, and what it holds.
pub(super) type NamedFile = (String, Vec<u8>);

/// The slimmed traces of some inputs, as files by name, and what the page says of each.
///
/// Inputs that cannot be read a second time have none; of a file that is several inputs there is one.
///
/// # Errors
///
/// A file that can no longer be read.
pub(super) fn beside(
    inputs: &[Input],
    wanted: &BTreeSet<usize>,
    time: &TimeConfig,
    common: &CommonPlan,
) -> anyhow::Result<(Vec<NamedFile>, Vec<Beside>)> {
    let (mut files, mut said) = (Vec::new(), Vec::new());
    let (mut seen, mut room) = (BTreeSet::new(), MAX_BYTES);
    for &number in wanted {
        let path = &inputs[number].path;
        let is_snapshot =
            inputs[number].snapshot.as_ref().is_some_and(|snapshot| snapshot.path == *path);
        if is_snapshot || !path.is_file() || !seen.insert(path.clone()) {
            continue;
        }
        let bytes = slimmed(path, time, room, common)?;
        room -= bytes.as_ref().map_or(0, Vec::len);
        let file = bytes.as_ref().map(|bytes| (name_of(number), bytes.len() as u64));
        said.push(Beside { input: number, path: path.display().to_string(), file });
        files.extend(bytes.map(|bytes| (name_of(number), bytes)));
    }
    Ok((files, said))
}

/// The text of the slimmed trace; `None` where it takes more than `room`.
fn slimmed(
    path: &Path,
    time: &TimeConfig,
    room: usize,
    common: &CommonPlan,
) -> anyhow::Result<Option<Vec<u8>>> {
    let progress = Arc::new(Progress::default());
    let paths: [PathBuf; 1] = [path.to_owned()];
    let _display = ProgressDisplay::start(&progress, &paths, common.is_quiet);
    let (input, again) = read_for_rewriting(path, &common.read, &progress, ReadAgain::Partly)?;
    let mut first = FirstPass { input, again };
    first.carry_losses();
    let store = &first.input.store;
    let window = (time.window.from_ns, time.window.to_ns);
    let config = SlimConfig {
        collapses_waits: true,
        window_ns: time.window.is_clipped().then_some(window),
        ..SlimConfig::default()
    };
    let choice = choose_slim(store, time, &config);
    let edit = edit_of(&first, &choice);
    let SlimPlan { plan, members, .. } = plan_of(&first, &choice, true)?;
    let source = Source { again: &first.again, store, plan: &plan, edit: Some(&edit) };
    let mut out = Bounded { bytes: Vec::new(), room };
    let pass = Pass { options: &common.read, progress: &progress };
    match write_json(&mut out, Some(LEVEL), &members, &[source], pass) {
        Ok(_) => Ok(Some(out.bytes)),
        Err(WriteError::Write(error)) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
        Err(WriteError::Write(error)) => Err(error.into()),
        Err(WriteError::Read(error)) => Err(error.into()),
    }
}

/// Memory that takes so many bytes and no more.
struct Bounded {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.room {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Bounded, is_name, name_of};

    #[test]
    fn names_are_known_again() {
        assert!(is_name(&name_of(0)) && is_name(&name_of(127)));
        for other in
            ["input.slim.json.gz", "input01.slim.json.gz", "input1.json.gz", "my0.slim.json.gz"]
        {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_as_that() {
        let mut out = Bounded { bytes: Vec::new(), room: 4 };
        out.write_all(b"1234").unwrap();
        let error = out.write_all(b"5").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    }
}
