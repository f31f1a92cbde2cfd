"""Traces answered where they lie, on the machines of a Ray cluster: one task a file, one answer from all.

>>> from omni_trace import cluster
>>> answer = cluster.analyze({"node-a": ["/traces/*.json.gz"], "node-b": ["/traces/*.json.gz"]})
>>> answer.to_dict()["slow_ranks"]
>>> answer.missing                     # what could not be had, and why

Needs Ray: ``pip install 'omni-trace[ray]'``, on every node. Each task runs ``omni-trace analyze FILE --partial``; what it gives, some 2 % of
the trace, comes back as it is done, and ``omni-trace reduce`` makes the answer of it. No trace is moved. The same two commands do it
under anything else that starts programs: docs/cluster.md.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from . import _commands
from ._errors import DataLost, Error, UsageError
from ._ray_tasks import export_of, list_files, pack, part_name, part_of, partial_of
from ._words import Path, Paths, paths_of, words_of

Files = Union[Paths, Mapping[str, Paths]]
Progress = Union[bool, Callable[[int, int, int], None], None]

#: Partial results that one task packs into one.
FAN_IN = 64


@dataclass(frozen=True)
class Missing:
    """A file that is not in the answer, the host that was to have it (``None`` for shared storage), and why."""

    path: str
    host: Optional[str]
    why: str

    def __str__(self) -> str:
        return self.path if self.host is None else f"{self.host}:{self.path}"


class Answer:
    """The answer over all files that could be read; ``missing`` has the others, which the answer's issues name, too."""

    def __init__(self, folder: str, partials: List[str], missing: List[Missing], is_temporary: bool) -> None:
        self._words = ["reduce", "--quiet", *partials, *(f"--missing={one}" for one in missing)]
        self._folder = folder
        self._is_temporary = is_temporary
        self.partials = partials
        self.missing = missing

    def to_dict(self, **options: Any) -> Dict[str, Any]:
        """The machine output of ``omni-trace analyze`` over all files; durations in nanoseconds."""
        return json.loads(self.text(format="json", **options))

    def text(self, **options: Any) -> str:
        """What ``omni-trace reduce`` prints with these options: ``table="slow_ranks"``, ``format="md"``, ``rank=7``, …"""
        return _commands._checked([*self._words, *words_of(options)])[1]

    def __repr__(self) -> str:
        return f"<omni_trace.cluster.Answer of {len(self.partials)} partial results, {len(self.missing)} files missing>"

    def __del__(self) -> None:
        if self._is_temporary:
            shutil.rmtree(self._folder, ignore_errors=True)


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise Error("omni_trace.cluster needs Ray", "pip install 'omni-trace[ray]', on every node") from None
    return ray


def _connect(ray: Any, address: str) -> None:
    if ray.is_initialized():
        return
    quiet = {"log_to_driver": False, "configure_logging": False}
    try:
        ray.init(address=address, **quiet)
    except ConnectionError:
        if address != "auto":
            raise Error(f"no Ray cluster answers at {address}", "start one with `ray start --head`, or leave address out") from None
        # No cluster: this machine alone. Without an address Ray would look for one once more.
        ray.init(address="local", **quiet)


@dataclass
class _File:
    """A file with what became of it."""

    path: str
    host: Optional[str]
    number: int
    n_lost: int = 0
    waits_since: Optional[float] = None


class _Hosts:
    """The nodes that are alive, by the names that users have for them."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def nodes(self) -> List[Dict[str, Any]]:
        return [node for node in self._ray.nodes() if node.get("Alive")]

    def of(self, host: str) -> List[str]:
        """Ids of the nodes that a word means: an id, a host's name or address, a resource, or a label as ``KEY=VALUE``."""
        key, _, value = host.partition("=")

        def is_meant(node: Dict[str, Any]) -> bool:
            names = (node["NodeID"], node.get("NodeManagerHostname"), node.get("NodeManagerAddress"), node.get("NodeName"))
            return host in names or host in node.get("Resources", {}) or (value != "" and node.get("Labels", {}).get(key) == value)

        return [node["NodeID"] for node in self.nodes() if is_meant(node)]

    def known(self) -> str:
        names = sorted({str(node.get("NodeManagerHostname")) for node in self.nodes()})
        return ", ".join(names) or "no node"


