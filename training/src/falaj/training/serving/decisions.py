"""What Argo Rollouts decided by itself, for the audit log: a version was refused, or is served, and by which numbers.

Argo keeps its analyses as long as it keeps the pods' ReplicaSet; the log keeps them for good.
"""

from collections.abc import Sequence

from falaj.training.serving.audit import Event, Recorded
from falaj.training.serving.changes import numbers
from falaj.training.serving.releases import DEPLOY, recorded_releases
from falaj.training.serving.standing import Standing

REFUSED, SERVED = "refused", "served"
_ASKED = {DEPLOY, "rollback"}


def decision(found: Standing, events: Sequence[Recorded]) -> Event | None:
    """Return what was decided about a service's version; None where nothing was, or the log has it already."""
    if found.aborted and found.canary is not None:
        what, version, digest = REFUSED, found.canary.version, found.canary.digest
    elif found.canary is None and found.phase == "Healthy" and found.stable is not None:
        what, version, digest = SERVED, found.stable.version, found.stable.digest
    else:
        return None
    if version is None or _last(found.service, version, events) == what:
        return None
    known = recorded_releases(events).get(version)
    return {
        "what": what,
        "service": found.service,
        "version": version,
        "stable": found.stable.version if found.stable is not None else None,
        "tenant": known.tenant if known else None,
        "model_digest": known.model_digest if known else None,
        "manifest_digest": digest,
        "verdict": known.verdict if known else None,
        "decided_by": "argo-rollouts",
        "why": found.message or None,
        "analyses": numbers(found),
    }


def unrecorded_refusal(found: Standing, events: Sequence[Recorded]) -> Event | None:
    """Return what `decision` does where a version was refused: to write down before a service is given another one.

    Argo forgets it then, and a version of which the log has no refusal may be gone back to.
    """
    event = decision(found, events)
    return event if event is not None and event["what"] == REFUSED else None


def refusal(service: str, version: int, events: Sequence[Recorded]) -> str | None:
    """Return why a service gave a version up, by Argo's analyses or by a person.

    None where it never did, or where it was asked for or served again since then.
    """
    why: str | None = None
    for each in events:
        told = each.event or {}
        if told.get("service") != service:
            continue
        what, about = told.get("what"), told.get("version")
        if (what == REFUSED and about == version) or (what == "rollback" and told.get("from") == version != about):
            why = str(told.get("why") or "no reason was recorded")
        elif about == version and what in (DEPLOY, SERVED, "rollback"):
            why = None
    return why


def _last(service: str, version: int, events: Sequence[Recorded]) -> str | None:
    """Return what was decided last of a version, since it was asked for last."""
    for each in reversed(events):
        told = each.event or {}
        if told.get("service") == service and told.get("version") == version:
            what = told.get("what")
            if what in _ASKED:
                return None
            if what in (REFUSED, SERVED):
                return str(what)
    return None
