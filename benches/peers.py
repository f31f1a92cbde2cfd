"""Times other analyzers of the same traces beside this one: user CPU seconds and peak memory of one process each.

    pip install HolisticTraceAnalysis torch-tb-profiler perfetto        # TraceLens: from its repository
    python3 benches/peers.py target/release/omni-trace TRACE... [--trace-processor PROGRAM]

Run it with the Python that has them; what is not there is left out, what fails on a trace says so. The median of three runs.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

RUNS = 3

HTA = """
import sys
from hta.trace_analysis import TraceAnalysis
analysis = TraceAnalysis(trace_files={0: sys.argv[1]}, trace_dir="")
analysis.get_temporal_breakdown(visualize=False)
analysis.get_gpu_kernel_breakdown(visualize=False)
analysis.get_comm_comp_overlap(visualize=False)
analysis.get_idle_time_breakdown(ranks=[0], visualize=False)
analysis.get_cuda_kernel_launch_stats(ranks=[0], visualize=False)
"""

TB = """
import sys
from torch_tb_profiler.profiler.data import RunProfileData
RunProfileData.parse("worker0", 0, sys.argv[1], sys.argv[2])
"""

TRACELENS = """
import sys
from TraceLens.Reporting.generate_perf_report_pytorch import generate_perf_report_pytorch
generate_perf_report_pytorch(profile_json_path=sys.argv[1], output_csvs_dir=sys.argv[2])
"""

SQL = """
SELECT count(*), sum(dur) FROM slice;
SELECT name, count(*), sum(dur) FROM slice GROUP BY name ORDER BY 3 DESC LIMIT 20;
SELECT category, count(*) FROM slice GROUP BY category;
"""


def measured(command):
    """User CPU seconds and peak MB of the median run; None where it fails."""
    found = []
    for _ in range(RUNS):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            return None
        found.append((usage.ru_utime, usage.ru_maxrss / 1024))
    return tuple(statistics.median(column) for column in zip(*found))


def is_there(module):
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("traces", nargs="+")
    parser.add_argument("--trace-processor")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sql = pathlib.Path(folder, "three.sql")
        sql.write_text(SQL)
        peers = [("omni-trace analyze", lambda path: [arguments.program, "analyze", path])]
        if arguments.trace_processor:
            peers.append(("Perfetto trace_processor", lambda path: [arguments.trace_processor, "-q", str(sql), path]))
        for name, module, script in (
            ("torch-tb-profiler", "torch_tb_profiler", TB),
            ("HolisticTraceAnalysis", "hta", HTA),
            ("TraceLens", "TraceLens", TRACELENS),
        ):
            if is_there(module):
                peers.append((name, lambda path, script=script: [sys.executable, "-c", script, path, folder]))
        for name, command in peers:
            cells = []
            for path in arguments.traces:
                found = measured(command(path))
                cells.append("fails |" if found is None else f"{found[0]:.2f} s | {found[1]:.0f} MB")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
