"""omni_trace.cluster on Ray: this machine alone, and a cluster of two nodes on it, of which one is killed in the middle."""

import gzip
import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT, machine_output, ran

ray = pytest.importorskip("ray", reason="Ray has no release for this Python")
from ray.cluster_utils import Cluster  # noqa: E402

import omni_trace  # noqa: E402
from omni_trace import cluster  # noqa: E402

RANKS = sorted((ROOT / "fixtures/nccl_two_ranks").glob("*.json.gz"))


def copies(folder, n):
    """Traces of as many ranks, one file each."""
    names = []
    for rank in range(n):
        name = folder / f"rank{rank}.json"
        trace = json.loads(gzip.decompress(RANKS[rank % 2].read_bytes()))
        trace["distributedInfo"]["rank"] = rank
        name.write_text(json.dumps(trace))
        names.append(str(name))
    return names


@pytest.fixture
def two_nodes():
    """A head without work, and a node for each host, which has a resource of its own."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = {name: made.add_node(num_cpus=2, resources={name: 1}) for name in ("host_a", "host_b")}
    ray.init(address=made.address, log_to_driver=False, configure_logging=False)
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def test_one_machine_without_a_cluster(tmp_path):
    ray.init(address="local", num_cpus=2, log_to_driver=False, configure_logging=False)
    try:
        told = []
        answer = cluster.analyze(RANKS, exact=True, output=tmp_path / "partials", progress=lambda *all: told.append(all))
        assert answer.missing == [] and told[-1] == (2, 2, 0)
        assert answer.to_dict() == machine_output("analyze", *RANKS)
        assert ran("reduce", "-q", tmp_path / "partials", "--format=json").stdout == answer.text(format="json")
        with pytest.raises(omni_trace.UsageError):
            cluster.analyze(RANKS, output=tmp_path / "partials")

        # What is no trace, what is not there, and what needs more memory than it may have are missing, and said.
        bad = cluster.analyze([RANKS[0], ROOT / "README.md", tmp_path / "gone.json", tmp_path / "*.nothing"])
        assert len(bad.partials) == 1 and len(bad.missing) == 3
        whys = {one.path: one.why for one in bad.missing}
        assert "no such file" in whys[str(tmp_path / "gone.json")]
        assert "no file here matches" in whys[str(tmp_path / "*.nothing")]
        issue = next(row for row in bad.to_dict()["issues"] if row["kind"] == "missing_input")
        assert issue["count"] == 3 and "gone.json" in issue["message"]
        with pytest.raises(omni_trace.DataLost, match="gone.json"):
            cluster.analyze([RANKS[0], tmp_path / "gone.json"], strict=True)
        with pytest.raises(omni_trace.Error, match="memory"):
            cluster.analyze(RANKS[0], memory=1 << 20)
        with pytest.raises(omni_trace.Error, match="no node of the cluster is called nowhere"):
            cluster.analyze({"nowhere": RANKS}, wait_s=0.5)
    finally:
        ray.shutdown()


def test_stacks_and_tables_are_written_where_the_files_lie(tmp_path, monkeypatch):
    built = os.environ.get("OMNI_TRACE_PROGRAM", "") + "-query"
    if os.path.exists(built):
        monkeypatch.setenv("OMNI_TRACE_QUERY", built)
    ray.init(address="local", num_cpus=2, log_to_driver=False, configure_logging=False)
    try:
        missing = cluster.export([*RANKS, tmp_path / "gone.json"], tmp_path / "out", format="folded")
        assert [one.path for one in missing] == [str(tmp_path / "gone.json")]
        for number, rank in enumerate(RANKS):
            ran("export", rank, "-o", tmp_path / f"alone{number}", "--format=folded", "-q")
            of, alone = (sorted(one.rglob("*.folded*")) for one in (tmp_path / f"out/input={number}", tmp_path / f"alone{number}"))
            assert [one.read_bytes() for one in of] == [one.read_bytes() for one in alone] and of
        if not os.path.exists(built):
            return
        import duckdb

        assert cluster.export(RANKS, tmp_path / "tables", table=["kernel_events"]) == []
        glob = f"{tmp_path}/tables/*/*/*/kernel_events.parquet"
        sql = f"select input, rank, count(*) from read_parquet('{glob}', hive_partitioning=true) group by all order by all"
        counts = [omni_trace.analyze(rank).table("kernel_events") for rank in RANKS]
        assert [row[2] for row in duckdb.sql(sql).fetchall()] == [len(one) for one in counts]
    finally:
        ray.shutdown()


def test_traces_are_merged_where_they_lie(tmp_path, two_nodes):
    names = copies(tmp_path, 4)
    by_host = {"host_a": names[:2], "host_b": [*names[2:], str(tmp_path / "gone.json")]}
    missing = cluster.merge(by_host, tmp_path / "all.json.gz", slim=False)
    assert [str(one) for one in missing] == [f"host_b:{tmp_path / 'gone.json'}"]
    parts = sorted((tmp_path / "all.json.gz.parts").iterdir())
    assert len(parts) == 4
    ran("merge", "-q", *names, "-o", tmp_path / "whole.json.gz")
    joined, whole = (machine_output("analyze", tmp_path / name) for name in ("all.json.gz", "whole.json.gz"))
    for table in ("kernels", "key_averages", "devices", "placements", "stragglers"):
        assert joined[table] == whole[table], table
    # Each part is a trace of its own, under pids that no other has.
    pids = [{event["pid"] for event in json.loads(gzip.decompress(part.read_bytes()))["traceEvents"]} for part in parts]
    assert sum(map(len, pids)) == len(set().union(*pids))
    with pytest.raises(omni_trace.UsageError, match="there are parts in"):
        cluster.merge(names, tmp_path / "all.json.gz")
    assert cluster.merge(names, tmp_path / "small.pftrace", slim={"drop": ["python_function"]}) == []
    assert machine_output("analyze", tmp_path / "small.pftrace")["kernels"] == whole["kernels"]


def test_many_files_are_packed_by_tasks(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "FAN_IN", 3)
    names = copies(tmp_path, 8)
    ray.init(address="local", num_cpus=2, log_to_driver=False, configure_logging=False)
    try:
        answer = cluster.analyze(names, exact=True)
        assert len(answer.partials) == 3 and answer.missing == []
        assert answer.to_dict() == machine_output("analyze", *names)
    finally:
        ray.shutdown()


def by_host(names):
    half = len(names) // 2
    return {"host_a": names[:half], "host_b": names[half:]}


@pytest.mark.parametrize("comes_back", [False, True], ids=["lost", "replaced"])
def test_a_node_is_killed_in_the_middle(tmp_path, two_nodes, comes_back):
    made, nodes = two_nodes
    names = copies(tmp_path, 12)
    killed = []

    def kill(n_done, n_all, n_missing):
        if n_done == 2 and not killed:
            made.remove_node(nodes["host_b"], allow_graceful=False)
            killed.append(n_done)
            if comes_back:
                made.add_node(num_cpus=2, resources={"host_b": 1})

    answer = cluster.analyze(by_host(names), exact=True, at_once=2, wait_s=30.0 if comes_back else 2.0, progress=kill)
    assert killed
    kept = [name for name in names if name not in {one.path for one in answer.missing}]
    if comes_back:
        assert answer.missing == []
        assert answer.to_dict() == machine_output("analyze", *names)
        return
    # The files of the other host are all there; of this one those that were done before.
    assert answer.missing and {one.host for one in answer.missing} == {"host_b"}
    assert all("host_b" in one.why for one in answer.missing)
    said = answer.to_dict()
    assert [row["path"] for row in said["inputs"]] == kept and len(kept) >= 6
    issue = next(row for row in said["issues"] if row["kind"] == "missing_input")
    assert issue["severity"] == "data_loss" and issue["count"] == len(answer.missing)
    assert answer.missing[0].path in issue["message"]
    # The figures are those of the files that are there.
    alone = machine_output("analyze", *kept)
    for table in ("kernels", "key_averages", "devices", "totals"):
        assert said[table] == alone[table]


def test_files_lie_on_one_host_only(tmp_path, two_nodes):
    names = copies(tmp_path, 2)
    answer = cluster.analyze({"host_a": [str(tmp_path / "*.json")], "host_b": [str(tmp_path / "absent.json")]}, wait_s=5.0)
    assert [str(one) for one in answer.missing] == [f"host_b:{tmp_path / 'absent.json'}"]
    assert "there is no such file on " in answer.missing[0].why
    assert [row["path"] for row in answer.to_dict()["inputs"]] == names


def test_without_ray_it_is_said():
    code = "import sys; sys.modules['ray'] = None\nimport omni_trace.cluster as c\nc.analyze('x')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'omni-trace[ray]'" in done.stderr
