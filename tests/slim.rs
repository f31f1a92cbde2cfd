//! Slimming: what stays gives the same figures, and it is small.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod program;

use std::path::{Path, PathBuf};

use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::iterations::iterations;
use omni_trace::analyze::kernels::{activity_durations, activity_stats, merge_durations};
use omni_trace::analyze::timeline::Class;
use omni_trace::read::{ReadOptions, read_input};
use omni_trace::store::Store;
use program::omni_trace;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn slim(path: &Path, out: &Path, flags: &[&str]) -> serde_json::Value {
    let mut args = vec!["slim", text(path), "-o", text(out), "--format", "json"];
    args.extend(flags);
    let output = omni_trace(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn store(path: &Path) -> Store {
    read_input(path, &ReadOptions { threads: 2, force_slow_path: false }).unwrap().store
}

/// Kernels, waits of every thread, and iterations, in words without slice numbers.
fn figures(store: &Store) -> String {
    let base = TimeBase::new(store, &TimeConfig::default());
    let mut words = format!("{:?} {:?}\n", base.windows.file, base.windows.devices);
    words += &format!("{:?}\n", activity_stats(&merge_durations(vec![activity_durations(store)])));
    for thread in &base.threads {
        let totals = thread.timeline.totals();
        words +=
            &format!("{} {:?} ipc {}\n", thread.track, thread.kind, totals.get(Class::IpcWait));
        words += &format!(
            "sync {} load {}\n",
            totals.get(Class::GpuSync),
            totals.get(Class::ModuleLoading)
        );
        for wait in &thread.waits {
            let slice = wait.slice as usize;
            let span = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
            words += &format!("{:?} {:?} {span:?} {}\n", wait.class, wait.rule, store.name(slice));
        }
    }
    for row in iterations(store, &base).rows {
        words += &format!(
            "{} {} {} {} {:?} {:?} {:?} {:?} {:?}\n",
            row.name,
            row.start_ns,
            row.cpu_ns,
            row.n_kernels,
            row.kernel_sum_ns,
            row.kernel_busy_ns,
            row.ipc_wait_before_ns,
            row.ipc_wait_inside_ns,
            row.gap_to_next_ns
        );
    }
    words
}

fn traces_with_waits() -> Vec<PathBuf> {
    let wanted = ["py_pipe_tiny", "py_pipe_tp2", "v030_tp2_mp/", "v012_tp2_env"];
    let all = common::real_traces();
    all.into_iter().filter(|path| wanted.iter().any(|part| text(path).contains(part))).collect()
}

#[test]
fn collapsed_waits_change_no_figure() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("slim.json.gz");
    for path in traces_with_waits() {
        let report = slim(&path, &out, &[]);
        let (before, after) = (store(&path), store(&out));
        assert!(figures(&before) == figures(&after), "{}", path.display());
        let small = report["output"]["bytes"].as_u64().unwrap();
        if text(&path).contains("v030_tp2_mp/") {
            let bytes = std::fs::metadata(&path).unwrap().len();
            assert!(small * 10 < bytes, "{}: {bytes} became {small}", path.display());
        }
        assert_eq!(before.meta.layout, after.meta.layout);
    }
}

#[test]
fn filters_take_what_they_say() {
    let Some(path) =
        traces_with_waits().into_iter().find(|path| text(path).contains("py_pipe_tiny"))
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("slim.json");
    let whole = store(&path);
    slim(&path, &out, &["--keep-waits", "--only", "kernel,gpu_memcpy"]);
    let kernels = store(&out);
    let count = |store: &Store, wanted: &[&str]| {
        (0..store.slices.len()).filter(|&slice| wanted.contains(&store.category(slice))).count()
    };
    assert_eq!(count(&whole, &["kernel", "gpu_memcpy", "Trace"]), kernels.slices.len());
    slim(&path, &out, &["--keep-waits", "--drop", "python_function,/^aten::/"]);
    let rest = store(&out);
    assert!(
        (0..rest.slices.len())
            .all(|s| rest.category(s) != "python_function" && !rest.name(s).starts_with("aten::"))
    );
    slim(&path, &out, &["--keep-waits", "--max-stack-depth", "3", "--min-dur", "10us"]);
    let shallow = store(&out);
    let frames = |s: &usize| shallow.category(*s) == "python_function";
    assert!((0..shallow.slices.len()).filter(frames).all(|s| shallow.slices.dur_ns(s) >= 10_000));
    slim(&path, &out, &["--keep-waits", "--window", "10ms..20ms"]);
    let part = store(&out);
    let start = (0..whole.slices.len())
        .find(|&s| whole.category(s) == "Trace")
        .map(|s| whole.slices.ts_ns[s])
        .unwrap();
    let meets = |store: &Store, s: usize| {
        store.slices.ts_ns[s] < start + 20_000_000 && store.slices.end_ns(s) >= start + 10_000_000
    };
    let host = |store: &Store| {
        (0..store.slices.len())
            .filter(|&s| !store.kind(s).is_device_activity() && meets(store, s))
            .count()
    };
    assert!(part.slices.len() < whole.slices.len());
    assert_eq!(host(&part), host(&whole));
    slim(&path, &out, &["--drop-args", "all"]);
    assert_eq!(figures(&whole), figures(&store(&out)));
    let report = slim(&path, &out, &["--iterations", "0"]);
    assert!(
        report["categories"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["gone_events"].as_u64() > Some(0))
    );
}
