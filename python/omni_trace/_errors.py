"""Errors: each says what the command line says, with what to do about it."""

from __future__ import annotations

from typing import Optional


class Error(Exception):
    """Something failed. ``what`` failed, and what to do (``hint``), where that is known; ``str`` is both, one below the other."""

    def __init__(self, what: str, hint: Optional[str] = None) -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return self.what if self.hint is None else f"{self.what}\nhint: {self.hint}"


class ReadError(Error):
    """An input cannot be read, or is no trace or log."""


class UsageError(Error, ValueError):
    """An argument cannot be meant."""


class NoSuchTable(Error, KeyError):
    """There is no table of that name."""


class DataLost(Error):
    """Data of an input was lost, and ``strict`` was asked for."""


class CommandFailed(Error):
    """A command ended with an error. ``code`` is its exit code."""

    def __init__(self, what: str, hint: Optional[str] = None, code: int = 2) -> None:
        super().__init__(what, hint)
        self.code = code


class QueryUnavailable(Error):
    """This build has no SQL of its own."""
