#!/usr/bin/env python3
"""Compares the machine output of two programs over a folder of traces and logs.

    tests/same_json.py BASE NEW FOLDER [--max-mb N] [--jobs N] [--except KEY,…]

Runs analyze, bandwidth, stages and merge of both programs on every input of FOLDER and on every directory that holds
several, and says where the output of NEW is not that of BASE. Members that BASE does not write are left out first:
fields are only ever added. Numbers are compared as they are written. Exits with 1 where something differs.
"""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile

TRACES = (".json", ".json.gz", ".pftrace", ".pftrace.gz", ".json.zst")
LOGS = (".log", ".log.gz", ".jsonl", ".jsonl.gz")


def inputs(folder, limit):
    """(command, paths): every file alone, and every directory with several of a kind."""
    by_folder = {}
    for path in sorted(folder.rglob("*")):
        is_small = path.is_file() and path.stat().st_size <= limit
        for kind, ends in (("trace", TRACES), ("log", LOGS)):
            if is_small and path.name.endswith(ends):
                by_folder.setdefault((path.parent, kind), []).append(path)
    for (_, kind), paths in by_folder.items():
        for path in paths:
            yield kind, [path]
        if 1 < len(paths) <= 16:
            yield kind, paths


def runs(kind, paths, out):
    """Command lines of one input; OUT stands for a file that merge writes."""
    paths = [str(path) for path in paths]
    if kind == "log":
        yield ["stages", *paths]
        return
    yield ["analyze", *paths]
    yield ["bandwidth", *paths]
    if len(paths) > 1:
        yield ["merge", *paths, "-o", out]


def result(program, words):
    done = subprocess.run([program, *words, "--quiet", "--format", "json"], capture_output=True, timeout=900)
    try:
        return done.returncode, json.loads(done.stdout, parse_float=str, parse_int=str)
    except ValueError:
        said = done.stderr.decode(errors="replace").splitlines()
        return done.returncode, [line for line in said if line.startswith(("error", "hint"))]


def pruned(new, base, left_out):
    """NEW without the members that BASE does not have, in NEW's order, and without those that are left out."""
    if isinstance(new, dict) and isinstance(base, dict):
        kept = {key: pruned(value, base[key], left_out) for key, value in new.items() if key in base}
        return {key: value for key, value in kept.items() if key not in left_out}
    if isinstance(new, list) and isinstance(base, list) and len(new) == len(base):
        return [pruned(a, b, left_out) for a, b in zip(new, base)]
    return new


def difference(new, base, path=""):
    """Where two values first differ."""
    if isinstance(new, dict) and isinstance(base, dict):
        if list(new) != list(base):
            return f"{path}: members {list(base)} became {list(new)}"
        found = (difference(new[key], base[key], f"{path}/{key}") for key in new)
        return next((one for one in found if one), None)
    if isinstance(new, list) and isinstance(base, list):
        if len(new) != len(base):
            return f"{path}: {len(base)} elements became {len(new)}"
        found = (difference(a, b, f"{path}/{i}") for i, (a, b) in enumerate(zip(new, base)))
        return next((one for one in found if one), None)
    return None if new == base else f"{path}: {base!r} became {new!r}"


def compared(programs, kind, paths, left_out):
    """Differences of one input, and the number of comparisons."""
    found, n = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for words in runs(kind, paths, str(pathlib.Path(folder) / "out.json.gz")):
            (base_code, base), (new_code, new) = (result(program, words) for program in programs)
            n += 1
            first = difference(pruned(new, base, left_out), pruned(base, base, left_out))
            if base_code != new_code:
                first = f"exit code {base_code} became {new_code}"
            if first:
                found.append(f"{' '.join(words)}: {first}")
    return found, n


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("new")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--max-mb", type=float, default=float("inf"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--except", dest="left_out", default="", help="members that are not compared")
    args = parser.parse_args()
    left_out = set(filter(None, args.left_out.split(",")))
    work = list(inputs(args.folder, args.max_mb * 1e6))
    n_runs, n_different = 0, 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(compared, (args.base, args.new), *one, left_out) for one in work]
        for job in concurrent.futures.as_completed(jobs):
            found, n = job.result()
            n_runs += n
            n_different += len(found)
            for line in found:
                print(line, flush=True)
    print(f"{n_runs} commands compared, {n_different} differ")
    sys.exit(1 if n_different else 0)


if __name__ == "__main__":
    main()
