"""Kueue in the lab: its types and webhooks from its own module, called by URL, for the work of tenants alone."""

import base64
import itertools
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import yaml

from falaj.lab import kueue
from falaj.lab.certificates import ensure_certificates
from falaj.lab.loopback import ask
from falaj.lab.services import prepare, remember_only
from falaj.lab.state import Lab
from falaj.lab.table import find
from falaj.lab.testing import RunningLab, temporary_lab

MANIFEST = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: mutating-webhook-configuration}
webhooks:
- name: mjob.kb.io
  clientConfig: {service: {name: webhook-service, namespace: system, path: /mutate-batch-v1-job}}
  rules: [{apiGroups: [batch], apiVersions: [v1], operations: [CREATE], resources: [jobs]}]
- name: mrayjob.kb.io
  clientConfig: {service: {name: webhook-service, namespace: system, path: /mutate-ray-io-v1-rayjob}}
  rules: [{apiGroups: [ray.io], apiVersions: [v1], operations: [CREATE], resources: [rayjobs]}]
- name: mworkload.kb.io
  clientConfig: {service: {name: webhook-service, namespace: system, path: /mutate-kueue}}
  rules: [{apiGroups: [kueue.x-k8s.io], apiVersions: [v1beta2], operations: [CREATE], resources: [workloads]}]
"""


def test_webhooks_are_called_by_url_and_only_for_kinds_of_work_that_kueue_manages(tmp_path: Path) -> None:
    (tmp_path / "manifests.yaml").write_text(MANIFEST)
    (made,) = kueue.webhooks(tmp_path / "manifests.yaml", "https://127.0.0.1:1", "Y2E=")
    assert made["metadata"]["name"] == "kueue-mutating"
    assert {each["name"]: each["clientConfig"]["url"] for each in made["webhooks"]} == {
        "mjob.kb.io": "https://127.0.0.1:1/mutate-batch-v1-job",
        "mworkload.kb.io": "https://127.0.0.1:1/mutate-kueue",
    }


def test_work_of_namespaces_that_are_no_tenants_does_not_depend_on_kueue(tmp_path: Path) -> None:
    (tmp_path / "manifests.yaml").write_text(MANIFEST)
    (made,) = kueue.webhooks(tmp_path / "manifests.yaml", "https://127.0.0.1:1", "Y2E=")
    selectors = {each["name"]: each.get("namespaceSelector") for each in made["webhooks"]}
    of_tenants = {"matchExpressions": [{"key": "falaj.dev/tenant", "operator": "Exists"}]}
    assert selectors == {"mjob.kb.io": of_tenants, "mworkload.kb.io": None}


def test_of_a_definition_the_stored_version_alone_is_served() -> None:
    versions = "  - name: v1\n    served: true\n    storage: false\n  - name: v2\n    served: true\n    storage: true\n"
    text = f"---\nkind: CustomResourceDefinition\nspec:\n  versions:\n{versions}"
    made = yaml.safe_load(kueue.current(text))
    assert [(each["name"], each["served"]) for each in made["spec"]["versions"]] == [("v1", False), ("v2", True)]


def test_what_kueue_reads_is_the_committed_configuration_on_loopback(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    prepare(lab)
    ensure_certificates(lab, lab.ports()["kube-apiserver"])
    words = kueue.command(lab, {"kueue": Path("/tools/kueue")})
    read = json.loads(Path(words[1].partition("=")[2]).read_text())
    written = yaml.safe_load(kueue.CONFIGURATION.read_text())
    gates = written.pop("featureGates")
    assert {name: read[name] for name in written} == written
    assert {name: read["featureGates"][name] for name in gates} == gates
    assert read["webhook"]["host"] == "127.0.0.1"
    assert read["metrics"]["bindAddress"].startswith("127.0.0.1:")


@pytest.mark.lab
def test_the_types_come_with_the_program(lab: RunningLab) -> None:
    folder = find("kueue").cached.parent / "data" / "config" / "components"
    assert (folder / "crd" / "bases" / "kueue.x-k8s.io_workloads.yaml").is_file()
    served = lab.run("exec", "--", "kubectl", "get", "crd", "-o", "name").stdout
    assert "customresourcedefinition.apiextensions.k8s.io/workloads.kueue.x-k8s.io" in served


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    only = ["kueue", "kwok", "kube-scheduler", "kube-controller-manager"]
    with temporary_lab(tmp_path_factory.mktemp("kueue") / "state", only=only) as running:
        yield running


def queue(name: str, local: str, flavor: str = "gpu", gpus: int = 8, displaces: str = "Never") -> str:
    """Return a cluster queue and the tenant's queue to it, each with the line that follows a manifest."""
    return f"""
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {{name: {name}}}
spec:
  namespaceSelector: {{}}
  preemption: {{withinClusterQueue: {displaces}}}
  resourceGroups:
  - coveredResources: [nvidia.com/gpu]
    flavors: [{{name: {flavor}, resources: [{{name: nvidia.com/gpu, nominalQuota: {gpus}}}]}}]
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {{name: {local}, namespace: vision}}
spec: {{clusterQueue: {name}}}
---
"""


