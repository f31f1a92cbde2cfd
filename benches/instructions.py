#!/usr/bin/env python3
"""Counts the instructions of each step of `analyze`, a byte of JSON, and holds them to `reports/instructions.md`.

    python3 benches/instructions.py                  # checks; a part of `.ci/run`
    BLESS=1 python3 benches/instructions.py          # writes what is counted
    python3 benches/instructions.py --functions 40   # and says which functions they are of
    python3 benches/instructions.py --trace trace.json.gz --cache   # of another trace; with misses of a simulated cache

Times depend on what else a machine does; instructions do not. `benches/count` runs the steps one after the other on one thread,
over traces that are generated from a fixed seed, under callgrind of valgrind, which counts what is executed. Two runs differ
by less than a millionth. What changes the counts besides this repository's code: the compiler, the C library and what the
processor offers (valgrind emulates AVX2 and hides what is beyond it). That is what TOLERANCE is for; the record says with which
compiler it was made.
"""

import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
RECORD = TOP / "reports" / "instructions.md"
# What a step may take more, or less, than recorded; and of another compiler than the record's, whose code is another.
TOLERANCE = 0.03
TOLERANCE_OF_COMPILERS = 0.15
# How the C library copies depends on what the processor has and on its caches; here it copies one way on all.
TUNABLES = "glibc.cpu.hwcaps=-ERMS:glibc.cpu.x86_non_temporal_threshold=16777216"
# Steps of fewer instructions a byte are held to that part of these: what the compiler inlines where changes with code elsewhere.
LEAST = 3.0
# The traces that are generated: most of their events are Python frames, or operators, calls and kernels.
TRACES = {
    "frames": ["--json-mb", "8", "--seed", "7"],
    "operators": ["--json-mb", "4", "--seed", "7", "--spins", "40"],
}
# The functions of benches/count/main.rs, in their order, and what they do.
STEPS = {
    "inflate": "bytes to text, checksum included",
    "cut": "text to blocks",
    "scan": "all events of blocks to spans; `decode` makes them of those alone that it cannot do without",
    "decode": "blocks to columns: spans, numbers, interned texts",
    "join": "columns of blocks to those of the store",
    "sort": "slices in the order of their tracks, texts by rank",
    "time_base": "windows, threads, devices, launches",
    "key_averages": "the profiler table",
    "accounts": "devices, idle time, threads, components",
    "launches": "iterations, launch statistics, queues, origins of kernels",
    "trust": "the checks of what was recorded",
}


def built(profile):
    """Builds what is counted; gives the folder of the programs."""
    command = ["cargo", "build", "--locked", "--profile", profile, "-p", "omni-trace-count"]
    subprocess.run(command, cwd=TOP, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")) / profile


def counted(program, trace, folder, cache):
    """Runs the steps under callgrind. Gives bytes of text, the events that were counted and the profile's text."""
    output = Path(folder) / "callgrind"
    # Its own malloc and memory layout are the same in every run; a large environment would move the stack.
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]
    command += ["--cache-sim=yes", "--LL=33554432,16,64"] if cache else []
    environment = {"PATH": os.environ["PATH"], "OMNI_TRACE_CACHE": "off", "GLIBC_TUNABLES": TUNABLES}
    done = subprocess.run([*command, program, trace], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"instructions: {' '.join(map(str, done.args))}: status {done.returncode}\n{done.stderr}")
    return int(done.stdout), output.read_text()


def costs(profile):
    """Of a callgrind profile: its events, what calls from one function to another cost, and what functions cost themselves."""
    names, calls, own = {}, collections.defaultdict(list), collections.defaultdict(list)
    events, function, callee, is_call = [], "", "", False

    def named(text):
        number, _, name = text.partition(" ")
        if name:
            names[number] = re.sub(r"'\d+$", "", name)
        return names[number]

    def add(to, key, values):
        before = to[key] or [0] * len(events)
        values = values + [0] * (len(events) - len(values))
        to[key] = [a + b for a, b in zip(before, values)]

    for line in profile.splitlines():
        key, is_field, value = line.partition("=")
        if line.startswith("events:"):
            events = line.split()[1:]
        elif is_field and key == "fn":
            function = named(value)
        elif is_field and key == "cfn":
            callee = named(value)
        elif is_field and key == "calls":
            is_call = True
        elif line[:1].isdigit() or line[:1] in ("+", "-", "*"):
            values = [int(number) for number in line.split()[1:]]
            if is_call:
                add(calls, (function, callee), values)
            else:
                add(own, function, values)
            is_call = False
    return events, calls, own


