"""What becomes of pools, by cases: who makes them grow, what bounds it, and which nodes go."""

import dataclasses
from typing import Any

import pytest

from falaj.scheduler.autoscale_plan import plan
from falaj.scheduler.autoscale_policy import Policy, PoolPolicy, Shrink, TierRule
from falaj.scheduler.autoscale_state import Change, Node, Plan, Pool, Work

NOW = 10_000.0
POOL = PoolPolicy("gpu", "nvidia.com/gpu", units_per_node=8, usd_per_node_hour=100)
POLICY = Policy("falaj", {"gpu": POOL}, idle_seconds=600, cooldown_seconds=60, settle_seconds=5)


def policy(pool: dict[str, Any] | None = None, **more: Any) -> Policy:
    return dataclasses.replace(POLICY, pools={"gpu": dataclasses.replace(POOL, **(pool or {}))}, **more)


def work(name: str, *unplaced: int, tier: str = "production", waits: float = 1, **more: Any) -> Work:
    given: dict[str, Any] = {"tenant": "vision", "cost_centre": "cc-1", **more}
    return Work("vision", name, "gpu", tier=tier, since=NOW - waits, unplaced=unplaced, **given)


def node(number: int, **more: Any) -> Node:
    return Node(f"gpu-{number}", **{"units": 8, "made": NOW - 5000, **more})


def idle(number: int, seconds: float = 700, **more: Any) -> Node:
    return node(number, empty_since=NOW - seconds, **more)


def busy(number: int, used: int = 8) -> Node:
    return node(number, used=used, pods=1)


def pool(*nodes: Node, desired: int | None = None, most: int = 10, **more: Any) -> Pool:
    size = len(nodes) if desired is None else desired
    return Pool("gpu", **{"min_nodes": 0, "max_nodes": most, "desired": size, "nodes": nodes, **more})


def planned(given: Pool, *works: Work, rules: Policy = POLICY) -> Plan:
    return plan([given], works, NOW, rules)


def refused(found: Plan) -> list[str]:
    return [str(refusal) for refusal in found.refusals]


# --- growing ---------------------------------------------------------------------------------------------------------


def test_a_pool_grows_from_zero_by_the_nodes_that_waiting_pods_fill():
    found = planned(pool(), work("train", 8, 8))
    assert found.pools["gpu"].size == 2
    assert [(wait.work.name, wait.nodes, wait.why) for wait in found.waits] == [("train", 2, "")]


@pytest.mark.parametrize(
    ("pods", "nodes"),
    [([1] * 8, 1), ([1] * 9, 2), ([5, 5], 2), ([5, 3, 5, 3], 2), ([4, 4, 8], 2), ([6, 6, 2, 2], 2)],
)
def test_pods_are_packed_into_whole_nodes(pods: list[int], nodes: int):
    assert planned(pool(), work("train", *pods)).pools["gpu"].size == nodes


def test_works_share_a_new_node():
    assert planned(pool(), work("a", 4), work("b", 4)).pools["gpu"].size == 1


def test_partitions_of_gpus_are_counted_by_their_own_units():
    rules = policy({"resource": "nvidia.com/mig-1g.18gb", "units_per_node": 56})
    assert planned(pool(), work("notebooks", *[1] * 57), rules=rules).pools["gpu"].size == 2


def test_free_gpus_are_used_before_the_pool_grows():
    found = planned(pool(busy(0, used=4)), work("small", 4))
    assert found.pools["gpu"].size == 1
    assert [wait.why for wait in found.waits] == ["its pods fit on nodes that are there"]


def test_free_gpus_on_many_nodes_do_not_make_room_for_one_pod():
    assert planned(pool(busy(0, used=4), busy(1, used=4)), work("whole", 8)).pools["gpu"].size == 3


def test_nodes_that_are_asked_for_or_starting_are_not_asked_for_again():
    starting = node(0, ready=False, made=NOW - 30)
    found = planned(pool(starting, desired=2), work("train", 8, 8))
    assert found.pools["gpu"].size == 2
    assert [wait.nodes for wait in found.waits] == [2]


def test_a_node_that_never_becomes_ready_is_no_room():
    broken = node(0, ready=False, made=NOW - 5000)
    assert planned(pool(broken), work("train", 8)).pools["gpu"].size == 2


def test_a_node_that_a_person_cordoned_is_no_room_and_stays():
    cordoned = idle(0, schedulable=False)
    found = planned(pool(cordoned), work("train", 8)).pools["gpu"]
    assert (found.size, found.pardon) == (2, [])
    assert planned(pool(cordoned)).pools["gpu"].size == 1


def test_a_pod_that_no_node_could_take_is_refused():
    assert refused(planned(pool(), work("huge", 9))) == [
        "gpu.units_per_node must be 9 or more for a pod of vision/huge; no size of the pool would do (is 8)"
    ]


# --- tiers -----------------------------------------------------------------------------------------------------------


def test_scavenger_never_makes_a_pool_grow_and_takes_what_is_there():
    found = planned(pool(), work("rest", 8, tier="scavenger", waits=1e6))
    assert found.pools["gpu"].size == 0
    assert [wait.why for wait in found.waits] == ["a pool does not grow for the tier scavenger"]
    assert planned(pool(idle(0)), work("rest", 8, tier="scavenger")).pools["gpu"].condemn == []


