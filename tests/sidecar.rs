//! What is kept of a trace: the same store and the same answers as without it, whatever became of the trace, of the sidecar
//! or of who else reads.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::{Random, real_traces};
use omni_trace::read::{Input, Progress, ReadOptions, Sidecars, read_each};
use omni_trace::store::{Section, Sections, Store};
use omni_trace::{Question, Traces};
use tempfile::TempDir;

fn read(path: &Path, sidecars: Option<&Sidecars>) -> Vec<Input> {
    let progress = Arc::new(Progress::default());
    let read = read_each(&[path.to_owned()], &ReadOptions::default(), &progress, sidecars);
    read.into_iter().next().unwrap().unwrap()
}

/// What of inputs must be the same.
fn assert_same(a: &[Input], b: &[Input], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (a, b) in a.iter().zip(b) {
        assert!(a.store == b.store, "{what}: the stores differ");
        assert_eq!(a.diag, b.diag, "{what}");
        let rest = |i: &Input| (i.identity.clone(), i.bytes, i.json_bytes, i.merged_from.clone());
        assert_eq!(rest(a), rest(b), "{what}");
    }
}

fn fixture() -> PathBuf {
    let folder = Path::new("fixtures/vllm_tp2_step");
    let mut files: Vec<PathBuf> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .find(|file| file.to_string_lossy().ends_with(".json.gz"))
        .expect("the fixture has a trace")
}

/// A copy of the fixture that was not changed just now, so that it is kept.
fn copy(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("trace.json.gz");
    fs::copy(fixture(), &path).unwrap();
    rest();
    path
}

/// Waits until a file's time of change is past.
fn rest() {
    std::thread::sleep(Duration::from_millis(120));
}

/// The one sidecar of a folder.
fn only(folder: &Path) -> PathBuf {
    let files: Vec<PathBuf> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
    command.args(words).env("OMNI_TRACE_TIMINGS", "1").env_remove("OMNI_TRACE_CACHE");
    command
}

fn run(words: &[&str]) -> Output {
    let output = program(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Whether a run parsed a trace, by its timings.
fn has_parsed(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("busy ms"), "{said}");
    said.contains("read: sort the store")
}

#[test]
fn every_real_trace_comes_back_as_it_was_read() {
    let dir = TempDir::new().unwrap();
    let mut paths = real_traces();
    let cases = Path::new("fixtures").read_dir().unwrap();
    paths.extend(cases.flat_map(|case| {
        let folder = case.unwrap().path();
        let files = folder.is_dir().then(|| folder.read_dir().unwrap());
        files.into_iter().flatten().map(|file| file.unwrap().path()).collect::<Vec<_>>()
    }));
    let mut n_kept = 0;
    for (i, path) in paths.iter().enumerate() {
        let progress = Arc::new(Progress::default());
        let options = ReadOptions::default();
        let each = |sidecars: Option<&Sidecars>| {
            read_each(std::slice::from_ref(path), &options, &progress, sidecars).remove(0)
        };
        let sidecars = Sidecars::at(dir.path().join(i.to_string()));
        let Ok(first) = each(Some(&sidecars)) else { continue };
        let kept = sidecars.list();
        n_kept += kept.len();
        let second = each(Some(&sidecars)).unwrap();
        assert_same(&first, &second, &path.display().to_string());
        sidecars.clean().unwrap();
    }
    assert!(n_kept > 40, "{n_kept} of {} were kept", paths.len());
}

#[test]
fn a_second_command_parses_nothing_and_says_the_same() {
    let dir = TempDir::new().unwrap();
    let (trace, folder) = (copy(&dir), dir.path().join("kept"));
    let (trace, cache) = (trace.to_str().unwrap(), folder.to_str().unwrap());
    let plain = run(&["analyze", trace, "--cache", "off"]);
    assert!(has_parsed(&plain) && !folder.exists());
    for (nth, words) in [
        vec!["analyze", trace],
        vec!["analyze", trace],
        vec!["analyze", trace, "--window", "..1ms"],
        vec!["analyze", trace, "--exclude", "ipc_wait", "--format", "json"],
        vec!["analyze", trace, "--threads", "1"],
        vec!["bandwidth", trace],
        vec!["critical-path", trace],
    ]
    .into_iter()
    .enumerate()
    {
        let kept = run(&[words.as_slice(), &["--cache", cache]].concat());
        let off = run(&[words.as_slice(), &["--cache", "off"]].concat());
        assert_eq!(has_parsed(&kept), nth == 0, "{words:?}");
        assert_eq!(String::from_utf8_lossy(&kept.stdout), String::from_utf8_lossy(&off.stdout));
    }
    let listed = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(["cache", "--cache", cache])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with("1 traces, ") && listed.contains("trace.json.gz"), "{listed}");
    run(&["cache", "clean", "--cache", cache]);
    assert_eq!(folder.read_dir().unwrap().count(), 0);
    assert!(has_parsed(&run(&["analyze", trace, "--cache", cache])));
}