@dataclass
class _Block:
    """Files that are packed together, in their order, once nothing more of them is to come."""

    n_open: int
    refs: Dict[int, Tuple[Any, _File]] = field(default_factory=dict)


@dataclass
class _Job:
    """Files on their way through the cluster."""

    ray: Any
    hosts: _Hosts
    folder: str
    words: List[str]
    needs: Dict[str, Any]
    at_once: int
    retries: int
    wait_s: float
    show: Optional[Callable[[int, int, int], None]]
    waiting: List[_File]
    #: Where what tasks write stays; ``None`` where partial results come back.
    output: Optional[str] = None
    #: Of parts of a merged trace: the clocks of all, and the options of ``slim``, if they are slimmed.
    merging: Optional[Tuple[bytes, Optional[List[str]]]] = None
    running: Dict[Any, Tuple[Any, _File]] = field(default_factory=dict)
    blocks: Dict[int, _Block] = field(default_factory=dict)
    packing: Dict[Any, Tuple[Any, int]] = field(default_factory=dict)
    partials: Dict[int, str] = field(default_factory=dict)
    missing: Dict[int, Missing] = field(default_factory=dict)
    #: With what names no file at all.
    all_missing: List[Missing] = field(default_factory=list)
    n_done: int = 0

    def run(self) -> None:
        """Until every file is read or missing."""
        n_all = len(self.waiting)
        size = FAN_IN if n_all > FAN_IN and self.output is None else 1
        self.block_size, self.n_all = size, n_all
        for first in range(0, n_all, size):
            self.blocks[first // size] = _Block(min(size, n_all - first))
        while self.waiting or self.running or self.packing:
            self._start()
            refs = [*self.running, *self.packing]
            if not refs:
                time.sleep(0.1)
                continue
            for ref in self.ray.wait(refs, timeout=0.5)[0]:
                if ref in self.running:
                    self._finished(ref, *self.running.pop(ref))
                else:
                    self._packed(ref, *self.packing.pop(ref))

    def _start(self) -> None:
        kept = []
        for file in self.waiting:
            options = self._place(file) if len(self.running) < self.at_once else None
            if options is not None:
                status, content = self._task(file, options)
                self.running[status] = (content, file)
            elif len(self.running) >= self.at_once or not self._is_given_up(file):
                kept.append(file)
            else:
                self._miss(file, self._no_node(file))
        self.waiting = kept

    def _task(self, file: _File, options: Dict[str, Any]) -> Tuple[Any, Any]:
        def started(task: Callable[..., Any], *words: Any) -> Tuple[Any, Any]:
            return self.ray.remote(task).options(num_returns=2, **self.needs, **options).remote(*words)

        if self.output is None:
            return started(partial_of, file.path, self.words)
        if self.merging is not None:
            return started(part_of, file.path, file.number, self.output, self.words, *self.merging)
        return started(export_of, file.path, file.number, self.output, self.words)

    def _place(self, file: _File) -> Optional[Dict[str, Any]]:
        """Where a task runs: on a node that holds the file; ``None`` where there is none. Shared storage needs none."""
        if file.host is None:
            return {}
        nodes = self.hosts.of(file.host)
        return _on(nodes[file.number % len(nodes)]) if nodes else None

    def _is_given_up(self, file: _File) -> bool:
        file.waits_since = file.waits_since or time.monotonic()
        return time.monotonic() - file.waits_since >= self.wait_s

    def _no_node(self, file: _File) -> str:
        if file.n_lost > 0:
            return f"the node {file.host} was lost, and none came in its place within {self.wait_s:g} s"
        return f"no node of the cluster is called {file.host}; there are {self.hosts.known()}"

    def _finished(self, ref: Any, content: Any, file: _File) -> None:
        try:
            failure = self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            self._lost(file, error)
            return
        if failure is not None:
            self._miss(file, failure)
            return
        if self.output is None:
            self.blocks[file.number // self.block_size].refs[file.number] = (content, file)
        self._closed(file)

    def _lost(self, file: _File, error: Exception) -> None:
        """Reads a file again whose task, or what it gave, was lost with its node."""
        file.n_lost += 1
        file.waits_since = None
        if file.n_lost > self.retries:
            said = str(error).strip().splitlines() or [type(error).__name__]
            self._miss(file, f"its task was lost {file.n_lost} times, last by {type(error).__name__}: {said[0]}")
        else:
            self.waiting.append(file)

    def _miss(self, file: _File, why: str) -> None:
        self.missing[file.number] = Missing(file.path, file.host, why)
        self._closed(file)

    def _closed(self, file: _File) -> None:
        """One file fewer of a block is to come; the last has the block packed."""
        number = file.number // self.block_size
        block = self.blocks[number]
        block.n_open -= 1
        if block.n_open > 0:
            self._tell()
            return
        contents = [block.refs[one][0] for one in sorted(block.refs)]
        if len(contents) == 1:
            self.packing[contents[0]] = (contents[0], number)
        elif contents:
            status, content = self.ray.remote(pack).options(num_returns=2, num_cpus=1, max_retries=self.retries).remote(*contents)
            self.packing[status] = (content, number)
        self._tell()

    def _packed(self, ref: Any, content: Any, number: int) -> None:
        """Brings a packed block here. Where something of it was lost with its node, its files are read again."""
        block = self.blocks[number]
        try:
            failure = None if ref == content else self.ray.get(ref)
            if failure is not None:
                raise Error(f"partial results cannot be packed: {failure}")
            self._keep(self.ray.get(content), number)
            block.refs.clear()
        except self.ray.exceptions.RayError as error:
            files = [file for _, file in block.refs.values()]
            block.refs.clear()
            block.n_open = len(files)
            self.n_done -= len(files)
            for file in files:
                self._lost(file, error)

    def _keep(self, content: bytes, number: int) -> None:
        path = os.path.join(self.folder, f"{number:06}.otp")
        with open(path + ".part", "wb") as file:
            file.write(content)
        os.replace(path + ".part", path)
        self.partials[number] = path

    def _tell(self) -> None:
        self.n_done += 1
        if self.show is not None:
            self.show(self.n_done, self.n_all, len(self.missing))


def _on(node_id: str) -> Dict[str, Any]:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node_id, soft=False)}


