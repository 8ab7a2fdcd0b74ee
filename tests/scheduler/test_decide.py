"""The rules, with a clock that is given."""

from dataclasses import replace

import pytest
from scheduler.queue_model import Queue, work, written

from falaj.scheduler.decide import Decision, decide
from falaj.scheduler.policy import Policy, Tier
from falaj.scheduler.slack import remaining
from falaj.scheduler.words import DEADLINE, Words, moment, read_words
from falaj.scheduler.work import Noted, Promise, Standing, Work

HOUR = 3600.0
POLICY = Policy()


def decided(*works: Work, now: float = 0, policy: Policy = POLICY) -> dict[str, Decision]:
    """Decide, and name what changes by the work's owner."""
    return {each.work.owner.name: each for each in decide(works, now, policy)}


def reasons(decision: Decision) -> list[str]:
    """Return the reasons of what the owner is told."""
    return [notice.reason for notice in decision.notices]


def test_work_without_a_deadline_costs_no_write() -> None:
    assert not decided(work("a"), work("b", admitted=0), work("c", tier="production"))


def test_the_earliest_deadline_is_first_among_equals() -> None:
    hours = [1, 2, 3, 5, 8, 13, 24, 48, 100]
    found = decided(*(work(f"due-{each}", deadline=each * HOUR, expected=1800) for each in hours))

    priorities = [found[f"due-{each}"].priority for each in hours]
    assert priorities == sorted(set(priorities), reverse=True)
    assert all(1000 <= each <= 1700 for each in priorities)


def test_of_two_with_the_same_deadline_the_one_with_more_work_before_it_is_first() -> None:
    found = decided(work("long", deadline=8 * HOUR, expected=6 * HOUR), work("short", deadline=8 * HOUR, expected=HOUR))

    assert found["long"].priority > found["short"].priority


def test_measured_progress_is_work_that_does_not_remain() -> None:
    found = decided(
        work("begun", deadline=8 * HOUR, expected=6 * HOUR, progress=0.9),
        work("new", deadline=8 * HOUR, expected=6 * HOUR),
    )

    assert found["begun"].priority < found["new"].priority


def test_a_deadline_raises_within_the_band_of_the_tier_and_no_further() -> None:
    found = decided(
        work("urgent", deadline=HOUR, expected=HOUR), work("calm", tier="interactive", deadline=100 * HOUR, expected=60)
    )

    assert found["urgent"].priority < 2000 <= found["calm"].priority


def test_a_priority_stays_until_it_would_change_by_a_step() -> None:
    due = work("due", deadline=10 * HOUR, expected=HOUR)
    due = written(decided(due)["due"])

    assert "due" not in decided(due, now=60)
    later = decided(due, now=5 * HOUR)["due"]
    assert later.priority - due.priority >= POLICY.step


def test_a_later_deadline_never_stands_before_an_earlier_one_for_having_been_looked_at_later() -> None:
    early = written(decided(work("early", deadline=10 * HOUR, expected=HOUR))["early"])
    late = work("late", deadline=10 * HOUR + 120, expected=HOUR, created=300)

    found = decided(early, late, now=310)
    first = found["early"].priority if "early" in found else early.priority
    assert first >= found["late"].priority


def test_a_deadline_that_cannot_be_kept_gives_way_to_those_that_can() -> None:
    hopeless = decided(work("hopeless", deadline=HOUR, expected=5 * HOUR))["hopeless"]

    assert (hopeless.priority, hopeless.standing) == (1000, Standing.LATE)
    assert reasons(hopeless) == ["DeadlineAtRisk", "PriorityLowered"]
    assert "5 h 0 min of work remain" in hopeless.notices[0].text


def test_running_work_keeps_its_gpus_against_its_own_tier() -> None:
    runs = work("runs", admitted=0, gpus=8)
    found = decided(runs, work("due", deadline=9 * HOUR, expected=HOUR, gpus=8), now=10)

    assert found["runs"].priority > found["due"].priority
    assert list(found) == ["runs", "due"], "protection is written before what it protects against"


def test_of_work_that_runs_the_nearer_deadline_is_displaced_later_and_work_without_one_first() -> None:
    near = work("near", admitted=0, expected=HOUR, deadline=1.5 * HOUR)
    far = work("far", admitted=0, expected=HOUR, deadline=24 * HOUR)
    hopeless = work("hopeless", admitted=0, expected=9 * HOUR, deadline=2 * HOUR)
    open_ = work("open", admitted=0, expected=HOUR)
    waits = work("waits", expected=HOUR, deadline=3 * HOUR)

    priorities = {name: each.priority for name, each in decided(near, far, hopeless, open_, waits, now=10).items()}

    assert priorities["near"] > priorities["far"] > priorities["open"] == priorities["hopeless"] > priorities["waits"]
    assert priorities["near"] < 1900, "a rescue stands above it"


