"""The answer to `explain`: what the cluster knows of one job, in sentences."""

from collections.abc import Sequence
from typing import Any

from falaj.scheduler.cluster import KUEUE, read_work
from falaj.scheduler.connection import Connection
from falaj.scheduler.errors import SchedulerError
from falaj.scheduler.explain import displaced, standing, told_of
from falaj.scheduler.policy import Policy
from falaj.scheduler.words import duration
from falaj.scheduler.work import Work


def story(connection: Connection, namespace: str, name: str, now: float, policy: Policy) -> list[str]:
    """Return sentences about a job; only what its own namespace may know."""
    jobs: Any = connection.get(f"/apis/batch/v1/namespaces/{namespace}/jobs")["items"]
    workloads: Any = connection.get(f"{KUEUE}/namespaces/{namespace}/workloads")["items"]
    local: Any = connection.get(f"{KUEUE}/namespaces/{namespace}/localqueues")["items"]
    said = {job["metadata"]["uid"]: job["metadata"].get("annotations") or {} for job in jobs}
    queues = {f"{namespace}/{each['metadata']['name']}": each["spec"]["clusterQueue"] for each in local}
    works = [work for each in workloads if (work := read_work(each, said, queues)) is not None]
    work = next((each for each in works if each.owner.name == name), None)
    if work is None:
        finished = any(each["metadata"].get("ownerReferences", [{}])[0].get("name") == name for each in workloads)
        what = "has finished" if finished else "is not there, or Kueue does not manage it"
        raise SchedulerError(
            f"{namespace}/{name} {what}; `kubectl get workloads -n {namespace}` shows what waits and runs"
        )
    lines = [_place(work, now), standing(work.noted.standing, work, work.priority, now, policy)]
    lines += [text for text in [told_of(work, now)] if text]
    if not work.runs:
        lines += [f"Kueue says: {each}" for each in _kueue_says(workloads, work)]
        ahead = [each for each in works if _before(each, work)]
        lines.append(f"{len(ahead)} of this namespace's works are before it in queue {work.queue}.")
    if work.eviction:
        lines.append(displaced(work, {each.uid: each for each in works}, now, policy))
    return lines


def _place(work: Work, now: float) -> str:
    name = f"{work.owner.kind} {work.namespace}/{work.owner.name}"
    if not work.active:
        return f"{name} is stopped: its Workload is not active."
    if work.runs:
        return f"{name} runs on {work.gpus} GPUs since {duration(now - (work.admitted or now))}."
    return f"{name} has waited {duration(work.waited(now))} for {work.gpus} GPUs in queue {work.queue}."


def _before(other: Work, work: Work) -> bool:
    waits = other.queue == work.queue and not other.runs and other.active and other.uid != work.uid
    return waits and (-other.priority, other.created) < (-work.priority, work.created)


def _kueue_says(workloads: Sequence[Any], work: Work) -> list[str]:
    conditions = next(each for each in workloads if each["metadata"]["uid"] == work.uid).get("status", {})
    return [
        " ".join(each["message"].split())
        for each in conditions.get("conditions", [])
        if each["type"] == "QuotaReserved" and each["status"] == "False"
    ]
