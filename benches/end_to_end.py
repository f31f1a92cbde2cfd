"""Times the whole program on traces beside plain decompression and other readers, and prints a table.

    cargo build --release
    cargo run --release --example generate_trace -- --json-mb 850 --seed 7 -o trace.json.gz
    python3 benches/end_to_end.py trace.json.gz [--runs 5] [--threads 1 2] [--command analyze slim] [--markdown FILE]
    python3 benches/end_to_end.py rank0.json.gz rank1.json.gz --command analyze merge merge.gz pftrace

Each row is the median of the runs, which go round the commands: wall and CPU seconds, peak memory of the process, MB of JSON a
second, and the wall and CPU time as ratios to `igzip -dc` (or `gzip -dc` where igzip is not there) of the same files in the same
round. The first round only warms the page cache and is not counted.
"""

import argparse
import importlib.util
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# What each command writes, in a folder of its own; None for standard output alone.
COMMANDS = {
    "analyze": (["analyze", "--format", "json"], None),
    "bandwidth": (["bandwidth", "--format", "json"], None),
    "check": (["check"], None),
    "slim": (["slim"], "slim.json.gz"),
    "merge": (["merge"], "merged.json"),
    "merge.gz": (["merge"], "merged.json.gz"),
    "pftrace": (["merge"], "merged.pftrace"),
    "report": (["report"], "report"),
}

# Other readers of the same file, by the module that they need.
READERS = {
    "Python json": ("json", "import gzip,json,sys\nfor p in sys.argv[1:]: json.load((gzip.open if p.endswith('.gz') else open)(p, 'rb'))"),
    "orjson": ("orjson", "import gzip,orjson,sys\nfor p in sys.argv[1:]: orjson.loads((gzip.open if p.endswith('.gz') else open)(p, 'rb').read())"),
}


def run(command):
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    # `check` says with 1 that it found something.
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit(f"{' '.join(command)}: status {status}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def json_bytes(path):
    if not path.endswith(".gz"):
        return os.path.getsize(path)
    output = subprocess.Popen(["gzip", "-dc", path], stdout=subprocess.PIPE)
    total = 0
    while block := output.stdout.read(1 << 20):
        total += len(block)
    return total


def commands_of(options, folder):
    """What is run, by name; the first is what ratios are to, where there is one."""
    found = {}
    if all(trace.endswith(".gz") for trace in options.traces):
        for tool in ("igzip", "gzip"):
            if shutil.which(tool):
                found[f"{tool} -dc"] = [tool, "-dc", *options.traces]
    for name, (module, program) in READERS.items():
        if options.readers and importlib.util.find_spec(module):
            found[name] = [sys.executable, "-c", program, *options.traces]
    for name in options.command:
        words, output = COMMANDS[name]
        for threads in options.threads:
            ours = [options.binary, words[0], *options.traces, *words[1:], "--threads", str(threads), "--quiet"]
            if output:
                ours += ["-o", os.path.join(folder, output)]
            found[f"{name}, {threads} threads"] = ours
    return found


def table(options, results, size):
    names = ", ".join(os.path.basename(trace) for trace in options.traces)
    base = next((rows for name, rows in results.items() if name.endswith("-dc")), None)
    lines = [
        f"{names}: {size / 1e6:.0f} MB of JSON, median of {options.runs} runs, {os.cpu_count()} cores ({platform.machine()})",
        "",
        "| command | wall s | CPU s | peak MB | MB/s | wall to the first | CPU to the first |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, rows in results.items():
        wall, cpu, peak = (statistics.median(column) for column in zip(*rows))
        ratios = ["-", "-"]
        if base:
            ratios = [f"{statistics.median(ours[i] / max(of[i], 1e-3) for ours, of in zip(rows, base)):.2f}" for i in (0, 1)]
        lines.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {size / 1e6 / wall:.0f} | {ratios[0]} | {ratios[1]} |")
    return "\n".join(lines) + "\n"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("traces", nargs="+")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--threads", type=int, nargs="+", default=[os.cpu_count()])
    arguments.add_argument("--command", nargs="+", choices=COMMANDS, default=["analyze"])
    arguments.add_argument("--readers", action="store_true", help="also Python's json, and orjson where it is installed")
    arguments.add_argument("--binary", default="target/release/omni-trace")
    arguments.add_argument("--markdown", help="a file that the table is added to")
    options = arguments.parse_args()
    size = sum(json_bytes(trace) for trace in options.traces)
    with tempfile.TemporaryDirectory() as folder:
        commands = commands_of(options, folder)
        results = {name: [] for name in commands}
        for round_number in range(options.runs + 1):
            for name, command in commands.items():
                result = run(command)
                if round_number > 0:
                    results[name].append(result)
    text = table(options, results, size)
    print(text)
    if options.markdown:
        with open(options.markdown, "a") as file:
            file.write(text + "\n")


main()