def test_work_that_says_how_often_it_saves_makes_room_though_it_ran_for_long() -> None:
    """Without a word it would lose all that it ran, which is more than it has before it."""
    unsaved = work("runs", admitted=0, expected=3 * HOUR)
    saved = work("runs", admitted=0, expected=3 * HOUR, checkpoint=600)
    waits = work("waits", expected=HOUR, deadline=3.1 * HOUR)

    assert decided(unsaved, waits, now=2 * HOUR)["waits"].standing is Standing.DUE
    assert decided(saved, waits, now=2 * HOUR)["waits"].standing is Standing.RESCUE


def test_running_work_keeps_nothing_against_a_higher_tier() -> None:
    found = decided(work("runs", admitted=0), work("due", tier="production", deadline=9 * HOUR, expected=60), now=10)

    assert "runs" not in found


def test_a_rescue_displaces_the_one_that_can_afford_it() -> None:
    can = work("can", admitted=0, gpus=8, expected=20 * HOUR)
    cannot = work("cannot", admitted=0, gpus=8, expected=3 * HOUR, deadline=3.1 * HOUR)
    urgent = work("urgent", created=590, gpus=8, expected=2 * HOUR, deadline=2 * HOUR + 900)

    found = decided(can, cannot, urgent, now=600)
    assert (found["urgent"].standing, found["urgent"].priority) == (Standing.RESCUE, 1900)
    assert found["cannot"].priority == 1900, "what is not chosen cannot be displaced: only lower priorities are"
    assert found.get("can", Decision(can, 1000, Standing.OPEN, None, active=True)).priority < 1900
    assert "PriorityRaised" in reasons(found["urgent"])


@pytest.mark.parametrize(
    ("case", "victim"),
    [
        ("lost progress above the gain", {"expected": 2 * HOUR, "admitted": -1.5 * HOUR}),
        ("gain not known", {"admitted": -60.0}),
        ("its own deadline would break", {"expected": 5 * HOUR, "deadline": 6 * HOUR, "admitted": -60.0}),
        ("it was rescued itself", {"expected": 9 * HOUR, "admitted": -9.0, "noted": Noted(1900, Standing.RESCUE)}),
    ],
)
def test_nothing_is_rescued_at_the_cost_of(case: str, victim: dict[str, object]) -> None:
    urgent = work("urgent", gpus=8, expected=2 * HOUR, deadline=2 * HOUR + 300)

    found = decided(work("victim", gpus=8, **victim), urgent, now=1)  # pyright: ignore[reportArgumentType]
    assert found["urgent"].standing is Standing.DUE, case


def test_without_rescue_nothing_of_the_same_tier_is_displaced() -> None:
    urgent = work("urgent", gpus=8, expected=2 * HOUR, deadline=2 * HOUR + 300)

    found = decided(work("can", admitted=0, gpus=8, expected=9 * HOUR), urgent, policy=Policy(rescue=False))
    assert found["urgent"].standing is Standing.DUE
    assert found["can"].priority > found["urgent"].priority


def test_what_kueue_sets_back_is_set_again() -> None:
    won = Noted(1850, Standing.KEEPS)
    reset = work("runs", admitted=0, noted=won)

    assert decided(reset)["runs"].priority == 1850
    assert not decided(replace(reset, priority=1850))


def test_work_that_got_another_tier_takes_nothing_along() -> None:
    moved = work("moved", tier="scavenger", admitted=0, noted=Noted(1850, Standing.KEEPS))

    assert not decided(moved) or decided(moved)["moved"].priority == 0


def test_waiting_beyond_the_promise_rises_to_the_top_of_the_band() -> None:
    waits = work("waits", tier="interactive")
    assert not decided(waits, now=599)

    found = decided(waits, work("due", tier="interactive", deadline=900, expected=60, created=590), now=601)
    assert found["waits"].standing is Standing.OVERDUE
    assert found["due"].priority < found["waits"].priority < 3000
    assert reasons(found["waits"]) == ["PriorityRaised"]
    assert "has waited 10 min, and its tier promises 10 min" in found["waits"].notices[0].text