def _line(n_done: int, n_all: int, n_missing: int) -> None:
    said = f", {n_missing} missing" if n_missing else ""
    sys.stderr.write(f"\r{n_done} of {n_all} files{said}\x1b[K" + ("\n" if n_done == n_all else ""))
    sys.stderr.flush()


def _shown(progress: Progress) -> Optional[Callable[[int, int, int], None]]:
    if callable(progress):
        return progress
    return _line if progress is True or (progress is None and sys.stderr.isatty()) else None


def _files(ray: Any, hosts: _Hosts, files: Files, wait_s: float) -> Tuple[List[_File], List[Missing]]:
    """All files, numbered; a host's are looked for on that host. What names nothing is missing."""
    if not isinstance(files, Mapping):
        named: List[Tuple[Optional[str], List[str]]] = [(None, paths_of(files))]
    else:
        named = [(host, paths_of(paths)) for host, paths in files.items()]
    found: List[_File] = []
    missing: List[Missing] = []
    for host, paths in named:
        try:
            each = _listed(ray, hosts, host, paths, wait_s)
        except Error as error:
            each = [(path, [], error.what) for path in paths]
        for path, inside, why in each:
            if not inside:
                missing.append(Missing(path, host, why))
            for one in inside:
                found.append(_File(one, host, len(found)))
    return found, missing


def _listed(ray: Any, hosts: _Hosts, host: Optional[str], paths: List[str], wait_s: float) -> List[Tuple[str, List[str], str]]:
    if host is None:
        return list_files(paths, "here")
    until = time.monotonic() + wait_s
    while True:
        nodes = hosts.of(host)
        if nodes:
            try:
                return ray.get(ray.remote(list_files).options(num_cpus=0, **_on(nodes[0])).remote(paths, f"on {host}"))
            except ray.exceptions.RayError as error:
                if time.monotonic() >= until:
                    raise Error(f"{host} does not answer: {type(error).__name__}") from None
        elif time.monotonic() >= until:
            raise Error(f"no node of the cluster is called {host}; there are {hosts.known()}")
        time.sleep(0.2)


