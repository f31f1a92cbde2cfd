"""FLOPs and bytes of operators by `omni-trace` beside TraceLens' reference tables, over TraceLens' own test traces.

    git clone https://github.com/AMD-AGI/TraceLens
    python3 benches/beside_tracelens.py TraceLens/tests/traces [--program PATH] [--all]

Prints the tables of reports/beside_tracelens.md. TraceLens' figures are those of its `unified_perf_summary.csv`, per call of an operator
with the same inputs: GFLOPS in 10^9, data moved in 2^20 bytes. Rows are joined by operator and shapes. Nothing of TraceLens is run.

Where the definitions differ, ours is brought to theirs by a rule that is named, and only then are the two compared:

bias    TraceLens adds M x N for the bias of addmm; torch's FlopCounterMode, and we, do not.
causal  TraceLens takes half of all pairs of queries and keys; the pairs that a mask leaves are N (N + 1) / 2. Of a cache it takes half
        of the squares of the queries off, where the mask hides (N N - N) / 2.
"""

import argparse
import ast
import collections
import csv
import json
import os
import subprocess

csv.field_size_limit(1 << 30)

GROUPS = {
    "GEMM": "GEMM",
    "SDPA_fwd": "attention",
    "SDPA_bwd": "attention",
    "InferenceAttention": "paged attention",
    "CONV_fwd": "convolution",
    "CONV_bwd": "convolution",
}
# Where tables have another name than their traces, or lie in a folder with several.
TRACES = {
    "inference/sglang_decode": ["sglang_Qwen3-8B_decode.json.gz", "capture_traces/bs_32_rank0.json.gz"],
    "inference/xdit_flux.1_aiter_sage": ["profile_trace_rank_0.json.gz", "capture_traces/capture_trace_rank_0.json.gz"],
    "inference/vllm_decode_full": [
        "graph_execution.json.gz",
        "capture_traces/graph_capture_rank_0.1773709742341309550.pt.trace.json.gz",
    ],
    "inference/vllm_prefilldecode_piecewise": [
        "graph_execution.json.gz",
        "capture_traces/graph_capture_rank_0.1773709679453551615.pt.trace.json.gz",
    ],
}


def traces_of(folder, table):
    """The traces that a reference table is of."""
    place = os.path.dirname(os.path.dirname(table))
    for name, files in TRACES.items():
        if os.path.join(folder, name) == place:
            return [os.path.join(place, file) for file in files]
    stem = os.path.basename(os.path.dirname(table)).replace("_perf_report_csvs", "").replace("_recompute", "")
    names = sorted(os.listdir(place))
    own = [name for name in names if name.startswith(stem) and name.endswith((".json", ".json.gz"))]
    own += [name for name in names if stem == "perf_csvs" and name.endswith((".json", ".json.gz"))]
    return [os.path.join(place, name) for name in own[:1]]


def plain_shapes(text):
    """Shapes as both write them, without brackets' kind, blanks and what is no tensor at the end."""
    value = ast.literal_eval(text)

    def bare(one):
        return tuple(bare(part) for part in one) if isinstance(one, (list, tuple)) else one

    found = list(bare(value))
    while found and found[-1] == ():
        found.pop()
    return tuple(found)


def rows_of(program, trace):
    """Our table, of one trace: a capture beside the trace that replays it would tell modules only."""
    command = [program, "analyze", "-q", "--format", "json", "--table", "roofline", trace]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "OMNI_TRACE_CACHE": "off"})
    return json.loads(done.stdout)["roofline"]


def ours(program, traces):
    """By operator and shapes: FLOPs, FLOPs that a mask leaves, and bytes, of one call; those of several kinds of inputs apart."""
    found = collections.defaultdict(set)
    for row in (row for trace in traces for row in rows_of(program, trace)):
        if row["operator"] is None or row["shapes"] is None:
            continue
        per_call = [None if row[key] is None else row[key] / row["count"] for key in ("flops", "work_flops", "bytes")]
        found[row["operator"], plain_shapes(row["shapes"])].add((row["model"], *per_call))
    return found


