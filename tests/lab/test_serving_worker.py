"""One pod of the lab's node, with an API server that is a dictionary: what is told of it, and what is left behind."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from falaj.lab.serving import containers, pods
from falaj.lab.serving.addresses import Addresses
from falaj.lab.serving.events import Events
from falaj.lab.serving.node_api import NOT_FOUND, RefusedError
from falaj.lab.serving.pods import Place, Worker
from falaj.lab.serving.preparation import Machine
from falaj.lab.serving.sessions import Sessions
from falaj.lab.state import Lab

DEADLINE = 40.0
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pods as processes need Linux")

SLEEPS = "import time; time.sleep(600)"
Manifest = dict[str, Any]


class Cluster:
    """An API server that knows one pod, some config maps, and what happened."""

    node_name = "processes"

    def __init__(self, pod: Manifest):
        self.pod, self.events, self.deleted = pod, list[Manifest](), False
        self.config_maps: dict[str, Manifest] = {}
        self.silent = False

    async def get(self, path: str) -> Manifest:
        found = self.config_maps.get(path.rpartition("/")[2])
        if found is None:
            raise RefusedError(NOT_FOUND, f"{path} not found")
        return found

    async def call(self, method: str, path: str, body: Manifest, **_: str) -> Manifest:
        if self.silent:
            raise TimeoutError
        if method == "POST":
            self.events.append(body)
        elif method == "DELETE":
            assert body["preconditions"] == {"uid": "u1"}
            self.deleted = True
        else:
            assert path == "/api/v1/namespaces/vision/pods/web/status"
            self.pod = {**self.pod, "status": {**self.pod.get("status", {}), **json.loads(json.dumps(body["status"]))}}
        return self.pod

    @property
    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.events]

    def container(self) -> Manifest:
        return self.pod.get("status", {}).get("containerStatuses", [{"state": {}}])[0]

    def is_ready(self) -> bool:
        told = self.pod.get("status", {}).get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in told)


def pod(code: str = SLEEPS, *, policy: str = "Always", volumes: list[Manifest] | None = None) -> Manifest:
    main = {"name": "main", "image": "falaj/python", "args": ["-c", code]}
    spec = {"containers": [main], "restartPolicy": policy, "volumes": volumes or []}
    return {"metadata": {"name": "web", "namespace": "vision", "uid": "u1"}, "spec": spec}


Story = Callable[[Cluster, Worker], Awaitable[None]]


def told(folder: Path, cluster: Cluster, story: Story) -> Place:
    """Run a worker of the cluster's pod until it has left, while the story is told; return what it had."""

    async def all_of_it() -> Place:
        for name in ("pods", "sessions", "logs", "lab"):
            (folder / name).mkdir(exist_ok=True)
        lab = Lab(folder / "lab")
        lab.allocate_ports(["kube-apiserver"])
        async with aiohttp.ClientSession() as session, asyncio.timeout(DEADLINE):
            api: Any = cluster
            machine = Machine(lab, api, Events(api), Sessions(folder / "sessions"), session, folder / "logs")
            place = Place(machine, Addresses(folder / "pods" / "addresses.json"), folder / "pods")
            worker = Worker(place, cluster.pod)
            running = asyncio.create_task(worker.run())
            await story(cluster, worker)
            await running
        return place

    return asyncio.run(all_of_it())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.02)


def deleted(cluster: Cluster, grace: float) -> Manifest:
    metadata = {**cluster.pod["metadata"], "deletionTimestamp": "now", "deletionGracePeriodSeconds": grace}
    return {**cluster.pod, "metadata": metadata}


def test_a_pod_is_told_of_from_its_start_to_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    async def story(cluster: Cluster, worker: Worker) -> None:
        await until(cluster.is_ready)
        assert (tmp_path / "pods" / "u1").is_dir()
        assert cluster.pod["status"]["podIP"] in (tmp_path / "pods" / "addresses.json").read_text()
        worker.update(deleted(cluster, 20))

    cluster = Cluster(pod())
    told(tmp_path, cluster, story)
    assert cluster.deleted
    assert "terminated" in cluster.container()["state"]
    assert not cluster.is_ready()
    assert cluster.reasons == ["Started", "Killing"]
    assert [path.name for path in (tmp_path / "pods").iterdir()] == ["addresses.json"]
    assert (tmp_path / "pods" / "addresses.json").read_text() == "{}"
    assert not list((tmp_path / "sessions").iterdir())


