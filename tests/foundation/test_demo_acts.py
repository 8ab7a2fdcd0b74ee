"""How the demonstration waits for its first version, and reads what Argo decided about one, and why."""

import json
import subprocess
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from typing import Any

import demo_told  # noqa: F401 - it lets the demonstration be found
import pytest
from rich.console import Console
from serving_demo import acts
from serving_demo.acts import await_first_answer, decision, reason
from serving_demo.stage import Stage
from serving_demo.traffic import FAILED

from falaj.lab.errors import LabError
from falaj.lab.progress import Progress, Task
from falaj.lab.testing import RunningLab
from falaj.training.serving.standing import Analysis, Metric, Side, Standing


def side(version: int) -> Side:
    return Side(version=version, digest=None, pod_hash=f"hash-{version}", ready=1, wanted=1)


def metric(name: str, phase: str, *values: str) -> Metric:
    return Metric(name, phase, values, successful=0, failed=0, inconclusive=0, errors=0, message="")


def stands(**more: Any) -> Standing:
    """Return a service that was given version 3, which nobody has looked at yet."""
    usual: dict[str, Any] = {
        "service": "vision/tumours",
        "phase": "Progressing",
        "message": "",
        "strategy": "canary",
        "aborted": False,
        "weight": 0,
        "step": 0,
        "steps": 2,
        "stable": side(2),
        "canary": None,
        "wanted_version": 3,
        "wanted_digest": None,
        "analyses": (),
    }
    return Standing(**usual | more)


def test_a_version_that_serves_alone_is_promoted():
    assert decision(stands(phase="Healthy", stable=side(3)), 3) == "promoted"


def test_a_version_whose_update_was_stopped_is_refused_once_it_has_no_traffic():
    refused = {"phase": "Degraded", "aborted": True, "canary": side(3)}
    assert decision(stands(**refused, weight=20), 3) == "undecided"
    assert decision(stands(**refused), 3) == "refused"


@pytest.mark.parametrize(
    "before",
    [
        {"phase": "Healthy", "wanted_version": 2},
        {"phase": "Degraded", "aborted": True, "canary": side(2), "stable": side(1), "wanted_version": 2},
        {"phase": "Degraded", "aborted": True, "canary": side(2), "stable": side(1)},
    ],
    ids=["the old one serves", "the old one was refused", "Argo has not seen the new one"],
)
def test_what_was_decided_before_is_no_decision_about_this_version(before: dict[str, Any]):
    assert decision(stands(**before), 3) == "undecided"


def test_a_version_that_is_tried_is_undecided():
    assert decision(stands(phase="Paused", canary=side(3), weight=20), 3) == "undecided"


def test_the_reason_is_the_figure_that_failed_its_last_number_and_its_limit():
    metrics = (metric("errors", "Successful", "[0]"), metric("latency", "Failed", "[12]", "[2485.123]"))
    found = stands(analyses=(Analysis("one", "Step", "Failed", "", metrics),))
    assert reason(found, {"latency": "≤ 1000"}) == "latency 2485, wanted ≤ 1000"


def test_a_figure_that_nobody_could_measure_is_told_as_such():
    found = stands(analyses=(Analysis("one", "Step", "Error", "", (metric("latency", "Error"),)),))
    assert reason(found, {}) == "latency no number, wanted a number"


def test_without_a_figure_the_reason_is_what_argo_says():
    assert reason(stands(message="its pods were not ready in time"), {}) == "its pods were not ready in time"
    assert reason(None, {}) == "nobody saw why"


class Silent(RunningLab):
    """A lab whose gateway nobody serves."""

    def run(self, *arguments: str, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        listed = "tumours-7f   0/1   Error   3 (9s ago)   61s\n" if "pods" in arguments else ""
        return subprocess.CompletedProcess(arguments, 0, stdout=listed, stderr="")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "the gateway has opened no port"),
        (FAILED, "the gateway gives no answer"),
        (503, "the gateway answers 503"),
    ],
    ids=["no port", "no answer", "an error"],
)
def test_a_first_version_that_never_answers_is_told_with_how_the_gateway_and_the_pods_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, said: str
):
    ports = tmp_path / "data" / "envoy" / "ports.json"
    ports.parent.mkdir(parents=True)
    ports.write_text(json.dumps({} if status is None else {"gateways/serving:443": 1}))
    monkeypatch.setattr(acts, "PATIENCE", 0.6)
    monkeypatch.setattr(acts, "connected", lambda _port, _folder: nullcontext())
    monkeypatch.setattr(acts, "infer", lambda _asking, _row: (status, 0, None))
    progress = Progress(Console(file=StringIO()))
    stage = Stage(Silent(tmp_path), progress, tmp_path, "", "")
    with pytest.raises(LabError, match=f"{said}; tumours-7f 0/1 Error 3 \\(9s ago\\) 61s$"):
        await_first_answer(stage, None, Task("a", 1, progress))
