"""Properties of the rules over many seeded queues: a bounded wait, no displacing in turn, fewer misses, no flapping."""

import random
import time
from dataclasses import replace

import pytest
from scheduler.queue_model import Queue, work, written

from falaj.scheduler.decide import decide
from falaj.scheduler.policy import Policy, Tier
from falaj.scheduler.work import Work

STEP = 30.0
LONGEST = 1800.0
"""Seconds that no work runs longer than."""
SCALED = Policy(
    tiers={
        "scavenger": Tier("scavenger", 0, 900, 30),
        "batch": Tier("batch", 1000, 900, 20),
        "interactive": Tier("interactive", 2000, 900, 5),
        "production": Tier("production", 3000, 900, 5),
    },
    turn_seconds=300,
)


@pytest.mark.parametrize("seed", range(6))
def test_no_work_waits_longer_than_its_bound_whatever_floods_the_queue(seed: int) -> None:
    """With k older works waiting when it gets in line: turn_after * longest_wait + (k + 1) * (longest run + step).

    The flood is of the highest tier, never ends, and takes each free GPU at once.
    """
    draw = seeded(seed)
    queue = Queue(8, {}, SCALED)
    victims = [
        work(f"v{each}", tier=draw.choice(["scavenger", "batch"]), created=600.0 * each, gpus=draw.choice([1, 4, 8]))
        for each in range(4)
    ]
    queue.runs |= {each.uid: draw.uniform(60, LONGEST) for each in victims}
    older: dict[str, int] = {}
    arrived = 0
    while len(queue.started.keys() & {each.uid for each in victims}) < len(victims):
        queue.submit(*(each for each in victims if queue.now - STEP < each.created <= queue.now))
        while sum(not each.runs for each in queue.works.values()) < 12:
            arrived += 1
            small = work(f"flood{arrived}", tier="production", created=queue.now, gpus=draw.choice([1, 2]))
            queue.runs[small.uid] = draw.uniform(60, LONGEST)
            queue.submit(small)
        queue.pass_time(queue.now + STEP, STEP)
        for each in victims:
            if each.uid not in older and queue.now - each.created >= _in_line_after(each):
                older[each.uid] = sum(not one.runs and one.created < each.created for one in queue.works.values())
            if each.uid not in queue.started and each.created <= queue.now:
                bound = _in_line_after(each) + (older.get(each.uid, 0) + 1) * (LONGEST + STEP)
                assert queue.now - each.created <= bound, f"{each.name} of {each.tier}"


def seeded(seed: int) -> random.Random:
    """Return draws that are the same each time."""
    return random.Random(seed)  # noqa: S311 - nothing is secret here


def _in_line_after(each: Work) -> float:
    return SCALED.turn_after * SCALED.tiers[each.tier].longest_wait_minutes * 60


def test_plain_kueue_starves_what_the_rules_do_not() -> None:
    """The flood of the property above is one that needs the rules."""
    plain = Queue(8, {"uid-victim": 60}, policy=None)
    plain.submit(work("victim", tier="scavenger", created=900))
    for each in range(300):
        plain.runs[f"uid-f{each}"] = 300
        plain.submit(work(f"f{each}", tier="production", created=each * 30))
    plain.pass_time(9000, 300)

    assert "uid-victim" not in plain.started


def test_no_two_works_of_a_tier_displace_each_other_and_none_does_so_twice() -> None:
    displaced = 0
    for seed in range(4):
        queue = crowded(seeded(seed), Policy(), tiers=["batch"])
        queue.pass_time(60 * 3600, 300)
        displaced += len(queue.displaced)
        for by, whom in queue.displaced:
            assert not queue.displaced[whom, by], f"{by} and {whom} displaced each other"
        assert all(times == 1 for times in queue.displaced.values())

    assert displaced, "these queues are such in which rescues happen"


