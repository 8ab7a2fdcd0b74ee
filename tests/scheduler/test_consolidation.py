"""Small work moves for work of whole nodes: who, for whom, when, and that nobody is left without a place."""

import random
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from scheduler.queue_model import work, written

from falaj.scheduler.consolidation import Moves, plan
from falaj.scheduler.decide import Decision, decide
from falaj.scheduler.placement import Node, Pools, Queue, read_node, read_queue
from falaj.scheduler.policy import Policy
from falaj.scheduler.work import Noted, Standing, Work

HOUR = 3600.0
NOW = 10 * HOUR
POLICY = Policy()


def pools(*names: str, queues: tuple[str, ...] = ("vision",)) -> Pools:
    """Return nodes of eight GPUs, and queues that may use them."""
    return Pools([Node(name, 8, {}) for name in names], {"gpu": {}}, dict.fromkeys(queues, Queue(frozenset({"gpu"}))))


def runs(name: str, gpus: int, on: str, **more: Any) -> Work:
    """Return work on one node, which saves every quarter of an hour and has ten hours before it."""
    said = {"expected": 20 * HOUR, "checkpoint": 900.0, "admitted": 0.0} | more
    return work(name, gpus=gpus, pods=1, places=((on, gpus),), flavors=frozenset({"gpu"}), **said)


