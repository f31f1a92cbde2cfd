//! No output replaces an input, two outputs have two names, and several files appear all or none.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod program;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use program::{omni_trace, root};

/// A folder with each kind of input, and other names of each.
struct Folder {
    dir: tempfile::TempDir,
}

const TRACE: &str = "t.json";
const OTHER: &str = "u.json";
const LOG: &str = "l.log";
/// Rules of waits or of kernels, or models of operators: without a line all of them are valid.
const RULES: &str = "r.txt";
/// What a command of the program has made of the trace.
const PARTIAL: &str = "p.otp";
const CLOCKS: &str = "c.json";
const BASELINE: &str = "b.json";
const INPUTS: [&str; 7] = [TRACE, OTHER, LOG, RULES, PARTIAL, CLOCKS, BASELINE];

impl Folder {
    fn new() -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap() };
        for (name, content) in INPUTS.iter().zip(contents()) {
            std::fs::write(folder.path(name), content).unwrap();
            // With the endings that commands ask of an output.
            for end in [".json", ".png", ""] {
                let link = folder.path(&format!("link_{name}{end}"));
                std::os::unix::fs::symlink(folder.path(name), link).unwrap();
                let hard = folder.path(&format!("hard_{name}{end}"));
                std::fs::hard_link(folder.path(name), hard).unwrap();
            }
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Every file with its content.
    fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = self.dir.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.is_file())
            .map(|p| (p.clone(), std::fs::read(p).unwrap()))
            .collect()
    }

    fn run(&self, line: &str) -> Output {
        run_in(self.dir.path(), line)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What the inputs hold, made once.
fn contents() -> &'static [Vec<u8>; INPUTS.len()] {
    static MADE: OnceLock<[Vec<u8>; INPUTS.len()]> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let packed =
            std::fs::File::open(root().join("fixtures/torch_cpu_multithread/trace.json.gz"));
        let mut trace = Vec::new();
        flate2::read::GzDecoder::new(packed.unwrap()).read_to_end(&mut trace).unwrap();
        std::fs::write(dir.path().join(TRACE), &trace).unwrap();
        let made = |line: &str, name: &str| {
            assert_eq!(run_in(dir.path(), line).status.code(), Some(0), "{line}");
            std::fs::read(dir.path().join(name)).unwrap()
        };
        let partial = made("analyze t.json --partial p.otp", PARTIAL);
        let clocks = made("reduce p.otp --clocks c.json", CLOCKS);
        let baseline = made("diff t.json --save-baseline b.json", BASELINE);
        let log = std::fs::read(root().join("fixtures/logs_seed/console.log")).unwrap();
        [trace.clone(), trace, log, Vec::new(), partial, clocks, baseline]
    })
}

