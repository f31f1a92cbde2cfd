#!/usr/bin/env bash
# Makes the Python environment of the Perfetto oracle in the user's cache folder, once.
set -euo pipefail
venv="${XDG_CACHE_HOME:-$HOME/.cache}/omni-trace-oracle"
if ! "$venv/bin/python" -c 'import perfetto.protos' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" --quiet install 'perfetto>=0.50'
fi
echo "$venv/bin/python"
