//! Simulated ranks (`benches/ranks`) with one thing wrong, which is named with its cause, and without, where nothing is.
//!
//! The seeds here are not those that thresholds were chosen by (1 to 10).

mod program;
#[path = "../benches/ranks/mod.rs"]
mod ranks;

use std::fs;
use std::path::Path;

use serde_json::Value;

use program::omni_trace;
use ranks::{Fault, Plan, Simulation};

/// Tensor parallel 8, pipeline 2, data parallel 4: 32 ranks are alike.
const N_RANKS: usize = 64;

fn write(folder: &Path, seed: u64, fault: Fault) {
    let all = Simulation::of(Plan::with_one(N_RANKS, seed, fault));
    for rank in 0..N_RANKS {
        fs::write(folder.join(all.file_name(rank)), all.trace(rank)).expect("there is room");
    }
}

fn asked(args: &[&str]) -> Vec<u8> {
    let output = omni_trace(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn path(folder: &Path) -> &str {
    folder.to_str().expect("paths of tests are text")
}

/// The machine output of what is found over ranks.
fn found(seed: u64, fault: Fault) -> Value {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    write(folder.path(), seed, fault);
    let tables = "verdict,slow_ranks,slow_links,rank_spread,ranks";
    let args = ["analyze", "-q", path(folder.path()), "--table", tables, "--format", "json"];
    serde_json::from_slice(&asked(&args)).expect("the machine output is JSON")
}

/// Rank, cause and name of each slow rank.
fn slow(of: &Value) -> Vec<(u64, &str, &str)> {
    let rows = of["slow_ranks"].as_array().expect("a list");
    let mut all = Vec::new();
    for row in rows {
        let rank = row["rank"].as_u64().expect("simulated ranks are known");
        all.push((rank, row["cause"].as_str().unwrap_or("-"), row["name"].as_str().unwrap_or("-")));
    }
    all
}

fn links(of: &Value) -> Vec<&str> {
    let rows = of["slow_links"].as_array().expect("a list");
    rows.iter().filter_map(|row| row["ranks"].as_str()).collect()
}

/// Whether a sentence of the verdict has all these words.
fn is_told(of: &Value, words: &[&str]) -> bool {
    let sentences = of["verdict"].as_array().expect("a list");
    let has_all = |text: &str| words.iter().all(|words| text.contains(words));
    sentences.iter().any(|one| has_all(&one["sentence"].to_string()))
}

#[test]
fn a_gpu_that_is_5_percent_slow_is_named_by_its_kernels() {
    let of = found(101, Fault::SlowGpu(37));
    let rows = slow(&of);
    assert_eq!(rows.iter().map(|row| (row.0, row.1)).collect::<Vec<_>>(), [(37, "all_kernels")]);
    assert_eq!(links(&of), [""; 0]);
    assert!(is_told(&of, &["rank 37 takes ", "its kernels are longer alike"]), "{}", of["verdict"]);
    let percent = of["slow_ranks"][0]["excess_pct"].as_f64().expect("a share");
    assert!((3.0..7.0).contains(&percent), "{percent}");
    let functions = of["rank_functions"].as_array().expect("a list");
    let out: Vec<(u64, &Value, &str)> = functions
        .iter()
        .filter(|row| row["n_out"] != 0)
        .map(|row| {
            (
                row["n_out"].as_u64().unwrap_or(0),
                &row["max_rank"],
                row["kind"].as_str().unwrap_or("-"),
            )
        })
        .collect();
    assert!(out.len() >= 3 && out.iter().all(|row| *row == (1, &37.into(), "kernel")), "{out:?}");
}

#[test]
fn a_slow_link_is_named_and_no_rank() {
    // Rank 12 has the places tensor 4, data 1, pipeline 0: its data-parallel group is 4, 12, 20, 28.
    let of = found(102, Fault::SlowLink(12));
    assert_eq!(links(&of), ["[4, 12, 20, 28]"]);
    assert_eq!(slow(&of), []);
    let percent = of["slow_links"][0]["slower_pct"].as_f64().expect("a share");
    assert!((90.0..110.0).contains(&percent), "{percent}");
    assert!(is_told(&of, &["Over the link of ranks ", "[4, 12, 20, 28]"]), "{}", of["verdict"]);
}

#[test]
fn the_ranks_of_a_host_that_collects_garbage_are_named() {
    let of = found(103, Fault::GarbageCollection(3));
    let mut rows = slow(&of);
    rows.sort_unstable();
    let expected: Vec<_> =
        (24..32).map(|rank| (rank, "garbage_collection", "gc.collect")).collect();
    assert_eq!(rows, expected);
    assert_eq!(links(&of), [""; 0]);
}

#[test]
fn a_rank_that_is_late_for_all_is_named_with_its_operator() {
    let of = found(104, Fault::Late(50));
    let operator = "autograd::engine::evaluate_function: SlowBackward0";
    assert_eq!(slow(&of), [(50, "host", operator)]);
    assert_eq!(links(&of), [""; 0]);
    // Three steps, 200 ms each.
    let excess_ns = of["slow_ranks"][0]["excess_ns"].as_i64().expect("a time");
    assert!((595_000_000..605_000_000).contains(&excess_ns), "{excess_ns}");
}

#[test]
fn a_rank_that_waits_for_data_is_named_with_its_loader() {
    let of = found(112, Fault::DataLoading(21));
    let loader = "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__";
    assert_eq!(slow(&of), [(21, "data_loading", loader)]);
    assert_eq!(links(&of), [""; 0]);
    let cause_ns = of["slow_ranks"][0]["cause_ns"].as_i64().expect("a time");
    assert!((74_000_000..76_000_000).contains(&cause_ns), "{cause_ns}");
    assert!(is_told(&of, &["rank 21 takes ", "its device waits for data", loader]));
}

#[test]
fn a_rank_whose_copies_are_slow_is_named_with_the_copy() {
    let of = found(113, Fault::SlowCopies(44));
    assert_eq!(slow(&of), [(44, "copies", "Memcpy HtoD (Pinned -> Device)")]);
    assert_eq!(links(&of), [""; 0]);
    // Three steps, four times 0.8 ms more in each.
    let cause_ns = of["slow_ranks"][0]["cause_ns"].as_i64().expect("a time");
    assert!((9_000_000..10_300_000).contains(&cause_ns), "{cause_ns}");
    assert!(is_told(&of, &["rank 44 takes ", "its copies are longer"]), "{}", of["verdict"]);
}

/// Median (of two, the lower) and median distance by their definition.
fn median_and_mad(mut values: Vec<i64>) -> (i64, i64) {
    let middle = |values: &mut Vec<i64>| {
        values.sort_unstable();
        values[(values.len() - 1) / 2]
    };
    let median = middle(&mut values);
    let mut distances = values.iter().map(|value| (value - median).abs()).collect();
    (median, middle(&mut distances))
}

#[test]
fn functions_have_median_and_mad_over_the_ranks_of_a_role() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    write(folder.path(), 114, Fault::GarbageCollection(5));
    let args = ["analyze", "-q", path(folder.path()), "--format", "json"];
    let of = json(&asked(&args));
    let rows = of["rank_functions"].as_array().expect("a list");
    let row = |pp: u64, kind: &str, name: &str| {
        let is_it =
            |row: &&Value| row["pp_rank"] == pp && row["kind"] == kind && row["name"] == name;
        rows.iter().find(is_it).expect("every rank has it")
    };
    // Ranks 32 to 63 are of pipeline stage 1; those of host 5 collect garbage.
    let all = Simulation::of(Plan::with_one(N_RANKS, 114, Fault::GarbageCollection(5)));
    for name in ["flash_fwd_kernel", "fused_rms_norm_kernel"] {
        let sums: Vec<i64> = (32..64).map(|rank| all.time_of(rank, name)).collect();
        let row = row(1, "kernel", name);
        let (median, mad) = median_and_mad(sums.clone());
        assert_eq!((&row["median_ns"], &row["mad_ns"]), (&median.into(), &mad.into()), "{name}");
        assert_eq!(row["max_ns"], *sums.iter().max().expect("there are ranks"));
        assert_eq!(
            (&row["n_ranks"], &row["n_shown"], &row["n_out"]),
            (&32.into(), &32.into(), &0.into())
        );
    }
    let garbage = row(1, "host", "gc.collect");
    assert_eq!(
        (&garbage["n_shown"], &garbage["n_out"], &garbage["median_ns"]),
        (&8.into(), &8.into(), &0.into())
    );
    let rank = garbage["max_rank"].as_u64().expect("ranks are known");
    assert!((40..48).contains(&rank), "{garbage}");
    assert!(rows.iter().all(|row| row["pp_rank"] == 1 || row["name"] != "gc.collect"));
    // The kinds of a role stand together, what differs most first.
    let hosts: Vec<&Value> =
        rows.iter().filter(|row| row["pp_rank"] == 1 && row["kind"] == "host").collect();
    assert_eq!(hosts[0]["name"], "gc.collect");
}

#[test]
fn a_victim_of_another_rank_is_not_named_as_late() {
    let of = found(115, Fault::Late(50));
    let sentences = of["verdict"].as_array().expect("a list");
    let about_last = |one: &&Value| one["sentence"].to_string().contains("was the last to start");
    let told: Vec<&Value> = sentences.iter().filter(about_last).collect();
    assert!(told.len() == 1 && told[0]["sentence"].to_string().contains("rank 50 "), "{told:?}");
    // The others of its tensor-parallel group are late for all that follows, and that is not their own.
    let rows = of["stragglers"].as_array().expect("a list");
    let own = |row: &Value| {
        let ns = |key: &str| row[key].as_i64().expect("a time");
        ns("caused_wait_ns") - ns("inherited_ns")
    };
    let most = rows.iter().max_by_key(|row| own(row)).expect("there are ranks");
    assert_eq!(most["input"], 50);
    let next = rows.iter().filter(|row| row["input"] != 50).map(own).max();
    assert!(own(most) > 20 * next.expect("there are ranks"), "{most} {next:?}");
}

#[test]
fn several_things_that_are_wrong_at_once_are_all_named() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let faults =
        [Fault::SlowGpu(37), Fault::SlowLink(12), Fault::GarbageCollection(1), Fault::None];
    let all = Simulation::of(Plan { n_ranks: N_RANKS, n_steps: 3, seed: 110, faults });
    for rank in 0..N_RANKS {
        fs::write(folder.path().join(all.file_name(rank)), all.trace(rank)).expect("there is room");
    }
    let of = json(&asked(&["analyze", "-q", path(folder.path()), "--format", "json"]));
    let mut rows: Vec<(u64, &str)> = slow(&of).iter().map(|row| (row.0, row.1)).collect();
    rows.sort_unstable();
    let mut expected: Vec<_> = (8..16).map(|rank| (rank, "garbage_collection")).collect();
    expected.push((37, "all_kernels"));
    assert_eq!(rows, expected);
    assert_eq!(links(&of), ["[4, 12, 20, 28]"]);
}

