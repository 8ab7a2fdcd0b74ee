"""What is made of what was seen, with events written by hand whose answers are known."""

from collections.abc import Sequence
from typing import Any

import pytest

from falaj.lab.simulation.events import Event, Seen, read, write
from falaj.lab.simulation.fairness import entitled, jain
from falaj.lab.simulation.jobs import Jobs, Known
from falaj.lab.simulation.measuring import measure
from falaj.lab.simulation.placement import placed
from falaj.lab.simulation.scenario import Scenario, parse
from falaj.lab.simulation.trace import TraceJob

TWO: Scenario = parse(
    {
        "title": "Two tenants, sixteen GPUs",
        "jobs": 4,
        "pools": [{"name": "h200", "nodes": 2, "cost_per_gpu_hour": 5}],
        "tenants": [{"name": "a"}, {"name": "b"}],
        "work": {"default": {}},
    },
    "two",
)
SCALE = 60.0
"""A simulated minute in a real second."""


def job(name: str, tenant: str, gpus: int, tier: str = "batch", deadline: float | None = None) -> TraceJob:
    return TraceJob(name, tenant, tier, arrival=0, seconds=600, gpus=gpus, deadline=deadline)


def judged(trace: Sequence[TraceJob], events: Sequence[Event], end: float) -> dict[str, Any]:
    return measure(TWO, trace, events, SCALE, end)


def life(name: str, sent: float, admitted: float, ran: float, ended: float, *, pods: int = 1) -> list[Event]:
    """Return the events of a job that waited, started and ended without trouble."""
    return [
        Event(sent, Seen.SUBMITTED, name),
        Event(admitted, Seen.ADMITTED, name),
        Event(ran, Seen.READY, name, pods),
        Event(ended, Seen.FINISHED, name),
    ]


def test_entitlement_follows_shares_as_long_as_all_want_more():
    assert entitled(12, {"a": 2, "b": 1}, {"a": 99, "b": 99}) == pytest.approx({"a": 8, "b": 4})


def test_what_a_tenant_does_not_want_goes_to_the_others_by_their_shares():
    due = entitled(16, {"a": 1, "b": 1, "c": 2}, {"a": 2, "b": 99, "c": 99})
    assert due == pytest.approx({"a": 2, "b": 14 / 3, "c": 28 / 3})


def test_nobody_is_entitled_to_more_than_it_wants_and_nothing_is_left_over():
    assert entitled(100, {"a": 1, "b": 5}, {"a": 30, "b": 20}) == pytest.approx({"a": 30, "b": 20})
    assert entitled(10, {"a": 1, "b": 5}, {"a": 0, "b": 20}) == pytest.approx({"a": 0, "b": 10})


def test_jains_index_is_one_when_all_are_equal_and_one_nth_when_one_has_all():
    assert jain([0.7, 0.7, 0.7]) == pytest.approx(1)
    assert jain([1, 0, 0, 0]) == pytest.approx(0.25)


def test_utilization_counts_pods_that_run_and_while_work_waits_only_what_then_ran():
    trace = [job("one", "a", 16), job("two", "b", 16)]
    events = [*life("one", 0, 0, 0, 10, pods=2), *life("two", 5, 10, 10, 20, pods=2)]
    used = judged(trace, events, end=40)["utilization"]
    assert used["overall"] == pytest.approx(0.5, abs=0.02)
    assert used["while_work_waits"] == pytest.approx(1.0)
    assert used["seconds_while_work_waits"] == pytest.approx(5, abs=0.5)


def test_gpus_that_are_given_but_do_not_run_are_no_utilization():
    trace = [job("one", "a", 16), job("two", "b", 16)]
    events = [Event(0, Seen.SUBMITTED, "one"), Event(0, Seen.ADMITTED, "one"), Event(0, Seen.SUBMITTED, "two")]
    used = judged(trace, events, end=10)["utilization"]
    assert used["while_work_waits"] == 0
    assert used["quota_given_while_work_waits"] == pytest.approx(1.0)


