"""From the critical path by HTA's rules to that of `omni-trace critical-path`, one rule at a time, in plain Python.

    python3 benches/path_walk.py FOLDER… [--program PATH]

Each folder holds one trace. Prints the tables of steps in reports/beside_hta.md: the walk begins with `hta_rules.py`, each step adds one of STEPS
to those before it, and what it comes to stands beside what the program says. Nothing of the program's code is used.

An instant is a begin or an end of an event; an edge into it comes from an instant that had to be before. From "last" on the path is read
back from the last end: every instant waited for that of its edges which was over last, so that the path holds all time in between.
"""

import argparse
import bisect
import gzip
import json
import os
import statistics
from collections import defaultdict
from decimal import Decimal

from beside_hta import KINDS, NOBODYS, SHOWN, omni
from hta_rules import COMM, Plain, groups

STEPS = {
    "graphs": "every activity of a launch is on its stream, not the last one alone: all of them ran",
    "all": "what came after the last profiler step, and activities without a recorded call, are not left out: they ran too",
    "watchdogs": "threads that run no operator and start no work are left out: they ask whether work is over, and nobody waits for them",
    "last": "the path ends with the last work, and each instant waited for what was over last: what was over before held nothing up",
    "launch": "a launch takes what launches on idle streams take: work that begins within that time did not wait for its stream",
    "syncs": "a call that waits for the device returns when its work is over",
    "backward": "the autograd thread begins when its caller gives it work, and the caller goes on when that is done",
    "branches": "work that begins while other work of its stream runs waited for what was over before, not for that",
    "waits": "what is launched next after cudaStreamWaitEvent waits for other streams",
}
LAUNCH, GAP, HOST, NOBODY = "gpu_kernel_launch_overhead", "gpu_kernel_kernel_overhead", "cpu_bound", "nobody's"
WAITS = ("DeviceSynchronize", "CtxSynchronize", "StreamSynchronize", "EventSynchronize")
BLOCKING_COPIES = {"cudaMemcpy", "hipMemcpy", "hipMemcpyWithStream"}


def events_of(path):
    """The events of a trace, times in whole nanoseconds."""
    opened = gzip.open if path.endswith("gz") else open
    with opened(path, "rt", errors="replace") as file:
        events = json.load(file, parse_float=Decimal)
    events = events["traceEvents"] if isinstance(events, dict) else events
    ns = lambda us: int(Decimal(us) * 1000)
    return [{**e, "ts": ns(e["ts"]), "dur": ns(e["dur"])} for e in events if e.get("ph") == "X"]


