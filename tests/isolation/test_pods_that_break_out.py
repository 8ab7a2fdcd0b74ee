"""A developer tries pods and services that would leave their namespace: each is one change of what is let through."""

import pytest
from kubernetes_api import done, let_through, refused, running, wait_for
from manifests import KEPT, container, job, pod, unique, with_gpus

pytestmark = pytest.mark.lab
RESTRICTED = 'violates PodSecurity "restricted:latest"'
SYSCTL = {"name": "kernel.msgmax", "value": "65536"}
HOST_PATH = {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}
RAN_AS_ROOT = {"runAsNonRoot": False, "runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (HOST_PATH, "hostPath"),
        ({"hostNetwork": True}, "hostNetwork=true"),
        ({"hostPID": True}, "hostPID=true"),
        ({"hostIPC": True}, "hostIPC=true"),
        ({"containers": [container(security={"privileged": True, "allowPrivilegeEscalation": True})]}, "privileged"),
        ({"containers": [container(ports=[{"containerPort": 80, "hostPort": 80}])]}, "hostPort"),
        ({"containers": [container(security={"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}})]}, "SYS_ADMIN"),
        ({"containers": [container(security={"capabilities": {}})]}, "unrestricted capabilities"),
        ({"securityContext": RAN_AS_ROOT}, "runAsNonRoot"),
        ({"containers": [container(security={"runAsUser": 0})]}, "runAsUser=0"),
        ({"containers": [container(security={"allowPrivilegeEscalation": True})]}, "allowPrivilegeEscalation"),
        ({"containers": [container(security={"seccompProfile": {"type": "Unconfined"}})]}, "seccompProfile"),
        ({"containers": [container(security={"procMount": "Unmasked"})], "hostUsers": False}, "procMount"),
        ({"securityContext": {**pod()["spec"]["securityContext"], "sysctls": [SYSCTL]}}, "sysctls"),
    ],
    ids=[
        "mount_a_node_s_disk",
        "use_the_node_s_network",
        "see_the_node_s_processes",
        "share_the_node_s_memory",
        "run_privileged",
        "take_a_port_of_the_node",
        "administer_the_system",
        "keep_capabilities",
        "run_as_root",
        "run_a_container_as_root",
        "escalate_privileges",
        "make_any_system_call",
        "unmask_proc",
        "set_the_node_s_kernel",
    ],
)
def test_a_pod_may_not(vision, change, because):
    for who in (vision.developer, vision.operator):
        refused(who.try_create("pods", pod(**change), "vision"), RESTRICTED, because)
        done(who.try_create("pods", pod(), "vision"))


def test_run_privileged_by_way_of_a_deployment(vision):
    """A controller makes the pods, and is refused as the developer would be."""
    bad = container(security={"privileged": True, "allowPrivilegeEscalation": True})
    labels = {"app": unique("front")}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": labels["app"]},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": pod(containers=[bad], restartPolicy="Always")["spec"],
            },
        },
    }
    done(vision.developer.create("deployments", deployment, "vision"))

    def told():
        events = done(vision.developer.get("events", "vision"))["items"]
        about = (each for each in events if labels["app"] in each["involvedObject"]["name"])
        return next((each for each in about if RESTRICTED in each.get("message", "")), None)

    assert wait_for(told, "the refusal of the deployment's pod")["reason"] == "FailedCreate"
    found = done(vision.developer.get("pods", "vision", labelSelector=f"app={labels['app']}"))
    assert not found["items"]
    done(vision.developer.delete("deployments", "vision", labels["app"]))


@pytest.mark.parametrize("name", ["kept-0", "shared-0"], ids=["of_the_other", "of_all"])
def test_go_round_the_scheduler_onto_a_node(vision, name):
    answer = vision.developer.try_create("pods", pod(nodeName=name), "vision")
    refused(answer, "spec.nodeName", "cannot be set until all schedulingGates have been cleared", code=422)
    done(vision.developer.try_create("pods", pod(), "vision"))


def test_go_round_the_scheduler_by_way_of_a_job(vision):
    """A job's pods have no gate, since the job itself waited: what holds them off is the admission of tenants."""
    made = job("direct")
    made["spec"] = {"backoffLimit": 0, "template": {"spec": pod(nodeName="kept-0")["spec"]}}
    name = done(vision.developer.create("jobs", made, "vision"))["metadata"]["name"]

    def told():
        events = done(vision.developer.get("events", "vision"))["items"]
        about = (each for each in events if each["involvedObject"]["name"] == name)
        return next((each for each in about if "spec.nodeName must be left out" in each.get("message", "")), None)

    assert wait_for(told, "the refusal of the job's pod")["reason"] == "FailedCreate"
    assert not done(vision.developer.get("pods", "vision", labelSelector=f"job-name={name}"))["items"]
    done(vision.developer.delete("jobs", "vision", name, propagationPolicy="Background"))


def test_bind_an_own_pod_to_the_others_node(admin, vision):
    target = {"apiVersion": "v1", "kind": "Node", "name": "kept-0"}
    made = done(vision.developer.create("pods", pod(nodeSelector={"no": "where"}), "vision"))["metadata"]["name"]
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": made}, "target": target}
    for who in vision.everyone:
        refused(who.create("pods/binding", binding, "vision", made), "pods/binding")
    let_through(admin.create("pods/binding", binding, "vision", made, dryRun="All"))
    done(vision.developer.delete("pods", "vision", made))


@pytest.mark.parametrize(
    "toleration",
    [
        {"operator": "Equal", **KEPT},
        {"operator": "Exists", "key": KEPT["key"]},
        {"operator": "Exists"},
        {"operator": "Exists", "effect": "NoSchedule"},
    ],
    ids=["its_taint", "whatever_is_kept", "every_taint", "every_taint_that_holds_pods_off"],
)
def test_tolerate_the_pool_kept_for_the_other(vision, speech, toleration):
    refused(vision.developer.try_create("pods", pod(tolerations=[toleration]), "vision"), "spec.tolerations must")
    own = {"operator": "Equal", **KEPT}
    done(speech.developer.try_create("pods", pod(tolerations=[own]), "speech"))
    done(vision.developer.try_create("pods", pod(tolerations=[own | {"value": "vision"}]), "vision"))


def test_tolerate_the_others_pool_once_the_pod_runs(vision, own):
    def with_toleration(value):
        found = done(vision.developer.get("pods", "vision", own))
        tolerations = [*found["spec"]["tolerations"], {"operator": "Equal", **KEPT, "value": value}]
        return vision.developer.patch("pods", {"spec": {"tolerations": tolerations}}, "vision", own, dryRun="All")

    refused(with_toleration("speech"), "spec.tolerations must")
    done(with_toleration("vision"))


def affinity(value):
    term = {"matchExpressions": [{"key": KEPT["key"], "operator": "In", "values": [value]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}


@pytest.mark.parametrize(
    ("place", "because"),
    [
        (lambda value: {"nodeSelector": {KEPT["key"]: value}}, "spec.nodeSelector must"),
        (affinity, "spec.affinity must"),
    ],
    ids=["by_a_selector", "by_an_affinity"],
)
def test_ask_for_the_others_nodes(vision, speech, place, because):
    refused(vision.developer.try_create("pods", pod(**place("speech")), "vision"), because)
    done(vision.developer.try_create("pods", pod(**place("vision")), "vision"))
    done(speech.developer.try_create("pods", pod(**place("speech")), "speech"))


def test_ask_for_the_others_node_by_its_name(admin, vision, speech):
    """Nobody refuses the wish, and the scheduler does not fulfil it; the other's own pod gets there."""
    there = {"nodeSelector": {"kubernetes.io/hostname": "kept-0"}}
    made = done(vision.developer.create("pods", pod(**there), "vision"))["metadata"]["name"]

    def told():
        found = done(vision.developer.get("pods", "vision", made))
        conditions = found.get("status", {}).get("conditions", [])
        return next((each for each in conditions if "untolerated taint" in each.get("message", "")), None)

    assert wait_for(told, "why the pod is not scheduled")["reason"] == "Unschedulable"
    theirs = pod(**there, tolerations=[{"operator": "Equal", **KEPT}])
    name = done(speech.developer.create("pods", theirs, "speech"))["metadata"]["name"]
    assert running(admin, "speech", name)["spec"]["nodeName"] == "kept-0"
    assert "nodeName" not in done(vision.developer.get("pods", "vision", made))["spec"]
    for team, each in ((vision, made), (speech, name)):
        done(team.developer.delete("pods", team.name, each))


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"type": "NodePort"}, "exceeded quota: tenant"),
        ({"type": "LoadBalancer"}, "exceeded quota: tenant"),
        ({"externalIPs": ["10.20.0.10"]}, "spec.externalIPs must be left out"),
    ],
    ids=["a_port_of_every_node", "a_load_balancer", "an_address_of_somebody_else"],
)
def test_a_service_may_not_take(vision, change, because):
    def service(**more):
        spec = {"selector": {"app": "own"}, "ports": [{"port": 8000}], **more}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": unique("own")}, "spec": spec}

    for who in (vision.developer, vision.operator):
        refused(who.try_create("services", service(**change), "vision"), because)
        done(who.try_create("services", service(), "vision"))


