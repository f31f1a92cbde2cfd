//! What is said of mistakes: one line of what is wrong, one of what to do, and nothing else.
//!
//! `$PIPE` is a folder of traces, `$ONE` one trace, `$LOGS` a folder of a log, `$LOG` a log, `$DIR` a folder of its own with a
//! table (`table.json`), an empty file (`empty.json`), words (`notes.txt`) and a taken name (`merged.json.gz`), in which the
//! command runs.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is typed, a piece of the line that says what is wrong, and a piece of the one that says what to do.
const MISTAKES: [(&str, &str, &str); 78] = [
    // Commands.
    ("analyse $PIPE", "no command `analyse`", "`omni-trace analyze`"),
    ("stage $LOG", "no command `stage`", "`omni-trace stages`"),
    ("record $PIPE", "no command `record`", "`omni-trace capture`"),
    ("shrink $ONE", "no command `shrink`", "`omni-trace slim`"),
    ("kernels $PIPE", "no command `kernels`", "`omni-trace analyze PATH --table kernels`"),
    ("xyzzy", "no command `xyzzy`", "--help"),
    ("help analyse", "no command `analyse`", "`omni-trace help analyze`"),
    ("help xyzzy", "no command `xyzzy`", "analyze, "),
    // Paths.
    ("no/such/folder", "cannot read no/such/folder", "check the path"),
    ("analyze no/such.json", "cannot read no/such.json", "check the path"),
    ("analyze sub", "no trace found in directory sub", "name the files"),
    ("analyze", "no trace found in this directory", "`omni-trace capture --stages 1`"),
    ("merge", "merged.json.gz is there already", "--force"),
    ("report sub", "no trace found in directory sub", "name the files"),
    ("slim", "no trace found in this directory", "name a file"),
    ("stages", "no log (*.log, *.jsonl) found in this directory", "console log"),
    ("bandwidth", "no trace found in this directory", "name a file"),
    // The wrong kind of file.
    (
        "stages $PIPE",
        "no log (*.log, *.jsonl) found in directory",
        "holds 3 traces; `omni-trace analyze",
    ),
    ("stages $ONE", "is a trace, not a log", "`omni-trace analyze`"),
    ("analyze $LOGS", "no trace found in directory", "holds 1 log; `omni-trace stages"),
    ("analyze $LOG", "is not a trace", "`omni-trace stages` reads logs"),
    ("analyze $PIPE --logs $ONE", "is a trace, not a log", "--logs"),
    ("analyze table.json", "is JSON, but no trace", "traceEvents"),
    ("analyze empty.json", "empty.json is empty", "the profiler may still be writing"),
    ("analyze -", "- is empty", "`-` is standard input"),
    ("diff $ONE", "there is one side only", "--against"),
    ("reduce $PIPE", "no partial result found", "--partial OUT.otp"),
    ("report $PIPE -o notes.txt", "cannot write to the folder notes.txt", "-o"),
    ("analyze notes.txt", "is not a trace: it starts with `some words", "Kineto"),
    ("slim $PIPE -o one.json.gz", "-o is for one trace, and 3 were found", "leave -o out"),
    ("slim $PIPE --format json", "--format is for one trace", "leave --format out"),
    ("merge $ONE $ONE2 -o m.json", "both claim to be", "--stage-of"),
    // Tables.
    ("analyze $PIPE --table kernel", "no table `kernel`", "did you mean `--table kernels`?"),
    (
        "analyze $PIPE --table collectives",
        "`analyze` has no table `collectives`",
        "`omni-trace bandwidth PATH --table collectives`",
    ),
    (
        "analyze $PIPE --table path_steps",
        "`analyze` has no table `path_steps`",
        "`omni-trace critical-path PATH --table path_steps`",
    ),
    (
        "bandwidth $PIPE --table idle",
        "`bandwidth` has no table `idle`",
        "`omni-trace analyze PATH --table idle`",
    ),
    ("analyze $PIPE --table xyzzy", "no table `xyzzy`", "`omni-trace schema`"),
    ("schema kernal", "no table `kernal`", "kernels"),
    (
        "analyze $PIPE --format csv --table kernels,waits",
        "a CSV file holds one table",
        "--format json",
    ),
    // Options.
    ("analyze $PIPE --tables kernels", "`analyze` takes no `--tables`", "did you mean `--table`?"),
    ("analyze $PIPE --json", "`analyze` takes no `--json`", "--format json"),
    ("analyze $PIPE --kernels", "`analyze` takes no `--kernels`", "`--table kernels`"),
    ("analyze $PIPE --limit 5", "`analyze` takes no `--limit`", "--top N"),
    ("analyze $PIPE --xyzzy", "`analyze` takes no `--xyzzy`", "`omni-trace help analyze`"),
    (
        "stages $LOG --exclude-ipc-wait",
        "`stages` takes no `--exclude-ipc-wait`",
        "it is of another command: `omni-trace analyze",
    ),
    ("analyze $PIPE --format", "--format needs a value", "help analyze"),
    ("analyze $PIPE --format cvs", "--format cannot be `cvs`", "csv"),
    ("analyze $PIPE --sort gpu", "--sort cannot be `gpu`", "self-device"),
    ("analyze $PIPE --top -5", "`-5` is no number that `analyze` takes", "--top 0"),
    ("analyze $PIPE --top many", "--top cannot be `many`: it is no whole number", "--top 50"),
    ("analyze $PIPE --threads 0", "--threads cannot be `0`: it is out of range", "from 1"),
    ("analyze $PIPE --stage 1", "`analyze` takes no `--stage`", "the files of that stage"),
    ("analyze $PIPE --rank 0", "`analyze` takes no `--rank`", "the file of that rank"),
    ("reduce", "`reduce` needs PATH", "`omni-trace help reduce`"),
    ("analyze $PIPE --width 10", "--width cannot be `10`: text takes 40", "--width 120"),
    ("analyze $PIPE --png x.jpg", "x.jpg: neither a .png file nor a directory", "ends in .png"),
    ("analyze $PIPE --color rainbow", "--color cannot be `rainbow`", "auto, always, never"),
    ("analyze $PIPE --log-zone abc", "`abc` is no zone", "--log-zone +02:00"),
    (
        "analyze $PIPE --wait-rules notes.txt",
        "notes.txt, line 1: unknown label",
        "--print-wait-rules",
    ),
    ("what-if $PIPE --scale x", "`x` is not KIND:GLOB=FACTOR", "--scale 'kernel:"),
    ("what-if $PIPE --free comm", "is about nothing that was recorded", "no time of that kind"),
    ("what-if $PIPE --drop-op none", "is about nothing that was recorded", "`*` stands for any"),
    ("diff $PIPE $PIPE --gate abc", "`abc` is no limit", "--gate 3%"),
    ("check $PIPE --need kernelz", "--need cannot be `kernelz`", "`--need kernels`"),
    ("cache foo", "ACTION cannot be `foo`", "list, clean"),
    ("completions tcsh", "SHELL cannot be `tcsh`", "did you mean `zsh`?"),
    ("slim $ONE -o $ONE", "is the input", "another name"),
    ("analyze $PIPE --name (", "--name cannot be `(`", "regular expression"),
    ("analyze $PIPE --exclude ipc", "--exclude cannot be `ipc`", "ipc_wait"),
    ("analyze $PIPE --window 10s..20s", "behind the end of every input", "--window .."),
    ("slim $ONE --window 10s..20s -o x.json", "behind the end of every input", "--window .."),
    ("analyze $PIPE --window 5", "--window cannot be `5`", "10ms..25ms"),
    ("analyze $PIPE --window 2s..1s", "it ends before it starts", "10ms..25ms"),
    ("slim $ONE --iterations 99 -o x.json", "no such iteration", "--table iterations"),
    ("merge $PIPE -o merged.txt", "what kind of trace merged.txt is to be", ".json.gz"),
    ("analyze $PIPE -o no/folder/x.txt", "cannot write no/folder/x.txt", "make the folder first"),
    ("capture --server localhost:1", "no workload is named", "-- CMD"),
    ("capture --stages 1", "needs the program omni-trace-capture", "install-libtorch.sh"),
];

