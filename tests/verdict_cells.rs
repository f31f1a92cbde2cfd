//! Every figure in every sentence of the verdict is a cell of a table: it resolves by its JSON pointer, and what is printed
//! is that cell rounded. No number stands in a sentence without a pointer, and what was recorded is never denied.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use program::{omni_trace, root};
use serde_json::{Value, json};

fn run(args: &[&str], format: &[&str]) -> Option<String> {
    let output = omni_trace(&[args, &["--quiet"], format].concat());
    let is_done = matches!(output.status.code(), Some(0 | 1));
    is_done.then(|| String::from_utf8(output.stdout).unwrap())
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of some decimals, halves away from zero.
fn decimal(n: u128, unit: u128, decimals: u32) -> String {
    let scale = 10_u128.pow(decimals);
    let all = (2 * n * scale + unit) / (2 * unit);
    format!("{}.{:0width$}", all / scale, all % scale, width = decimals as usize)
}

fn printed_ns(ns: i64) -> String {
    let n = u128::from(ns.unsigned_abs());
    let sign = if ns < 0 { "-" } else { "" };
    let text = match n {
        0..1_000 => format!("{n} ns"),
        1_000..1_000_000 => format!("{} µs", decimal(n, 1_000, 3)),
        1_000_000..999_999_500 => format!("{} ms", decimal(n, 1_000_000, 3)),
        _ => format!("{} s", decimal(n, 1_000_000_000, 3)),
    };
    format!("{sign}{text}")
}

fn printed_pct(pct: f64) -> String {
    // What is neither nothing nor everything is not printed as that.
    if pct > 0.0 && pct < 0.005 {
        return "<0.01 %".to_owned();
    }
    if (99.995..100.0).contains(&pct) {
        return ">99.99 %".to_owned();
    }
    let is_edge = pct != 0.0 && pct.abs() < 1.0 || pct > 99.9 && pct < 100.0;
    if is_edge { format!("{pct:.2} %") } else { format!("{pct:.1} %") }
}

fn printed_bytes(bytes: u64) -> String {
    let n = u128::from(bytes);
    match n {
        0..1_000 => format!("{n} B"),
        1_000..999_995 => format!("{} kB", decimal(n, 1_000, 2)),
        1_000_000..999_995_000 => format!("{} MB", decimal(n, 1_000_000, 2)),
        999_995..1_000_000 => "1.00 MB".to_owned(),
        _ => format!("{} GB", decimal(n, 1_000_000_000, 2)),
    }
}

fn printed_rate(rate: f64) -> String {
    if rate != 0.0 && rate.abs() < 0.01 {
        return format!("{rate:.2e}");
    }
    let fixed = format!("{:.3}", rate.abs());
    let (whole, fraction) = fixed.split_once('.').unwrap();
    format!("{}{}.{fraction}", if rate < 0.0 { "-" } else { "" }, grouped(whole))
}

/// What a figure is by its pointers, not by what the sentence says of it, as people read it.
fn resolved(report: &Value, figure: &Value) -> Result<String, String> {
    let at = |key: &str| {
        let path = figure[key].as_str().unwrap_or_default();
        report.pointer(path).ok_or(format!("{key} {path:?} leads nowhere"))
    };
    let cell = at("path")?;
    let is_same = |cell: &Value| match &figure["value"] == cell {
        true => Ok(()),
        false => Err(format!("{figure} is not {cell}")),
    };
    if !figure["of"].is_null() {
        let pct = cell.as_f64().unwrap() * 100.0 / at("of")?.as_f64().unwrap();
        let value = figure["value"].as_f64().ok_or("a share of nothing")?;
        // Reading JSON may be off by the last digit of a float.
        if (value - pct).abs() > pct.abs() * 1e-14 {
            return Err(format!("{figure} is not {pct}"));
        }
        return Ok(printed_pct(value));
    }
    if let Some(list) = cell.as_array() {
        is_same(&json!(list.len()))?;
        return Ok(grouped(&list.len().to_string()));
    }
    let unit = figure["unit"].as_str().unwrap();
    if unit == "text" && cell.is_null() {
        return if figure["value"] == "not recorded" {
            Ok("not recorded".into())
        } else {
            Err("denied".into())
        };
    }
    is_same(cell)?;
    match unit {
        "count" => Ok(grouped(&cell.as_u64().unwrap().to_string())),
        "bytes" => Ok(printed_bytes(cell.as_u64().unwrap())),
        "ns" => Ok(printed_ns(cell.as_i64().unwrap())),
        "pct" => Ok(printed_pct(cell.as_f64().unwrap())),
        "rate" => Ok(printed_rate(cell.as_f64().unwrap())),
        "text" => Ok(cell.as_str().unwrap().to_owned()),
        other => Err(format!("a figure of unit {other}: {figure}")),
    }
}

/// Digits that are no number but part of what something is called, by the tables: inputs, devices, threads, runs.
fn names(report: &Value) -> BTreeSet<(usize, String)> {
    let mut names = BTreeSet::new();
    let mut add = |name: String| {
        names.insert((usize::MAX - name.len(), name));
    };
    let rows = |table: &str| report[table].as_array().cloned().unwrap_or_default();
    for (i, row) in rows("inputs").iter().enumerate() {
        // Where neither stage nor rank is known, the file has the name.
        let file = row["path"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        let stem = [".gz", ".zst", ".json", ".pftrace", ".trace", ".pt"]
            .iter()
            .fold(file, |name, end| name.strip_suffix(end).unwrap_or(name));
        let label = row["label"].as_str().filter(|label| !label.is_empty()).unwrap_or(stem);
        add(format!("#{i} {label}"));
        add(format!("#{i}"));
        add(format!("run {}", row["run"]));
    }
    for row in rows("devices").iter().chain(&rows("memory")) {
        add(format!("Device {}", row["device"]));
        add(format!("device {}", row["device"]));
    }
    for row in rows("breakdown") {
        let tid = row["tid"].as_str().map_or_else(|| row["tid"].to_string(), str::to_owned);
        add(format!("Lead thread {tid}"));
    }
    rows("iteration_summary").iter().for_each(|row| add(row["scheme"].as_str().unwrap().into()));
    for class in rows("excluded") {
        add(class["class"].as_str().unwrap_or_default().to_owned());
    }
    let unit = report.pointer("/total/unit").and_then(Value::as_str);
    unit.into_iter().for_each(|unit| add(unit.to_owned()));
    for row in rows("differences").iter().chain(&rows("gates")) {
        ["what", "gate"]
            .iter()
            .filter_map(|key| row[*key].as_str())
            .for_each(|name| add(name.into()));
    }
    add("95 % interval".to_owned());
    names
}

/// Whether words without the names in them hold a number; a name without its middle is a name.
fn has_number(words: &str) -> bool {
    words
        .split(' ')
        .filter(|word| !word.contains('…'))
        .any(|word| word.contains(|c: char| c.is_ascii_digit()))
}

/// A sentence as people read it, made from the cells; what is wrong with it otherwise.
fn sentence(report: &Value, parts: &Value) -> Result<String, String> {
    let names = names(report);
    let mut text = String::new();
    for part in parts.as_array().unwrap() {
        if let Some(words) = part["words"].as_str() {
            let mut rest = words.to_owned();
            names.iter().for_each(|(_, name)| rest = rest.replace(name.as_str(), ""));
            if has_number(&rest) {
                return Err(format!("a number without a pointer in {words:?}"));
            }
            text += words;
        } else if let Some(name) = part["name"].as_str() {
            text += name;
        } else {
            text += &resolved(report, &part["figure"])?;
        }
    }
    Ok(text)
}

/// What is wrong with the verdict of a run of a command; `None` where it has none.
fn faults(args: &[&str], n_figures: &mut usize) -> Option<Vec<String>> {
    let report: Value = serde_json::from_str(&run(args, &["--format", "json"])?).unwrap();
    let rows = report["verdict"].as_array()?.clone();
    let printed = run(args, &["--table", "verdict", "--format", "csv"])?;
    // Quotes are doubled in CSV, and hidden characters are none of a figure.
    let printed = printed.replace("\"\"", "\"");
    let mut faults = Vec::new();
    for row in &rows {
        let parts = &row["sentence"];
        *n_figures +=
            parts.as_array().unwrap().iter().filter(|part| part.get("figure").is_some()).count();
        match sentence(&report, parts) {
            Err(fault) => faults.push(format!("{args:?}: {fault}")),
            Ok(text) if !text.chars().any(char::is_control) && !printed.contains(&text) => {
                faults.push(format!("{args:?}: {text:?} is not what is printed"));
            }
            Ok(text) => faults
                .extend(denied(&report, row, &text).map(|why| format!("{args:?}: {why}: {text}"))),
        }
    }
    Some(faults)
}

fn rows<'a>(report: &'a Value, table: &str) -> &'a [Value] {
    report[table].as_array().map_or(&[], Vec::as_slice)
}

