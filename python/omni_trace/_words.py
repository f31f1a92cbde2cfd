"""Arguments of Python as words of the command line, which knows what they mean and what is wrong with them."""

from __future__ import annotations

import os
from typing import Any, Iterable, List, Union

Path = Union[str, "os.PathLike[str]"]
Paths = Union[Path, Iterable[Path]]


def paths_of(paths: Paths) -> List[str]:
    """One path or several, as words. A path that begins with a dash stays one."""
    one = isinstance(paths, (str, os.PathLike))
    words = [os.fspath(path) for path in ([paths] if one else paths)]  # type: ignore[union-attr,list-item]
    return [os.path.join(".", word) if word.startswith("-") and word != "-" else word for word in words]


def words_of(options: "dict[str, Any]") -> List[str]:
    """Options as words: ``True`` is the option alone, a list the option once for each of its values, ``None`` and ``False`` nothing."""
    words: List[str] = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            words.append(option)
        else:
            values = [value] if isinstance(value, (str, int, float, os.PathLike)) else value
            words.extend(f"{option}={_text(one)}" for one in values)
    return words


def _text(value: Any) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
