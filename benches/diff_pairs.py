"""How often `omni-trace diff` tells apart runs that are the same program, and how often it names a planted change first.

    cargo build --release && cargo build --release -p omni-trace-capture
    python3 benches/diff_pairs.py --runs tiny=240 small=160 tiny+=80 small+=60 gpu=60 --seed 7 [-o pairs.jsonl]

Every run is a process of its own, captured by `omni-trace-capture`: the thinker of the `omni` pipeline on a CPU, 60 iterations
after 10 that are skipped, in two sizes; `+` is the planted change, a larger vocabulary (6,000 or 4,000 instead of 1,000), so that
`aten::addmm` of the head and `aten::topk` behind it take longer. `gpu` is the `diffusion` pipeline on a GPU. The runs are
shuffled and go side by side in `--lanes` lanes of cores of their own, so that what changes on the machine meanwhile meets both
sides. Every run becomes a baseline; prints what `diff --gate 3%` says of pairs of single runs, of three and five runs a side, and
of one run against five.
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

THINKER = "--pipeline omni --stages 0 --device cpu --waits none".split()
KINDS = {
    "tiny": [*THINKER, "--size", "tiny", "--vocab", "1000"],
    "small": [*THINKER, "--size", "small", "--vocab", "1000"],
    "tiny+": [*THINKER, "--size", "tiny", "--vocab", "6000"],
    "small+": [*THINKER, "--size", "small", "--vocab", "4000"],
    "gpu": "--pipeline diffusion --size small --device cuda --iterate step".split(),
}
WINDOW = "--max-iters 60 --delay-iters 10 --warmup-iters 3".split()
PLANTED = ("aten::addmm", "aten::topk")


def captured(options, folder, cores, kind, name):
    """Captures a run and keeps it as a baseline."""
    run, base = os.path.join(folder, "run-" + name), os.path.join(folder, name + ".json")
    capture = [options.capture, *KINDS[kind], *WINDOW, "--seed", options.seed, "-o", run]
    save = [options.binary, "diff", run, "--save-baseline", base, "-q"]
    for command in (["taskset", "-c", cores, *capture], ["taskset", "-c", cores, *save]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{name}: status {done.returncode}: {done.stderr[-300:]}", file=sys.stderr)
            return False
    return True


def capture_all(options, folder):
    """The names of the runs that were captured, by kind."""
    wanted = [(kind, f"{kind}-{i:03}") for kind, n in options.runs for i in range(n)]
    on_cpu, on_gpu = ([one for one in wanted if (one[0] == "gpu") == is_gpu] for is_gpu in (False, True))
    random.Random(5).shuffle(on_cpu)
    width = os.cpu_count() // (options.lanes + bool(on_gpu))
    end = time.monotonic() + options.seconds
    done = collections.defaultdict(list)

    def lane(number, waiting):
        cores = ",".join(str(number * width + core) for core in range(width))
        while waiting and time.monotonic() < end:
            kind, name = waiting.pop()
            if captured(options, folder, cores, kind, name):
                done[kind].append(os.path.join(folder, name + ".json"))

    with ThreadPoolExecutor(options.lanes + 1) as pool:
        lanes = [pool.submit(lane, number, on_cpu) for number in range(options.lanes)]
        lanes += [pool.submit(lane, options.lanes, on_gpu)] if on_gpu else []
        for one in lanes:
            one.result()
    return {kind: sorted(names) for kind, names in done.items()}


def compared(options, label, a, b):
    """What `diff` says of some runs against others."""
    words = ["diff", "--a", *a, "--b", *b, "--gate", "3%", "--format", "json", "-q"]
    output = subprocess.run([options.binary, *words], capture_output=True, text=True)
    said = json.loads(output.stdout)
    name = lambda path: os.path.basename(path)[:-5]
    first = [(cause["name"], cause["diff_ns"], cause["is_shown"]) for cause in said["causes"][:3]]
    return {
        "pairs": label,
        "a": [name(path) for path in a],
        "b": [name(path) for path in b],
        "verdict": said["verdict"],
        "gate": said["gates"][0],
        "total": said["total"],
        "first": first,
    }


def is_showable(one):
    """Slower by 3 % at least, and by twice the smallest difference that the output says it could show."""
    total = one["total"]
    diff, detectable = total["rate_ns"], total["detectable_ns"]
    return detectable is not None and diff >= 0.03 * total["a_ns"] and diff >= 2 * detectable


def row(label, size, found):
    """A line of the table."""
    verdicts = collections.Counter(one["verdict"] for one in found)
    counts = [verdicts[word] for word in ("regression", "improvement", "no_change_shown", "inconclusive")]
    # What the interval of iterations alone would have said.
    of_old = [(one["gate"]["low_pct"], one["gate"]["high_pct"]) for one in found]
    old = sum(low is not None and (low > 3 or high < -3) for low, high in of_old)
    showable = [one for one in found if "+" in label and is_showable(one)]
    named = sum(bool(one["first"]) and one["first"][0][0] in PLANTED for one in showable)
    planted = f"{named} of {len(showable)}" if "+" in label else "-"
    return f"| {label} | {size} | {len(found)} | " + " | ".join(map(str, counts)) + f" | {old} | {planted} |"


def parted(names, size):
    return [names[i : i + size] for i in range(0, len(names) - size + 1, size)]


def pairs_of(a, b, sizes):
    """Pairs of runs of two kinds, or of one."""
    if a is not b:
        return list(zip(parted(a, sizes[0]), parted(b, sizes[1])))
    together = parted(a, sum(sizes))
    return [(own[: sizes[0]], own[sizes[0] :]) for own in together]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--runs", nargs="+", default=["tiny=240", "small=160", "tiny+=80", "small+=60"], metavar="KIND=N")
    arguments.add_argument("--seed", default="1", help="of the weights and inputs of every run")
    arguments.add_argument("--lanes", type=int, default=max(1, os.cpu_count() // 4))
    arguments.add_argument("--seconds", type=float, default=600, help="no run begins later")
    arguments.add_argument("--binary", default="target/release/omni-trace")
    arguments.add_argument("--capture", default="target/release/omni-trace-capture")
    arguments.add_argument("-o", "--output", help="a file for every pair, a line of JSON each")
    options = arguments.parse_args()
    options.runs = [(kind, int(n)) for kind, n in (one.split("=") for one in options.runs)]
    lines = []
    print("| pairs | runs a side | tried | regression | improvement | no change | inconclusive | by iterations alone | named first |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        begin = time.monotonic()
        names = capture_all(options, folder)
        print(f"{sum(map(len, names.values()))} runs in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
        for a, b in (("tiny", "tiny"), ("small", "small"), ("gpu", "gpu"), ("tiny", "tiny+"), ("small", "small+")):
            for sizes in ((1, 1), (3, 3), (5, 5), (5, 1)):
                pairs = pairs_of(names[a], names[b], sizes) if a in names and b in names else []
                label = a if a == b else f"{a}, {b}"
                found = list(pool.map(lambda pair: compared(options, label, *pair), pairs))
                lines += found
                if found:
                    print(row(label, "{} : {}".format(*sizes), found), flush=True)
    if options.output:
        with open(options.output, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


main()
