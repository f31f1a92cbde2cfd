#!/usr/bin/env python3
"""The counterpart of `on_device.rs` in Python's torch.profiler, and the comparison of both.

`on_device.py cost FILE.pt cpu|cuda [ROUNDS [ITERATIONS]]` prints one JSON object; `on_device.py compare OURS.json THEIRS.json`
prints the ratios to a bare iteration: the median over rounds and a 95 % interval by bootstrap (fixed seed).
"""
import json
import os
import random
import statistics
import sys
import time

WIDTH, TOKENS, BLOCKS = 256, 64, 4
WEIGHTS = [(WIDTH, WIDTH)] * 4 + [(WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)]
WARMUP, SETTLE = 2, 3


def cost(path, device, rounds=20, iterations=30):
    import tempfile
    import torch
    from torch.profiler import ProfilerActivity, profile, record_function, schedule

    torch.set_num_threads(1)
    torch.manual_seed(1)
    module = torch.jit.load(path, map_location=device).eval()
    shapes = [(TOKENS, WIDTH)] + WEIGHTS * BLOCKS
    inputs = [(torch.randn(shape) * 0.05).to(device) for shape in shapes]
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device == "cuda" else [])

    def step():
        module(*inputs)
        if device == "cuda":
            torch.cuda.synchronize()

    def timed(body):
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        body()
        return time.perf_counter_ns() - wall, time.process_time_ns() - cpu

    def annotated():
        with record_function("execute_context_0(0)_generation_1(1)"), record_function("forward"):
            step()

    def medians(set_):
        return [int(statistics.median(column)) for column in zip(*set_)]

    def window():
        recorded = []
        with tempfile.TemporaryDirectory() as out:
            save = lambda p: p.export_chrome_trace(os.path.join(out, "trace.json.gz"))
            plan = schedule(wait=0, warmup=WARMUP, active=iterations, repeat=1)
            with profile(activities=activities, schedule=plan, on_trace_ready=save) as profiler:
                for i in range(WARMUP + iterations):
                    sample = timed(annotated)
                    profiler.step()
                    if i >= WARMUP:
                        recorded.append(sample)
        return recorded

    all_rounds = []
    with torch.no_grad():
        for _ in range(50):
            step()
        for _ in range(rounds):
            for _ in range(SETTLE):
                step()
            bare = [timed(step) for _ in range(iterations)]
            recorded = window()
            after = [timed(step) for _ in range(iterations)]
            all_rounds.append([medians(bare), medians(recorded), medians(after)])
    print(json.dumps({"profiler": "torch.profiler", "torch": torch.__version__, "iterations": iterations,
                      "sets": ["bare", "recorded", "after"], "rounds": all_rounds}))


def interval(values, seed=1, n=2000):
    rng = random.Random(seed)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(n))
    return statistics.median(values), medians[int(n * 0.025)], medians[int(n * 0.975)]


def compare(*paths):
    for path in paths:
        result = json.load(open(path))
        sets, rounds = result["sets"], result["rounds"]
        print(f"{result['profiler']}, torch {result['torch']}: {len(rounds)} rounds of {result['iterations']} iterations")
        first = [f"{name} {rounds[0][i][0] / 1e6:.3f}" for i, name in enumerate(sets)]
        print(f"  first round, wall ms: {', '.join(first)}")
        for unit, name in enumerate(["wall", "cpu "]):
            base = statistics.median(r[0][unit] for r in rounds)
            print(f"  {name} bare {base / 1e6:.4f} ms")
            for i, name_of in enumerate(sets[1:], 1):
                against = bases(sets, name_of)
                ratios = [r[i][unit] / statistics.mean(r[s][unit] for s in against) for r in rounds]
                middle, low, high = interval([(ratio - 1) * 100 for ratio in ratios])
                print(f"  {name} {name_of:10} {statistics.median(r[i][unit] for r in rounds) / 1e6:.4f} ms {middle:+7.2f} % "
                      f"[{low:+.2f}, {high:+.2f}] of {' and '.join(sets[s] for s in against)}")


def bases(sets, name):
    """The bare iterations to compare with: those run in turn with these, or on both sides of them."""
    if "bare_again" not in sets or name in ("gated", "bare_again"):
        return [0]
    return [len(sets) - 1] if name == "after" else [0, len(sets) - 1]


if __name__ == "__main__":
    if sys.argv[1:2] == ["cost"]:
        cost(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
    else:
        compare(*sys.argv[2:])
