"""Tasks of ECS: what passes, what fails, and what cannot be decided."""

import json
from typing import Any

from policies.making import Case, simple

from falaj.policies.rules.tasks import DAEMON, EXPRESS, TASK
from falaj.policies.values import UNKNOWN


def task(**container: Any) -> dict[str, Any]:
    """Return a task definition of one container."""
    return {"containerDefinitions": json.dumps([{"name": "main", "image": "it", **container}])}


def daemon(**container: Any) -> dict[str, Any]:
    """Return a daemon's, whose containers are no text."""
    return {"containerDefinitions": [{"name": "main", "image": "it", **container}]}


def express(**container: Any) -> dict[str, Any]:
    """Return a service of one container."""
    return {"primaryContainer": {"image": "it", **container}}


def variable(name: str, value: Any) -> list[dict[str, Any]]:
    return [{"name": name, "value": value}]


OPEN = {"containerDefinitions": UNKNOWN}
CASES: list[Case] = [
    simple("FJ-ECS-001", TASK, task(readonlyRootFilesystem=True), task(), OPEN),
    simple("FJ-ECS-001", TASK, task(ReadonlyRootFilesystem=True), task(readonlyRootFilesystem=False), OPEN),
    simple(
        "FJ-ECS-001",
        TASK,
        task() | {"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}},
        task() | {"runtimePlatform": {"operatingSystemFamily": "LINUX"}},
        task() | {"runtimePlatform": UNKNOWN},
    ),
    simple("FJ-ECS-001", DAEMON, daemon(readonlyRootFilesystem=True), daemon(), daemon(readonlyRootFilesystem=UNKNOWN)),
    simple(
        "FJ-ECS-002",
        TASK,
        task(environment=variable("REDIS_PORT", "6379"), secrets=[{"name": "REDIS_PWD", "valueFrom": "arn"}]),
        task(Environment=[{"Name": "API_TOKEN", "Value": "hunter2"}]),
        OPEN,
    ),
    simple(
        "FJ-ECS-002",
        TASK,
        task(logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "it"}}),
        task(logConfiguration={"logDriver": "splunk", "options": {"splunk-token": "hunter2"}}),
        None,
    ),
    simple(
        "FJ-ECS-002",
        DAEMON,
        daemon(environments=variable("REGION", "me-central-1")),
        daemon(environments=variable("API_TOKEN", "hunter2")),
        daemon(environments=variable("API_TOKEN", UNKNOWN)),
    ),
    simple(
        "FJ-ECS-002",
        EXPRESS,
        express(environments=variable("REGION", "me-central-1")),
        express(environments=variable("API_TOKEN", "hunter2")),
        {"primaryContainer": UNKNOWN},
    ),
    simple(
        "FJ-ECS-003",
        TASK,
        task(command=["redis-server", "--save", "60"], healthCheck={"command": ["CMD-SHELL", "redis-cli ping"]}),
        task(command=["redis-server", "--requirepass", "hunter2"]),
        OPEN,
    ),
    simple(
        "FJ-ECS-003",
        TASK,
        task(entryPoint=["sh"]),
        task(healthCheck={"command": ["CMD-SHELL", "curl --token=hunter2 localhost"]}),
        OPEN,
    ),
    simple(
        "FJ-ECS-003",
        DAEMON,
        daemon(commands=["serve"]),
        daemon(entryPoints=["serve", "--password=hunter2"]),
        daemon(commands=UNKNOWN),
    ),
    simple(
        "FJ-ECS-003",
        EXPRESS,
        express(commands=["serve"]),
        express(commands=["serve", "--password", "hunter2"]),
        express(commands=UNKNOWN),
    ),
    simple("FJ-ECS-004", TASK, task(), task(privileged=True), OPEN),
    *(
        simple("FJ-ECS-004", TASK, task() | {key: "task"}, task() | {key: "host"}, task() | {key: UNKNOWN})
        for key in ("pidMode", "ipcMode", "networkMode")
    ),
    simple(
        "FJ-ECS-004",
        TASK,
        task() | {"volumes": [{"name": "scratch"}]},
        task() | {"volumes": [{"name": "machine", "hostPath": "/"}]},
        task() | {"volumes": UNKNOWN},
    ),
    simple("FJ-ECS-004", DAEMON, daemon(), daemon(privileged=True), daemon(privileged=UNKNOWN)),
    simple(
        "FJ-ECS-004",
        DAEMON,
        daemon() | {"volumes": [{"name": "scratch"}]},
        daemon() | {"volumes": [{"name": "machine", "hosts": [{"sourcePath": "/"}]}]},
        daemon() | {"volumes": [{"name": "machine", "hosts": UNKNOWN}]},
    ),
]
