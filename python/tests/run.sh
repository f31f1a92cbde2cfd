#!/usr/bin/env bash
# Builds the wheel as the other tests are built, installs it where nothing else is, and holds it against the command line.
# Needs a Rust toolchain and Python with pip and venv; the environments lie in the user's cache directory.
set -euo pipefail
cd "$(dirname "$0")/../.."

cache="${XDG_CACHE_HOME:-$HOME/.cache}/omni-trace"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"

build="$cache/python-build"
if ! "$build/bin/maturin" --version >/dev/null 2>&1; then
    python3 -m venv "$build"
    "$build/bin/pip" --quiet --disable-pip-version-check install 'maturin>=1.9,<2'
fi
wheels="$CARGO_TARGET_DIR/python-wheels"
rm -rf "$wheels"
"$build/bin/maturin" build --quiet --locked --profile dev --manifest-path python/Cargo.toml --out "$wheels"

venv="$cache/python-test"
python3 -m venv --clear "$venv"
pip=("$venv/bin/pip" --quiet --disable-pip-version-check install)
"${pip[@]}" "$wheels"/*.whl
# Alone first: the package needs no other.
"$venv/bin/python" -c 'import omni_trace; print(omni_trace.analyze("fixtures/pipeline").table("devices"))'
"${pip[@]}" pytest pyarrow pandas polars duckdb nbclient nbformat ipykernel
# Ray has no release for the newest Python in its first months: the tests of the cluster then say that they are skipped.
"${pip[@]}" 'ray>=2.40' || echo "python: no Ray for this Python, the tests of omni_trace.cluster are skipped"

cargo build --quiet --locked
export OMNI_TRACE_PROGRAM="$CARGO_TARGET_DIR/debug/omni-trace"
"$venv/bin/python" -m pytest -q python/tests "$@"
