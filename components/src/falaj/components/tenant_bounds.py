"""What a tenant's pods take at most, together and each, and which priorities none of them may have."""

import re
from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded, quantity
from falaj.components.errors import ConfigError
from falaj.components.tiers import Tier

SYSTEM_PRIORITIES = ("system-cluster-critical", "system-node-critical")
"""Kubernetes' own priority classes, by which a pod would displace every other."""
_MEBIBYTES = {"Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}
_DEFAULT_MEMORY = "1Gi"


def tenant_quota(gpus: int, cpus: int, memory: str, pods: int) -> dict[str, str]:
    """Return the tenant's share as a quota; what would leave the namespace (nodePort, loadBalancer) gets none."""
    return {
        # Kubernetes takes extended resources by request alone, since request and limit are the same there.
        "requests.nvidia.com/gpu": str(gpus),
        "requests.cpu": str(cpus),
        "requests.memory": memory,
        "limits.memory": memory,
        "pods": str(pods),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


def container_limits(name: str, cpus: int | None, memory: str | None) -> k8s.core.v1.LimitRangeItemArgsDict:
    """Return what a container gets that says nothing, and the most that one may take, where that is asked for.

    GPUs have no maximum here: Kubernetes would give it to each container that says nothing.
    """
    default, most = {"memory": _DEFAULT_MEMORY}, dict[str, str]()
    if cpus is not None:
        most["cpu"] = str(bounded(f"{name}.largest_cpus", cpus, 1, 100_000))
        # Kubernetes refuses a container without a limit where there is a maximum.
        default["cpu"] = most["cpu"]
    if memory is not None:
        if _mebibytes(quantity(f"{name}.largest_memory", memory)) < _mebibytes(_DEFAULT_MEMORY):
            remedy = f"must be at least {_DEFAULT_MEMORY}, which a container gets that says nothing"
            raise ConfigError(f"{name}.largest_memory", memory, remedy)
        most["memory"] = memory
    limits: k8s.core.v1.LimitRangeItemArgsDict = {
        "type": "Container",
        "default_request": {"cpu": "100m", "memory": "256Mi"},
        "default": default,
    }
    if most:
        limits["max"] = most
    return limits


def forbidden_priorities(tiers: Sequence[Tier]) -> list[str]:
    """Return the priority classes that no pod of the tenant may have: Kubernetes' own and those of other tiers."""
    return [*SYSTEM_PRIORITIES, *(tier.value for tier in Tier if tier not in tiers)]


def bound_tenant(
    name: str,
    namespace: pulumi.Output[str],
    *,
    quota: dict[str, str],
    limits: k8s.core.v1.LimitRangeItemArgsDict,
    forbidden: Sequence[str],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Output[str]]:
    """Bound what the namespace takes together, what a container takes, and who displaces whom; return the names."""
    together = k8s.core.v1.ResourceQuota(
        f"{name}-quota",
        metadata={"name": "tenant", "namespace": namespace, "labels": tags},
        spec={"hard": quota},
        opts=opts,
    )
    priorities = k8s.core.v1.ResourceQuota(
        f"{name}-priorities",
        metadata={"name": "tenant-priorities", "namespace": namespace, "labels": tags},
        spec={
            "hard": {"pods": "0"},
            "scope_selector": {
                "match_expressions": [{"scope_name": "PriorityClass", "operator": "In", "values": list(forbidden)}]
            },
        },
        opts=opts,
    )
    each = k8s.core.v1.LimitRange(
        f"{name}-limits",
        metadata={"name": "tenant", "namespace": namespace, "labels": tags},
        spec={"limits": [limits]},
        opts=opts,
    )
    return [together.metadata.name, priorities.metadata.name, each.metadata.name]


def _mebibytes(amount: str) -> int:
    number, unit = re.findall(r"\d+|\D+", amount)
    return int(number) * _MEBIBYTES[unit]