/// The rows of a table about the input that a row of the verdict is about; about all inputs where it is of all.
fn of_input<'a>(report: &'a Value, about: &Value, table: &str) -> Vec<&'a Value> {
    let about = about.as_str().unwrap();
    let number =
        about.strip_prefix('#').and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    let own = |row: &&Value| number.is_none_or(|number| row["input"] == number);
    rows(report, table).iter().filter(own).collect()
}

/// Why a sentence denies what is recorded, or takes a bound for the figure; `None` where it does neither.
fn denied(report: &Value, row: &Value, text: &str) -> Option<String> {
    let own = |table: &str| of_input(report, &row["about"], table);
    let is_of_one = rows(report, "inputs").len() == 1 || row["about"].as_str()?.starts_with('#');
    let lost_launches = || {
        own("trust").into_iter().any(|row| {
            row["check"] == "launch_without_activity"
                && row["count"].as_u64().is_some_and(|n| n > 0)
        })
    };
    let fault = |is_wrong: bool, why: &str| is_wrong.then(|| why.to_owned());
    if is_of_one && text.starts_with("No device activity was recorded") {
        let told = text.contains("launch");
        return fault(!own("devices").is_empty(), "there is a device")
            .or(fault(lost_launches() != told, "launches tell of a device"))
            .or(fault(
                text.contains("nothing can be said")
                    && own("memory").iter().any(|row| !row["device"].is_null()),
                "memory of a device is recorded",
            ));
    }
    if is_of_one && text.starts_with("No work thread was recorded: none of") {
        // Rows over all inputs tell of one where there is no other.
        let is_alone = rows(report, "inputs").len() == 1;
        let is_frame = |name: &str| name.contains("): ") || name.starts_with('<');
        let is_op = |row: &Value| {
            row["device_type"] == "cpu"
                && row["is_annotation"] == false
                && !row["name"].as_str().is_some_and(is_frame)
        };
        let has_op = is_alone && rows(report, "key_averages").iter().any(is_op);
        return fault(has_op, "there is an operator");
    }
    let blind = |lead: &Value| -> Option<bool> {
        let mut threads = own("threads").into_iter();
        let thread = threads.find(|row| row["kind"] == "work" && row["tid"] == lead["tid"])?;
        let class = |name: &str| {
            thread["classes"]
                .as_array()?
                .iter()
                .find(|row| row["class"] == name)
                .map(|row| row["ns"].clone())
        };
        Some(class("python") == Some(Value::Null) && class("unattributed")?.as_i64()? > 0)
    };
    let mut breakdown = own("breakdown").into_iter().filter(|row| row["scope"] == "lead");
    let lead = breakdown.next().filter(|_| is_of_one)?;
    let is_blind = blind(lead) == Some(true);
    if text.starts_with("Lead thread") {
        let is_called_one =
            ["at least", "no recorded", "hardly any recorded"].iter().any(|w| text.contains(w));
        return fault(
            is_blind != is_called_one,
            "a lower bound is called one, and nothing else is",
        );
    }
    if text.contains("do not show: they are in what no event explains") {
        let is_unknown = lead["unrecorded_waits"].as_array()?.iter().any(|wait| wait == "ipc_wait");
        return fault(!is_unknown || !is_blind, "waits are recorded");
    }
    None
}

