//! What names tell: of kernels that communicate or copy, of steps, of Python frames, of files. Small traces whose right
//! answers a person can add up; those of the shared cases are in their `INDEX.md`.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn report(command: &str, path: &Path, more: &[&str]) -> Value {
    let mut program = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
    let output = program.arg(command).arg(path).args(["--format", "json"]).args(more).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A shared case; `None`, said aloud, where the folder is not there.
fn case(name: &str) -> Option<PathBuf> {
    let path = common::shared_traces()?.parent()?.join("cases").join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    Some(path)
}

/// A folder with a trace of some events.
fn trace(name: &str, device: &str, events: Value) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let text = json!({
        "schemaVersion": 1,
        "deviceProperties": [{"id": 0, "name": device}],
        "traceEvents": events,
    });
    std::fs::write(&path, text.to_string()).unwrap();
    (folder, path)
}

fn event(category: &str, name: &str, (tid, ts, dur): (u32, u32, f64), args: Value) -> Value {
    let pid = if category == "kernel" || category.starts_with("gpu_") { 0 } else { 500 };
    json!({"ph": "X", "cat": category, "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur, "args": args})
}

/// A kernel of device 0 and the call that launched it 5 µs before.
fn kernel(name: &str, ts: u32, dur: f64, correlation: u32) -> [Value; 2] {
    let call = json!({"correlation": correlation});
    let args = json!({"device": 0, "stream": 7, "correlation": correlation});
    [
        event("cuda_runtime", "cudaLaunchKernel", (500, ts - 5, 2.0), call),
        event("kernel", name, (7, ts, dur), args),
    ]
}

#[test]
fn case_70_kernels_that_are_not_called_nccl_communicate() {
    let Some(path) = case("70_comm_kernel_names.json") else { return };
    let devices = report("analyze", &path, &["--table", "devices"])["devices"].clone();
    // A product, a reduction and an elementwise kernel of torch, and what inductor named after the operations it fused.
    let computes = [24, 25, 26, 29];
    for row in devices.as_array().unwrap() {
        let ns = if computes.contains(&row["device"].as_u64().unwrap()) { 0 } else { 50_000 };
        assert_eq!(row["comm_busy_ns"], ns, "{row}");
    }
    let collectives = report("bandwidth", &path, &[])["collectives"].clone();
    let count = |operation: &str| {
        let is_it = |row: &&Value| row["operation"] == operation;
        collectives.as_array().unwrap().iter().filter(is_it).count()
    };
    assert_eq!((count("all_reduce"), count("all_to_all"), count("all_gather")), (15, 8, 1));
    assert_eq!((count("send_recv"), count("barrier")), (2, 1));
}

#[test]
fn case_04_operations_come_from_ranges_and_names() {
    let Some(path) = case("04_nccl_no_metadata.json") else { return };
    let report = report("bandwidth", &path, &[]);
    let rows = report["collectives"].as_array().unwrap();
    let of = |name: &str| {
        let row = rows.iter().find(|row| row["name"].as_str().unwrap().starts_with(name));
        row.unwrap_or_else(|| panic!("{name} is missing"))
    };
    let gathered = of("ncclDevKernel_AllGather_RING_LL");
    assert_eq!(gathered["operation"], "all_gather");
    assert!(gathered["name"].as_str().unwrap().contains("coalesced"), "{gathered}");
    assert_eq!(of("ncclDevKernel_Generic")["operation"], "all_reduce", "by nccl:all_reduce");
    assert!(of("ncclDevKernel_Generic")["name"].as_str().unwrap().contains("no c10d arguments"));
    assert_eq!(of("rccl::mscclKernel_Sum_half")["operation"], "all_reduce");
    let whole = of("allreduce");
    assert_eq!((&whole["operation"], &whole["bytes"]), (&json!("all_reduce"), &json!(2_097_152)));
}

#[test]
fn the_median_rate_of_an_even_count_is_that_of_the_median() {
    let args = |correlation: u32| {
        json!({
            "device": 0, "stream": 7, "correlation": correlation, "Collective name": "allreduce",
            "In msg nelems": 1_000_000, "Out msg nelems": 1_000_000, "Group size": 2, "dtype": "Float",
            "Process Group Name": "0", "Process Group Ranks": "[0, 1]",
        })
    };
    let name = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)";
    let durations = [(1, 100.0), (2, 200.0), (3, 400.0), (4, 800.0)];
    let events: Vec<Value> = durations
        .iter()
        .map(|&(n, dur)| event("kernel", name, (7, n * 1000, dur), args(n)))
        .collect();
    let (_folder, path) = trace("rank0.json", "NVIDIA H100 80GB HBM3", json!(events));
    let report = report("bandwidth", &path, &[]);
    let row = &report["collectives"][0];
    assert_eq!((&row["count"], &row["median_ns"]), (&json!(4), &json!(200_000)));
    assert_eq!(row["algorithm_gb_per_s"], 20.0, "4 MB in 200 µs");
    assert_eq!(row["bus_gb_per_s"], 20.0);
}

#[test]
fn copies_above_the_peak_are_remarked_upon() {
    let copy = |name: &str, ts: u32, bytes: u64| {
        let args = json!({"device": 0, "stream": 7, "correlation": ts, "bytes": bytes});
        event("gpu_memcpy", name, (7, ts, 10.0), args)
    };
    let to_device = "Memcpy HtoD (Pinned -> Device)";
    let events = json!([copy(to_device, 1000, 600_000), copy(to_device, 2000, 6_000_000)]);
    let (_folder, path) = trace("rank0.json", "NVIDIA H100 80GB HBM3", events);
    let said = report("bandwidth", &path, &[]);
    assert_eq!(
        (&said["directions"][0]["above_peak"], &said["directions"][0]["count"]),
        (&json!(1), &json!(2))
    );
    let issues = said["issues"].as_array().unwrap();
    let issue = issues.iter().find(|issue| issue["kind"] == "above_peak").unwrap();
    assert_eq!((&issue["count"], &issue["severity"]), (&json!(1), &json!("notice")));
    assert!(issue["message"].as_str().unwrap().contains("1 of 2 HtoD on device 0"), "{issue}");
    let said = report("bandwidth", &path, &["--peak", "host=700"]);
    assert_eq!(said["directions"][0]["above_peak"], 0);
    assert!(said["issues"].as_array().unwrap().iter().all(|issue| issue["kind"] != "above_peak"));
}

#[test]
fn kernels_that_move_caches_are_copies_and_no_computation() {
    let mover = "void lmc::load_and_reshape_multi_layer_kernel<long, true>(long*, long**)";
    let all_reduce = "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 2>(vllm::RankData*)";
    let events: Vec<Value> = [
        kernel(mover, 1000, 100.0, 1),
        kernel(all_reduce, 1050, 100.0, 2),
        kernel("sm90_xmma_gemm_bf16", 1100, 100.0, 3),
    ]
    .concat();
    let (folder, path) = trace("rank0.json", "NVIDIA H100 80GB HBM3", json!(events));
    let device = &report("analyze", &path, &[])["devices"][0];
    let of = |key: &str| device[key].as_i64().unwrap();
    assert_eq!((of("kernel_sum_ns"), of("kernel_busy_ns")), (300_000, 200_000));
    assert_eq!((of("copy_kernel_busy_ns"), of("comm_busy_ns")), (100_000, 100_000));
    assert_eq!(of("exposed_comm_ns"), 50_000, "the mover hides no communication");
    let said = report("bandwidth", &path, &[]);
    let row = &said["directions"][0];
    assert_eq!((&row["direction"], &row["bytes"]), (&json!("kernel"), &Value::Null));
    assert_eq!((&row["busy_ns"], &row["overlapped_ns"]), (&json!(100_000), &json!(50_000)));

    let rules = folder.path().join("own.rules");
    std::fs::write(&rules, "none - *lmc::*\ncomm.mine all_gather *XMMA*\n").unwrap();
    let own = ["--comm-rules", rules.to_str().unwrap()];
    let device = &report("analyze", &path, &own)["devices"][0];
    assert_eq!(
        (&device["copy_kernel_busy_ns"], &device["comm_busy_ns"]),
        (&json!(0), &json!(150_000))
    );
    let said = report("bandwidth", &path, &own);
    let operations: Vec<&Value> =
        said["collectives"].as_array().unwrap().iter().map(|row| &row["operation"]).collect();
    assert_eq!(operations, ["all_reduce", "all_gather"]);
}

#[test]
fn the_rules_of_communication_are_shown_and_extended() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_omni-trace")).args(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, rules, _) = run(&["analyze", "--print-comm-rules"]);
    assert_eq!(code, Some(0));
    assert_eq!(rules, omni_trace::analyze::comm_rules::DEFAULT_COMM_RULES);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let own = write("own.rules", "comm.mine name my_*");
    let (_, both, _) = run(&["analyze", "--print-comm-rules", "--comm-rules", &own]);
    assert_eq!(both, format!("comm.mine name my_*\n{rules}"));
    let bad = write("bad.rules", "# fine\ncomm.mine sum my_*\n");
    let (code, _, stderr) = run(&["analyze", "--print-comm-rules", "--comm-rules", &bad]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("bad.rules, line 2: unknown operation `sum`"), "{stderr}");
    assert!(stderr.contains("\nhint: ") && stderr.contains("--print-comm-rules"), "{stderr}");
}