TENANT = """
{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "vision", "labels": {"falaj.dev/tenant": "vision"}}}
---
{"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "gpu"}}
---
apiVersion: v1
kind: Node
metadata: {name: node-a, annotations: {kwok.x-k8s.io/node: fake}}
status: {allocatable: {cpu: "96", memory: 512Gi, pods: "110", nvidia.com/gpu: "8"}, capacity: {cpu: "96"}}
---
"""
QUEUE = TENANT + queue("vision", "default")
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: NAME, namespace: NAMESPACE}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: main, image: none, resources: {requests: {cpu: "90", memory: 1Gi}, limits: {nvidia.com/gpu: "GPUS"}}}
"""


def job(name: str, gpus: int, namespace: str = "vision") -> str:
    return JOB.replace("NAMESPACE", namespace).replace("NAME", name).replace("GPUS", str(gpus))


def kubectl(lab: RunningLab, tmp_path: Path, manifest: str, *arguments: str) -> None:
    path = tmp_path / "manifest.yaml"
    path.write_text(manifest)
    lab.run("exec", "--", "kubectl", "apply", "--server-side", "-f", str(path), *arguments)


@pytest.mark.lab
def test_a_job_waits_for_its_share_and_is_done_when_it_has_it(lab: RunningLab, tmp_path: Path) -> None:
    kubectl(lab, tmp_path, QUEUE)
    wait = ("exec", "--", "kubectl", "wait", "--timeout=60s", "-n", "vision")
    lab.run(*wait, "localqueue/default", "--for=condition=Active")
    kubectl(lab, tmp_path, job("fits", 8))
    kubectl(lab, tmp_path, job("never-fits", 9))
    lab.run(*wait, "job/fits", "--for=condition=Complete")
    deadline = monotonic() + 60
    while not any("insufficient quota for nvidia.com/gpu in flavor gpu" in each for each in said(lab, "never-fits")):
        assert monotonic() < deadline, said(lab, "never-fits")
        sleep(0.2)


def works_of(lab: RunningLab) -> list[dict[str, Any]]:
    """Return the works of Jobs."""
    found = lab.run("exec", "--", "kubectl", "get", "workloads", "-n", "vision", "-o", "json").stdout
    return [each for each in json.loads(found)["items"] if each["metadata"].get("ownerReferences")]


def said(lab: RunningLab, name: str) -> list[str]:
    """Return what the conditions of a Job's work say."""
    return [
        condition["message"]
        for each in works_of(lab)
        if each["metadata"]["ownerReferences"][0]["name"] == name
        for condition in each.get("status", {}).get("conditions", [])
    ]


@pytest.mark.lab
def test_work_outside_tenants_needs_no_queue(lab: RunningLab, tmp_path: Path) -> None:
    kubectl(lab, tmp_path, job("free", 1, namespace="default"))
    lab.run("exec", "--", "kubectl", "wait", "--timeout=60s", "job/free", "--for=condition=Complete")


DONE = """
apiVersion: v1
kind: Node
metadata: {name: node-b, labels: {zone: a}, annotations: {kwok.x-k8s.io/node: fake}}
status: {allocatable: {pods: "110", nvidia.com/gpu: "8"}, capacity: {pods: "110"}}
---
{apiVersion: kueue.x-k8s.io/v1beta2, kind: Topology, metadata: {name: near}, spec: {levels: [{nodeLabel: zone}]}}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: near}
spec: {nodeLabels: {zone: a}, topologyName: near}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: Workload
metadata: {name: done, namespace: vision}
spec:
  active: false
  queueName: near
  podSets:
  - name: main
    count: 2
    topologyRequest: {preferred: zone}
    template:
      spec:
        restartPolicy: Never
        containers: [{name: main, image: none, resources: {requests: {nvidia.com/gpu: "4"}}}]
"""


