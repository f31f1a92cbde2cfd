//! From what the user names to the list of inputs: files as they are, directories searched for traces.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_id::Seen;
use super::perfetto::is_perfetto;
use super::source::ByteStream;
use super::{Progress, ReadError, kinds, names};
use crate::store::PARTS_KEY;

/// Directories are searched this deep: session directories of every known layout are at most four levels down.
const MAX_DEPTH: usize = 6;

/// Bytes of text that are looked at to tell a trace from other JSON.
const SNIFF_BYTES: usize = 1 << 16;

/// Why a file that is no trace is left out.
pub const NOT_A_TRACE: &str = "its content is not a trace";

/// Why the slimmed copy of another file is left out.
pub const SLIM_COPY: &str = "it is the slimmed copy of another trace";

/// Why a file that was merged from others is left out.
pub const MERGED_COPY: &str = "it was merged from traces beside it";

/// End of the name of a slimmed copy that nobody named: beside its original it is no input of its own.
pub const SLIM_ENDING: &str = ".slim.json.gz";

/// The inputs of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Files to read (`-` is standard input), sorted by stage, rank and path within each directory.
    pub paths: Vec<PathBuf>,
    /// Files that were left out, with the reason: of a directory what looks like a trace by name and is none, and what
    /// is given already under another name.
    pub skipped: Vec<(PathBuf, Cow<'static, str>)>,
}

impl Inputs {
    /// Adds a file, but once only, whatever the names that lead to it.
    pub(super) fn add(&mut self, path: PathBuf, seen: &mut Seen) {
        match seen.note(&path) {
            None => self.paths.push(path),
            Some(first) if first == path => {
                self.skipped.push((path, "it is given twice and read once".into()));
            }
            Some(first) => {
                let why = format!("it is {} by another name, which is read once", first.display());
                self.skipped.push((path, why.into()));
            }
        }
    }
}

/// Finds the inputs that `paths` name. A file given twice is read once, whatever its names.
///
/// # Errors
///
/// A path that does not exist, or a directory without a trace.
pub fn discover(paths: &[PathBuf]) -> Result<Inputs, ReadError> {
    let mut inputs = Inputs::default();
    let mut seen = Seen::default();
    for path in paths {
        if path == Path::new("-") || !is_dir(path)? {
            inputs.add(path.clone(), &mut seen);
            continue;
        }
        let mut found = Vec::new();
        list(path, 0, &mut found).map_err(|source| ReadError::Io { path: path.clone(), source })?;
        let mut traces = choose(found, &mut inputs.skipped);
        if traces.is_empty() {
            return Err(ReadError::NothingFound { path: path.clone() });
        }
        traces.sort_by_cached_key(|path| {
            let identity = names::identity_of(path);
            (identity.stage, identity.replica, identity.role, identity.rank, path.clone())
        });
        traces.into_iter().for_each(|path| inputs.add(path, &mut seen));
    }
    leave_out_captures(&mut inputs);
    Ok(inputs)
}

/// Traces of graph capture are no part of a run; they are read where nothing else is given.
fn leave_out_captures(inputs: &mut Inputs) {
    let (captures, others): (Vec<_>, Vec<_>) =
        inputs.paths.drain(..).partition(|path| kinds::is_graph_capture(path));
    if others.is_empty() {
        inputs.paths = captures;
        return;
    }
    inputs.paths = others;
    let why = |path| (path, Cow::from(kinds::GRAPH_CAPTURE));
    inputs.skipped.extend(captures.into_iter().map(why));
}

fn is_dir(path: &Path) -> Result<bool, ReadError> {
    std::fs::metadata(path)
        .map(|metadata| metadata.is_dir())
        .map_err(|source| ReadError::Io { path: path.to_owned(), source })
}

fn list(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in dir.read_dir()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let path = entry.path();
        let is_dir = kind.is_dir() || (kind.is_symlink() && path.is_dir() && depth == 0);
        if is_dir && depth < MAX_DEPTH {
            list(&path, depth + 1, found)?;
        } else if !is_dir {
            let name = entry.file_name().to_string_lossy().into_owned();
            if names::has_trace_extension(&name) || kinds::is_snapshot_name(&name) {
                found.push(path);
            }
        }
    }
    Ok(())
}