def test_two_tenants_of_equal_share_that_got_three_to_one_are_told_as_unfair():
    trace = [job("one", "a", 8), job("two", "a", 4), job("three", "b", 4), job("more", "b", 8)]
    events = [*life("one", 0, 0, 0, 99), *life("two", 0, 0, 0, 99), *life("three", 0, 0, 0, 99)]
    fair = judged(trace, [*events, Event(0, Seen.SUBMITTED, "more")], end=50)["fairness"]
    assert fair["tenants"]["a"]["got_of_entitled"] == pytest.approx(12 / 8)
    assert fair["tenants"]["b"]["got_of_entitled"] == pytest.approx(4 / 8)
    assert fair["jain"] == pytest.approx(jain([1.5, 0.5]), abs=0.001)
    assert fair["jain_of_each_moment"] == pytest.approx(fair["jain"], abs=0.001)


def test_without_contention_fairness_is_not_claimed():
    fair = judged([job("one", "a", 8)], life("one", 0, 0, 0, 9), end=10)["fairness"]
    assert fair["jain"] is None


def test_a_tenant_is_below_its_share_only_while_a_job_waits_that_fits_into_it():
    trace = [job("one", "a", 8), job("two", "b", 8), job("large", "b", 16)]
    events = [*life("one", 0, 0, 0, 60), *life("two", 0, 20, 20, 60), Event(30, Seen.SUBMITTED, "large")]
    below = judged(trace, events, end=60)["nominal"]
    assert below["longest_seconds_by_tenant"]["b"] == pytest.approx(20, abs=0.5)
    assert below["seconds_by_tenant"]["a"] == 0


def test_who_waits_for_room_that_no_node_has_is_below_its_share_but_not_with_room():
    # Each of the two nodes has a job of two GPUs, so that none has eight free; at 20 s one of them ends.
    trace = [job("one", "a", 2), job("two", "a", 2), job("whole", "b", 8)]
    events = [
        Event(0, Seen.SUBMITTED, "one"),
        Event(0, Seen.ADMITTED, "one", note="h200-0000=1"),
        Event(0, Seen.SUBMITTED, "two"),
        Event(0, Seen.ADMITTED, "two", note="h200-0001=1"),
        Event(10, Seen.SUBMITTED, "whole"),
        Event(20, Seen.FINISHED, "two"),
        Event(26, Seen.ADMITTED, "whole", note="h200-0001=1"),
    ]
    below = judged(trace, events, end=40)["nominal"]
    assert below["longest_seconds_by_tenant"]["b"] == pytest.approx(16, abs=0.5)
    assert below["with_room"]["longest_seconds_by_tenant"]["b"] == pytest.approx(6, abs=0.5)


def test_what_a_tenant_holds_beyond_its_share_counts_as_room_for_the_others():
    trace = [job("large", "a", 16), job("whole", "b", 8)]
    events = [
        Event(0, Seen.SUBMITTED, "large"),
        Event(0, Seen.ADMITTED, "large", note="h200-0000=1 h200-0001=1"),
        Event(10, Seen.SUBMITTED, "whole"),
    ]
    below = judged(trace, events, end=20)["nominal"]
    assert below["with_room"]["longest_seconds_by_tenant"] == {"a": 0, "b": pytest.approx(10, abs=0.5)}


def test_who_is_below_its_share_is_left_out_until_some_of_its_work_is_let_in():
    trace = [job("one", "b", 2), job("two", "b", 2)]
    events = [
        Event(0, Seen.SUBMITTED, "one"),
        Event(0, Seen.SUBMITTED, "two"),
        Event(12, Seen.ADMITTED, "one", note="h200-0000=1"),
        Event(20, Seen.ADMITTED, "two", note="h200-0000=1"),
    ]
    below = judged(trace, events, end=30)["nominal"]
    assert below["with_room"]["longest_seconds_by_tenant"]["b"] == pytest.approx(20, abs=0.5)
    assert below["left_out"]["longest_seconds_by_tenant"]["b"] == pytest.approx(12, abs=0.5)


