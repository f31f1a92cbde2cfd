"""Launches, queues and critical path of `omni-trace` beside HTA's, over HTA's own test traces.

    python3 -m venv hta && hta/bin/pip install HolisticTraceAnalysis==0.5.0 'pandas<2.3'
    hta/bin/python benches/beside_hta.py FOLDER… [--program PATH]

Each folder holds one trace. Prints the tables of reports/beside_hta.md. HTA counts microseconds, cut off from nanoseconds where a trace has
them; it leaves the last profiler step out unless told not to, and knows launches of four CUDA calls: what others start is not in its
sums. Its delay is from the end of the call to the begin, nothing where the work began before.
"""

import argparse
import contextlib
import gzip
import io
import json
import logging
import os
import subprocess
import warnings

from hta_rules import Plain

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
os.environ["CRITICAL_PATH_ADD_ZERO_WEIGHT_LAUNCH_EDGE"] = "1"

CALLS = ("cudaLaunchKernel", "cudaLaunchKernelExC", "cudaMemcpyAsync", "cudaMemsetAsync")
# What HTA calls the classes of omni-trace; all others are the host's.
KINDS = {
    "kernel": "gpu_compute_bound",
    "copy": "gpu_compute_bound",
    "comm": "gpu_communication_bound",
    "stream_gap": "gpu_kernel_kernel_overhead",
    "launch_latency": "gpu_kernel_launch_overhead",
}
# HTA's path has no time of its own for these.
NOBODYS = ("outside", "unattributed")
SHOWN = ("cpu_bound", "gpu_compute_bound", "gpu_communication_bound", "gpu_kernel_kernel_overhead", "gpu_kernel_launch_overhead")


def omni(program, command, path):
    done = subprocess.run([program, command, path, "-q", "--format", "json"], capture_output=True, text=True)
    return json.loads(done.stdout)


def events_of(path):
    opened = gzip.open if path.endswith("gz") else open
    with opened(path, "rt", errors="replace") as file:
        events = json.load(file)
    return events["traceEvents"] if isinstance(events, dict) else events


def plain(path):
    """Count, calls and delays in microseconds of what HTA's four calls start, by a plain reading."""
    calls, count, sum_us, delay_us = {}, 0, 0.0, 0.0
    whole = [event for event in events_of(path) if event.get("ph") == "X" and "correlation" in event.get("args", {})]
    for event in whole:
        if event["name"] in CALLS:
            calls[event["args"]["correlation"]] = (float(event["ts"]), float(event["dur"]))
    for event in whole:
        if "stream" in event["args"] and event["args"]["correlation"] in calls and event["name"] not in CALLS:
            ts, dur = calls[event["args"]["correlation"]]
            count, sum_us = count + 1, sum_us + dur
            delay_us += max(0.0, float(event["ts"]) - ts - dur)
    return count, sum_us, delay_us


def launches(hta, rank, report, _, path):
    frame = hta.get_cuda_kernel_launch_stats(ranks=[rank], visualize=False)[rank]
    rows = [row for row in report["launch_stats"] if row["by"] == "kernel"]
    total = lambda key: sum(row[key] for row in rows)
    count, calls, delay = plain(path)
    ours = [total("count"), total("of_graphs"), total("call_sum_ns") / 1e3, total("queue_sum_ns") / 1e3]
    return [[len(frame), count, ours[0], ours[1], frame.cpu_duration.sum(), calls, ours[2], frame.launch_delay.sum(), delay, ours[3]]]


def queues(hta, rank, report, *_):
    found = hta.get_queue_length_summary(ranks=[rank])
    ours = {(row["device"], row["stream"]): row for row in report["queue_depth"]}
    rows = []
    for (_, stream), row in found.iterrows() if found is not None else ():
        mine = next((one for (_, of), one in ours.items() if of == stream), None)
        theirs = [kind(row["queue_length"][key]) for key, kind in (("count", int), ("mean", float), ("max", int))]
        rows.append([stream, *theirs, *((2 * mine["launches"], mine["change_mean"], mine["most"]) if mine else ("-",) * 3)])
    return rows


def kinds(hta, rank, _, program, path):
    graph, _ = hta.critical_path_analysis(rank=rank, annotation="", instance_id=None)
    edges = graph.get_critical_path_breakdown()
    theirs = edges.groupby("bound_by").duration.sum().to_dict()
    mine, nobodys = dict.fromkeys(SHOWN, 0), 0
    for row in omni(program, "critical-path", path)["critical_path"]:
        if row["by"] == "class" and row["name"] in NOBODYS:
            nobodys += row["ns"]
        elif row["by"] == "class":
            mine[KINDS.get(row["name"], "cpu_bound")] += row["ns"]
    share = lambda sums, kind: 100 * sums.get(kind, 0) / max(1, sum(sums.values()))
    pairs = [f"{share(theirs, kind):.1f} / {share(mine, kind):.1f}" for kind in SHOWN]
    off = max(abs(share(theirs, kind) - share(mine, kind)) for kind in SHOWN)
    plainly = Plain(events_of(path)).heaviest()
    plain_off = max(abs(share(theirs, kind) - share(plainly, kind)) for kind in SHOWN)
    return [[round(sum(theirs.values())), round(sum(mine.values()) / 1e3), round(nobodys / 1e3), *pairs, f"{off:.1f}", round(sum(plainly.values())), f"{plain_off:.1f}"]]


def table(head, rows):
    print("\n| " + " | ".join(head) + " |\n| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(f"{cell:,.3f}" if isinstance(cell, float) else str(cell) for cell in row) + " |")


def main():
    from hta.trace_analysis import TraceAnalysis

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--program", default="target/release/omni-trace")
    options = parser.parse_args()
    of_launches, of_queues, of_paths = [], [], []
    for folder in options.folders:
        name, path = os.path.basename(folder.rstrip("/")), os.path.join(folder, os.listdir(folder)[0])
        report = omni(options.program, "analyze", path)
        for found, ask in [(of_launches, launches), (of_queues, queues), (of_paths, kinds)]:
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    hta = TraceAnalysis(trace_dir=folder, include_last_profiler_step=True)
                    rank = next(iter(hta.t.traces))
                    rows = ask(hta, rank, report, options.program, path)
            except Exception as error:  # What HTA cannot read has no row.
                print(f"{name}: {ask.__name__}: {type(error).__name__}: {error}"[:160])
                continue
            found.extend([name, *row] for row in rows)
    table("trace,HTA launches,plain,omni-trace,of graphs,HTA calls µs,plain,omni-trace,HTA delay µs,plain,queue wait µs".split(","), of_launches)
    table("trace,stream,HTA changes,mean,most,omni-trace changes,mean,most".split(","), of_queues)
    table(["trace", "HTA µs", "omni-trace µs", "nobody's µs", *SHOWN, "most apart", "plain µs", "plain apart"], of_paths)


if __name__ == "__main__":
    main()
