#!/usr/bin/env python3
"""Checks the captures in the given directories with nothing but json: each trace against its manifest.

Per trace: recorded iterations (execute_* and diffusion_* annotations) equal the gate's number, every kernel, copy and
memset has its launch by args.correlation, no other stage is in it. Prints one line a trace; exits 1 on any failure.
"""
import collections
import gzip
import hashlib
import json
import os
import sys

DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
LAUNCH = ("cuda_runtime", "cuda_driver")


def is_iteration(event):
    name = event.get("name", "")
    return event.get("cat") == "user_annotation" and name.startswith(("execute_", "diffusion_", "ProfilerStep#"))


def check(directory):
    manifest = json.load(open(os.path.join(directory, "manifest.json")))
    sums = {f["path"]: f["sha256"] for f in manifest["files"]}
    bad = []
    for path, want in sums.items():
        got = hashlib.sha256(open(os.path.join(directory, path), "rb").read()).hexdigest()
        if got != want:
            bad.append(f"{path}: checksum differs")
    for stage in manifest["stages"]:
        for worker in stage["workers"]:
            for window in worker["windows"]:
                bad += check_window(directory, manifest, stage, worker, window)
    if manifest["outcome"] != "complete":
        bad.append(f"outcome {manifest['outcome']}: {manifest['notes']}")
    return bad


def check_window(directory, manifest, stage, worker, window):
    trace = json.load(gzip.open(os.path.join(directory, window["file"])))
    events = [e for e in trace["traceEvents"] if e.get("ph") == "X"]
    cats = collections.Counter(e.get("cat") for e in events)
    iterations = sum(map(is_iteration, events))
    launches = {e["args"]["correlation"] for e in events if e.get("cat") in LAUNCH and "correlation" in e.get("args", {})}
    device = [e for e in events if e.get("cat") in DEVICE]
    orphans = [e["name"] for e in device if e["args"].get("correlation") not in launches]
    gate = stage["gate"]
    span = next(e for e in events if e.get("cat") == "Trace")
    late = [e["name"] for e in device if e["ts"] + e["dur"] > span["ts"] + span["dur"] + 1]
    last = max((e["ts"] + e["dur"] for e in events if is_iteration(e)), default=0)
    tail = span["ts"] + span["dur"] - last
    name = f"{os.path.basename(directory)} stage {stage['id']} rank {worker['rank']}"
    print(f"{name}: delay {gate['delay_iters']} warmup {gate['warmup_iters']} max {gate['max_iters']} -> {iterations} iterations "
          f"from {window['first_iteration']}, {cats['kernel']} kernels, {cats['gpu_memcpy']} copies, {len(orphans)} without launch, "
          f"tail {tail / 1000:.3f} ms, first {worker['first_recorded_ns'] / 1e6:.3f} recorded {worker['recorded_median_ns'] / 1e6:.3f} "
          f"before {worker['unrecorded_median_ns'] / 1e6:.3f} after {worker['after_median_ns'] / 1e6:.3f} ms, "
          f"prepare {window['prepare_ns'] / 1e6:.1f} start {window['start_ns'] / 1e6:.1f} stop {window['stop_ns'] / 1e6:.1f} save {window['save_ns'] / 1e6:.1f} ms")
    bad = []
    if gate["max_iters"] is not None and window["reason"] == "max_iterations" and iterations != gate["max_iters"]:
        bad.append(f"{name}: {iterations} iterations, {gate['max_iters']} asked")
    if window["first_iteration"] != (gate["delay_iters"] + gate["warmup_iters"]) and gate["windows"] == 1:
        bad.append(f"{name}: begins at iteration {window['first_iteration']}")
    if orphans:
        bad.append(f"{name}: no launch for {orphans[:3]}")
    if worker["device"].startswith("cuda") and not cats["kernel"]:
        bad.append(f"{name}: no kernels")
    if late:
        bad.append(f"{name}: device events after the window: {late[:3]}")
    if trace["stage"]["id"] != stage["id"] or trace["trace_id"] != manifest["trace_id"]:
        bad.append(f"{name}: metadata of another stage")
    if trace["distributedInfo"]["rank"] != worker["rank"] or trace["traceName"] + ".gz" != window["file"]:
        bad.append(f"{name}: metadata does not fit")
    pids = {e["pid"] for e in events if e.get("cat") in ("cpu_op", "user_annotation")}
    if pids != {worker["pid"]}:
        bad.append(f"{name}: processes {pids}")
    return bad


if __name__ == "__main__":
    failures = [text for directory in sys.argv[1:] for text in check(directory)]
    print("\n".join(["FAILED"] + failures) if failures else "all checks passed")
    sys.exit(bool(failures))