def test_work_of_an_unknown_tier_does_not_make_a_pool_grow():
    assert planned(pool(), work("odd", 8, tier="urgent")).pools["gpu"].size == 0


def test_batch_makes_a_pool_grow_after_it_has_waited():
    early = planned(pool(), work("train", 8, tier="batch", waits=290))
    assert early.pools["gpu"].size == 0
    assert [wait.why for wait in early.waits] == [
        "its tier lets the pool grow 10 s from now, if nothing else frees nodes"
    ]
    assert planned(pool(), work("train", 8, tier="batch", waits=300)).pools["gpu"].size == 1


def test_a_tier_may_be_given_another_rule():
    rules = policy(tiers={"batch": TierRule(grows=True)})
    assert planned(pool(), work("train", 8, tier="batch"), rules=rules).pools["gpu"].size == 1


def test_production_is_served_before_what_has_waited_longer():
    works = [work("train", 8, tier="batch", waits=9000), work("serve", 8, waits=1)]
    found = planned(pool(most=1), *works)
    assert [wait.work.name for wait in found.waits] == ["serve"]
    assert [refusal.work.name for refusal in found.refusals] == ["train"]


# --- bounds and budgets ----------------------------------------------------------------------------------------------


def test_a_pool_never_grows_beyond_its_largest_size():
    found = planned(pool(busy(0), most=2), work("train", 8, 8))
    assert found.pools["gpu"].size == 1
    assert refused(found) == [
        "gpu.max_nodes must be 3 nodes or more for vision/train, or other work has to end first (is 2)"
    ]


def test_a_gang_that_does_not_fit_whole_gets_nothing_and_a_smaller_work_does():
    found = planned(pool(most=2), work("gang", 8, 8, 8, waits=50), work("small", 8))
    assert found.pools["gpu"].size == 1
    assert [refusal.work.name for refusal in found.refusals] == ["gang"]


def test_a_pool_never_costs_more_than_its_budget():
    found = planned(pool(busy(0)), work("train", 8, 8), rules=policy({"usd_per_hour": 250}))
    assert found.pools["gpu"].size == 1
    assert refused(found) == [
        "gpu.usd_per_hour must be 300.00 USD per hour or more for vision/train, or other work has to end first (is 250)"
    ]


def test_all_pools_together_never_cost_more_than_their_budget():
    rules = dataclasses.replace(POLICY, pools={"gpu": POOL, "other": dataclasses.replace(POOL, name="other")})
    rules = dataclasses.replace(rules, usd_per_hour=250)
    other = dataclasses.replace(pool(busy(0), busy(1)), name="other")
    found = plan([pool(), other], [work("train", 8)], NOW, rules)
    assert found.pools["gpu"].size == 0
    assert [refusal.field for refusal in found.refusals] == ["usd_per_hour"]


@pytest.mark.parametrize("budget", [{"tenants": {"vision": 250.0}}, {"cost_centres": {"cc-1": 250.0}}])
def test_a_tenant_and_a_cost_centre_never_make_a_pool_cost_more_than_their_budget(budget: dict[str, Any]):
    running = work("runs", placed=8)
    found = planned(pool(busy(0)), running, work("train", 8, 8), rules=policy(**budget))
    assert found.pools["gpu"].size == 1
    (kind,) = budget
    (name,) = budget[kind]
    assert refused(found) == [
        f"{kind}.{name} must be 300.00 USD per hour or more for vision/train, or other work has to end first (is 250.0)"
    ]


def test_nodes_that_are_on_their_way_count_against_a_tenants_budget():
    asked, next_one = work("asked", 8, waits=9), work("next", 8, waits=1)
    found = planned(pool(desired=1), asked, next_one, rules=policy(tenants={"vision": 150.0}))
    assert found.pools["gpu"].size == 1
    assert [refusal.work.name for refusal in found.refusals] == ["next"]


def test_another_tenants_budget_is_not_touched():
    rules = policy(tenants={"vision": 50.0})
    found = planned(pool(), work("train", 8), work("speech", 8, tenant="speech"), rules=rules)
    assert found.pools["gpu"].size == 1
    assert [refusal.field for refusal in found.refusals] == ["tenants.vision"]


# --- pace ------------------------------------------------------------------------------------------------------------


def test_a_pool_grows_by_a_bounded_step_within_a_minute():
    rules = policy(step_nodes=3)
    works = [work("train", *[8] * 8)]
    assert planned(pool(), *works, rules=rules).pools["gpu"].size == 3
    grown = (Change(NOW - 30, 2),)
    assert planned(pool(desired=2, changes=grown), *works, rules=rules).pools["gpu"].size == 3
    before = (Change(NOW - 61, 3),)
    found = planned(pool(desired=3, changes=before), *works, rules=rules).pools["gpu"]
    assert (found.size, found.why) == (
        6,
        "5 nodes more needed, 2 of them when the minute's step of 3 allows",
    )


