"""How often `omni-trace diff` tells apart runs that are the same program, and how often it names a planted change first.

    cargo build --release && cargo build --release -p omni-trace-capture
    python3 benches/diff_pairs.py record FOLDER [--runs tiny=220 py=72 sleep=24 …] [--seed 7]   needs PyTorch 2.11
    python3 benches/diff_pairs.py score FOLDER [-o pairs.jsonl]                anywhere: the tables of reports/diff_pairs.md

`record` makes a run of each kind, a process each, and keeps it as a baseline:

- `tiny`, `small`: the thinker of the `omni` pipeline on a CPU by `omni-trace-capture`, 60 iterations after 10 that are skipped; with
  `+` the planted change, a larger vocabulary, so that `aten::addmm` of the head and `aten::topk` behind it take longer; `gpu`: the
  `diffusion` pipeline on a GPU.
- `py` and `cuda`: the decoder of this file by `torch.profiler`, on a CPU and a GPU, 120 steps after 10 and 3 of warm-up; and the same with
  one planted change each, in three amounts: PLANTED says which, and what may be named first. The runs on a CPU are
  forks of one process that has imported PyTorch.

The runs are shuffled and go side by side in `--lanes` lanes of cores of their own, so that what changes on the machine meanwhile meets
both sides. `score` asks `diff --gate 3%` of pairs of single runs, of three and five runs a side, and of one run against five. No run is
in two pairs of a row of the table.
"""

import argparse
import collections
import fcntl
import fnmatch
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

THINKER = "--pipeline omni --stages 0 --device cpu --waits none".split()
CAPTURED = {
    "tiny": [*THINKER, "--size", "tiny", "--vocab", "1000"],
    "small": [*THINKER, "--size", "small", "--vocab", "1000"],
    "tiny+": [*THINKER, "--size", "tiny", "--vocab", "6000"],
    "small+": [*THINKER, "--size", "small", "--vocab", "4000"],
    "gpu": "--pipeline diffusion --size small --device cuda --iterate step".split(),
}
WINDOW = "--max-iters 60 --delay-iters 10 --warmup-iters 3".split()

# Steps of the decoder that are recorded.
STEPS = 120

# What the decoder does in a step where nothing is planted.
OF_CPU = {"device": "cpu", "width": 192, "heads": 4, "rows": 32, "keys": 128, "experts": 16, "channels": 32, "norms": 2, "cast": 2}
OF_CUDA = {"device": "cuda", "width": 2048, "heads": 16, "rows": 4096, "keys": 2048, "experts": 2048, "channels": 32, "norms": 2, "cast": 16, "spin": 100}
# By kind of run: of which program it is, the setting that is changed, its three amounts, and the names that are right.
PLANTED = {
    "sleep": ("py", "sleep", (0.5, 1.0, 2.0), ("bench::sample",)),
    "busy": ("py", "busy", (0.5, 1.0, 2.0), ("bench::rotary",)),
    "keys": ("py", "keys", (512, 1024, 2048), ("aten::_scaled_dot_product*",)),
    "experts": ("py", "experts", (160, 320, 480), ("aten::bmm",)),
    "channels": ("py", "channels", (512, 1024, 2048), ("aten::*conv*",)),
    "norms": ("py", "norms", (12, 24, 48), ("aten::native_layer_norm",)),
    "sort": ("py", "sort", (4, 8, 16), ("aten::sort",)),
    "cast": ("py", "cast", (48, 96, 192), ("aten::copy_",)),
    "cuda_spin": ("cuda", "spin", (600, 1200, 2400), ("*spin_kernel*",)),
    "cuda_keys": ("cuda", "keys", (4096, 8192, 16384), ("*flash*", "*fmha*", "*attention*", "*sdpa*")),
    "cuda_experts": ("cuda", "experts", (4096, 6144, 8192), ("*nvjet*", "*gemm*", "*cutlass*")),
    "cuda_norms": ("cuda", "norms", (16, 32, 64), ("*layer_norm*",)),
    "cuda_cast": ("cuda", "cast", (48, 96, 160), ("Memcpy DtoH*",)),
    "cuda_sleep": ("cuda", "sleep", (0.4, 0.8, 1.6), ("bench::sample",)),
}
BY_VOCABULARY = {"tiny+": "tiny", "small+": "small"}
ON_GPU = [kind for kind in ("gpu", "cuda", *PLANTED) if kind in ("gpu", "cuda") or PLANTED[kind][0] == "cuda"]
DEFAULT = ["tiny=220", "small=200", "py=216", *(f"{kind}=27" for kind, of in PLANTED.items() if of[0] == "py")]


