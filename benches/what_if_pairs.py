"""How well `omni-trace what-if` predicts: programs run as A and as B with a planted change, on one or two GPUs.

    python3 benches/what_if_pairs.py record FOLDER                 on the machine with the GPUs; needs PyTorch
    python3 benches/what_if_pairs.py score FOLDER… [--program PATH]  anywhere: prints the table of reports/what_if_pairs.md

`record` runs each pair in one process, A and B in turn: six runs of half a second without a profiler, then three of 12 iterations with
it, each after iterations that do not count. Of the runs with a profiler the first keeps its trace. What a pair is, and which options of `what-if`
tell the trace of A to become B, stands in PAIRS. Pairs whose name begins with `null` change something that nothing waits for.

`score` asks `what-if` of the trace of A alone, and holds the predicted change of the median iteration against the measured one: recorded
(both with the profiler) in milliseconds, bare (both without) as a share, as the profiler makes the host slower. Spread is the range of
the medians of the bare runs of one side, the larger of both. Of a pair in several folders the one with the least spread is taken. A
pair counts where the bare change is above 15 % and above four times the spread.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

# Name: (what A does, what B does, options of what-if that make B of A).
PAIRS = {
    "sleep": ({"tiny": 20, "sleep": 3}, {"tiny": 20}, "--drop-op detok"),
    "kernel_gone": ({"tiny": 5, "spin": 3}, {"tiny": 5}, "--drop-kernel *spin*"),
    "kernel_half": ({"tiny": 5, "spin": 4}, {"tiny": 5, "spin": 2}, "--scale kernel:*spin*=0.5"),
    "shape": ({"gemm": 8192}, {"gemm": 4096}, "--scale kernel:*nvjet*=0.5"),
    "item": ({"tiny": 60, "item": 1}, {"tiny": 60}, "--drop-op aten::item --drop-op aten::sum"),
    "pageable": ({"tiny": 10, "out": 1}, {"tiny": 10}, "--drop-op out"),
    "wait_for_copy": ({"gemm": 8192, "pinned": 1, "wait": 1}, {"gemm": 8192, "pinned": 1}, "--drop-op wait"),
    "graph": ({"tiny": 200}, {"tiny": 200, "graph": 1}, "--cuda-graph all"),
    "host_work": ({"tiny": 40, "host": 500}, {"tiny": 40}, "--drop-op prepare"),
    "copies": ({"gemm": 2048, "copies": 12}, {"gemm": 2048}, "--drop-copy *DtoD*"),
    "fewer_ops": ({"tiny": 150}, {"tiny": 150, "plain": 1}, "--drop-op aten::relu"),
    "stream": ({"spin": 5, "gemm": 8192}, {"spin": 5, "gemm": 8192, "side": 1}, "--overlap kernel:*spin*"),
    "rank_late": ({"tiny": 20, "reduce": 4, "late": 5}, {"tiny": 20, "reduce": 4}, "--drop-op load"),
    "rank_slow": ({"tiny": 20, "reduce": 4, "slow": 3}, {"tiny": 20, "reduce": 4}, "--drop-kernel *spin*"),
    "null_sleep": ({"gemm": 8192, "spin": 5, "sleep": 1}, {"gemm": 8192, "spin": 5}, "--drop-op detok"),
    "null_after": ({"gemm": 8192, "spin": 5, "after": 100}, {"gemm": 8192, "spin": 5}, "--drop-op after"),
    "null_rank": ({"tiny": 20, "reduce": 4, "late": 5, "early": 1}, {"tiny": 20, "reduce": 4, "late": 5}, "--drop-op detok"),
    "null_side": ({"gemm": 8192, "spin": 1, "side": 1}, {"gemm": 8192}, "--drop-kernel *spin*"),
}

# Runs without and with a profiler, seconds of the first, iterations of the second.
BARE, RECORDED, S_BARE, N_RECORDED = 6, 3, 0.5, 12
# Cycles of a spin kernel that are about a millisecond of an H200.
CYCLES = 2_000_000


def ranks_of(name):
    return (0, 1) if "rank" in name else (0,)


class Program:
    """What runs: a step that does what its settings say."""

    def __init__(self, torch, rank):
        self.torch, self.rank, self.on = torch, rank, {}
        device = f"cuda:{rank}"
        torch.cuda.set_device(rank)
        normal = lambda *shape: torch.randn(*shape, device=device, dtype=torch.bfloat16)
        self.x, self.w, self.big, self.much = normal(64, 1024), normal(1024, 1024), normal(8192, 8192), normal(64 << 20)
        self.to = torch.empty_like(self.much)
        self.pinned = torch.empty(32 << 20, dtype=torch.bfloat16, pin_memory=True)
        self.small, self.side = self.x.cpu(), torch.cuda.Stream()
        self.graph = None

    def get(self, key):
        return self.on.get(key, 0)

    def named(self, name):
        return self.torch.profiler.record_function(name)

    def tiny(self):
        y = self.x
        for _ in range(self.get("tiny")):
            y = y @ self.w
            if not self.get("plain"):
                y = self.torch.relu(y)
            if self.get("item"):
                y.sum().item()

    def spin(self, ms):
        self.torch.cuda._sleep(int(ms * CYCLES))

    def on_host(self):
        if self.get("late") and self.rank == 1:
            with self.named("load"):
                time.sleep(self.get("late") / 1e3)
        if self.get("early") and self.rank == 0:
            with self.named("detok"):
                time.sleep(self.get("early") / 1e3)
        if self.get("host"):
            with self.named("prepare"):
                for _ in range(self.get("host")):
                    self.small.add(1)

    def on_device(self):
        torch = self.torch
        if self.get("graph"):
            self.graph.replay()
        else:
            self.tiny()
        if self.get("spin") and self.get("side"):
            self.side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.side):
                self.spin(self.get("spin"))
        elif self.get("spin"):
            self.spin(self.get("spin"))
        if self.get("gemm"):
            for _ in range(4):
                self.big[: self.get("gemm")] @ self.big
        if self.get("slow") and self.rank == 1:
            self.spin(self.get("slow"))
        for _ in range(self.get("copies")):
            self.to.copy_(self.much)
        for _ in range(self.get("reduce")):
            torch.distributed.all_reduce(self.much[: 1 << 20])

    def out(self):
        if self.get("out"):
            with self.named("out"):
                self.much[: 16 << 20].cpu()
        if self.get("pinned"):
            self.pinned.copy_(self.much[: 32 << 20], non_blocking=True)
            if self.get("wait"):
                with self.named("wait"):
                    self.torch.cuda.synchronize()
            with self.named("host"):
                time.sleep(0.003)
        if self.get("after"):
            with self.named("after"):
                for _ in range(self.get("after")):
                    self.small.add(1)
        if self.get("sleep"):
            with self.named("detok"):
                time.sleep(self.get("sleep") / 1e3)

    def loop(self, n, seconds=0):
        """Milliseconds of each of so many iterations, and of more until so much time is over."""
        times, until = [], time.perf_counter() + seconds
        while len(times) < n or time.perf_counter() < until:
            at = len(times)
            begin = time.perf_counter()
            with self.named(f"execute_context_0(0)_generation_1({at})"):
                self.on_host()
                self.on_device()
                self.out()
                self.torch.cuda.synchronize()
            times.append((time.perf_counter() - begin) * 1e3)
        return times

    def switch(self, settings, seconds=0.0):
        self.on = settings
        if settings.get("graph") and self.graph is None:
            self.tiny()
            self.torch.cuda.synchronize()
            self.graph = self.torch.cuda.CUDAGraph()
            with self.torch.cuda.graph(self.graph):
                self.tiny()
        self.loop(3, seconds)

    def recorded(self, folder, name, side, is_kept):
        profiler = self.torch.profiler
        if self.torch.distributed.is_initialized():
            self.torch.distributed.barrier()
        self.torch.cuda.synchronize()
        both = [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA]
        with profiler.profile(activities=both) as recording:
            times = self.loop(N_RECORDED)
        if is_kept:
            recording.export_chrome_trace(f"{folder}/{name}_{side}_rank{self.rank}.json.gz")
        return times

    def pair(self, folder, name, a, b):
        times = {"bare": {"A": [], "B": []}, "recorded": {"A": [], "B": []}}
        sides = {"A": a, "B": b}
        # What comes first in a process is slower for seconds.
        for side in "ABAB":
            self.switch(sides[side], 1)
        for _ in range(BARE):
            for side in "AB":
                self.switch(sides[side], 0.1)
                times["bare"][side].append(self.loop(10, S_BARE))
        for at in range(RECORDED):
            for side in "AB":
                self.switch(sides[side])
                times["recorded"][side].append(self.recorded(folder, name, side, at == 0))
        with open(f"{folder}/{name}_rank{self.rank}.times.json", "w") as out:
            json.dump(times, out)
        print(f"{name} rank {self.rank} done at {time.process_time():.0f} s", flush=True)


def run_pairs(rank, folder, names, n_ranks):
    import torch

    if n_ranks > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29511", RANK=str(rank), WORLD_SIZE=str(n_ranks))
        torch.cuda.set_device(rank)
        torch.distributed.init_process_group("nccl")
    for name in names:
        a, b, _ = PAIRS[name]
        Program(torch, rank).pair(folder, name, dict(a), dict(b))
    if n_ranks > 1:
        torch.distributed.destroy_process_group()


def record(options):
    import torch

    os.makedirs(options.folder, exist_ok=True)
    wanted = [name for name in PAIRS if not options.only or name in options.only]
    alone = [name for name in wanted if len(ranks_of(name)) == 1]
    together = [name for name in wanted if len(ranks_of(name)) == 2]
    run_pairs(0, options.folder, alone, 1)
    if together and torch.cuda.device_count() < 2:
        sys.exit(f"{', '.join(together)} need two GPUs")
    if together:
        torch.multiprocessing.spawn(run_pairs, args=(options.folder, together, 2), nprocs=2)


def half_interval(runs):
    """Half of the 95 % interval of the mean of some runs, by Student's t."""
    t = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365}[len(runs)]
    return t * statistics.stdev(runs) / math.sqrt(len(runs))


