"""Runs the questions of docs/questions.md with a program and prints seconds beside each, the median of some runs.

    python3 benches/questions.py target/release/omni-trace [--runs 3] [--write now|before]

`--write` puts the seconds into that column of the page; what an older program does not know (exit code 2) has none there. Run it
in the root of a checkout. `tests/questions.rs` holds that each command shows its answer.
"""

import argparse
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

PAGE = pathlib.Path("docs/questions.md")
# Column of a row, counted between its bars.
COLUMNS = {"before": 4, "now": 5}


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| ") and "`omni-trace " in line]


def seconds(program, command, runs):
    """The median of the runs, or None where the program knows no such command."""
    taken = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            words = [word.replace("OUT", folder) for word in command.split(" ")[1:]]
            start = time.monotonic()
            done = subprocess.run([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            taken.append(time.monotonic() - start)
        if done.returncode == 2:
            return None
    return statistics.median(taken)


def with_seconds(line, column, taken):
    cells = line.split("|")
    # A number of commands, and words on how it was, stay; a time that stood there goes.
    words = re.sub(r"(, )?[0-9.]+ s$", "", cells[COLUMNS[column]].strip())
    time_words = "" if taken is None else f"{taken:.2f} s"
    cells[COLUMNS[column]] = " " + ", ".join(part for part in (words, time_words) if part) + " "
    return "|".join(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", choices=COLUMNS)
    arguments = parser.parse_args()
    text = PAGE.read_text()
    longest = 0.0
    for line in rows(text):
        command = line.split("|")[2].strip().strip("`")
        taken = seconds(arguments.program, command, arguments.runs)
        longest = max(longest, taken or 0.0)
        print("     -" if taken is None else f"{taken:6.2f}", command)
        if arguments.write:
            text = text.replace(line, with_seconds(line, arguments.write, taken))
    print(f"{longest:6.2f} the longest")
    if arguments.write:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
