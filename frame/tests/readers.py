"""Reads what `export` wrote with readers of another make, and prints sums as JSON.

    readers.py tables FOLDER        Parquet with pyarrow, pandas and DuckDB, Arrow with pyarrow and pandas
    readers.py speedscope FILE      against the schema beside this Python
    readers.py firefox FILE         with the Firefox profiler's command line: each thread's time in nanoseconds
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile


def wrapped(value):
    """A sum as 64 bits hold it: those of DuckDB do not wrap, those of the others do."""
    return (value + 2**63) % 2**64 - 2**63


def sums_of(frame):
    """Rows, sums of whole numbers, and how many texts there are, of a pandas frame with Arrow's types."""
    sums = {"": len(frame)}
    for name in frame.columns:
        column = frame[name]
        kind = str(column.dtype)
        if kind.startswith(("int64", "Int64")):
            sums[name] = int(column.sum())
        elif kind.startswith(("string", "large_string", "object", "str")):
            sums[name] = int(column.notna().sum())
    return sums


def tables(folder):
    import duckdb
    import pandas
    import pyarrow.ipc
    import pyarrow.parquet

    found = {}
    for path in sorted(folder.rglob("*.parquet")):
        table = pyarrow.parquet.read_table(path, partitioning=None)
        by_pyarrow = sums_of(table.to_pandas(types_mapper=pandas.ArrowDtype))
        by_pandas = sums_of(pandas.read_parquet(path, dtype_backend="pyarrow", partitioning=None))
        rows = duckdb.sql(f"SELECT count(*) FROM read_parquet('{path}', hive_partitioning=false)").fetchall()[0][0]
        by_duckdb = {"": rows}
        for name, value in by_pyarrow.items():
            if name:
                quoted = '"' + name + '"'
                function = "count" if "string" in str(table.schema.field(name).type) else "sum"
                query = f"SELECT {function}({quoted}) FROM read_parquet('{path}', hive_partitioning=false)"
                by_duckdb[name] = wrapped(int(duckdb.sql(query).fetchall()[0][0] or 0))
        assert by_pyarrow == by_pandas == by_duckdb, (path, by_pyarrow, by_pandas, by_duckdb)
        arrow = path.with_suffix(".arrow")
        with pyarrow.memory_map(str(arrow)) as source:
            reader = pyarrow.ipc.open_file(source)
            by_arrow = sums_of(reader.read_all().to_pandas(types_mapper=pandas.ArrowDtype))
            of_arrow = {key.decode(): value.decode() for key, value in (reader.schema.metadata or {}).items()}
        assert by_arrow == by_pyarrow, (arrow, by_arrow, by_pyarrow)
        of_parquet = {key.decode(): value.decode() for key, value in pyarrow.parquet.read_metadata(path).metadata.items()}
        metadata = {key: value for key, value in of_parquet.items() if key.startswith("omni_trace.")}
        of_arrow = {key: value for key, value in of_arrow.items() if key.startswith("omni_trace.")}
        assert metadata == of_arrow, (path, metadata, of_arrow)
        found[str(path.relative_to(folder).with_suffix(""))] = {"sums": by_pyarrow, "metadata": metadata}
    # The folders are a partitioned data set.
    whole = duckdb.sql(
        f"SELECT CAST(stage AS VARCHAR), CAST(rank AS VARCHAR), count(*) "
        f"FROM read_parquet('{folder}/*/*/events.parquet', hive_partitioning=true) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    print(json.dumps({"tables": found, "partitions": whole}))


def speedscope(path):
    import jsonschema

    schema = json.loads((pathlib.Path(sys.prefix) / "speedscope.schema.json").read_text())
    file = json.loads(path.read_text())
    jsonschema.validate(file, schema)
    print(json.dumps({profile["name"]: sum(profile["weights"]) for profile in file["profiles"]}))


def firefox(path):
    # It gives its daemon half a second to start, which a busy machine does not keep: then again.
    for _ in range(20):
        sums = sums_of_firefox(path)
        if sums is not None:
            print(json.dumps(sums))
            return
    raise AssertionError("the daemon of profiler-cli was not ready in any of 20 tries")


def sums_of_firefox(path):
    """What the profiler sums for each thread of a file; nothing where its daemon was not ready in time."""
    program = pathlib.Path(sys.prefix) / "firefox/node_modules/.bin/profiler-cli"

    def run(*words):
        return subprocess.run([program, *words], env=environment, capture_output=True, text=True, timeout=300)

    def ask(*words):
        done = run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return json.loads(done.stdout)

    # It answers from a process that holds the profile, whose socket lies in this folder.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = os.environ | {"PROFILER_CLI_SESSION_DIR": folder}
        try:
            loaded = run("load", str(path))
            if "did not become ready within" in loaded.stderr:
                return None
            assert loaded.returncode == 0, (loaded.stdout, loaded.stderr)
            sums = {}
            for thread in ask("thread", "list", "--json")["threads"]:
                rows = ask("thread", "functions", "--thread", thread["threadHandle"], "--limit", "0", "--json")
                sums[thread["name"]] = round(sum(row["selfSamples"] for row in rows["functions"]) * 1e6)
            return sums
        finally:
            run("stop", "--all")


if __name__ == "__main__":
    {"tables": tables, "speedscope": speedscope, "firefox": firefox}[sys.argv[1]](pathlib.Path(sys.argv[2]))