def analyze(
    files: Files,
    *,
    address: str = "auto",
    output: Optional[Path] = None,
    exact: bool = False,
    threads: int = 2,
    memory: Optional[int] = None,
    at_once: Optional[int] = None,
    retries: int = 3,
    wait_s: float = 30.0,
    strict: bool = False,
    progress: Progress = None,
    **options: Any,
) -> Answer:
    """Reads each file on the node that holds it and answers over all of them, as ``omni-trace analyze`` does.

    ``files``: files or globs by host (``{"node-a": ["/traces/*.json.gz"]}``), or files or globs in storage that every node sees. A host is
    the name, address or id of a node, a resource that it has (``ray start --resources='{"traces_a": 1}'``), or a label as ``"KEY=VALUE"``.
    A host's globs are looked up on that host.
    ``address``: of the cluster; ``"auto"`` is the running one, or this machine alone where none runs.
    ``output``: a folder where the partial results stay; ``omni-trace reduce FOLDER`` answers from them again. Else they go with the answer.
    ``exact``: nothing is rounded, whatever the size of the partial results.
    ``threads``: of a task, which counts as as many CPUs. ``memory``: bytes that a task may hold; beyond it ends, and its file is missing.
    ``at_once``: tasks at a time; twice as many as fit where nothing is said.
    ``retries``: how often a file is read again whose node or task was lost; ``wait_s``: how long a host's node is waited for.
    ``strict``: raise ``DataLost`` where a file is missing. Without it the answer is over the others: ``Answer.missing`` and the
    issues of the answer (``missing_input``, which counts as lost data) name it.
    ``progress``: a function that is told (files done, files in all, files missing); without one a line on a terminal.
    Other options are those of ``omni-trace analyze``: ``exclude_ipc_wait=True``, ``window="10ms..25ms"``, …
    """
    is_temporary = output is None
    folder = tempfile.mkdtemp(prefix="omni-trace-") if output is None else _new_folder(output)
    options = {"exact": exact, "max_memory": memory, **options}
    job = _done(files, address, folder, None, threads, memory, at_once, retries, wait_s, strict, progress, options)
    answer = Answer(folder, [job.partials[number] for number in sorted(job.partials)], job.all_missing, is_temporary)
    if not answer.partials:
        raise Error("no file could be read", _reasons(answer.missing))
    return answer


def export(
    files: Files,
    output: Path,
    *,
    address: str = "auto",
    threads: int = 2,
    at_once: Optional[int] = None,
    retries: int = 3,
    wait_s: float = 30.0,
    strict: bool = False,
    progress: Progress = None,
    **options: Any,
) -> List[Missing]:
    """Writes the tables or stacks of each file from the node that holds it into storage that all nodes see; gives what is missing.

    A file becomes ``output/input=NUMBER/stage=…/rank=…/TABLE.parquet``, numbered in the order of ``files``: one partitioned data set, of
    which DuckDB, polars and Spark read the inputs, ranks and columns that a question names. ``options`` are those of ``omni-trace export``:
    ``table=["kernel_events", "op_events"]``, ``format="folded"``, … Parquet and Arrow need ``omni-trace-query`` on the nodes. Everything else is as in ``analyze``.
    """
    folder = os.path.abspath(os.fspath(output))
    return _done(files, address, folder, folder, threads, None, at_once, retries, wait_s, strict, progress, options).all_missing