class Walk(Plain):
    """The instants of all events, and edges (from, kind, least time between) into them."""

    def __init__(self, events, steps):
        super().__init__(events, leaves_out="all" not in steps)
        self.steps = steps
        if "watchdogs" in steps:
            starts = {id(call) for call in self.call_of.values()}
            works = {(e["pid"], e["tid"]) for e in self.host if e["cat"] == "cpu_op" or id(e) in starts}
            self.host = [e for e in self.host if (e["pid"], e["tid"]) in works]
        kept = self.host + self.device
        self.at = {id(e): 2 * i for i, e in enumerate(kept)}
        self.time = [t for e in kept for t in (e["ts"], until(e))]
        self.into = defaultdict(list)
        self.threads = {(of[0]["pid"], of[0]["tid"]): of for of in groups(self.host, lambda e: (e["pid"], e["tid"]))}
        self.streams = groups(self.device, lambda e: (e["pid"], e["args"].get("stream")))

    def kinds(self):
        """The kinds of the path in nanoseconds."""
        if "last" not in self.steps:
            return self.heaviest(every="graphs" in self.steps)
        self.thread_order()
        self.stream_order()
        rules = {"syncs": self.syncs, "backward": self.backward, "branches": self.branches, "waits": self.stream_waits}
        for step in self.steps:
            rules.get(step, lambda: None)()
        return self.read_back()

    def begin(self, e):
        return self.at[id(e)]

    def end(self, e):
        return self.at[id(e)] + 1

    def edge(self, before, after, kind, least=0):
        self.into[after].append((before, kind, least))

    def thread_order(self):
        """The instants of each thread follow each other; between events that are not nested nobody knows why."""
        self.chains = {}
        for key, of_thread in self.threads.items():
            chain = self.chains[key] = instants(of_thread, self.at)
            for (before, n_open), (after, _) in zip(chain, chain[1:]):
                # Where events overlap without being nested, the inner one counts up to its end.
                self.time[after] = max(self.time[after], self.time[before])
                self.edge(before, after, HOST if n_open else NOBODY)

    def stream_order(self):
        """Work begins after its launch began and after what came before on its stream was over."""
        idle, launches = [], []
        for of_stream in self.streams:
            for before, e in zip([None, *of_stream], of_stream):
                self.edge(self.begin(e), self.end(e), "gpu_communication_bound" if COMM.match(e["name"]) else "gpu_compute_bound")
                call = self.call_of.get(id(e))
                if call:
                    launches.append((call, e))
                    if before is None or until(before) <= call["ts"] <= e["ts"]:
                        idle.append(e["ts"] - call["ts"])
                if before:
                    self.edge(self.end(before), self.begin(e), GAP)
        usual = statistics.median(idle) if idle and "launch" in self.steps else 0
        for call, e in launches:
            self.edge(self.begin(call), self.begin(e), LAUNCH, usual)

    def syncs(self):
        """Copies that block wait for themselves, others for what was over last by then of the work launched before."""
        launched = [(self.call_of[id(e)], e) for e in self.device if id(e) in self.call_of]
        own = defaultdict(list)
        for call, e in launched:
            own[id(call)].append(e)
        for call in self.host:
            name = call["name"]
            is_read = any("DtoH" in e["name"] and "Pageable" in e["name"] for e in own[id(call)])
            if name in BLOCKING_COPIES or (is_read and "Memcpy" in name):
                found = own[id(call)]
            elif name.startswith(("cu", "hip")) and name.endswith(WAITS):
                found = [e for by, e in launched if by["ts"] <= call["ts"] and until(e) <= until(call)]
            else:
                continue
            if found:
                self.edge(self.end(max(found, key=until)), self.end(call), HOST)

    def backward(self):
        """The caller is the first thread of the process; what the engine gives it to do itself is no work of its own."""
        for (pid, tid), events in self.threads.items():
            caller = self.threads.get((pid, pid))
            if tid == pid or caller is None or not any(is_engine(e) for e in events):
                continue
            given = [e for e in outermost(caller) if is_engine(e)]
            own = [e["ts"] for e in outermost(caller) if not is_engine(e)]
            for work in passes(outermost(events), own):
                self.hand_over(work, (pid, tid), (pid, pid), given)

    def hand_over(self, work, thread, caller, given):
        first, last = work[0], max(work, key=until)
        self.edge_from(caller, first)
        for e in given:
            if first["ts"] <= e["ts"] <= until(last):
                self.edge_from(thread, e)
        chain = self.chains[caller]
        after = bisect.bisect_left(chain, until(last), key=lambda one: self.time[one[0]])
        if after < len(chain):
            self.edge(self.end(last), chain[after][0], HOST)

    def edge_from(self, thread, e):
        """From the last instant of a thread before an event begins."""
        chain = self.chains[thread]
        n = bisect.bisect_right(chain, e["ts"], key=lambda one: self.time[one[0]])
        if n:
            self.edge(chain[n - 1][0], self.begin(e), HOST)

    def branches(self):
        for of_stream in self.streams:
            for i, e in enumerate(of_stream):
                over = [one for one in of_stream[max(0, i - 100) : i] if until(one) <= e["ts"]]
                if over:
                    self.edge(self.end(max(over, key=until)), self.begin(e), GAP)

    def stream_waits(self):
        """No trace says for which event: of other streams the work that the thread launched last, or else what was over last, where
        neither the launch nor the own stream was over later."""
        before_of = {id(e): before for of in self.streams for before, e in zip([None, *of], of)}
        launched = defaultdict(list)
        for e in sorted((e for e in self.device if id(e) in self.call_of), key=lambda e: self.call_of[id(e)]["ts"]):
            launched[self.call_of[id(e)]["pid"], self.call_of[id(e)]["tid"]].append(e)
        for thread, of_thread in self.threads.items():
            for call in of_thread:
                n = bisect.bisect_right(launched[thread], call["ts"], key=lambda e: self.call_of[id(e)]["ts"])
                for e in launched[thread][n : n + 1] if "StreamWaitEvent" in call["name"] else ():
                    self.wait_for_other(e, before_of[id(e)], reversed(launched[thread][max(0, n - 100) : n]))

    def wait_for_other(self, e, before, earlier):
        ready = max([self.call_of[id(e)]["ts"]] + ([until(before)] if before else []))
        is_other = lambda one: one["args"].get("stream") != e["args"].get("stream")
        likely = next((one for one in earlier if is_other(one)), None)
        others = [[likely] if likely else [], *(of for of in self.streams if is_other(of[0]))]
        for found in ([one for one in of if ready < until(one) <= e["ts"]] for of in (others[0], sum(others[1:], []))):
            if found:
                self.edge(self.end(max(found, key=until)), self.begin(e), GAP)
                return

    def read_back(self):
        at = max(range(len(self.time)), key=lambda i: (self.time[i], i))
        now, kinds, seen = self.time[at], defaultdict(int), set()
        while True:
            seen.add(at)
            could = [edge for edge in self.into[at] if self.time[edge[0]] <= self.time[at] and edge[0] not in seen]
            if not could:
                return dict(kinds)
            over = lambda edge: (min(self.time[edge[0]] + edge[2], self.time[at]), self.time[edge[0]], edge[0])
            before, kind, _ = max(could, key=over)
            kinds[kind] += now - min(now, self.time[before])
            at, now = before, min(now, self.time[before])


