"""Labs for the tests of the foundation's components: light ones, with the services that these need."""

from collections.abc import Iterator

import pytest

from falaj.lab.testing import RunningLab, temporary_lab
from falaj.lab.tools import resolve


@pytest.fixture(scope="session")
def bridged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab that is an AWS alone, its types made by HashiCorp's provider."""
    if resolve("aws-bridged").path is None:
        pytest.skip("the bridged AWS provider is not built: falaj-lab install --aws bridged")
    with temporary_lab(tmp_path_factory.mktemp("bridged") / "state", aws="bridged", only=["moto"]) as running:
        yield running


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab that is an AWS alone, its types made by the lab's own provider."""
    with temporary_lab(tmp_path_factory.mktemp("emulated") / "state", aws="emulated", only=["moto"]) as running:
        yield running
