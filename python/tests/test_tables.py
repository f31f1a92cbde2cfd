"""Tables: the same as the command line's, and the same to every library that takes them."""

import csv
import io
import json

import duckdb
import pandas
import polars
import pyarrow
import pytest
from conftest import LOGS, PIPELINE, ROOT, TP2, machine_output, ran, real_traces

import omni_trace

TRACES = [PIPELINE, TP2, ROOT / "fixtures/torch_cpu_multithread", ROOT / "fixtures/nccl_two_ranks", ROOT / "fixtures/p2p_copies"]


def as_csv_has_it(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "; ".join(value) if isinstance(value, list) else str(value)


def assert_same_as_csv(run, *words):
    """Every table of the command, value by value. Gives the number of values."""
    n_compared = 0
    for info in run.tables():
        if info.of != run.command or info.key == "verdict":
            continue
        done = ran(run.command, *words, "--format=csv", "--csv-raw", f"--table={info.key}")
        assert done.returncode == 0, done.stderr
        lines = list(csv.reader(io.StringIO(done.stdout)))
        keys = [column.key for column in info.columns]
        assert not lines or lines[0] == keys, info.name
        kinds = [column.kind for column in info.columns]
        rows = run.table(info.name).rows()
        assert len(rows) == max(len(lines) - 1, 0), info.name
        for row, line in zip(rows, lines[1:]):
            for key, kind, cell in zip(keys, kinds, line):
                is_number = kind == "float" and cell and row[key] is not None
                same = float(cell) == row[key] if is_number else cell == as_csv_has_it(row[key])
                assert same, (info.name, key, cell, row[key])
                n_compared += 1
    return n_compared


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name)
def test_analyze_gives_what_the_command_line_gives(path):
    run = omni_trace.analyze(path)
    output = machine_output("analyze", path)
    assert run.to_dict() == output
    assert assert_same_as_csv(run, path) > 100


def test_bandwidth_gives_what_the_command_line_gives():
    n_compared = 0
    for path in TRACES:
        run = omni_trace.bandwidth(path)
        output = machine_output("bandwidth", path)
        assert run.to_dict() == output
        n_compared += assert_same_as_csv(run, path)
    assert n_compared > 100


def test_stages_gives_what_the_command_line_gives():
    path = ROOT / "fixtures/logs_served"
    run = omni_trace.stages(path)
    output = machine_output("stages", path)
    assert run.to_dict() == output
    assert assert_same_as_csv(run, path) > 10
    with pytest.raises(omni_trace.NoSuchTable):
        run.table("kernels")


def test_options_mean_what_they_mean_on_the_command_line():
    options = {"exclude": ["ipc_wait", "gpu_sync"], "window": "1ms..", "name": "aten::.*", "threads": 1}
    words = ["--exclude", "ipc_wait,gpu_sync", "--window", "1ms..", "--name", "aten::.*", "--threads", "1"]
    run = omni_trace.analyze([PIPELINE], **options)
    assert run.to_dict() == machine_output("analyze", PIPELINE, *words)
    joined = omni_trace.analyze(LOGS, logs=LOGS)
    assert joined.to_dict() == machine_output("analyze", LOGS, "--logs", LOGS)
    assert len(joined.table("joined_requests")) > 0


@pytest.mark.parametrize("path", real_traces(), ids=lambda path: path.name)
def test_real_traces(path):
    run = omni_trace.analyze(path)
    output = machine_output("analyze", path)
    assert run.to_dict() == output
    for key in ["key_averages", "devices"]:
        rows = run.table(key).rows()
        assert rows == [{name: row[name] for name in rows[0]} for row in output[key]] if rows else output[key] == []
    events = run.table("events")
    sums = duckdb.sql("select count(*), sum(dur_ns) from events").fetchall()[0]
    durations = [value for value in events.column("dur_ns") if value is not None]
    assert (sums[0], sums[1] or 0) == (len(events), sum(durations))


def test_there_are_real_traces():
    if not real_traces():
        pytest.skip("no real traces beside the checkout")