/// Of the files of a directory, those that are traces: the ones named as profilers name them where there are any, else
/// any whose content is a trace. What else profilers write beside them is named with what it is.
fn choose(found: Vec<PathBuf>, skipped: &mut Vec<(PathBuf, Cow<'static, str>)>) -> Vec<PathBuf> {
    let all: BTreeSet<PathBuf> = found.into_iter().collect();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (named, others): (Vec<_>, Vec<_>) =
        all.iter().cloned().partition(|path| names::is_trace_name(&name(path)));
    let (candidates, beside) =
        if named.is_empty() { (others, Vec::new()) } else { (named, others) };
    let other_kind = |head: &[u8]| kinds::other_kind(head).map(kinds::reason);
    let mut traces = Vec::new();
    for path in candidates {
        let plain = path.with_extension("");
        if is_slim_copy(&path, &all) || is_beside_page(&path, &all) {
            skipped.push((path, SLIM_COPY.into()));
            continue;
        }
        let head = first_text(&path);
        if is_merged_copy(&path, &head, &all) {
            skipped.push((path, MERGED_COPY.into()));
            continue;
        }
        if name(&path).ends_with(".gz") && all.contains(&plain) && looks_like_trace(&plain) {
            skipped.push((path, "the uncompressed file beside it is read instead".into()));
        } else if is_trace(&head) {
            traces.push(path);
        } else {
            let why = other_kind(&head).map_or(NOT_A_TRACE.into(), Cow::from);
            skipped.push((path, why));
        }
    }
    let told = beside.into_iter().filter_map(|path| Some((other_kind(&first_text(&path))?, path)));
    skipped.extend(told.map(|(why, path)| (path, why.into())));
    traces
}

/// Whether a file is the slimmed copy of another one of a directory, by its name.
fn is_slim_copy(path: &Path, all: &BTreeSet<PathBuf>) -> bool {
    let text = path.to_string_lossy();
    let Some(stem) = text.strip_suffix(SLIM_ENDING) else { return false };
    let is_original = |other: &&PathBuf| {
        let rest = other.to_string_lossy();
        rest.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.') && rest != SLIM_ENDING)
    };
    all.iter().any(|other| is_original(&other))
}

/// Whether a file is a slimmed trace in the folder of a page that was made of traces which lie elsewhere.
fn is_beside_page(path: &Path, all: &BTreeSet<PathBuf>) -> bool {
    path.to_string_lossy().ends_with(SLIM_ENDING)
        && path.with_file_name("index.html").is_file()
        && all.iter().any(|other| other.parent() != path.parent())
}

/// Whether a file was merged from another one of a directory, by what it says of itself.
fn is_merged_copy(path: &Path, head: &[u8], all: &BTreeSet<PathBuf>) -> bool {
    let head = String::from_utf8_lossy(head);
    let Some(parts) = head.find(PARTS_KEY).map(|at| &head[at..]) else { return false };
    let is_part = |other: &PathBuf| {
        let name = other.file_name().unwrap_or_default().to_string_lossy();
        let quoted = serde_json::Value::from(name.as_ref()).to_string();
        parts.contains(&quoted) || parts.contains(&format!("/{}", &quoted[1..]))
    };
    all.iter().any(|other| other != path && is_part(other))
}

/// Whether a file's content is a trace, by its first text.
fn looks_like_trace(path: &Path) -> bool {
    is_trace(&first_text(path))
}

/// The first text of a file; none of what cannot be read.
fn first_text(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    let stream = ByteStream::open(path, Arc::new(Progress::default()));
    let read = stream.map(|mut stream| stream.append(&mut text, SNIFF_BYTES));
    if !matches!(read, Ok(Ok(_))) {
        text.clear();
    }
    text
}

/// Whether a file's first text is that of a trace.
pub(super) fn is_trace(text: &[u8]) -> bool {
    if is_perfetto(text) {
        return true;
    }
    let has = |needle: &str| memchr::memmem::find(text, needle.as_bytes()).is_some();
    match text.trim_ascii_start().first() {
        Some(b'{') => has("\"traceEvents\"") || has("\"schemaVersion\""),
        Some(b'[') => has("\"ph\""),
        _ => false,
    }
}
