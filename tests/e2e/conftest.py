"""Labs for the tests of whole paths: one a module, so that "empty again" can be told."""

from collections.abc import Iterator

import pytest

from falaj.lab.testing import RunningLab, temporary_lab


@pytest.fixture(scope="module")
def own_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A running lab that nothing else uses."""
    with temporary_lab(tmp_path_factory.mktemp("e2e") / "state") as running:
        yield running
