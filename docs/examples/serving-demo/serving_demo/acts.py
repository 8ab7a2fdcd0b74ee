"""The acts of the demonstration: a version is published under load, and Argo decides about it."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from falaj.lab.errors import LabError
from falaj.lab.progress import Task
from falaj.training.errors import TrainingError
from falaj.training.serving.cluster import Cluster
from falaj.training.serving.standing import Standing, standing
from serving_demo.models import Keys
from serving_demo.stage import SERVICE, Stage
from serving_demo.traffic import FAILED, Traffic, connected, infer

PATIENCE = 300.0
"""Seconds after which what was to be decided was not."""
POLL = 0.5
LIMIT = re.compile(r"result\[0\] ([<>]=) ([\d.e+-]+)")
DECISIONS = ("served", "refused")
"""What the audit log calls Argo's decisions."""
SIGNS = {"<=": "≤", ">=": "≥"}

Outcome = Literal["promoted", "refused", "undecided"]


@dataclass(frozen=True)
class Judged:
    """What was decided about one version."""

    version: int
    what: str
    """What was done to make it, in a few words."""
    wanted: Outcome
    outcome: Outcome
    published: float
    """When it was published, in seconds since the traffic began, as all times here."""
    decided: float
    """When Argo had decided."""
    why: str
    """The figure that refused it, with its limit; empty where none did."""


class Watch:
    """Looks at the service twice a second, for the report: which share the new version has."""

    def __init__(self, stage: Stage, traffic: Traffic) -> None:
        self._cluster = Cluster(SERVICE, kubeconfig=Path(stage.lab.env["KUBECONFIG"]))
        self._traffic = traffic
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.last: Standing | None = None
        """How the service stood when it was looked at last."""
        self.weights: list[tuple[float, int]] = []
        """When the new version's share changed, and to how many percent."""
        self.analyses: dict[str, Any] = {}
        """Every analysis that Argo made, by its name, as it was seen last."""

    def begin(self) -> None:
        """Begin to look."""
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(60)

    def until(self, true: Callable[[Standing], bool], task: Task) -> bool:
        """Wait until the service stands so; return whether it did within ``PATIENCE``."""
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE:
            task.progress.wait(POLL)
            self._traffic.check()
            if self.last is not None:
                if true(self.last):
                    return True
                task.update(min(0.95, (time.monotonic() - began) / task.seconds), self._in_words(self.last))
        return False

    def _in_words(self, found: Standing) -> str:
        share = f", {found.weight} % of the traffic" if found.weight else ""
        told = f"version {found.canary.version} is tried{share}" if found.canary else "one version alone"
        return f"{told}; {len(self._traffic.answers)} answers so far"

    def _look(self) -> None:
        while not self._end.wait(POLL):
            try:
                found = standing(self._cluster)
            except TrainingError:
                continue  # asked again; who waits for it has a deadline
            share = found.weight or 0
            if not self.weights or self.weights[-1][1] != share:
                self.weights.append((self._traffic.now(), share))
            about = found.canary or found.stable
            version = about.version if about else None
            self.analyses |= {each.name: {"version": version, **asdict(each)} for each in found.analyses}
            self.last = found


def await_first_answer(stage: Stage, row: Any, task: Task) -> None:
    """Wait until the gateway lets the client in and the first version answers; ``row`` is asked about."""
    began = time.monotonic()
    found = ""
    while time.monotonic() - began < PATIENCE:
        task.progress.wait(POLL)
        task.update(min(0.95, (time.monotonic() - began) / task.seconds), "the pod fetches, verifies and loads")
        try:
            port = stage.gateway_port
        except (OSError, KeyError):
            found = "the gateway has opened no port"
            continue
        with connected(port, stage.folder) as asking:
            status, version, _ = infer(asking, row)
        if status == 200 and version == 1:
            return
        found = f"the gateway answers {status}" if status != FAILED else "the gateway gives no answer"
    raise LabError(f"the first version did not answer within {PATIENCE:.0f} s: {found}; {stage.pods()}")


def await_record(stage: Stage, version: int, task: Task) -> None:
    """Wait until the service's recorder has written down what was decided; it looks every few seconds."""
    began = time.monotonic()
    while not any(each.get("version") == version and each["what"] in DECISIONS for each in stage.audit()):
        if time.monotonic() - began > PATIENCE:
            raise LabError(f"nobody wrote down what became of version {version} within {PATIENCE:.0f} s")
        task.update(0.97, "the recorder writes the decision down")
        task.progress.wait(2 * POLL)


@dataclass(frozen=True)
class Stand:
    """A running service, the clients that ask it, and who looks on."""

    stage: Stage
    traffic: Traffic
    watch: Watch

    def act(self, folder: Path, what: str, wanted: Outcome, *, keys: Keys, task: Task) -> Judged:
        """Publish the model in ``folder``, of which ``what`` is said, and wait for Argo's decision."""
        published = self.traffic.now()
        version = int(self.stage.publish(folder, keys, tried=True)["version"])
        self.watch.until(lambda found: decision(found, version) != "undecided", task)
        outcome = decision(self.watch.last, version) if self.watch.last else "undecided"
        decided = self.traffic.now()
        if outcome != "undecided":
            await_record(self.stage, version, task)
        why = "" if outcome != "refused" else reason(self.watch.last, limits(self.stage))
        task.finish(f"version {version} is {outcome}{f' ({why})' if why else ''}")
        return Judged(version, what, wanted, outcome, published, decided, why)


def decision(found: Standing, version: int) -> Outcome:
    """Return what was decided about the version that was published last; of earlier ones this says nothing."""
    if found.wanted_version != version:
        return "undecided"
    if found.phase == "Healthy" and found.canary is None and found.stable and found.stable.version == version:
        return "promoted"
    tried = found.canary is not None and found.canary.version == version
    return "refused" if tried and found.aborted and found.phase == "Degraded" and not found.weight else "undecided"


def reason(found: Standing | None, limit: Mapping[str, str]) -> str:
    """Return which figure refused the version that was tried: its last number, and the limit."""
    for analysis in reversed(found.analyses if found else ()):
        for metric in analysis.metrics:
            if metric.phase in ("Failed", "Error"):
                number = metric.values[-1].strip("[]") if metric.values else "no number"
                return f"{metric.name} {rounded(number)}, wanted {limit.get(metric.name, 'a number')}"
    return found.message if found else "nobody saw why"


def limits(stage: Stage) -> dict[str, str]:
    """Return the limit of each figure, as the service's AnalysisTemplate has it."""
    conditions = {each["name"]: each["successCondition"] for each in analysis_template(stage)["spec"]["metrics"]}
    return {
        name: " and ".join(f"{SIGNS[sign]} {limit}" for sign, limit in LIMIT.findall(condition))
        for name, condition in conditions.items()
    }


def analysis_template(stage: Stage) -> dict[str, Any]:
    """Return the service's AnalysisTemplate."""
    from kubernetes import client, config  # noqa: PLC0415

    api: Any = client.CustomObjectsApi(config.new_client_from_config(stage.lab.env["KUBECONFIG"]))
    namespace, name = SERVICE.split("/")
    return api.get_namespaced_custom_object("argoproj.io", "v1alpha1", namespace, "analysistemplates", name)


def rounded(number: str) -> str:
    """Return a number of Prometheus as people read it; anything else as it is."""
    try:
        return f"{float(number):.4g}"
    except ValueError:
        return number
