"""A developer tries to get GPUs before others, or beyond the share: the queue and the bounds stay as they are."""

import pytest
from kubernetes_api import done, refused, wait_for
from manifests import binding, container, job, pod, unique, with_gpus

pytestmark = pytest.mark.lab
KUEUE = "kueue.x-k8s.io/v1beta2"
TIER, QUEUE = "kueue.x-k8s.io/priority-class", "kueue.x-k8s.io/queue-name"
GATE = {"name": "kueue.x-k8s.io/admission"}


@pytest.mark.parametrize(
    ("tier", "code", "because"),
    [
        ("production", 403, "must be a tier that namespace vision may use"),
        ("interactive", 403, "must be a tier that namespace vision may use"),
        ("gold", 422, "must be one of the tiers"),
    ],
    ids=["not_granted", "of_people_who_wait", "that_does_not_exist"],
)
def test_name_a_tier(vision, tier, code, because):
    for who in (vision.developer, vision.operator):
        refused(who.try_create("jobs", job(labels={TIER: tier}), "vision"), because, tier, code=code)
        done(who.try_create("jobs", job(labels={TIER: "scavenger"}), "vision"))
    refused(vision.developer.try_create("pods", pod(metadata={"labels": {TIER: tier}}), "vision"), tier, code=code)


@pytest.fixture(scope="module")
def waiting(vision):
    """A job that waits in its queue: more GPUs than the team and those who lend to it have together."""
    made = done(vision.developer.create("jobs", job("waiting", gpus=8, pods=4), "vision"))["metadata"]
    assert done(vision.developer.get("jobs", "vision", made["name"]))["spec"]["suspend"] is True
    yield made
    done(vision.developer.delete("jobs", "vision", made["name"], propagationPolicy="Background"))


@pytest.fixture(scope="module")
def workload(vision, waiting):
    """The place in the queue of that job."""

    def look():
        items = done(vision.developer.get("workloads", "vision"))["items"]
        owned = (
            each for each in items if each["metadata"].get("ownerReferences", [{}])[0].get("uid") == waiting["uid"]
        )
        return next(owned, None)

    return wait_for(look, "the workload of the job")["metadata"]["name"]


def test_raise_a_waiting_job_to_a_tier_not_granted(vision, waiting):
    def raised(tier):
        change = {"metadata": {"labels": {TIER: tier}}}
        return vision.developer.patch("jobs", change, "vision", waiting["name"], dryRun="All")

    refused(raised("production"), "must be a tier that namespace vision may use")
    done(raised("scavenger"))


def test_start_an_own_job_that_waits(admin, vision, waiting):
    for who in (vision.developer, vision.operator):
        answer = who.patch("jobs", {"spec": {"suspend": False}}, "vision", waiting["name"])
        refused(answer, "spec.suspend is lifted by the queue alone")
        done(who.patch("jobs", {"metadata": {"labels": {"a": "b"}}}, "vision", waiting["name"], dryRun="All"))
    done(admin.patch("jobs", {"spec": {"suspend": False}}, "vision", waiting["name"], dryRun="All"))


def test_change_the_priority_of_the_own_workload(admin, vision, workload):
    change = {"spec": {"priority": 1_000_000}}
    for who in vision.everyone:
        refused(who.patch("workloads", change, "vision", workload), "cannot patch", "workloads")
    done(admin.patch("workloads", change, "vision", workload, dryRun="All"))
    done(vision.developer.get("workloads", "vision", workload))


def test_admit_the_own_workload(vision, workload):
    change = {"status": {"admission": {"clusterQueue": "speech", "podSetAssignments": []}}}
    for who in vision.everyone:
        refused(who.patch("workloads/status", change, "vision", workload), "workloads/status")


def test_make_a_workload_of_a_higher_priority(admin, vision):
    made = {
        "apiVersion": KUEUE,
        "kind": "Workload",
        "metadata": {"name": unique("mine")},
        "spec": {"queueName": "default", "priority": 1_000_000, "podSets": [{"name": "main", "count": 1}]},
    }
    made["spec"]["podSets"][0]["template"] = {"spec": pod()["spec"]}
    for who in vision.everyone:
        refused(who.try_create("workloads", made, "vision"), 'cannot create resource "workloads"')
    done(admin.try_create("workloads", made, "vision"))


