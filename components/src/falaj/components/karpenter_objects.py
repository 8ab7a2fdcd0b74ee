"""The two objects by which Karpenter knows a pool: what its nodes are, and when they come and go.

Held against the types of Karpenter 1.15: ``karpenter.sh/v1`` and ``karpenter.k8s.aws/v1``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from falaj.components.capacity import FROM_RESERVATION, CapacityType
from falaj.components.errors import ConfigError

_ALIAS = re.compile(r"(al2023|bottlerocket)@v\d[0-9A-Za-z.]{2,20}")
_NODES = re.compile(r"(100|[0-9]{1,2})%|[0-9]+")
_SPAN = re.compile(r"([0-9]+(s|m|h))+|Never")
_WINDOW = re.compile(r"([0-9]+(h|m))|([0-9]+h[0-9]+m)")
_REASONS = ("Underutilized", "Empty", "Drifted")
_CAPACITY = {CapacityType.ON_DEMAND: "on-demand", CapacityType.SPOT: "spot"} | dict.fromkeys(
    FROM_RESERVATION, "reserved"
)
_BOTTLEROCKET_SYSTEM = "4Gi"


class DisruptionBudget(TypedDict):
    """How many nodes of the pool may go at the same time."""

    nodes: str
    """A number or a share of the nodes, for example ``1`` or ``10%``; ``0`` keeps them all."""
    reasons: NotRequired[list[str]]
    """For which reasons: ``Underutilized``, ``Empty``, ``Drifted``. Default: for all."""
    schedule: NotRequired[str]
    """When it begins to hold, as a cron expression in UTC. Default: always."""
    duration: NotRequired[str]
    """How long it holds from then on, for example ``8h``; given with ``schedule``. Default: always."""


@dataclass(frozen=True)
class NodeSettings:
    """What the nodes are."""

    alias: str
    profile: str
    subnets: Sequence[str]
    groups: Sequence[str]
    key: str
    disk_gib: int
    nvme: bool
    placement_group: str | None
    reservation: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class PoolSettings:
    """When nodes come and go."""

    name: str
    labels: Mapping[str, str]
    taint: Mapping[str, str]
    types: Sequence[str]
    zones: Sequence[str] | None
    bought: Sequence[CapacityType]
    max_gpus: int
    idle_for: str
    expires: str
    budgets: Sequence[DisruptionBudget]


def check_alias(field: str, alias: str) -> str:
    """Return the image's alias, refusing one that moves by itself."""
    if not _ALIAS.fullmatch(alias):
        raise ConfigError(
            field, alias, "must be a release of an image, such as al2023@v20261106 or bottlerocket@v1.50.0, not latest"
        )
    return alias


def check_span(field: str, span: str) -> str:
    """Return a span of time as Karpenter writes it."""
    if not _SPAN.fullmatch(span):
        raise ConfigError(field, span, "must be a span such as 10m or 720h, or Never")
    return span


def check_budgets(field: str, budgets: Sequence[DisruptionBudget]) -> list[DisruptionBudget]:
    """Return the budgets, refusing what Karpenter's types refuse, and none at all: nothing would hold nodes then."""
    if not 1 <= len(budgets) <= 50:
        raise ConfigError(field, list(budgets), "must be 1 to 50 budgets")
    for number, budget in enumerate(budgets):
        where = f"{field}[{number}]"
        if not _NODES.fullmatch(budget["nodes"]):
            raise ConfigError(f"{where}.nodes", budget["nodes"], "must be a number or a share, such as 1 or 10%")
        for reason in budget.get("reasons", []):
            if reason not in _REASONS:
                raise ConfigError(f"{where}.reasons", reason, f"must be among {', '.join(_REASONS)}")
        if ("schedule" in budget) != ("duration" in budget):
            raise ConfigError(where, dict(budget), "must have schedule and duration together")
        if "schedule" in budget and len(budget["schedule"].split()) != 5:
            raise ConfigError(f"{where}.schedule", budget["schedule"], "must be five fields, such as 0 8 * * 1-5")
        if "duration" in budget and not _WINDOW.fullmatch(budget["duration"]):
            raise ConfigError(f"{where}.duration", budget["duration"], "must be a span such as 8h or 1h30m")
    return list(budgets)


def node_class(settings: NodeSettings) -> dict[str, Any]:
    """Return the specification of an ``EC2NodeClass``."""
    spec: dict[str, Any] = {
        "amiSelectorTerms": [{"alias": settings.alias}],
        # A network without a way out does not reach IAM: the profile is there, and Karpenter makes none.
        "instanceProfile": settings.profile,
        "subnetSelectorTerms": [{"id": subnet} for subnet in settings.subnets],
        "securityGroupSelectorTerms": [{"id": group} for group in settings.groups],
        "associatePublicIPAddress": False,
        "blockDeviceMappings": _disks(settings),
        # One hop ends in the node: a pod, one hop further, never gets the node's credentials.
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpProtocolIPv6": "disabled",
            "httpPutResponseHopLimit": 1,
            "httpTokens": "required",
        },
        "detailedMonitoring": True,
        "tags": dict(settings.tags),
    }
    if settings.nvme:
        spec["instanceStorePolicy"] = "RAID0"
    if settings.placement_group:
        spec["placementGroupSelector"] = {"name": settings.placement_group}
    if settings.reservation:
        spec["capacityReservationSelectorTerms"] = [{"id": settings.reservation}]
    return spec


def node_pool(settings: PoolSettings) -> dict[str, Any]:
    """Return the specification of a ``NodePool``."""
    bought = list(dict.fromkeys(_CAPACITY[each] for each in settings.bought))
    requirements = [
        _among("node.kubernetes.io/instance-type", settings.types),
        _among("karpenter.sh/capacity-type", bought),
    ]
    if settings.zones is not None:
        requirements.append(_among("topology.kubernetes.io/zone", settings.zones))
    return {
        "template": {
            "metadata": {"labels": dict(settings.labels)},
            "spec": {
                "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": settings.name},
                "requirements": requirements,
                "taints": [{**settings.taint, "effect": "NoSchedule"}],
                "expireAfter": settings.expires,
            },
        },
        "limits": {"nvidia.com/gpu": settings.max_gpus},
        "disruption": {
            # Nobody's training is moved for the sake of a fuller node: only nodes without work are given back.
            "consolidationPolicy": "WhenEmpty",
            "consolidateAfter": settings.idle_for,
            "budgets": [dict(budget) for budget in settings.budgets],
        },
    }


def _among(key: str, values: Sequence[str]) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def _disks(settings: NodeSettings) -> list[dict[str, Any]]:
    """Return the disks, all under the key: one, and with Bottlerocket another for the system."""
    if settings.alias.startswith("bottlerocket"):
        return [
            _disk("/dev/xvda", _BOTTLEROCKET_SYSTEM, settings.key),
            _disk("/dev/xvdb", f"{settings.disk_gib}Gi", settings.key) | {"rootVolume": True},
        ]
    return [_disk("/dev/xvda", f"{settings.disk_gib}Gi", settings.key) | {"rootVolume": True}]


def _disk(device: str, size: str, key: str) -> dict[str, Any]:
    ebs = {"volumeType": "gp3", "volumeSize": size, "encrypted": True, "kmsKeyID": key, "deleteOnTermination": True}
    return {"deviceName": device, "ebs": ebs}