#[test]
fn roles_come_from_groups_where_names_of_files_tell_none() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let all = Simulation::of(Plan::with_one(N_RANKS, 109, Fault::SlowGpu(37)));
    for rank in 0..N_RANKS {
        let file = folder.path().join(format!("run-{rank:02}.trace.json"));
        fs::write(file, all.trace(rank)).expect("there is room");
    }
    let args = ["analyze", "-q", path(folder.path()), "--format", "json"];
    let of = json(&asked(&args));
    let place = |row: &Value, key: &str| row[key].as_u64().expect("its groups tell it");
    let rows = of["ranks"].as_array().expect("a list");
    assert_eq!(rows.len(), N_RANKS);
    for row in rows {
        let [tp, dp, pp] = ["tp_rank", "dp_rank", "pp_rank"].map(|key| place(row, key));
        assert_eq!(row["rank"], tp + 8 * (dp + 4 * pp), "{row}");
        assert_eq!(row["ep_rank"], Value::Null);
    }
    assert_eq!(slow(&of).iter().map(|row| row.0).collect::<Vec<_>>(), [37]);
}

#[test]
fn nothing_is_named_where_nothing_is_wrong() {
    for seed in 201..=220 {
        let of = found(seed, Fault::None);
        assert_eq!(slow(&of), [], "seed {seed}");
        assert_eq!(links(&of), [""; 0], "seed {seed}");
        assert_eq!(of["ranks"].as_array().map(Vec::len), Some(N_RANKS));
    }
}

