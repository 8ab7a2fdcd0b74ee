"""Work that has room goes before work that has none: which, before whom, and what it has once it runs."""

from dataclasses import replace
from typing import Any

import pytest
from scheduler.queue_model import work, written

from falaj.scheduler.decide import Decision, decide
from falaj.scheduler.placement import Node, Pools, Queue
from falaj.scheduler.policy import Policy
from falaj.scheduler.work import Noted, Standing, Work

HOUR = 3600.0
NOW = 10 * HOUR
POLICY = Policy()


def pools(*names: str, nominal: int = 16, takes_back: bool = True, **shares: int) -> Pools:
    """Return nodes of eight GPUs that queues share, vision's nominal share among them."""
    queues = {
        name: Queue(frozenset({"gpu"}), share, "all", takes_back=takes_back)
        for name, share in {"vision": nominal, **shares}.items()
    }
    return Pools([Node(name, 8, {}) for name in names], {"gpu": {}}, queues)


def waits(name: str, gpus: int, **more: Any) -> Work:
    return work(name, gpus=gpus, pods=max(1, gpus // 8), **more)


def runs(name: str, gpus: int, on: str, **more: Any) -> Work:
    said = {"queue": "speech", "expected": 20 * HOUR, "admitted": NOW - HOUR} | more
    return work(name, gpus=gpus, pods=1, places=((on, gpus),), flavors=frozenset({"gpu"}), **said)


def decided(*works: Work, nodes: Pools | None = None, policy: Policy = POLICY, now: float = NOW) -> dict[str, Decision]:
    return {each.work.name: each for each in decide(works, now, policy, nodes or pools("a", "b"))}


def first(*works: Work, nodes: Pools | None = None, **more: Any) -> list[str]:
    """Return who goes before others."""
    found = decided(*works, nodes=nodes, **more)
    return sorted(name for name, each in found.items() if each.standing is Standing.BACKFILL)


FIVE = pools("a", "b", "c", "d", "e", nominal=40)
ROOM = [runs(on, 8, on, queue="vision", checkpoint=900.0) for on in "abcd"]
LARGE = waits("large", 32, tier="interactive", created=NOW - 300)


def test_what_has_room_goes_before_what_has_none_whatever_its_tier() -> None:
    small = waits("small", 1, tier="scavenger")

    decision = decided(LARGE, small)["job-small"]
    assert (decision.standing, decision.priority) == (Standing.BACKFILL, LARGE.priority + 1)
    assert not decision.notices, "it is no event that work has its turn"


@pytest.mark.parametrize(
    "small",
    [
        waits("small", 17),
        waits("small", 1, created=NOW - 5),
        replace(waits("small", 2), pods=0),
        replace(waits("small", 1), active=False),
    ],
    ids=["has-to-borrow", "just-come", "pods-differ", "stopped"],
)
def test_nothing_goes_first_that(small: Work) -> None:
    assert first(LARGE, small) == []


def test_what_is_behind_work_with_room_stays_there() -> None:
    fits = waits("fits", 8, tier="interactive")

    assert first(fits, waits("small", 1)) == []
    assert first(fits, LARGE, waits("small", 1), waits("whole", 8, created=1)) == ["job-small"], "seven are left"


def test_no_more_goes_first_than_the_share_has_left_and_two_at_a_time() -> None:
    ran = runs("ran", 7, "a", queue="vision", tier="interactive")
    works = [waits(name, 1, created=number) for number, name in enumerate("xyzw")]

    assert first(ran, LARGE, *works, nodes=pools("a", "b", nominal=8)) == ["job-x"]
    assert first(ran, LARGE, *works) == ["job-x", "job-y"]


def test_nothing_goes_before_the_turn() -> None:
    large = replace(LARGE, tier="batch", priority=1000, created=NOW - 30 * HOUR)
    small = waits("small", 1, tier="scavenger")

    assert decided(*ROOM, large, small, nodes=FIVE)["job-large"].standing is Standing.TURN
    assert first(*ROOM, large, small, nodes=FIVE) == []
    assert first(*ROOM, LARGE, small, nodes=FIVE) == ["job-small"], "it is the turn that keeps it back"


@pytest.mark.parametrize(
    ("more", "before"),
    [
        ({}, []),
        ({"noted": Noted(standing=Standing.RESCUE), "makes_room": True}, []),
        ({"noted": Noted(standing=Standing.RESCUE)}, ["job-small"]),
    ],
    ids=["untried", "kueue-displaces-for-it", "kueue-finds-nothing-to-displace"],
)
def test_nothing_goes_before_a_rescue_that_can_come_to_something(more: dict[str, Any], before: list[str]) -> None:
    large = waits("large", 32, deadline=NOW + 2 * HOUR, expected=1.9 * HOUR, **more)
    works = [*ROOM, large, waits("small", 1, tier="scavenger"), waits("blocked", 16)]

    found = decided(*works, nodes=FIVE)
    assert found["job-large"].standing is Standing.RESCUE
    assert first(*works, nodes=FIVE) == before
    assert [found[name].priority for name in before] == [found["job-large"].priority + 1 for _ in before]


def test_small_work_counts_on_what_is_lent_and_whole_nodes_have_to_be_free() -> None:
    lent = [runs("one", 8, "a"), runs("two", 8, "b")]
    small, whole = waits("small", 1), waits("whole", 8)
    shares = {"vision": 16, "speech": 8}

    assert first(*lent, LARGE, small, whole, nodes=pools("a", "b", **shares)) == ["job-small"]
    assert first(*lent, LARGE, small, nodes=pools("a", "b", takes_back=False, **shares)) == []
    own = {**shares, "speech": 16}
    assert first(*lent, LARGE, small, nodes=pools("a", "b", **own)) == [], "speech has what is its own"
    assert first(*lent, LARGE, small, whole, nodes=pools("a", "b", "c", **own)) == ["job-small"], "on c"
    assert first(*lent, LARGE, whole, nodes=pools("a", "b", "c", **own)) == ["job-whole"]


def test_it_is_left_out_without_nodes_where_shares_are_not_known_and_where_somebody_says_so() -> None:
    small = waits("small", 1)
    queue = Queue(frozenset({"gpu"}), 16, "all")
    several = replace(pools("a"), queues={"vision": replace(queue, flavors=frozenset({"gpu", "other"}))})
    strict = replace(pools("a"), queues={"vision": replace(queue, strict=True)})

    assert first(LARGE, small) == ["job-small"]
    assert first(LARGE, small, nodes=Pools()) == []
    assert first(LARGE, small, nodes=several) == []
    assert first(LARGE, small, nodes=strict) == []
    assert first(LARGE, small, policy=replace(POLICY, backfill=False)) == []


def test_it_keeps_its_priority_while_that_is_enough_and_loses_it_when_it_has_no_room_any_more() -> None:
    small = written(decided(LARGE, waits("small", 1))["job-small"])

    assert decided(LARGE, small) == {}
    lower = replace(LARGE, priority=LARGE.priority - 10)
    assert decided(lower, small, nodes=pools("a", "b"))["job-large"].priority == LARGE.priority
    again = decided(LARGE, small, nodes=pools("a", "b", nominal=0))["job-small"]
    assert (again.standing, again.priority) == (Standing.OPEN, 1000)


def test_once_it_runs_it_counts_for_no_more_than_its_tier() -> None:
    waiting = written(decided(LARGE, waits("small", 1, tier="scavenger"))["job-small"])
    ran = replace(waiting, admitted=NOW, places=(("a", 1),), flavors=frozenset({"gpu"}))

    decision = decided(LARGE, ran)["job-small"]
    assert (decision.standing, decision.priority) == (Standing.OPEN, 0)
    assert decided(LARGE, written(decision)) == {}


def test_work_that_was_moved_goes_first_and_is_known_for_what_it_is() -> None:
    moved = waits("moved", 1, tier="scavenger", noted=Noted(standing=Standing.RETURNS))

    decision = decided(LARGE, moved)["job-moved"]
    assert (decision.standing, decision.priority) == (Standing.RETURNS, LARGE.priority + 1)


def test_where_kueue_tries_the_first_of_a_queue_alone_what_has_room_gets_in() -> None:
    """As in a large cluster, where it begins again with the first before it has come to the second."""
    blocked = [replace(LARGE, uid=f"uid-blocked{each}") for each in range(3)]
    works = {each.uid: each for each in [*blocked, *(waits(f"s{each}", 1, tier="scavenger") for each in range(16))]}
    nodes = pools("a", "b")

    def got_in(policy: Policy) -> int:
        now, line = NOW, dict(works)
        for _ in range(2 * len(line)):
            line |= {each.work.uid: written(each) for each in decide(line.values(), now, policy, nodes)}
            tried = min((each for each in line.values() if not each.runs), key=lambda each: (-each.priority, each.uid))
            if tried.gpus == 1:
                node = "a" if sum(each.runs for each in line.values()) < 8 else "b"
                line[tried.uid] = replace(tried, admitted=now, places=((node, 1),), flavors=frozenset({"gpu"}))
            now += 1
        return sum(each.runs for each in line.values())

    assert got_in(replace(POLICY, backfill=False)) == 0
    assert got_in(POLICY) == 16
