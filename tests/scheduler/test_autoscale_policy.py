"""The autoscaler's policy: defaults, and what is refused with field, value and remedy."""

import json
from pathlib import Path
from typing import Any

import pytest

from falaj.scheduler.autoscale_policy import Shrink, parse_policy, read_policy
from falaj.scheduler.errors import RefusedError

POOL = {"resource": "nvidia.com/gpu", "units_per_node": 8, "usd_per_node_hour": 98.3}
GIVEN: dict[str, Any] = {"cluster": "falaj", "pools": {"gpu": POOL}}


def test_a_policy_needs_a_cluster_and_pools_and_has_defaults(tmp_path: Path):
    (tmp_path / "policy.json").write_text(json.dumps(GIVEN))
    found = read_policy(tmp_path / "policy.json")
    pool = found.pools["gpu"]
    assert (pool.name, pool.node_group, pool.flavor, pool.spare_nodes) == ("gpu", "gpu", "gpu", 0)
    assert found.shrink is Shrink.TERMINATE
    assert [name for name, rule in found.tiers.items() if rule.grows] == ["production", "interactive", "batch"]
    assert found.tier("production").after_seconds == 0
    assert found.tier("batch").after_seconds == 300
    assert not found.tier("unheard-of").grows


def test_what_is_said_holds_and_the_other_tiers_keep_their_rules():
    found = parse_policy(
        {
            **GIVEN,
            "tiers": {"batch": {"grows": True, "after_seconds": 60}},
            "tenants": {"vision": 500},
            "shrink": "resize",
            "pools": {"gpu": {**POOL, "node_group": "g", "flavor": "h200", "usd_per_hour": 400}},
        }
    )
    assert found.tier("batch").after_seconds == 60
    assert found.tier("production").grows
    assert found.tenants == {"vision": 500.0}
    assert found.shrink is Shrink.RESIZE
    assert (found.pools["gpu"].node_group, found.pools["gpu"].flavor) == ("g", "h200")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pools": {}}, "policy.pools must hold at least one pool, by name (got {})"),
        ({"pools": {"gpu": {**POOL, "units_per_node": 0}}}, "policy.pools.gpu.units_per_node must be a whole number"),
        ({"pools": {"gpu": {**POOL, "usd_per_hour": -1}}}, "policy.pools.gpu.usd_per_hour must be a number, 0 or more"),
        ({"pools": {"gpu": {"resource": "r"}}}, "policy.pools.gpu must say units_per_node, usd_per_node_hour"),
        ({"pools": {"gpu": {**POOL, "name": "x"}}}, "policy.pools.gpu may say flavor, node_group, resource"),
        ({"tiers": {"batch": {"grows": "yes"}}}, "policy.tiers.batch.grows must be true or false (got 'yes')"),
        ({"tiers": []}, "policy.tiers must be an object, by name (got [])"),
        ({"tenants": {"vision": True}}, "policy.tenants.vision must be a number, 0 or more (got True)"),
        ({"step_nodes": 0}, "policy.step_nodes must be a whole number, 1 or more (got 0)"),
        ({"shrink": "evict"}, "policy.shrink must be one of terminate, resize (got 'evict')"),
        ({"speed": 1}, "policy may say boot_seconds, cluster, cooldown_seconds"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(change: dict[str, Any], message: str):
    with pytest.raises(RefusedError) as refused:
        parse_policy({**GIVEN, **change})
    assert str(refused.value).startswith(message)


def test_a_file_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(RefusedError, match="policy must be a readable JSON file"):
        read_policy(tmp_path / "missing.json")
