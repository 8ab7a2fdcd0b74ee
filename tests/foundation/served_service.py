"""A service under one of the strategies, in a lab of its own, and what Argo makes of its versions."""

import json
import math
import urllib.request
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples import Example
from gpu_cluster import GpuCluster
from served_world import ARGO, GATEWAY, NAME, TEAM, USER, Front, Publisher, infer_once

from falaj.lab.serving.nodes import NODES_SETTING
from falaj.lab.state import Lab
from falaj.lab.testing import RunningLab, temporary_lab

SERVICES = ["kwok", "kube-scheduler", "kube-controller-manager", "moto"]
READY, TAKEN_OVER = 180.0, 240.0
BAD = 2
"""Bad measurements of one figure after which a version goes back: the analysis tolerates one."""


@dataclass(frozen=True)
class Served:
    """The lab, the service in it, its publisher and its clients."""

    lab: RunningLab
    cluster: GpuCluster
    publisher: Publisher
    front: Front

    def up(self, name: str, program: str, **config: str) -> Example:
        """Publish a first version and serve it as an example says; ``config`` is more of that one's configuration."""
        first = self.publisher.publish(program, "-".join(["first", *config.values()]), tried=False)
        example = Example(self.lab, name)
        example.up(
            lab="true",
            version=str(first["version"]),
            digest=first["manifest_digest"],
            store=self.publisher.store,
            key=self.publisher.key,
            prometheus=f"http://127.0.0.1:{Lab(self.lab.root).ports()['prometheus']}",
            **{"public-key": self.publisher.public_key},
            **config,
        )
        self.reaches("Healthy", READY)
        self.until(self.answers, READY)
        return example

    def answers(self) -> bool:
        """Say whether a client gets an answer."""
        try:
            return infer_once(self.front.client(USER))[0] == 200
        except OSError:
            return False

    def rollout(self) -> Any:
        """Return the Rollout."""
        return self.cluster.custom.get_namespaced_custom_object(*ARGO, TEAM, "rollouts", NAME)

    def runs(self) -> list[Any]:
        """Return the analyses that Argo made, the oldest first."""
        found = self.cluster.custom.list_namespaced_custom_object(*ARGO, TEAM, "analysisruns")["items"]
        return sorted(found, key=lambda each: each["metadata"]["creationTimestamp"])

    def pods(self) -> list[Any]:
        """Return the service's pods."""
        chosen = f"app.kubernetes.io/name=triton,app.kubernetes.io/instance={NAME}"
        return self.cluster.core.list_namespaced_pod(TEAM, label_selector=chosen).items

    def answered(self, pod: Any) -> float:
        """Return how many requests a pod's process has answered, by its own metrics."""
        with urllib.request.urlopen(f"http://{pod.status.pod_ip}:8002/metrics", timeout=60) as metrics:
            lines = metrics.read().decode().splitlines()
        return sum(float(each.split()[-1]) for each in lines if each.startswith("nv_inference_request_success{"))

    def share(self) -> int:
        """Return the percentage of requests that the new version has."""
        route = self.cluster.custom.get_namespaced_custom_object(*GATEWAY, TEAM, "httproutes", NAME)
        return {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}[f"{NAME}-canary"]

    def reaches(self, phase: str, within: float) -> None:
        """Wait until Argo says this of the newest version."""

        def there() -> bool:
            found = self.rollout()
            status = found.get("status", {})
            seen = str(found["metadata"]["generation"]) == status.get("observedGeneration")
            return seen and status.get("phase") == phase

        self.until(there, within)

    def until(self, true: Callable[[], bool], within: float = READY) -> None:
        """Wait until something is true; else what explains a service that does not get on is the message."""
        self.cluster.until(true, self._how_it_is, within)

    def shorten_soak(self) -> None:
        """Have a version that all see be measured four times: the shortest soak of the component is a minute."""
        named = (*ARGO, TEAM, "rollouts", NAME)
        measured = self.rollout()["spec"]["strategy"]["blueGreen"]["postPromotionAnalysis"]
        for each in measured["args"]:
            if each["name"] == "measurements":
                each["value"] = "4"
        changed = {"spec": {"strategy": {"blueGreen": {"postPromotionAnalysis": measured}}}}
        self.cluster.custom.patch_namespaced_custom_object(*named, changed)

    def forgive_slowness(self) -> None:
        """Have versions judged by what they answer: on a busy machine, how late it comes is not the model's doing."""
        named = (*ARGO, TEAM, "analysistemplates", NAME)
        metrics = self.cluster.custom.get_namespaced_custom_object(*named)["spec"]["metrics"]
        for each in metrics:
            each["successCondition"] = each["successCondition"].replace("<= 1000", "<= 30000")
        self.cluster.custom.patch_namespaced_custom_object(*named, {"spec": {"metrics": metrics}})

    def decided_by(self, figure: str) -> Any:
        """Return what the last analysis measured of a figure, which has to be why its version was refused."""
        run = self.runs()[-1]["status"]
        assert run["phase"] == "Failed", json.dumps(run)
        (found,) = (each for each in run["metricResults"] if each["name"] == figure)
        assert found["phase"] == "Failed", json.dumps(run)
        return found

    def _how_it_is(self) -> str:
        states = [f"{each.status.init_container_statuses} {each.status.container_statuses}" for each in self.pods()]
        return "\n".join([json.dumps(each.get("status")) for each in (self.rollout(), *self.runs())] + states)


@contextmanager
def serving(folder: Path, *, nodes: int = 1) -> Generator[Served]:
    """Run a lab that serves, with a publisher, a gateway and its clients."""
    known = Lab(folder / "state")
    known.create()
    known.remember(NODES_SETTING, str(nodes))
    with temporary_lab(known.root, only=SERVICES, serving=True) as lab:
        cluster = GpuCluster(lab)
        places = [folder / name for name in ("publisher", "clients")]
        for place in places:
            place.mkdir()
        yield Served(lab, cluster, Publisher.new(lab, places[0]), Front.new(lab, cluster, places[1]))


def is_at_most(percent: float, wrong: Sequence[bool]) -> bool:
    """Say whether so many wrong answers are this share of those from the first wrong one to the last.

    Chance is allowed four standard deviations, and the first and the last one, which are wrong by their choice.
    """
    first, last = wrong.index(True), len(wrong) - wrong[::-1].index(True)
    mean = (last - first) * percent / 100
    return sum(wrong) <= mean + 4 * math.sqrt(mean * (1 - percent / 100)) + 2