def test_a_node_that_is_gone_has_no_room_and_without_places_nothing_is_said():
    trace = [job("one", "a", 2), job("whole", "b", 8)]
    known = [
        Event(0, Seen.SUBMITTED, "one"),
        Event(0, Seen.ADMITTED, "one", note="h200-0000=1"),
        Event(0, Seen.SUBMITTED, "whole"),
        Event(10, Seen.GONE, note="h200-0001"),
    ]
    below = judged(trace, known, end=20)["nominal"]["with_room"]
    assert below["longest_seconds_by_tenant"]["b"] == pytest.approx(10, abs=0.5)
    unknown = judged(trace, life("one", 0, 0, 0, 9), end=20)["nominal"]
    assert (unknown["with_room"], unknown["left_out"]) == (None, None)


def test_where_kueue_has_placed_the_pods_of_a_workload_is_read_from_its_slices():
    level = {"individual": {"prefix": "h200-00", "roots": ["24", "27"]}}
    slices = [
        {"domainCount": 2, "podCounts": {"individual": [1, 3]}, "valuesPerLevel": [{"universal": "zone"}, level]},
        {"domainCount": 1, "podCounts": {"universal": 2}, "valuesPerLevel": [{"universal": "h200-0001"}]},
    ]
    assigned = [{"topologyAssignment": {"levels": ["kubernetes.io/hostname"], "slices": slices}}]
    workload = {"status": {"admission": {"podSetAssignments": assigned}}}
    assert placed(workload) == {"h200-0024": 1, "h200-0027": 3, "h200-0001": 2}
    assert placed({"status": {"admission": {"podSetAssignments": [{}]}}}) == {}


def test_waits_are_told_by_tier_and_a_job_that_never_started_is_counted_not_guessed():
    trace = [job("one", "a", 1), job("two", "a", 1), job("three", "a", 1, "production")]
    events = [*life("one", 0, 1, 1, 9), *life("two", 0, 5, 5, 9), Event(0, Seen.SUBMITTED, "three")]
    waits = judged(trace, events, end=10)["waits"]
    assert waits["batch"]["seconds"] == {"p50": 1, "p95": 5, "max": 5}
    assert waits["batch"]["simulated_minutes"]["max"] == 5
    assert waits["production"]["never_admitted"] == 1
    assert waits["production"]["seconds"]["p50"] is None


def test_deadlines_are_met_missed_or_lie_after_the_end():
    due = 10 * SCALE
    trace = [
        job("early", "a", 1, deadline=due),
        job("late", "a", 1, deadline=due),
        job("never", "a", 1, deadline=due),
        job("open", "a", 1, deadline=99 * SCALE),
        job("none", "a", 1),
    ]
    events = [*life("early", 0, 0, 0, 9), *life("late", 0, 0, 0, 13), *life("none", 0, 0, 0, 50)]
    told = judged(trace, events, end=60)["deadlines"]["all"]
    assert (told["met"], told["missed"], told["undetermined"]) == (1, 2, 1)
    assert told["late_simulated_minutes_p50"] == 3


def test_a_job_that_failed_has_missed_its_deadline():
    events = [*life("one", 0, 0, 0, 5)[:3], Event(5, Seen.FAILED, "one")]
    told = judged([job("one", "a", 1, deadline=10 * SCALE)], events, end=60)
    assert told["deadlines"]["all"]["missed"] == 1
    assert told["jobs"]["failed"] == 1
    assert told["jobs"]["finished"] == 0