#[test]
fn partial_results_tell_the_same_of_ranks() {
    let (traces, partials) = partials_of(Fault::SlowGpu(9), 105);
    let whole = asked(&["analyze", "-q", path(traces.path()), "--format", "json"]);
    let reduced = asked(&["reduce", "-q", path(partials.path()), "--format", "json"]);
    assert!(reduced == whole, "reduce tells something else than analyze");
    assert!(String::from_utf8_lossy(&whole).contains("\"all_kernels\""));
}

/// Partial results of all ranks, one of them slow, four files of sixteen.
fn partials_of(fault: Fault, seed: u64) -> (tempfile::TempDir, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    write(folder.path(), seed, fault);
    let partials = partials(folder.path(), N_RANKS / 4);
    (folder, partials)
}

/// Partial results of some traces each.
fn partials(traces: &Path, n_each: usize) -> tempfile::TempDir {
    let partials = tempfile::tempdir().expect("there is room for a few files");
    let mut files: Vec<_> = fs::read_dir(traces)
        .expect("it was just made")
        .map(|one| one.expect("it was just made").path())
        .collect();
    files.sort();
    for (number, files) in files.chunks(n_each).enumerate() {
        let out = partials.path().join(format!("{number}.otp"));
        let mut args = vec!["analyze", "-q", "--exact", "--partial", path(&out)];
        args.extend(files.iter().map(|file| path(file)));
        asked(&args);
    }
    partials
}