#[test]
fn the_variable_says_where_and_small_traces_are_not_kept_unasked() {
    let dir = TempDir::new().unwrap();
    let (trace, home) = (copy(&dir), dir.path().join("home"));
    let trace = trace.to_str().unwrap();
    let with = |name: &str, value: &Path| {
        let output = program(&["analyze", trace]).env(name, value).output().unwrap();
        assert!(output.status.success());
        has_parsed(&output)
    };
    assert!(with("XDG_CACHE_HOME", &home) && with("XDG_CACHE_HOME", &home));
    assert!(!home.exists(), "reading it takes some milliseconds");
    let named = dir.path().join("named");
    assert!(with("OMNI_TRACE_CACHE", &named) && !with("OMNI_TRACE_CACHE", &named));
}

#[test]
fn a_changed_trace_is_read_anew() {
    let dir = TempDir::new().unwrap();
    let (trace, sidecars) = (copy(&dir), Sidecars::at(dir.path().join("kept")));
    let whole = fs::read(&trace).unwrap();
    let original = read(&trace, Some(&sidecars));
    let text = {
        let mut text = Vec::new();
        let packed = fs::File::open(&trace).unwrap();
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(packed), &mut text)
            .unwrap();
        text
    };
    let changes: [(&str, Vec<u8>); 4] = [
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("another format", text.clone()),
        ("the same length, another name", {
            let mut changed = text.clone();
            let at = find(&changed, b"aten::").expect("it has operators");
            changed[at..at + 6].copy_from_slice(b"eten::");
            changed
        }),
        ("as it was at first", whole.clone()),
    ];
    for (what, bytes) in changes {
        let modified = fs::metadata(&trace).unwrap().modified().unwrap();
        fs::write(&trace, &bytes).unwrap();
        // The time of modification is put back, as rsync and tar do.
        fs::File::options().write(true).open(&trace).unwrap().set_modified(modified).unwrap();
        rest();
        let expected = read(&trace, None);
        for _ in 0..2 {
            assert_same(&read(&trace, Some(&sidecars)), &expected, what);
        }
        assert_eq!(sidecars.list().len(), 1, "{what}: one trace, one sidecar");
    }
    assert_same(&read(&trace, Some(&sidecars)), &original, "as it was");
}

