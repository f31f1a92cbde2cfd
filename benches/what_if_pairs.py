"""How well `omni-trace what-if` predicts: programs run as A and as B with a planted change, on one or two GPUs.

    python3 benches/what_if_pairs.py record FOLDER                 on the machine with the GPUs; needs PyTorch
    python3 benches/what_if_pairs.py score FOLDER [--program PATH]  anywhere: prints the table of reports/what_if_pairs.md

`record` runs each pair in one process, A and B in turn: six runs of 0.6 s without a profiler, then three of 12 iterations with
it, each after iterations that do not count. Of the runs of A with a profiler the first keeps its trace. What a pair is, and which options of `what-if`
tell the trace of A to become B, stands in PAIRS. Pairs whose name begins with `null` change something that nothing waits for.

`score` asks `what-if` of the trace of A alone. The rules, written down before the series of reports/what_if_pairs.md was recorded:

1. One series, one recording of each pair: none is repeated, left out or taken from elsewhere.
2. A pair counts where the measured bare change is above 15 % and above four times the spread: the range of the medians of the bare runs
   of one side, the larger of both. The first twelve that count, in the order of PAIRS, are judged; those after them only stand in
   for ones that do not count.
3. Recorded (both sides with the profiler): the predicted change in milliseconds is right where it has the sign of the measured one and is
   within 25 % of it, or where the predicted time of B lies inside the 95 % interval of the mean of B's runs.
4. Bare (both without): the profiler makes the host slower, so that the share by which `what-if` changes the recorded iteration is taken of
   the bare iteration of A, and held to the same rule. What is predicted in milliseconds without that stands beside, as `bare in ms`.
5. Pairs whose name begins with `null` are right where both the measured and the predicted change are nothing: measured within the
   spread or 1 %, predicted within 1 %.
"""

import argparse
import gc
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
    "attention": ({"tiny": 5, "attend": 8192}, {"tiny": 5, "attend": 4096}, "--scale kernel:*flash*=0.5"),
    "upload": ({"gemm": 4096, "upload": 1}, {"gemm": 4096}, "--drop-op upload"),
    "fill": ({"tiny": 5, "fill": 20}, {"tiny": 5}, "--drop-op aten::zero_"),
    "rank_late": ({"tiny": 20, "reduce": 4, "late": 5}, {"tiny": 20, "reduce": 4}, "--drop-op load"),
    "rank_slow": ({"tiny": 20, "reduce": 4, "slow": 3}, {"tiny": 20, "reduce": 4}, "--drop-kernel *spin*"),
    "null_sleep": ({"gemm": 8192, "spin": 5, "sleep": 1}, {"gemm": 8192, "spin": 5}, "--drop-op detok"),
    "null_after": ({"gemm": 8192, "spin": 5, "after": 100}, {"gemm": 8192, "spin": 5}, "--drop-op after"),
    "null_rank": ({"tiny": 20, "reduce": 4, "late": 5, "early": 1}, {"tiny": 20, "reduce": 4, "late": 5}, "--drop-op detok"),
    "null_side": ({"gemm": 8192, "spin": 1, "side": 1}, {"gemm": 8192}, "--drop-kernel *spin*"),
}

# Runs without and with a profiler, seconds of the first, iterations of the second.
BARE, RECORDED, S_BARE, N_RECORDED = 6, 3, 0.6, 12
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
        self.seen = normal(1, 16, 8192, 128)
        self.pinned = torch.empty(32 << 20, dtype=torch.bfloat16, pin_memory=True)
        self.target = torch.zeros(16 << 20, dtype=torch.bfloat16)
        self.far = torch.randn(16 << 20).to(torch.bfloat16)
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
        if self.get("upload"):
            with self.named("upload"):
                self.much[: 16 << 20].copy_(self.far)
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
        if self.get("attend"):
            seen = self.seen[:, :, : self.get("attend")]
            torch.nn.functional.scaled_dot_product_attention(self.seen[:, :, :4096], seen, seen)
        if self.get("gemm"):
            for _ in range(4):
                self.big[: self.get("gemm")] @ self.big
        if self.get("slow") and self.rank == 1:
            self.spin(self.get("slow"))
        for _ in range(self.get("fill")):
            self.to.zero_()
        for _ in range(self.get("copies")):
            self.to.copy_(self.much)
        for _ in range(self.get("reduce")):
            torch.distributed.all_reduce(self.much[: 1 << 20])

    def out(self):
        if self.get("out"):
            with self.named("out"):
                self.target.copy_(self.much[: 16 << 20])
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
        """Ranks run as many iterations as each other, whatever these take."""
        self.on = settings
        self.is_alone = not self.torch.distributed.is_initialized()
        if settings.get("graph") and self.graph is None:
            self.tiny()
            self.torch.cuda.synchronize()
            self.graph = self.torch.cuda.CUDAGraph()
            with self.torch.cuda.graph(self.graph):
                self.tiny()
        self.loop(3, seconds * self.is_alone)

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
            self.switch(sides[side], 0.5)
        for _ in range(BARE):
            for side in "AB":
                self.switch(sides[side], 0.1)
                times["bare"][side].append(self.loop(10, S_BARE) if self.is_alone else self.loop(100))
        for at in range(RECORDED):
            for side in "AB":
                self.switch(sides[side])
                times["recorded"][side].append(self.recorded(folder, name, side, is_kept=at == 0 and side == "A"))
        with open(f"{folder}/{name}_rank{self.rank}.times.json", "w") as out:
            json.dump(times, out)
        print(f"{name} rank {self.rank} done at {time.process_time():.0f} s", flush=True)


