"""GpuQueues on the real Kueue, API server and scheduler, with nodes that KWOK simulates: who gets which GPUs, and when.

vision has 12 GPUs of the pool h200 and lends 8 of them, nlp 8, speech and text 4 each as one department, 4 are left.
"""

import json
from collections.abc import Callable, Iterator

import pytest
from examples import Example
from gpu_cluster import TIER, GpuCluster, job, pod_spec, reason
from kubernetes.client.exceptions import ApiException

from falaj.components.tiers import Tier, rules_of_tier, tiers
from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab

SERVICES = ["kueue", "kwok", "kube-scheduler", "kube-controller-manager"]
TEAMS = ("vision", "nlp", "speech", "text")
H200, B200 = {"pool": "h200"}, {"pool": "b200"}
ZONES = ("me-central-1a", "me-central-1b")
ANYWHERE = {"kueue.x-k8s.io/podset-unconstrained-topology": "true"}
NEAR = {"kueue.x-k8s.io/podset-required-topology": "topology.kubernetes.io/zone"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with temporary_lab(tmp_path_factory.mktemp("queues") / "state", only=SERVICES) as running:
        yield running


@pytest.fixture(scope="module")
def example(lab: RunningLab) -> Example:
    made = Example(lab, "gpu-queues")
    made.up()
    return made


@pytest.fixture(scope="module")
def whole(lab: RunningLab, example: Example) -> GpuCluster:
    cluster = GpuCluster(lab)
    for zone in ZONES:
        cluster.add_nodes("h200", 2, 8, zone)
        cluster.add_nodes("b200", 2, 8, zone)
    cluster.add_nodes("a10g", 2, 4, ZONES[0])
    return cluster


@pytest.fixture
def cluster(whole: GpuCluster) -> Iterator[GpuCluster]:
    """The cluster without work."""
    yield whole
    whole.clear(*TEAMS)


def fill(cluster: GpuCluster, team: str, gpus: int, *, each: int = 4, tier: str = "batch", name: str = "run") -> None:
    """Submit jobs for the pool h200 that want so many GPUs together."""
    for number in range(gpus // each):
        cluster.submit(team, f"{name}-{number}", each, tier, selector=H200)


def settles(cluster: GpuCluster, **gpus: int) -> float:
    """Wait until the teams have so many GPUs, expect it to stay so, and return the seconds that it took."""

    def as_told() -> bool:
        return cluster.gpus(*gpus) == gpus

    took = cluster.until(as_told, lambda: f"{cluster.gpus(*gpus)} instead of {gpus}")
    cluster.stays(as_told, lambda: f"{cluster.gpus(*gpus)} instead of {gpus}")
    return took


def test_it_stays_as_it_came_up(example):
    assert example.changes() == {}
    assert example.drift() == {}
    assert example.outputs()["unassigned"] == {"a10g": 0, "b200": 0, "h200": 4}


def test_what_others_leave_idle_is_borrowed_up_to_what_they_lend(cluster):
    fill(cluster, "speech", 40)
    # Its own 4, text's 4, nlp's 8, and of vision's 12 the 8 that it lends.
    settles(cluster, speech=24)
    assert len(cluster.running("speech")["speech"]) == 6


def test_what_is_not_lent_is_there_at_once(cluster):
    fill(cluster, "speech", 40)
    settles(cluster, speech=24)
    cluster.submit("vision", "mine", 4, "batch", selector=H200)
    settles(cluster, speech=24, vision=4)


def test_an_owner_gets_its_own_back_by_one_preemption_and_no_more(cluster):
    fill(cluster, "speech", 24)
    settles(cluster, speech=24)
    before = cluster.running("speech")["speech"]
    cluster.submit("nlp", "mine", 4, "scavenger", selector=H200)
    cluster.until(lambda: cluster.running("nlp")["nlp"] == {"mine"}, lambda: str(cluster.workloads("nlp")))
    settles(cluster, speech=20, nlp=4)
    (displaced,) = before - cluster.running("speech")["speech"]
    assert reason(cluster.workloads("speech")[displaced], "Preempted") == "InCohortReclamation"


def test_each_has_its_nominal_share_when_all_want_more(cluster):
    for team in ("speech", "text", "nlp", "vision"):
        fill(cluster, team, 24)
    settles(cluster, vision=12, nlp=8, speech=4, text=4)
    # Whoever comes last changes nothing, and what has its GPUs within its share keeps them.
    kept = cluster.running(*TEAMS)
    fill(cluster, "nlp", 8, tier="scavenger", name="more")
    cluster.until(lambda: "more-1" in cluster.workloads("nlp"), lambda: "Kueue knows the jobs")
    settles(cluster, vision=12, nlp=8, speech=4, text=4)
    assert cluster.running(*TEAMS) == kept


def test_borrowers_get_of_what_is_idle_by_their_weights(cluster):
    for team in ("nlp", "speech"):
        fill(cluster, team, 28, each=2)
    # vision lends 8: nlp, of weight 3, gets 6 beside its 8, the department 2; speech also has text's 4.
    settles(cluster, nlp=14, speech=10, vision=0, text=0)


def test_a_department_borrows_within_itself_first(cluster):
    fill(cluster, "vision", 12)
    fill(cluster, "nlp", 16)
    settles(cluster, vision=12, nlp=16)
    fill(cluster, "speech", 8)
    # text leaves 4 idle: they are the department's before they are nlp's.
    settles(cluster, vision=12, nlp=8, speech=8)


def test_a_team_uses_its_own_share_of_its_second_pool_before_it_borrows_of_the_first(cluster):
    for number, (h200, a10g) in enumerate([(4, 0), (8, 0), (8, 4), (12, 4)]):
        cluster.submit("nlp", f"run-{number}", 4, "batch")
        has = {"h200": h200, "a10g": a10g}
        cluster.until(lambda has=has: cluster.by_pool("nlp") == has, lambda: str(cluster.by_pool("nlp")))


def nodes_of(cluster: GpuCluster, team: str, name: str, pods: int) -> set[str]:
    """Return the nodes of a job's pods when all run."""

    def placed() -> bool:
        return [pod.status.phase for pod in cluster.pods(team, name)] == pods * ["Running"]

    cluster.until(placed, lambda: f"{name} runs: {cluster.workloads(team)[name].get('status')}")
    return {pod.spec.node_name for pod in cluster.pods(team, name)}


def test_a_big_job_runs_within_one_zone(cluster):
    cluster.submit("vision", "small", 1, "batch", selector=B200, annotations=ANYWHERE, tolerates=True)
    (taken,) = nodes_of(cluster, "vision", "small", 1)
    cluster.submit("vision", "big", 8, "batch", pods=2, selector=B200, annotations=NEAR, tolerates=True)
    other = {"b200-a": "b200-b", "b200-b": "b200-a"}[taken[:6]]
    assert nodes_of(cluster, "vision", "big", 2) == {f"{other}-0", f"{other}-1"}


def test_a_job_that_no_zone_holds_waits_and_is_told_why(cluster):
    cluster.submit("vision", "huge", 8, "batch", pods=3, selector=B200, annotations=NEAR, tolerates=True)

    def told() -> str:
        return json.dumps(cluster.workloads("vision").get("huge", {}).get("status", {}))

    cluster.until(lambda: 'topology \\"b200\\" allows to fit only 2 out of 3 pod(s)' in told(), told)
    cluster.stays(lambda: cluster.gpus("vision") == {"vision": 0}, lambda: "it has GPUs")
    cluster.submit("vision", "wide", 8, "batch", pods=3, selector=B200, annotations=ANYWHERE, tolerates=True)
    assert len(nodes_of(cluster, "vision", "wide", 3)) == 3


@pytest.fixture
def full(cluster: GpuCluster) -> GpuCluster:
    """The cluster without anything left to borrow for text."""
    for team, gpus in (("vision", 12), ("nlp", 8), ("speech", 4)):
        fill(cluster, team, gpus)
    settles(cluster, vision=12, nlp=8, speech=4)
    return cluster


@pytest.mark.parametrize("holder", [str(tier) for tier in tiers()])
def test_work_is_displaced_by_the_tiers_that_say_so_and_by_no_other(full, holder):
    others = full.running("vision", "nlp", "speech")
    may = [tier for tier in tiers() if holder in rules_of_tier(tier).preempts]
    full.submit("text", "holder", 4, holder, selector=H200)
    full.until(lambda: full.running("text")["text"] == {"holder"}, lambda: "it runs")
    waiting = {f"waits-{tier}" for tier in set(tiers()) - set(may)}
    for tier in set(tiers()) - set(may):
        full.submit("text", f"waits-{tier}", 4, tier, selector=H200)
    full.until(lambda: waiting <= full.workloads("text").keys(), lambda: "Kueue knows the jobs")
    full.stays(lambda: full.running("text")["text"] == {"holder"}, lambda: str(full.running("text")))
    full.stop("text", *waiting)
    for tier in may:
        # Each displaces what ran before, which is of the tier below: the lowest tier that may comes first.
        full.submit("text", f"comes-{tier}", 4, tier, selector=H200)
        comes = {f"comes-{tier}"}
        full.until(lambda comes=comes: full.running("text")["text"] == comes, lambda: str(full.running("text")))
        assert reason(full.workloads("text")["holder"], "Preempted") == "InClusterQueue"
    assert full.running("vision", "nlp", "speech") == others


def service(name: str, gpus: int, tier: str) -> dict:
    """Return a Deployment of one pod, as inference is."""
    labels = {"app": name}
    spec = {key: value for key, value in pod_spec(gpus, H200).items() if key != "restartPolicy"}
    return {
        "metadata": {"name": name, "labels": {TIER: tier}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


@pytest.mark.parametrize(("tier", "displaces"), [("production", True), ("batch", False), ("scavenger", False)])
def test_inference_displaces_training_only_where_its_tier_says_so(full, tier, displaces):
    fill(full, "text", 4, name="training")
    settles(full, text=4)
    full.apps.create_namespaced_deployment("text", service("inference", 4, tier))
    try:
        if displaces:
            gone = lambda: "training-0" not in full.running("text")["text"]  # noqa: E731 - said where it is used
            full.until(gone, lambda: str(full.running("text")))
            full.until(lambda: ready(full, "inference") == 1, lambda: "inference is ready")
            full.until(lambda: full.gpus("text") == {"text": 4}, lambda: str(full.gpus("text")))
        else:
            known = lambda: any(name.startswith("inference") for name in full.workloads("text"))  # noqa: E731 - as said
            full.until(known, lambda: "Kueue knows the pod")
            full.stays(lambda: full.running("text")["text"] == {"training-0"}, lambda: str(full.running("text")))
            assert ready(full, "inference") == 0
    finally:
        full.apps.delete_namespaced_deployment("inference", "text")


def ready(cluster: GpuCluster, name: str) -> int:
    return cluster.apps.read_namespaced_deployment_status(name, "text").status.ready_replicas or 0


def test_work_of_no_tier_displaces_nobody(full):
    fill(full, "text", 4, tier="scavenger", name="training")
    settles(full, text=4)
    full.submit("text", "unnamed", 4, selector=H200)
    full.until(lambda: "unnamed" in full.workloads("text"), lambda: "Kueue knows the job")
    assert full.workloads("text")["unnamed"]["spec"].get("priority", 0) == rules_of_tier(Tier.SCAVENGER).priority
    full.stays(lambda: full.running("text")["text"] == {"training-0"}, lambda: str(full.running("text")))


def test_work_without_gpus_does_not_wait(full):
    fill(full, "text", 4)
    settles(full, text=4)
    full.submit("text", "report", 0, "batch")
    full.until(lambda: "report" in full.running("text")["text"], lambda: str(full.running("text")))


def test_a_changed_share_changes_one_resource_and_lets_waiting_work_in(cluster, example):
    for team, gpus in (("vision", 16), ("nlp", 8), ("speech", 4), ("text", 4)):
        fill(cluster, team, gpus)
    settles(cluster, vision=12, nlp=8, speech=4, text=4)
    changes = example.changes(visionH200="16")
    assert {name: operation for name, (operation, _) in changes.items()} == {"queues-queue-vision": "update"}
    example.up(visionH200="16")
    settles(cluster, vision=16, nlp=8, speech=4, text=4)
    assert example.outputs()["unassigned"] == {"a10g": 0, "b200": 0, "h200": 0}
    example.up()
    # What runs is not stopped by a smaller share: it is borrowed now, and goes when somebody wants it.
    settles(cluster, vision=16)


def test_shares_above_the_pool_are_refused_and_nothing_changes(example):
    refused = example.up(check=False, visionH200="17")
    assert refused.returncode
    said = (
        "queues.tenants must share out at most what pool h200 has at its largest, 32: vision 17, nlp 8, speech 4, "
        "text 4 (got 33)"
    )
    assert said in refused.stdout + refused.stderr
    assert example.changes() == {}


def test_a_tenant_comes_and_goes_without_touching_another(cluster, example):
    fill(cluster, "vision", 8)
    settles(cluster, vision=8)
    coming = example.changes(guest="true")
    assert {operation for operation, _ in coming.values()} == {"create"}
    assert all("guest" in name for name in coming)
    example.up(guest="true")
    fill(cluster, "guest", 24)
    settles(cluster, guest=8, vision=8)
    cluster.clear("guest")
    going = example.changes()
    assert {operation for operation, _ in going.values()} == {"delete"}
    assert going.keys() == coming.keys()
    example.up()
    settles(cluster, vision=8)


def refused_by(attempt: Callable[[], object]) -> str:
    """Return what the API server says when it refuses an attempt."""
    with pytest.raises(ApiException) as refused:
        attempt()
    return json.loads(refused.value.body)["message"]


URGENT = (
    f"metadata.labels['{TIER}'] must be one of the tiers interactive, production, batch, scavenger (got 'urgent')",
    {"tier": "urgent"},
)
DENIED = (
    f"metadata.labels['{TIER}'] must be a tier that namespace nlp may use, among batch, scavenger (got 'production')",
    {"tier": "production"},
)
OTHER_QUEUE = (
    "metadata.labels['kueue.x-k8s.io/queue-name'] must be left out or default (got 'vision')",
    {"labels": {"kueue.x-k8s.io/queue-name": "vision"}},
)
OTHER_RANK = (
    "spec.template.spec.priorityClassName must be left out: what ranks work is its tier, label "
    f"{TIER} (got 'system-cluster-critical')",
    {"priority_class": "system-cluster-critical"},
)


@pytest.mark.parametrize(("message", "words"), [URGENT, DENIED, OTHER_QUEUE, OTHER_RANK])
def test_a_job_that_says_what_it_may_not_is_refused_by_the_api_server(cluster, message, words):
    assert message in refused_by(lambda: cluster.submit("nlp", "job", 4, **words))


@pytest.fixture(scope="module")
def developer(lab: RunningLab, whole: GpuCluster) -> GpuCluster:
    """The cluster as a developer of nlp sees it, who may by a mistake also change Kueue's objects in the namespace."""
    whole.rbac.create_namespaced_role(
        "nlp",
        {
            "metadata": {"name": "mistake"},
            "rules": [
                {
                    "apiGroups": ["kueue.x-k8s.io"],
                    "resources": ["workloads", "workloads/status", "localqueues"],
                    "verbs": ["get", "list", "create", "update", "patch", "delete"],
                }
            ],
        },
    )
    whole.rbac.create_namespaced_role_binding(
        "nlp",
        {
            "metadata": {"name": "mistake"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mistake"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "nlp-developers"}],
        },
    )
    return GpuCluster(lab, user="dana", group="nlp-developers")


def test_every_kind_of_work_is_held_to_the_tiers(developer):
    message = DENIED[0]
    deployment = service("inference", 4, "production")
    cron = {
        "metadata": {"name": "nightly"},
        "spec": {
            "schedule": "0 3 * * *",
            "jobTemplate": job("job", 4, "production"),
        },
    }
    pod = {"metadata": {"name": "pod", "labels": {TIER: "production"}}, "spec": pod_spec(4)}
    within = job("job", 4)
    within["spec"]["template"]["metadata"]["labels"] = {TIER: "production"}
    attempts = (
        lambda: developer.apps.create_namespaced_deployment("nlp", deployment),
        lambda: developer.batch.create_namespaced_cron_job("nlp", cron),
        lambda: developer.core.create_namespaced_pod("nlp", pod),
        lambda: developer.batch.create_namespaced_job("nlp", within),
    )
    for attempt in attempts:
        assert message in refused_by(attempt)


def test_a_running_job_does_not_change_to_a_tier_that_it_may_not_name(cluster, developer):
    cluster.submit("nlp", "job", 4, "batch", selector=H200)
    settles(cluster, nlp=4)
    change = {"metadata": {"labels": {TIER: "production"}}}
    assert DENIED[0] in refused_by(lambda: developer.batch.patch_namespaced_job("job", "nlp", change))
    assert cluster.workloads("nlp")["job"]["spec"]["priority"] == rules_of_tier(Tier.BATCH).priority


def test_a_tier_that_is_taken_away_does_not_stop_what_already_runs(cluster, developer):
    cluster.submit("nlp", "job", 4, "batch", selector=H200)
    settles(cluster, nlp=4)
    label = "tier.falaj.dev/batch"

    def refused() -> bool:
        try:
            developer.batch.create_namespaced_job("nlp", job("next", 4, "batch"), dry_run="All")
        except ApiException:
            return True
        return False

    cluster.core.patch_namespace("nlp", {"metadata": {"labels": {label: None}}})
    try:
        # What admits follows the namespaces a moment later.
        cluster.until(refused, lambda: "the tier is taken away")
        developer.batch.patch_namespaced_job("job", "nlp", {"metadata": {"annotations": {"note": "kept"}}})
        message = refused_by(lambda: developer.submit("nlp", "next", 4, "batch"))
        assert "must be a tier that namespace nlp may use, among scavenger (got 'batch')" in message
        settles(cluster, nlp=4)
    finally:
        cluster.core.patch_namespace("nlp", {"metadata": {"labels": {label: "allowed"}}})
        cluster.until(lambda: not refused(), lambda: "the tier is given back")


def test_nobody_passes_the_queue_by_claiming_to_belong_to_work_that_was_let_in(cluster, developer):
    cluster.submit("nlp", "job", 4, "batch", selector=H200)
    settles(cluster, nlp=4)
    let_in = cluster.batch.read_namespaced_job("job", "nlp")
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": "job",
        "uid": let_in.metadata.uid,
        "controller": True,
    }
    pod = {"metadata": {"name": "extra", "ownerReferences": [owner]}, "spec": pod_spec(4, H200)}
    said = "metadata.ownerReferences must be left out: controllers set it, and what belongs to other work does not wait"
    for attempt in (
        lambda: developer.core.create_namespaced_pod("nlp", pod),
        lambda: developer.submit("nlp", "extra", 4, "batch", owners=[owner]),
    ):
        assert f"{said} (got 'Job/job')" in refused_by(attempt)


def test_nobody_takes_the_queue_s_gate_off_a_pod(full, developer):
    fill(full, "nlp", 8, name="more")
    waiting = {"metadata": {"name": "waiting"}, "spec": pod_spec(8, H200)}
    developer.core.create_namespaced_pod("nlp", waiting)
    try:
        gates = developer.core.read_namespaced_pod("waiting", "nlp").spec.scheduling_gates
        assert "kueue.x-k8s.io/admission" in {gate.name for gate in gates}
        free = {"spec": {"schedulingGates": None}}
        message = refused_by(lambda: developer.core.patch_namespaced_pod("waiting", "nlp", free))
        assert "spec.schedulingGates must keep kueue.x-k8s.io/admission" in message
    finally:
        full.core.delete_namespaced_pod("waiting", "nlp")


def test_nobody_but_the_platform_changes_what_kueue_made_of_work(cluster, developer):
    cluster.submit("nlp", "job", 4, "batch", selector=H200)
    settles(cluster, nlp=4)
    name = cluster.workloads("nlp")["job"]["metadata"]["name"]
    where = ("kueue.x-k8s.io", "v1beta2", "nlp", "workloads", name)
    raised = {"spec": {"priority": 3900}}
    attempts = (
        lambda: developer.custom.patch_namespaced_custom_object(*where, raised),
        lambda: developer.custom.patch_namespaced_custom_object_status(*where, {"status": {"conditions": []}}),
        lambda: developer.custom.delete_namespaced_custom_object(*where),
    )
    for attempt in attempts:
        assert "workloads must be left to the platform: change the work itself, or its tier (got 'dana')" in refused_by(
            attempt
        )
    queue = ("kueue.x-k8s.io", "v1beta2", "nlp", "localqueues")
    mine = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "LocalQueue",
        "metadata": {"name": "mine"},
        "spec": {"clusterQueue": "vision"},
    }
    message = refused_by(lambda: developer.custom.create_namespaced_custom_object(*queue, mine))
    assert "localqueues must be left to the platform" in message


def test_the_policies_are_sound_to_the_api_server(example):
    told = json.loads(example.run("kubectl", "get", "validatingadmissionpolicies", "-o", "json").stdout)["items"]
    ours = [each for each in told if each["metadata"]["name"].startswith("falaj-queues-")]
    assert len(ours) == 4
    for each in ours:
        assert each["status"]["typeChecking"] == {}, each["metadata"]["name"]
