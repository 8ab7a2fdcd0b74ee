"""How many nodes of a lab have pods that are processes, and what each has to itself."""

from pathlib import Path

import pytest

from falaj.lab.errors import LabError
from falaj.lab.serving.addresses import Addresses, network
from falaj.lab.serving.node_api import identity
from falaj.lab.serving.nodes import NODES_SETTING, names
from falaj.lab.state import Lab


def test_a_lab_has_one_such_node_or_as_many_as_it_was_told(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert names(lab) == ["processes"]
    lab.remember(NODES_SETTING, "3")
    assert names(lab) == ["processes", "processes-2", "processes-3"]


@pytest.mark.parametrize("wrong", ["0", "10", "two", "-1", "1.5"])
def test_a_lab_is_told_how_many_nodes_it_may_have(tmp_path: Path, wrong: str) -> None:
    lab = Lab(tmp_path)
    lab.remember(NODES_SETTING, wrong)
    with pytest.raises(LabError, match="must be a number from 1 to 9"):
        names(lab)


def test_each_node_has_an_identity_and_a_network_of_its_own(tmp_path: Path) -> None:
    drawn = [Addresses(tmp_path / str(number), network(number)).draw("the same uid", []) for number in range(2)]
    assert [address.split(".")[:2] for address in drawn] == [["127", "1"], ["127", "2"]]
    assert identity("processes-2").common_name == "system:node:processes-2"