def run_pairs(rank, folder, names, n_ranks):
    import torch

    if n_ranks > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29511", RANK=str(rank), WORLD_SIZE=str(n_ranks))
        torch.cuda.set_device(rank)
        torch.distributed.init_process_group("nccl")
    # Neither threads of operators on the host nor the collector disturb a run.
    torch.set_num_threads(1)
    gc.disable()
    for name in names:
        gc.collect()
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


# How many pairs are judged.
JUDGED = 12


class Held:
    """A pair with what was predicted of it, held to what was measured."""

    def __init__(self, options, name):
        with open(f"{options.folder}/{name}_rank0.times.json") as file:
            times = json.load(file)
        self.name, self.bare, self.recorded = name, Measured(times["bare"]), Measured(times["recorded"])
        self.of_a, of_b = predicted(options, options.folder, name)
        self.change = of_b - self.of_a
        self.bare_a = statistics.mean(self.bare.a)
        self.of_bare = self.change / self.of_a * self.bare_a
        self.is_null = name.startswith("null")
        self.counts = not self.is_null and self.bare.share() > 0.15 and abs(self.bare.change()) > 4 * self.bare.spread()

    def says(self):
        """Whether the prediction is right recorded, bare, and bare where its milliseconds are taken as they are."""
        if self.is_null:
            is_nothing = abs(self.change) <= 0.01 * self.of_a
            return [one.is_nothing() and is_nothing for one in (self.recorded, self.bare, self.bare)]
        return [self.recorded.is_right(self.change), self.bare.is_right(self.of_bare), self.bare.is_right(self.change)]

    def cells(self, note):
        ratio = lambda change, one: "-" if self.is_null else f"{change / one.change():.2f}"
        share = lambda ms: f"{100 * ms / self.bare_a:+.1f} %"
        words = [self.name + note, f"{self.bare_a:.3f}", f"{self.of_a:.3f}"]
        words += [f"{self.change:+.3f} ms", f"{self.recorded.change():+.3f} ms", ratio(self.change, self.recorded)]
        words += [share(self.of_bare), share(self.bare.change()), ratio(self.of_bare, self.bare), f"{self.bare.spread():.3f}"]
        return words + ["yes" if one else "no" for one in self.says()]


def score(options):
    head = ["pair", "bare A ms", "recorded A ms", "recorded: predicted", "measured", "ratio", "bare: predicted", "measured", "ratio", "spread ms"]
    head += ["right recorded", "bare", "bare in ms"]
    print("| " + " | ".join(head) + " |\n| --- |" + " ---: |" * 9 + " --- | --- | --- |")
    held = [Held(options, name) for name in PAIRS if os.path.exists(f"{options.folder}/{name}_rank0.times.json")]
    judged = [one for one in held if one.counts][:JUDGED]
    for one in held:
        note = "" if one.is_null or one in judged else " (in reserve)" if one.counts else " (not counted)"
        print("| " + " | ".join(one.cells(note)) + " |")
    right = [sum(column) for column in zip(*(one.says() for one in judged))]
    still = sum(abs(one.bare.change()) <= half_interval(one.bare.b) for one in judged)
    print(f"\nOf {len(judged)} pairs {right[0]} are right recorded, {right[1]} bare ({right[2]} by milliseconds); predicting no change: {still}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    recording = commands.add_parser("record")
    recording.add_argument("folder")
    recording.add_argument("--only", nargs="*", default=[])
    recording.set_defaults(run=record)
    scoring = commands.add_parser("score")
    scoring.add_argument("folder")
    scoring.add_argument("--program", default="target/release/omni-trace")
    scoring.set_defaults(run=score)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
