"""HTA's rules of the critical path read plainly, without HTA, for `benches/beside_hta.py`.

A graph is a list of edges into each instant, the begin and the end of each event: nested events of a thread in order, nothing between
events that are not nested, calls that may block at no cost, a launch where the queue was empty and else the activity before on the stream;
of the activities of one launch the last recorded. The path is the heaviest chain of all, wherever it ends. Synchronization events are
left out: most traces have none.
"""

import re
from collections import defaultdict

LAUNCHES = re.compile(r"^(cudaLaunchKernel(ExC)?|cuLaunchKernel|cudaMemcpyAsync|cudaMemsetAsync|hip(LaunchKernel|ExtModuleLaunchKernel|Mem\w+))$")
MAY_BLOCK = {"cudaDeviceSynchronize", "cudaStreamSynchronize", "cudaEventQuery", "cudaEventSynchronize", "cudaMemcpy", "cudaMemcpyAsync"}
HOST, DEVICE = {"cpu_op", "cuda_runtime", "cuda_driver"}, {"kernel", "gpu_memcpy", "gpu_memset"}
COMM = re.compile(r"^nccl.*Kernel")


class Plain:
    """The events that HTA keeps, and edges (from, weight, kind) into instants 2 i (begin) and 2 i + 1 (end)."""

    def __init__(self, events, leaves_out=True):
        whole = [e for e in events if e.get("ph") == "X" and e.get("cat") != "Trace"]
        steps = [e for e in whole if e["name"].startswith("ProfilerStep")]
        until = max((e["ts"] + e["dur"] for e in steps), default=float("inf")) if leaves_out and len({e["name"] for e in steps}) > 1 else float("inf")
        self.host = [e for e in whole if e["cat"] in HOST and e["dur"] > 0 and e["ts"] <= until]
        called = {e["args"]["correlation"]: e for e in self.host if "correlation" in e.get("args", {})}
        self.device = [e for e in whole if e["cat"] in DEVICE and (not leaves_out or e["args"].get("correlation") in called)]
        self.call_of = {id(e): called[e["args"]["correlation"]] for e in self.device if e["args"].get("correlation") in called}
        self.last_of = {e["args"].get("correlation"): id(e) for e in self.device}

    def heaviest(self, every=False):
        """Kinds of HTA's heaviest chain, in the unit of the trace; `every` activity of a launch where asked for."""
        device = [e for e in self.device if id(e) in self.call_of and (every or self.last_of[e["args"]["correlation"]] == id(e))]
        at = {id(e): 2 * i for i, e in enumerate(self.host + device)}
        into = defaultdict(list)
        for of_thread in groups(self.host, lambda e: (e["pid"], e["tid"])):
            nest(of_thread, at, into)
        self.queues(device, at, into)
        return longest(2 * len(at), into)

    def queues(self, device, at, into):
        for of_stream in groups(device, lambda e: (e["pid"], e["args"]["stream"])):
            outstanding = {}
            changes = [(self.call_of[id(e)]["ts"], 0, id(e)) for e in of_stream if LAUNCHES.match(self.call_of[id(e)]["name"])]
            changes += [(e["ts"], 1, id(e)) for e in of_stream if LAUNCHES.match(self.call_of[id(e)]["name"])]
            n = 0
            for _, is_begin, one in sorted(changes):
                n += -1 if is_begin else 1
                outstanding[one, is_begin] = n
            before = None
            for e in of_stream:
                begin, call = at[id(e)], self.call_of[id(e)]
                into[begin + 1].append((begin, e["dur"], "gpu_communication_bound" if COMM.match(e["name"]) else "gpu_compute_bound"))
                is_idle = outstanding.get((id(e), 0)) == 1 and outstanding.get((id(e), 1)) == 0
                if is_idle and (before is None or before["ts"] + before["dur"] < call["ts"]):
                    into[begin].append((at[id(call)], e["ts"] - call["ts"], "gpu_kernel_launch_overhead"))
                else:
                    into[begin].append((at[id(call)], 0, ""))
                    if before is not None:
                        weight = max(0, e["ts"] - before["ts"] - before["dur"])
                        into[begin].append((at[id(before)] + 1, weight, "gpu_kernel_kernel_overhead"))
                before = e


def groups(events, key):
    """Events by key, each in the order of begin, longer ones first."""
    found = defaultdict(list)
    for event in events:
        found[key(event)].append(event)
    return [sorted(group, key=lambda e: (e["ts"], -e["dur"])) for group in found.values()]


def nest(events, at, into):
    """The edges of one thread."""
    stack, last, top = [], None, None

    def leave():
        nonlocal last, top
        event = stack.pop()
        end = at[id(event)] + 1
        weight = 0 if event["name"] in MAY_BLOCK else max(0, event["ts"] + event["dur"] - last[1])
        into[end].append((last[0], weight, "cpu_bound"))
        last = (end, event["ts"] + event["dur"])
        if not stack:
            last, top = None, end

    for event in events:
        while stack and stack[-1]["ts"] + stack[-1]["dur"] <= event["ts"]:
            leave()
        begin = at[id(event)]
        if last is None:
            if top is not None:
                into[begin].append((top, 0, ""))
        else:
            into[begin].append((last[0], max(0, event["ts"] - last[1]), "cpu_bound"))
        last = (begin, event["ts"])
        stack.append(event)
    while stack:
        leave()


def longest(n, into):
    """The kinds of the heaviest chain: instants in an order in which all that an edge comes from stands before."""
    n_into, out = [0] * n, defaultdict(list)
    for to, edges in into.items():
        n_into[to] = len(edges)
        for edge in edges:
            out[edge[0]].append((to, *edge[1:]))
    ready = [i for i in range(n) if n_into[i] == 0]
    best, back, done = [0] * n, [None] * n, 0
    while ready:
        one = ready.pop()
        done += 1
        for to, weight, kind in out[one]:
            if back[to] is None or best[one] + weight > best[to]:
                best[to], back[to] = best[one] + weight, (one, weight, kind)
            n_into[to] -= 1
            if n_into[to] == 0:
                ready.append(to)
    assert done == n, "the edges have a cycle"
    at, kinds = max(range(n), key=lambda i: best[i]), defaultdict(float)
    while back[at] is not None:
        at, weight, kind = back[at]
        kinds[kind] += weight
    kinds.pop("", None)
    return dict(kinds)
