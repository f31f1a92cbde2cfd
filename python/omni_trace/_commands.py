"""What writes files: the program's own commands, in a process of their own.

Files appear whole or not at all, also when they are interrupted, and never replace an input: as on the command line, because it is
the command line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any, Dict, List, Optional, Tuple

from ._errors import CommandFailed, QueryUnavailable
from ._words import Path, Paths, paths_of, words_of

_FOUND = 1
_GRACE_S = 10.0


def run(words: List[str]) -> Tuple[int, str, str]:
    """Runs ``omni-trace`` with some words. Gives its exit code, standard output and standard error.

    An interruption is passed on, so that unfinished files are removed, and then raised.
    """
    line = [sys.executable, "-m", "omni_trace", *words]
    process = subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    try:
        out, err = process.communicate()
    except BaseException:
        _end(process)
        raise
    return process.returncode, out, err


def _end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _failure(code: int, err: str) -> CommandFailed:
    what = [line[len("error: ") :] for line in err.splitlines() if line.startswith("error: ")]
    hints = [line[len("hint: ") :] for line in err.splitlines() if line.startswith("hint: ")]
    said = what[-1] if what else (err.strip() or f"omni-trace ended with {code}")
    return CommandFailed(said, hints[-1] if hints else None, code)


def _checked(words: List[str], may_find: bool = False) -> Tuple[int, str]:
    code, out, err = run(words)
    if code == 0 or (may_find and code == _FOUND):
        return code, out
    raise _failure(code, err)


def merge(paths: Paths, output: Path, **options: Any) -> Dict[str, Any]:
    """One time line from the traces of stages and ranks, clocks aligned, written to ``output`` (.json, .json.gz, .pftrace).

    ``options`` are those of ``omni-trace merge``: ``align="none"``, ``level=6``, ``comm_rules="FILE"``, …
    Gives the report of the command as its machine output has it; times in nanoseconds.
    """
    words = ["merge", "--format=json", *paths_of(paths), *words_of({"output": output, **options})]
    return json.loads(_checked(words)[1])


def slim(path: Path, output: Path, **options: Any) -> Dict[str, Any]:
    """A valid trace small enough to open, written to ``output`` (.json, .json.gz, .pftrace): waits collapsed, and what else is asked.

    ``options`` are those of ``omni-trace slim``: ``iterations="2..4"``, ``window="10ms..25ms"``, ``min_dur="5us"``, …
    Gives the report of the command as its machine output has it; times in nanoseconds.
    """
    words = ["slim", "--format=json", *paths_of(path), *words_of({"output": output, **options})]
    return json.loads(_checked(words)[1])


def query(paths: Paths, sql: str, **options: Any) -> List[Dict[str, Any]]:
    """SQL over every table, and every event, of traces: a dict for each row of the result; times are whole nanoseconds.

    ``options`` are those of ``omni-trace query``: ``window="10ms..25ms"``, ``exclude="ipc_wait"``, ``limit=100``, …
    polars answers, in a program of its own that the wheel does not carry: it is ten times as large as the wheel and takes as long to
    build. Raises ``QueryUnavailable``, which says what installs it, where it is not there.
    """
    words = ["query", "--format=json", "--quiet", *words_of(options), *paths_of(paths), sql]
    try:
        out = _checked(words)[1]
    except CommandFailed as error:
        if "need the program omni-trace-query" in error.what:
            hint = f"{error.hint}; without it: `run = omni_trace.analyze(…)`, and the tables go to your own DuckDB or polars"
            raise QueryUnavailable(error.what, hint) from None
        raise
    return json.loads(out)


def report(paths: Paths, output: Path, **options: Any) -> str:
    """Everything that is known as a page without network, ``index.html``, and its figures as PNG, in the folder ``output``.

    ``options`` are those of ``omni-trace report``: ``exclude=["ipc_wait"]``, ``window="10ms..25ms"``, …
    Gives the path of the page.
    """
    _checked(["report", "--quiet", *paths_of(paths), *words_of({"output": output, **options})])
    return os.path.join(os.fspath(output), "index.html")


def check(paths: Paths, **options: Any) -> Dict[str, Any]:
    """What files are worth: damage, trust, which questions each answers.

    ``options`` are those of ``omni-trace check``: ``need=["kernels", "frames"]``, ``repair="whole.json.gz"``, …
    Gives the machine output, with ``"found"``: whether the command found what it looks for (its exit code is then 1).
    """
    words = ["check", "--format=json", *paths_of(paths), *words_of(options)]
    code, out = _checked(words, may_find=True)
    return {**json.loads(out), "found": code == _FOUND}


def diff(a: Optional[Paths] = None, b: Optional[Paths] = None, **options: Any) -> Dict[str, Any]:
    """Which of two runs is faster, by how much, why, and whether it is real.

    A side is one run, or a list of several, which tell how runs of one program differ. ``options`` are those of
    ``omni-trace diff``: ``gate="3%"``, ``against="main.json"``, ``save_baseline="main.json"``, …
    Gives the machine output, with ``"found"``: whether a gate is exceeded or not decided (the exit code is then 1). Where a baseline is
    stored and nothing compared there is no more than that.
    """
    words = ["diff", "--format=json"]
    if any(isinstance(side, (list, tuple)) for side in (a, b)):
        for name, side in (("--a", a), ("--b", b)):
            words += [] if side is None else [name, *paths_of(side)]
        words += words_of(options)
    else:
        sides = [one for one in (a, b) if one is not None]
        words += [*paths_of(sides), *words_of(options)]
    code, out = _checked(words, may_find=True)
    return {**json.loads(out or "{}"), "found": code == _FOUND}
