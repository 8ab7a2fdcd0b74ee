"""A running lab for the tests that need one, shared by them all and stopped whatever becomes of them."""

import shutil
from collections.abc import Iterator

import pytest

from falaj.lab.testing import RunningLab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A running lab of its own in a temporary folder."""
    running = RunningLab(tmp_path_factory.mktemp("lab") / "state")
    try:
        running.run("up", timeout=1800)
        yield running
    finally:
        running.run("down", check=False)
        shutil.rmtree(running.root, ignore_errors=True)
