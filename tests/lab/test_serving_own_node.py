"""What the lab's node says of itself."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from falaj.lab.errors import LabError
from falaj.lab.serving import own_node
from falaj.lab.serving.node_api import NOT_FOUND, NodeApi, RefusedError
from falaj.lab.serving.own_node import MARK, NODE_SETTING, Claims, claims_of, register
from falaj.lab.state import Lab


class Nodes:
    """An API server that knows one node, or none yet."""

    node_name = "processes"

    def __init__(self, node: dict[str, Any] | None = None):
        self.node, self.patches = node, list[tuple[str, dict[str, Any]]]()

    async def get(self, path: str) -> dict[str, Any]:
        if self.node is None:
            raise RefusedError(NOT_FOUND, f"{path} not found")
        return self.node

    async def call(self, method: str, path: str, body: dict[str, Any], **_: str) -> dict[str, Any]:
        if method == "POST":
            self.node = body
        else:
            self.patches.append((path, body))
        return body


def registered(nodes: Nodes, claims: Claims) -> None:
    api: NodeApi = nodes  # pyright: ignore[reportAssignmentType]
    asyncio.run(register(api, claims))


def test_a_new_node_keeps_pods_away_that_did_not_ask_for_it_and_says_what_is_simulated() -> None:
    nodes = Nodes()
    registered(nodes, Claims(gpus=2, labels={"pool": "inference"}))
    assert nodes.node is not None
    assert nodes.node["spec"]["taints"] == [{"key": MARK, "value": "true", "effect": "NoSchedule"}]
    assert nodes.node["metadata"]["labels"].items() >= {MARK: "true", "pool": "inference"}.items()
    assert "nvidia.com/gpu" in nodes.node["metadata"]["annotations"]["falaj.dev/simulated"]
    ((path, change),) = nodes.patches
    assert path == "/api/v1/nodes/processes/status"
    assert change["status"]["allocatable"]["nvidia.com/gpu"] == "2"
    assert [each["type"] for each in change["status"]["conditions"]] == ["Ready"]


def test_a_node_that_claims_more_than_before_is_changed_and_stays_ready_since_then() -> None:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "then"}
    node = own_node.manifest("processes", Claims()) | {"status": {"conditions": [ready]}}
    nodes = Nodes(node)
    registered(nodes, Claims(labels={"pool": "inference"}))
    (_, labels), (_, status) = nodes.patches
    assert labels["metadata"]["labels"]["pool"] == "inference"
    assert status["status"]["conditions"][0]["lastTransitionTime"] == "then"
    unchanged = Nodes(node)
    registered(unchanged, Claims())
    assert [path for path, _ in unchanged.patches] == ["/api/v1/nodes/processes/status"]


def test_a_node_without_its_taint_is_not_taken_over() -> None:
    node = own_node.manifest("processes", Claims()) | {"spec": {}}
    with pytest.raises(LabError, match="kubectl delete node processes"):
        registered(Nodes(node), Claims())


def test_a_lab_says_what_its_node_claims_or_is_told_what_it_may_say(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert claims_of(lab) == Claims()
    lab.remember(NODE_SETTING, json.dumps({"cpus": 4, "gpus": 0}))
    assert claims_of(lab) == Claims(cpus=4, gpus=0)
    lab.remember(NODE_SETTING, json.dumps({"gpu": 1}))
    with pytest.raises(LabError, match="its fields are cpus, memory, pods, gpus, labels"):
        claims_of(lab)
