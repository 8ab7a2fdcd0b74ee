"""The environment `prod`, against a lab."""

import pytest
from platform_in_lab import Platform

from falaj.lab.testing import RunningLab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


def test_prod_comes_up_in_a_lab_and_goes_again(own_lab: RunningLab) -> None:
    prod = Platform(own_lab, "prod")
    bare = prod.inventory()
    said = prod.deploy().stdout
    assert "mandatory" not in said
    nodes = prod.get("nodes")
    assert {node["metadata"]["labels"]["node.kubernetes.io/instance-type"] for node in nodes} >= {"p5en.48xlarge"}
    assert len(prod.get("pods", "-A", "--field-selector=status.phase=Running")) >= 3
    assert not prod.changes("preview", "--refresh")
    prod.deploy("--destroy")
    assert prod.inventory()["cluster"] == bare["cluster"]
    assert prod.inventory()["KMS key"] == bare["KMS key"]