@pytest.mark.lab
def test_work_whose_pods_were_all_done_when_it_was_displaced_is_let_in_again(lab: RunningLab, tmp_path: Path) -> None:
    kubectl(lab, tmp_path, QUEUE + queue("near", "near", flavor="near") + DONE)
    of_it = ("exec", "--", "kubectl", "-n", "vision")
    merge = ("workload/done", "--type=merge", "-p")
    ended = {"status": {"reclaimablePods": [{"name": "main", "count": 2}]}}
    lab.run(*of_it, "patch", "--subresource=status", *merge, json.dumps(ended))
    lab.run(*of_it, "patch", *merge, json.dumps({"spec": {"active": True}}))
    # Kueue 0.17.0 tried for ever: it wrote a placement of no pods, which the API server does not take.
    lab.run(*of_it, "wait", "workload/done", "--for=condition=QuotaReserved", "--timeout=60s")


def asked(lab: RunningLab, *what: str) -> list[dict[str, Any]]:
    """Return the requests whose lines in the audit log have all of this, in order."""
    lines = (lab.root / "logs" / "kube-apiserver-audit.log").read_text().rpartition("\n")[0].splitlines()
    return [json.loads(line) for line in lines if all(each in line for each in what)]


def statuses(lab: RunningLab, kind: str, name: str) -> list[object]:
    """Return what was written as the status of a queue, in order, by the audit log."""
    return [
        each["requestObject"]["status"]
        for each in asked(lab, '"subresource":"status"')
        if each["verb"] == "update" and each["responseStatus"]["code"] == 200
        if (each["objectRef"]["resource"], each["objectRef"]["name"]) == (kind, name)
    ]


@pytest.mark.lab
def test_the_status_of_a_queue_is_written_only_where_it_changed(lab: RunningLab, tmp_path: Path) -> None:
    kubectl(lab, tmp_path, QUEUE)
    of_it = ("exec", "--", "kubectl", "-n", "vision")
    waits = (*of_it, "wait", "localqueue/default", "clusterqueue/vision", "--timeout=60s")
    lab.run(*of_it, "delete", "jobs,workloads", "--all")  # a Job that is gone leaves its work to be collected
    kubectl(lab, tmp_path, job("waits", 9))
    lab.run(*waits, "--for=jsonpath={.status.pendingWorkloads}=1")
    for time in range(3):  # Kueue looks at both queues with each change of the work
        lab.run(*of_it, "annotate", "--overwrite", "workloads", "--all", f"looked-at={time}")
    lab.run(*of_it, "delete", "job", "waits")
    lab.run(*waits, "--for=jsonpath={.status.pendingWorkloads}=0")
    for queue in (("localqueues", "default"), ("clusterqueues", "vision")):
        written = statuses(lab, *queue)
        assert written
        assert [one for one, next_one in itertools.pairwise(written) if one == next_one] == []


def changes(lab: RunningLab, name: str) -> list[int]:
    """Return the answers to Kueue's changes of a Job, in order, by the audit log."""
    return [
        each["responseStatus"]["code"]
        for each in asked(lab, '"resource":"jobs"', kueue.USER)
        if (each["verb"], each["objectRef"].get("name"), each["objectRef"].get("subresource")) == ("patch", name, None)
        if each["responseStatus"]["code"] != 409  # it did not know yet what it had changed before
    ]


