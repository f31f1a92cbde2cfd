"""Where the time went in a GPU pipeline trace: traces of vLLM, vLLM-Omni and torch.profiler in, tables as Arrow out.

>>> import omni_trace
>>> run = omni_trace.analyze("traces/")
>>> run.table("kernels")          # polars.DataFrame, pyarrow.table, pandas and duckdb take it as it is
>>> run.to_dict()["devices"]      # what `omni-trace analyze --format json` says

Durations and times are integer nanoseconds (``_ns``), shares are percent (``_pct``), and what was not recorded is null, never 0.
"""

from ._commands import check, diff, merge, query, report, slim
from ._errors import (
    CommandFailed,
    DataLost,
    Error,
    NoSuchTable,
    QueryUnavailable,
    ReadError,
    UsageError,
)
from ._native import __version__
from ._run import Run, analyze, bandwidth, schema, stages
from ._table import Column, Table, TableInfo

__all__ = [
    "Column",
    "CommandFailed",
    "DataLost",
    "Error",
    "NoSuchTable",
    "QueryUnavailable",
    "ReadError",
    "Run",
    "Table",
    "TableInfo",
    "UsageError",
    "__version__",
    "analyze",
    "bandwidth",
    "check",
    "diff",
    "merge",
    "query",
    "report",
    "schema",
    "slim",
    "stages",
]
