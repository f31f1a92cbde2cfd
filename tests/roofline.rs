//! FLOPs against torch's own counter, case by case; rates against a plain division; models that a user adds.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod program;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use program::{omni_trace, root};
use serde_json::{Value, json};

/// Operators that torch 2.11's counter has no formula for, and we have one.
const NOT_COUNTED: &str = "aten::_scaled_dot_product_flash_attention_for_cpu";

fn inflated(name: &str) -> String {
    let file = File::open(root().join("fixtures/roofline").join(name)).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

/// What `analyze` prints as JSON.
fn analyzed(args: &[&str]) -> Value {
    let output = omni_trace(&[&["analyze", "--format", "json"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The trace cut into one for each range `case:NAME`; the names in the order of the files.
fn cases(name: &str, folder: &std::path::Path) -> Vec<(String, String)> {
    let trace: Value = serde_json::from_str(&inflated(&format!("{name}.json.gz"))).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let span = |event: &Value| {
        Some((event["ts"].as_f64()?, event["ts"].as_f64()? + event["dur"].as_f64()?))
    };
    let mut found = Vec::new();
    for range in events.iter().filter(|event| event["cat"] == "user_annotation") {
        let Some(case) = range["name"].as_str().and_then(|name| name.strip_prefix("case:")) else {
            continue;
        };
        let (begin, end) = span(range).unwrap();
        let is_inside = |event: &&Value| {
            event["cat"] != "user_annotation"
                && span(event).is_some_and(|(from, to)| begin <= from && to <= end)
        };
        let mut part = trace.clone();
        part["traceEvents"] = events.iter().filter(is_inside).cloned().collect();
        let path = folder.join(format!("case{:03}.json", found.len()));
        serde_json::to_writer(File::create(&path).unwrap(), &part).unwrap();
        found.push((case.to_owned(), path.to_str().unwrap().to_owned()));
    }
    found
}

fn assert_flops(name: &str, at_least: usize) {
    let counted: BTreeMap<String, u64> = serde_json::from_reader(
        File::open(root().join("fixtures/roofline").join(format!("{name}.counted"))).unwrap(),
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cases = cases(name, folder.path());
    let mut args = vec!["--table", "roofline"];
    args.extend(cases.iter().map(|(_, path)| path.as_str()));
    let report = analyzed(&args);
    let mut ours: BTreeMap<&str, u64> = cases.iter().map(|(case, _)| (case.as_str(), 0)).collect();
    for row in report["roofline"].as_array().unwrap() {
        let operator = row["operator"].as_str().unwrap_or_default();
        if !operator.starts_with(NOT_COUNTED) {
            let case = &cases[row["input"].as_u64().unwrap() as usize].0;
            *ours.get_mut(case.as_str()).unwrap() += row["flops"].as_u64().unwrap_or(0);
        }
    }
    assert!(counted.len() >= at_least, "{}", counted.len());
    let differ: Vec<_> =
        counted.iter().filter(|(case, flops)| ours[case.as_str()] != **flops).collect();
    assert!(differ.is_empty(), "torch counts {differ:?}, we {ours:?}");
}

#[test]
fn flops_are_those_of_torch_on_the_host() {
    assert_flops("flops_cpu", 70);
}

#[test]
fn flops_are_those_of_torch_on_a_device() {
    assert_flops("flops_cuda", 90);
}

#[test]
fn a_large_product_has_its_rate() {
    let report =
        analyzed(&["fixtures/roofline/gemm_8192.json.gz", "--table", "roofline,utilization"]);
    let row = &report["roofline"][0];
    let (n, ns) = (8192.0_f64, row["device_ns"].as_f64().unwrap());
    assert_eq!(row["count"], 20);
    assert_eq!(row["flops"], 20 * 2 * 8192_u64.pow(3));
    assert_eq!(row["bytes"], 20 * 3 * 2 * 8192_u64.pow(2));
    let rate = 20.0 * 2.0 * n.powi(3) / ns / 1e3;
    assert!((row["tflop_per_s"].as_f64().unwrap() - rate).abs() < 1e-6);
    assert!((row["roof_pct"].as_f64().unwrap() - rate / 989.4 * 100.0).abs() < 1e-6);
    assert_eq!(row["bound"], "compute");
    let used = &report["utilization"][0];
    assert_eq!(used["modelled_pct"], 100.0);
    let mfu = 20.0 * 2.0 * n.powi(3) / 989.4e3 / used["time_ns"].as_f64().unwrap() * 100.0;
    assert!((used["mfu_pct"].as_f64().unwrap() - mfu).abs() < 1e-6);
}

#[test]
fn the_rows_hold_all_kernels_and_nothing_twice() {
    let mut paths: Vec<String> = ["llama_decode", "llama_prefill", "flops_cuda"]
        .map(|trace| format!("fixtures/roofline/{trace}.json.gz"))
        .into();
    // Collectives, bare ones among them.
    let ddp = "../shared/traces/own/h100/py_nccl_x2/nccl_overlap_ddp_rank1.pt.trace.json.gz";
    paths.extend(root().join(ddp).exists().then(|| ddp.to_owned()));
    for path in paths {
        let report = analyzed(&[&path, "--table", "roofline,utilization,kernels"]);
        let sum = |table: &str, key: &str, only: &dyn Fn(&Value) -> bool| -> i64 {
            let rows = report[table].as_array().unwrap();
            rows.iter().filter(|row| only(row)).filter_map(|row| row[key].as_i64()).sum()
        };
        let kernels = sum("kernels", "sum_ns", &|row| row["category"] == "kernel");
        assert!(kernels > 0);
        assert_eq!(sum("roofline", "device_ns", &|_| true), kernels, "{path}");
        assert_eq!(
            sum("utilization", "kernel_ns", &|row| row["scope"] == "window"),
            kernels,
            "{path}"
        );
        let modelled = sum("roofline", "device_ns", &|row| !row["model"].is_null());
        assert_eq!(
            sum("utilization", "modelled_ns", &|row| row["scope"] == "window"),
            modelled,
            "{path}"
        );
    }
}

#[test]
fn a_causal_mask_halves_the_work_and_not_the_flops() {
    let report = analyzed(&["fixtures/roofline/llama_prefill.json.gz", "--table", "roofline"]);
    let rows = report["roofline"].as_array().unwrap();
    let attention: Vec<&Value> = rows.iter().filter(|row| row["model"] == "attention").collect();
    assert!(!attention.is_empty());
    for row in attention {
        // 24 calls: batch 2, heads 16, 1024 queries and keys of size 128.
        let pairs = |n: u64| 24 * 2 * 2 * 16 * n * 256;
        assert_eq!(row["count"], 24);
        assert_eq!(row["flops"], pairs(1024 * 1024));
        assert_eq!(row["work_flops"], pairs(1024 * 1025 / 2));
    }
}

#[test]
fn an_own_model_comes_first_and_a_wrong_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("models");
    std::fs::write(&path, "# ours\naten::mm  none\n").unwrap();
    let models = path.to_str().unwrap();
    let gemm = "fixtures/roofline/gemm_8192.json.gz";
    let report = analyzed(&[gemm, "--table", "roofline,utilization", "--op-models", models]);
    assert_eq!(report["roofline"][0]["flops"], Value::Null);
    assert_eq!(report["utilization"][0]["modelled_pct"], 0.0);
    assert_eq!(report["utilization"][0]["mfu_pct"], Value::Null);
    for (line, what) in [
        ("aten::mm gem a=0 b=1", "unknown model `gem`"),
        ("aten::mm gemm a=0", "needs b=INPUT"),
        ("aten::mm gemm a=0 b=x", "`x` is no number"),
        ("aten::mm gemm a=0 z=1", "unknown input `z`"),
        ("aten::mm gemm a", "`a` is not WHAT=INPUT"),
    ] {
        std::fs::write(&path, line).unwrap();
        let output = omni_trace(&["analyze", gemm, "--op-models", models]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2));
        assert!(text.contains(what) && text.contains("line 1"), "{text}");
    }
}

/// A trace of one call of an operator with its kernel of 1 µs.
fn one_call(name: &str, args: &Value, device: &str) -> String {
    json!({"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": device}], "traceEvents": [
        {"ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": 10.0, "dur": 9.0, "args": args},
        {"ph": "X", "cat": "cuda_runtime", "name": "cudaLaunchKernel", "pid": 1, "tid": 1, "ts": 12.0, "dur": 2.0, "args": {"correlation": 5}},
        {"ph": "X", "cat": "kernel", "name": "k", "pid": 0, "tid": 7, "ts": 20.0, "dur": 1.0, "args": {"device": 0, "stream": 7, "correlation": 5}},
    ]})
    .to_string()
}

/// Calls of operators with a kernel each, inside annotations: name, annotation around it, arguments.
fn calls_in(calls: &[(&str, &str, Value)]) -> String {
    let mut events = Vec::new();
    for (n, (operator, annotation, args)) in calls.iter().enumerate() {
        let at = 100.0 * n as f64;
        let span = |cat: &str, name: &str, from: f64, dur: f64, args: Value| json!({"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": at + from, "dur": dur, "args": args});
        events.push(span("user_annotation", annotation, 0.0, 90.0, json!({})));
        events.push(span("cpu_op", operator, 10.0, 60.0, args.clone()));
        let launch = json!({"correlation": n + 1});
        events.push(span("cuda_runtime", "cudaLaunchKernel", 12.0, 2.0, launch));
        let kernel = json!({"device": 0, "stream": 7, "correlation": n + 1});
        let mut kernel = span("kernel", "k", 20.0, 50.0, kernel);
        (kernel["pid"], kernel["tid"]) = (json!(0), json!(7));
        events.push(kernel);
    }
    let device = json!([{"id": 0, "name": "NVIDIA H200"}]);
    json!({"schemaVersion": 1, "deviceProperties": device, "traceEvents": events}).to_string()
}

fn roofline_of(calls: &[(&str, &str, Value)]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.pt.trace.json");
    std::fs::write(&path, calls_in(calls)).unwrap();
    let report = analyzed(&[path.to_str().unwrap(), "--table", "roofline"]);
    report["roofline"].as_array().unwrap().clone()
}

/// Sums of an annotation, of requests with so many queries and keys.
fn said(requests: &[(u64, u64)]) -> String {
    let sum = |of: &dyn Fn(&(u64, u64)) -> u64| requests.iter().map(of).sum::<u64>();
    let (sq, sk) = (sum(&|one| one.0), sum(&|one| one.1));
    let (sqsq, sqsk) = (sum(&|one| one.0 * one.0), sum(&|one| one.0 * one.1));
    format!("{}(sq{sq}sk{sk}sqsq{sqsq}sqsk{sqsk})", requests.len())
}

#[test]
fn attention_over_a_paged_cache_is_that_of_each_request() {
    // Query and key lengths: a chunk of a long prompt, a whole prompt, and generation, of 24 heads over 6 of the cache.
    let context = [(7, 40), (9, 9)];
    let generation = [(1, 100), (1, 31), (2, 64)];
    let tokens: u64 = context.iter().chain(&generation).map(|one| one.0).sum();
    let bf16 = "c10::BFloat16";
    let dims = json!([[tokens, 24, 32], [tokens, 6, 32], [tokens, 6, 16], [tokens, 24, 16]]);
    let args = json!({"Input Dims": dims, "Input type": [bf16, bf16, bf16, bf16]});
    let operator = "vllm::unified_attention_with_output";
    let annotation =
        format!("execute_{tokens}_context_{}_generation_{}", said(&context), said(&generation));
    let decode = format!("execute_4_context_{}_generation_{}", said(&[]), said(&generation));
    let rows =
        roofline_of(&[(operator, &annotation, args.clone()), (operator, &decode, args.clone())]);
    let (mut pairs, mut seen, mut keys) = (0, 0, 0);
    for (queries, length) in context.iter().chain(&generation).chain(&generation) {
        pairs += queries * length;
        // Query by query: the last sees all keys, each before it one less.
        seen += (0..*queries).map(|i| length - i).sum::<u64>();
        keys += length;
    }
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["count"], &rows[0]["model"]), (&json!(2), &json!("paged_attention")));
    assert_eq!(rows[0]["flops"], 2 * 24 * (32 + 16) * pairs);
    assert_eq!(rows[0]["work_flops"], 2 * 24 * (32 + 16) * seen);
    let own = 2 * tokens * 24 * (32 + 16);
    assert_eq!(rows[0]["bytes"], 2 * (own + keys * 6 * (32 + 16)));

    // A step inside that says less does not hide what the one around it says.
    let mut trace: Value =
        serde_json::from_str(&calls_in(&[(operator, &annotation, args.clone())])).unwrap();
    trace["traceEvents"].as_array_mut().unwrap().push(json!({"ph": "X", "cat": "user_annotation",
        "name": "step[EXTEND bs=2 toks=16]", "pid": 1, "tid": 1, "ts": 5.0, "dur": 80.0, "args": {}}));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nested.pt.trace.json");
    std::fs::write(&path, trace.to_string()).unwrap();
    let report = analyzed(&[path.to_str().unwrap(), "--table", "roofline,iterations"]);
    assert_eq!(report["iterations"].as_array().unwrap().len(), 2, "{report}");
    let alone = roofline_of(&[(operator, &annotation, args.clone())]);
    assert_eq!(report["roofline"][0]["flops"], alone[0]["flops"]);
    assert!(alone[0]["flops"].is_u64());

    // Without what it follows from it has no model, and what is inside counts.
    let rows = roofline_of(&[(operator, "execute_context_1(7)_generation_3(4)", args)]);
    assert_eq!((&rows[0]["model"], &rows[0]["flops"]), (&Value::Null, &Value::Null));
}