@pytest.mark.parametrize("queue", ["speech", "fast"], ids=["the_others", "one_that_does_not_exist"])
def test_name_a_queue(vision, queue):
    for who in (vision.developer, vision.operator):
        refused(who.try_create("jobs", job(labels={QUEUE: queue}), "vision"), QUEUE, queue)
        refused(who.try_create("pods", pod(metadata={"labels": {QUEUE: queue}}), "vision"), QUEUE, queue)
        done(who.try_create("jobs", job(labels={QUEUE: "default"}), "vision"))


def local_queue(cluster_queue):
    return {
        "apiVersion": KUEUE,
        "kind": "LocalQueue",
        "metadata": {"name": unique("mine")},
        "spec": {"clusterQueue": cluster_queue},
    }


def test_make_a_queue_that_leads_to_the_others_share(admin, vision):
    for who in vision.everyone:
        refused(who.try_create("localqueues", local_queue("speech"), "vision"), 'cannot create resource "localqueues"')
    done(admin.try_create("localqueues", local_queue("speech"), "vision"))
    done(vision.viewer.get("localqueues", "vision", "default"))


def test_turn_the_own_queue_to_the_others_share(vision, admin):
    for who in vision.everyone:
        change = {"spec": {"clusterQueue": "speech"}}
        refused(who.patch("localqueues", change, "vision", "default"), "cannot patch")
        refused(who.delete("localqueues", "vision", "default"), "cannot delete")
    refused(admin.patch("localqueues", change, "vision", "default"), "field is immutable", code=422)


def test_a_queue_that_the_platform_made_by_mistake_leads_nowhere(admin, vision):
    """The other's ClusterQueue takes work of the other's namespace alone."""
    queue = done(admin.create("localqueues", local_queue("speech"), "vision"))["metadata"]["name"]
    work = {
        "apiVersion": KUEUE,
        "kind": "Workload",
        "metadata": {"name": unique("lost")},
        "spec": {"queueName": queue, "podSets": [{"name": "main", "count": 1, "template": {"spec": pod()["spec"]}}]},
    }
    name = done(admin.create("workloads", work, "vision"))["metadata"]["name"]

    def told():
        found = done(vision.viewer.get("workloads", "vision", name))
        conditions = found.get("status", {}).get("conditions", [])
        return next((each for each in conditions if "namespace" in each.get("message", "")), None)

    condition = wait_for(told, "why the workload is not admitted")
    assert "doesn't match ClusterQueue selector" in condition["message"]
    done(admin.delete("workloads", "vision", name))
    done(admin.delete("localqueues", "vision", queue))


@pytest.mark.parametrize(
    ("resource", "kind", "more"),
    [
        ("clusterqueues", "ClusterQueue", {"spec": {"namespaceSelector": {}}}),
        ("resourceflavors", "ResourceFlavor", {"spec": {"nodeLabels": {"pool": "kept"}}}),
        ("workloadpriorityclasses", "WorkloadPriorityClass", {"value": 1_000_000, "description": "first"}),
    ],
    ids=["a_queue_of_all", "a_flavor_of_the_others_pool", "a_tier"],
)
def test_make_for_the_cluster(admin, vision, resource, kind, more):
    made = {"apiVersion": KUEUE, "kind": kind, "metadata": {"name": unique("mine")}, **more}
    for who in vision.everyone:
        refused(who.try_create(resource, made), f'cannot create resource "{resource}"', "at the cluster scope")
    done(admin.try_create(resource, made))


def test_take_from_the_others_share(admin, vision):
    change = {"spec": {"fairSharing": {"weight": "0"}}}
    for who in vision.everyone:
        refused(who.patch("clusterqueues", change, None, "speech"), "cannot patch", "at the cluster scope")
    done(admin.patch("clusterqueues", change, None, "speech", dryRun="All"))


@pytest.fixture
def held(vision):
    """A pod with GPUs that was made without any queue, and waits: it asks for nodes that do not exist."""
    spec = {**with_gpus(8), "nodeSelector": {"pool": "nowhere"}}
    made = done(vision.developer.create("pods", pod("raw", **spec), "vision"))["metadata"]["name"]
    yield made
    done(vision.developer.delete("pods", "vision", made))


def test_go_round_the_queue_with_a_pod_of_no_queue(vision, held):
    found = done(vision.developer.get("pods", "vision", held))
    assert found["metadata"]["labels"][QUEUE] == "default"
    assert GATE in found["spec"]["schedulingGates"]


