"""Checks a merged trace with Python's `json` and nothing of the program: rules of viewers, by brute force.

Prints slices per input and what broke a rule: two slices of one thread that cross, a pid of no input, an id that two inputs
share, a process without name or order.
"""

import gzip
import json
import sys
from decimal import Decimal


def load(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        return json.loads(file.read().decode("utf-8"), parse_float=Decimal)


def main(path):
    trace = load(path)
    owner = {}
    for number, part in enumerate(trace["omniTraceInputs"]):
        for process in part["processes"]:
            owner[process["pid"]] = number
    broken, slices, ids, named, ordered = [], {}, {}, {}, set()
    counts = [0] * len(trace["omniTraceInputs"])
    for event in trace["traceEvents"]:
        pid = event.get("pid")
        if pid not in owner:
            broken.append("pid %r is of no input" % pid)
            continue
        if not isinstance(event.get("tid"), int):
            broken.append("tid %r is no number" % event.get("tid"))
        part, args = owner[pid], event.get("args", {})
        if event["ph"] == "M" and event["name"] == "process_name":
            named[pid] = args["name"]
        if event["ph"] == "M" and event["name"] == "process_sort_index":
            ordered.add(pid)
        if event["ph"] in "sf" and part != ids.setdefault(("flow", event["cat"], int(event["id"])), part):
            broken.append("flow id %r is shared" % event["id"])
        if event["ph"] != "X":
            continue
        counts[part] += 1
        for key in ("correlation", "External id", "Python id"):
            value = args.get(key)
            if value not in (None, 0) and part != ids.setdefault((key, int(value)), part):
                broken.append("%s %r is shared" % (key, value))
        start = int(Decimal(event["ts"]) * 1000)
        end = start + int(Decimal(event.get("dur", 0)) * 1000)
        slices.setdefault((pid, event["tid"]), []).append((start, -end))
    for thread, spans in slices.items():
        stack = []
        for start, negative_end in sorted(spans):
            while stack and stack[-1] <= start:
                stack.pop()
            if stack and -negative_end > stack[-1]:
                broken.append("slices of %r cross at %d" % (thread, start))
            stack.append(-negative_end)
    for pid in owner:
        if pid not in named or pid not in ordered:
            broken.append("process %d has no name or no order" % pid)
    if len(set(named.values())) != len(named):
        broken.append("two processes have one name")
    print(json.dumps({"broken": broken[:20], "counts": counts, "names": [named[pid] for pid in sorted(named)]}))


main(sys.argv[1])