@pytest.mark.lab
def test_a_job_that_was_displaced_is_changed_once_its_pods_have_gone_and_no_more_while_it_waits(
    lab: RunningLab, tmp_path: Path
) -> None:
    kubectl(lab, tmp_path, QUEUE)
    of_it = ("exec", "--", "kubectl", "-n", "vision")
    lab.run(*of_it, "delete", "jobs", "--all")
    stays = "metadata: {annotations: {pod-complete.stage.kwok.x-k8s.io/delay: 600s}}"
    kubectl(lab, tmp_path, job("displaced", 4).replace("template:\n", f"template:\n    {stays}\n"))
    lab.run(*of_it, "wait", "job/displaced", "--for=jsonpath={.status.ready}=1", "--timeout=60s")
    found = json.loads(lab.run(*of_it, "get", "workloads", "-o", "json").stdout)["items"]
    owned = {owner["name"]: each for each in found for owner in each["metadata"].get("ownerReferences", [])}
    workload = f"workload/{owned['displaced']['metadata']['name']}"
    lab.run(*of_it, "patch", workload, "--type=merge", "-p", json.dumps({"spec": {"active": False}}))
    lab.run(*of_it, "wait", workload, "--for=condition=QuotaReserved=false", "--timeout=60s")
    until_now = changes(lab, "displaced")
    assert 200 in until_now
    assert 422 not in until_now, "Kubernetes refuses to change the pods of a Job that still has some"

    for time in range(3):  # Kueue looks at the Job with each change of its Workload
        lab.run(*of_it, "annotate", "--overwrite", workload, f"looked-at={time}")
    kubectl(lab, tmp_path, job("fits", 8))
    lab.run(*of_it, "wait", "job/fits", "--for=condition=Complete", "--timeout=60s")
    assert changes(lab, "displaced") == until_now


def work(name: str, priority: int, queue: str = "first", gpus: int = 8) -> str:
    """Return work that no Job stands behind: what is displaced of it gives its quota back when it goes."""
    container = {"name": "main", "image": "none", "resources": {"requests": {"nvidia.com/gpu": str(gpus)}}}
    pods = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"queueName": queue, "priority": priority, "podSets": [{"name": "main", "count": 1, "template": pods}]}
    made = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload", "spec": spec}
    return json.dumps(made | {"metadata": {"name": name, "namespace": "vision"}})


@pytest.mark.lab
def test_work_that_displaced_other_work_is_first_of_its_queue_no_longer_than_it_can_be_let_in(
    lab: RunningLab, tmp_path: Path
) -> None:
    of_it = ("exec", "--", "kubectl", "-n", "vision")
    waits = (*of_it, "wait", "--timeout=60s")
    first = queue("first", "first", displaces="LowerPriority")
    kubectl(lab, tmp_path, QUEUE + first + work("displaced", 1))
    lab.run(*waits, "workload/displaced", "--for=condition=QuotaReserved")
    kubectl(lab, tmp_path, work("displaces", 2))
    lab.run(*waits, "workload/displaced", "--for=condition=Evicted")

    kubectl(lab, tmp_path, queue("first", "first", gpus=4, displaces="LowerPriority"))
    more = "previously considered podsets requests (0) + current podset request (8) > maximum capacity (4)"
    why = f"couldn't assign flavors to pod set main: insufficient quota for nvidia.com/gpu in flavor gpu, {more}"
    exceeds = f"--for=jsonpath={{.status.conditions[?(@.type=='QuotaReserved')].message}}={why}"
    lab.run(*waits, "workload/displaces", exceeds)
    lab.run(*of_it, "delete", "workload", "displaced")
    kubectl(lab, tmp_path, work("above", 3))
    lab.run(*waits, "workload/above", exceeds)
    kubectl(lab, tmp_path, first)
    lab.run(*waits, "workload/above", "--for=condition=QuotaReserved")


@pytest.mark.lab
def test_why_work_waits_is_written_once_and_not_anew_with_each_look_at_it(lab: RunningLab, tmp_path: Path) -> None:
    of_it = ("exec", "--", "kubectl", "-n", "vision")
    waits = (*of_it, "wait", "--timeout=60s")
    shared = queue("lends", "lends", gpus=12) + queue("one", "one", gpus=0) + queue("two", "two", gpus=0)
    kubectl(lab, tmp_path, TENANT + shared.replace("spec:\n  namespace", "spec:\n  cohortName: all\n  namespace"))
    kubectl(lab, tmp_path, work("holds", 1, "one", 12))
    lab.run(*waits, "workload/holds", "--for=condition=QuotaReserved")
    later = (work("faster", 3, "one"), work("waits", 2, "two"), work("after", 1, "two", 4))
    kubectl(lab, tmp_path, "\n---\n".join(later))
    why = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor gpu"
    for name, more in (("faster", 8), ("waits", 8), ("after", 4)):
        said = f"{{.status.conditions[?(@.type=='QuotaReserved')].message}}={why}, {more} more needed"
        lab.run(*waits, f"workload/{name}", f"--for=jsonpath={said}")
    # The first of both queues find room; "waits" loses it to "faster", lacks four then, and it is the turn of "after".
    lab.run(*of_it, "delete", "workload", "holds")
    lab.run(*waits, "workload/faster", "workload/after", "--for=condition=QuotaReserved")
    written = [
        condition["message"]
        for each in asked(lab, '"resource":"workloads"', '"subresource":"status"', '"name":"waits"')
        for condition in each["requestObject"]["status"].get("conditions", [])
        if (each["verb"], condition["type"]) == ("patch", "QuotaReserved")
    ]
    assert written == [f"{why}, 8 more needed"]


