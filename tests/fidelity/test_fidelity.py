"""The whole comparison: what `make fidelity` runs."""

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
@pytest.mark.parametrize("stack", ["local", "prod"])
def test_nothing_differs_between_the_providers_that_is_not_a_known_gap(stack: str) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "--stack", stack], capture_output=True, text=True, timeout=1700, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_its_help_shows_how_to_run_it() -> None:
    done = subprocess.run([sys.executable, PROGRAM, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "--stack local" in done.stdout
