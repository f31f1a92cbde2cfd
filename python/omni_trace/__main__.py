"""The command ``omni-trace``: the program itself, run inside of Python."""

import signal
import sys


def main() -> None:
    """Runs the command line and ends with its exit code."""
    from ._native import run_line

    # Python only notes an interruption and acts on it later; the program has its own ways.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(run_line(["omni-trace", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