def test_deadlines_missed_are_at_most_half_of_plain_kueues() -> None:
    missed = {"plain": 0, "rules": 0}
    for seed in range(4):
        for name, policy in (("plain", None), ("rules", Policy())):
            queue = crowded(seeded(seed), policy, tiers=["batch"])
            due = {each.uid: each.words.deadline for each in queue.works.values() if each.words.deadline}
            queue.pass_time(60 * 3600, 300)
            missed[name] += sum(queue.finished.get(uid, 1e12) > deadline for uid, deadline in due.items())

    print(f"deadlines missed in the model: {missed}")
    assert missed["plain"] > 20
    assert missed["rules"] <= missed["plain"] / 2, missed


def crowded(draw: random.Random, policy: Policy | None, tiers: list[str]) -> Queue:
    """Fill a queue of 32 GPUs for about two days, half of the work with a deadline that is not absurd."""
    queue = Queue(32, {}, policy)
    for each in range(120):
        created = draw.uniform(0, 24 * 3600)
        expected = draw.uniform(900, 6 * 3600)
        deadline = created + expected * 1.2 + draw.uniform(0.2, 24) * 3600 if draw.random() < 0.5 else None
        one = work(
            f"w{each}",
            tier=draw.choice(tiers),
            created=created,
            gpus=draw.choice([1, 2, 4, 8]),
            expected=expected,
            **({"deadline": deadline} if deadline else {}),
        )
        queue.runs[one.uid] = expected * draw.uniform(0.8, 1.05)
        queue.submit(one)
    return queue


def test_a_queue_at_rest_is_written_to_no_more() -> None:
    works = [work(f"w{each}", deadline=3600.0 * (each + 4), expected=1800) for each in range(50)]
    works = [written(each) for each in decide(works, 0, Policy())]

    assert not decide(works, 60, Policy())
    total = 0
    for minute in range(1, 180):
        changed = {each.work.uid: written(each) for each in decide(works, minute * 60, Policy())}
        total += len(changed)
        works = [changed.get(each.uid, each) for each in works]
    assert total < 50 * 60, "a priority goes up by a step at a time, and there are few of them"


def test_the_same_cluster_gives_the_same_decisions() -> None:
    """After a crash all is read again, in another order."""
    draw = seeded(7)
    works = list(crowded(draw, None, ["batch", "interactive", "production"]).works.values())
    works = [replace(each, admitted=each.created + 60) if draw.random() < 0.3 else each for each in works]
    once = decide(works, 90_000, Policy())
    draw.shuffle(works)

    assert decide(works, 90_000, Policy()) == once


def test_a_crash_between_two_writes_changes_nothing_of_what_follows() -> None:
    draw = seeded(8)
    works = {each.uid: each for each in crowded(draw, None, ["batch", "interactive"]).works.values()}
    whole = decide(works.values(), 90_000, Policy())
    for each in whole[: len(whole) // 2]:
        works[each.work.uid] = written(each)

    rest = {each.work.uid: each for each in decide(works.values(), 90_000, Policy())}
    assert rest == {each.work.uid: each for each in whole[len(whole) // 2 :]}


def test_ten_thousand_works_are_decided_in_a_moment() -> None:
    draw = seeded(9)
    works = [
        work(
            f"w{each}",
            tier=draw.choice(["scavenger", "batch", "interactive", "production"]),
            queue=f"team-{each % 50}",
            created=draw.uniform(0, 86_400),
            gpus=draw.choice([1, 2, 4, 8]),
            expected=draw.uniform(600, 36_000),
            **({"deadline": draw.uniform(90_000, 400_000)} if each % 2 else {}),
            **({"admitted": 80_000.0} if each % 5 == 0 else {}),
        )
        for each in range(10_000)
    ]
    began = time.process_time()
    decide(works, 86_400, Policy())
    took = time.process_time() - began
    print(f"decide() for 10,000 works: {took:.2f} s")
    assert took < 30, "far beyond what any machine needs: a loop over all pairs"