#[test]
fn case_34_memory_has_its_peak_and_its_failure() {
    let Some(path) = case("34_memory_oom.json") else { return };
    let memory = report("analyze", &path, &[])["memory"].clone();
    let right = json!([{
        "input": 0, "device": 0, "allocated_peak_bytes": 5_368_709_120_u64,
        "reserved_peak_bytes": 6_442_450_944_u64, "peak_at_ns": 410_000, "out_of_memory": 1,
        "place": "device", "events": 6, "begin_bytes": 0, "end_bytes": 2_147_483_648_u64,
        "segment_allocs": null, "segment_frees": null, "retries": null, "split_bytes": null,
        "failed_bytes": 85_899_345_920_u64, "source": "trace",
    }]);
    assert_eq!(memory, right);
    let part = report("analyze", &path, &["--window", "..250us"])["memory"].clone();
    assert_eq!(
        (&part[0]["allocated_peak_bytes"], &part[0]["out_of_memory"]),
        (&json!(3_221_225_472_u64), &json!(0))
    );
}

#[test]
fn case_49_sglangs_receiver_waits_wherever_it_lies() {
    let Some(path) = case("49_sglang_recv.json") else { return };
    assert_eq!(report("analyze", &path, &[])["totals"]["ipc_wait_ns"], 6_000_000);
}

