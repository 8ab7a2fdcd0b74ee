"""Labs for the tests of whole paths: one a module, so that "empty again" can be told."""

import shutil
from collections.abc import Iterator

import pytest

from falaj.lab.testing import RunningLab


@pytest.fixture(scope="module")
def own_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A running lab that nothing else uses."""
    running = RunningLab(tmp_path_factory.mktemp("e2e") / "state")
    try:
        running.run("up", timeout=1800)
        yield running
    finally:
        running.run("down", check=False)
        shutil.rmtree(running.root, ignore_errors=True)
