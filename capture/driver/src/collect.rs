//! Finds the traces that a server or a program has written, and waits until each is complete.
//!
//! Knows every naming scheme of vLLM and vLLM-Omni, growing `.json` files, and `.gz` files that a background process is
//! still compressing. Reads only; deletes and renames nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Folders looked into below the trace directory; vLLM-Omni makes one.
const MAX_DEPTH: u32 = 3;
/// Between two looks.
pub const POLL: Duration = Duration::from_millis(200);
/// Nothing may have changed for this long before the traces count as all there.
const QUIET: Duration = Duration::from_secs(1);

/// Size and time of change of a file.
type Stamp = (u64, Option<SystemTime>);

/// What was in a directory at some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    files: BTreeMap<PathBuf, Stamp>,
}

/// A trace found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// Whether it is whole; else why not.
    pub state: State,
}

/// Whether a trace is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Readable to its end.
    Complete,
    /// Still being written, or cut short.
    Partial,
    /// Not readable.
    Damaged(String),
}

/// Whether a file name is one of a trace.
pub fn is_trace_name(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".json") else {
        return false;
    };
    let ranked = stem.rsplit_once("_rank").is_some_and(|(_, rank)| {
        !rank.is_empty() && rank.bytes().all(|byte| byte.is_ascii_digit())
    });
    stem.ends_with(".pt.trace") || ranked || stem == "trace_view"
}

/// The traces in a directory now. A directory that does not exist holds none.
pub fn snapshot(dir: &Path) -> io::Result<Snapshot> {
    let mut snapshot = Snapshot::default();
    walk(dir, 0, &mut snapshot)?;
    Ok(snapshot)
}

fn walk(dir: &Path, depth: u32, into: &mut Snapshot) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        // A file may vanish between the two looks: gzip removes its input.
        let Ok(about) = entry.metadata() else { continue };
        if about.is_dir() && depth < MAX_DEPTH {
            walk(&entry.path(), depth + 1, into)?;
        } else if about.is_file() && is_trace_name(&entry.file_name().to_string_lossy()) {
            into.files.insert(entry.path(), (about.len(), about.modified().ok()));
        }
    }
    Ok(())
}

/// Waits until the traces that are new since `before` are complete: at least `expected` of them, and none that grows.
/// Gives what is there when `limit` has passed, or when `give_up` says so.
pub fn wait_for_new(
    dir: &Path,
    before: &Snapshot,
    expected: usize,
    limit: Duration,
    give_up: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(&str),
) -> io::Result<Vec<Found>> {
    let began = Instant::now();
    let (mut last, mut changed) = (Snapshot::default(), Instant::now());
    let mut checked: BTreeMap<PathBuf, (Stamp, State)> = BTreeMap::new();
    let mut said = Duration::ZERO;
    loop {
        let now = snapshot(dir)?;
        let stable = now == last;
        if !stable {
            changed = Instant::now();
        }
        let found = judge(&now, before, stable, &mut checked);
        last = now;
        let whole = found.iter().all(|f| f.state == State::Complete) && found.len() >= expected;
        let quiet = changed.elapsed() >= QUIET;
        let over = began.elapsed() >= limit || give_up();
        if (whole && quiet) || over {
            return Ok(found);
        }
        if began.elapsed() >= said + Duration::from_secs(5) {
            said = began.elapsed();
            let partial = found.iter().filter(|f| f.state != State::Complete).count();
            progress(&format!(
                "waiting for traces, {} s: {} found, {partial} incomplete",
                said.as_secs(),
                found.len()
            ));
        }
        std::thread::sleep(POLL);
    }
}

/// The new traces, each judged once for every stamp it has.
fn judge(
    now: &Snapshot,
    before: &Snapshot,
    stable: bool,
    checked: &mut BTreeMap<PathBuf, (Stamp, State)>,
) -> Vec<Found> {
    let new = now.files.iter().filter(|(path, stamp)| before.files.get(*path) != Some(stamp));
    let mut found: Vec<Found> = Vec::new();
    for (path, stamp) in new {
        let known = checked.get(path).filter(|(seen, _)| seen == stamp).map(|(_, s)| s.clone());
        // While files change, what was not read before is not read: it may be growing.
        let state = match (known, stable) {
            (Some(state), _) => state,
            (None, false) => State::Partial,
            (None, true) => {
                let state = check(path);
                checked.insert(path.clone(), (*stamp, state.clone()));
                state
            }
        };
        found.push(Found { path: path.clone(), bytes: stamp.0, state });
    }
    merge_compressed(found)
}

