//! Traces of writers other than Kineto: devices, calls, copies and spans by what their own names say.

mod common;

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// A case of the shared folder; `None` (said aloud) where it is missing.
fn case(name: &str) -> Option<PathBuf> {
    let traces = common::shared_traces()?;
    let path = traces.parent()?.join("cases").join(name);
    assert!(path.exists(), "{} is missing", path.display());
    Some(path)
}

fn analyze(path: &std::path::Path) -> Value {
    let out = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(["analyze", "--format", "json", "--quiet"])
        .arg(path)
        .output()
        .expect("the program runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("the machine output is JSON")
}

fn rows<'a>(report: &'a Value, table: &str) -> &'a Vec<Value> {
    report[table].as_array().unwrap_or_else(|| panic!("{table} is a table"))
}

/// (count, sum) of all rows of a table with a name.
fn of_name(report: &Value, table: &str, name: &str) -> (i64, i64) {
    let of = rows(report, table).iter().filter(|row| row["name"] == name);
    of.fold((0, 0), |sum, row| {
        let int = |key: &str| row[key].as_i64().unwrap_or_default();
        (sum.0 + int("count"), sum.1 + int("sum_ns"))
    })
}

fn class_ns(report: &Value, class: &str) -> i64 {
    let threads = rows(report, "threads").iter();
    let classes = threads.flat_map(|thread| thread["classes"].as_array().into_iter().flatten());
    classes.filter(|one| one["class"] == class).filter_map(|one| one["ns"].as_i64()).sum()
}

#[test]
fn cases_01_02_ascend() {
    for name in ["01_ascend_msprof.json", "02_ascend_trace_view.json"] {
        let Some(path) = case(name) else { return };
        let report = analyze(&path);
        let [device] = rows(&report, "devices").as_slice() else { panic!("{name}: one device") };
        assert_eq!((&device["device"], &device["name"]), (&0.into(), &"NPU 0".into()), "{name}");
        assert_eq!(device["comm_busy_ns"], 500_000, "{name}");
        assert_eq!(device["kernel_sum_ns"], 820_000, "{name}: 320 of computing, 500 of HCCL");
        assert_eq!(device["memcpy_busy_ns"], 50_000, "{name}");
        for (kernel, ns) in [
            ("MatMulV3", 100_000),
            ("aclnnAdd_AddAiCore_Add", 20_000),
            ("FlashAttentionScore", 200_000),
            ("hcom_allReduce__123_0_1", 500_000),
            ("MEMCPY_ASYNC", 50_000),
        ] {
            assert_eq!(of_name(&report, "kernels", kernel), (1, ns), "{name}: {kernel}");
        }
        for mark in ["EVENT_WAIT", "EVENT_RECORD", "Computing", "Free", "Reduce_Inline"] {
            assert_eq!(of_name(&report, "kernels", mark), (0, 0), "{name}: {mark} is no kernel");
        }
        let wait = of_name(&report, "waits", "AscendCL@aclrtSynchronizeStream");
        assert_eq!(wait, (1, 900_000), "{name}");
        assert_eq!(class_ns(&report, "gpu_sync"), 900_000, "{name}");
    }
}

#[test]
fn case_02_operators_launch_and_steps_are_steps() {
    let Some(path) = case("02_ascend_trace_view.json") else { return };
    let report = analyze(&path);
    let op = rows(&report, "key_averages").iter().find(|row| row["name"] == "aten::matmul");
    assert_eq!(op.expect("it is a row")["device_total_ns"], 100_000, "along async_npu");
    assert_eq!(rows(&report, "iterations")[0]["name"], "ProfilerStep#3");
}

#[test]
fn the_public_ascend_sample_has_its_kernels() {
    let Some(traces) = common::shared_traces() else { return };
    let report = analyze(&traces.join("public/ascend/trace_view.json"));
    let kernels = rows(&report, "kernels").iter();
    let count: i64 = kernels.filter_map(|row| row["count"].as_i64()).sum();
    assert_eq!(count, 276);
    let steps = rows(&report, "iterations").iter();
    let steps: Vec<_> = steps.map(|row| (&row["name"], &row["n_kernels"])).collect();
    assert_eq!(steps, [(&"ProfilerStep#1".into(), &274.into())], "by operator, but the two copies");
    let mut trust = rows(&report, "trust").iter();
    let without = trust.find(|row| row["check"] == "activity_without_launch");
    assert_eq!(without.expect("the check is there")["count"], 2, "two copies have no arrow");
    let linked = rows(&report, "key_averages").iter().filter(|row| row["device_type"] == "cpu");
    let ns: i64 = linked.filter_map(|row| row["self_device_ns"].as_i64()).sum();
    let all_ns = report["totals"]["self_device_ns"].as_i64().expect("a sum");
    assert_eq!(all_ns - ns, 1_110 + 1_080, "async_npu links all but these two");
}

