"""How far reading has come, on a terminal."""

from __future__ import annotations

import sys
import time
from typing import Callable, Optional, Union

Progress = Union[bool, Callable[[int, int], None], None]


class Line:
    """A line on standard error that is written over, and gone when reading is done."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._is_shown = False

    def __call__(self, file_bytes: int, text_bytes: int) -> None:
        seconds = time.monotonic() - self._start
        if seconds < 0.3:
            return
        rate = text_bytes / 1e6 / seconds
        sys.stderr.write(f"\rreading {file_bytes / 1e6:.1f} MB  {rate:.0f} MB/s of text\x1b[K")
        sys.stderr.flush()
        self._is_shown = True

    def clear(self) -> None:
        """Leaves nothing behind."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def shown(progress: Progress) -> Optional[Callable[[int, int], None]]:
    """What is told of progress: a function of the caller's, a line on a terminal, or nothing."""
    if callable(progress):
        return progress
    if progress is True or (progress is None and sys.stderr is not None and sys.stderr.isatty()):
        return Line()
    return None
