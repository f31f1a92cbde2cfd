"""Inputs that were read, and what they answer."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Optional, Union

from . import _native
from ._errors import QueryUnavailable
from ._progress import Line, Progress, shown
from ._table import Table, TableInfo, info_of
from ._words import Path, Paths, paths_of, words_of


class Run:
    """Traces or logs, read once. Each table is made when it is asked for, and no other with it."""

    def __init__(self, native: "_native.Run") -> None:
        self._native = native

    @property
    def command(self) -> str:
        """The command that asks the same: ``analyze``, ``bandwidth`` or ``stages``."""
        return self._native.command

    def tables(self) -> List[TableInfo]:
        """The tables that these inputs answer: of traces what was recorded, ``analyze``'s and ``bandwidth``'s; of logs ``stages``'."""
        names = set(self._native.names())
        return [info for info in schema() if info.name in names]

    def table(self, name: str) -> Table:
        """The table of a name.

        Raises ``NoSuchTable`` with the nearest name where there is none.
        """
        return Table(self._native.table(name))

    def __getitem__(self, name: str) -> Table:
        return self.table(name)

    def to_dict(self) -> Dict[str, Any]:
        """What the command gives with ``--format json``: every table of it; durations in nanoseconds."""
        return json.loads(self._native.json())

    def query(self, sql: str) -> Table:
        """SQL over the tables: not in this build.

        Raises ``QueryUnavailable``, which says what does it.
        """
        raise QueryUnavailable(
            "this build of omni_trace has no SQL of its own",
            "the tables go to yours: `kernels = run.table('kernels')`, then `duckdb.sql('select … from kernels')` or "
            "`polars.DataFrame(kernels)`; `omni_trace.query(paths, sql)` and `omni-trace query` answer where omni-trace-query is installed",
        )

    def __repr__(self) -> str:
        return f"<omni_trace.Run of {self.command}: {len(self._native.names())} tables>"


def schema(table: Optional[str] = None) -> List[TableInfo]:
    """Every table that there is, or the one of a name, with its columns, their units and meanings; needs no input."""
    infos = [info_of(raw) for raw in _native.schema()]
    return [info for info in infos if table is None or info.name == table]


def _read(words: List[str], progress: Progress) -> Run:
    show = shown(progress)
    try:
        return Run(_native.read(words, show))
    finally:
        if isinstance(show, Line):
            show.clear()


def analyze(
    paths: Paths = ".",
    *,
    exclude_ipc_wait: bool = False,
    exclude: Union[str, Iterable[str], None] = None,
    window: Optional[str] = None,
    name: Optional[str] = None,
    sort: Optional[str] = None,
    logs: Optional[Paths] = None,
    no_logs: bool = False,
    log_zone: Optional[str] = None,
    one_run: bool = False,
    wait_rules: Optional[Path] = None,
    comm_rules: Optional[Path] = None,
    python_rows: Optional[str] = None,
    torch_compat: Optional[str] = None,
    group_by_input_shape: bool = False,
    group_by_stack: Optional[int] = None,
    cache: Optional[Path] = None,
    threads: Optional[int] = None,
    strict: bool = False,
    progress: Progress = None,
) -> Run:
    """Reads traces: where the time went and who waited, per stage, rank, device and thread.

    ``paths`` are files, directories (searched for every known naming scheme), or one of either. The options are those of
    ``omni-trace analyze`` and mean the same:

    ``exclude_ipc_wait``, ``exclude``: classes of time to leave out (``["ipc_wait", "gpu_sync"]``).
    ``window``: a part of the window, from its start (``"10ms..25ms"``; ns, us, ms, s).
    ``name``: a regular expression of the names to show; totals stay those of the whole.
    ``logs``: logs of the same run, laid on the traces' time line. Logs beside the traces of a directory are joined without it.
    ``cache``: where what is read is kept for the next time: ``"auto"`` (the user's cache directory), ``"off"``, or a folder.
    ``threads``: threads for reading and analysis, one a core where none are named. The result does not depend on it.
    ``strict``: raise ``DataLost`` where data of an input was lost.
    ``progress``: a function that is told (bytes of files, bytes of text) about 20 times a second; without one a line on a terminal.

    Ctrl-C ends reading at once. Errors are subclasses of ``omni_trace.Error`` and say what the command line says.
    """
    options = {
        "exclude_ipc_wait": exclude_ipc_wait,
        "exclude": exclude,
        "window": window,
        "name": name,
        "sort": sort,
        "no_logs": no_logs,
        "log_zone": log_zone,
        "one_run": one_run,
        "wait_rules": wait_rules,
        "comm_rules": comm_rules,
        "python_rows": python_rows,
        "torch_compat": torch_compat,
        "group_by_input_shape": group_by_input_shape,
        "group_by_stack": group_by_stack,
        "cache": cache,
        "threads": threads,
        "strict": strict,
        "logs": None if logs is None else paths_of(logs),
    }
    return _read(["analyze", *paths_of(paths), *words_of(options)], progress)


def bandwidth(
    paths: Paths = ".",
    *,
    peak: Optional[str] = None,
    window: Optional[str] = None,
    logs: Optional[Paths] = None,
    no_logs: bool = False,
    log_zone: Optional[str] = None,
    one_run: bool = False,
    comm_rules: Optional[Path] = None,
    cache: Optional[Path] = None,
    threads: Optional[int] = None,
    strict: bool = False,
    progress: Progress = None,
) -> Run:
    """Reads traces: copies and collectives, bytes, time, GB/s, share of the link's peak.

    ``peak``: peaks of your own in GB/s (``"host=63,peer=450"``). Everything else as in ``analyze``.
    """
    options = {
        "peak": peak,
        "window": window,
        "no_logs": no_logs,
        "log_zone": log_zone,
        "one_run": one_run,
        "comm_rules": comm_rules,
        "cache": cache,
        "threads": threads,
        "strict": strict,
        "logs": None if logs is None else paths_of(logs),
    }
    return _read(["bandwidth", *paths_of(paths), *words_of(options)], progress)


def stages(
    logs: Paths = ".",
    *,
    threads: Optional[int] = None,
    strict: bool = False,
    progress: Progress = None,
) -> Run:
    """Reads the pipeline's own logs and statistics: requests, stages, transfers, diffusion, start-up.

    ``logs`` are files, or directories, which are searched for ``*.log`` and ``*.jsonl``.
    """
    words = ["stages", *paths_of(logs), *words_of({"threads": threads, "strict": strict})]
    return _read(words, progress)
