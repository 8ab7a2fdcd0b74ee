"""The scheduler on a real API server with a real Kueue, with the rights that its component gives it and no others.

Emulated are the nodes and what runs on them; time is scaled by a policy of short promises.
"""

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest
from examples import Example
from scheduler.pods import pod, told
from scheduler.sla_lab import (
    NAMESPACE,
    SCHEDULER,
    TIERS,
    USER,
    SlaLab,
    holds,
    place,
    queue_of_eight,
    queue_of_two_nodes,
    runs,
    until,
)

from falaj.lab.testing import temporary_lab

pytestmark = pytest.mark.lab
SERVICES = ("kube-controller-manager", "kube-scheduler", "kueue", "kwok")
SOON = {
    "tiers": {
        name: {"priority": value, "band": 900, "longest_wait_minutes": 0.4 if name == "scavenger" else 600}
        for name, value in TIERS.items()
    }
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlaLab]:
    folder = tmp_path_factory.mktemp("sla")
    with temporary_lab(folder / "state", only=SERVICES) as running:
        lab = SlaLab(running, folder)
        lab.kubectl("apply", "--server-side", "-f", "-", given=queue_of_eight())
        example = Example(running, "sla-scheduler")
        example.up()
        assert example.changes() == {}
        yield lab
        example.destroy()


@pytest.fixture
def lab(whole: SlaLab) -> Iterator[SlaLab]:
    yield whole
    whole.clear()


def test_a_tight_deadline_overtakes_and_the_one_that_runs_keeps_its_gpus(lab):
    with lab.scheduler() as replica:
        until(lambda: replica.leads, "it leads")
        lab.submit("holds", seconds=40)
        until(lambda: runs(lab.works().get("holds")), "the first runs")
        lab.submit("loose", seconds=600, due=7200, expected_seconds="5")
        lab.submit("tight", seconds=600, due=600, expected_seconds="5")
        until(lambda: {"loose", "tight"} <= lab.works().keys(), "Kueue knows both")
        until(lambda: priority(lab, "tight") > priority(lab, "loose"), "tight is first")
        held = lab.works()
        assert held["holds"]["spec"]["priority"] >= held["tight"]["spec"]["priority"]
        assert not holds(held["holds"], "Preempted")
        assert "its deadline leaves" in explain(lab, "tight")
        # Kueue tries it once its priority differs from that of work for which it found no room.
        until(lambda: "insufficient unused quota" in explain(lab, "tight"), "Kueue says why it waits")

        until(lambda: runs(lab.works()["tight"]), "tight runs")
        works = lab.works()
        assert not runs(works["loose"]), "the later deadline waits, though it came first"
        assert holds(works["holds"], "Finished"), "nobody was displaced for it"
        counted = 'falaj_scheduler_promises{promise="on-time",tenant="vision"}'
        until(lambda: counted in replica.metrics(), "both promises are counted")


def test_who_is_displaced_is_told_by_whom_and_why(lab):
    with lab.scheduler() as replica:
        lab.submit("train", seconds=600)
        until(lambda: runs(lab.works().get("train")), "training runs")
        lab.submit("serve", tier="production", seconds=600)
        until(lambda: "Preempted" in lab.told("train"), "it is told")

        told = lab.told("train")["Preempted"]
        assert told.startswith("Displaced by Job serve (tier production, priority 3000), because it counts for more")
        assert "Displaced by Job serve" in explain(lab, "train")
        until(
            lambda: 'falaj_scheduler_displaced_total{reason="priority",tenant="vision"} 1.0' in replica.metrics(),
            "it is counted",
        )