fn run_in(folder: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(line.split(' '))
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Commands that name an input as their output; `@` is the output.
const CLASHES: [(&str, &str); 44] = [
    (TRACE, "analyze t.json -o @"),
    (TRACE, "analyze t.json --html @"),
    (TRACE, "analyze t.json --png @.png"),
    (TRACE, "analyze t.json --format json -o @"),
    (TRACE, "analyze t.json --partial @"),
    (LOG, "analyze t.json --logs l.log -o @"),
    (RULES, "analyze t.json --wait-rules r.txt -o @"),
    (RULES, "analyze t.json --comm-rules r.txt -o @"),
    (RULES, "analyze t.json --op-models r.txt -o @"),
    (TRACE, "merge t.json -o @"),
    (TRACE, "merge t.json -o out.json --html @"),
    (TRACE, "merge t.json -o out.json --png @.png"),
    (CLOCKS, "merge t.json --clocks c.json -o @"),
    (RULES, "merge t.json --comm-rules r.txt -o @.json"),
    (TRACE, "slim t.json -o @"),
    (TRACE, "bandwidth t.json -o @"),
    (TRACE, "bandwidth t.json --html @"),
    (TRACE, "bandwidth t.json --png @.png"),
    (LOG, "bandwidth t.json --logs l.log --html @"),
    (RULES, "bandwidth t.json --comm-rules r.txt -o @"),
    (TRACE, "check t.json -o @"),
    (TRACE, "check t.json --repair @"),
    (LOG, "stages l.log -o @"),
    (LOG, "stages l.log --html @"),
    (PARTIAL, "reduce p.otp -o @"),
    (PARTIAL, "reduce p.otp --html @"),
    (PARTIAL, "reduce p.otp --partial @"),
    (PARTIAL, "reduce p.otp --clocks @"),
    (TRACE, "diff t.json u.json -o @"),
    (OTHER, "diff t.json u.json --html @"),
    (OTHER, "diff t.json u.json --save-baseline @"),
    (TRACE, "diff --a t.json --b u.json -o @"),
    (OTHER, "diff --a t.json --b u.json -o @"),
    (RULES, "diff t.json u.json --wait-rules r.txt -o @"),
    (RULES, "diff t.json u.json --comm-rules r.txt -o @"),
    (BASELINE, "diff u.json --against b.json -o @"),
    (TRACE, "critical-path t.json -o @"),
    (RULES, "critical-path t.json --wait-rules r.txt -o @"),
    (RULES, "critical-path t.json --comm-rules r.txt -o @"),
    (LOG, "critical-path t.json --logs l.log -o @"),
    (TRACE, "what-if t.json -o @"),
    (RULES, "what-if t.json --wait-rules r.txt -o @"),
    (RULES, "what-if t.json --comm-rules r.txt -o @"),
    (LOG, "what-if t.json --logs l.log -o @"),
];

/// Every path that a command takes, and whether it is read or written: held against the definitions by a test of the room `cli`.
const PATHS: &str = include_str!("outputs/paths.txt");

/// What other tests hold: a page's folder below, SQL and data sets in the frame's package.
const ELSEWHERE: [&str; 2] = ["report", "export"];

#[test]
fn every_path_that_is_read_is_among_the_clashes() {
    for line in PATHS.lines().filter(|line| line.ends_with(" reads")) {
        let [command, option, _] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let is_held = CLASHES.iter().any(|(_, clash)| {
            let words: Vec<_> = clash.split(' ').collect();
            words[0] == command && (words.contains(&option) || !option.starts_with("--"))
        });
        assert!(is_held || ELSEWHERE.contains(&command), "no clash for {line}");
    }
}

#[test]
fn no_output_replaces_an_input_by_any_of_its_names() {
    for (input, line) in CLASHES {
        for spelling in ["", "./", "link_", "hard_", "../"] {
            let folder = Folder::new();
            let is_plain = ["", "./", "../"].contains(&spelling);
            if is_plain && line.contains("@.") {
                // The input itself has another ending.
                continue;
            }
            let name = match spelling {
                "../" => {
                    let own = folder.dir.path().file_name().unwrap().to_string_lossy().into_owned();
                    format!("../{own}/{input}")
                }
                _ => format!("{spelling}{input}"),
            };
            let line = &line.replace('@', &name);
            let before = folder.content();
            let output = folder.run(line);
            assert_eq!(output.status.code(), Some(2), "{line}: {}", said(&output));
            assert!(said(&output).contains("is the input"), "{line}: {}", said(&output));
            assert!(said(&output).contains("hint: "), "{line}: {}", said(&output));
            assert_eq!(folder.content(), before, "{line}");
        }
    }
}

#[test]
fn the_rules_themselves_and_standard_streams_are_no_exception() {
    let folder = Folder::new();
    let before = folder.content();
    let output = folder.run("analyze --print-wait-rules --wait-rules r.txt -o r.txt");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for (redirect, words) in [("< t.json", "analyze - -o t.json"), (">> t.json", "analyze t.json")]
    {
        let line = format!("exec {} {words} {redirect}", env!("CARGO_BIN_EXE_omni-trace"));
        let shell = ["-c", &line];
        let output =
            Command::new("sh").args(shell).current_dir(folder.dir.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {}", said(&output));
    }
    assert_eq!(folder.content(), before);
    // A file that both a page and the text would go to.
    let line = format!("exec {} analyze t.json --html x > x", env!("CARGO_BIN_EXE_omni-trace"));
    let shell = ["-c", &line];
    let output = Command::new("sh").args(shell).current_dir(folder.dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn two_outputs_have_two_names() {
    for line in [
        "analyze t.json -o out.html --html ./out.html",
        "analyze t.json --html out.png --png out.png",
        "merge t.json -o out.json --html out.json",
        "stages l.log -o out --html out",
    ] {
        let folder = Folder::new();
        let before = folder.content();
        let output = folder.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {}", said(&output));
        assert_eq!(folder.content(), before, "{line}");
    }
}

#[test]
fn a_report_neither_replaces_its_input_nor_follows_a_link_out_of_its_folder() {
    // A trace that is called as the page would be.
    let folder = Folder::new();
    std::fs::rename(folder.path(TRACE), folder.path("index.html")).unwrap();
    let before = folder.content();
    let output = folder.run("report index.html -o .");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert_eq!(folder.content(), before);
    // And one that is called as a figure would be, which shows only when it is drawn.
    std::fs::rename(folder.path("index.html"), folder.path("breakdown.png")).unwrap();
    let before = folder.content();
    for line in ["report breakdown.png -o .", "analyze breakdown.png --png ."] {
        let output = folder.run(line);
        assert_eq!(output.status.code(), Some(2), "{line}: {}", said(&output));
        assert!(said(&output).contains("it is the input"), "{}", said(&output));
        assert_eq!(folder.content(), before, "{line}");
    }
    // A link inside the folder is replaced; what it led to stays.
    let outside = folder.path("precious.txt");
    std::fs::write(&outside, "precious").unwrap();
    std::fs::create_dir(folder.path("page")).unwrap();
    let link = folder.path("page/index.html");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    let output = folder.run("report breakdown.png -o page");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(std::fs::read(&outside).unwrap(), b"precious");
    assert!(!link.is_symlink() && link.is_file());
}

#[test]
fn a_file_given_twice_is_read_once_and_said() {
    let folder = Folder::new();
    std::os::unix::fs::symlink(".", folder.path("loop")).unwrap();
    std::fs::create_dir(folder.path("sub")).unwrap();
    std::fs::hard_link(folder.path(TRACE), folder.path("sub/t.json")).unwrap();
    for line in [
        "analyze t.json ./t.json --format json",
        "analyze t.json link_t.json hard_t.json loop/t.json --format json",
        "bandwidth t.json t.json --format json",
        "analyze sub sub/t.json --format json",
    ] {
        let output = folder.run(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", said(&output));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["inputs"].as_array().unwrap().len(), 1, "{line}");
        assert!(said(&output).contains("read once"), "{line}: {}", said(&output));
    }
    let output = folder.run("stages l.log link_l.log --format json");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["logs"].as_array().unwrap().len(), 1, "{}", said(&output));
    assert!(said(&output).contains("read once"), "{}", said(&output));
}

/// Files of a report with their content.
fn report_files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let Ok(entries) = folder.read_dir() else { return BTreeMap::new() };
    let files = entries.map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), std::fs::read(path).unwrap_or_default())).collect()
}

