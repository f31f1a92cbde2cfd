"""Builds the fuzzers with libFuzzer on the stable toolchain, and runs them in turn or side by side.

    python3 fuzz/run.py [--seconds 120] [--rounds 1] [--target chrome ...] [--jobs 1] [--copies 1] [--folder target/fuzz]
    python3 fuzz/run.py --prepare              # only builds the fuzzers and the corpora
    python3 fuzz/run.py --built FOLDER ...     # runs fuzzers that were built before, as on a machine without a compiler

Corpora begin with what `corpus` takes from the fixtures, and grow in the folder from run to run. At the end stands a table: CPU
seconds, executions, edges and features that are covered, inputs of the corpus, finds. Exit code 1 where something was found: such an
input goes into `fixtures/crash/TARGET/` with the fix.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGETS = ["chrome", "events", "gzip", "deflate", "perfetto", "logs", "rules", "partials", "manifest", "snapshot", "sql"]
# What cargo-fuzz has rustc do, without a sanitizer: the code has no `unsafe` that one would watch.
FLAGS = ["-Cpasses=sancov-module", "-Cllvm-args=-sanitizer-coverage-level=4", "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
         "-Cllvm-args=-sanitizer-coverage-pc-table", "-Cllvm-args=-sanitizer-coverage-trace-compares", "--cfg=fuzzing",
         "-Cdebug-assertions", "-Coverflow-checks=on", "-Ccodegen-units=1"]
WORDS = ['"ph":"X"', '"ts":', '"dur":', '"traceEvents":[', '},{"ph":', '"args":{', '"name":"', '"cat":"kernel"', '"pid":', '"tid":',
         "\0", "-1e999", "18446744073709551616", "\\", "\\u0000", "\\ud800", "]}", '"ph":"M"', '"correlation":', '"id":', "\ufeff"]
# Of a fuzzer that finds so much, the rest can wait.
MOST_FINDS = 20
# Larger inputs find less in the same time.
MOST_BYTES = 20_000
HOST = "x86_64-unknown-linux-gnu"


def build(folder):
    environment = os.environ | {"RUSTFLAGS": " ".join(FLAGS), "CARGO_TARGET_DIR": str(folder / "build")}
    command = ["cargo", "build", "--release", "--target", HOST, "--manifest-path", ROOT / "fuzz" / "Cargo.toml"]
    subprocess.run(command, env=environment, check=True)
    return folder / "build" / HOST / "release"


def inflated(data):
    return zlib.decompressobj(31).decompress(data, 1 << 20) if data[:2] == b"\x1f\x8b" else data


def corpus(target, folder):
    """Inputs to begin with. Partial results are made of fixtures, where the program is built."""
    files = [path.read_bytes() for path in sorted((ROOT / "fixtures").rglob("*")) if path.is_file()]
    if target in ("gzip", "deflate"):
        return [data[10:] for data in files if data[:2] == b"\x1f\x8b"]
    if target == "rules":
        return [(ROOT / "src/analyze" / name).read_bytes() for name in ("wait_rules.default", "comm_rules.default")]
    if target == "snapshot":
        return [data[2:] for data in files if data[:1] == b"\x80"]
    if target == "partials":
        return partials(folder)
    if target == "sql":
        return statements()
    if target == "manifest":
        # A schema version, and a stage with a name.
        return [b"\x08\x01\x52\x07\x08\x01\x12\x03abc"]
    texts = []
    for data in files:
        try:
            texts.append(inflated(data))
        except zlib.error:
            pass
    if target == "perfetto":
        return [text for text in texts if text[:1] == b"\n" and b"\0" in text]
    if target == "logs":
        return [text for text in texts if b"INFO" in text]
    traces = [text for text in texts if b'"traceEvents"' in text]
    if target == "events":
        return [text[text.find(b"[", text.find(b'"traceEvents"')) + 1:][:4000] for text in traces]
    return traces


def statements():
    """SQL of the guide, of the ready questions and of the tests."""
    texts = [(ROOT / "docs" / "query.md").read_text()]
    texts += [path.read_text() for path in sorted((ROOT / "frame").rglob("*.rs"))]
    asked = re.findall(r"(?:SELECT|WITH|DESCRIBE|SHOW|CREATE)\b[^`]{3,600}?(?=[;`]|\"[,;)])", "\n".join(texts))
    return [text.encode() for text in sorted(set(asked))]


def partials(folder):
    program = next((path for path in (ROOT / "target/release/omni-trace", ROOT / "target/debug/omni-trace") if path.exists()), None)
    if program is None:
        return []
    made = folder / "made.otp"
    messages = []
    for case in ("nccl_two_ranks", "vllm_tp2_step", "p2p_copies", "compact_exporter"):
        subprocess.run([program, "analyze", ROOT / "fixtures" / case, "--partial", made, "-q"], stdout=subprocess.DEVNULL, check=True)
        messages.append(zlib.decompressobj(31).decompress(made.read_bytes()[24:]))
    return messages


def dictionary(folder):
    escaped = lambda word: "".join(c if c.isalnum() else "".join(f"\\x{b:02x}" for b in c.encode()) for c in word)
    path = folder / "words"
    path.write_text("".join(f'"{escaped(word)}"\n' for word in WORDS))
    return path


def inputs_of(target, folder):
    """The folder of a target's inputs, which begins with the corpus."""
    inputs = folder / "corpus" / target
    if not inputs.exists():
        inputs.mkdir(parents=True)
        for i, data in enumerate(corpus(target, folder)):
            (inputs / f"seed{i}").write_bytes(data[:MOST_BYTES])
    return inputs