def test_lift_the_gate_of_an_own_pod(vision, admin, held):
    change = {"spec": {"schedulingGates": None}}
    for who in (vision.developer, vision.operator):
        refused(who.patch("pods", change, "vision", held), "spec.schedulingGates must keep kueue.x-k8s.io/admission")
        done(who.patch("pods", {"metadata": {"labels": {"a": "b"}}}, "vision", held, dryRun="All"))
    done(admin.patch("pods", change, "vision", held, dryRun="All"))


def test_take_a_kind_of_gpu_that_is_not_in_the_share(vision):
    """Slices of GPUs are in no quota of the namespace; the queue lets in what it has a share of, and no more."""
    limits = {"memory": "1Gi", "nvidia.com/mig-1g.18gb": "1"}
    asked = pod(containers=[container(resources={"requests": {"cpu": "1", **limits}, "limits": limits})])
    name = done(vision.developer.create("pods", asked, "vision"))["metadata"]["name"]

    def told():
        for each in done(vision.developer.get("workloads", "vision"))["items"]:
            if each["metadata"].get("ownerReferences", [{}])[0].get("name") == name:
                conditions = each.get("status", {}).get("conditions", [])
                return next((one for one in conditions if "mig-1g.18gb" in one.get("message", "")), None)
        return None

    assert "unavailable in ClusterQueue" in wait_for(told, "why the pod waits")["message"]
    assert GATE in done(vision.developer.get("pods", "vision", name))["spec"]["schedulingGates"]
    done(vision.developer.delete("pods", "vision", name))


def test_pass_an_own_pod_off_as_a_job_s(vision, waiting):
    """Kueue holds no pod whose controller it manages."""
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": waiting["name"],
        "uid": waiting["uid"],
        "controller": True,
    }
    for change in (owner, {**owner, "controller": False}):
        forged = pod(metadata={"ownerReferences": [change]}, **with_gpus(8))
        refused(vision.developer.try_create("pods", forged, "vision"), "metadata.ownerReferences must be left out")
    done(vision.developer.try_create("pods", pod(**with_gpus(8)), "vision"))


def test_pass_an_own_job_off_as_another_s(vision, waiting):
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": waiting["name"],
        "uid": waiting["uid"],
        "controller": True,
    }
    forged = job()
    forged["metadata"]["ownerReferences"] = [owner]
    refused(vision.developer.try_create("jobs", forged, "vision"), "metadata.ownerReferences must be left out")
    done(vision.developer.try_create("jobs", job(), "vision"))


@pytest.mark.parametrize(
    ("resource", "name", "change"),
    [
        ("resourcequotas", "tenant", {"spec": {"hard": {"requests.nvidia.com/gpu": "1000"}}}),
        ("resourcequotas", "tenant-priorities", {"spec": {"hard": {"pods": "10"}}}),
        ("limitranges", "tenant", {"spec": {"limits": []}}),
        ("networkpolicies", "default-deny", {"spec": {"policyTypes": ["Ingress"]}}),
    ],
    ids=["quota", "quota_of_priorities", "limits", "closed_network"],
)
def test_change_or_delete_the_own(admin, vision, resource, name, change):
    for who in vision.everyone:
        refused(who.patch(resource, change, "vision", name), "cannot patch", resource)
        refused(who.delete(resource, "vision", name), "cannot delete", resource)
        refused(who.ask("DELETE", f"{path_of(resource)}"), "cannot deletecollection", resource)
    done(admin.patch(resource, change, "vision", name, dryRun="All"))
    done(admin.delete(resource, "vision", name, dryRun="All"))
    done(vision.viewer.get(resource, "vision", name))


def path_of(resource):
    base = "apis/networking.k8s.io/v1" if resource == "networkpolicies" else "api/v1"
    return f"/{base}/namespaces/vision/{resource}"


def test_add_an_own_opening_to_the_network(admin, vision):
    opening = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": unique("open")},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]},
    }
    for who in vision.everyone:
        refused(who.try_create("networkpolicies", opening, "vision"), "cannot create", "networkpolicies")
    done(admin.try_create("networkpolicies", opening, "vision"))


def test_give_the_own_service_account_rights(admin, vision):
    bound = binding("RoleBinding", "Role", "tenant-developer", "system:serviceaccount:vision:trainer")
    for who in vision.everyone:
        refused(who.try_create("rolebindings", bound, "vision"), "cannot create", "rolebindings")
    done(admin.try_create("rolebindings", bound, "vision"))