#[test]
fn case_03_xpu() {
    let Some(path) = case("03_xpu.json") else { return };
    let report = analyze(&path);
    assert_eq!(rows(&report, "devices")[0]["comm_busy_ns"], 300_000);
    assert_eq!(of_name(&report, "waits", "zeEventHostSynchronize").0, 1);
    assert_eq!(directions(&path), ["HtoD"]);
}

/// The directions that `bandwidth` sees.
fn directions(path: &std::path::Path) -> Vec<String> {
    let out = Command::new(env!("CARGO_BIN_EXE_omni-trace"))
        .args(["bandwidth", "--format", "json", "--quiet"])
        .arg(path)
        .output()
        .expect("the program runs");
    let report: Value = serde_json::from_slice(&out.stdout).expect("the machine output is JSON");
    let all = rows(&report, "directions").iter();
    all.filter_map(|row| row["direction"].as_str().map(str::to_owned)).collect()
}

#[test]
fn case_06_asynchronous_spans_by_name() {
    let Some(path) = case("06_nccl_profiler_plugin.json") else { return };
    let report = analyze(&path);
    assert_eq!(of_name(&report, "activity", "KernelLaunch"), (3, 30_000));
    assert_eq!(of_name(&report, "activity", "AllReduce"), (3, 5_400_000));
    let said = report["verdict"].to_string();
    assert!(!said.contains("none of"), "what the events are is not denied: {said}");
}

#[test]
fn case_09_legacy_autograd() {
    let Some(path) = case("09_legacy_autograd.json") else { return };
    let report = analyze(&path);
    let find = |on: &str| {
        let mut all = rows(&report, "key_averages").iter();
        all.find(|row| row["name"] == "aten::mul" && row["device_type"] == on).expect("a row")
    };
    assert_eq!((&find("cpu")["count"], &find("cpu")["self_cpu_ns"]), (&5.into(), &270_000.into()));
    assert_eq!(find("cpu")["self_device_ns"], 102_500, "along cpu_to_cuda");
    assert_eq!(
        (&find("device")["count"], &find("device")["self_device_ns"]),
        (&5.into(), &102_500.into())
    );
    assert_eq!(rows(&report, "devices")[0]["device"], 0);
}

#[test]
fn cases_21_21b_22_xla_and_tensorflow() {
    let Some(path) = case("21_jax_trace_viewer.json") else { return };
    let report = analyze(&path);
    assert_eq!(of_name(&report, "kernels", "loop_fusion_3"), (4, 482_000));
    assert_eq!(of_name(&report, "kernels", "loop_fusion.3"), (0, 0), "XLA Ops repeat kernels");
    assert_eq!(rows(&report, "devices")[0]["device"], 0);
    assert_eq!(directions(&path), ["HtoD"]);
    let Some(path) = case("21b_jax_tpu.json") else { return };
    let report = analyze(&path);
    assert_eq!(rows(&report, "devices")[0]["name"], "/device:TPU:0");
    assert!(rows(&report, "devices")[0]["comm_busy_ns"].as_i64() >= Some(90_000));
    let Some(path) = case("22_tf_timeline.json") else { return };
    let report = analyze(&path);
    assert_eq!(of_name(&report, "kernels", "Conv2D"), (3, 210_000));
    assert_eq!(of_name(&report, "kernels", "MEMCPYHtoD"), (1, 9_000));
    assert_eq!(rows(&report, "devices")[0]["device"], 0);
}

#[test]
fn case_40_old_rocm() {
    let Some(path) = case("40_old_rocm_no_args.json") else { return };
    assert_eq!(directions(&path), ["HtoD"]);
    let report = analyze(&path);
    let without =
        rows(&report, "trust").iter().find(|row| row["check"] == "activity_without_launch");
    assert_eq!(without.expect("the check is there")["count"], 6);
}

#[test]
fn case_71_proton_is_found_in_a_directory() {
    let Some(path) = case("71_proton.chrome_trace") else { return };
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("proton");
    std::fs::create_dir_all(&dir).expect("a folder for the test");
    std::fs::copy(&path, dir.join("matmul.chrome_trace")).expect("the case can be copied");
    let report = analyze(&dir);
    let busy: i64 = rows(&report, "devices").iter().filter_map(|d| d["busy_ns"].as_i64()).sum();
    assert_eq!(busy, 601_000, "the union over both streams");
}

/// A trace of a few events as a file of the test.
fn written(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("the folder of the test can be written");
    path
}

