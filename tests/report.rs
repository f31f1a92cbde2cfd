//! Reports without a browser: order and escaping of the page, its policy, its sums, and that the committed sample is what
//! `report` writes today. `BLESS=1 cargo test --test report` writes the sample anew.

mod common;
mod hostile;
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use program::{omni_trace, root};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The command line of the committed sample, from the repository root.
const SAMPLE: [&str; 4] = ["report", "fixtures/pipeline", "-o", "reports/pipeline"];

fn page_of(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let folder_text = folder.path().to_str().expect("UTF-8");
    let mut args = vec!["report", "--quiet", "-o", folder_text];
    args.extend(arguments);
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(folder.path().join("index.html")).expect("the page");
    page.replace(folder_text, "OUT")
}

/// The texts between two marks.
fn between<'a>(page: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    page.split(from).skip(1).filter_map(|rest| rest.split(to).next()).collect()
}

fn json_of(arguments: &[&str]) -> Value {
    let output = omni_trace(&[arguments, &["--format", "json", "--quiet"]].concat());
    serde_json::from_slice(&output.stdout).expect("the program writes JSON")
}

#[test]
fn sections_stand_in_the_order_of_reading() {
    for input in ["fixtures/pipeline", "fixtures/torch_cpu_multithread", "fixtures/empty_trace"] {
        let page = page_of(&[input]);
        let ids = between(&page, "<section id=\"", "\"");
        let mut sections = [
            "glance",
            "verdict",
            "breakdown",
            "timeline",
            "path",
            "iterations",
            "profiler",
            "kernels",
            "use",
            "waits",
            "bandwidth",
            "collectives",
            "stages",
            "trust",
            "inputs",
        ]
        .iter();
        assert!(ids.iter().all(|id| sections.any(|one| one == id)), "{input}: {ids:?}");
        assert!(ids.contains(&"trust") && ids.ends_with(&["inputs"]), "{input}: {ids:?}");
        for section in page.split("<section id=\"").skip(1) {
            if section.starts_with("verdict") {
                continue;
            }
            let has_something =
                ["<table>", "class=\"fig\"", "<svg"].iter().any(|one| section.contains(one));
            assert!(
                has_something || section.contains("class=\"absent\""),
                "{input}: an empty section does not say why: {}",
                section.chars().take(300).collect::<String>()
            );
        }
    }
}

#[test]
fn tables_are_tables() {
    let page = page_of(&["fixtures/pipeline"]);
    let tables = between(&page, "<table>", "</table>");
    assert!(tables.len() > 15, "{}", tables.len());
    for table in tables {
        assert!(table.contains("<caption") && table.contains("<th scope=\"col\""));
    }
    let ids = between(&page, " id=\"", "\"");
    let distinct: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(ids.len(), distinct.len(), "ids are not unique: {ids:?}");
    let links = between(&page, "href=\"#", "\"");
    for link in links {
        assert!(ids.contains(&link), "#{link} leads nowhere");
    }
}

/// What is only good to know is said once for all inputs, and each file has its size and checksum.
#[test]
fn what_inputs_share_is_said_once_and_files_can_be_told() {
    let page = page_of(&["fixtures/pipeline"]);
    let cells = |key: &str| {
        let table = page.split(&format!("id=\"{key}\"")).nth(1).expect("the table is there");
        let body = table.split("<tbody>").nth(1).and_then(|rest| rest.split("</tbody>").next());
        body.expect("a body").to_owned()
    };
    for key in ["analyze-trust", "analyze-issues"] {
        let body = cells(key);
        assert_eq!(body.matches("<tr>").count(), 1, "{key}: {body}");
        assert!(body.trim_start().starts_with("<tr><td class=\"t\">all 3"), "{key}: {body}");
    }
    let body = cells("page-files");
    let folder = root().join("fixtures/pipeline");
    let traces = names(&folder).into_iter().filter(|name| name.ends_with(".gz"));
    let traces: Vec<PathBuf> = traces.map(|name| folder.join(name)).collect();
    assert_eq!((traces.len(), body.matches("<tr>").count()), (3, 3));
    for trace in traces {
        let bytes = std::fs::read(trace).expect("the trace");
        let hash: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(body.contains(&hash), "{hash} is not in {body}");
        assert!(body.contains(&format!("data-v={}>", bytes.len())));
    }
}