#[test]
fn three_things_that_are_wrong_among_a_thousand_ranks_are_named() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let faults =
        [Fault::SlowGpu(137), Fault::SlowLink(300), Fault::GarbageCollection(21), Fault::None];
    let all = Simulation::of(Plan { n_ranks: 1024, n_steps: 3, seed: 111, faults });
    for rank in 0..1024 {
        fs::write(folder.path().join(all.file_name(rank)), all.trace(rank)).expect("there is room");
    }
    let partials = partials(folder.path(), 64);
    drop(folder);
    let tables = "slow_ranks,slow_links,rank_spread";
    let from = path(partials.path());
    let args = ["reduce", "-q", from, "--max-memory", "1G", "--table", tables, "--format", "json"];
    let of = json(&asked(&args));
    let mut rows: Vec<(u64, &str)> = slow(&of).iter().map(|row| (row.0, row.1)).collect();
    rows.sort_unstable();
    let mut expected: Vec<_> = (168..176).map(|rank| (rank, "garbage_collection")).collect();
    expected.insert(0, (137, "all_kernels"));
    assert_eq!(rows, expected);
    // Tensor 4, pipeline stage 2, all that are data-parallel.
    let ring: Vec<String> = (0..16).map(|dp| (4 + 8 * (dp + 16 * 2)).to_string()).collect();
    assert_eq!(links(&of), [format!("[{}]", ring.join(", "))]);
    assert_eq!(of["rank_spread"][0]["n_ranks"], 1024);

    // Rows of each input are had on request alone.
    let left_out = of["left_out"].as_array().expect("it is said");
    assert!(left_out.contains(&"devices".into()) && of["devices"] == json(b"[]"), "{left_out:?}");
    assert_eq!(of["ranks"].as_array().map(Vec::len), Some(1024));
    let one_more = json(&asked(&[&args[..], &["--table", "devices"]].concat()));
    assert_eq!(one_more["devices"].as_array().map(Vec::len), Some(1024));
    let one = json(&asked(&["reduce", "-q", from, "--rank", "137", "--format", "json"]));
    assert!(one.get("left_out").is_none() && one["devices"].as_array().map(Vec::len) == Some(1));
}

/// The sections of a page by their anchors.
fn sections(html: &str) -> std::collections::BTreeMap<&str, &str> {
    let parts = html.split("<section").skip(1).filter_map(|part| part.split("</section>").next());
    parts.filter_map(|part| Some((anchor(part)?, part))).collect()
}

fn anchor(section: &str) -> Option<&str> {
    section.split("id=\"").nth(1)?.split('"').next()
}

