"""Without its admission policy each of these is let through: roles, Pod Security and quotas do not refuse it."""

import pytest
from kubernetes_api import done, wait_for
from manifests import KEPT, job, pod, unique, with_gpus

pytestmark = pytest.mark.lab
BINDINGS = "validatingadmissionpolicybindings"


def tolerated(team):
    return team.developer.try_create("pods", pod(tolerations=[{"operator": "Equal", **KEPT}]), "vision")


def external(team):
    spec = {"externalIPs": ["10.20.0.10"], "ports": [{"port": 80}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": unique("other")}, "spec": spec}
    return team.developer.try_create("services", service, "vision")


def started(team):
    made = done(team.developer.create("jobs", job("waiting", gpus=8, pods=4), "vision"))["metadata"]["name"]
    answer = team.developer.patch("jobs", {"spec": {"suspend": False}}, "vision", made, dryRun="All")
    done(team.developer.delete("jobs", "vision", made, propagationPolicy="Background"))
    return answer


def ungated(team):
    spec, before = {**with_gpus(8), "nodeSelector": {"pool": "nowhere"}}, counted(team)
    made = done(team.developer.create("pods", pod("raw", **spec), "vision"))["metadata"]["name"]
    answer = team.developer.patch("pods", {"spec": {"schedulingGates": None}}, "vision", made, dryRun="All")
    done(team.developer.delete("pods", "vision", made))
    wait_for(lambda: True if counted(team) <= before else None, f"the GPUs of pod {made} in the quota again")
    return answer


def counted(team):
    """Return the GPUs that the quota counts."""
    used = done(team.viewer.get("resourcequotas", "vision", "tenant"))["status"]["used"]
    return int(used["requests.nvidia.com/gpu"])


def forged(team):
    made = done(team.developer.create("jobs", job("waiting", gpus=8, pods=4), "vision"))["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": made["name"], "uid": made["uid"], "controller": True}
    answer = team.developer.try_create("pods", pod(metadata={"ownerReferences": [owner]}, **with_gpus(8)), "vision")
    done(team.developer.delete("jobs", "vision", made["name"], propagationPolicy="Background"))
    # Let through means without a gate: Kueue takes it for the job's own.
    assert answer.code >= 400 or "schedulingGates" not in answer.body["spec"]
    return answer


def above_its_tiers(team):
    work = job(labels={"kueue.x-k8s.io/priority-class": "production"})
    return team.developer.try_create("jobs", work, "vision")


@pytest.mark.parametrize(
    ("policy", "attempt"),
    [
        ("falaj-tenant-pods", tolerated),
        ("falaj-tenant-services", external),
        ("falaj-tenant-jobs", started),
        ("falaj-queues-pods", ungated),
        ("falaj-queues-pods", forged),
        ("falaj-queues-jobs", above_its_tiers),
    ],
)
def test_without_its_policy_it_is_let_through(admin, vision, policy, attempt):
    # Of a pod whose job Kueue does not know yet, Kueue says 404.
    wait_for(lambda: True if attempt(vision).code == 403 else None, f"{policy} refusing")
    binding = done(admin.get(BINDINGS, name=policy))
    done(admin.delete(BINDINGS, None, policy))
    try:
        wait_for(lambda: True if attempt(vision).code < 300 else None, f"what {policy} refuses being let through")
    finally:
        kept = {key: binding["metadata"][key] for key in ("name", "labels")}
        done(admin.create(BINDINGS, {**binding, "metadata": kept}))
        wait_for(lambda: True if attempt(vision).code == 403 else None, f"{policy} refusing again")