def waits(name: str = "whole", gpus: int = 8, **more: Any) -> Work:
    """Return work that Kueue finds no nodes for, of pods of a whole node."""
    said = {"expected": 5 * HOUR, "no_nodes": True} | more
    return work(name, gpus=gpus, pods=max(1, gpus // 8), **said)


def moved(*works: Work, nodes: Pools | None = None, policy: Policy = POLICY) -> list[str]:
    """Return who is moved."""
    found = plan(works, nodes or pools("a", "b"), NOW, policy)
    return sorted(each.owner.name for each in found.moved) if found else []


def test_the_node_that_costs_least_is_made_free() -> None:
    assert moved(runs("small", 2, "a"), runs("large", 5, "b"), waits()) == ["small"]


def test_nothing_moves_that_finds_no_place_elsewhere() -> None:
    assert moved(runs("one", 5, "a"), runs("other", 5, "b"), waits()) == []


def test_nothing_moves_where_a_node_is_free_already() -> None:
    assert moved(runs("small", 2, "a"), waits()) == []


def test_work_of_several_nodes_is_served_as_a_whole_or_not_at_all() -> None:
    works = [runs("one", 2, "a"), runs("two", 2, "b"), runs("three", 3, "c")]

    assert moved(*works, waits(gpus=16), nodes=pools("a", "b", "c")) == ["one", "two"]
    assert moved(*works, waits(gpus=24), nodes=pools("a", "b", "c")) == []


def test_pods_of_half_a_node_need_half_a_node() -> None:
    works = [runs("one", 2, "a"), runs("two", 3, "a"), runs("three", 3, "b"), runs("four", 3, "b")]
    half = replace(waits(gpus=4), pods=1)

    assert moved(*works, half) == ["one"], "two more GPUs on b are room enough for it"


@pytest.mark.parametrize(
    "more",
    [
        {"tier": "production"},
        {"expected": None},
        {"expected": 10.1 * HOUR, "checkpoint": None},
        {"admitted": NOW - 600},
        {"deadline": 20.2 * HOUR},
        {"noted": Noted(standing=Standing.RESCUE)},
        {"noted": Noted(standing=Standing.TURN)},
    ],
    ids=["higher-tier", "no-word-of-its-length", "loses-too-much", "just-placed", "deadline", "rescued", "turn"],
)
def test_who_cannot_afford_it_stays(more: dict[str, Any]) -> None:
    assert moved(runs("small", 2, "a"), runs("large", 5, "b", **more), waits()) == ["small"]
    assert moved(runs("small", 2, "a", **more), runs("large", 7, "b"), waits()) == []


def test_work_that_loses_more_than_a_quarter_of_what_it_is_for_stays() -> None:
    unsaved = runs("small", 4, "a", expected=30 * HOUR, checkpoint=None)

    assert moved(unsaved, runs("large", 4, "b", tier="production"), waits()) == []
    assert moved(unsaved, runs("large", 4, "b", tier="production"), waits(expected=30 * HOUR)) == ["small"]


@pytest.mark.parametrize(
    "more",
    [{"no_nodes": False}, {"active": False}, {"expected": None}, {"created": NOW - 30}],
    ids=["quota", "stopped", "no-word-of-its-length", "just-come"],
)
def test_nobody_moves_for_work_that_does_not_wait_for_nodes_alone(more: dict[str, Any]) -> None:
    assert moved(runs("small", 2, "a"), runs("large", 5, "b"), waits(**more)) == []


def test_the_first_in_line_is_served_first_and_what_it_finds_is_kept_for_it() -> None:
    works = [runs("small", 2, "a"), runs("large", 5, "b")]
    first, second = waits("first", tier="interactive"), waits("second")

    found = plan([*works, second, first], pools("a", "b"), NOW, POLICY)
    assert found and found.waits.owner.name == "first"
    assert moved(*works, first, second, nodes=pools("a", "b", "free")) == ["small"], "the free node is the first's"


@pytest.mark.parametrize("standing", [Standing.MOVED, Standing.RETURNS])
def test_nothing_more_moves_before_what_was_moved_is_back(standing: Standing) -> None:
    away = work("away", gpus=1, pods=1, noted=Noted(standing=standing))

    assert moved(runs("small", 2, "a"), runs("large", 5, "b"), away, waits()) == []


@pytest.mark.parametrize("active", [True, False])
def test_what_has_lost_its_place_to_others_holds_up_nobody(active: bool) -> None:
    works = [runs("small", 2, "a"), runs("large", 5, "b"), waits()]
    away = work("away", gpus=1, pods=1, active=active, noted=Noted(standing=Standing.RETURNS))

    for seconds, found in ((POLICY.consolidate_seconds - 1, []), (POLICY.consolidate_seconds, ["small"])):
        assert moved(*works, replace(away, without=NOW - seconds)) == found


def test_work_moves_within_what_its_queue_may_use() -> None:
    nodes = [Node(name, 8, {"pool": name[0]}) for name in ("h1", "h2", "l1")]
    labels = {"h": {"pool": "h"}, "l": {"pool": "l"}}
    works = [runs("small", 2, "h1"), runs("large", 7, "h2"), waits()]

    for mine, found in (({"h"}, []), ({"h", "l"}, [])):
        assert moved(*works, nodes=Pools(nodes, labels, {"vision": Queue(frozenset(mine))})) == found
    other = [replace(each, queue="speech") if each.runs else each for each in works]
    queues = {"vision": Queue(frozenset({"h"})), "speech": Queue(frozenset({"h", "l"}))}
    assert moved(*other, nodes=Pools(nodes, labels, queues)) == ["small"], "speech may go to l1, vision may not"


def test_nodes_are_left_alone_where_some_work_is_and_nobody_has_said_on_which() -> None:
    works = [runs("small", 2, "a"), runs("large", 5, "b"), waits()]
    somewhere = work("somewhere", gpus=1, admitted=0.0, flavors=frozenset({"gpu"}))

    assert moved(*works, somewhere) == []
    assert moved(*works, replace(somewhere, flavors=frozenset({"other"}))) == ["small"]


def shared(nominal: int, *names: str, takes_back: bool = True) -> Pools:
    """Return nodes that two queues of a cohort share."""
    queue = Queue(frozenset({"gpu"}), nominal, "all", takes_back=takes_back)
    return replace(pools(*names), queues={"vision": queue, "speech": queue})


def taken(*works: Work, nodes: Pools) -> tuple[list[str], list[str]]:
    """Return who moves and who gives its place up."""
    found = plan(works, nodes, NOW, POLICY)
    return (names(found.moved), names(found.taken)) if found else ([], [])


def names(works: tuple[Work, ...]) -> list[str]:
    return sorted(each.owner.name for each in works)


def test_what_was_borrowed_gives_its_place_up_where_it_makes_a_node_free_for_whom_it_is_owed_to() -> None:
    """Kueue would take back the lowest and latest, which make no node free."""
    lent = [runs(f"{on}{each}", 4, on, queue="speech", tier="production") for on in "ab" for each in range(2)]

    assert taken(*lent, waits(), nodes=shared(8, "a", "b")) == ([], ["a0", "a1"])
    assert taken(*lent, waits(), nodes=shared(12, "a", "b")) == ([], []), "speech has borrowed four and no more"
    assert taken(*lent, waits(gpus=16), nodes=shared(8, "a", "b")) == ([], []), "vision has eight, and would borrow"
    assert taken(*lent, waits(), nodes=shared(8, "a", "b", takes_back=False)) == ([], [])
    several = replace(
        shared(8, "a", "b"), queues={"vision": Queue(frozenset({"gpu", "other"}), 8, "all", takes_back=True)}
    )
    assert taken(*lent, waits(), nodes=several) == ([], []), "what is owed might be of the other flavor"
    own = [replace(each, queue="vision") for each in lent]
    assert taken(*own, waits(), nodes=shared(32, "a", "b")) == ([], []), "nobody has borrowed anything"


def test_what_is_owed_whole_nodes_need_not_have_been_tried_by_kueue() -> None:
    """It tries the first of a queue first, again and again."""
    lent = [runs(f"{on}{each}", 4, on, queue="speech") for on in "ab" for each in range(2)]
    untried = waits(no_nodes=False)

    assert taken(*lent, untried, nodes=shared(8, "a", "b")) == ([], ["a0", "a1"])
    assert taken(*lent, replace(untried, makes_room=True), nodes=shared(8, "a", "b")) == ([], []), "Kueue does it"
    assert taken(*lent, replace(untried, gpus=4), nodes=shared(8, "a", "b")) == ([], []), "Kueue will do it"
    assert taken(*lent, untried, nodes=shared(8, "a", "b", takes_back=False)) == ([], [])


def test_what_finds_a_place_moves_and_only_the_rest_gives_its_place_up() -> None:
    works = [runs("small", 2, "a"), runs("lent", 6, "a", queue="speech"), runs("other", 5, "b")]
    nodes = shared(16, "a", "b")
    borrows = replace(nodes, queues={**nodes.queues, "speech": replace(nodes.queues["speech"], nominal=0)})

    assert taken(*works, waits(), nodes=borrows) == (["small"], ["lent"])
    assert taken(*works, waits(), nodes=nodes) == ([], []), "speech has what is its own"


def test_a_queue_is_read_with_its_share_as_kubernetes_writes_it() -> None:
    flavors = [{"name": name, "resources": [{"name": "nvidia.com/gpu", "nominalQuota": "1k"}]} for name in "hl"]
    groups = [{"coveredResources": ["nvidia.com/gpu"], "flavors": flavors}]
    spec = {"cohortName": "all", "resourceGroups": groups, "preemption": {"reclaimWithinCohort": "Any"}}

    _, queue = read_queue({"metadata": {"name": "vision"}, "spec": spec})
    assert queue == Queue(frozenset("hl"), 2000, "all", takes_back=True)
    _, queue = read_queue({"metadata": {"name": "vision"}, "spec": {**spec, "preemption": {}}})
    assert not queue.takes_back
    _, queue = read_queue({"metadata": {"name": "vision"}, "spec": {**spec, "queueingStrategy": "StrictFIFO"}})
    assert queue.strict


def test_it_can_be_switched_off() -> None:
    assert moved(runs("small", 2, "a"), runs("large", 5, "b"), waits(), policy=replace(POLICY, consolidate=False)) == []


def decided(*works: Work, now: float = NOW) -> dict[str, Decision]:
    return {each.work.owner.name: each for each in decide(works, now, POLICY, pools("a", "b"))}


def test_what_moves_is_stopped_told_and_let_in_again_when_it_has_left() -> None:
    large, whole = runs("large", 5, "b"), waits()
    decision = decided(runs("small", 2, "a"), large, whole)["small"]
    assert (decision.active, decision.standing) == (False, Standing.MOVED)
    assert [notice.reason for notice in decision.notices] == ["Moved"]
    assert decision.notices[0].text == (
        "It leaves a, so that Job whole finds whole nodes: it begins again where other work leaves room for it. "
        "It does 15 min of work again."
    )

    stopped = written(decision)
    assert not decided(stopped, large, whole), "it has not left yet, and nobody else moves"
    gone = replace(stopped, admitted=None, places=(), flavors=frozenset[str]())
    again = decided(gone, large, whole)["small"]
    assert (again.active, again.standing) == (True, Standing.RETURNS)

    back = written(again)
    assert not decided(back, large, whole), "nobody else moves before it has a place"
    placed = replace(back, admitted=NOW, places=(("b", 2),), flavors=frozenset({"gpu"}))
    assert decided(placed, large, now=NOW + 1)["small"].standing is Standing.OPEN


def test_what_leaves_is_written_before_all_else_so_that_it_leaves_as_a_whole() -> None:
    due = [work(f"due-{each}", queue="speech", tier="production", deadline=20 * HOUR) for each in range(3)]
    works = [*due, runs("one", 2, "a"), runs("two", 1, "a"), runs("large", 5, "b"), waits()]

    written_first = [
        each.work.owner.name for each in decide(works, NOW, POLICY, pools("a", "b", queues=("vision", "speech")))
    ]
    assert sorted(written_first[:2]) == ["one", "two"] and len(written_first) == 5


def test_what_gave_its_place_up_is_let_in_again_as_any_other() -> None:
    lent = runs("lent", 8, "a", queue="speech", namespace="speech")
    nodes = shared(8, "a")
    borrows = replace(nodes, queues={**nodes.queues, "speech": replace(nodes.queues["speech"], nominal=0)})

    (decision,) = decide([lent, waits()], NOW, POLICY, borrows)
    assert (decision.active, decision.standing) == (False, Standing.YIELDS)
    assert [notice.reason for notice in decision.notices] == ["TakenBack"]
    assert decision.notices[0].text == (
        "It leaves a, so that work of another team finds whole nodes: that team takes back GPUs that it had lent, and "
        "no others would make a node free; it waits for a place again. It does 15 min of work again."
    )
    gone = replace(written(decision), admitted=None, places=(), flavors=frozenset[str]())
    (again,) = decide([gone, waits()], NOW, POLICY, borrows)
    assert (again.active, again.standing) == (True, Standing.OPEN)


def test_moved_work_that_somebody_let_in_again_before_it_left_stays_where_it_is() -> None:
    stays = replace(runs("small", 2, "a"), noted=Noted(standing=Standing.MOVED))

    assert decided(stays, runs("large", 5, "b"))["small"].standing is Standing.OPEN


def test_work_that_its_owner_stops_stays_stopped() -> None:
    returns = replace(runs("small", 2, "a"), active=False, noted=Noted(standing=Standing.RETURNS))

    for each in (returns, replace(returns, admitted=None, places=())):
        assert "small" not in decided(each)


def test_another_team_is_not_named() -> None:
    works = [replace(runs("small", 2, "a"), namespace="speech"), runs("large", 5, "b"), waits()]

    assert "so that work of another team finds whole nodes" in decided(*works)["small"].notices[0].text


@pytest.mark.parametrize("seed", range(40))
def test_whatever_moves_finds_a_place_and_so_does_what_it_is_for(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - nothing is secret here
    names = [f"n{each}" for each in range(12)]
    works: list[Work] = []
    for name in names:
        free = 8
        while free and chance.random() < 0.75:
            gpus = chance.choice([each for each in (1, 2, 4, 8) if each <= free])
            tier = chance.choice(["scavenger", "batch", "batch", "production"])
            works.append(runs(f"{name}-{free}", gpus, name, tier=tier, admitted=chance.uniform(0, NOW)))
            free -= gpus
    works += [waits(f"w{each}", chance.choice([8, 16, 32]), created=float(each)) for each in range(3)]

    found = plan(works, pools(*names), NOW, POLICY)
    if found is None:
        return
    held = Counter(dict.fromkeys(names, 0))
    for each in works:
        if each.runs and each.uid not in {one.uid for one in found.moved}:
            held.update(dict(each.places))
    fits(found, held)


def fits(found: Moves, held: Counter[str]) -> None:
    """Place as Kueue does: what waits, then what was moved, each where it leaves the least free."""
    for each in (found.waits, *sorted(found.moved, key=lambda one: -one.gpus)):
        for _ in range(each.pods):
            gpus = each.gpus // each.pods
            name = max((name for name in held if held[name] + gpus <= 8), key=lambda name: held[name], default=None)
            assert name, f"{each.owner.name} finds no place"
            held[name] += gpus


def test_some_of_these_move() -> None:
    """The property above must not hold for want of moves."""
    names = [f"n{each}" for each in range(12)]
    works = [runs(name, 3, name) for name in names]

    assert len(moved(*works, waits(gpus=32), nodes=pools(*names))) == 4


def test_ten_thousand_works_of_which_none_can_be_helped_on_a_thousand_nodes() -> None:
    """How long it took is printed, for the benchmarks: without remembering what is in vain it is a minute."""
    names = [f"n{each}" for each in range(1000)]
    works = [runs(f"{name}-{each}", 1, name, tier="production") for name in names for each in range(4)]
    works += [waits(f"w{each}", (8, 16, 32)[each % 3], created=float(each)) for each in range(6000)]
    began = time.process_time()
    found = plan(works, pools(*names), NOW, POLICY)

    print(f"plan() for 10,000 works and 1,000 nodes: {time.process_time() - began:.2f} s")
    assert found is None


def test_a_node_that_takes_no_pods_is_none() -> None:
    node: dict[str, Any] = {
        "metadata": {"name": "a", "labels": {"pool": "h"}},
        "spec": {},
        "status": {"allocatable": {"nvidia.com/gpu": "8"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    assert read_node(node) == Node("a", 8, {"pool": "h"})
    assert read_node({**node, "spec": {"unschedulable": True}}) is None
    assert read_node({**node, "status": {**node["status"], "conditions": []}}) is None
    for none in ({"cpu": "8"}, {"nvidia.com/mig-1g.18gb": "7"}):
        assert read_node({**node, "status": {**node["status"], "allocatable": none}}) is None