#[test]
fn pages_of_partial_results_differ_from_those_of_traces_in_what_they_say() {
    // So few that pages have room for all rows.
    let traces = tempfile::tempdir().expect("there is room for a few files");
    let all = Simulation::of(Plan::with_one(16, 118, Fault::SlowGpu(9)));
    for rank in 0..16 {
        fs::write(traces.path().join(all.file_name(rank)), all.trace(rank)).expect("there is room");
    }
    let partials = partials(traces.path(), 4);
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let page = |command: &str, from: &Path| {
        let file = folder.path().join(format!("{command}.html"));
        asked(&[command, "-q", path(from), "--html", path(&file)]);
        fs::read_to_string(file).expect("it was written")
    };
    let whole = page("analyze", traces.path());
    let reduced = page("reduce", partials.path());
    let (of_traces, of_partials) = (sections(&whole), sections(&reduced));
    assert!(of_traces.len() > 8 && of_traces.keys().eq(of_partials.keys()));
    let differ = of_traces.iter().filter(|(anchor, part)| of_partials[*anchor] != **part);
    // The time line, and which command made the page of which files.
    assert_eq!(differ.map(|one| *one.0).collect::<Vec<_>>(), ["inputs", "timeline"]);
    assert!(
        of_partials["timeline"].contains("no time line, no single kernel and no time of recording")
    );
}

/// All traces merged at once, and each where it lies.
#[test]
fn ranks_are_merged_apart_on_the_time_line_of_all() {
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let at = |name: String| path(&folder.path().join(name)).to_owned();
    let all = Simulation::of(Plan::with_one(8, 116, Fault::None));
    let traces: Vec<String> = (0..8).map(|rank| at(all.file_name(rank))).collect();
    for (rank, file) in traces.iter().enumerate() {
        // The clock of one is 5 ms ahead.
        let base = if rank == 3 { "1790000000005000000" } else { "1790000000000000000" };
        let trace = all.trace(rank).replace("1790000000000000000", base);
        fs::write(file, trace).expect("there is room");
    }
    let clocks = at("clocks.json".to_owned());
    for (rank, file) in traces.iter().enumerate() {
        asked(&["analyze", "-q", file, "--partial", &at(format!("{rank}.otp"))]);
    }
    asked(&["reduce", "-q", path(folder.path()), "--clocks", &clocks]);
    let told = json(&fs::read(&clocks).expect("it was written"));
    let correction_ns = told["inputs"][3]["correction_ns"].as_i64().expect("a time");
    assert!((-5_010_000..-4_990_000).contains(&correction_ns), "{told}");

    let parts: Vec<String> = (0..8).map(|rank| at(format!("part{rank}.json.gz"))).collect();
    let mut pids = std::collections::BTreeSet::new();
    for (file, part) in traces.iter().zip(&parts) {
        asked(&["merge", "-q", file, "--clocks", &clocks, "-o", part]);
        let plain = at("plain.json".to_owned());
        asked(&["merge", "-q", file, "--clocks", &clocks, "-o", &plain]);
        let of = json(&fs::read(&plain).expect("it was written"));
        assert_eq!(of["baseTimeNanoseconds"], told["base_time_ns"], "{part}");
        let events = of["traceEvents"].as_array().expect("a list");
        let own: std::collections::BTreeSet<i64> =
            events.iter().filter_map(|event| event["pid"].as_i64()).collect();
        assert!(own.iter().all(|pid| pids.insert(*pid)), "{part}: {own:?} of {pids:?}");
    }

    let (whole, joined) = (at("whole.json".to_owned()), at("joined.json".to_owned()));
    let files: Vec<&str> = traces.iter().map(String::as_str).collect();
    asked(&[&["merge", "-q", "-o", &whole][..], &files].concat());
    let files: Vec<&str> = parts.iter().map(String::as_str).collect();
    asked(&[&["merge", "-q", "--clocks", &clocks, "-o", &joined][..], &files].concat());
    let answers = |file: &str| json(&asked(&["analyze", "-q", file, "--format", "json"]));
    let (of_whole, of_joined) = (answers(&whole), answers(&joined));
    for table in [
        "kernels",
        "key_averages",
        "devices",
        "placements",
        "stragglers",
        "iterations",
        "slow_ranks",
    ] {
        assert_eq!(of_joined[table], of_whole[table], "{table}");
    }
    assert_eq!(of_joined["inputs"].as_array().map(Vec::len), Some(8));

    // What was not reduced with the others is refused, and so is what is no clocks.
    let other = Simulation::of(Plan::with_one(64, 117, Fault::None));
    let stranger = at(other.file_name(40));
    fs::write(&stranger, other.trace(40)).expect("there is room");
    for (words, what) in [
        (
            ["merge", "-q", &stranger, "--clocks", &clocks, "-o", &joined],
            "does not tell where the clock of",
        ),
        (["merge", "-q", &stranger, "--clocks", &stranger, "-o", &joined], "these are no clocks"),
        (["merge", "-q", files[0], "--clocks", &clocks, "-o", &clocks], "is the input"),
    ] {
        let refused = omni_trace(&words);
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains(what), "{refused:?}");
    }
    assert_eq!(json(&fs::read(&clocks).expect("it is still there")), told);
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("the machine output is JSON")
}

