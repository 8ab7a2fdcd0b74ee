"""The simulator, and a lab whose AWS enforces IAM with it."""

from collections.abc import Iterator

import pytest
from enforced import Enforced
from simulator import Simulator, authorizer

from falaj.lab.testing import temporary_lab
from falaj.lab.tools import resolve


@pytest.fixture(scope="session")
def iam() -> Iterator[Simulator]:
    """Decides what no emulator can."""
    simulator = Simulator()
    yield simulator
    simulator.close()


@pytest.fixture(scope="session")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enforced]:
    """A lab that is an AWS with IAM enforced, in which HashiCorp's provider has made the program of this folder."""
    if resolve("aws-bridged").path is None:
        pytest.skip("the bridged AWS provider is not built: falaj-lab install --aws bridged")
    root = tmp_path_factory.mktemp("enforced") / "state"
    with temporary_lab(root, aws="bridged", only=["moto"], authorizer=authorizer()) as lab:
        yield Enforced(lab)
