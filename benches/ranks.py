#!/usr/bin/env python3
"""Simulated ranks through `analyze --partial` and `reduce`: what is named, what is named wrongly, sizes, times, memory.

    cargo build --release --bin omni-trace --example generate_ranks
    python3 benches/ranks.py target/release --ranks 1024 --clean 20 --sizes 64,1024,4096,10000

Seeds are from 1001 on; thresholds were chosen by 1 to 10, and tests/ranks.rs has 101 to 220. Prints Markdown.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

#: Faults by what the generator calls them, and what is to be named: ranks with their causes, groups of links.
RANK, LINK, HOST = 137, 300, 21
FAULTS = [
    ("one GPU 5 % slow", f"gpu:{RANK}"),
    ("one slow link", f"link:{LINK}"),
    ("a host's interpreters collect garbage", f"gc:{HOST}"),
    ("a rank 200 ms late in every backward pass", f"late:{RANK}"),
    ("a rank that waits 25 ms for its data in every step", f"data:{RANK}"),
    ("copies of a rank five times as long", f"copy:{RANK}"),
    ("three at once", f"gpu:{RANK},link:{LINK},gc:{HOST}"),
]


def run(words):
    """Wall clock and processor seconds, peak memory in bytes, and standard output."""
    start = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{words} ended with {status}")
    return time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, out


def generate(bins, ranks, seed, fault, folder):
    words = [bins / "examples/generate_ranks", "--ranks", str(ranks), "--seed", str(seed), "--fault", fault, "-o", folder]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)


def reduced(bins, folder, table=None):
    shown = ["--table", table] if table else []
    return run([bins / "omni-trace", "reduce", "-q", "--threads", "2", folder, *shown, "--format", "json"])


def told(answer):
    causes = {}
    for row in answer["slow_ranks"]:
        causes.setdefault(row["cause"] + (f" ({row['name']})" if row["name"] else ""), []).append(str(row["rank"]))
    ranks = "; ".join(f"rank {', '.join(ranks)}: {cause}" for cause, ranks in causes.items())
    links = "; ".join(f"{row['ranks']}: {row['slower_pct']:.0f} % slower" for row in answer["slow_links"])
    return ranks or "-", links or "-"


def faults(bins, ranks, folder):
    print(f"\n| fault, {ranks} ranks | slow ranks | slow links | late itself |\n| --- | --- | --- | --- |")
    for number, (words, fault) in enumerate(FAULTS):
        shutil.rmtree(folder, ignore_errors=True)
        generate(bins, ranks, 1001 + number, fault, folder)
        answer = json.loads(reduced(bins, folder, "stragglers")[3])
        slow, links = told(answer)
        first = max(answer["stragglers"], key=lambda row: row["caused_wait_ns"] - row["inherited_ns"])
        late = f"#{first['input']}, others waited {(first['caused_wait_ns'] - first['inherited_ns']) / 1e9:.2f} s"
        print(f"| {words} (`{fault}`, seed {1001 + number}) | {slow} | {links} | {late} |", flush=True)


def clean(bins, ranks, n, folder):
    named = []
    for seed in range(2001, 2001 + n):
        shutil.rmtree(folder, ignore_errors=True)
        generate(bins, ranks, seed, "none", folder)
        answer = json.loads(reduced(bins, folder)[3])
        if answer["slow_ranks"] or answer["slow_links"]:
            named.append((seed, told(answer)))
    print(f"\n{n} clean sets of {ranks} ranks, seeds 2001 to {2000 + n}: something is named in {len(named)}. {named or ''}", flush=True)


def sizes(bins, all_ranks, folder):
    print("\n| ranks | a partial result, KiB: median, largest | all, MB | `reduce`, s | processor, s | peak MiB |\n| --- | --- | --- | --- | --- | --- |")
    for ranks in all_ranks:
        shutil.rmtree(folder, ignore_errors=True)
        generate(bins, ranks, 1001, "none", folder)
        each = sorted(path.stat().st_size for path in pathlib.Path(folder).glob("*.otp"))
        wall, cpu, peak, _ = reduced(bins, folder)
        middle = each[len(each) // 2]
        row = (ranks, f"{middle / 1024:.0f}, {each[-1] / 1024:.0f}", f"{sum(each) / 1e6:.1f}", f"{wall:.1f}", f"{cpu:.1f}", f"{peak / 2**20:.0f}")
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bins", type=pathlib.Path, help="folder of the built programs")
    parser.add_argument("--ranks", type=int, default=1024)
    parser.add_argument("--clean", type=int, default=20)
    parser.add_argument("--sizes", default="")
    parser.add_argument("--no-faults", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        into = os.path.join(folder, "ranks")
        if not asked.no_faults:
            faults(asked.bins, asked.ranks, into)
        if asked.clean:
            clean(asked.bins, asked.ranks, asked.clean, into)
        if asked.sizes:
            sizes(asked.bins, [int(one) for one in asked.sizes.split(",")], into)


if __name__ == "__main__":
    main()
