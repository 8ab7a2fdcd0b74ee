"""The whole comparison, for the environment `local`; `make fidelity` also does it for `prod`."""

import subprocess
import sys
from pathlib import Path

import pytest

from falaj.lab import tools
from falaj.lab.plugins import BRIDGED

PROGRAM = Path(__file__).with_name("fidelity.py")


@pytest.mark.fidelity
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    tools.resolve(BRIDGED).path is None,
    reason="the bridged provider is not built: `falaj-lab install --aws bridged` builds it once",
)
def test_nothing_differs_in_local_that_is_not_a_known_gap() -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "--stack", "local"], capture_output=True, text=True, timeout=1700, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_its_help_shows_how_to_run_it() -> None:
    done = subprocess.run([sys.executable, PROGRAM, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "--stack local" in done.stdout
