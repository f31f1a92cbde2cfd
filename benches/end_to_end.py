"""Times the whole program on traces beside plain decompression, and prints a table.

    cargo build --release
    cargo run --release --example generate_trace -- --json-mb 850 --seed 7 -o trace.json.gz
    python3 benches/end_to_end.py trace.json.gz [--runs 5] [--threads 2] [--command analyze]
    python3 benches/end_to_end.py rank0.json.gz rank1.json.gz --command merge --output out.json.gz

Each row is the median of the runs: wall and CPU seconds, peak memory of the process, MB of JSON a second, and the wall
time as a ratio to `igzip -dc` (or `gzip -dc` where igzip is not there) of the same file in the same round.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def run(command):
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    if status != 0:
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


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("traces", nargs="+")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--command", default="analyze")
    arguments.add_argument("--output", help="name of the file that merge and slim write, in a temporary folder")
    arguments.add_argument("--binary", default="target/release/omni-trace")
    options = arguments.parse_args()
    size = sum(json_bytes(trace) for trace in options.traces)
    ours = [options.binary, options.command, *options.traces, "--threads", str(options.threads), "--quiet"]
    folder = tempfile.TemporaryDirectory()
    if options.output:
        ours += ["-o", os.path.join(folder.name, options.output)]
    commands = {f"omni-trace {options.command} --threads {options.threads}": ours}
    for tool in ("igzip", "gzip"):
        if all(trace.endswith(".gz") for trace in options.traces) and shutil.which(tool):
            commands[f"{tool} -dc"] = [tool, "-dc", *options.traces]
    results = {name: [] for name in commands}
    for round_number in range(options.runs + 1):
        for name, command in commands.items():
            result = run(command)
            if round_number > 0:  # the first round only warms the page cache
                results[name].append(result)
    base_name = next((name for name in commands if name.endswith("-dc")), None)
    names = ", ".join(os.path.basename(trace) for trace in options.traces)
    print(f"{names}: {size / 1e6:.0f} MB of JSON, median of {options.runs} runs")
    print(f"{'command':<36}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'MB/s':>8}{'ratio':>8}")
    for name, rows in results.items():
        wall, cpu, peak = (statistics.median(column) for column in zip(*rows))
        ratio = "-"
        if base_name:
            pairs = zip(rows, results[base_name])
            ratio = f"{statistics.median(ours[0] / base[0] for ours, base in pairs):.2f}"
        print(f"{name:<36}{wall:>8.2f}{cpu:>8.2f}{peak:>9.0f}{size / 1e6 / wall:>8.0f}{ratio:>8}")


main()
