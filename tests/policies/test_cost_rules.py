"""Cost and energy: what their rules look through."""

import pytest
from policies.cases.cost import VOLUME, pool
from policies.making import NODES, make, verdict

from falaj.policies.model import Verdict


@pytest.mark.parametrize("kind", ["g6e.12xlarge", "gr6.4xlarge", "p5en.48xlarge", "p6-b200.48xlarge", "trn1.2xlarge"])
def test_machines_with_accelerators_are_known_by_their_name(kind: str) -> None:
    assert verdict("FJ-CST-001", [make(NODES, pool(4.0, 4.0, instanceTypes=[kind]))]) is Verdict.FAIL


@pytest.mark.parametrize("kind", ["m6i.large", "c7g.xlarge", "i4g.large", "x2gd.large"])
def test_machines_without_accelerators_may_keep_their_size(kind: str) -> None:
    assert verdict("FJ-CST-001", [make(NODES, pool(4.0, 4.0, instanceTypes=[kind]))]) is Verdict.PASS


def test_a_label_tells_the_tier_by_its_name_only() -> None:
    labelled = {"capacityType": "ON_DEMAND", "labels": {"pool": "batch", "tier-of-disks": "batch"}}
    assert verdict("FJ-CST-002", [make(NODES, labelled)]) is Verdict.NOT_APPLICABLE


def test_default_tags_of_the_provider_pay() -> None:
    provider = {"defaultTags": {"tags": {"Cost-Centre": "cc-1"}}}
    nodes = make(NODES, {"instanceTypes": ["g5.xlarge"]}, provider=provider)
    assert verdict("FJ-CST-006", [nodes]) is Verdict.PASS
    assert verdict("FJ-CST-006", [nodes], costTags=["budget"]) is Verdict.FAIL


def test_a_disk_made_of_a_snapshot_says_no_size_and_may_say_no_type() -> None:
    assert verdict("FJ-CST-007", [make(VOLUME, {"snapshotId": "snap-1"})]) is Verdict.PASS
