"""A team's people and pods try to reach what is another team's: each is refused, and may do the same at home."""

import pytest
from kubernetes_api import done, let_through, refused, wait_for
from manifests import job, pod, unique

pytestmark = pytest.mark.lab
THERE = 'in the namespace "speech"'


def test_read_the_others_secrets(vision, speech):
    for who in vision.everyone:
        refused(who.get("secrets", "speech", "features"), "cannot get", "secrets", THERE)
    assert "data" in done(speech.operator.get("secrets", "speech", "features"))
    assert "data" in done(vision.operator.get("secrets", "vision", "features"))


def test_list_the_secrets_of_the_whole_cluster(admin, vision):
    for who in vision.everyone:
        refused(who.get("secrets"), "cannot list", "secrets", "at the cluster scope")
    done(vision.operator.get("secrets", "vision"))
    assert done(admin.get("secrets"))["items"]


def test_read_the_others_configmaps(vision, speech):
    for who in vision.everyone:
        refused(who.get("configmaps", "speech", "features"), "cannot get", "configmaps", THERE)
    done(speech.viewer.get("configmaps", "speech", "features"))
    done(vision.viewer.get("configmaps", "vision", "features"))


def test_list_the_others_pods(vision, speech, victim):
    for who in vision.everyone:
        refused(who.get("pods", "speech"), "cannot list", "pods", THERE)
    names = [each["metadata"]["name"] for each in done(speech.viewer.get("pods", "speech"))["items"]]
    assert victim in names
    done(vision.viewer.get("pods", "vision"))


def test_watch_the_pods_of_all_namespaces(vision):
    for who in vision.everyone:
        refused(who.get("pods", watch="true", timeoutSeconds="1"), "cannot watch", "at the cluster scope")
    done(vision.viewer.get("pods", "vision", watch="true", timeoutSeconds="1"))


def test_read_the_others_logs(vision, victim, own):
    for who in vision.everyone:
        refused(who.get("pods/log", "speech", victim), "cannot get", "pods/log", THERE)
    # KWOK has no logs: what comes back is about them, not about rights.
    let_through(vision.viewer.get("pods/log", "vision", own))


@pytest.mark.parametrize(
    ("what", "query"),
    [("exec", {"command": "id"}), ("portforward", {"ports": "8000"})],
    ids=["open_a_shell_in_the_others_pod", "forward_a_port_of_the_others_pod"],
)
def test_enter_the_others_pod(vision, victim, own, what, query):
    for who in vision.everyone:
        refused(who.create(f"pods/{what}", {}, "speech", victim, **query), f"pods/{what}", THERE)
        refused(who.get(f"pods/{what}", "speech", victim, **query), f"pods/{what}", THERE)
    # An operator may at home: the answer is about the protocol, which this is not.
    let_through(vision.operator.create(f"pods/{what}", {}, "vision", own, **query))
    for who in (vision.viewer, vision.developer, vision.account):
        refused(who.create(f"pods/{what}", {}, "vision", own, **query), f"pods/{what}", 'in the namespace "vision"')


def test_attach_to_the_others_pod(admin, vision, victim):
    for who in vision.everyone:
        refused(who.create("pods/attach", {}, "speech", victim), "pods/attach", THERE)
    let_through(admin.create("pods/attach", {}, "speech", victim))
    done(vision.developer.try_create("pods", pod(), "vision"))