#[test]
fn an_interrupted_report_leaves_all_old_or_all_new_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("page");
    let path = folder.to_str().unwrap().to_owned();
    let report =
        |input: &str| vec!["report".to_owned(), input.to_owned(), "-o".into(), path.clone()];
    let run = |words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert!(omni_trace(&words).status.success());
        report_files(&folder)
    };
    let (old_words, new_words) = (report("fixtures/p2p_copies"), report("fixtures/pipeline"));
    let new = run(&new_words);
    std::fs::remove_dir_all(&folder).unwrap();
    let old = run(&old_words);
    let start = Instant::now();
    run(&new_words);
    let whole = start.elapsed();
    for (n, signal) in ["-INT", "-TERM", "-HUP", "-QUIT"].iter().cycle().take(16).enumerate() {
        std::fs::remove_dir_all(&folder).unwrap();
        run(&old_words);
        let mut child = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
            .args(&new_words)
            .current_dir(root())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Most of them late, when files are being written.
        std::thread::sleep(whole.mul_f64(0.6 + 0.45 * n as f64 / 16.0));
        let _ = Command::new("kill")
            .args([*signal, &child.id().to_string()])
            .stderr(Stdio::null())
            .status();
        child.wait().unwrap();
        let left = report_files(&folder);
        let is_new = new.iter().all(|(path, bytes)| left.get(path) == Some(bytes));
        let is_temporary = left.keys().any(|path| path.to_string_lossy().ends_with(".tmp"));
        assert!((left == old || is_new) && !is_temporary, "{signal}: {:?}", left.keys());
    }
}

/// Interrupts a merge once it writes; the code with which it ended, none where it was done before the signal reached it.
fn interrupted(folder: &Path, signal: &str) -> Option<i32> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(["merge", "rank0.json", "-o", "out.pftrace", "-q"])
        .current_dir(folder)
        .spawn()
        .unwrap();
    let others = || folder.read_dir().unwrap().count() - 1;
    while others() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    if status.success() {
        std::fs::remove_file(folder.join("out.pftrace")).unwrap();
    }
    assert_eq!(others(), 0, "{signal}: {status}");
    if status.success() { None } else { Some(status.code().unwrap_or(-1)) }
}

#[test]
fn an_interrupted_run_ends_with_the_number_of_its_signal_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("rank0.json");
    let event = r#"{"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":1.5,"dur":2}"#;
    std::fs::write(&input, format!("{{\"traceEvents\":[{}]}}", vec![event; 300_000].join(",\n")))
        .unwrap();
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129), ("-QUIT", 131)] {
        // Where this test got no processor in time the run was done: again.
        let ended = (0..20).find_map(|_| interrupted(dir.path(), signal));
        assert_eq!(ended, Some(code), "{signal}");
    }
}

#[test]
fn a_limit_of_file_sizes_is_an_error_that_leaves_nothing() {
    let folder = Folder::new();
    let before = folder.content();
    let line =
        format!("ulimit -f 8; exec {} merge t.json -o out.json", env!("CARGO_BIN_EXE_omni-trace"));
    let output =
        Command::new("sh").args(["-c", &line]).current_dir(folder.dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("cannot write out.json"), "{}", said(&output));
    assert_eq!(folder.content(), before);
}

#[test]
fn what_a_killed_run_left_goes_with_the_next() {
    let folder = Folder::new();
    let left = folder.path(".out.json.4000000.tmp");
    std::fs::write(&left, "half").unwrap();
    let file = std::fs::File::options().write(true).open(&left).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    drop(file);
    let output = folder.run("merge t.json -o out.json -q");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!left.exists());
}