/// A folder to run in, with files of several kinds.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    for (name, text) in [
        ("table.json", "{\"rows\": [1, 2]}"),
        ("empty.json", ""),
        ("notes.txt", "some words\n"),
        ("merged.json.gz", "taken"),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn words(line: &str) -> Vec<String> {
    let stage = "fixtures/pipeline/stage_0_llm_1790000300_rank0.pt.trace.json.gz";
    let other = "fixtures/joined/stage_0_llm_1795500000_rank0.pt.trace.json.gz";
    let names = [
        ("$ONE2", other),
        ("$ONE", stage),
        ("$PIPE", "fixtures/pipeline"),
        ("$LOGS", "fixtures/logs_served"),
        ("$LOG", "fixtures/logs_served/server.log"),
    ];
    let word = |word: &str| {
        let found = names.iter().find(|(name, _)| word == *name);
        found.map_or(word.to_owned(), |(_, path)| {
            Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
        })
    };
    line.split(' ').map(word).collect()
}

/// Exit code, standard output and standard error.
fn run(line: &str, at: &Path) -> (Option<i32>, String, String) {
    let mut program = PathBuf::from(env!("CARGO_BIN_EXE_omni-trace"));
    if line.starts_with("capture") {
        // Beside the built program there may be the one that captures.
        let alone = at.join("omni-trace");
        std::fs::copy(&program, &alone).unwrap();
        program = alone;
    }
    let output = Command::new(program)
        .args(words(line))
        .current_dir(at)
        .env("PATH", "")
        .env_remove("OMNI_TRACE_CAPTURE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_mistake_is_told_in_two_lines() {
    let mut wrong = Vec::new();
    for (line, what, hint) in MISTAKES {
        let dir = folder();
        let (code, stdout, stderr) = run(line, dir.path());
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("note: ")).collect();
        let is_right = code == Some(2)
            && stdout.is_empty()
            && matches!(lines.as_slice(), [first, second]
                if first.strip_prefix("error: ").is_some_and(|text| text.contains(what) && !text.ends_with('.'))
                && second.strip_prefix("hint: ").is_some_and(|text| text.contains(hint)));
        if !is_right {
            wrong.push(format!("{line}\n  exit {code:?}\n  out: {stdout}\n  {stderr}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), MISTAKES.len(), wrong.join("\n"));
}

#[test]
fn the_list_has_no_mistake_twice() {
    let mut lines: Vec<&str> = MISTAKES.iter().map(|(line, ..)| *line).collect();
    lines.sort_unstable();
    lines.dedup();
    assert!(lines.len() == MISTAKES.len() && lines.len() >= 40);
}
