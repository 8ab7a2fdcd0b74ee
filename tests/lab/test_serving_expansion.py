"""What the words of a container mean when it is a process."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from falaj.lab.serving.expansion import ConfigError, Mount, expand, field, mapped, quantity, resource_field, variables
from falaj.lab.serving.node_api import NOT_FOUND, RefusedError

MOUNTS = [Mount("/models", Path("/s/data/models")), Mount("/models/cache", Path("/s/cache")), Mount("/s", Path("/x"))]
POD: dict[str, Any] = {
    "metadata": {
        "name": "web-1",
        "namespace": "vision",
        "uid": "u1",
        "labels": {"b": "2", "a": 'say "one"'},
        "annotations": {"falaj.dev/model-version": "3"},
    },
    "spec": {"containers": [{"name": "main", "resources": {"limits": {"memory": "2Gi", "cpu": "1500m"}}}]},
}


class Objects:
    """An API server that knows some objects."""

    def __init__(self, **known: dict[str, Any]):
        self.known = {f"/api/v1/namespaces/vision/{path.replace('__', '/')}": item for path, item in known.items()}

    async def get(self, path: str) -> dict[str, Any]:
        if path not in self.known:
            raise RefusedError(NOT_FOUND, f"{path} not found")
        return self.known[path]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("--name=$(NAME)", "--name=income"),
        ("$(MISSING) stays", "$(MISSING) stays"),
        ("$$(NAME) and $NAME", "$(NAME) and $NAME"),
        ("$$$(NAME)", "$income"),
    ],
)
def test_variables_are_put_in_as_kubernetes_does(text: str, expanded: str) -> None:
    assert expand(text, {"NAME": "income"}) == expanded


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("/models", "/s/data/models"),
        ("--model-repository=/models/income", "--model-repository=/s/data/models/income"),
        ("/models/cache/x", "/s/cache/x"),
        ("file:///models/a,/models/b", "file:///s/data/models/a,/s/data/models/b"),
        ("open('/models/a')", "open('/s/data/models/a')"),
        ("/models-old /my/models ./models s3://bucket/models", "/models-old /my/models ./models s3://bucket/models"),
    ],
)
def test_paths_of_mounts_are_turned_once_and_nothing_else_is(text: str, turned: str) -> None:
    assert mapped(text, MOUNTS) == turned


def test_without_mounts_a_text_stays_as_it_is() -> None:
    assert mapped("/models", []) == "/models"


def test_the_downward_api_tells_of_the_pod() -> None:
    assert field(POD, "metadata.annotations['falaj.dev/model-version']", "127.1.0.9") == "3"
    assert field(POD, "status.podIP", "127.1.0.9") == "127.1.0.9"
    assert field(POD, "metadata.labels", "") == 'a="say \\"one\\""\nb="2"'
    with pytest.raises(ConfigError, match=r"spec\.hostname"):
        field(POD, "spec.hostname", "")


def test_resources_are_told_in_the_units_that_are_asked_for_and_rounded_up() -> None:
    assert resource_field(POD, {"resource": "limits.memory", "divisor": "1Mi"}, "main") == "2048"
    assert resource_field(POD, {"resource": "limits.cpu"}, "main") == "2"
    assert resource_field(POD, {"resource": "limits.cpu", "divisor": "1m"}, "main") == "1500"
    with pytest.raises(ConfigError, match=r"no requests\.cpu"):
        resource_field(POD, {"resource": "requests.cpu"}, "main")


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2), ("1.5", "1.5"), ("250m", "0.25"), ("3k", 3000), ("1Ki", 1024), ("2Gi", 2 << 30)]
)
def test_quantities_are_read_as_kubernetes_writes_them(text: str, value: int | str) -> None:
    assert quantity(text) == Decimal(value)


def test_variables_come_from_secrets_and_config_maps_and_later_ones_may_use_earlier_ones() -> None:
    api = Objects(
        secrets__keys={"data": {"token": "czNjcmV0"}}, configmaps__words={"data": {"a": "1"}, "binaryData": {}}
    )
    container = {
        "name": "main",
        "envFrom": [{"prefix": "W_", "configMapRef": {"name": "words"}}],
        "env": [
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
            {"name": "BOTH", "value": "$(KEY)-$(W_a)"},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "x", "optional": True}}},
        ],
    }
    found = asyncio.run(variables(api, POD, container, ""))  # pyright: ignore[reportArgumentType]
    assert found == {"W_a": "1", "KEY": "s3cret", "BOTH": "s3cret-1"}


def test_a_secret_that_is_not_there_is_named() -> None:
    container = {"name": "main", "env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "x"}}}]}
    with pytest.raises(ConfigError, match="secret absent"):
        asyncio.run(variables(Objects(), POD, container, ""))  # pyright: ignore[reportArgumentType]