/// Everything that `analyze` can be asked about.
fn inputs() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in root().join("fixtures").read_dir().unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            found.extend(
                folder
                    .read_dir()
                    .unwrap()
                    .map(|file| file.unwrap().path())
                    .filter(|path| is_trace(path)),
            );
            found.push(folder);
        }
    }
    if let Some(cases) = common::shared_cases() {
        found.extend(
            cases
                .read_dir()
                .unwrap()
                .map(|file| file.unwrap().path())
                .filter(|path| is_trace(path)),
        );
        found.extend(["capture_dir", "broken"].map(|name| cases.join(name)));
        let frames = ["torch_order", "sorted", "kernel"]
            .map(|name| cases.join(format!("torch_pftrace/{name}.pftrace")));
        found.extend(frames);
    }
    if let Some(traces) = common::shared_traces() {
        found.extend(common::real_traces());
        let sets = [
            "public/dlrm_8rank",
            "own/h100/py_pipe_tiny",
            "own/h100/py_pipe_tp2",
            "own/vllm/v012_tp2_env",
            "own/h200_pairs",
        ];
        found.extend(sets.map(|set| traces.join(set)));
    }
    found.sort();
    found
}

fn is_trace(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    [".json", ".json.gz", ".pftrace", ".chrome_trace"].iter().any(|end| name.ends_with(end))
}