#[test]
fn steps_of_engines_are_iterations_with_their_sums() {
    let vllm = "execute_12_context_1(sq8sk9sqsq64sqsk72)_generation_4(sq4sk40sqsq4sqsk40)";
    let step = |name: &str, ts| event("user_annotation", name, (500, ts, 80.0), json!({}));
    let events = json!([
        event("cpu_op", "aten::mm", (500, 990, 5.0), json!({"External id": 1})),
        step(vllm, 1000),
        step("step[DECODE bs=64 g_sq=128 g_sqsq=256 g_sqsk=262144 g_sk=131072]", 1100),
        step("prefill[bs=2 tok=14721 ctx=[7803, 6918]]", 1200),
        step("train_step_3", 1300),
        step("1F1B", 1400),
        step("Optimizer.step#AdamW.step", 1500),
    ]);
    let (_folder, path) = trace("rank0.json", "NVIDIA H100 80GB HBM3", events);
    let report = report("analyze", &path, &[]);
    let rows = report["iterations"].as_array().unwrap();
    let said = |row: &Value| ["scheme", "phase"].map(|key| row[key].as_str().unwrap().to_owned());
    let words: Vec<String> = rows.iter().map(|row| said(row).join(" ")).collect();
    let right =
        ["execute mixed", "step decode", "forward prefill", "train_step unknown", "1f1b unknown"];
    assert_eq!(words, right);
    let of = |row: usize, keys: [&str; 4]| keys.map(|key| rows[row][key].as_u64());
    let context = ["context_tokens", "context_sk", "context_sqsq", "context_sqsk"];
    let generation = ["generation_tokens", "generation_sk", "generation_sqsq", "generation_sqsk"];
    assert_eq!(of(0, context), [8, 9, 64, 72].map(Some));
    assert_eq!(of(0, generation), [4, 40, 4, 40].map(Some));
    assert_eq!(of(1, generation), [128, 131_072, 256, 262_144].map(Some));
    assert_eq!(of(2, context), [Some(14_721), None, None, None]);
}

