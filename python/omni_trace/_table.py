"""Tables: typed columns of equal length, with units and meanings."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import _native

_HTML_ROWS = 20


@dataclass(frozen=True)
class Column:
    """A column of a table; it is the same whatever a trace holds."""

    key: str
    """Its name; a unit stands at its end (``dur_ns``)."""
    heading: str
    """What people read above it."""
    unit: Optional[str]
    """``ns``, ``bytes``, ``count``, ``percent``, ``rate``; ``None`` where nothing is counted."""
    kind: str
    """``integer``, ``float``, ``boolean``, ``text``, ``word``, ``list``."""
    is_nullable: bool
    """Whether a value may not be recorded, which is another answer than 0."""
    meaning: str
    """What it says."""
    words: Tuple[str, ...]
    """All values that a ``word`` can have."""


@dataclass(frozen=True)
class TableInfo:
    """What a table is."""

    name: str
    """The name that it has alone among all tables."""
    key: str
    """Its name among the tables of its command, as ``--table`` takes it."""
    of: str
    """The command that answers it: ``analyze``, ``bandwidth``, ``stages``; ``events`` for what was recorded, event by event."""
    title: str
    """Its title."""
    question: str
    """The question that it answers."""
    columns: Tuple[Column, ...]
    """Its columns."""


def info_of(raw: Dict[str, Any]) -> TableInfo:
    """A definition as the Rust half gives it."""
    columns = tuple(Column(**{**column, "words": tuple(column["words"])}) for column in raw["columns"])
    return TableInfo(**{**raw, "columns": columns})


class Table:
    """A table, which every library of tables takes: ``polars.DataFrame(t)``, ``pyarrow.table(t)``, ``pandas.DataFrame.from_arrow(t)``;
    ``duckdb.sql("select … from t")`` finds it by the name of the variable.

    Whole numbers are ``int64`` (durations and times in nanoseconds), names are dictionaries, and what was not recorded is null.
    Columns of events are made when they are asked for, a million rows at a time.
    """

    def __init__(self, native: "_native.Table") -> None:
        self._native = native
        self.info: TableInfo = info_of(native.info)
        """The definition."""

    @property
    def name(self) -> str:
        """The name that it has alone among all tables."""
        return self.info.name

    @property
    def columns(self) -> Tuple[Column, ...]:
        """The columns with their units and meanings."""
        return self.info.columns

    @property
    def notes(self) -> List[str]:
        """Sentences that belong under the table."""
        return self._native.notes

    def __len__(self) -> int:
        return len(self._native)

    def column(self, key: str, first: int = 0, end: Optional[int] = None) -> List[Any]:
        """Values of a column as Python objects, ``None`` where nothing was recorded; rows ``first`` up to ``end``."""
        return self._native.column(key, first, len(self) if end is None else end)

    def __getitem__(self, key: str) -> List[Any]:
        return self.column(key)

    def rows(self, first: int = 0, end: Optional[int] = None) -> List[Dict[str, Any]]:
        """Rows ``first`` up to ``end`` as dictionaries, as the machine output has them."""
        keys = [column.key for column in self.columns]
        values = [self.column(key, first, end) for key in keys]
        return [dict(zip(keys, row)) for row in zip(*values)]

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return iter(self.rows())

    def __arrow_c_schema__(self) -> object:
        """The columns, for Arrow's PyCapsule interface."""
        return self._native.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Optional[object] = None) -> object:
        """The rows, for Arrow's PyCapsule interface."""
        return self._native.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        keys = ", ".join(column.key for column in self.columns)
        return f"<omni_trace.Table {self.name}: {len(self)} rows of {keys}>"

    def _repr_html_(self) -> str:
        """The first rows, for a notebook; names are text, whatever they hold."""
        shown = self.rows(0, _HTML_ROWS)
        head = "".join(f'<th title="{_text(one.meaning)}">{_text(one.key)}</th>' for one in self.columns)
        body = "".join(f"<tr>{''.join(_cell(value) for value in row.values())}</tr>" for row in shown)
        more = f", the first {len(shown)} shown" if len(shown) < len(self) else ""
        caption = f"{self.info.title}: {len(self)} rows{more}"
        return (
            f"<table><caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>"
        )


def _cell(value: Any) -> str:
    if value is None:
        return "<td>-</td>"
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, int):
        return f'<td style="text-align:right">{value:,}</td>'
    if isinstance(value, float):
        return f'<td style="text-align:right">{value:.6g}</td>'
    if isinstance(value, list):
        return f"<td>{_text('; '.join(value))}</td>"
    return f'<td style="text-align:left">{_text(value)}</td>'


def _text(text: str) -> str:
    return html.escape(text, quote=True)