def theirs(table):
    """Rows of the groups that are compared."""
    with open(table, newline="") as file:
        for row in csv.DictReader(file):
            group = GROUPS.get(row["op category"])
            if group and row["GFLOPS"] not in ("", "nan") and row["Input Dims"]:
                params = ast.literal_eval(row["perf_params"]) if row["perf_params"] else {}
                # The table has float sums: exact up to a flop in 10^9.
                flops = round(float(row["GFLOPS"]) * 1e9)
                bytes_ = row["Data Moved (MB)"]
                moved = None if bytes_ in ("", "nan") else round(float(bytes_) * 2**20)
                yield group, row["name"], plain_shapes(row["Input Dims"]), flops, moved, params


def is_same(left, right):
    return left is not None and right is not None and abs(left - right) <= max(1.0, 1e-9 * abs(right))


def judged(flops, params, own):
    """How our FLOPs of a call are TraceLens'."""
    _, full, left, _ = own
    if full is None:
        return "no FLOPs"
    if is_same(full, flops):
        return "equal"
    if params.get("bias") and is_same(full + params["M"] * params["N"] * params.get("B", 1), flops):
        return "equal but for the bias"
    if params.get("causal") and is_same(full / 2, flops):
        return "equal but for the diagonal"
    if "c_sq" in params and is_same(left - params["H_Q"] * (params["d_h_qk"] + params["d_h_v"]) * params["c_sq"], flops):
        return "equal but for the diagonal"
    if is_same(left, flops):
        return "equal without masked pairs"
    return "differ"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--program", default="target/release/omni-trace")
    parser.add_argument("--all", action="store_true", help="every row that differs, not one of each trace")
    asked = parser.parse_args()
    counts, moved_counts = collections.Counter(), collections.Counter()
    differing, missing, absent = [], [], []
    folder = asked.folder.rstrip("/")
    tables = [os.path.join(place, "unified_perf_summary.csv") for place, _, files in os.walk(folder) if "unified_perf_summary.csv" in files]
    compared = 0
    for table in sorted(tables):
        traces = [path for path in traces_of(folder, table) if os.path.exists(path)]
        if not traces:
            absent.append(os.path.relpath(os.path.dirname(table), folder))
            continue
        compared += 1
        known = ours(asked.program, traces)
        for group, name, shapes, flops, moved, params in theirs(table):
            where = os.path.relpath(traces[0], folder)
            found = known.get((name, shapes), set())
            modelled = [own for own in found if own[0]]
            if not modelled:
                what = "no model" if found else "not found"
                counts[group, what] += 1
                missing.append((what, group, name, where))
                continue
            verdicts = [(judged(flops, params, own), own) for own in sorted(modelled, key=str)]
            verdict, own = next((one for one in verdicts if one[0] != "differ"), verdicts[0])
            counts[group, verdict] += 1
            same = is_same(own[3], moved)
            moved_counts[group, "equal" if same else "differ"] += 1
            if verdict == "differ" or not same:
                differing.append((group, name, where, shapes, flops, own[1], own[2], moved, own[3], verdict))
    report(compared, absent, counts, moved_counts, differing, missing, asked.all)


def report(compared, absent, counts, moved_counts, differing, missing, is_all):
    verdicts = ["equal", "equal but for the bias", "equal but for the diagonal", "equal without masked pairs", "differ", "no FLOPs", "no model", "not found"]
    groups = sorted({group for group, _ in counts})
    print(f"{compared} tables compared; without their trace: {', '.join(absent) or 'none'}.\n")
    print("| FLOPs of a call | " + " | ".join(verdicts) + " | bytes equal | bytes differ |")
    print("| --- |" + " ---: |" * (len(verdicts) + 2))
    for group in groups:
        cells = [counts[group, verdict] for verdict in verdicts] + [moved_counts[group, one] for one in ("equal", "differ")]
        print(f"| {group} | " + " | ".join(map(str, cells)) + " |")
    print("\n| group | operator | trace | inputs | FLOPs theirs | ours | unmasked | bytes theirs | ours | FLOPs |")
    print("| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    shown = set()
    for row in differing:
        if not is_all and row[:3] in shown:
            continue
        shown.add(row[:3])
        print("| " + " | ".join(str(cell) if not isinstance(cell, float) else f"{cell:.0f}" for cell in row) + " |")
    print("\n| no row of ours | group | operator | rows | traces |\n| --- | --- | --- | ---: | ---: |")
    names = collections.defaultdict(list)
    for what, group, name, where in missing:
        names[what, group, name].append(where)
    for (what, group, name), where in sorted(names.items()):
        print(f"| {what} | {group} | `{name}` | {len(where)} | {len(set(where))} |")


if __name__ == "__main__":
    main()
