"""The package around the tables: errors, interruptions, progress, commands, the program itself."""

import inspect
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pyarrow
import pytest
from conftest import PIPELINE, ROOT, machine_output, ran

import omni_trace
from omni_trace import _native

HEAD = b'{"traceEvents": [\n'
EVENT = b'{"ph": "X", "cat": "cpu_op", "name": "op", "pid": 1, "tid": 1, "ts": 1, "dur": 2},\n'


def said(done):
    """What standard error says, as an exception says it."""
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("error: "), done.stderr
    return "\n".join([lines[0][len("error: ") :], *lines[1:]])


MISTAKES = [
    (["no/such/file.json"], {}, omni_trace.ReadError),
    (["fixtures/not_a_trace"], {}, omni_trace.Error),
    (["README.md"], {}, omni_trace.ReadError),
    ([PIPELINE], {"window": "2s..1s"}, omni_trace.UsageError),
    ([PIPELINE], {"window": "9s.."}, omni_trace.Error),
    ([PIPELINE], {"exclude": ["nonsense"]}, omni_trace.UsageError),
    ([PIPELINE], {"name": "("}, omni_trace.UsageError),
    ([PIPELINE], {"threads": 0}, omni_trace.UsageError),
    ([PIPELINE], {"wait_rules": "no/such/rules"}, omni_trace.Error),
    (["fixtures/broken_truncated_gzip"], {"strict": True}, omni_trace.DataLost),
]


@pytest.mark.parametrize("paths, options, kind", MISTAKES, ids=lambda one: str(one)[:40])
def test_errors_say_what_the_command_line_says(paths, options, kind):
    words = omni_trace._words.words_of(options)
    done = ran("analyze", *paths, *words)
    assert done.returncode == 2
    with pytest.raises(kind) as caught:
        omni_trace.analyze(paths, **options).to_dict()
    assert str(caught.value) == said(done)
    assert isinstance(caught.value, omni_trace.Error) and caught.value.hint


def test_an_unknown_table_is_answered_with_the_nearest():
    with pytest.raises(omni_trace.NoSuchTable) as caught:
        omni_trace.analyze(PIPELINE).table("kernel")
    assert "did you mean `kernels`?" in str(caught.value)


def test_sql_is_the_users_own():
    duckdb = pytest.importorskip("duckdb")
    run = omni_trace.analyze(PIPELINE)
    with pytest.raises(omni_trace.QueryUnavailable) as caught:
        run.query("select 1")
    assert "duckdb" in str(caught.value)
    kernels, devices = run.table("kernels"), run.table("devices")
    sql = "select (select sum(sum_ns) from kernels)::bigint, (select sum(kernel_sum_ns) from devices)::bigint"
    of_kernels, of_devices = duckdb.sql(sql).fetchall()[0]
    assert of_kernels == of_devices > 0 and kernels and devices