class Decoder:
    """A decoder of four blocks, with a setting for the size of each of its parts."""

    def __init__(self, torch, settings):
        self.torch, self.on = torch, settings
        width, rows = settings["width"], settings["rows"]
        kind = torch.float32 if settings["device"] == "cpu" else torch.bfloat16
        normal = lambda *shape: torch.randn(*shape, device=settings["device"], dtype=kind) / 16
        self.table, self.tokens = normal(1000, width), torch.randint(0, 1000, (rows,), device=settings["device"])
        self.qkv, self.out, self.bias = normal(3 * width, width), normal(width, width), normal(3 * width)
        self.keys = normal(1, settings["heads"], settings["keys"], width // settings["heads"])
        self.up, self.down = normal(width, width), normal(width, width)
        self.experts = normal(4, width, settings["experts"])
        self.filters = normal(settings["channels"], 32, 3)
        self.many, self.sorted = normal(settings["cast"] << 14), normal(1024 * settings.get("sort", 1))
        self.host = torch.empty(settings["cast"] << 18, pin_memory=True) if settings["device"] == "cuda" else None
        self.far = torch.empty(settings["cast"] << 18, device="cuda") if settings["device"] == "cuda" else None
        self.define()

    def define(self):
        """Two operators of its own, in Python."""
        library = self.torch.library.Library("bench", "FRAGMENT")
        library.define("sample(Tensor x) -> Tensor")
        library.define("rotary(Tensor x) -> Tensor")
        library.impl("sample", self.sample, "CompositeExplicitAutograd")
        library.impl("rotary", self.rotary, "CompositeExplicitAutograd")
        self.library = library

    def sample(self, x):
        if "sleep" in self.on:
            time.sleep(self.on["sleep"] / 1e3)
        return x[:1].clone()

    def rotary(self, x):
        until = time.perf_counter() + self.on.get("busy", 0) / 1e3
        while time.perf_counter() < until:
            pass
        return x.clone()

    def block(self, x):
        torch, width, heads = self.torch, self.on["width"], self.on["heads"]
        for _ in range(self.on["norms"]):
            x = torch.nn.functional.layer_norm(x, (width,))
        q = torch.nn.functional.linear(x, self.qkv, self.bias)[:, :width].reshape(1, heads, -1, width // heads)
        seen = torch.nn.functional.scaled_dot_product_attention(q, self.keys, self.keys)
        x = x + seen.reshape(-1, width) @ self.out
        x = x + torch.nn.functional.gelu(x @ self.up) @ self.down
        torch.bmm(x[None].expand(4, -1, -1), self.experts)
        return x

    def step(self):
        torch = self.torch
        x = torch.ops.bench.rotary(torch.nn.functional.embedding(self.tokens, self.table))
        for _ in range(4):
            x = self.block(x)
        torch.nn.functional.conv1d(x.reshape(1, 32, -1), self.filters)
        if self.host is None:
            self.many.double()
        else:
            torch.cuda._sleep(2_000 * self.on["spin"])
            self.host.copy_(self.far, non_blocking=True)
            torch.cuda.synchronize()
        if "sort" in self.on:
            self.sorted.sort()
        torch.ops.bench.sample(torch.softmax(x, -1))


def record_steps(settings, seed, cores, path):
    """Runs the decoder in this process, on some cores, and writes its trace. The GPU is one run's at a time."""
    os.sched_setaffinity(0, cores)
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    with torch.inference_mode():
        decoder = Decoder(torch, settings)
        turn = open(os.path.join(os.path.dirname(path), "turn"), "w")
        if settings["device"] == "cuda":
            torch.cuda.synchronize()
            fcntl.flock(turn, fcntl.LOCK_EX)
        for _ in range(10):
            decoder.step()
        export = lambda profiler: profiler.export_chrome_trace(path)
        window = torch.profiler.schedule(wait=0, warmup=3, active=STEPS, repeat=1)
        kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        kinds = kinds[: 2 if settings["device"] == "cuda" else 1]
        with torch.profiler.profile(activities=kinds, schedule=window, on_trace_ready=export) as profiler:
            for _ in range(3 + STEPS):
                decoder.step()
                profiler.step()
        turn.close()


def settings_of(kind, number):
    """What a decoder's run does: every third run has the same amount of what is planted."""
    program, key, amounts, _ = PLANTED.get(kind, (kind, None, None, None))
    settings = dict(OF_CPU if program == "py" else OF_CUDA)
    return settings | ({key: amounts[number % 3]} if key else {})


class Recorder:
    """Makes runs, and baselines of them."""

    def __init__(self, options):
        self.options = options
        self.servers = {"py": multiprocessing.get_context("forkserver"), "cuda": multiprocessing.get_context(options.gpu_start)}
        # What the profiler would import takes longer than a run.
        self.servers["py"].set_forkserver_preload(["torch", "torch._inductor.config", "torch._inductor.triton_bundler"])

    def captured(self, kind, run, cores):
        command = [self.options.capture, *CAPTURED[kind], *WINDOW, "--seed", str(self.options.seed), "-o", run]
        self.called(["taskset", "-c", ",".join(map(str, cores)), *command])

    def called(self, command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"status {done.returncode}: {done.stderr[-300:]}")

    def recorded(self, kind, number, run, cores):
        arguments = (settings_of(kind, number), self.options.seed, cores, run)
        program = PLANTED[kind][0] if kind in PLANTED else kind
        child = self.servers[program].Process(target=record_steps, args=arguments)
        child.start()
        child.join(60)
        if child.exitcode != 0:
            child.kill()
            raise OSError(f"ended with {child.exitcode}")

    def run(self, kind, number, cores):
        """Makes a run and keeps it as a baseline; says so where it fails."""
        name = os.path.join(self.options.folder, f"{kind}-{number:03}")
        try:
            if kind in CAPTURED:
                self.captured(kind, name + ".run", cores)
            else:
                self.recorded(kind, number, name + ".run", cores)
            self.called([self.options.binary, "diff", name + ".run", "--save-baseline", name + ".json", "-q"])
        except OSError as error:
            print(f"{name}: {error}", file=sys.stderr)
        if not self.options.keep:
            subprocess.run(["rm", "-rf", name + ".run"], check=False)


def record(options):
    os.makedirs(options.folder, exist_ok=True)
    recorder = Recorder(options)
    runs = [(kind, int(n)) for kind, n in (one.split("=") for one in options.runs)]
    wanted = [(kind, number) for kind, n in runs for number in range(n)]
    random.Random(5).shuffle(wanted)
    on_cpu, on_gpu = ([one for one in wanted if (one[0] in ON_GPU) == is_gpu] for is_gpu in (False, True))
    gpu_lanes = options.gpu_lanes if on_gpu else 0
    width = os.cpu_count() // (options.lanes + gpu_lanes)
    begin = time.monotonic()

    def lane(number, waiting):
        cores = range(number * width, number * width + width)
        while waiting and time.monotonic() < begin + options.seconds:
            recorder.run(*waiting.pop(), cores)

    with ThreadPoolExecutor(options.lanes + gpu_lanes) as pool:
        lanes = [pool.submit(lane, number, on_cpu) for number in range(options.lanes)]
        lanes += [pool.submit(lane, options.lanes + number, on_gpu) for number in range(gpu_lanes)]
        for one in lanes:
            one.result()
    left = len(on_cpu) + len(on_gpu)
    print(f"{len(wanted) - left} runs in {time.monotonic() - begin:.0f} s, {left} left out", file=sys.stderr, flush=True)


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


def is_named(one, names):
    """Whether the first cause is a right one, and takes longer."""
    first = one["first"][0] if one["first"] else ("", 0, False)
    return first[1] > 0 and any(fnmatch.fnmatch(first[0], name) for name in names)


def row(label, size, found, names):
    """A line of the table; and of the pairs that could show it, those that are named first."""
    verdicts = collections.Counter(one["verdict"] for one in found)
    counts = [verdicts[word] for word in ("regression", "improvement", "no_change_shown", "inconclusive")]
    # What the interval of iterations alone would have said.
    of_old = [(one["gate"]["low_pct"], one["gate"]["high_pct"]) for one in found]
    old = sum(low is not None and (low > 3 or high < -3) for low, high in of_old)
    showable = [one for one in found if is_showable(one)] if names else []
    named = sum(is_named(one, names) for one in showable)
    planted = f"{named} of {len(showable)}" if names else "-"
    cells = [label, size, len(found), *counts, old, planted]
    return "| " + " | ".join(map(str, cells)) + " |", named, len(showable)


def parted(names, size):
    return [names[i : i + size] for i in range(0, len(names) - size + 1, size)]


def pairs_of(a, b, sizes):
    """Pairs of runs of two kinds, or of one."""
    if a is not b:
        return list(zip(parted(a, sizes[0]), parted(b, sizes[1])))
    together = parted(a, sum(sizes))
    return [(own[: sizes[0]], own[sizes[0] :]) for own in together]


def rows_of_table(names):
    """Every row of the table: label, runs of A, runs of B in groups of one amount, names that are right."""
    same = [(kind, names[kind], [names[kind]], ()) for kind in ("tiny", "small", "py", "gpu", "cuda") if kind in names]
    vocabulary = [(kind, names[of], [names[kind]], ("aten::addmm", "aten::topk")) for kind, of in BY_VOCABULARY.items() if kind in names]
    # Each kind has runs of A of its own.
    at, planted = collections.Counter(), []
    for kind, (of, _, _, right) in PLANTED.items():
        runs = names.get(kind, [])
        own = names.get(of, [])[at[of] : at[of] + len(runs)]
        at[of] += len(own)
        planted.append((kind, own, [[name for name in runs if int(name[-8:-5]) % 3 == amount] for amount in range(3)], right))
    return [one for one in same + vocabulary + planted if one[1] and any(one[2])]


def pairs_of_row(a, groups, sizes):
    if a is groups[0]:
        return pairs_of(a, a, sizes)
    found, at = [], 0
    for group in groups:
        pairs = pairs_of(a[at:], group, sizes)
        at += sizes[0] * len(pairs)
        found += pairs
    return found


def score(options):
    names = collections.defaultdict(list)
    for name in sorted(os.listdir(options.folder)):
        if name.endswith(".json"):
            names[name[:-9]].append(os.path.join(options.folder, name))
    lines, total = [], collections.Counter()
    print("| pairs | runs a side | tried | regression | improvement | no change | inconclusive | by iterations alone | named first |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for label, a, groups, right in rows_of_table(names):
            for sizes in ((1, 1), (3, 3), (5, 5), (5, 1)):
                pairs = pairs_of_row(a, groups, sizes)
                found = list(pool.map(lambda pair: compared(options, label, *pair), pairs))
                lines += found
                if found:
                    text, named, showable = row(label, "{} : {}".format(*sizes), found, right)
                    total.update({("named", sizes): named, ("could", sizes): showable})
                    print(text, flush=True)
    for sizes in ((1, 1), (3, 3), (5, 5), (5, 1)):
        print("Planted and to be shown, {} : {}: {} of {} named first.".format(*sizes, total["named", sizes], total["could", sizes]))
    if options.output:
        with open(options.output, "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


def main():
    arguments = argparse.ArgumentParser()
    commands = arguments.add_subparsers(required=True)
    recording = commands.add_parser("record")
    recording.add_argument("--runs", nargs="+", default=DEFAULT, metavar="KIND=N")
    recording.add_argument("--seed", type=int, default=1, help="of the weights and inputs of every run")
    recording.add_argument("--lanes", type=int, default=max(1, os.cpu_count() // 4))
    recording.add_argument("--seconds", type=float, default=600, help="no run begins later")
    recording.add_argument("--gpu-lanes", type=int, default=1, help="of runs that wait for the GPU in turn; `gpu` runs do not")
    recording.add_argument("--keep", action="store_true", help="keep the traces, as NAME.run, besides the baselines")
    recording.add_argument("--gpu-start", choices=["forkserver", "spawn"], default="spawn", help="spawn: every run imports PyTorch")
    recording.add_argument("--capture", default="target/release/omni-trace-capture")
    recording.set_defaults(run=record)
    scoring = commands.add_parser("score")
    scoring.add_argument("-o", "--output", help="a file for every pair, a line of JSON each")
    scoring.set_defaults(run=score)
    for command in (recording, scoring):
        command.add_argument("folder")
        command.add_argument("--binary", default="target/release/omni-trace")
    options = arguments.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