/// What is of another state of its trace was not used, and is the first to go; what was used is the last.
#[test]
fn only_what_was_used_counts_as_used() {
    let dir = TempDir::new().unwrap();
    let (trace, sidecars) = (copy(&dir), Sidecars::at(dir.path().join("kept")));
    read(&trace, Some(&sidecars));
    let kept = only(sidecars.folder());
    let long_ago = SystemTime::now() - Duration::from_secs(5000);
    let set_back =
        || fs::File::options().write(true).open(&kept).unwrap().set_modified(long_ago).unwrap();
    let age = || fs::metadata(&kept).unwrap().modified().unwrap().elapsed().unwrap();
    set_back();
    read(&trace, Some(&sidecars));
    assert!(age() < Duration::from_secs(4000), "{:?}", age());
    set_back();
    // A damaged stream is not kept: what was kept before stays as it is.
    let whole = fs::read(&trace).unwrap();
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle..middle + 100].fill(0x55);
    fs::write(&trace, damaged).unwrap();
    rest();
    read(&trace, Some(&sidecars));
    assert_eq!(only(sidecars.folder()), kept);
    assert!(age() > Duration::from_secs(4000), "{:?}", age());
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[test]
fn a_trace_that_was_changed_just_now_is_not_kept() {
    let dir = TempDir::new().unwrap();
    let sidecars = Sidecars::at(dir.path().join("kept"));
    let trace = dir.path().join("trace.json.gz");
    // A change within the same tick of the clock would not show. Reading begins right behind the writing.
    fs::copy(fixture(), &trace).unwrap();
    let changed = fs::metadata(&trace).unwrap();
    let read = read(&trace, Some(&sidecars));
    let age = SystemTime::now().duration_since(changed.modified().unwrap()).unwrap();
    assert!(!read.is_empty());
    if sidecars.list().len() == 1 {
        assert!(age > Duration::from_millis(40), "kept after {age:?}");
    }
}

#[test]
fn a_damaged_sidecar_is_as_good_as_none() {
    let dir = TempDir::new().unwrap();
    let (trace, sidecars) = (copy(&dir), Sidecars::at(dir.path().join("kept")));
    let expected = read(&trace, Some(&sidecars));
    let file = only(sidecars.folder());
    let whole = fs::read(&file).unwrap();
    let mut damaged: Vec<(String, Vec<u8>)> = (0..24)
        .map(|i| {
            let length = whole.len() * i / 24;
            (format!("cut to {length}"), whole[..length].to_vec())
        })
        .collect();
    for i in 0..60 {
        let at = (whole.len() - 1) * i / 59;
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (i % 8);
        damaged.push((format!("bit {} of byte {at}", i % 8), bytes));
    }
    damaged.push(("longer".to_owned(), [&whole[..], b"more"].concat()));
    damaged.push(("empty".to_owned(), Vec::new()));
    damaged.push(("zeros".to_owned(), vec![0; whole.len()]));
    for (what, bytes) in damaged {
        fs::write(&file, bytes).unwrap();
        assert_same(&read(&trace, Some(&sidecars)), &expected, &what);
        // What was damaged is replaced by what is right.
        assert!(fs::read(&file).unwrap() == whole, "{what}");
    }
}

/// Sections in memory.
struct InMemory(Vec<Vec<u8>>);

impl Sections for InMemory {
    fn n_bytes(&self, section: Section) -> usize {
        self.0[section as usize].len()
    }

    fn read(&self, section: Section, into: &mut [u8]) -> bool {
        into.copy_from_slice(&self.0[section as usize]);
        true
    }
}

/// Sections that pass every checksum and were never a store: none, or one of which every question is answered.
#[test]
fn no_bytes_make_a_store_that_panics() {
    let input =
        read(Path::new("fixtures/h100_rust_light/cap_light.pt.trace.json.gz"), None).remove(0);
    let sections: Vec<Vec<u8>> =
        Section::ALL.iter().map(|&one| input.store.section(one).as_slice().to_vec()).collect();
    let whole = Store::of_sections(&InMemory(sections.clone())).expect("nothing is damaged");
    assert!(whole == input.store);
    let (mut random, mut n_refused) = (Random::new(7), 0);
    let n = std::env::var("SIDECAR_CASES").map_or(300, |n| n.parse().unwrap());
    for _ in 0..n {
        let mut changed = sections.clone();
        let at = random.below(changed.len());
        let section = &mut changed[at];
        match random.below(3) {
            0 => section.truncate(random.below(section.len())),
            1 => section.extend([0; 4]),
            _ if section.is_empty() => section.push(1),
            _ => {
                let byte = random.below(section.len());
                section[byte] ^= 1 << random.below(8);
            }
        }
        match Store::of_sections(&InMemory(changed)) {
            None => n_refused += 1,
            Some(store) => {
                let input = Input {
                    store,
                    diag: input.diag.clone(),
                    path: input.path.clone(),
                    identity: input.identity.clone(),
                    merged_from: None,
                    snapshot: None,
                    ..input
                };
                let report = Traces::of(vec![input]).analyze(&Question::default());
                assert_eq!(report.inputs.len(), 1);
            }
        }
    }
    assert!(n_refused > n / 20, "{n_refused} of {n} were refused");
}

