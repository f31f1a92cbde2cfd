#!/bin/sh
# Installs the libtorch that omni-trace-capture is built and run against, without importing Python's torch.
#
#   capture/install-libtorch.sh [DIR]
#
# DIR defaults to $XDG_CACHE_HOME/omni-trace/libtorch-<version> (or ~/.cache/...). Needs python3 with pip.
# Three wheels from the package index that pip is configured with: about 0.6 GB downloaded, 1.2 GB on disk.
# They carry everything that a CPU needs; on a host with a GPU use the libtorch of its own PyTorch at run time
# (LD_LIBRARY_PATH, or OMNI_TRACE_LIBTORCH=<site-packages>/torch). Running it again does nothing.
set -eu

VERSION=2.11.0
DIR=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/omni-trace/libtorch-$VERSION}
DONE="$DIR/.complete-$VERSION"

if [ -f "$DONE" ]; then
    echo "libtorch $VERSION is already in $DIR/torch"
else
    TMP="$DIR.partial.$$"
    trap 'rm -rf "$TMP"' EXIT INT TERM
    mkdir -p "$(dirname "$DIR")"
    echo "installing libtorch $VERSION (3 wheels, about 0.6 GB) into $DIR"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --no-cache-dir \
        --target "$TMP" \
        "torch==$VERSION" nvidia-cuda-cupti==13.0.85 nvidia-cuda-runtime==13.0.96
    # Only needed on a GPU, where the host's own PyTorch serves: half of the size.
    rm -f "$TMP"/torch/lib/libtorch_cuda*.so "$TMP"/torch/lib/libtorch_python.so
    touch "$TMP/.complete-$VERSION"
    rm -rf "$DIR"
    mv "$TMP" "$DIR"
    trap - EXIT INT TERM
    echo "done: $(du -sh "$DIR" | cut -f1) in $DIR"
fi
echo "build with: LIBTORCH=$DIR/torch cargo build -p omni-trace-capture"
