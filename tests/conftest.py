"""A running lab for the tests that need one, shared by them all and stopped whatever becomes of them."""

from collections.abc import Iterator

import pytest

from falaj.lab.testing import RunningLab, temporary_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A running lab of its own in a temporary folder."""
    with temporary_lab(tmp_path_factory.mktemp("lab") / "state") as running:
        yield running