def test_sql_of_the_program_that_has_polars(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("OMNI_TRACE_QUERY", raising=False)
    with pytest.raises(omni_trace.QueryUnavailable) as caught:
        omni_trace.query(PIPELINE, "select count(*) as n from events")
    assert "cargo install --locked --path frame" in str(caught.value) and "DuckDB" in str(caught.value)
    monkeypatch.undo()
    built = os.environ.get("OMNI_TRACE_PROGRAM", "") + "-query"
    if not os.path.exists(built):
        pytest.skip(f"there is no {built}; cargo build -p omni-trace-frame makes it")
    monkeypatch.setenv("OMNI_TRACE_QUERY", built)
    sql = "select sum(sum_ns) as ns from kernels"
    kernels = pyarrow.table(omni_trace.analyze(PIPELINE).table("kernels")).to_pydict()
    assert omni_trace.query(PIPELINE, sql) == [{"ns": sum(kernels["sum_ns"])}]
    with pytest.raises(omni_trace.CommandFailed) as caught:
        omni_trace.query([PIPELINE], "select nmae from events", window="..10ms")
    assert "did you mean name?" in str(caught.value)


def test_what_is_read_is_kept_where_it_is_said(tmp_path):
    for _ in range(2):
        run = omni_trace.analyze(PIPELINE, cache=tmp_path / "kept")
        assert run.to_dict()["devices"] == machine_output("analyze", PIPELINE)["devices"]
        assert len(list((tmp_path / "kept").iterdir())) == 3
    assert omni_trace.bandwidth(PIPELINE, cache="off").command == "bandwidth"


def fifo(folder):
    path = pathlib.Path(folder) / "trace.json"
    os.mkfifo(path)
    return path


def test_an_interruption_ends_reading(tmp_path):
    path = fifo(tmp_path)
    script = "import omni_trace, sys; print('reading', flush=True); omni_trace.analyze(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "reading\n"
    with open(path, "wb", buffering=0) as trace:
        trace.write(HEAD + EVENT)
        time.sleep(0.2)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert time.monotonic() - start < 2
    assert "KeyboardInterrupt" in err and "panicked" not in err
    assert process.returncode in (1, 130, -signal.SIGINT)


def test_other_threads_run_and_progress_is_told_while_reading(tmp_path):
    path = fifo(tmp_path)
    told = []

    def write():
        with open(path, "wb", buffering=0) as trace:
            trace.write(HEAD)
            for _ in range(20):
                trace.write(EVENT * 400)
                time.sleep(0.02)
            trace.write(EVENT.rstrip(b",\n") + b"]}")

    writer = threading.Thread(target=write)
    writer.start()
    run = omni_trace.analyze(path, progress=lambda *now: told.append(now))
    writer.join()
    # The writer only came to its end because reading left the lock alone.
    assert run.table("inputs")["events"] == [8001]
    assert len(told) > 3 and told == sorted(told) and told[-1][0] > 0


def test_an_error_in_progress_ends_reading(tmp_path):
    path = fifo(tmp_path)

    def fail(*_):
        raise RuntimeError("no more")

    with open(os.open(path, os.O_RDWR), "wb", buffering=0) as trace:
        trace.write(HEAD)
        with pytest.raises(RuntimeError, match="no more"):
            omni_trace.analyze(path, progress=fail)


def test_merge_slim_and_report_write_what_the_commands_write(tmp_path):
    merged = tmp_path / "merged.json.gz"
    answer = omni_trace.merge(PIPELINE, merged)
    assert answer["command"] == "merge" and merged.exists()
    assert omni_trace.analyze(merged).table("inputs")["events"] == omni_trace.analyze(PIPELINE).table("inputs")["events"]
    small = tmp_path / "small.json.gz"
    answer = omni_trace.slim(sorted(PIPELINE.glob("*.gz"))[0], small, drop=["python_function", "user_annotation"])
    assert answer["command"] == "slim" and small.exists()
    page = omni_trace.report(PIPELINE, tmp_path / "page")
    assert pathlib.Path(page).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_check_and_diff_say_whether_they_found_something(tmp_path):
    assert omni_trace.check(PIPELINE, need=["kernels"])["found"] is False
    assert omni_trace.check(ROOT / "fixtures/torch_cpu_multithread", need=["kernels"])["found"] is True
    traces = sorted(PIPELINE.glob("*.gz"))
    same = omni_trace.diff(traces[0], traces[0])
    assert same["command"] == "diff" and same["found"] is False
    several = omni_trace.diff([traces[0], traces[0]], [traces[0]], gate="3%")
    assert several["total"]["runs_a"] == 2 and several["total"]["runs_b"] == 1
    base = tmp_path / "base.json"
    assert omni_trace.diff(b=[traces[0], traces[0]], save_baseline=base) == {"found": False}
    assert omni_trace.diff(traces[0], against=base, gate="3%")["total"]["runs_a"] == 2


def test_a_command_that_fails_raises_what_it_says(tmp_path):
    output = tmp_path / "no/such/folder/out.json"
    done = ran("merge", PIPELINE, f"--output={output}")
    with pytest.raises(omni_trace.CommandFailed) as caught:
        omni_trace.merge(PIPELINE, output)
    assert str(caught.value) == said(done) and caught.value.code == done.returncode == 2


def test_an_interrupted_command_leaves_nothing(tmp_path):
    path = fifo(tmp_path)
    output = tmp_path / "out.json"
    script = "import omni_trace, sys; print('on', flush=True); omni_trace.slim(sys.argv[1], sys.argv[2])"
    line = [sys.executable, "-c", script, path, output]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "on\n"
    with open(path, "wb", buffering=0) as trace:
        trace.write(HEAD + EVENT)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in err
    assert os.listdir(tmp_path) == ["trace.json"]


def installed():
    """The command that the package brings."""
    return pathlib.Path(sys.executable).with_name("omni-trace")


def test_the_command_is_the_program():
    run = lambda *words, **how: subprocess.run([installed(), *words], cwd=ROOT, capture_output=True, text=True, **how)
    version = run("--version")
    assert version.returncode == 0 and version.stdout.startswith(f"omni-trace {omni_trace.__version__}\n")
    done = run("analyze", "fixtures/pipeline")
    assert (done.returncode, done.stdout) == (0, ran("analyze", "fixtures/pipeline").stdout)
    missing = run("analyze", "no/such.json")
    assert missing.returncode == 2 and missing.stderr.startswith("error: cannot read no/such.json")
    assert run("check", "fixtures/torch_cpu_multithread", "--need", "kernels").returncode == 1
    trace = run("analyze", "-", "--format", "json", input=json.dumps({"traceEvents": json.loads("[" + EVENT.decode().rstrip(",\n") + "]")}))
    assert json.loads(trace.stdout)["inputs"][0]["events"] == 1


def test_the_command_is_ended_by_an_interruption(tmp_path):
    path = fifo(tmp_path)
    process = subprocess.Popen([installed(), "analyze", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with open(path, "wb", buffering=0) as trace:
        trace.write(HEAD)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode in (130, -signal.SIGINT) and "Traceback" not in err


def test_everything_public_says_what_it_is():
    for name in omni_trace.__all__:
        value = getattr(omni_trace, name)
        if not isinstance(value, str):
            assert inspect.getdoc(value), name
            for key, member in vars(value).items() if inspect.isclass(value) else ():
                is_shown = not key.startswith("_") and (callable(member) or isinstance(member, property))
                assert not is_shown or inspect.getdoc(member), f"{name}.{key}"
    stub = pathlib.Path(omni_trace.__file__).with_name("_native.pyi").read_text(encoding="utf-8")
    for name in dir(_native):
        if not name.startswith("__") or name == "__version__":
            assert name in stub, f"{name} has no stub"


def test_an_import_brings_no_other_library():
    script = "import sys, omni_trace; print([name for name in sys.modules if name in ('numpy', 'pandas', 'pyarrow', 'polars', 'duckdb')])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


def test_the_machine_output_names_its_command():
    assert machine_output("analyze", PIPELINE)["command"] == "analyze"