#[test]
fn experts_and_groups_are_counted_by_their_rows() {
    let bf16 = "c10::BFloat16";
    let experts = |tokens: u64| {
        let dims = json!([[tokens, 64], [8, 96, 64], [8, 64, 48], [tokens, 2], [tokens, 2]]);
        json!({"Input Dims": dims, "Input type": [bf16, bf16, bf16, "float", "int"]})
    };
    let of = |tokens: u64, met: u64| {
        let rows = roofline_of(&[("vllm::inplace_fused_experts", "step", experts(tokens))]);
        assert_eq!(rows[0]["model"], "experts");
        assert_eq!(rows[0]["flops"], 2 * tokens * 2 * (96 * 64 + 64 * 48));
        let weights = 2 * met * (96 * 64 + 64 * 48);
        assert_eq!(rows[0]["bytes"], 2 * 2 * tokens * 64 + 4 * tokens * 2 + weights);
    };
    of(100, 8);
    of(3, 6);
    let grouped = |a: Value, b: Value| {
        let args = json!({"Input Dims": [a, b, [8]], "Input type": [bf16, bf16, "int"]});
        roofline_of(&[("aten::_grouped_mm", "step", args)])[0]["flops"].clone()
    };
    assert_eq!(grouped(json!([100, 64]), json!([8, 64, 32])), 2 * 100 * 64 * 32);
    assert_eq!(grouped(json!([8, 10, 64]), json!([8, 64, 32])), 2 * 8 * 10 * 64 * 32);
    assert_eq!(grouped(json!([8, 10, 64]), json!([64, 320])), 2 * 10 * 64 * 320);
    assert_eq!(grouped(json!([64, 100]), json!([100, 32])), Value::Null);
    // Packed weights have other sizes than they stand for.
    let dims = json!([[9, 64], [8, 96, 32], [8, 64, 24], [9, 2], [9, 2]]);
    let args = json!({"Input Dims": dims, "Input type": [bf16, "unsigned char", "unsigned char", "float", "int"]});
    let rows = roofline_of(&[("sglang::outplace_fused_experts", "step", args)]);
    assert_eq!(rows[0]["flops"], Value::Null);
}