def test_evictions_are_told_by_reason_and_lost_work_in_hours_and_money():
    trace = [job("one", "a", 8)]
    events = [
        *life("one", 0, 0, 0, 30),
        Event(10, Seen.READY, "one", 0),
        Event(10, Seen.EVICTED, "one", 1.5, "Preempted: InCohortReclamation"),
        Event(10, Seen.LOST, "one", 7200, "preemption"),
        Event(12, Seen.ADMITTED, "one"),
        Event(20, Seen.EVICTED, "one", note="Deactivated"),
        Event(20, Seen.LOST, "one", 3600, "failure"),
        Event(22, Seen.ADMITTED, "one"),
    ]
    told = judged(trace, events, end=40)["evictions"]
    assert told["by_reason"] == {"Preempted: InCohortReclamation": 1, "Deactivated": 1}
    assert told["preemptions"] == 1
    assert told["preemption_seconds"] == {"p50": 1.5, "p95": 1.5, "max": 1.5}
    assert told["gpu_hours_lost_by"] == {"preemption": 2, "failure": 1}
    assert told["cost_of_lost"] == 15


def test_an_evicted_job_waits_again_but_its_wait_is_the_first_one():
    events = [
        *life("one", 0, 2, 2, 30),
        Event(10, Seen.EVICTED, "one", note="Preempted"),
        Event(20, Seen.ADMITTED, "one"),
    ]
    told = judged([job("one", "a", 8)], events, end=40)
    assert told["waits"]["batch"]["seconds"]["max"] == 2
    waiting = {one["at"]: one["waiting"] for one in told["series"]}
    assert (waiting[5.0], waiting[15.0], waiting[25.0]) == (0, 8, 0)


def test_a_change_of_capacity_tells_how_long_it_took_until_all_of_it_ran():
    trace = [job("one", "a", 8), job("two", "b", 8)]
    events = [
        Event(0, Seen.CAPACITY, value=16, note="at the start"),
        *life("one", 0, 0, 0, 60),
        Event(10, Seen.CAPACITY, value=8, note="1 nodes failed"),
        Event(11, Seen.WARNED, "one", note="DeadlineAtRisk"),
        Event(20, Seen.CAPACITY, value=16, note="1 nodes came back"),
        *life("two", 0, 24, 25, 60),
    ]
    figures = judged(trace, events, end=60)
    assert figures["said"] == {"DeadlineAtRisk": 1}
    told = figures["capacity_changes"]
    assert [one["seconds_until_95_percent_ran"] for one in told] == [None, 0, 5]


def test_the_best_rate_of_admissions_is_that_of_ten_seconds():
    trace = [job(f"job{number}", "a", 1) for number in range(21)]
    events = [event for number in range(20) for event in life(f"job{number}", 0, number * 0.25, 50, 60)]
    events += life("job20", 0, 40, 50, 60)
    told = judged(trace, events, end=60)["admissions"]
    assert told["peak_per_second"] == 2
    assert told["per_second"] == pytest.approx(21 / 40)


def test_events_that_were_written_are_read_as_they_were(tmp_path: Any):
    events = [*life("one", 0, 1, 2, 3), Event(2.5, Seen.LOST, "one", 12.5, "failure")]
    write(tmp_path / "events.jsonl", events)
    assert read(tmp_path / "events.jsonl") == events


def a_job_manifest(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "one"}, "spec": {"suspend": status.pop("suspend", False)}, "status": status}


def a_workload(admitted: bool, **conditions: str) -> dict[str, Any]:
    told = [{"type": kind, "status": "True", "reason": reason} for kind, reason in conditions.items()]
    told.append({"type": "Admitted", "status": str(admitted)})
    return {"metadata": {"name": "job-one-1", "ownerReferences": [{"name": "one"}]}, "status": {"conditions": told}}