/// Of a `.json` and its `.json.gz`, one: the complete one, the compressed one first.
fn merge_compressed(found: Vec<Found>) -> Vec<Found> {
    let mut by_trace: BTreeMap<PathBuf, Found> = BTreeMap::new();
    for trace in found {
        let plain = match trace.path.extension() {
            Some(extension) if extension == "gz" => trace.path.with_extension(""),
            _ => trace.path.clone(),
        };
        let better = by_trace.get(&plain).is_none_or(|kept| {
            trace.state == State::Complete
                && (kept.state != State::Complete
                    || trace.path.extension().is_some_and(|e| e == "gz"))
        });
        if better {
            by_trace.insert(plain, trace);
        }
    }
    by_trace.into_values().collect()
}

/// Whether the file is a whole trace: readable to the end, and ending as JSON does.
pub fn check(path: &Path) -> State {
    let result = match path.extension().is_some_and(|extension| extension == "gz") {
        true => last_byte_gz(path),
        false => last_byte(path),
    };
    match result {
        Ok(Some(b'}' | b']')) => State::Complete,
        Ok(_) => State::Partial,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => State::Partial,
        Err(error) => State::Damaged(error.to_string()),
    }
}

fn last_byte_gz(path: &Path) -> io::Result<Option<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    // Reading to the end also verifies length and checksum.
    let mut reader = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 20, file));
    let (mut buffer, mut last) = (vec![0; 1 << 20], None);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(last),
            n => last = buffer[..n].iter().rfind(|b| !b.is_ascii_whitespace()).copied().or(last),
        }
    }
}

fn last_byte(path: &Path) -> io::Result<Option<u8>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(4096)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(tail.iter().rfind(|byte| !byte.is_ascii_whitespace()).copied())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn knows_the_names_of_traces() {
        for name in [
            "123-rank-0.456.pt.trace.json.gz",
            "host_12.async_llm.3.pt.trace.json",
            "stage_0_diffusion_17_rank0.json.gz",
            "trace_rank1.json",
            "trace_view.json",
        ] {
            assert!(is_trace_name(name), "{name}");
        }
        for name in
            ["profiler_out_0.txt", "config.json", "a_rankx.json", "x.json.gz.tmp", "_rank.json"]
        {
            assert!(!is_trace_name(name), "{name}");
        }
    }

    #[test]
    fn partial_damaged_and_whole_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            check(&path)
        };
        let whole = gz("{\"traceEvents\": []}\n");
        assert_eq!(put("a_rank0.json.gz", &whole), State::Complete);
        assert_eq!(put("b_rank0.json.gz", &whole[..whole.len() - 4]), State::Partial);
        assert_eq!(put("c_rank0.json.gz", b""), State::Partial);
        assert!(matches!(put("d_rank0.json.gz", b"not gzip at all"), State::Damaged(_)));
        assert_eq!(put("e_rank0.json", b"{\"traceEvents\": [\n"), State::Partial);
        assert_eq!(put("e_rank0.json", b"{\"traceEvents\": []}\n"), State::Complete);
    }

    #[test]
    fn waits_for_a_growing_file_that_is_then_compressed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("old_rank0.json"), "{}").unwrap();
        let before = snapshot(dir.path()).unwrap();
        let sub = dir.path().join("20261121-233935_stage_0");
        fs::create_dir(&sub).unwrap();
        let writer = std::thread::spawn(move || {
            let json = sub.join("trace_rank0.json");
            fs::write(&json, "{\"traceEvents\": [").unwrap();
            std::thread::sleep(Duration::from_millis(500));
            fs::write(&json, "{\"traceEvents\": []}").unwrap();
            let whole = gz("{\"traceEvents\": []}");
            fs::write(sub.join("trace_rank0.json.gz"), &whole[..10]).unwrap();
            std::thread::sleep(Duration::from_millis(500));
            fs::write(sub.join("trace_rank0.json.gz"), &whole).unwrap();
            fs::remove_file(&json).unwrap();
        });
        let limit = Duration::from_secs(20);
        let found = wait_for_new(dir.path(), &before, 1, limit, &|| false, &mut |_| {}).unwrap();
        writer.join().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].path.ends_with("trace_rank0.json.gz"));
        assert_eq!(found[0].state, State::Complete);
        let nothing = wait_for_new(
            dir.path(),
            &snapshot(dir.path()).unwrap(),
            1,
            Duration::from_millis(300),
            &|| false,
            &mut |_| {},
        );
        assert_eq!(nothing.unwrap(), vec![]);
    }
}