#[test]
fn one_rank_is_answered_for_and_held_against_all() {
    let (traces, partials) = partials_of(Fault::SlowGpu(9), 106);
    let from = path(partials.path());
    let of = json(&asked(&["reduce", "-q", from, "--rank", "9", "--format", "json"]));
    let own = fs::read_dir(traces.path()).expect("it was just made").find_map(|one| {
        let file = one.expect("it was just made").path();
        path(&file).contains("rank00009").then_some(file)
    });
    let own = own.expect("there is a rank 9");
    let alone = json(&asked(&["analyze", "-q", path(&own), "--format", "json"]));
    for table in ["inputs", "devices", "kernels", "key_averages", "iterations", "totals"] {
        assert_eq!(of[table], alone[table], "{table}");
    }
    assert_eq!(
        slow(&of).iter().map(|row| (row.0, row.1)).collect::<Vec<_>>(),
        [(9, "all_kernels")]
    );
    assert_eq!(of["slow_ranks"][0]["input"], 0);
    assert_eq!(of["slow_ranks"][0]["n_ranks"], 32);
    assert_eq!(of["ranks"].as_array().map(Vec::len), Some(1));
    assert_eq!(of["rank_spread"][0]["n_ranks"], 64);
    assert!(is_told(&of, &["its kernels are longer alike"]), "{}", of["verdict"]);

    let wrong = omni_trace(&["reduce", "-q", from, "--rank", "64"]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(said.contains("no input is of rank 64") && said.contains("0 to 63"), "{said}");
}

#[test]
fn many_partial_results_become_one_and_what_is_missing_is_said() {
    let (_traces, partials) = partials_of(Fault::None, 107);
    let from = path(partials.path());
    let whole = asked(&["reduce", "-q", from, "--format", "json"]);
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let all = folder.path().join("all.otp");
    asked(&["reduce", "-q", from, "--partial", path(&all)]);
    assert!(asked(&["reduce", "-q", path(&all), "--format", "json"]) == whole);

    let missing = ["--missing", "host_b:/t/rank7.json.gz", "--missing", "host_b:/t/rank8.json.gz"];
    let args = [&["reduce", "-q", path(&all), "--format", "json"][..], &missing].concat();
    let of = json(&asked(&args));
    let issues = of["issues"].as_array().expect("a list");
    let row = issues.iter().find(|row| row["kind"] == "missing_input").expect("it is said");
    assert_eq!((&row["count"], &row["severity"]), (&2.into(), &"data_loss".into()));
    assert!(row["message"].to_string().contains("host_b:/t/rank8.json.gz"), "{row}");
    // It is still known where it is packed once more.
    let again = folder.path().join("again.otp");
    asked(&[&["reduce", "-q", path(&all), "--partial", path(&again)][..], &missing].concat());
    assert_eq!(
        json(&asked(&["reduce", "-q", path(&again), "--format", "json"]))["issues"],
        of["issues"]
    );
}

#[test]
fn ranks_are_drawn_and_shown_on_a_page_without_events() {
    let (_traces, partials) = partials_of(Fault::Late(50), 108);
    let folder = tempfile::tempdir().expect("there is room for a few files");
    let (page, figures) = (folder.path().join("page.html"), folder.path().join("figures"));
    fs::create_dir(&figures).expect("there is room for a few files");
    let from = path(partials.path());
    let screen = asked(&["reduce", "-q", from, "--html", path(&page), "--png", path(&figures)]);
    assert!(String::from_utf8_lossy(&screen).contains("rank 50"));
    let html = fs::read_to_string(&page).expect("it was written");
    assert!(html.contains("Partial results hold no events"));
    assert!(html.contains("Ranks: what their devices did") && html.contains("Slow ranks"));
    // The one that stands out has a row, and so have all others, four with each other.
    assert!(html.contains("ranks 0 to 3, PP 0 (4)") && html.contains("ranks 60 to 63, PP 1 (4)"));
    assert!(figures.join("ranks.png").metadata().expect("it was drawn").len() > 10_000);
}