#[test]
fn coordinates_of_a_files_name_are_in_inputs() {
    let events = json!([event("cpu_op", "aten::mm", (500, 990, 5.0), json!({"External id": 1}))]);
    for (name, right) in [
        ("170.1-TP-3-DP-0-PP-0-EP-1.trace.json", json!([3, 3, 0, 0, 1])),
        ("170.1-TP-0-DP-1-PP-0-EP-0.trace.json", json!([null, 0, 1, 0, 0])),
        ("primus-megatron-exp[x]-rank[3].17.pt.trace.json", json!([3, null, null, null, null])),
        ("trace_rank=6.json", json!([6, null, null, null, null])),
        ("host_worker5.17.pt.trace.json", json!([5, null, null, null, null])),
    ] {
        let (folder, _) = trace(name, "NVIDIA H100 80GB HBM3", events.clone());
        let row = &report("analyze", folder.path(), &[])["inputs"][0];
        let keys = ["rank", "tp_rank", "dp_rank", "pp_rank", "ep_rank"];
        assert_eq!(json!(keys.map(|key| row[key].clone())), right, "{name}");
    }
}

/// Of each kernel the operator of most launches, its streams, and how often an iteration that launches it does.
#[test]
fn kernels_say_where_they_come_from() {
    let mut events: Vec<Value> = Vec::new();
    let step = "execute_context_0(0)_generation_1(1)";
    for ts in [1_000, 2_000] {
        events.push(event("user_annotation", step, (500, ts, 500.0), json!({})));
    }
    // Twice in the first iteration, in an operator each; three times in the second, once outside of an operator.
    for (nth, ts) in [1_100, 1_200, 2_100, 2_200].into_iter().enumerate() {
        let name = if nth == 0 { "aten::bmm" } else { "aten::mm" };
        events.push(event("cpu_op", name, (500, ts - 10, 20.0), json!({})));
        events.extend(kernel("product", ts, 3.0, 1 + nth as u32));
    }
    events.extend(kernel("product", 2_300, 3.0, 5));
    // Outside of iterations, and of one alone.
    events.extend(kernel("product", 3_000, 3.0, 6));
    events.extend(kernel("seldom", 2_400, 3.0, 7));
    events.extend(kernel("elsewhere", 4_000, 3.0, 8));
    let (_folder, path) = trace("rank0.json", "NVIDIA H100", Value::Array(events));
    let kernels = report("analyze", &path, &["--table", "kernels"])["kernels"].clone();
    let of = |name: &str| {
        let row = kernels.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
        json!([row["count"], row["operator"], row["streams"], row["per_iteration"]])
    };
    assert_eq!(of("product"), json!([6, "aten::mm", "7", 2.5]));
    assert_eq!(of("seldom"), json!([1, null, "7", 1.0]));
    assert_eq!(of("elsewhere"), json!([1, null, "7", null]));
}