class Measured:
    """The runs of both sides, as medians."""

    def __init__(self, times):
        self.a, self.b = ([statistics.median(run) for run in times[side]] for side in "AB")

    def change(self):
        return statistics.mean(self.b) - statistics.mean(self.a)

    def share(self):
        return abs(self.change()) / statistics.mean(self.a)

    def spread(self):
        return max(max(side) - min(side) for side in (self.a, self.b))

    def is_right(self, change):
        """In sign and within 25 %, or the predicted time inside the 95 % interval of B's runs."""
        off = statistics.mean(self.a) + change - statistics.mean(self.b)
        return abs(change - self.change()) <= 0.25 * abs(self.change()) or abs(off) <= half_interval(self.b)

    def is_nothing(self):
        """Whether A and B are the same: within the spread, or one percent."""
        return abs(self.change()) <= max(self.spread(), 0.01 * statistics.mean(self.a))


def predicted(options, folder, name):
    """Recorded and predicted median iteration of A, in milliseconds."""
    traces = [f"{folder}/{name}_A_rank{rank}.json.gz" for rank in ranks_of(name)]
    command = [options.program, "what-if", "--one-run", "-q", "--format", "json", *traces, *PAIRS[name][2].split()]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 2) or not done.stdout:
        sys.exit(f"{name}: status {done.returncode}: {done.stderr}")
    told = json.loads(done.stdout)["prediction"]
    return told["recorded_median_ns"] / 1e6, told["predicted_median_ns"] / 1e6