def run(program, target, copy, folder, seconds):
    """A stretch of a fuzzer, which a find ends: what it took and reached. Copies of one target share their inputs and take over
    what the others find."""
    inputs, found = inputs_of(target, folder), folder / "found" / target
    found.mkdir(parents=True, exist_ok=True)
    command = [program, inputs, f"-artifact_prefix={found}/", f"-dict={dictionary(folder)}", f"-max_total_time={seconds}",
               f"-max_len={MOST_BYTES}", "-timeout=60", "-rss_limit_mb=2048", "-len_control=0", "-print_final_stats=1"]
    with open(folder / f"{target}-{copy}.log", "w+b") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, _, usage = os.wait4(process.pid, 0)
        log.seek(0)
        said = log.read().decode(errors="replace")
    reached = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", said)[-1:] or [("0", "0", "0")]
    executed = re.findall(r"stat::number_of_executed_units:\s+(\d+)", said)
    return usage.ru_utime + usage.ru_stime, int(executed[0]) if executed else 0, reached[0], re.findall(r"Test unit written to (\S+)", said)


def run_on(program, target, copy, folder, seconds):
    """Stretches until the time is over: behind a find it goes on."""
    sums, end = Sums(), time.monotonic() + seconds
    while len(sums.found) < MOST_FINDS and (left := round(end - time.monotonic())) > 0:
        sums.add(*run(program, target, copy, folder, left))
    return sums.cpu_s, sums.executed, sums.reached, sums.found


class Sums:
    """What all stretches of a target took and reached."""

    def __init__(self):
        self.cpu_s, self.executed, self.reached, self.found = 0.0, 0, (0, 0, 0), []

    def add(self, cpu_s, executed, reached, found):
        self.cpu_s += cpu_s
        self.executed += executed
        self.reached = tuple(max(both) for both in zip(self.reached, map(int, reached)))
        self.found += found

    def row(self, target):
        edges, features, inputs = self.reached
        return f"| {target} | {self.cpu_s:.0f} | {self.executed} | {edges} | {features} | {inputs} | {len(self.found)} |"


def run_all(programs, options):
    """Every stretch of every copy of every target, so many at once."""
    sums = {target: Sums() for target in options.target}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for _ in range(options.rounds):
            stretches = [(target, copy) for copy in range(options.copies) for target in options.target]
            start = lambda one: run_on(programs / one[0], *one, options.folder, options.seconds)
            for (target, _), stretch in zip(stretches, pool.map(start, stretches)):
                sums[target].add(*stretch)
    return sums


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=int, default=120, help="of each stretch")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--target", nargs="*", default=TARGETS, choices=TARGETS)
    arguments.add_argument("--jobs", type=int, default=1, help="fuzzers at once")
    arguments.add_argument("--copies", type=int, default=1, help="fuzzers of each target, with other seeds, on one corpus")
    arguments.add_argument("--folder", type=pathlib.Path, default=ROOT / "target" / "fuzz")
    arguments.add_argument("--built", type=pathlib.Path, help="a folder of fuzzers that were built before")
    arguments.add_argument("--prepare", action="store_true", help="build the fuzzers and the corpora, and run nothing")
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    programs = options.built.resolve() if options.built else build(options.folder)
    for target in options.target:
        inputs_of(target, options.folder)
    if options.prepare:
        sys.exit(0)
    sums = run_all(programs, options)
    print("| target | CPU s | executions | edges | features | corpus | finds |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for target, sum_ in sums.items():
        print(sum_.row(target))
    print(f"\n{sum(one.cpu_s for one in sums.values()):.0f} CPU seconds")
    finds = [path for one in sums.values() for path in one.found]
    sys.exit("found:\n" + "\n".join(finds) if finds else 0)


if __name__ == "__main__":
    main()
