"""How much of the kernel time of traces has a model, and a module: `omni-trace` over a folder of traces.

    python3 benches/coverage.py FOLDER [--program PATH] [--set FILE,FILE…]

Prints the tables of reports/coverage.md. A trace stands alone in a row; a `--set` is read together, and the row is of its first file: a
replayed graph with the eager run or the capture that tells its modules. Shares are of the time of all kernels of the trace, communication
included. Modelled: FLOPs or bytes follow from recorded shapes (or, of collectives, from their arguments). Attributed: the module is known,
by the rung that the columns name; of a repetition only the layer.
"""

import argparse
import collections
import json
import os
import subprocess

TABLES = "kernels,utilization,modules"
RUNGS = ("frame", "backward", "capture", "sequence", "alignment", "repetition")


def analyzed(program, paths):
    """The report, or why there is none."""
    command = [program, "analyze", "-q", "--format", "json", "--table", TABLES, *paths]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMNI_TRACE_CACHE": "off"})
    try:
        return json.loads(done.stdout), None
    except json.JSONDecodeError:
        return None, done.stderr.strip().splitlines()[0] if done.stderr.strip() else "nothing was printed"


def row_of(report):
    """Kernel time, that with a model, and that with a module by rung, in ns; None without kernels."""
    kernels = [row for row in report["kernels"] if row["category"] == "kernel"]
    whole = sum(row["sum_ns"] for row in kernels)
    of_modules = sum(row["device_ns"] for row in report["modules"] if row["input"] == 0)
    # Kernels are summed over inputs; where modules are known, their rows hold all kernels of the first.
    whole = of_modules or whole
    if whole == 0:
        return None
    used = [row for row in report["utilization"] if row["input"] == 0 and row["scope"] == "window"]
    modelled = sum(row["modelled_ns"] for row in used) if used else None
    rungs = collections.Counter()
    for row in report["modules"]:
        if row["input"] == 0 and (row["module"] is not None or row["layer"] is not None):
            rungs[row["rung"]] += row["device_ns"]
    return whole, modelled, rungs if report["modules"] else None


def traces(folder):
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            plain = name.removesuffix(".gz")
            is_oracle = plain.endswith((".key_averages.json", "manifest.json", "events.json", "meta.json"))
            if plain.endswith((".json", ".pftrace", ".perfetto-trace")) and not is_oracle:
                yield os.path.join(place, name)


def share(part, whole):
    return "-" if part is None else f"{100 * part / whole:.2f}"


def print_rows(rows):
    print("| trace | kernels ms | modelled % | attributed % | " + " | ".join(RUNGS) + " |")
    print("| --- |" + " ---: |" * (3 + len(RUNGS)))
    for name, (whole, modelled, rungs) in rows:
        attributed = None if rungs is None else sum(rungs[rung] for rung in RUNGS)
        of_rungs = ["" if rungs is None or not rungs[rung] else share(rungs[rung], whole) for rung in RUNGS]
        cells = [name, f"{whole / 1e6:,.3f}", share(modelled, whole), share(attributed, whole), *of_rungs]
        print("| " + " | ".join(cells) + " |")


def print_total(rows):
    """What all rows come to, each trace with its time."""
    whole = sum(row[0] for _, row in rows)
    for what, parts in (
        ("modelled", [(row[0], row[1]) for _, row in rows]),
        ("attributed", [(row[0], None if row[2] is None else sum(row[2][rung] for rung in RUNGS)) for _, row in rows]),
    ):
        known = [(time, part) for time, part in parts if part is not None]
        time, part = sum(one[0] for one in known), sum(one[1] for one in known)
        print(
            f"{what}: {share(part, whole)} % of the kernel time of all {len(rows)} traces with kernels; "
            f"{share(part, time) if time else '-'} % of that of the {len(known)} that record what it takes."
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--program", default="target/release/omni-trace")
    parser.add_argument("--set", action="append", default=[], help="files of the folder that are read together")
    asked = parser.parse_args()
    folder = asked.folder.rstrip("/")
    rows, without, unread = [], 0, []
    for path in traces(folder):
        name = os.path.relpath(path, folder)
        report, why = analyzed(asked.program, [path])
        row = row_of(report) if report else None
        if row:
            rows.append((name, row))
        elif report:
            without += 1
        else:
            unread.append((name, why))
    print_rows(rows)
    print()
    print_total(rows)
    print(f"Without kernels: {without} traces. Not traces, or not read: {len(unread)}.")
    sets = []
    for one in asked.set:
        names = one.split(",")
        report, why = analyzed(asked.program, [os.path.join(folder, name) for name in names])
        row = row_of(report) if report else None
        if row is None:
            raise SystemExit(f"{one}: {why or 'no kernels'}")
        sets.append((" with ".join(names), row))
    if sets:
        print("\nRead together, of the first:\n")
        print_rows(sets)


if __name__ == "__main__":
    main()