#[test]
fn every_figure_of_every_sentence_is_a_cell() {
    let (mut wrong, mut n_read, mut n_figures) = (Vec::new(), 0, 0);
    for path in inputs().iter().filter(|path| path.exists()) {
        let found = faults(&["analyze", path.to_str().unwrap()], &mut n_figures);
        n_read += usize::from(found.is_some());
        wrong.extend(found.unwrap_or_default());
    }
    assert!(wrong.is_empty(), "{} faults: {wrong:#?}", wrong.len());
    assert!(n_read > 12 && n_figures > 60, "{n_read} inputs with {n_figures} figures");
    let is_all = common::shared_traces().is_some();
    assert!(
        !is_all || (n_read > 140 && n_figures > 1_500),
        "{n_read} inputs with {n_figures} figures"
    );
}

/// The sentences of a page as parts of sentences: what stands in the machine output of no command is read from there.
fn sentences_of_page(page: &str) -> Vec<Value> {
    let section = page.split_once("<section id=\"verdict\"").map_or("", |(_, rest)| rest);
    let section = section.split_once("</section>").map_or("", |(section, _)| section);
    let plain = |text: &str| {
        let entities =
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
        entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
    };
    let attribute = |tag: &str, key: &str| {
        let (_, rest) = tag.split_once(&format!("data-{key}=\""))?;
        Some(plain(rest.split_once('"')?.0))
    };
    let part = |piece: &str| {
        let (tag, text) = piece.split_once('>').unwrap();
        let text = plain(text);
        match attribute(tag, "path") {
            Some(path) => json!({"figure": {"path": path, "of": attribute(tag, "of"),
                "value": attribute(tag, "value"), "printed": text}}),
            None if tag.contains("class=\"name\"") => json!({"name": text}),
            None => json!({"words": text}),
        }
    };
    let items = section.split("<li").skip(1).map(|item| item.split_once("</li>").unwrap().0);
    let parts = |item: &str| {
        Value::Array(item.split('<').map(|piece| part(piece.trim_start_matches("/a"))).collect())
    };
    items.map(|item| parts(&format!("li{item}"))).collect()
}

/// What is wrong with a figure of a page: it is the cell that it names, and printed as that cell.
fn fault_of_page(report: &Value, figure: &Value) -> Option<String> {
    let at = |key: &str| report.pointer(figure[key].as_str()?);
    let (cell, printed) = (at("path"), figure["printed"].as_str()?);
    let Some(cell) = cell else { return Some(format!("{figure} leads nowhere")) };
    let is_right = match (at("of"), cell) {
        (Some(whole), part) => printed == printed_pct(part.as_f64()? * 100.0 / whole.as_f64()?),
        (None, Value::Array(list)) => printed == grouped(&list.len().to_string()),
        (None, Value::String(text)) => printed == text,
        (None, Value::Null) => printed == "not recorded",
        (None, Value::Number(number)) => {
            let as_integer = number.as_i64().is_some_and(|n| {
                printed == printed_ns(n) || n >= 0 && printed == grouped(&n.to_string())
            });
            let float = number.as_f64()?;
            as_integer || printed == printed_pct(float) || printed == printed_rate(float)
        }
        _ => false,
    };
    (!is_right).then(|| format!("{figure} is not {cell}"))
}

/// What is wrong with the verdict of a page, and how many figures it has.
fn faults_of_page(page: &str, report: &Value) -> (Vec<String>, usize) {
    let (mut faults, mut n_figures) = (Vec::new(), 0);
    let names = names(report);
    for sentence in sentences_of_page(page) {
        for part in sentence.as_array().unwrap() {
            if let Some(words) = part["words"].as_str() {
                let rest = names
                    .iter()
                    .fold(words.to_owned(), |rest, (_, name)| rest.replace(name.as_str(), ""));
                let is_number = has_number(&rest);
                faults
                    .extend(is_number.then(|| format!("a number without a pointer in {words:?}")));
            } else if part.get("figure").is_some() {
                n_figures += 1;
                faults.extend(fault_of_page(report, &part["figure"]));
            }
        }
    }
    (faults, n_figures)
}

