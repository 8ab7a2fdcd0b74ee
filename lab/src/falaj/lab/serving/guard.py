"""Ends what the kubelet's containers left when the kubelet was killed. ``python -m falaj.lab.serving.guard FOLDER``."""

import os
import signal
import sys
from pathlib import Path

from falaj.lab.serving.leftovers import end_recorded


def main() -> None:
    """Wait for the end of the input, which comes with the kubelet's end; then end what the records name."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(sys.stdin.fileno(), 1):
        pass
    end_recorded(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