def test_a_pod_that_is_gone_already_is_ended_without_a_word(tmp_path: Path) -> None:
    async def story(cluster: Cluster, worker: Worker) -> None:
        await until(cluster.is_ready)
        worker.end(0, gone=True)

    cluster = Cluster(pod())
    told(tmp_path, cluster, story)
    assert not cluster.deleted
    assert not list((tmp_path / "sessions").iterdir())


def test_a_shorter_grace_takes_the_place_of_a_longer_one(tmp_path: Path) -> None:
    async def story(cluster: Cluster, worker: Worker) -> None:
        await until(lambda: (tmp_path / "logs" / "vision_web_main.log").read_text() == "up\n")
        worker.update(deleted(cluster, 600))
        await until(lambda: "Killing" in cluster.reasons)
        worker.update(deleted(cluster, 0))

    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "vision_web_main.log").touch()
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); " + SLEEPS
    cluster = Cluster(pod(stubborn))
    told(tmp_path, cluster, story)
    assert cluster.container()["state"]["terminated"]["exitCode"] == 137


def test_a_pod_waits_for_a_volume_that_is_not_there_yet_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pods, "RETRY", 0.05)

    async def story(cluster: Cluster, worker: Worker) -> None:
        await until(lambda: cluster.container()["state"].get("waiting", {}).get("message"))
        assert "configMap words" in cluster.container()["state"]["waiting"]["message"]
        assert cluster.pod["status"]["phase"] == "Pending"
        cluster.config_maps["words"] = {"data": {"word": "model"}}
        await until(cluster.is_ready)
        assert (tmp_path / "pods" / "u1" / "volumes" / "w" / "word").read_text() == "model"
        worker.update(deleted(cluster, 20))

    cluster = Cluster(pod(volumes=[{"name": "w", "configMap": {"name": "words"}}]))
    told(tmp_path, cluster, story)
    assert cluster.reasons.count("FailedMount") == 1


def test_an_api_server_that_does_not_answer_hears_of_it_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "RETRY", 0.05)

    async def story(cluster: Cluster, worker: Worker) -> None:
        cluster.silent = True
        await until(lambda: list((tmp_path / "sessions").iterdir()))
        assert "status" not in cluster.pod
        cluster.silent = False
        await until(cluster.is_ready)
        cluster.silent = True
        worker.update(deleted(cluster, 20))
        await until(lambda: not list((tmp_path / "sessions").iterdir()))
        assert not cluster.deleted
        cluster.silent = False

    cluster = Cluster(pod())
    told(tmp_path, cluster, story)
    assert cluster.deleted


@pytest.mark.parametrize(("code", "phase"), [("raise SystemExit(0)", "Succeeded"), ("raise SystemExit(4)", "Failed")])
def test_a_pod_that_may_not_be_started_again_ends_and_is_kept_until_it_is_deleted(
    tmp_path: Path, code: str, phase: str
) -> None:
    async def story(cluster: Cluster, worker: Worker) -> None:
        await until(lambda: cluster.pod.get("status", {}).get("phase") == phase)
        assert not cluster.deleted
        worker.update(deleted(cluster, 20))

    cluster = Cluster(pod(code, policy="Never"))
    told(tmp_path, cluster, story)
    assert cluster.deleted


def test_the_next_kubelet_starts_a_pod_again_at_the_same_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "SHORTEST", 0.05)
    (tmp_path / "pods" / "u1").mkdir(parents=True)
    (tmp_path / "pods" / "addresses.json").write_text(json.dumps({"u1": "127.1.2.3"}))
    running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    known = {"name": "main", "state": running, "restartCount": 4, "containerID": "process://1", "ready": True}
    cluster = Cluster(pod() | {"status": {"containerStatuses": [known], "startTime": "then"}})

    async def story(cluster: Cluster, worker: Worker) -> None:
        await until(lambda: cluster.container()["restartCount"] == 5 and cluster.is_ready())
        assert cluster.container()["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
        assert (cluster.pod["status"]["podIP"], cluster.pod["status"]["startTime"]) == ("127.1.2.3", "then")
        worker.update(deleted(cluster, 20))

    told(tmp_path, cluster, story)