/// With many inputs the first screen is what holds for all of them; each one's own verdict is folded.
#[test]
fn many_inputs_do_not_push_the_answer_away() {
    let Some(traces) = common::shared_traces() else { return };
    let page = page_of(&[traces.join("public/dlrm_8rank").to_str().expect("UTF-8")]);
    let verdict = between(&page, "<section id=\"verdict\"", "</section>")[0];
    let (all, own) = verdict.split_once("<details>").expect("something is folded");
    assert_eq!(all.matches("<h3>").count(), 1);
    // Each of the inputs, and behind them the critical path.
    assert_eq!(own.matches("<h3>").count(), 9);
    assert!(all.contains("Compute kernels were busy for "), "{all}");
}

/// The policy names exactly the scripts and styles of the page, and lets nothing else in.
#[test]
fn the_policy_is_of_this_page() {
    let page = page_of(&["fixtures/pipeline"]);
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"")[0];
    let hash = |text: &&str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let scripts: Vec<String> = between(&page, "<script>", "</script>").iter().map(hash).collect();
    let styles: Vec<String> = between(&page, "<style>", "</style>").iter().map(hash).collect();
    assert_eq!((scripts.len(), styles.len()), (2, 1));
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'",
            scripts.join(" "),
            styles.join(" ")
        )
    );
    assert!(!page.contains(" style=\""), "an inline style would be refused");
}

#[test]
fn names_from_a_trace_are_escaped() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = page_of(&[hostile::trace(folder.path()).to_str().expect("UTF-8")]);
    for raw in ["<script>window", "<img", "<h1>gone", "<!--<script", "</script><script>window"] {
        assert!(!page.contains(raw), "{raw} is not escaped");
    }
    let data = between(&page, "id=\"timeline-data\">", "</script>")[0];
    assert!(!data.contains(['<', '>', '&']));
    serde_json::from_str::<Value>(data).expect("the data are JSON");
}

/// What the timeline shows sums to the figures of `analyze`, to the nanosecond.
#[test]
fn the_timeline_holds_every_nanosecond() {
    let mut inputs: Vec<PathBuf> =
        ["pipeline", "vllm_tp2_step", "nccl_two_ranks", "h100_rust_light"]
            .map(|case| root().join("fixtures").join(case))
            .to_vec();
    if let Some(traces) = common::shared_traces() {
        inputs.push(traces.join("own/h100/py_pipe_tp2"));
        inputs.push(traces.join("own/vllm/v030_serve_prof/1795303010159545032-rank-0.1795303072316031936.pt.trace.json.gz"));
    }
    for input in inputs {
        let input = input.to_str().expect("UTF-8");
        let page = page_of(&[input]);
        let data = between(&page, "id=\"timeline-data\">", "</script>")[0];
        let data: Value = serde_json::from_str(data).expect("the data are JSON");
        let machine = json_of(&["analyze", input]);
        let shown = sums(&data);
        let mut n_compared = 0;
        for device in machine["devices"].as_array().expect("devices") {
            let key = (device["input"].as_u64(), "device", format!("device {}", device["device"]));
            let Some(lane) = shown.get(&key) else { panic!("{input}: no lane for {key:?}") };
            let of = |class: &str| lane.get(class).copied().unwrap_or(0);
            let ns = |field: &str| device[field].as_i64().expect("nanoseconds");
            assert_eq!(of("idle"), ns("idle_ns"), "{input} {key:?}");
            assert_eq!(of("comm"), ns("exposed_comm_ns"), "{input} {key:?}");
            assert_eq!(lane.values().sum::<i64>(), ns("window_ns"), "{input} {key:?}");
            let busy = of("compute") + of("comm") + of("memcpy") + of("memset");
            assert_eq!(busy, ns("busy_ns"), "{input} {key:?}");
            n_compared += 1;
        }
        for thread in machine["threads"].as_array().expect("threads") {
            if thread["kind"] != "work" {
                continue;
            }
            let tid = thread["tid"].to_string().replace('"', "");
            let key = (thread["input"].as_u64(), "thread", format!("thread {tid}"));
            let Some(lane) = shown.get(&key) else { panic!("{input}: no lane for {key:?}") };
            for class in thread["classes"].as_array().expect("classes") {
                let name = class["class"].as_str().expect("a name");
                let ns = class["ns"].as_i64().unwrap_or(0);
                assert_eq!(lane.get(name).copied().unwrap_or(0), ns, "{input} {key:?} {name}");
            }
            n_compared += 1;
        }
        assert!(n_compared > 0, "{input}: nothing was compared");
    }
}

