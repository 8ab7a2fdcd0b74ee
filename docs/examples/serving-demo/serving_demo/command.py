"""The command line of the demonstration: plays it on a lab of its own and writes what it showed."""

import argparse
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from falaj.lab.errors import LabError
from falaj.lab.progress import Progress, Stopped
from falaj.training.errors import TrainingError, in_words
from serving_demo import report
from serving_demo.play import FULL, QUICK, Settings, play
from serving_demo.stage import stop
from serving_demo.traffic import available

_EPILOG = """examples:
  make demo
  python docs/examples/serving-demo/demo.py --out /tmp/shown
  python docs/examples/serving-demo/demo.py --quick --rate 15
  python docs/examples/serving-demo/demo.py --keep      # then: falaj-lab --state demo/kept/lab status

Exit codes: 0 the good version was promoted and the bad ones were refused, 1 one of them was not, 2 it could not be
played, 130 asked to stop.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the demonstration and return the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        available()
        told = _played(options)
    except (LabError, TrainingError) as error:
        if options.debug:
            traceback.print_exc()
        sys.stderr.write(f"demo: {in_words(error) if isinstance(error, TrainingError) else error}\n")
        return 2
    except (KeyboardInterrupt, Stopped):
        sys.stderr.write("demo: stopped, with all that it had started\n")
        return 130
    for line in report.summary(told):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{options.out / 'report.html'}\n")
    return 0 if report.as_wanted(told) else 1


def _played(options: argparse.Namespace) -> dict[str, Any]:
    settings: Settings = (QUICK if options.quick else FULL).at(options.rate)
    base = _base(options)
    try:
        with Progress(Console(stderr=True, highlight=False)) as progress:
            told = play(base, settings, progress)
        report.write(options.out, told)
        return told
    finally:
        if not options.keep:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the person has asked already; nothing may stay
            try:
                stop(base / "lab")
                shutil.rmtree(base, ignore_errors=True)
            finally:
                signal.signal(signal.SIGINT, before)


def _base(options: argparse.Namespace) -> Path:
    """Return an empty folder for the lab and all that is made, known to its owner alone."""
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        if not options.keep:
            return Path(tempfile.mkdtemp(prefix="falaj-demo-"))
        kept = options.out.absolute() / "kept"
        kept.mkdir(mode=0o700)
    except FileExistsError:
        raise LabError(
            f"--out {options.out} holds what an earlier run kept; stop it with `falaj-lab --state"
            f" {options.out / 'kept' / 'lab'} down` and remove it, or choose another folder"
        ) from None
    except OSError as error:
        raise LabError(f"--out {options.out} cannot be used ({error.strerror}); choose another folder") from error
    return kept


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo.py",
        description="Train a model, have it judged, signed, published and served; then publish a good, a slow and a"
        " wrong version under a steady load, and show what becomes of each. It takes some six minutes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="for the report (default: demo)")
    parser.add_argument("--keep", action="store_true", help="leave the lab running, below DIR/kept")
    parser.add_argument("--quick", action="store_true", help="one step of the canary in the place of three")
    parser.add_argument("--rate", type=_rate, default=25, metavar="N", help="requests a second, 5 to 50 (default: 25)")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _rate(text: str) -> int:
    if not text.isdecimal() or not 5 <= int(text) <= 50:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 5 to 50")
    return int(text)


def _stop(number: int, _: object) -> None:
    raise KeyboardInterrupt(number)