def measured(options, name):
    """The folder with the least spread of a pair, its bare and its recorded runs."""
    found = []
    for folder in options.folders:
        path = f"{folder}/{name}_rank0.times.json"
        if os.path.exists(path):
            with open(path) as file:
                times = json.load(file)
            found.append((Measured(times["bare"]), Measured(times["recorded"]), folder))
    return min(found, key=lambda one: one[0].spread(), default=None)


def score(options):
    head = ["pair", "bare A ms", "recorded A ms", "recorded: predicted", "measured", "ratio", "bare: predicted", "measured", "ratio", "spread ms"]
    print("| " + " | ".join([*head, "right recorded", "bare"]) + " |\n| --- |" + " ---: |" * 9 + " --- | --- |")
    right, counted = [0, 0], 0
    for name in PAIRS:
        found = measured(options, name)
        if found is None:
            continue
        bare, recorded, folder = found
        of_a, of_b = predicted(options, folder, name)
        change, a = of_b - of_a, statistics.mean(bare.a)
        of_bare = change / of_a * a
        is_null = name.startswith("null")
        is_counted = not is_null and bare.share() > 0.15 and abs(bare.change()) > 4 * bare.spread()
        says = [recorded.is_right(change), bare.is_right(of_bare)]
        ratios = [f"{change / recorded.change():.2f}", f"{of_bare / bare.change():.2f}"]
        if is_null:
            says = [one.is_nothing() == (abs(change) <= 0.01 * of_a) for one in (recorded, bare)]
            ratios = ["-", "-"]
        elif is_counted:
            counted += 1
            right = [n + says[at] for at, n in enumerate(right)]
        cells = [name if is_null or is_counted else f"{name} (not counted)", f"{a:.3f}", f"{of_a:.3f}"]
        cells += [f"{change:+.3f} ms", f"{recorded.change():+.3f} ms", ratios[0]]
        cells += [f"{100 * of_bare / a:+.1f} %", f"{100 * bare.change() / a:+.1f} %", ratios[1], f"{bare.spread():.3f}"]
        print("| " + " | ".join(cells + ["yes" if one else "no" for one in says]) + " |")
    print(f"\nOf {counted} pairs {right[0]} are right recorded, {right[1]} bare; predicting no change is right in none.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    recording = commands.add_parser("record")
    recording.add_argument("folder")
    recording.add_argument("--only", nargs="*", default=[])
    recording.set_defaults(run=record)
    scoring = commands.add_parser("score")
    scoring.add_argument("folders", nargs="+")
    scoring.add_argument("--program", default="target/release/omni-trace")
    scoring.set_defaults(run=score)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