/// Two runs on one page: every lane of both as it is on their own pages, and both from the same start.
#[test]
fn two_runs_stand_on_one_scale() {
    let timeline = |page: &str| -> Value {
        let data = between(page, "id=\"timeline-data\">", "</script>")[0];
        serde_json::from_str(data).expect("the data are JSON")
    };
    let (a, b) = ("fixtures/pipeline", "fixtures/h100_rust_light");
    let both = page_of(&[b, "--against", a]);
    assert!(both.contains("B against A") && both.contains("on one scale of time"));
    let data = timeline(&both);
    let shown = sums(&data);
    let [of_a, of_b] = [a, b].map(|run| timeline(&page_of(&[run])));
    let n_a = sums(&of_a).keys().filter_map(|key| key.0).max().expect("an input") + 1;
    let mut n_lanes = 0;
    for (first, own) in [(0, &of_a), (n_a, &of_b)] {
        for ((input, kind, name), sums) in sums(own) {
            let key = (input.map(|input| input + first), kind, name);
            assert_eq!(shown.get(&key), Some(&sums), "{key:?}");
            n_lanes += 1;
        }
    }
    assert_eq!(shown.len(), n_lanes);
    // Each begins at 0, and the axis is as long as the longer of them.
    let len = |data: &Value| data["len_ns"].as_i64().expect("a length");
    assert_eq!(len(&data), len(&of_a).max(len(&of_b)));
    let who: Vec<&str> = data["lanes"]
        .as_array()
        .expect("lanes")
        .iter()
        .filter_map(|lane| lane["who"].as_str())
        .collect();
    assert!(["A", "B"].iter().all(|side| who.iter().any(|who| who.starts_with(side))), "{who:?}");
}

type LaneKey = (Option<u64>, &'static str, String);

/// Sums by class of every lane of devices and threads.
fn sums(data: &Value) -> BTreeMap<LaneKey, BTreeMap<String, i64>> {
    let mut all = BTreeMap::new();
    for lane in data["lanes"].as_array().expect("lanes") {
        let kind = match lane["kind"].as_str() {
            Some("device") => "device",
            Some("thread") => "thread",
            _ => continue,
        };
        let names = data["classes"][kind].as_array().expect("names");
        let numbers: Vec<i64> = lane["pieces"]
            .as_array()
            .expect("pieces")
            .iter()
            .map(|n| n.as_i64().expect("a number"))
            .collect();
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        let mut rest = numbers.as_slice();
        while let [n, tail @ ..] = rest {
            let (parts, after) = tail.split_at(2 * usize::try_from(*n).expect("a count"));
            for part in parts.chunks(2) {
                let class = names[usize::try_from(part[0]).expect("a class")].as_str();
                *sums.entry(class.expect("a name").to_owned()).or_default() += part[1];
            }
            rest = after;
        }
        let name = lane["name"].as_str().expect("a name").to_owned();
        all.insert((lane["input"].as_u64(), kind, name), sums);
    }
    all
}

#[test]
fn a_page_does_not_depend_on_threads() {
    let one = page_of(&["fixtures/pipeline", "--threads", "1"]);
    for threads in ["2", "7"] {
        assert_eq!(one, page_of(&["fixtures/pipeline", "--threads", threads]), "{threads}");
    }
}

#[test]
fn every_command_writes_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("page.html");
    let html = file.to_str().expect("UTF-8");
    let merged = folder.path().join("merged.json");
    let merged = merged.to_str().expect("UTF-8");
    let commands: [&[&str]; 4] = [
        &["analyze", "fixtures/pipeline", "--html", html],
        &["bandwidth", "fixtures/nccl_two_ranks", "--html", html],
        &["stages", "fixtures/logs_seed/omni_llm_pipeline.log", "--html", html],
        &["merge", "fixtures/pipeline", "-o", merged, "--html", html],
    ];
    for command in commands {
        let output = omni_trace(command);
        assert!(output.status.success(), "{command:?}");
        let page = std::fs::read_to_string(&file).expect("the page");
        assert!(page.contains("<table>") && page.ends_with("</html>\n"), "{command:?}");
        std::fs::remove_file(&file).expect("the page can be removed");
    }
}

/// More operators than a page names.
const N_OPERATORS: usize = 12_345;

