//! Bounds that are enforced where they are met: memory, long texts, threads that cannot start, inputs that never end.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod program;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use program::{omni_trace, root};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A trace whose every event has a name of its own.
fn names(path: &Path, n: usize) {
    let mut text = String::from("{\"traceEvents\": [\n");
    for i in 0..n {
        let end = if i + 1 < n { ",\n" } else { "\n]}" };
        let _ = write!(
            text,
            r#"{{"ph":"X","cat":"cpu_op","name":"an operator with a name of its own {i}","pid":1,"tid":1,"ts":{i},"dur":1}}{end}"#
        );
    }
    fs::write(path, text).unwrap();
}

#[test]
fn memory_beyond_the_limit_is_an_error_that_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, out) = (folder.path().join("names.json"), folder.path().join("out.json"));
    names(&trace, 300_000);
    let (trace, out) = (trace.to_str().unwrap(), out.to_str().unwrap());
    for args in [&["analyze", trace][..], &["slim", trace, "-o", out]] {
        let output = omni_trace(&[args, &["--max-memory", "40M"]].concat());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("more than 40 MiB of memory"), "{said}");
        assert!(said.contains("--max-memory"), "{said}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{args:?}");
    }
    let output = omni_trace(&["analyze", "fixtures/pipeline", "--max-memory", "2G"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = omni_trace(&["analyze", "fixtures/pipeline", "--max-memory", "lots"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("512M"), "{}", said(&output));
}

#[test]
fn the_end_of_a_text_beyond_the_limit_is_counted_and_rewriting_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, out) = (folder.path().join("long.json"), folder.path().join("out.json"));
    // Characters of three bytes, of which none ends at the limit.
    let name = "\u{20ac}".repeat(500_000);
    let event =
        format!(r#"{{"ph":"X","cat":"cpu_op","name":"{name}","pid":1,"tid":1,"ts":1,"dur":5}}"#);
    fs::write(&trace, format!(r#"{{"traceEvents": [{event}]}}"#)).unwrap();
    let (trace, out) = (trace.to_str().unwrap(), out.to_str().unwrap());
    let output = omni_trace(&["analyze", trace, "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let issue = json["issues"].as_array().unwrap().iter().find(|i| i["kind"] == "oversized_text");
    assert_eq!(issue.map(|issue| &issue["count"]), Some(&1.into()));
    let row = json["key_averages"].as_array().unwrap()[0]["name"].as_str().unwrap();
    assert_eq!(row.len(), (1 << 20) / 3 * 3);
    assert_eq!(omni_trace(&["analyze", trace, "--strict"]).status.code(), Some(2));
    let output = omni_trace(&["slim", trace, "-o", out, "--quiet"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(fs::read_to_string(out).unwrap().contains(&name));
}

/// A run whose address space has a limit, in KiB.
#[cfg(target_os = "linux")]
fn within(kib: u64, args: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_omni-trace");
    Command::new("sh")
        .args(["-c", &format!("ulimit -v {kib} && exec {program} {args}")])
        .current_dir(root())
        .output()
        .unwrap()
}

/// A thread that cannot start is an error that says so, or one thread less: never a panic.
#[test]
#[cfg(target_os = "linux")]
fn threads_that_cannot_start_are_no_panic() {
    let mut codes = Vec::new();
    for mib in [60, 80, 120, 200, 400, 4000] {
        let output = within(mib << 10, "analyze fixtures/pipeline --threads 64");
        let said = said(&output);
        let code = output.status.code();
        assert!(code != Some(101) && !said.contains("panicked"), "{mib} MiB: {said}");
        codes.push(code);
    }
    assert_eq!(codes.last(), Some(&Some(0)), "{codes:?}");
}

/// Named pipes can be read once only: what reads twice puts them aside.
#[test]
#[cfg(unix)]
fn pipes_are_inputs_of_commands_that_read_twice() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_omni-trace");
    let trace = "fixtures/nccl_two_ranks/nccl_bench_rank0.pt.trace.json.gz";
    for command in ["slim", "merge"] {
        let (plain, piped) = (folder.path().join("plain.json"), folder.path().join("piped.json"));
        let script = format!(
            "set -e; mkfifo {fifo}; cat {trace} > {fifo} & {program} {command} {trace} -o {plain} --quiet; \
             {program} {command} {fifo} -o {piped} --quiet; rm {fifo}",
            fifo = folder.path().join("pipe").display(),
            plain = plain.display(),
            piped = piped.display(),
        );
        let output = Command::new("sh").args(["-c", &script]).current_dir(root()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {}", said(&output));
        let n_events = |path: &Path| {
            let json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            json["traceEvents"].as_array().unwrap().len()
        };
        assert_eq!(n_events(&plain), n_events(&piped), "{command}");
        assert!(n_events(&piped) > 10, "{command}");
    }
}

/// What the shell puts in place of `<(…)` can be read once only, and several of them stand side by side.
#[test]
#[cfg(target_os = "linux")]
fn process_substitutions_are_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_omni-trace");
    let trace =
        |rank: u32| format!("fixtures/nccl_two_ranks/nccl_bench_rank{rank}.pt.trace.json.gz");
    for (command, ranks) in [("slim", &[0][..]), ("merge", &[0, 1]), ("analyze", &[1])] {
        let inputs =
            ranks.iter().map(|&rank| format!("<(cat {})", trace(rank))).collect::<Vec<_>>();
        let out = folder.path().join(command);
        let line =
            format!("{program} {command} {} -o {}.json --quiet", inputs.join(" "), out.display());
        let output = Command::new("bash").args(["-c", &line]).current_dir(root()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {}", said(&output));
        assert!(fs::metadata(out.with_extension("json")).unwrap().len() > 1000, "{command}");
    }
}

/// A file that becomes shorter while it is read ends where it ends: no signal, no panic, at worst a loss that is said.
#[test]
#[cfg(unix)]
fn files_that_shrink_while_they_are_read_end_early() {
    let folder = tempfile::tempdir().unwrap();
    let (trace, out) = (folder.path().join("trace.json"), folder.path().join("out.json"));
    names(&trace, 100_000);
    let whole = fs::read(&trace).unwrap();
    let mut n_lossy = 0;
    for (nth, command) in
        ["analyze", "slim", "merge", "check", "bandwidth"].iter().cycle().take(15).enumerate()
    {
        fs::write(&trace, &whole).unwrap();
        let mut args = vec![*command, trace.to_str().unwrap()];
        if matches!(*command, "slim" | "merge") {
            let _ = fs::remove_file(&out);
            args.extend(["-o", out.to_str().unwrap()]);
        }
        let mut run = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
        let run = run.args(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(7 * nth as u64));
        fs::File::options()
            .write(true)
            .open(&trace)
            .unwrap()
            .set_len(whole.len() as u64 / 3)
            .unwrap();
        let output = run.wait_with_output().unwrap();
        let said = said(&output);
        assert!(matches!(output.status.code(), Some(0..=2)), "{args:?}: {} {said}", output.status);
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        n_lossy += usize::from(!said.is_empty());
    }
    println!("{n_lossy} of 15 runs said something");
}

/// Little that inflates to much costs what is kept of it: next to nothing of spaces, and of a member up to its limit.
#[test]
fn what_inflates_to_much_is_read_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.json.gz");
    let event = r#"{"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":1,"dur":5}"#;
    let cases = [
        ("spaces in the head", "{", " ", "\"traceEvents\":["),
        ("spaces among the events", "{\"traceEvents\":[", " ", ""),
        ("a member", "{\"x\":\"", "y", "\",\"traceEvents\":["),
        ("brackets before", "", "[", "{\"traceEvents\":["),
        ("a name", "{\"traceEvents\":[{\"ph\":\"X\",\"ts\":0,\"dur\":1,\"name\":\"", "n", "\"},"),
    ];
    for (what, head, filler, tail) in cases {
        let file = fs::File::create(&path).unwrap();
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packed.write_all(head.as_bytes()).unwrap();
        let piece = filler.repeat(1 << 20);
        for _ in 0..300 {
            packed.write_all(piece.as_bytes()).unwrap();
        }
        packed.write_all(format!("{tail}{event}]}}").as_bytes()).unwrap();
        packed.finish().unwrap();
        for command in ["analyze", "check"] {
            let args = [command, path.to_str().unwrap(), "--max-memory", "350M"];
            let output = omni_trace(&args);
            assert_eq!(output.status.code(), Some(0), "{what}, {command}: {}", said(&output));
        }
    }
}

/// An input without an end and without a line is given up, in bounded memory.
#[test]
#[cfg(target_os = "linux")]
fn inputs_without_an_end_are_given_up() {
    for command in ["stages", "analyze", "check"] {
        // Seconds of the processor: on a machine with other work it takes longer by the clock.
        let program = env!("CARGO_BIN_EXE_omni-trace");
        let script = format!("ulimit -t 60 && exec {program} {command} /dev/zero");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{command}: {}", output.status);
    }
}