def test_one_work_of_a_queue_has_the_turn_and_the_longest_in_line_is_first() -> None:
    line = [work(f"w{each}", tier="interactive", created=each) for each in range(5)]
    other = work("other", tier="interactive", queue="speech", created=3)
    line.append(work("production", tier="production", created=0.5))

    found = decided(*line, other, now=1300)
    turns = {name for name, each in found.items() if each.standing is Standing.TURN}
    assert turns == {"w0", "other"}
    assert found["w0"].priority == POLICY.turn_priority > 3900


def test_the_turn_stays_with_whom_it_was_given_while_it_runs() -> None:
    has = work("has", tier="interactive", admitted=1300, priority=4000, noted=Noted(4000, Standing.TURN, turn=1250))
    found = decided(has, *(work(f"w{each}", tier="interactive") for each in range(3)), now=90_000)

    assert "has" not in found
    assert {each.standing for each in found.values()} == {Standing.OVERDUE}


def test_the_turn_leaves_what_fits_nowhere_and_comes_back_last() -> None:
    noted = Noted(4000, Standing.TURN, turn=1250)
    stuck = work("stuck", tier="interactive", gpus=9999, priority=4000, noted=noted)
    found = decided(stuck, work("next", tier="interactive", created=100), now=1250 + POLICY.turn_seconds)

    assert found["stuck"].standing is Standing.OVERDUE
    assert found["next"].standing is Standing.TURN


def test_a_tier_that_promises_nothing_is_not_raised_for_waiting() -> None:
    policy = Policy(tiers={"batch": Tier("batch", 1000, 900, 0)})

    assert not decided(work("waits"), now=1e9, policy=policy)


def test_a_risk_is_told_once_and_a_miss_once() -> None:
    runs = work("runs", admitted=0, expected=2 * HOUR, deadline=HOUR)
    first = decided(runs, now=10)["runs"]
    assert (first.promise, reasons(first)) == (Promise.AT_RISK, ["DeadlineAtRisk"])

    runs = written(first)
    assert not decided(runs, now=20)
    second = decided(runs, now=HOUR + 1)["runs"]
    assert (second.promise, reasons(second)) == (Promise.MISSED, ["DeadlineMissed"])
    assert not decided(written(second), now=HOUR + 60)


def test_a_run_that_takes_longer_than_was_said_is_at_risk_before_its_deadline() -> None:
    runs = work("runs", admitted=0, expected=HOUR, deadline=2 * HOUR)
    begun = decided(runs, now=10)["runs"]
    assert begun.promise is Promise.ON_TIME
    assert not decided(written(begun), now=1.5 * HOUR)
    assert reasons(decided(runs, now=2 * HOUR - 100)["runs"]) == ["DeadlineAtRisk"]


def test_measured_progress_that_falls_behind_is_a_risk() -> None:
    behind = work("behind", admitted=0, expected=4 * HOUR, deadline=5 * HOUR, progress=0.25, measured=3 * HOUR)

    assert reasons(decided(behind, now=3 * HOUR)["behind"]) == ["DeadlineAtRisk"]


def test_work_that_goes_on_from_what_it_had_saved_is_no_risk_for_running() -> None:
    goes_on = work("goes-on", admitted=2 * HOUR, expected=4 * HOUR, deadline=5.5 * HOUR, progress=0.5)

    assert remaining(goes_on, 3 * HOUR) == HOUR
    assert decided(goes_on, now=3 * HOUR)["goes-on"].promise is Promise.ON_TIME


def test_who_has_no_deadline_makes_room_before_who_has_one() -> None:
    dated = work("dated", admitted=0, gpus=8, expected=9 * HOUR, deadline=200 * HOUR)
    undated = work("undated", admitted=0, gpus=8, expected=5 * HOUR)
    urgent = work("urgent", created=590, gpus=8, expected=2 * HOUR, deadline=2 * HOUR + 900)

    found = decided(dated, undated, urgent, now=600)
    assert found["urgent"].standing is Standing.RESCUE
    assert found["dated"].priority == 1900
    assert found.get("undated", Decision(undated, 1000, Standing.OPEN, None, active=True)).priority < 1900


def test_who_would_have_to_be_rescued_next_makes_no_room() -> None:
    """Its place is not back when the other ends: others wait for it."""
    runs = work("runs", admitted=-60.0, gpus=8, expected=5 * HOUR, deadline=8.5 * HOUR)
    urgent = work("urgent", gpus=8, expected=2 * HOUR, deadline=2 * HOUR + 300)

    assert decided(runs, urgent, now=1)["urgent"].standing is Standing.DUE