def test_what_a_pod_tells_of_its_progress_counts(lab):
    with pod(told(0.75).encode()) as port, lab.scheduler():
        lab.submit("half", seconds=600, due=2000, expected_seconds="3000", progress_port=str(port))
        until(lambda: runs(lab.works().get("half")), "it runs")
        until(lambda: promise(lab, "half") == "at-risk", "3000 s of work in 2000 are too much")
        # KWOK's pods have addresses where nobody listens; this one's is where the test does.
        where = ("get", "pods", "-n", NAMESPACE, "-l", "job-name=half", "-o", "jsonpath={.items[*].metadata.name}")
        until(lambda: lab.kubectl(*where, "--field-selector", "status.phase=Running"), "its pod runs")
        address = {"status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}}
        patch = ("--subresource", "status", "--type", "merge", "--patch", json.dumps(address))
        lab.kubectl("patch", "pod", lab.kubectl(*where), "-n", NAMESPACE, *patch)
        until(lambda: measured(lab, "half") == "0.7500", "it is kept")
        # With three quarters done 750 s remain, so that there is slack enough to take the warning back.
        until(lambda: promise(lab, "half") == "on-time", "its promise holds")


def test_a_promise_is_warned_of_before_it_breaks_and_told_when_it_has(lab):
    with lab.scheduler() as replica:
        until(lambda: replica.leads, "it leads")
        lab.submit("slow", seconds=600, due=60, expected_seconds="3000")
        until(lambda: "DeadlineAtRisk" in lab.told("slow"), "it is at risk")
        assert "DeadlineMissed" not in lab.told("slow")
        until(lambda: "DeadlineMissed" in lab.told("slow"), "it is missed", seconds=120)
        # Who is to be told is told first.
        until(lambda: promise(lab, "slow") == "missed", "it is noted")


def test_a_deadline_in_the_past_is_refused_until_it_is_put_right(lab):
    with lab.scheduler() as replica:
        until(lambda: replica.leads, "it leads")
        lab.submit("past", due=-60, expected_seconds="5")
        lab.submit("unreadable", due="tomorrow")
        for name in ("past", "unreadable"):
            until(lambda name=name: "DeadlineRefused" in lab.told(name), f"{name} is refused")
            until(lambda name=name: not runs(lab.works()[name]), f"{name} runs no more")
            until(lambda name=name: lab.works()[name]["spec"].get("active") is False, f"{name} is stopped")
        assert "falaj.dev/deadline must be a moment with an offset" in lab.told("unreadable")["DeadlineRefused"]
        assert "falaj.dev/deadline must be later than" in lab.told("past")["DeadlineRefused"]

        lab.kubectl(
            "annotate", "job", "past", "-n", NAMESPACE, "--overwrite", "falaj.dev/deadline=2099-01-01T00:00:00Z"
        )
        until(lambda: runs(lab.works()["past"]), "it runs")


def test_work_that_waits_too_long_has_its_turn_whatever_floods_the_queue(lab):
    with lab.scheduler(policy=SOON):
        # None of the flood ends just as patience does (24 s): what was written, Kueue tries before what it put aside.
        for number in range(6):
            lab.submit(f"flood-{number}", tier="production", seconds=60)
        lab.submit("patient", tier="scavenger", seconds=5)
        until(lambda: runs(lab.works().get("patient")), "it has its turn", seconds=150)
        assert lab.works()["patient"]["metadata"]["annotations"]["falaj.dev/standing"] == "turn"
        flood = [work for name, work in lab.works().items() if name.startswith("flood")]
        assert sum(not holds(work, "Finished") for work in flood) >= 2, "the flood was not over"


def test_small_work_moves_for_work_of_a_whole_node_and_begins_again_beside_other_work(lab):
    soon = {"consolidate_after_seconds": 1, "consolidate_rest_seconds": 5, "consolidate_seconds": 1}
    lab.kubectl("apply", "--server-side", "-f", "-", given=queue_of_two_nodes())
    with lab.scheduler(policy=soon):
        for name, gpus in (("small-1", 3), ("filler-1", 5), ("small-2", 3), ("filler-2", 5)):
            lab.submit(name, gpus=gpus, queue="placed", seconds=600, expected_seconds="9000", checkpoint_seconds="1")
            until(lambda name=name: runs(lab.works().get(name)), f"{name} runs")
        lab.kubectl("delete", "job", "filler-1", "filler-2", "-n", NAMESPACE)
        before = {name: place(lab.works()[name]) for name in ("small-1", "small-2")}
        assert set(before.values()) == {"placed-1", "placed-2"}

        lab.submit("whole", gpus=8, queue="placed", seconds=600, expected_seconds="9000")
        after: dict[str, str] = {}

        def beside() -> bool:
            # One look at all: what moves still has its old place when the other has it, and then none.
            after.update((name, place(work)) for name, work in lab.works().items())
            nodes = {after["small-1"], after.get("whole")}
            return after["small-1"] == after["small-2"] and nodes == {"placed-1", "placed-2"}

        until(beside, "both run on one node, and the other is the whole one's")
        (moved,) = (name for name in before if before[name] != after[name])
        assert lab.told(moved)["Moved"].startswith(f"It leaves {before[moved]}, so that Job whole finds whole nodes")
        assert lab.works()[moved]["spec"].get("active", True), "it is let in again"


def test_work_that_has_room_goes_before_work_that_has_none_which_is_let_in_when_it_has(lab):
    lab.kubectl("apply", "--server-side", "-f", "-", given=queue_of_two_nodes())
    with lab.scheduler(policy={"backfill_after_seconds": 1, "consolidate": False}):
        for name in ("filler-1", "filler-2"):
            lab.submit(name, gpus=5, queue="placed", seconds=600)
            until(lambda name=name: runs(lab.works().get(name)), f"{name} runs")
        # Kueue alone lets the small one in within a second or two: held, it shows what the scheduler says first.
        hold = ("patch", "clusterqueue", "placed", "--type=merge", "--patch")
        lab.kubectl(*hold, json.dumps({"spec": {"stopPolicy": "Hold"}}))
        lab.kubectl("wait", "clusterqueue", "placed", "--for=condition=Active=false", "--timeout=30s")
        lab.submit("whole", tier="production", gpus=6, queue="placed", seconds=600)
        lab.submit("small", gpus=3, queue="placed", seconds=600)
        until(lambda: {"whole", "small"} <= lab.works().keys(), "Kueue knows both")
        until(lambda: priority(lab, "small") > priority(lab, "whole"), "what has room is first")
        assert "it has room within its queue's share" in explain(lab, "small")

        lab.kubectl(*hold, json.dumps({"spec": {"stopPolicy": "None"}}))
        until(lambda: runs(lab.works()["small"]), "it runs")
        assert not runs(lab.works()["whole"])
        lab.kubectl("delete", "job", "filler-1", "filler-2", "-n", NAMESPACE)
        until(lambda: runs(lab.works()["whole"]), "what had none runs")


def test_a_kill_in_the_middle_changes_nothing_and_another_follows_within_the_lease(lab):
    with lab.scheduler("first") as first:
        until(lambda: first.leads, "the first leads")
        with lab.scheduler("second") as second:
            until(second.metrics, "the second is there")
            lab.submit("holds", seconds=600)
            for number in range(8):
                lab.submit(f"due-{number}", due=3600 * (number + 1), expected_seconds="600")
            first.process.send_signal(signal.SIGKILL)
            until(lambda: second.leads, "the second follows when the lease is over")

            def ordered() -> bool:
                found = lab.works()
                priorities = [found[f"due-{number}"]["spec"]["priority"] for number in range(8)]
                return priorities == sorted(set(priorities), reverse=True) and priorities[-1] > 1000

            until(lambda: len(lab.works()) == 9, "Kueue knows them all")
            until(ordered, "all are in the order of their deadlines")
            assert not second.process.poll()


def test_only_the_one_that_leads_writes_and_its_end_frees_the_lease(lab):
    # So long a lease that no slow moment takes it from the first.
    with lab.scheduler("first", lease_seconds=30) as first:
        until(lambda: first.leads, "the first leads")
        with lab.scheduler("second", lease_seconds=30) as second:
            lab.submit("holds", seconds=600)
            lab.submit("due", due=7200, expected_seconds="60")
            until(lambda: 'writes_total{outcome="written"}' in first.metrics(), "the first writes")
            until(lambda: "falaj_scheduler_works{" in second.metrics(), "the second knows of the work, too")
            assert not second.leads
            assert 'writes_total{outcome="written"}' not in second.metrics()
            held = lab.lease_holder()
            first.process.terminate()
            assert first.process.wait(60) == 0, "SIGTERM ends it in order"
            assert lab.lease_holder() != held, "its end frees the lease"
            until(lambda: second.leads, "the second follows")


def test_what_kueue_sets_back_is_set_again(lab):
    """Kueue writes the base into every Workload of a class that is changed, or known anew after Kueue's own start."""
    with lab.scheduler():
        lab.submit("holds", seconds=600)
        lab.submit("due", due=3600, expected_seconds="60")
        until(lambda: "due" in lab.works(), "Kueue knows it")
        until(lambda: priority(lab, "due") > 1000, "it is raised")
        raised = priority(lab, "due")
        name = lab.works()["due"]["metadata"]["name"]
        lab.kubectl("patch", "workload", name, "-n", NAMESPACE, "--type=merge", "-p", '{"spec": {"priority": 1000}}')
        until(lambda: priority(lab, "due") >= raised, "it is raised again")


def test_its_rights_end_at_workloads(lab):
    may_not = [
        ("get", "secrets"),
        ("create", "pods"),
        ("delete", "jobs"),
        ("patch", "clusterqueues"),
        ("patch", "workloads", "--subresource=status"),
    ]
    for what in may_not:
        done = subprocess.run(
            ["kubectl", "auth", "can-i", *what, "--as", USER, "-n", NAMESPACE],
            env=dict(lab.lab.env),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == "no", " ".join(what)


def priority(lab: SlaLab, job: str) -> int:
    """Return the priority that Kueue goes by."""
    return lab.works()[job]["spec"]["priority"]


def explain(lab: SlaLab, job: str) -> str:
    """Return what `falaj-scheduler explain` says."""
    done = subprocess.run(
        [SCHEDULER, "explain", f"{NAMESPACE}/{job}"], env=dict(lab.lab.env), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def measured(lab, job):
    return lab.works()[job]["metadata"].get("annotations", {}).get("falaj.dev/measured-progress")


def promise(lab, job):
    return lab.works()[job]["metadata"].get("annotations", {}).get("falaj.dev/promise")