#[test]
fn so_is_every_figure_about_logs_and_differences() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let (mut wrong, mut n_figures) = (Vec::new(), 0);
    let mut add = |(faults, n): (Vec<String>, usize), what: &str| {
        wrong.extend(faults.into_iter().map(|fault| format!("{what}: {fault}")));
        n_figures += n;
    };
    for name in ["logs_generations", "logs_seed", "logs_served"] {
        let logs = text(root().join("fixtures").join(name));
        let to = text(folder.path().join(format!("{name}.html")));
        let args = ["stages", &logs, "--html", &to];
        let report = serde_json::from_str(&run(&args, &["--format", "json"]).unwrap()).unwrap();
        let page = std::fs::read_to_string(&to).unwrap();
        add(faults_of_page(&page, &report), name);
    }
    if let Some(traces) = common::shared_traces() {
        for pair in ["host_sleep", "item_per_layer", "device_bound_spin", "two_streams"] {
            let side = |side: &str| {
                text(traces.join(format!("own/h200_pairs/{pair}_{side}.pt.trace.json.gz")))
            };
            let (a, b, to) =
                (side("A"), side("B"), text(folder.path().join(format!("{pair}.html"))));
            let args = ["diff", a.as_str(), b.as_str(), "--html", &to];
            let report = serde_json::from_str(&run(&args, &["--format", "json"]).unwrap()).unwrap();
            add(faults_of_page(&std::fs::read_to_string(&to).unwrap(), &report), pair);
        }
    }
    assert!(wrong.is_empty(), "{} faults: {wrong:#?}", wrong.len());
    assert!(n_figures >= 8, "{n_figures}");
}

/// The sentences about a trace of some events.
fn said(name: &str, events: Value) -> Vec<String> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, json!({"schemaVersion": 1, "traceEvents": events}).to_string()).unwrap();
    let report: Value = serde_json::from_str(
        &run(&["analyze", path.to_str().unwrap()], &["--format", "json"]).unwrap(),
    )
    .unwrap();
    rows(&report, "verdict")
        .iter()
        .map(|row| sentence(&report, &row["sentence"]).unwrap())
        .collect()
}

fn event(category: &str, name: &str, ts: u32, dur: u32, args: Value) -> Value {
    json!({"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": args})
}

fn profiled(events: &[Value]) -> Value {
    let span = json!({"ph": "X", "cat": "Trace", "name": "PyTorch Profiler (0)", "pid": "Spans", "tid": "PyTorch Profiler",
        "ts": 0, "dur": 1000});
    json!([&[span], events].concat())
}

#[test]
fn what_tells_of_an_unrecorded_device_is_said() {
    let op = || event("cpu_op", "aten::mm", 100, 200, json!({}));
    let first =
        |said: Vec<String>| said.into_iter().find(|one| one.starts_with("No device")).unwrap();
    let launches =
        [op(), event("cuda_runtime", "cudaLaunchKernel", 110, 20, json!({"correlation": 1}))];
    assert_eq!(
        first(said("launches.json", profiled(&launches))),
        "No device activity was recorded, though 1 launch was: what devices did is not in the file."
    );
    let memory = json!({"ph": "i", "s": "t", "cat": "cpu_instant_event", "name": "[memory]", "pid": 1, "tid": 1, "ts": 120,
        "args": {"Device Type": 1, "Device Id": 0, "Addr": 1, "Bytes": 512, "Total Allocated": 512, "Total Reserved": 1024}});
    assert_eq!(
        first(said("memory.json", profiled(&[op(), memory]))),
        "No device activity was recorded: of devices nothing is known but their memory."
    );
    assert_eq!(
        first(said("nothing.json", profiled(&[op()]))),
        "No device activity was recorded: nothing can be said of devices."
    );
}

