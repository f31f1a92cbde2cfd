//! Opening log files: plain, gzip, zstd, or standard input.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::{IssueKind, Reporter};
use crate::model::limits::MAX_LOG_GAP_BYTES;
use crate::model::log::PipelineLog;

use super::super::discover::is_trace;
use super::super::file_id::Seen;
use super::super::source::{ByteStream, StreamEnd};
use super::super::text::count_damages;
use super::super::{Inputs, Progress, ReadError};
use super::LogReader;

/// One log, read.
#[derive(Debug)]
pub struct LogInput {
    /// The path as given; `-` for standard input.
    pub path: PathBuf,
    /// Size of the file in bytes; `None` for standard input.
    pub bytes: Option<u64>,
    /// Bytes of decompressed text.
    pub text_bytes: u64,
    /// Its records and its line census.
    pub log: PipelineLog,
    /// What was odd or lost.
    pub diag: Reporter,
}

/// Bytes that are decompressed at a time. Bounds memory, not results.
const BLOCK: usize = 1 << 18;

/// Reads one log; `-` is standard input.
///
/// # Errors
///
/// Where nothing of it can be read, and a trace, which is no log.
pub fn read_log(path: &Path, progress: &Arc<Progress>) -> Result<LogInput, ReadError> {
    let mut stream = ByteStream::open(path, Arc::clone(progress))?;
    let mut reader = LogReader::default();
    let mut block = Vec::new();
    let (mut text_bytes, mut since_line) = (0, 0);
    loop {
        block.clear();
        let read = stream.append(&mut block, BLOCK);
        let n = read.map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        if n == 0 {
            break;
        }
        if text_bytes == 0 && is_trace(&block) {
            return Err(ReadError::NotALog { path: path.to_owned() });
        }
        text_bytes += n as u64;
        since_line = memchr::memrchr(b'\n', &block).map_or(since_line + n, |at| n - at - 1);
        if since_line > MAX_LOG_GAP_BYTES {
            return Err(ReadError::NoLines { path: path.to_owned() });
        }
        reader.push(&block);
    }
    let (log, mut diag) = reader.finish(&path.display().to_string());
    count_damages(&mut stream, &mut diag);
    count_end(stream.end(), text_bytes, &mut diag);
    let bytes = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|m| m.len());
    Ok(LogInput { path: path.to_owned(), bytes, text_bytes, log, diag })
}

fn count_end(end: &StreamEnd, offset: u64, diag: &mut Reporter) {
    match end {
        StreamEnd::Complete => {}
        StreamEnd::Truncated => diag.at(IssueKind::TruncatedGzip, offset),
        StreamEnd::Corrupt(what) => {
            diag.with_detail(IssueKind::CorruptGzip, Some(offset), what.as_str());
        }
        StreamEnd::TrailingBytes => diag.at(IssueKind::TrailingBytes, offset),
    }
}

/// Names of logs in a directory: console logs, and the pipeline's JSON lines.
const ENDINGS: [&str; 6] = [".log", ".log.gz", ".log.zst", ".jsonl", ".jsonl.gz", ".jsonl.zst"];

/// Whether a file name is one that logs have.
pub fn is_log_name(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The logs that `paths` name: files as given, directories searched for `*.log` and `*.jsonl`, compressed or not. A
/// file given twice is read once, whatever its names.
///
/// # Errors
///
/// A path that does not exist, or a directory without a log.
pub fn discover_logs(paths: &[PathBuf]) -> Result<Inputs, ReadError> {
    let mut found = Inputs::default();
    let mut seen = Seen::default();
    for path in paths {
        if path == Path::new("-") || !is_dir(path)? {
            found.add(path.clone(), &mut seen);
            continue;
        }
        let mut inside = BTreeSet::new();
        search(path, &mut inside)?;
        if inside.is_empty() {
            return Err(ReadError::NothingFound { path: path.clone() });
        }
        inside.into_iter().for_each(|path| found.add(path, &mut seen));
    }
    Ok(found)
}

fn is_dir(path: &Path) -> Result<bool, ReadError> {
    let metadata = std::fs::metadata(path);
    metadata.map(|m| m.is_dir()).map_err(|source| ReadError::Io { path: path.to_owned(), source })
}

fn search(dir: &Path, found: &mut BTreeSet<PathBuf>) -> Result<(), ReadError> {
    let fail = |source| ReadError::Io { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A link to a directory is not followed: it may lead back.
        if entry.file_type().map_err(fail)?.is_dir() {
            search(&entry.path(), found)?;
        } else if is_log_name(&name) {
            found.insert(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::{discover_logs, read_log};
    use crate::diag::IssueKind;

    #[test]
    fn gzip_and_plain_are_one_and_a_cut_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let text = "INFO 11-21 23:39:38 [x.py:1] Loading weights took 1.5 seconds\n".repeat(3000);
        let plain = dir.path().join("a.log");
        std::fs::write(&plain, &text).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        let packed = gz.finish().unwrap();
        let whole = dir.path().join("b.log.gz");
        std::fs::write(&whole, &packed).unwrap();
        let cut = dir.path().join("c.jsonl.gz");
        std::fs::write(&cut, &packed[..packed.len() - 20]).unwrap();

        let found = discover_logs(&[dir.path().to_owned(), plain.clone()]).unwrap();
        assert_eq!(found.paths, [plain.clone(), whole.clone(), cut.clone()]);
        assert_eq!(found.skipped.len(), 1);
        let progress = Arc::default();
        let [a, b, c] = [&plain, &whole, &cut].map(|path| read_log(path, &progress).unwrap());
        assert_eq!(a.log.entries.len(), 3000);
        assert_eq!((&a.log.entries, a.text_bytes), (&b.log.entries, b.text_bytes));
        assert!(c.log.entries.len() > 1000);
        assert_eq!(c.diag.count(IssueKind::TruncatedGzip), 1);
        assert!(discover_logs(&[dir.path().join("none")]).is_err());
    }
}
