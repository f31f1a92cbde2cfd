"""How often `omni-trace diff` tells apart runs that are the same program, and how often it names a planted change first.

    cargo build --release && cargo build --release -p omni-trace-capture
    python3 benches/diff_pairs.py --runs 400 --planted 100 [--gpu 60] [--lanes 4] [--seconds 320] [-o pairs.jsonl]

Every run is a process of its own, captured by `omni-trace-capture`: the thinker of the `omni` pipeline on a CPU, 60 iterations after
10 that are skipped. Planted runs differ in one thing, the size of the vocabulary (6,000 instead of 1,000), so that `aten::addmm`
of the head and `aten::topk` behind it take longer. With `--gpu` also runs of the `diffusion` pipeline on a GPU. The runs are
shuffled and go side by side in `--lanes` lanes of cores of their own, so that what changes on the machine meanwhile meets both
sides. Prints what `diff --gate 3%` said of pairs of single runs, and of three and five runs a side.
"""

import argparse
import collections
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

CPU = "--pipeline omni --stages 0 --size tiny --device cpu --waits none".split()
GPU = "--pipeline diffusion --size small --device cuda --iterate step".split()
WINDOW = "--max-iters 60 --delay-iters 10 --warmup-iters 3 --seed 1".split()


def captured(options, folder, cores, name):
    """Whether a run was captured, into a folder of its name."""
    kind = {"n": [*CPU, "--vocab", "1000"], "p": [*CPU, "--vocab", "6000"], "g": GPU}[name[0]]
    command = [options.capture, *kind, *WINDOW, "-o", os.path.join(folder, name)]
    done = subprocess.run(["taskset", "-c", cores, *command], capture_output=True, text=True)
    if done.returncode:
        print(f"{name}: status {done.returncode}: {done.stderr[-300:]}", file=sys.stderr)
    return done.returncode == 0


def capture_all(options, folder):
    """The names of the runs that were captured."""
    names = [f"n{i:03}" for i in range(options.runs)] + [f"p{i:03}" for i in range(options.planted)]
    random.Random(5).shuffle(names)
    on_gpu = [f"g{i:03}" for i in range(options.gpu)]
    width = os.cpu_count() // (options.lanes + bool(on_gpu))
    end = time.monotonic() + options.seconds
    done = []

    def lane(number, waiting):
        cores = ",".join(str(number * width + core) for core in range(width))
        while waiting and time.monotonic() < end:
            name = waiting.pop()
            if captured(options, folder, cores, name):
                done.append(name)

    with ThreadPoolExecutor(options.lanes + 1) as pool:
        lanes = [pool.submit(lane, number, names) for number in range(options.lanes)]
        lanes += [pool.submit(lane, options.lanes, on_gpu)] if on_gpu else []
        for one in lanes:
            one.result()
    return sorted(done)


def compared(options, folder, a, b):
    """What `diff` says of some runs against others."""
    path = lambda names: [os.path.join(folder, name) for name in names]
    words = ["diff", "--a", *path(a), "--b", *path(b), "--gate", "3%", "--format", "json", "-q"]
    output = subprocess.run([options.binary, *words], capture_output=True, text=True)
    said = json.loads(output.stdout)
    shown = [cause["name"] for cause in said["causes"] if cause["is_shown"]]
    return {"a": a, "b": b, "verdict": said["verdict"], "total": said["total"], "first": shown[0] if shown else None}


def groups(names, kind, size):
    own = [name for name in names if name[0] == kind]
    return [own[i : i + size] for i in range(0, len(own) - size + 1, size)]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--runs", type=int, default=400)
    arguments.add_argument("--planted", type=int, default=100)
    arguments.add_argument("--gpu", type=int, default=0)
    arguments.add_argument("--lanes", type=int, default=max(1, os.cpu_count() // 4))
    arguments.add_argument("--seconds", type=float, default=600, help="no run begins later")
    arguments.add_argument("--binary", default="target/release/omni-trace")
    arguments.add_argument("--capture", default="target/release/omni-trace-capture")
    arguments.add_argument("-o", "--output", help="a file for every pair, a line of JSON each")
    options = arguments.parse_args()
    lines = []
    print("| pairs | runs a side | pairs tried | verdicts | first cause that is shown |\n| --- | ---: | ---: | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        names = capture_all(options, folder)
        for kind, other, label in (("n", "n", "same program, CPU"), ("n", "p", "planted, CPU"), ("g", "g", "same program, GPU")):
            for size in (1, 3, 5):
                own = groups(names, kind, size)
                pairs = list(zip(own[::2], own[1::2]) if kind == other else zip(own, groups(names, other, size)))
                found = list(pool.map(lambda pair: compared(options, folder, *pair), pairs))
                lines += [{"pairs": label, **one} for one in found]
                verdicts, firsts = (collections.Counter(one[key] for one in found) for key in ("verdict", "first"))
                told = [", ".join(f"{count} {word}" for word, count in counts.most_common(4)) for counts in (verdicts, firsts)]
                if found:
                    print(f"| {label} | {size} | {len(found)} | {told[0]} | {told[1]} |", flush=True)
    if options.output:
        with open(options.output, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


main()