#[test]
fn every_phase_is_read_or_named_with_its_count() {
    let path = written(
        "phases.json",
        r#"[{"ph":"N","name":"o","id":1,"ts":0,"pid":1,"tid":1},{"ph":"O","name":"o","id":1,"ts":1,"pid":1,"tid":1},
        {"ph":"O","name":"o","id":1,"ts":2,"pid":1,"tid":1},{"ph":"P","name":"s","ts":2,"pid":1,"tid":1},
        {"ph":"b","cat":"a","name":"io","id2":{"local":"0x1"},"ts":1,"pid":1,"tid":1},
        {"ph":"b","cat":"a","name":"io","id2":{"local":"0x1"},"ts":2,"pid":2,"tid":1},
        {"ph":"n","cat":"a","name":"mark","id2":{"local":"0x1"},"ts":2,"pid":2,"tid":1},
        {"ph":"e","cat":"a","name":"io","id2":{"local":"0x1"},"ts":4,"pid":1,"tid":9},
        {"ph":"e","cat":"a","name":"io","id2":{"local":"0x1"},"ts":9,"pid":2,"tid":1}]"#,
    );
    let report = analyze(&path);
    let named: Vec<(String, i64)> = rows(&report, "issues")
        .iter()
        .filter(|row| row["kind"] == "ignored_phase")
        .map(|row| (row["message"].to_string(), row["count"].as_i64().unwrap_or_default()))
        .collect();
    let count = |phase: &str| named.iter().find(|(text, _)| text.contains(phase)).map(|one| one.1);
    assert_eq!([count("`N`"), count("`O`"), count("`P`")], [Some(1), Some(2), Some(1)]);
    assert_eq!(of_name(&report, "activity", "io"), (2, 10_000), "ids hold within their process");
}

#[test]
fn rocprof_and_tools_that_name_processes_after_devices() {
    let path = written(
        "rocprof.json",
        r#"{"traceEvents":[{"args":{"name":"CPU HIP API"},"ph":"M","pid":2,"name":"process_name"},
        {"args":{"name":"GPU0"},"ph":"M","pid":6,"name":"process_name"},
        {"args":{"name":"COPY"},"ph":"M","pid":1,"name":"process_name"},
        {"ph":"X","name":"hipLaunchKernel","pid":2,"tid":7,"ts":1,"dur":2,"args":{}},
        {"ph":"X","name":"hipDeviceSynchronize","pid":2,"tid":7,"ts":4,"dur":20,"args":{}},
        {"ph":"X","name":"gemm","pid":6,"tid":0,"ts":5,"dur":10,"args":{"dev-id":"0","queue-id":"0"}},
        {"ph":"X","name":"CopyDeviceToHost","pid":1,"tid":0,"ts":16,"dur":3,"args":{"dev-id":"0"}}]}"#,
    );
    let report = analyze(&path);
    let [device] = rows(&report, "devices").as_slice() else { panic!("one device") };
    assert_eq!((&device["device"], &device["kernel_busy_ns"]), (&0.into(), &10_000.into()));
    assert_eq!(device["memcpy_busy_ns"], 3_000);
    assert_eq!(class_ns(&report, "gpu_sync"), 20_000);
    let path = written(
        "tool.json",
        r#"[{"ph":"X","name":"k","cat":"cuda","pid":"Device 3","tid":"Stream 7","ts":1,"dur":2},
        {"ph":"X","name":"cudaLaunchKernel","cat":"cuda_api","pid":"Host 9","tid":"CUDA API 9","ts":0,"dur":1}]"#,
    );
    let report = analyze(&path);
    assert_eq!(rows(&report, "devices")[0]["device"], 3);
    assert_eq!(rows(&report, "devices")[0]["busy_ns"], 2_000);
}

#[test]
fn onnx_runtime_nodes_are_operators_and_a_pid_is_no_device() {
    let path = written(
        "onnx.json",
        r#"[{"cat":"Session","pid":4242,"tid":4242,"dur":90,"ts":0,"ph":"X","name":"model_run","args":{}},
        {"cat":"Node","pid":4242,"tid":4242,"dur":50,"ts":10,"ph":"X","name":"conv_kernel_time","args":{"op_name":"Conv"}},
        {"cat":"Kernel","pid":4242,"tid":4242,"dur":30,"ts":20,"ph":"X","name":"implicit_gemm","args":{"stream":"7"}}]"#,
    );
    let report = analyze(&path);
    assert_eq!(rows(&report, "devices")[0]["device"], Value::Null, "a process id is no device");
    let mut ops = rows(&report, "key_averages").iter();
    assert!(ops.any(|row| row["name"] == "conv_kernel_time" && row["device_type"] == "cpu"));
}