def test_a_preempted_job_goes_on_from_its_last_checkpoint_and_what_was_after_it_is_lost():
    resumed: list[Known] = []
    jobs = Jobs([job("one", "a", 8)], SCALE, interval=120, resume=resumed.append)
    clock = [0.0]
    jobs.now = lambda: clock[0]
    jobs.on_workload("ADDED", a_workload(admitted=True))
    jobs.on_job("MODIFIED", a_job_manifest(ready=1, startTime="now"))
    clock[0] = 3.0
    jobs.on_workload("MODIFIED", a_workload(admitted=True, Evicted="Preempted", Preempted="InClusterQueue"))
    clock[0] = 5.0  # 300 simulated seconds: two checkpoints, and a minute after them
    jobs.on_workload("MODIFIED", a_workload(admitted=False, Evicted="Preempted", Preempted="InClusterQueue"))
    assert not resumed
    jobs.on_job("MODIFIED", a_job_manifest(ready=0, suspend=True))
    assert [known.kept for known in resumed] == [240]
    [evicted] = [event for event in jobs.events if event.seen is Seen.EVICTED]
    [lost] = [event for event in jobs.events if event.seen is Seen.LOST]
    assert (evicted.value, evicted.note) == (2.0, "Preempted: InClusterQueue")
    assert (lost.value, lost.note) == (60 * 8, "preemption")


@pytest.mark.parametrize("job_first", [True, False])
def test_a_job_is_told_of_its_checkpoint_whichever_watch_is_first(job_first: bool):
    resumed: list[Known] = []
    jobs = Jobs([job("one", "a", 8)], SCALE, interval=120, resume=resumed.append)
    jobs.on_workload("ADDED", a_workload(admitted=True))
    jobs.on_job("MODIFIED", a_job_manifest(ready=1, startTime="now"))
    if job_first:
        jobs.on_job("MODIFIED", a_job_manifest(suspend=True))
    jobs.on_workload("MODIFIED", a_workload(admitted=False, Evicted="Preempted"))
    if not job_first:
        jobs.on_job("MODIFIED", a_job_manifest(suspend=True))
    assert len(resumed) == 1


def test_a_job_that_is_admitted_again_before_it_was_told_has_lost_all():
    jobs = Jobs([job("one", "a", 8)], SCALE, interval=120, resume=lambda _: None)
    clock = [0.0]
    jobs.now = lambda: clock[0]
    jobs.on_workload("ADDED", a_workload(admitted=True))
    jobs.on_job("MODIFIED", a_job_manifest(ready=1, startTime="now"))
    clock[0] = 5.0
    jobs.on_workload("MODIFIED", a_workload(admitted=False, Evicted="Preempted"))
    jobs.on_workload("MODIFIED", a_workload(admitted=True))
    lost = {event.note: event.value for event in jobs.events if event.seen is Seen.LOST}
    assert lost == {"preemption": 60 * 8, "restart without its checkpoint": 240 * 8}
    assert jobs.known["one"].kept == 0


def test_a_finished_workload_that_gives_its_quota_back_was_not_evicted():
    jobs = Jobs([job("one", "a", 8)], SCALE, interval=120, resume=lambda _: None)
    jobs.on_workload("ADDED", a_workload(admitted=True))
    jobs.on_workload("MODIFIED", a_workload(admitted=False, Finished="Succeeded"))
    assert [event.seen for event in jobs.events] == [Seen.ADMITTED]


def test_what_a_controller_says_of_a_job_counts_once_though_it_is_listed_again_and_dropped():
    jobs = Jobs([job("one", "a", 8)], SCALE, interval=120, resume=lambda _: None)
    said = {"involvedObject": {"name": "one"}, "reason": "Preempted"}
    for kind, uid in (("ADDED", "first"), ("ADDED", "second"), ("ADDED", "first"), ("DELETED", "second")):
        jobs.on_event(kind, {**said, "metadata": {"uid": uid}})
    jobs.on_event("ADDED", {**said, "involvedObject": {"name": "of nobody here"}, "metadata": {"uid": "third"}})
    assert [(event.job, event.note) for event in jobs.events] == [("one", "Preempted")] * 2