def by_step(calls):
    """Instructions and other events of each step, with all that it calls."""
    found = {}
    for (caller, callee), values in calls.items():
        step = re.fullmatch(r"omni_trace_count::(\w+)", callee)
        if step and step[1] in STEPS and caller == "omni_trace_count::main":
            found[step[1]] = values
    missing = STEPS.keys() - found.keys()
    if missing:
        sys.exit(f"instructions: the profile does not have the steps {', '.join(sorted(missing))}")
    return {step: found[step] for step in STEPS}


def compiler():
    return subprocess.run(["rustc", "--version"], cwd=TOP, capture_output=True, text=True, check=True).stdout.strip()


def recorded():
    """Instructions a byte by trace and step, and the compiler, of the record."""
    text = RECORD.read_text() if RECORD.exists() else ""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|", text, re.MULTILINE)
    made_with = re.search(r"^Compiler: (.*)\.$", text, re.MULTILINE)
    known = {(trace, row[0]): float(row[i]) for row in rows for i, trace in enumerate(TRACES, 1)}
    return known, made_with[1] if made_with else "none"


def record(found):
    rows = [f"| `{step}` | {' | '.join(f'{found[trace, step]:.3f}' for trace in TRACES)} | {what} |" for step, what in STEPS.items()]
    whole = [sum(found[trace, step] for step in STEPS if step != "scan") for trace in TRACES]
    traces = "; ".join(f"{name}: `generate_trace {' '.join(words)}`" for name, words in TRACES.items())
    lines = [
        "# Instructions a byte of JSON",
        "",
        f"Steps of `analyze` over generated traces on one thread, counted by callgrind. {traces}.",
        f"Written by `BLESS=1 python3 benches/instructions.py`; `.ci/run` fails where a step differs by more than {TOLERANCE:.0%}, or {TOLERANCE * LEAST:.2f} ({TOLERANCE_OF_COMPILERS:.0%} with another compiler).",
        f"Compiler: {compiler()}.",
        "",
        f"| step | {' | '.join(TRACES)} | what it is |",
        f"| --- |{' ---: |' * len(TRACES)} --- |",
        *rows,
        f"| together | {' | '.join(f'{sum:.3f}' for sum in whole)} | without `scan` |",
    ]
    RECORD.write_text("\n".join(lines) + "\n")


def differences(found):
    """Sentences about the steps that are not what the record says."""
    known, made_with = recorded()
    tolerance = TOLERANCE if made_with == compiler() else TOLERANCE_OF_COMPILERS
    lines = []
    for (trace, step), value in found.items():
        before = known.get((trace, step))
        if before is None:
            lines.append(f"  {step} of {trace}: {value:.3f} instructions a byte, and no record")
        elif abs(value - before) > tolerance * max(before, LEAST):
            change = value / max(before, 1e-9) - 1
            lines.append(f"  {step} of {trace}: {value:.3f} instructions a byte, recorded are {before:.3f} ({change:+.1%})")
    lines += [f"  {step} of {trace}: recorded, and no step" for trace, step in known if step not in STEPS]
    if made_with != compiler():
        print(f"instructions: the record is of {made_with}, this is {compiler()}: steps are held to it within {tolerance:.0%}")
    return lines


def show_functions(own, events, n_bytes, n_shown):
    print("  of functions themselves:")
    for name, values in sorted(own.items(), key=lambda item: -item[1][0])[:n_shown]:
        figures = "  ".join(f"{value / n_bytes:8.4f}" for value in values)
        print(f"  {figures}  {name[:140]}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--trace", help="another trace: shown, not checked")
    arguments.add_argument("--functions", type=int, default=0, metavar="N", help="show the N functions with most instructions")
    arguments.add_argument("--cache", action="store_true", help="simulate caches, too: shown, not checked")
    options = arguments.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("instructions: valgrind is not installed, instructions cannot be counted")
    programs = built("profiling")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        traces = {name: Path(folder) / f"{name}.json.gz" for name in TRACES}
        for name, trace in traces.items():
            subprocess.run([programs / "generate_trace", *TRACES[name], "-o", trace], check=True)
        if options.trace:
            traces = {"other": options.trace}
        for name, trace in traces.items():
            n_bytes, profile = counted(programs / "omni-trace-count", trace, folder, options.cache)
            events, calls, own = costs(profile)
            print(f"{name}: {n_bytes} bytes of events; {', '.join(events)} a byte:")
            for step, values in by_step(calls).items():
                found[name, step] = values[0] / n_bytes
                print(f"{step:>14}  {'  '.join(f'{value / n_bytes:8.4f}' for value in values)}")
            if options.functions:
                show_functions(own, events, n_bytes, options.functions)
    if options.trace or options.cache:
        return
    if os.environ.get("BLESS"):
        record(found)
        return
    if lines := differences(found):
        sys.exit(
            "instructions: steps take more or less work than reports/instructions.md says:\n"
            + "\n".join(lines)
            + "\n  What `--functions 40` shows says where. If it is meant: BLESS=1 python3 benches/instructions.py"
        )


main()