def test_spare_nodes_are_kept_ready_within_the_bounds():
    assert planned(pool(busy(0)), rules=policy({"spare_nodes": 2})).pools["gpu"].size == 3
    assert planned(pool(busy(0), most=2), rules=policy({"spare_nodes": 2})).pools["gpu"].size == 2
    assert planned(pool(busy(0)), rules=policy({"spare_nodes": 2}, usd_per_hour=200)).pools["gpu"].size == 2
    assert planned(pool(idle(0), idle(1)), rules=policy({"spare_nodes": 2})).pools["gpu"].condemn == []


# --- shrinking -------------------------------------------------------------------------------------------------------


def test_an_empty_node_is_marked_and_a_busy_ones_mark_is_cleared():
    found = planned(pool(node(0), node(1, used=8, pods=1, empty_since=NOW - 9))).pools["gpu"]
    assert (found.mark, found.clear, found.condemn) == (["gpu-0"], ["gpu-1"], [])


def test_a_node_that_was_empty_for_long_is_cordoned_first():
    found = planned(pool(idle(0), idle(1, seconds=599), busy(2))).pools["gpu"]
    assert (found.size, found.condemn, found.take) == (3, ["gpu-0"], [])


def test_a_cordoned_node_that_stayed_empty_goes():
    condemned = idle(0, schedulable=False, condemned_since=NOW - 5)
    found = planned(pool(condemned, busy(1))).pools["gpu"]
    assert (found.size, found.take) == (1, ["gpu-0"])
    assert found.why == "1 node empty for 600 s or longer"
    just = idle(0, schedulable=False, condemned_since=NOW - 1)
    assert planned(pool(just, busy(1))).pools["gpu"].take == []


def test_a_node_with_a_pod_never_goes_however_few_gpus_it_has():
    reached = node(0, used=0, pods=1, schedulable=False, condemned_since=NOW - 50, empty_since=NOW - 900)
    found = planned(pool(reached)).pools["gpu"]
    assert (found.size, found.take, found.pardon) == (1, [], ["gpu-0"])


def test_a_cordoned_node_that_work_needs_is_pardoned():
    condemned = idle(0, schedulable=False, condemned_since=NOW - 50)
    found = planned(pool(condemned), work("train", 8)).pools["gpu"]
    assert (found.size, found.take, found.pardon) == (1, [], ["gpu-0"])


def test_a_node_that_is_given_back_already_is_neither_room_nor_given_back_again():
    going = idle(0, schedulable=False, condemned_since=NOW - 50)
    assert planned(pool(going, busy(1), desired=1)).pools["gpu"].size == 1
    assert planned(pool(going, busy(1), desired=1), work("train", 8)).pools["gpu"].size == 2


def test_a_pool_never_shrinks_below_its_least_size():
    condemned = [idle(number, schedulable=False, condemned_since=NOW - 50) for number in range(3)]
    assert planned(pool(*condemned, min_nodes=2)).pools["gpu"].size == 2


def test_a_pool_that_grew_a_moment_ago_gives_nothing_back():
    changes = (Change(NOW - 30, 1),)
    assert planned(pool(idle(0), changes=changes)).pools["gpu"].condemn == []
    assert planned(pool(idle(0), changes=(Change(NOW - 61, 1),))).pools["gpu"].condemn == ["gpu-0"]


def test_a_pool_gives_back_by_a_bounded_step_within_a_minute():
    condemned = [idle(number, schedulable=False, condemned_since=NOW - 50) for number in range(5)]
    changes = (Change(NOW - 30, -1),)
    assert planned(pool(*condemned, changes=changes), rules=policy(step_nodes=3)).pools["gpu"].size == 3


def test_nodes_on_their_way_that_nobody_waits_for_are_cancelled_but_no_machine_that_has_started():
    assert planned(pool(desired=3)).pools["gpu"].size == 0
    assert planned(pool(desired=3, machines=1)).pools["gpu"].size == 1
    assert planned(pool(desired=3), work("train", 8)).pools["gpu"].size == 1
    assert planned(pool(desired=3, changes=(Change(NOW - 9, 3),))).pools["gpu"].size == 3


def test_a_scavenger_keeps_no_node_on_its_way():
    assert planned(pool(desired=1), work("rest", 8, tier="scavenger")).pools["gpu"].size == 0


def test_where_the_group_chooses_only_the_nodes_go_that_it_would_choose():
    rules = policy(shrink=Shrink.RESIZE)
    assert planned(pool(idle(0), idle(9), idle(10), busy(11)), rules=rules).pools["gpu"].condemn == [
        "gpu-10",
        "gpu-9",
        "gpu-0",
    ]
    assert planned(pool(idle(0), idle(9, seconds=10), busy(10)), rules=rules).pools["gpu"].condemn == []


def test_a_thousand_nodes_are_planned_in_a_moment():
    nodes = [busy(number, used=number % 8) for number in range(1000)]
    works = [work(f"w{number}", 1, 1, 2, tier="batch", waits=number) for number in range(400)]
    found = planned(pool(*nodes, most=2000), *works)
    assert found.pools["gpu"].size == 1000