def merge(
    files: Files,
    output: Path,
    *,
    address: str = "auto",
    parts: Optional[Path] = None,
    slim: Union[bool, Mapping[str, Any]] = True,
    threads: int = 2,
    at_once: Optional[int] = None,
    retries: int = 3,
    wait_s: float = 30.0,
    strict: bool = False,
    progress: Progress = None,
    **options: Any,
) -> List[Missing]:
    """Makes one trace of all files, on one time line, and gives what is missing.

    The clocks come from partial results of all files. Each file then becomes a part where it lies, written into ``parts``, a folder that
    all nodes see (``OUTPUT.parts`` where nothing is said): a trace that viewers open alone or beside others, whose times, pids and ids are
    those of the whole. The parts are joined into ``output`` here: ``.json``, ``.json.gz`` or ``.pftrace``.
    ``slim``: what goes of each file before: ``True`` leaves out what happens inside waits, ``False`` nothing, and options of
    ``omni-trace slim`` more (``{"window": "10ms..25ms"}``, ``{"drop": ["python_function"]}``): of a thousand ranks nobody opens all events.
    ``options`` are those of ``omni-trace merge``. Everything else is as in ``analyze``.
    """
    target = os.path.abspath(os.fspath(output))
    folder = os.path.abspath(os.fspath(parts)) if parts is not None else target + ".parts"
    os.makedirs(folder, exist_ok=True)
    if any(name.startswith("part-") for name in os.listdir(folder)):
        raise UsageError(f"there are parts in {folder} already", "name another folder, or remove them")
    common = (threads, None, at_once, retries, wait_s)
    with tempfile.TemporaryDirectory(prefix="omni-trace-") as scratch:
        first = _done(files, address, scratch, None, *common, strict, progress, {})
        partials = [first.partials[number] for number in sorted(first.partials)]
        if not partials:
            raise Error("no file could be read", _reasons(first.all_missing))
        clocks = os.path.join(scratch, "clocks.json")
        _commands._checked(["reduce", "--quiet", *partials, f"--clocks={clocks}"])
        with open(clocks, "rb") as file:
            told = file.read()
        slimming = None if slim is False else words_of({} if slim is True else dict(slim))
        second = _done(files, address, folder, folder, *common, strict, progress, options, (told, slimming))
        written = [part_name(folder, number) for number in range(second.n_all)]
        joined = [one for one in written if os.path.exists(one)]
        if not joined:
            raise Error("no part could be written", _reasons(second.all_missing))
        _commands._checked(["merge", *joined, f"--clocks={clocks}", f"--output={target}", "--quiet", f"--threads={threads}", *words_of(options)])
    return second.all_missing


def _done(
    files: Files,
    address: str,
    folder: str,
    output: Optional[str],
    threads: int,
    memory: Optional[int],
    at_once: Optional[int],
    retries: int,
    wait_s: float,
    strict: bool,
    progress: Progress,
    options: Dict[str, Any],
    merging: Optional[Tuple[bytes, Optional[List[str]]]] = None,
) -> _Job:
    """Brings all files through the cluster."""
    ray = _ray()
    _connect(ray, address)
    hosts = _Hosts(ray)
    found, missing = _files(ray, hosts, files, wait_s)
    if not found:
        raise Error("there is no file to read", _reasons(missing) or "name files, globs, or either by host")
    words = ["--quiet", f"--threads={threads}", *words_of(options)]
    needs: Dict[str, Any] = {"num_cpus": threads, "max_retries": 0}
    if memory is not None:
        needs["memory"] = memory
    cpus = int(ray.cluster_resources().get("CPU", 1))
    at_once = at_once or max(2, 2 * cpus // threads)
    job = _Job(ray, hosts, folder, words, needs, at_once, retries, wait_s, _shown(progress), _in_turns(found), output, merging)
    job.run()
    job.all_missing = [*missing, *(job.missing[number] for number in sorted(job.missing))]
    if job.all_missing and strict:
        raise DataLost(f"{len(job.all_missing)} files are missing", _reasons(job.all_missing))
    return job


def _in_turns(files: List[_File]) -> List[_File]:
    """One file of each host after the other, so that all hosts have work from the first moment on."""
    seen: Dict[Optional[str], int] = {}
    turns = []
    for file in files:
        turns.append((seen.setdefault(file.host, 0), file.number, file))
        seen[file.host] += 1
    return [file for _, _, file in sorted(turns, key=lambda turn: turn[:2])]


def _reasons(missing: List[Missing]) -> Optional[str]:
    said = [f"{one}: {one.why}" for one in missing]
    more = [f"and {len(said) - 8} more"] if len(said) > 8 else []
    return "\n".join([*said[:8], *more]) or None


def _new_folder(output: Path) -> str:
    folder = os.fspath(output)
    os.makedirs(folder, exist_ok=True)
    if any(name.endswith(".otp") for name in os.listdir(folder)):
        raise UsageError(f"there are partial results in {folder} already", "name another folder, or remove them")
    return folder