class Slow:
    """A webhook that the API server asks before it takes an event of Kueue's, and that answers once it is let go."""

    def __init__(self, lab: RunningLab) -> None:
        self.asked, self.now, self.most, self.may = 0, 0, 0, threading.Event()
        counting, slow = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with counting:
                    slow.asked, slow.now, slow.most = slow.asked + 1, slow.now + 1, max(slow.most, slow.now + 1)
                slow.may.wait(25)
                with counting:
                    slow.now -= 1
                review["response"] = {"uid": review["request"]["uid"], "allowed": True}
                answer = json.dumps(review).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                return

        pki = lab.root / "pki"
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pki / "kueue-server.crt", pki / "kueue-server.key")
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        authority = base64.b64encode((pki / "ca.crt").read_bytes()).decode()
        url = f"https://127.0.0.1:{self.server.server_port}/"
        self.manifest = f"""
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: slow}}
webhooks:
- name: slow.falaj.dev
  clientConfig: {{url: "{url}", caBundle: {authority}}}
  rules: [{{apiGroups: ["", events.k8s.io], apiVersions: ["*"], operations: [CREATE], resources: [events]}}]
  matchConditions: [{{name: kueue, expression: "request.userInfo.username == '{kueue.USER}'"}}]
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  timeoutSeconds: 30
"""


@pytest.mark.lab
def test_few_events_are_written_at_the_same_time_and_all_of_them(lab: RunningLab, tmp_path: Path) -> None:
    of_it = ("exec", "--", "kubectl", "-n", "vision")
    kubectl(lab, tmp_path, TENANT + queue("told", "told", gpus=0))
    slow, names = Slow(lab), [f"told-{number}" for number in range(24)]
    deadline = monotonic() + 120
    try:
        kubectl(lab, tmp_path, slow.manifest)
        jobs = (json.dumps(told(name)) for name in names)
        while slow.asked == 0:  # the API server has learned of the webhook
            assert monotonic() < deadline
            kubectl(lab, tmp_path, json.dumps(told(f"first-{monotonic()}".replace(".", "-"))))
        kubectl(lab, tmp_path, "\n---\n".join(jobs))
        while not {*names} <= {each["metadata"]["ownerReferences"][0]["name"] for each in works_of(lab)}:
            assert monotonic() < deadline
            sleep(0.2)
        while slow.most < 8:
            assert monotonic() < deadline, slow.most
            sleep(0.2)
        sleep(2)  # time for more to begin
        assert slow.most == 8
        slow.may.set()
        while not {*names} <= events_of(lab, "CreatedWorkload"):
            assert monotonic() < deadline
            sleep(0.2)
        assert slow.most == 8
    finally:
        slow.may.set()
        lab.run(*of_it, "delete", "validatingwebhookconfiguration", "slow")
        slow.server.shutdown()
        slow.server.server_close()
        lab.run(*of_it, "delete", "jobs", "--all", "--wait=false")


def told(name: str) -> dict[str, Any]:
    """Return a Job of a queue without GPUs."""
    made = yaml.safe_load(job(name, 1))
    made["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "told"}
    return made


def events_of(lab: RunningLab, reason: str) -> set[str]:
    """Return of what there is an event for a reason."""
    found = lab.run("exec", "--", "kubectl", "get", "events.events.k8s.io", "-n", "vision", "-o", "json").stdout
    return {each["regarding"]["name"] for each in json.loads(found)["items"] if each["reason"] == reason}


@pytest.mark.lab
def test_without_kueue_no_webhook_of_it_is_left(lab: RunningLab) -> None:
    state = Lab(lab.root)
    remember_only(state, ["kube-controller-manager"])
    lab.run("down")
    lab.run("up")
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/kueue-mutating"
    assert ask(state, "kube-apiserver", "GET", path, client="bootstrap", timeout=30)[0] == 404
