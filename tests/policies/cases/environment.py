"""Addresses in environments: what passes, what fails, and what cannot be decided."""

import json

from policies.making import DEPLOYMENT, container, pod, simple
from policies.placing import placed

from falaj.policies.values import UNKNOWN

_EXPORTER = "OTEL_EXPORTER_OTLP_ENDPOINT"
_HOME, _AWAY = "http://collector.telemetry.svc:4317", "https://otlp.example.com:4317"
_FUNCTION = "aws:lambda/function:Function"
_SITE = "sourceConfiguration.imageRepository.imageConfiguration.runtimeEnvironmentVariables"


def _with(name: str, value: object) -> dict[str, object]:
    return pod(container(env=[{"name": name, "value": value}]))


def _list(value: str, key: str = "environment") -> str:
    return json.dumps([{key: [{"name": _EXPORTER, "value": value}]}])


CASES = [
    simple("FJ-RES-065", DEPLOYMENT, _with(_EXPORTER, _HOME), _with(_EXPORTER, _AWAY), _with(_EXPORTER, UNKNOWN)),
    simple(
        "FJ-RES-065",
        DEPLOYMENT,
        _with("DD_SITE", "collector.internal"),
        _with("DD_SITE", "datadoghq.eu"),
        _with("DD_SITE", UNKNOWN),
    ),
    simple(
        "FJ-RES-065",
        DEPLOYMENT,
        _with("AWS_REGION", "me-central-1"),
        _with("AWS_REGION", "eu-west-1"),
        _with("AWS_REGION", UNKNOWN),
    ),
    simple(
        "FJ-RES-065",
        DEPLOYMENT,
        pod(container(args=["--target=tcp://db.team.svc:5432"])),
        pod(container(args=["--remote-write=https://metrics.example.com/api"])),
        None,
    ),
    placed("FJ-RES-066", _FUNCTION, f"environment.variables.{_EXPORTER}", _HOME, _AWAY),
    placed("FJ-RES-066", "aws:ecs/taskDefinition:TaskDefinition", "containerDefinitions", _list(_HOME), _list(_AWAY)),
    placed(
        "FJ-RES-066",
        "aws:codebuild/project:Project",
        "environment.environmentVariables",
        [{"name": _EXPORTER, "value": _HOME}],
        [{"name": _EXPORTER, "value": _AWAY}],
        unknown=[{"name": _EXPORTER, "value": UNKNOWN}],
    ),
    placed("FJ-RES-066", "aws:apprunner/service:Service", f"{_SITE}.{_EXPORTER}", _HOME, _AWAY),
]
_ENV: list[str | int] = ["spec", "template", "spec", "containers", 0, "env"]
MUTATIONS = [
    ("Deployment", _ENV, [{"name": _EXPORTER, "value": _AWAY}], {"FJ-RES-065"}),
    ("Deployment", _ENV, [{"name": "AWS_REGION", "value": "eu-west-1"}], {"FJ-RES-065"}),
    ("Deployment", _ENV, [{"name": "MLFLOW_TRACKING_URI", "value": "https://ml.example.com"}], {"FJ-RES-065"}),
]
