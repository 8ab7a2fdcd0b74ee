"""What a person may do with a service: deploy a version, promote it, go back. Argo Rollouts does the rest.

A deployment and a rollback change two annotations of the pod template and nothing else of the Rollout's spec. A
promotion and an abort are Argo's own: the patches of its command line, `kubectl argo rollouts promote` and `abort`.
https://github.com/argoproj/argo-rollouts/tree/v1.10.2/pkg/kubectl-argo-rollouts/cmd
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.serving.audit import Event
from falaj.training.serving.cluster import Cluster, Object
from falaj.training.serving.releases import DEPLOY, Release
from falaj.training.serving.standing import DIGEST, VERSION, Standing, annotations, standing

Record = Callable[[Event], None]
_KEPT_VALUES = 5
_SECONDS_FOR_THE_CONTROLLER = 60.0


def check_service(cluster: Cluster, model: str) -> None:
    """Refuse a service that serves no falaj model, or another one; ask before anything is published for it."""
    rollout = cluster.rollout()
    annotations(cluster.service, rollout)
    check_model(cluster.service, rollout, model)


def deploy(cluster: Cluster, model: str, release: Release, record: Record, *, new: bool) -> bool:
    """Have a service try a version; return whether that changed anything.

    A version that is not ``new`` replaces none that is newer: that would be a rollback, which says why.
    """
    rollout = cluster.rollout()
    found = standing(cluster, rollout)
    check_model(cluster.service, rollout, model)
    if (found.wanted_version, found.wanted_digest) == (release.version, release.manifest_digest):
        if found.aborted:
            remedy = f"must not be given version {release.version} again, which it refused: publish a better model"
            raise RefusedError("--service", f"{cluster.service}: {found.message}", remedy)
        return False
    if not new and found.wanted_version is not None and found.wanted_version > release.version:
        remedy = f"must not go back by publishing: this model is version {release.version} already, "
        remedy += f"use `falaj-serve rollback --to {release.version} --why ...`"
        raise RefusedError("--service", f"{cluster.service} at version {found.wanted_version}", remedy)
    with recorded(record, _event(DEPLOY, found, release)):
        cluster.patch(template_patch(release))
    return True


def promote(
    cluster: Cluster, found: Standing, release: Release, record: Record, *, full: bool, why: str | None
) -> None:
    """Let the update that runs go on: by one step, or with ``full`` to its end without further steps and analyses."""
    rollout = cluster.rollout()
    spec, status = promotion(rollout, full=full)
    event = {**_event("promote", found, release), "full": full, "why": why, "analyses": numbers(found)}
    with recorded(record, event):
        if status is not None:
            cluster.patch_status(status)
        if spec is not None:
            cluster.patch(spec)


def rollback(
    cluster: Cluster, found: Standing, release: Release, record: Record, *, why: str, skip_analysis: bool = False
) -> bool:
    """Go back to a version; return whether that changed anything.

    An update that runs is aborted first, which returns all traffic to the stable version at once. Is the version that
    one, all is done by that. Another one is tried as every version is, by the service's steps and analyses;
    ``skip_analysis`` goes there at once.
    """
    there = (found.wanted_version, found.wanted_digest) == (release.version, release.manifest_digest)
    if there and not found.aborted:
        return False
    event = {
        **_event("rollback", found, release),
        "from": found.wanted_version,
        "why": why,
        "analyses": numbers(found),
        "skip_analysis": skip_analysis,
    }
    with recorded(record, event):
        if found.updating:
            cluster.patch_status({"status": {"abort": True}})
        if not there:
            cluster.patch(template_patch(release))
        if skip_analysis and (found.stable is None or found.stable.version != release.version):
            _promote_fully(cluster)
    return True


def template_patch(release: Release) -> Object:
    """Return the change of a Rollout that makes it serve a version: two annotations of its pods."""
    told = {VERSION: str(release.version), DIGEST: release.manifest_digest}
    return {"spec": {"template": {"metadata": {"annotations": told}}}}


def promotion(rollout: Object, *, full: bool) -> tuple[Object | None, Object | None]:
    """Return the changes of spec and status by which Argo's command line promotes; None for no change.

    Raises `RefusedError` where no update runs, or where it was refused by its analyses.
    """
    spec: Mapping[str, Any] = rollout["spec"]
    status: Mapping[str, Any] = rollout.get("status") or {}
    name = f"{rollout['metadata'].get('namespace')}/{rollout['metadata'].get('name')}"
    if status.get("abort"):
        remedy = f"must not be promoted after it was refused ({status.get('message')}): publish a better version"
        raise RefusedError("--service", name, remedy)
    if status.get("currentPodHash") == status.get("stableRS"):
        raise RefusedError("--service", name, "must have an update that runs, and all its pods are of one version")
    unpause = {"spec": {"paused": False}} if spec.get("paused") else None
    if full:
        return unpause, {"status": {"promoteFull": True}}
    return unpause, _one_step(spec, status)


def check_model(service: str, rollout: Object, model: str) -> None:
    """Refuse a version for a service whose pods fetch another model."""
    pod: Mapping[str, Any] = rollout["spec"]["template"].get("spec") or {}
    for container in pod.get("initContainers") or []:
        words = [*(container.get("command") or []), *(container.get("args") or [])]
        for place, word in enumerate(words):
            named = words[place + 1] if word == "--model" and place + 1 < len(words) else None
            named = word.removeprefix("--model=") if word.startswith("--model=") else named
            if named is not None and named != model:
                raise RefusedError("--service", service, f"must serve {model}, and its pods fetch {named}")


def numbers(found: Standing) -> list[dict[str, Any]]:
    """Return what the analyses measured, for the audit log: it stays when the cluster has forgotten them."""
    kept: list[dict[str, Any]] = []
    for analysis in found.analyses:
        told = asdict(analysis)
        for metric in told["metrics"]:
            metric["values"] = list(metric["values"][-_KEPT_VALUES:])
        kept.append(told)
    return kept


@contextmanager
def recorded(record: Record, event: Event) -> Generator[None]:
    """Record an action before it is done, so that none is done unrecorded; and again, if it fails."""
    record(event)
    try:
        yield
    except (TrainingError, OSError) as error:
        record({**event, "what": f"{event['what']}-failed", "error": " ".join(str(error).split())})
        raise


def _one_step(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Object | None:
    canary: Mapping[str, Any] | None = spec.get("strategy", {}).get("canary")
    steps = len((canary or {}).get("steps") or [])
    after = min(int(status.get("currentStepIndex") or 0) + 1, steps)
    paused = bool(status.get("pauseConditions"))
    analysis: Mapping[str, Any] = (status.get("canary") or {}).get("currentStepAnalysisRunStatus") or {}
    if canary and steps and paused and status.get("controllerPause") and analysis.get("status") == "Inconclusive":
        return {"status": {"pauseConditions": None, "controllerPause": False, "currentStepIndex": after}}
    if paused:
        return {"status": {"pauseConditions": None}}
    if canary and steps:
        return {"status": {"pauseConditions": None, "currentStepIndex": after}}
    return None


def _promote_fully(cluster: Cluster) -> None:
    """Ask for full promotion when the controller has seen the new template: what was asked before it, it forgets."""
    deadline = time.monotonic() + _SECONDS_FOR_THE_CONTROLLER
    while time.monotonic() < deadline:
        rollout = cluster.rollout()
        status: Mapping[str, Any] = rollout.get("status") or {}
        if str(rollout["metadata"].get("generation")) == str(status.get("observedGeneration")):
            if status.get("currentPodHash") != status.get("stableRS"):
                cluster.patch_status({"status": {"promoteFull": True}})
            return
        time.sleep(0.5)
    raise TrainingError(
        f"Argo's controller did not see the change of {cluster.service} within {_SECONDS_FOR_THE_CONTROLLER:.0f} s: "
        "the version is being tried by its steps; ask `falaj-serve status`"
    )


def _event(what: str, found: Standing, release: Release) -> Event:
    return {
        "what": what,
        "service": found.service,
        "version": release.version,
        "tenant": release.tenant,
        "stable": found.stable.version if found.stable is not None else None,
        "model_digest": release.model_digest,
        "manifest_digest": release.manifest_digest,
        "verdict": release.verdict,
    }