#[test]
fn two_at_once_do_not_meet() {
    let dir = TempDir::new().unwrap();
    let (trace, folder) = (copy(&dir), dir.path().join("kept"));
    let (trace, cache) = (trace.to_str().unwrap(), folder.to_str().unwrap());
    let words = ["analyze", trace, "--cache", cache];
    let children: Vec<_> = (0..4)
        .map(|_| program(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
        .collect();
    let outputs: Vec<Output> =
        children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    for output in &outputs {
        assert!(output.status.success());
        assert_eq!(output.stdout, outputs[0].stdout);
    }
    only(&folder);
    assert!(!has_parsed(&run(&words)));
}

#[test]
fn an_interrupted_write_is_never_used_and_goes_with_time() {
    let dir = TempDir::new().unwrap();
    let (trace, folder) = (copy(&dir), dir.path().join("kept"));
    let words = ["analyze", trace.to_str().unwrap(), "--cache", folder.to_str().unwrap()];
    let expected = run(&["analyze", trace.to_str().unwrap(), "--cache", "off"]).stdout;
    for delay in [0, 5, 10, 20, 40, 80] {
        let mut child =
            program(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(run(&words).stdout, expected, "killed after {delay} ms");
        run(&["cache", "clean", "--cache", folder.to_str().unwrap()]);
        assert_eq!(folder.read_dir().unwrap().count(), 0, "unfinished ones are cleaned, too");
    }
    // One that was left behind long ago goes when another is written.
    let left = folder.join("0.1-0.omni-store-part");
    fs::write(&left, b"half").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().write(true).open(&left).unwrap().set_modified(long_ago).unwrap();
    run(&words);
    assert!(!left.exists());
    only(&folder);
}

#[test]
fn a_folder_that_cannot_be_had_is_said_and_no_error() {
    let dir = TempDir::new().unwrap();
    let trace = copy(&dir);
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    for folder in [file.clone(), file.join("below")] {
        let words = ["analyze", trace.to_str().unwrap(), "--cache", folder.to_str().unwrap()];
        let output = run(&words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("note: nothing is kept in "), "{said}");
        assert!(!run(&[&words[..], &["--quiet"]].concat()).stdout.is_empty());
    }
}

#[test]
fn a_folder_that_may_only_be_read_is_used() {
    let dir = TempDir::new().unwrap();
    let (trace, sidecars) = (copy(&dir), Sidecars::at(dir.path().join("kept")));
    let expected = read(&trace, Some(&sidecars));
    let mut permissions = fs::metadata(sidecars.folder()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(sidecars.folder(), permissions.clone()).unwrap();
    sidecars.prepare().unwrap();
    assert_same(&read(&trace, Some(&sidecars)), &expected, "read only");
    // Another trace cannot be kept there, unless the test is run by somebody who may write anywhere.
    let other = dir.path().join("other.json.gz");
    fs::copy(&trace, &other).unwrap();
    rest();
    assert_same(&read(&other, Some(&sidecars)), &expected, "not kept");
    #[expect(clippy::permissions_set_readonly_false, reason = "the folder is the test's own")]
    permissions.set_readonly(false);
    fs::set_permissions(sidecars.folder(), permissions).unwrap();
}

#[test]
fn what_is_no_file_is_read_as_before() {
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("kept");
    let words = ["analyze", "-", "--cache", folder.to_str().unwrap()];
    let from = fs::File::open(fixture()).unwrap();
    let mut cat = Command::new("cat").stdin(from).stdout(Stdio::piped()).spawn().unwrap();
    let output = program(&words).stdin(cat.stdout.take().unwrap()).output().unwrap();
    cat.wait().unwrap();
    assert!(output.status.success() && has_parsed(&output));
    assert_eq!(folder.read_dir().unwrap().count(), 0);
}