@pytest.mark.parametrize("name", ["kernels", "key_averages", "devices", "threads", "events", "kernel_events", "op_events"])
def test_every_library_reads_the_same(name):
    table = omni_trace.analyze(PIPELINE).table(name)
    rows = table.rows()
    assert len(rows) == len(table) > 0
    arrow = pyarrow.table(table)
    assert arrow.to_pylist() == rows
    assert polars.DataFrame(table).to_dicts() == rows
    given = table
    relation = duckdb.sql("select * from given")
    assert relation.columns == [column.key for column in table.columns]
    assert [dict(zip(relation.columns, row)) for row in relation.fetchall()] == rows
    frame = pandas.DataFrame.from_arrow(table) if hasattr(pandas.DataFrame, "from_arrow") else arrow.to_pandas()
    for column in table.columns:
        if column.kind == "integer":
            values = [row[column.key] for row in rows if row[column.key] is not None]
            read = frame[column.key]
            assert int(read.count()) == len(values), column.key
            assert not values or (int(read.min()), int(read.max())) == (min(values), max(values)), column.key


def test_types_units_and_meanings():
    table = omni_trace.analyze(PIPELINE).table("kernels")
    schema = pyarrow.table(table).schema
    assert schema == pyarrow.schema(table)
    assert schema.metadata[b"table"] == b"kernels"
    assert schema.field("sum_ns").type == pyarrow.int64()
    assert schema.field("sum_ns").metadata[b"unit"] == b"ns"
    assert schema.field("sum_ns").metadata[b"meaning"]
    assert pyarrow.types.is_dictionary(schema.field("name").type)
    devices = omni_trace.analyze(ROOT / "fixtures/torch_cpu_multithread").table("inputs")
    assert pyarrow.table(devices).column("rank").null_count == devices.column("rank").count(None) > 0


def test_events_add_up_to_the_summaries():
    run = omni_trace.analyze(PIPELINE)
    kernels = run.table("kernels")
    events = run.table("kernel_events")
    by_name = duckdb.sql("select name, count(*), sum(dur_ns)::bigint from events group by name").fetchall()
    expected = {}
    for row in kernels.rows():
        count, sum_ns = expected.get(row["name"], (0, 0))
        expected[row["name"]] = (count + row["count"], sum_ns + row["sum_ns"])
    assert {name: (count, sum_ns) for name, count, sum_ns in by_name} == expected


def test_the_schema_is_that_of_the_command_line():
    tables = {info.name: info for info in omni_trace.schema()}
    assert len(tables) > 50
    for table in machine_output("schema")["tables"]:
        named = (table["key"], table["title"], table["question"])
        known = [info for info in tables.values() if (info.key, info.title, info.question) == named]
        assert known or not {"analyze", "bandwidth", "stages"} & set(table["commands"]), table["key"]
        columns = {(one.key, one.unit, one.kind): one for info in known for one in info.columns}
        for column in table["columns"] if known and "merge" not in table["commands"] else []:
            if column["kind"] != "rows" and table["key"] != "verdict":
                one = columns[column["key"], column["unit"], column["kind"]]
                assert column["meaning"].startswith(one.meaning) and column["words"] == list(one.words)
    assert [info.name for info in omni_trace.schema("kernels")] == ["kernels"]


def test_a_part_of_a_column():
    table = omni_trace.analyze(PIPELINE).table("events")
    whole = table["dur_ns"]
    assert table.column("dur_ns", 5, 9) == whole[5:9]
    assert table.rows(3, 5) == table.rows()[3:5]
    assert table.column("dur_ns", len(table) - 1, len(table) + 7) == whole[-1:]
    with pytest.raises(KeyError):
        table.column("no_such_column")


def test_a_table_without_rows():
    table = omni_trace.analyze(ROOT / "fixtures/empty_trace").table("kernels")
    assert (len(table), table.rows(), pyarrow.table(table).num_rows) == (0, [], 0)
    assert polars.DataFrame(table).height == 0
    assert "0 rows" in table._repr_html_()


def test_html_is_escaped(tmp_path):
    name = "<img src=x onerror=alert(1)>\"'&"
    events = [{"ph": "X", "cat": "kernel", "name": name, "pid": 0, "tid": 7, "ts": 1, "dur": 2, "args": {"device": 0}}]
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps({"traceEvents": events}))
    page = omni_trace.analyze(path).table("kernels")._repr_html_()
    assert "<img" not in page and "&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;" in page
    assert "<td>-</td>" in omni_trace.analyze(path).table("inputs")._repr_html_()