def until(e):
    return e["ts"] + e["dur"]


def is_engine(e):
    return e["name"].startswith("autograd::engine::evaluate_function")


def outermost(events):
    """The events of a thread that no other one is around."""
    found = []
    for e in events:
        if not found or e["ts"] >= until(found[-1]):
            found.append(e)
    return found


def passes(work, own):
    """Work of one thread, cut where another one began something of its own in between."""
    found = []
    for e in work:
        if found and bisect.bisect_left(own, found[-1][-1]["ts"]) == bisect.bisect_left(own, e["ts"]):
            found[-1].append(e)
        else:
            found.append([e])
    return found


def instants(events, at):
    """The instants of a thread in order, each with how many events are open after it."""
    stack, found = [], []
    for e in [*events, None]:
        while stack and (e is None or until(stack[-1]) <= e["ts"]):
            found.append((at[id(stack.pop())] + 1, len(stack)))
        if e is not None:
            stack.append(e)
            found.append((at[id(e)], len(stack)))
    return found


def shares(kinds):
    """Length in microseconds without what is nobody's, and the share of each kind."""
    whole = sum(kinds.get(kind, 0) for kind in SHOWN)
    return whole / 1e3, [100 * kinds.get(kind, 0) / (whole or 1) for kind in SHOWN]


def of_program(program, path):
    kinds = defaultdict(int)
    for row in omni(program, "critical-path", path)["critical_path"]:
        if row["by"] == "class" and row["name"] not in NOBODYS:
            kinds[KINDS.get(row["name"], HOST)] += row["ns"]
    return kinds


def apart(a, b):
    return max(abs(x - y) for x, y in zip(a[1], b[1]))


def table(head, rows):
    print("\n| " + " | ".join(head) + " |\n| --- |" + " ---: |" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--program", default="target/release/omni-trace")
    options = parser.parse_args()
    added, without, walked = [], [], []
    for folder in options.folders:
        name, path = os.path.basename(folder.rstrip("/")), os.path.join(folder, os.listdir(folder)[0])
        events, ours = events_of(path), shares(of_program(options.program, path))
        walk = lambda steps: shares(Walk(events, steps).kinds())
        names = list(STEPS)
        each = [walk(names[:n]) for n in range(len(names) + 1)]
        added.append([name, *(f"{apart(one, ours):.1f}" for one in each)])
        left_out = [walk([step for step in names if step != one]) for one in names[4:]]
        without.append([name, f"{apart(each[-1], ours):.1f}", *(f"{apart(one, ours):.1f}" for one in left_out)])
        for step, (us, pct) in zip(["HTA's rules", *names, "omni-trace"], [*each, ours]):
            walked.append([name, step, f"{us:,.0f}", *(f"{one:.1f}" for one in pct)])
    table(["trace", "HTA's rules", *(f"+ {step}" for step in STEPS)], added)
    table(["trace", "all", *(f"− {step}" for step in list(STEPS)[4:])], without)
    table(["trace", "step", "µs", *SHOWN], walked)


if __name__ == "__main__":
    main()
