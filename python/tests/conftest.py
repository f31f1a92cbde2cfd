"""What the tests share: the repository, its fixtures, and the program."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("OMNI_TRACE_SHARED", ROOT.parent / "shared"))

PIPELINE = ROOT / "fixtures/pipeline"
TP2 = ROOT / "fixtures/vllm_tp2_step"
LOGS = ROOT / "fixtures/joined"


def program():
    """The command line that the Python package is compared with: one that was built from Rust alone, where CI names it."""
    named = os.environ.get("OMNI_TRACE_PROGRAM")
    return [named] if named else [sys.executable, "-m", "omni_trace"]


def ran(*words, cwd=ROOT):
    return subprocess.run([*program(), *map(str, words)], cwd=cwd, capture_output=True, text=True, encoding="utf-8")


def machine_output(*words):
    done = ran(*words, "--format=json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def real_traces():
    """The real traces beside the checkout, the smaller ones; where there are none the tests say so."""
    traces = sorted((SHARED / "traces").rglob("*.json.gz"), key=lambda path: path.stat().st_size)
    return [path for path in traces if path.stat().st_size < 8_000_000]


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)
