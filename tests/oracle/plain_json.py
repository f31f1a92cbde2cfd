"""An oracle of another make: what Python's json module sees in a trace.

Prints one JSON object: the number of events, how many of each phase, and for every (category, name) of complete events
their count and summed duration in nanoseconds, from the decimals as written and never through a float.

    python3 tests/oracle/plain_json.py trace.json.gz
"""

import collections
import decimal
import gzip
import json
import sys


def nanoseconds(text):
    if isinstance(text, int):
        return text * 1000
    return int((decimal.Decimal(text) * 1000).to_integral_value(decimal.ROUND_HALF_UP))


def clean(text):
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def main(path):
    with open(path, "rb") as file:
        opener = gzip.open if file.read(2) == b"\x1f\x8b" else open
    with opener(path, "rb") as file:
        text = file.read().decode("utf-8", "replace")
    trace = json.loads(text, parse_float=str)
    del text
    events = trace["traceEvents"] if isinstance(trace, dict) else trace
    phases = collections.Counter(event["ph"] for event in events)
    rows = collections.defaultdict(lambda: [0, 0])
    for event in events:
        if event["ph"] == "X":
            row = rows[event.get("cat", ""), event.get("name", "")]
            row[0] += 1
            row[1] += max(nanoseconds(event.get("dur", 0)), 0)
    rows = [[clean(cat), clean(name), count, ns] for (cat, name), (count, ns) in rows.items()]
    json.dump({"events": len(events), "phases": phases, "rows": sorted(rows)}, sys.stdout)


main(sys.argv[1])