@pytest.mark.parametrize("name", ["system-cluster-critical", "system-node-critical", "no-such-class"])
def test_displace_others_by_a_priority_class(vision, name):
    answer = vision.developer.try_create("pods", pod(priorityClassName=name), "vision")
    assert answer.code == 403, answer
    assert "priorityClassName" in answer.message or "no PriorityClass" in answer.message
    done(vision.developer.try_create("pods", pod(), "vision"))


@pytest.mark.parametrize(
    ("spec", "because"),
    [
        (with_gpus(40), "requests.nvidia.com/gpu=40"),
        (with_gpus(1, memory="300Gi"), "requests.memory=300Gi"),
        (
            {"containers": [container(resources={"limits": {"cpu": "33", "memory": "1Gi"}})]},
            "maximum cpu usage per Container is 32",
        ),
    ],
    ids=["more_gpus_than_its_ceiling", "more_memory_than_its_share", "a_container_above_the_maximum"],
)
def test_take(vision, spec, because):
    refused(vision.developer.try_create("pods", pod(**spec), "vision"), because)
    done(vision.developer.try_create("pods", pod(**with_gpus(8, memory="64Gi")), "vision"))


def test_take_more_pods_than_its_share(admin, vision):
    def counted():
        """Return how many pods there are once none is leaving, and the quota knows of those that left."""
        there = done(admin.get("pods", "vision"))["items"]
        used = int(done(admin.get("resourcequotas", "vision", "tenant"))["status"]["used"]["pods"])
        leaving = any("deletionTimestamp" in each["metadata"] for each in there)
        return None if leaving or used != len(there) else used

    made = []
    here = wait_for(counted, "a quota that counts the pods that there are")
    waits = {"nodeSelector": {"no": "where"}}
    for _ in range(20 - here):
        made.append(done(vision.developer.create("pods", pod("many", **waits), "vision"))["metadata"]["name"])
    refused(vision.developer.create("pods", pod("many", **waits), "vision"), "exceeded quota: tenant", "pods=20")
    for name in made:
        done(vision.developer.delete("pods", "vision", name))

    def free():
        now = counted()
        return now if now is not None and now <= here else None

    wait_for(free, "its share free again")