def test_put_an_ephemeral_container_into_the_others_pod(admin, vision, victim):
    debug = {
        "name": "debug",
        "image": "registry.example/debug@sha256:" + 64 * "0",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    change = {"spec": {"ephemeralContainers": [debug]}}
    for who in vision.everyone:
        answer = who.patch("pods/ephemeralcontainers", change, "speech", victim)
        refused(answer, "pods/ephemeralcontainers", THERE)
    done(admin.patch("pods/ephemeralcontainers", change, "speech", victim, dryRun="All"))
    done(vision.developer.try_create("pods", pod(), "vision"))


def test_call_the_others_pod_through_the_api_server(admin, vision, victim):
    for who in vision.everyone:
        refused(who.get("pods/proxy", "speech", victim), "pods/proxy", THERE)
        refused(who.get("services/proxy", "speech", "any"), "services/proxy", THERE)
    let_through(admin.get("pods/proxy", "speech", victim))
    done(vision.viewer.get("pods", "vision"))


@pytest.mark.parametrize(
    ("resource", "made"),
    [("pods", pod), ("jobs", job)],
    ids=["a_pod", "a_job"],
)
def test_run_work_in_the_others_namespace(vision, speech, resource, made):
    for who in vision.everyone:
        refused(who.try_create(resource, made(), "speech"), f'cannot create resource "{resource}"', THERE)
    done(speech.developer.try_create(resource, made(), "speech"))
    done(vision.developer.try_create(resource, made(), "vision"))


def test_put_a_secret_into_the_others_namespace(vision):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": unique("given")}}
    for who in vision.everyone:
        refused(who.try_create("secrets", secret, "speech"), "cannot create", THERE)
    done(vision.operator.try_create("secrets", secret, "vision"))


def test_delete_the_others_pod(vision, speech, victim, own):
    for who in vision.everyone:
        refused(who.delete("pods", "speech", victim), "cannot delete", THERE)
    done(speech.developer.delete("pods", "speech", victim, dryRun="All"))
    done(vision.developer.delete("pods", "vision", own, dryRun="All"))


def test_evict_the_others_pod(admin, vision, victim, own):
    def eviction(name, namespace):
        return {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }

    for who in vision.everyone:
        refused(who.create("pods/eviction", eviction(victim, "speech"), "speech", victim), "pods/eviction", THERE)
    done(admin.create("pods/eviction", eviction(victim, "speech"), "speech", victim, dryRun="All"))
    done(vision.developer.delete("pods", "vision", own, dryRun="All"))


def test_relabel_the_others_pod(vision, victim, own):
    change = {"metadata": {"labels": {"app": "mine"}}}
    for who in vision.everyone:
        refused(who.patch("pods", change, "speech", victim), "cannot patch", THERE)
    done(vision.developer.patch("pods", change, "vision", own, dryRun="All"))


def test_open_the_others_network(vision, speech):
    change = {"spec": {"policyTypes": ["Ingress"], "ingress": [{}]}}
    for who in [*vision.everyone, speech.operator]:
        refused(who.patch("networkpolicies", change, "speech", "default-deny"), "cannot patch", THERE)
    done(vision.viewer.get("networkpolicies", "vision", "default-deny"))


def test_read_the_others_place_in_the_queue(vision, speech):
    for who in vision.everyone:
        for resource in ("workloads", "localqueues"):
            refused(who.get(resource, "speech"), f'cannot list resource "{resource}"', THERE)
    done(vision.viewer.get("workloads", "vision"))
    assert done(speech.viewer.get("localqueues", "speech"))["items"]


def test_claim_the_others_volume(admin, vision):
    """A claim may name any volume; the controller binds none that another's claim has."""
    volume = unique("volume")
    size = {"storage": "1Gi"}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": {"requests": size}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": spec | {"volumeName": volume}}
    theirs, mine = (claim | {"metadata": {"name": unique("claim")}} for _ in range(2))
    manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume},
        "spec": {
            "capacity": size,
            "accessModes": ["ReadWriteOnce"],
            "csi": {"driver": "fsx.csi.aws.com", "volumeHandle": "fs-0123456789abcdef0"},
            "claimRef": {"namespace": "speech", "name": theirs["metadata"]["name"]},
        },
    }
    done(admin.create("persistentvolumes", manifest))
    done(vision.developer.create("persistentvolumeclaims", mine, "vision"))

    def told():
        events = done(vision.developer.get("events", "vision"))["items"]
        return next((each for each in events if "already bound to a different claim" in each.get("message", "")), None)

    assert wait_for(told, "why the claim stays without a volume")["involvedObject"]["name"] == mine["metadata"]["name"]
    done(admin.create("persistentvolumeclaims", theirs, "speech"))

    def bound():
        found = done(admin.get("persistentvolumes", name=volume))
        return found if found["status"]["phase"] == "Bound" else None

    assert wait_for(bound, "the volume bound to its own claim")["spec"]["claimRef"]["namespace"] == "speech"
    found = done(vision.developer.get("persistentvolumeclaims", "vision", mine["metadata"]["name"]))
    assert found["status"]["phase"] == "Pending"


def test_a_department_s_operators_look_and_do_nothing(department, victim):
    for namespace in ("vision", "speech"):
        done(department.get("pods", namespace))
        done(department.get("workloads", namespace))
        refused(department.get("secrets", namespace, "features"), "cannot get", "secrets")
        refused(department.try_create("pods", pod(), namespace), "cannot create")
    refused(department.create("pods/exec", {}, "speech", victim, command="id"), "pods/exec")
    refused(department.get("pods"), "at the cluster scope")