def refused(name: str, words: Words, **more: object) -> Work:
    """Make work with words that are given as they are."""
    return replace(work(name, **more), words=words)  # pyright: ignore[reportArgumentType]


def test_a_deadline_in_the_past_is_refused_with_field_value_and_remedy() -> None:
    past = refused("past", Words(deadline=900), created=1000, deadline_text=moment(900))
    found = decided(past, now=1001)["past"]

    assert (found.active, found.promise, reasons(found)) == (False, Promise.REFUSED, ["DeadlineRefused"])
    assert found.notices[0].text == (
        "Refused: falaj.dev/deadline must be later than 1970-01-01T00:16:40Z: set a moment to come, or none "
        "(got '1970-01-01T00:15:00Z')."
    )
    assert not decided(written(found), now=1002)


def test_a_deadline_that_passed_while_nobody_looked_is_missed_and_not_refused() -> None:
    found = decided(work("late", created=0, deadline=900, deadline_text=moment(900)), now=1000)["late"]

    assert (found.active, found.promise) == (True, Promise.MISSED)


def test_words_that_cannot_be_read_are_refused_and_let_in_again_when_put_right() -> None:
    bad = refused("bad", read_words({DEADLINE: "tomorrow"}))
    found = decided(bad, now=5)["bad"]
    assert not found.active
    assert "falaj.dev/deadline" in found.notices[0].text
    assert "'tomorrow'" in found.notices[0].text

    right = replace(written(found), words=Words(deadline=HOUR), deadline_text=moment(HOUR))
    assert (decided(right, now=50)["bad"].active, decided(right, now=50)["bad"].promise) == (True, Promise.ON_TIME)


def test_work_that_has_run_for_long_is_not_stopped_for_a_word_that_came_later() -> None:
    bad = refused("bad", read_words({DEADLINE: "tomorrow"}), admitted=10)
    found = decided(bad, now=HOUR)["bad"]

    assert (found.active, reasons(found)) == (True, ["DeadlineRefused"])
    assert not decided(written(found), now=HOUR + 5)


def test_what_somebody_else_has_stopped_stays_stopped() -> None:
    assert not decided(work("stopped", active=False, deadline=HOUR), now=1)


def test_a_displacement_is_explained_once_with_whom_why_and_what_was_lost() -> None:
    queue = Queue(8, {"uid-train": 9 * HOUR, "uid-serve": HOUR}, POLICY)
    queue.submit(work("train", gpus=8))
    queue.pass_time(HOUR, 600)
    queue.submit(work("serve", tier="production", gpus=8, created=HOUR))
    queue.pass_time(HOUR + 600, 600)

    found = decided(*queue.works.values(), now=queue.now)["train"]
    assert reasons(found) == ["Preempted"]
    assert found.notices[0].text == (
        "Displaced by Job serve (tier production, priority 3000), because it counts for more in the queue vision: no "
        "deadline raises it. It begins anew after 1 h 0 min in all, since no saved progress is known, and waits again "
        "at priority 1000."
    )
    again = [written(found) if each.owner.name == "train" else each for each in queue.works.values()]
    assert not decided(*again, now=queue.now)


def test_another_teams_work_is_not_named() -> None:
    queue = Queue(8, {"uid-train": 9 * HOUR, "uid-serve": HOUR}, POLICY)
    queue.submit(work("train", gpus=8))
    queue.pass_time(600, 600)
    queue.submit(replace(work("serve", tier="production", gpus=8, created=600), namespace="speech"))
    queue.pass_time(1200, 600)

    text = decided(*queue.works.values(), now=queue.now)["train"].notices[0].text
    assert "work of another team" in text
    assert "serve" not in text


def test_a_policy_of_scaled_time_decides_as_the_policy_does_in_real_time() -> None:
    works = [
        [
            work("soon", deadline=2 * HOUR / pace, expected=HOUR / pace),
            work("later", deadline=30 * HOUR / pace, expected=HOUR / pace),
            work("too-late", deadline=HOUR / 2 / pace, expected=HOUR / pace),
        ]
        for pace in (1, 60)
    ]
    real = decided(*works[0])
    scaled = decided(*works[1], policy=POLICY.faster(60))
    assert {name: each.priority for name, each in scaled.items()} == {
        name: each.priority for name, each in real.items()
    }
    assert {name: each.standing for name, each in scaled.items()} == {
        name: each.standing for name, each in real.items()
    }
    assert decided(*works[1]) != scaled
