"""The whole play, act by act: from an empty machine to what the report is made of."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from falaj.lab.progress import Progress
from falaj.lab.state import Lab
from serving_demo.acts import Judged, Outcome, Stand, Watch, await_first_answer, await_record, limits
from serving_demo.models import Keys, labelled_rows, spoiled, train
from serving_demo.stage import Stage
from serving_demo.traffic import Traffic


@dataclass(frozen=True)
class Settings:
    """How the service judges, and how long there is traffic between the acts."""

    weights: tuple[int, ...]
    """Percent of the traffic that a new version gets, step by step."""
    measurements: int
    """Measurements at each step; the second bad one of a figure ends it."""
    interval: int
    """Seconds from one measurement to the next; each looks back on ten."""
    before: float
    """Seconds of traffic before the first act."""
    after: float
    """Seconds of traffic after each decision."""
    rate: int = 25
    """Requests a second."""
    p99_milliseconds: int = 1000
    """What the latency must not exceed. Generous, since a machine of two cores may be busy with other things."""
    right_at_least: float = 0.8
    """Which part of the answers must be right; of some 40 at a time, so that chance needs room."""
    delay: float = 1.5
    """Seconds by which the slow version is slower."""

    def at(self, rate: int) -> "Settings":
        """Return the same with another rate of requests."""
        return replace(self, rate=rate)


FULL = Settings(weights=(10, 30, 60), measurements=3, interval=5, before=15, after=8)
# Two measurements with no moment in common: one pause of the machine is one bad measurement.
QUICK = Settings(weights=(20,), measurements=2, interval=10, before=3, after=3)


@dataclass(frozen=True)
class Cast:
    """What takes part."""

    stage: Stage
    keys: Keys
    first: Path
    """The model that is served at first."""
    others: Sequence[tuple[Path, str, Outcome]]
    """The models that follow, what was done to each, and what is to become of it."""
    rows: Sequence[Sequence[float]]
    labels: Sequence[int]


def play(base: Path, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Play it in the empty folder ``base``, whose lab goes on running, and return what the report tells."""
    started = datetime.now(UTC)
    cast = _assemble(base, settings, progress)
    _serve_first(cast, settings, progress)
    traffic = Traffic(cast.rows, cast.labels, settings.rate)
    watch = Watch(cast.stage, traffic)
    try:
        traffic.begin(Lab(cast.stage.lab.root), cast.stage.gateway_port, cast.stage.folder)
        watch.begin()
        progress.wait(settings.before)
        judged = _acts(cast, Stand(cast.stage, traffic, watch), settings, progress)
    finally:
        watch.end()
        traffic.end()
    traffic.check()
    return {
        "format": 1,
        "started": started.isoformat(timespec="seconds"),
        "machine": f"{psutil.cpu_count()} CPUs, {psutil.virtual_memory().total >> 30} GiB, {platform.system()}",
        "traffic_began": traffic.began,
        "settings": asdict(settings),
        "limits": limits(cast.stage),
        "versions": [asdict(each) for each in judged],
        "weights": watch.weights,
        "analyses": list(watch.analyses.values()),
        "audit": cast.stage.audit(),
        "answers": _columns(traffic),
    }


def _assemble(base: Path, settings: Settings, progress: Progress) -> Cast:
    """Start the lab, and meanwhile train."""
    files = base / "files"
    files.mkdir(mode=0o700)
    keys = Keys.new(files)
    lab = progress.task("a lab", 45)
    trainings = [progress.task(f"training {number}", 60) for number in (1, 2)]
    stages: list[Stage] = []
    models: dict[int, Path] = {}

    def build() -> None:
        stages.append(Stage.set_up(base / "lab", files, lab))
        lab.finish("runs: Kubernetes, Argo Rollouts, Envoy, Prometheus, OpenBao, and an emulated AWS")

    def learn(number: int, *sets: str) -> None:
        task = trainings[number - 1]
        models[number] = train(files / f"model-{number}", keys, progress, lambda line: task.update(0.5, line), *sets)
        task.finish("the model has passed the gate and is signed")

    progress.side_by_side([build, lambda: learn(1), lambda: learn(2, "model.settings.hidden=64", "seed=8")])
    first, second = models[1], models[2]
    slow = spoiled(second, files / "slow", keys, "slow", seconds=settings.delay)
    wrong = spoiled(second, files / "wrong", keys, "wrong")
    rows, labels = labelled_rows(progress, files / "model-1")
    others: list[tuple[Path, str, Outcome]] = [
        (second, "trained anew, wider", "promoted"),
        (slow, f"the same, {settings.delay:g} s slower", "refused"),
        (wrong, "the same, scores negated", "refused"),
    ]
    return Cast(stages[0], keys, first, others, rows, labels)


def _serve_first(cast: Cast, settings: Settings, progress: Progress) -> None:
    """Publish the first version and bring up the service that has it."""
    task = progress.task("the service", 60)
    task.update(0.02, "the first version is published")
    event = cast.stage.publish(cast.first, cast.keys, tried=False)
    told = {
        "version": event["version"],
        "digest": event["manifest_digest"],
        "public_key": cast.keys.public.read_text(),
        "weights": list(settings.weights),
        "measurements": settings.measurements,
        "interval": settings.interval,
        "p99_milliseconds": settings.p99_milliseconds,
        "right_at_least": settings.right_at_least,
    }
    cast.stage.deploy(told, task)
    import numpy as np  # noqa: PLC0415 - comes with tritonclient

    await_first_answer(cast.stage, np.asarray([cast.rows[0]], dtype=np.float32), task)
    await_record(cast.stage, 1, task)
    task.finish("version 1 answers through the gateway, to clients with a certificate")


def _acts(cast: Cast, stand: Stand, settings: Settings, progress: Progress) -> list[Judged]:
    judged: list[Judged] = []
    for folder, what, wanted in cast.others:
        steps = len(settings.weights) if wanted == "promoted" else 1
        task = progress.task(f"a version: {what}", 15 + steps * (10 + settings.interval * settings.measurements))
        judged.append(stand.act(folder, what, wanted, keys=cast.keys, task=task))
        progress.wait(settings.after)
    return judged


def _columns(traffic: Traffic) -> dict[str, list[Any]]:
    """Return every answer, a list for each of its fields, in the order in which they were asked."""
    answers = sorted(traffic.answers, key=lambda each: each.at)
    return {
        "at": [round(each.at, 3) for each in answers],
        "milliseconds": [round(each.milliseconds, 2) for each in answers],
        "status": [each.status for each in answers],
        "version": [each.version for each in answers],
        "right": [each.right for each in answers],
    }