/// A trace whose operators a page has no room to name all.
fn crowded(path: &Path) {
    let operator = |n: usize| {
        format!(
            r#"{{"ph":"X","cat":"cpu_op","name":"aten::op{}","pid":1,"tid":1,"ts":{},"dur":{}}}"#,
            n % 7,
            n * 10,
            1 + n % 9
        )
    };
    let events: Vec<String> = (0..N_OPERATORS).map(operator).collect();
    let text = format!(r#"{{"schemaVersion":1,"traceEvents":[{}]}}"#, events.join(",\n"));
    std::fs::write(path, text).expect("the trace is written");
}

#[test]
fn names_that_the_page_has_no_room_for_are_in_a_trace_beside_it() {
    let place = tempfile::tempdir().expect("a folder");
    let at = |name: &str| place.path().join(name).to_str().expect("UTF-8").to_owned();
    crowded(Path::new(&at("trace.json")));
    let report = |arguments: &[&str]| {
        let (trace, page) = (at("trace.json"), at("page"));
        let all = [&["report", trace.as_str(), "-o", page.as_str(), "-q"], arguments].concat();
        assert!(omni_trace(&all).status.success());
        std::fs::read_to_string(at("page/index.html")).expect("the page")
    };
    let page = report(&[]);
    assert!(page.contains("Only the longest 12,000 of 12,345 kernels and operators"));
    assert!(page.contains("href=\"input0.slim.json.gz\" download"));
    let beside = at("page/input0.slim.json.gz");
    let rows =
        |path: &str| json_of(&["analyze", path, "--table", "key_averages"])["key_averages"].clone();
    assert_eq!(rows(&beside), rows(&at("trace.json")));
    // A report inside a folder of traces brings no inputs of its own.
    let inputs = json_of(&["analyze", place.path().to_str().expect("UTF-8")])["inputs"].clone();
    assert_eq!(inputs.as_array().map(Vec::len), Some(1), "{inputs}");
    // Without it, what an earlier page had goes.
    let page = report(&["--no-traces"]);
    assert!(!page.contains("input0.slim.json.gz") && page.contains("omni-trace slim --window"));
    assert!(!Path::new(&beside).exists());
    // A part that can be named needs none.
    let page = report(&["--window", "..10ms"]);
    assert!(!page.contains("Only the longest") && !Path::new(&beside).exists());
}

#[test]
fn a_second_report_leaves_no_figure_of_the_first() {
    let place = tempfile::tempdir().expect("a folder");
    let report = |traces: &[&str], folder: &str| {
        let folder = place.path().join(folder);
        let out = folder.to_str().expect("UTF-8");
        assert!(omni_trace(&[&["report"], traces, &["-o", out, "-q"]].concat()).status.success());
        names(&folder)
    };
    let logs = ["fixtures/joined", "--logs", "fixtures/joined"];
    let ranks = common::shared_traces().map(|traces| traces.join("public/dlrm_8rank"));
    let ranks = ranks.as_ref().and_then(|path| path.to_str());
    let mut all = vec![logs.to_vec(), vec!["fixtures/nccl_two_ranks"]];
    all.extend(ranks.map(|path| vec![path]));
    let few = ["fixtures/torch_cpu_multithread"];
    let fresh = report(&few, "fresh");
    let mut seen = std::collections::BTreeSet::new();
    for traces in all {
        let before = report(&traces, "used");
        seen.extend(before.into_iter().filter(|name| name.ends_with(".png")));
        assert_eq!(report(&few, "used"), fresh, "after {traces:?}");
    }
    let wanted = ["waterfall.png", "blame.png", "collectives.png"].into_iter();
    for name in wanted.chain(ranks.map(|_| "ranks.png")) {
        assert!(seen.contains(name), "no report has {name}: {seen:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_with_a_hint() {
    let output = omni_trace(&["report", "fixtures/pipeline", "-o", "Cargo.toml/report"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Cargo.toml/report") && said.contains("hint:"), "{said}");
}

/// The sample holds no time of day and no path of a machine, so that it is the same wherever it is made.
#[test]
fn the_committed_sample_is_current() {
    let place = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(root().join("fixtures"), place.path().join("fixtures"))
        .expect("a link to the fixtures");
    let status = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(SAMPLE)
        .arg("--quiet")
        .current_dir(place.path())
        .status()
        .expect("the program runs");
    assert!(status.success());
    let (made, kept) = (place.path().join("reports/pipeline"), root().join("reports/pipeline"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(&kept).expect("the folder of the sample");
        for name in names(&made) {
            std::fs::copy(made.join(&name), kept.join(&name)).expect("the sample is writable");
        }
        return;
    }
    let page = std::fs::read_to_string(kept.join("index.html")).unwrap_or_default();
    let now = std::fs::read_to_string(made.join("index.html")).expect("the page");
    assert!(page == now, "reports/pipeline is not current: BLESS=1 cargo test --test report");
    assert_eq!(names(&kept), names(&made), "the sample has other files");
    assert!(!now.contains(root().to_str().expect("UTF-8")));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it is readable").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