/// The sentence about a clock that was sampled so (time in µs, MHz) while a kernel ran from 200 to 700 µs.
fn of_clock(file: &str, counter: &str, samples: &[(u32, u32)]) -> Option<String> {
    let mut kernel = event("kernel", "gemm", 200, 500, json!({"device": 0, "stream": 7}));
    (kernel["pid"], kernel["tid"]) = (json!(0), json!(7));
    let mut events = vec![event("cpu_op", "aten::mm", 100, 200, json!({})), kernel];
    let sample = |&(ts, mhz): &(u32, u32)| json!({"ph": "C", "name": counter, "pid": 0, "ts": ts, "args": {"value": mhz}});
    events.extend(samples.iter().map(sample));
    said(file, profiled(&events)).into_iter().find(|one| one.starts_with("The clock"))
}

#[test]
fn a_clock_that_drops_while_kernels_run_is_said() {
    let sm = "SM Clock (MHz)";
    let drops = [(0, 1_980), (300, 1_700), (400, 1_980)];
    assert_eq!(
        of_clock("clock.json", sm, &drops).unwrap(),
        "The clock SM Clock (MHz) was low for 20.0 % of the time in which kernels ran and it is known (100.000 µs): \
         below nine tenths of the highest that was sampled."
    );
    // Nine tenths exactly; low before and after the kernel alone; a hundredth short of being worth it; the memory's clock.
    assert_eq!(of_clock("even.json", sm, &[(0, 2_000), (300, 1_800), (400, 2_000)]), None);
    assert_eq!(of_clock("idle.json", sm, &[(0, 345), (190, 1_980), (701, 345)]), None);
    assert_eq!(of_clock("brief.json", sm, &[(0, 1_980), (300, 1_000), (304, 1_980)]), None);
    assert_eq!(of_clock("memory_clock.json", "Memory Clock (MHz)", &drops), None);
}

#[test]
fn lower_bounds_are_called_so() {
    let op = || event("cpu_op", "aten::mm", 100, 200, json!({}));
    let lead =
        |said: &[String]| said.iter().find(|one| one.starts_with("Lead thread")).unwrap().clone();
    let caution =
        |said: &[String]| said.iter().find(|one| one.starts_with("Without Python")).cloned();
    let blind = said(
        "blind.json",
        profiled(&[op(), event("cuda_runtime", "cudaDeviceSynchronize", 400, 100, json!({}))]),
    );
    assert_eq!(
        lead(&blind),
        "Lead thread 1: at least 20.0 % execution, at least 10.0 % waiting (10.0 % waiting for the device), 70.0 % that no event explains."
    );
    assert!(
        caution(&blind).unwrap().ends_with("in what no event explains, and take at most that.")
    );
    let loader = "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__";
    let named = said(
        "named.json",
        profiled(&[op(), event("user_annotation", loader, 400, 300, json!({}))]),
    );
    assert!(lead(&named).contains("at least 30.0 % waiting (30.0 % IPC wait)"), "{}", lead(&named));
    assert!(caution(&named).unwrap().ends_with("their time is a lower bound."));
    let whole = said("whole.json", profiled(&[event("cpu_op", "aten::mm", 0, 1000, json!({}))]));
    assert_eq!(lead(&whole), "Lead thread 1: 100.0 % execution.");
    assert_eq!(caution(&whole), None, "nothing is left to wait in");
    let frames = said(
        "frames.json",
        profiled(&[event("python_function", "a.py(1): f", 0, 500, json!({})), op()]),
    );
    assert_eq!(
        lead(&frames),
        "Lead thread 1: 50.0 % execution, 0.0 % waiting, 50.0 % that no event explains."
    );
    assert_eq!(caution(&frames), None);
    let Some(traces) = common::shared_traces() else { return };
    let path = traces.join("own/h100_graphs/small_graph_capture.pt.trace.json.gz");
    let report: Value = serde_json::from_str(
        &run(&["analyze", path.to_str().unwrap()], &["--format", "json"]).unwrap(),
    )
    .unwrap();
    let missing = rows(&report, "trust")
        .iter()
        .any(|row| row["check"] == "device_work_missing" && row["is_doubt"] == true);
    let verdict: Vec<String> = rows(&report, "verdict")
        .iter()
        .map(|row| sentence(&report, &row["sentence"]).unwrap())
        .collect();
    let device = verdict.iter().find(|one| one.starts_with("Device 0"));
    let is_bound = |one: &String| {
        one.contains("busy for at least") || one.contains("busy for hardly any recorded time")
    };
    assert!(missing && device.is_none_or(is_bound), "{verdict:?}");
}