/// Ends of flows pair by equal ids, whatever the ids are: numbers, digits to base 16 with and without `0x`, any text.
#[test]
fn ids_of_flows_are_any_text() {
    let mut events = vec![
        r#"{"ph":"M","name":"process_name","pid":2,"args":{"name":"Ascend Hardware"}}"#.to_owned(),
        r#"{"ph":"M","name":"process_name","pid":1,"args":{"name":"CANN"}}"#.to_owned(),
    ];
    let ids = [
        "7",
        "\"7f\"",
        "\"0x9A\"",
        "\"HostToDevice12\"",
        "\"99999999999999999999999\"",
        "-3",
        "\"a-b\"",
    ];
    for (n, id) in ids.iter().enumerate() {
        let (call, kernel) = (10 * n, 10 * n + 5);
        events.push(format!(
            r#"{{"ph":"X","name":"Node@launch","pid":1,"tid":1,"ts":{call},"dur":3}}"#
        ));
        events.push(format!(
            r#"{{"ph":"X","name":"k{n}","pid":2,"tid":3,"ts":{kernel},"dur":2,"args":{{"Task Type":"AI_CORE"}}}}"#
        ));
        for (ph, pid, tid, ts) in [("s", 1, 1, call + 1), ("f", 2, 3, kernel)] {
            events.push(format!(
                r#"{{"ph":"{ph}","cat":"HostToDevice","name":"a","bp":"e","id":{id},"pid":{pid},"tid":{tid},"ts":{ts}}}"#
            ));
        }
    }
    let path = written("flow_ids.json", &format!("[{}]", events.join(",")));
    let report = analyze(&path);
    assert_eq!(rows(&report, "issues").iter().find(|row| row["kind"] == "unreadable_event"), None);
    let mut trust = rows(&report, "trust").iter();
    let without = trust.find(|row| row["check"] == "activity_without_launch").expect("the check");
    assert_eq!(
        (&without["count"], &without["of"]),
        (&0.into(), &ids.len().into()),
        "all are linked"
    );
}

/// Torch on Intel devices, as it writes since 2.10: SYCL's names of launches, queues of Level Zero as text, no streams.
#[test]
fn launches_of_sycl_are_launches() {
    let kernel = r#"{"ph":"X","cat":"kernel","name":"gemm_kernel","pid":0,"tid":0,"ts":700,"dur":9,
        "args":{"External id":5,"kernel_id":1,"l0 queue":"0x55d0","sycl queue":64,"context":"0x55d1","correlation":41,
        "device":0,"submitted":1790952812114058336,"appended":1790952812114058336}},"#;
    let trace = |kernel: &str| {
        format!(
            r#"{{"schemaVersion":1,"traceEvents":[{kernel}
            {{"ph":"X","cat":"cpu_op","name":"aten::addmm","pid":9,"tid":9,"ts":10,"dur":950,"args":{{"External id":5}}}},
            {{"ph":"X","cat":"xpu_runtime","name":"urEnqueueKernelLaunch","pid":9,"tid":9,"ts":100,"dur":600,
            "args":{{"External id":5,"correlation":41}}}}]}}"#
        )
    };
    let report = analyze(&written("xpu.json", &trace(kernel)));
    let op = rows(&report, "key_averages").iter().find(|row| row["name"] == "aten::addmm");
    assert_eq!(op.expect("it is a row")["device_total_ns"], 9_000);
    let launches = |report: &Value| {
        let mut trust = rows(report, "trust").iter();
        let row = trust.find(|row| row["check"] == "launch_without_activity").expect("the check");
        (row["count"].clone(), row["of"].clone())
    };
    assert_eq!(launches(&report), (0.into(), 1.into()));
    let lost = analyze(&written("xpu_lost.json", &trace("")));
    assert_eq!(launches(&lost), (1.into(), 1.into()));
    assert!(lost["verdict"].to_string().contains("No device activity was recorded, though "));
}

/// MTIA's writer calls everything that the device does by one category: copies are copies, and events no kernels.
#[test]
fn mtias_copies_are_no_kernels_and_its_waits_nothing() {
    let Some(traces) = common::shared_traces() else { return };
    let path = traces.join("public/mtia_inference/mtia_inference_rank_0.json.gz");
    let report = analyze(&path);
    let of = |category: &str| -> Vec<(String, i64)> {
        let rows = rows(&report, "kernels").iter().filter(|row| row["category"] == category);
        let mut found: Vec<_> = rows
            .map(|row| {
                (
                    row["name"].as_str().unwrap_or_default().to_owned(),
                    row["count"].as_i64().unwrap_or(0),
                )
            })
            .collect();
        found.sort();
        found
    };
    let named = |name: &str, count: i64| (name.to_owned(), count);
    assert_eq!(of("kernel"), [named("merge", 36), named("pe_exe", 24), named("remote", 37)]);
    assert_eq!(of("gpu_memcpy"), [named("dma_request", 877)]);
}
