"""What runs on the nodes of a cluster: plain functions, which need this package there and nothing of the caller's.

What is wrong with a file is an answer, not an exception: exceptions are what Ray loses tasks by, and those are tried again.
"""

from __future__ import annotations

import glob
import os
import socket
import tempfile
from typing import List, Optional, Tuple

from . import _commands
from ._errors import CommandFailed

#: A path with one of these is a glob.
_WILD = "*?["


def list_files(paths: List[str], where: str) -> List[Tuple[str, List[str], str]]:
    """Of each path or glob: itself, the files that it names here, and why it names none."""
    found = []
    for path in paths:
        if any(one in path for one in _WILD):
            inside = sorted(one for one in glob.glob(path, recursive=True) if os.path.isfile(one))
            found.append((path, inside, f"no file {where} matches it ({socket.gethostname()})"))
        else:
            # Whether it is there its own task says, on the node that reads it.
            found.append((path, [path], ""))
    return found


def partial_of(path: str, words: List[str]) -> Tuple[Optional[str], bytes]:
    """The partial result of a file of this node; or why there is none."""
    if not os.path.exists(path):
        return f"there is no such file on {socket.gethostname()}", b""
    with tempfile.TemporaryDirectory(prefix="omni-trace-") as folder:
        out = os.path.join(folder, "one.otp")
        return _made(["analyze", path, f"--partial={out}", *words], out)


def export_of(path: str, number: int, output: str, words: List[str]) -> Tuple[Optional[str], bytes]:
    """Writes the tables or stacks of a file of this node into a folder of their own; or says why not."""
    if not os.path.exists(path):
        return f"there is no such file on {socket.gethostname()}", b""
    folder = os.path.join(output, f"input={number}")
    try:
        _commands._checked(["export", path, f"--output={folder}", *words])
    except CommandFailed as error:
        return str(error), b""
    return None, b""


def part_of(path: str, number: int, output: str, words: List[str], clocks: bytes, slim: Optional[List[str]]) -> Tuple[Optional[str], bytes]:
    """Writes a file of this node into shared storage, on the time line of all; slimmed first where it is to be. Or says why not."""
    if not os.path.exists(path):
        return f"there is no such file on {socket.gethostname()}", b""
    with tempfile.TemporaryDirectory(prefix="omni-trace-") as folder:
        told = os.path.join(folder, "clocks.json")
        with open(told, "wb") as file:
            file.write(clocks)
        try:
            if slim is not None:
                # Its name tells its rank where nothing else does.
                small = os.path.join(folder, "slim", os.path.basename(path))
                os.mkdir(os.path.dirname(small))
                _commands._checked(["slim", path, f"--output={small}", "--quiet", *slim])
                path = small
            _commands._checked(["merge", path, f"--clocks={told}", f"--output={part_name(output, number)}", *words])
        except CommandFailed as error:
            return str(error), b""
    return None, b""


def part_name(output: str, number: int) -> str:
    """The file of an input in a folder of parts."""
    return os.path.join(output, f"part-{number:06}.json.gz")


def pack(*contents: bytes) -> Tuple[Optional[str], bytes]:
    """Partial results as one, in their order."""
    with tempfile.TemporaryDirectory(prefix="omni-trace-") as folder:
        paths = [os.path.join(folder, f"{number:06}.otp") for number in range(len(contents))]
        for path, content in zip(paths, contents):
            with open(path, "wb") as file:
                file.write(content)
        out = os.path.join(folder, "all.otp")
        return _made(["reduce", "--quiet", *paths, f"--partial={out}"], out)


def _made(words: List[str], out: str) -> Tuple[Optional[str], bytes]:
    try:
        _commands._checked(words)
    except CommandFailed as error:
        return str(error), b""
    with open(out, "rb") as file:
        return None, file.read()