#[test]
fn odd_inputs_have_no_model_and_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.pt.trace.json");
    let huge = u64::MAX;
    let float = |dims: Value| json!({"Input Dims": dims, "Input type": ["float", "float"]});
    for (args, has_flops) in [
        (float(json!([])), false),
        (float(json!([[2, 3]])), false),
        (float(json!([[2, -3], [3, 4]])), false),
        (float(json!([[], [3, 4]])), false),
        (float(json!([[huge, huge], [huge, huge]])), true),
        (json!({"Input Dims": "broken", "Input type": 7}), false),
        (float(json!([[2, 3], [3, 4]])), true),
    ] {
        std::fs::write(&path, one_call("aten::mm", &args, "An unknown device")).unwrap();
        let report = analyzed(&[path.to_str().unwrap(), "--table", "roofline,utilization"]);
        let row = &report["roofline"][0];
        assert_eq!(row["flops"].is_u64() || row["flops"].is_i64(), has_flops, "{args}: {row}");
        assert_eq!(row["device_ns"], 1000);
        assert_eq!(
            (&row["bound"], &row["roof_pct"], &row["lost_ns"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(report["utilization"][0]["mfu_pct"], Value::Null, "no peak is known");
    }
}

/// Rows of a trace of rank 1 on device 1 of an H100 host with `n_devices`: a product, a collective over `ranks` that takes
/// 1 ms, and one that states nothing.
fn with_collective(n_devices: u32, name: &str, ranks: &[u32]) -> (Vec<Value>, Value) {
    let product = json!({"Input Dims": [[64, 64], [64, 64]], "Input type": ["float", "float"]});
    let mut trace: Value =
        serde_json::from_str(&calls_in(&[("aten::mm", "step", product)])).unwrap();
    let device = |id| json!({"id": id, "name": "NVIDIA H100 80GB HBM3"});
    trace["deviceProperties"] = (0..n_devices).map(device).collect();
    trace["distributedInfo"] = json!({"backend": "nccl", "rank": 1, "world_size": ranks.len()});
    let elements = 45_000_000;
    let told = json!({"device": 1, "stream": 9, "Collective name": name, "In msg nelems": elements,
        "Out msg nelems": elements, "Group size": ranks.len(), "dtype": "BFloat16",
        "Process Group Name": "0", "Process Group Ranks": format!("{ranks:?}")});
    let kernel = |name: &str, ts: u32, args: &Value| json!({"ph": "X", "cat": "kernel", "name": name, "pid": 1, "tid": 9, "ts": ts, "dur": 1000.0, "args": args});
    let bare = json!({"device": 1, "stream": 9});
    let events = trace["traceEvents"].as_array_mut().unwrap();
    events.push(kernel("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", 200, &told));
    events.push(kernel("ncclDevKernel_AllReduce_Sum_bf16_RING_LL", 1300, &bare));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rank1.pt.trace.json");
    std::fs::write(&path, trace.to_string()).unwrap();
    let report = analyzed(&[path.to_str().unwrap(), "--table", "roofline,utilization"]);
    let used = report["utilization"].as_array().unwrap();
    let used = used.iter().find(|row| row["device"] == 1 && row["scope"] == "window").unwrap();
    (report["roofline"].as_array().unwrap().clone(), used.clone())
}

#[test]
fn a_collective_has_the_roof_of_its_links_where_its_group_is_on_one_host() {
    // 90 MB at 450 GB/s: two ranks send all of it once, four one and a half times, of an all-gather half as much.
    for (name, ranks, roof_us, bus) in [
        ("allreduce", &[0, 1][..], 200.0, 90.0),
        ("allreduce", &[0, 1, 2, 3], 300.0, 135.0),
        ("_allgather_base", &[0, 1, 2, 3], 150.0, 67.5),
    ] {
        let (rows, used) = with_collective(8, name, ranks);
        let row = rows.iter().find(|row| row["operator"] == name).unwrap();
        assert_eq!((&row["model"], &row["bound"]), (&json!("collective"), &json!("link")));
        assert_eq!((&row["bytes"], &row["flops"]), (&json!(90_000_000), &Value::Null));
        assert!((row["roof_pct"].as_f64().unwrap() - roof_us / 10.0).abs() < 1e-9, "{name}");
        assert!((row["gb_per_s"].as_f64().unwrap() - 90.0).abs() < 1e-9);
        assert_eq!(row["lost_ns"], json!(1_000_000 - (roof_us * 1e3) as i64), "{bus} GB/s of 450");
        // It counts as modelled, the bare one does not; neither moves the device's own memory.
        assert_eq!(
            (&used["kernel_ns"], &used["modelled_ns"]),
            (&json!(2_000_000), &json!(1_000_000))
        );
        assert_eq!((&used["modelled_pct"], &used["bytes"]), (&json!(50.0), &json!(0)));
        assert_eq!(used["lost_ns"], row["lost_ns"]);
    }
}

#[test]
fn a_group_that_may_span_hosts_has_no_roof() {
    for (n_devices, name, ranks) in
        [(2, "allreduce", &[0, 1, 2, 3][..]), (8, "allreduce", &[1, 9]), (8, "barrier", &[0, 1])]
    {
        let (rows, used) = with_collective(n_devices, name, ranks);
        let row = rows.iter().find(|row| row["operator"] == name).unwrap();
        for key in ["bound", "roof_pct", "lost_ns"] {
            assert_eq!(row[key], Value::Null, "{name} over {ranks:?}: {key}");
        }
        assert_eq!(used["lost_ns"], Value::Null);
        // Its bytes are known all the same, but for a barrier.
        assert_eq!(row["model"].is_null(), name == "barrier");
    }
}

/// Use by scope of a trace with steps (from, length in µs), and products (launched at, kernel from, its length).
fn use_of(steps: &[(u32, u32)], products: &[(u32, u32, u32)]) -> BTreeMap<String, [i64; 2]> {
    let span = |cat: &str, name: &str, ts: u32, dur: u32, args: Value| json!({"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": args});
    let mut events = vec![span("Trace", "PyTorch Profiler (0)", 0, 300, json!({}))];
    for (n, &(from, dur)) in steps.iter().enumerate() {
        events.push(span("user_annotation", &format!("ProfilerStep#{n}"), from, dur, json!({})));
    }
    for (n, &(at, from, dur)) in products.iter().enumerate() {
        let dims = json!({"Input Dims": [[64, 64], [64, 64]], "Input type": ["float", "float"]});
        events.push(span("cpu_op", "aten::mm", at, 4, dims));
        let launch = json!({"correlation": n + 1});
        events.push(span("cuda_runtime", "cudaLaunchKernel", at + 1, 2, launch));
        let on = json!({"device": 0, "stream": 7, "correlation": n + 1});
        let mut kernel = span("kernel", "k", from, dur, on);
        (kernel["pid"], kernel["tid"]) = (json!(0), json!(7));
        events.push(kernel);
    }
    let device = json!([{"id": 0, "name": "NVIDIA H200"}]);
    let trace = json!({"schemaVersion": 1, "deviceProperties": device, "traceEvents": events});
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.pt.trace.json");
    std::fs::write(&path, trace.to_string()).unwrap();
    let report = analyzed(&[path.to_str().unwrap(), "--table", "utilization"]);
    let row = |row: &Value| {
        let figures = ["time_ns", "kernel_ns"].map(|key| row[key].as_i64().unwrap());
        (row["scope"].as_str().unwrap().to_owned(), figures)
    };
    report["utilization"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn iterations_inside_each_other_count_once_in_their_phase() {
    let products = [(10, 20, 10), (60, 70, 20), (150, 160, 30)];
    let nested = use_of(&[(0, 200), (50, 50)], &products);
    assert_eq!(nested["unknown"], [170_000, 60_000], "from 20 to 190 µs, with what follows inside");
    assert_eq!(nested["window"][1], 60_000);
    assert!(nested["unknown"][0] <= nested["window"][0], "{nested:?}");

    // Side by side both count, and what is launched between them does not.
    let apart = use_of(&[(0, 50), (100, 100)], &products);
    assert_eq!(apart["unknown"], [40_000, 40_000]);
    assert_eq!(apart["window"][1], 60_000);

    // The kernels of the first run on while those of the second do.
    let late = use_of(&[(0, 50), (100, 100)], &[(10, 20, 160), (150, 160, 30)]);
    assert_eq!(late["unknown"], [170_000, 190_000]);
    assert!(late["unknown"][0] <= late["window"][0], "{late:?}");
}

#[test]
fn shapes_of_a_trace_with_line_feeds_stand_on_one_line() {
    let dims = json!([[2, 3], [3, 4], []]);
    let args = json!({"Input Dims": dims, "Input type": ["float", "float", ""]});
    let trace: Value = serde_json::from_str(&calls_in(&[
        ("aten::mm", "step", args.clone()),
        ("aten::mm", "step", args),
    ]))
    .unwrap();
    let as_torch = "[[2, 3], [3, 4], []]";
    let folder = tempfile::tempdir().unwrap();
    let rows_of = |text: &str| {
        let path = folder.path().join("shapes.pt.trace.json");
        std::fs::write(&path, text).unwrap();
        let report = analyzed(&[path.to_str().unwrap(), "--table", "roofline"]);
        report["roofline"].as_array().unwrap().clone()
    };
    let plain = trace.to_string().replace(&dims.to_string(), as_torch);
    assert!(plain.contains(as_torch) && !plain.contains('\n'));
    let rows = rows_of(&plain);
    let brief = [&rows[0]["shapes"], &rows[0]["count"], &rows[0]["flops"]];
    assert_eq!(brief, [&json!(as_torch), &json!(2), &json!(2 * 2 * 2 * 3 * 4)]);
    let pretty = serde_json::to_string_pretty(&trace).unwrap();
    assert!(!pretty.contains(as_torch), "its shapes have line feeds");
    assert_eq!(rows_of(&pretty), rows);
}
