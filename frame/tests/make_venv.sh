#!/usr/bin/env bash
# Makes the Python environment of the tests that read what `export` writes, in the user's cache folder, once: readers of
# Parquet and Arrow that are not polars, a checker of JSON schemas with speedscope's own, and the Firefox profiler's reader.
set -euo pipefail
venv="${XDG_CACHE_HOME:-$HOME/.cache}/omni-trace-readers"
if ! "$venv/bin/python" -c 'import duckdb, jsonschema, pandas, pyarrow' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" --quiet install 'duckdb>=1.0' jsonschema 'pandas>=2' 'pyarrow>=15'
fi
# Speedscope's definition of its format comes with its own package.
if [ ! -s "$venv/speedscope.schema.json" ]; then
    folder=$(mktemp -d)
    (cd "$folder" && npm pack --silent 'speedscope@^1.25' >/dev/null && tar xzf speedscope-*.tgz)
    cp "$folder/package/dist/release/file-format-schema.json" "$venv/speedscope.schema.json"
    rm -r "$folder"
fi
# The reader of the Firefox profiler's own makers, without its page.
if [ ! -s "$venv/firefox/node_modules/@firefox-devtools/profiler-cli/package.json" ]; then
    npm install --silent --no-audit --no-fund --prefix "$venv/firefox" '@firefox-devtools/profiler-cli@^0.10' >/dev/null
fi
echo "$venv/bin/python"
