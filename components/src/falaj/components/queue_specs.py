"""What Kueue is told: specifications of its objects, as pure functions, with the reasons of its many switches."""

from collections.abc import Mapping
from typing import Any

from falaj.components.errors import ConfigError
from falaj.components.gpu_node_pool import GPU_TAINT
from falaj.components.queue_shares import Held, Member

Spec = dict[str, Any]

_MOST_LABELS = 8

PREEMPTION: Spec = {
    # Tiers decide within a tenant's own queue. Not LowerOrNewerEqualPriority: a run is not stopped for one of its like.
    "withinClusterQueue": "LowerPriority",
    # A share is a promise to the tenant, not to its tier: whoever is within it takes back what others borrowed of it.
    # Who is above it competes by fair shares alone, so that no tier is worth more than another tenant's.
    "reclaimWithinCohort": "Any",
    # Displacing others in order to borrow is what fair sharing does by weight; Kueue knows this switch without it only.
    "borrowWithinCohort": {"policy": "Never"},
}

FUNGIBILITY: Spec = {
    # The first pool in which the tenant's own share has room; then the first where it borrows, so that it is displaced
    # no earlier than it has to be; and what runs is displaced only if no pool has room at all.
    "whenCanBorrow": "TryNextFlavor",
    "whenCanPreempt": "TryNextFlavor",
    "preference": "BorrowingOverPreemption",
}


def flavor_spec(field: str, node_labels: Mapping[str, str], topology: str | None) -> Spec:
    """Return a pool's flavor: whatever is let in gets the pool's labels and tolerates the taint of GPUs."""
    if not 1 <= len(node_labels) <= _MOST_LABELS:
        raise ConfigError(field, dict(node_labels), f"must be 1 to {_MOST_LABELS} labels that select the pool's nodes")
    return {
        "nodeLabels": dict(node_labels),
        "tolerations": [{"key": GPU_TAINT["key"], "operator": "Exists", "effect": "NoSchedule"}],
        **({"topologyName": topology} if topology else {}),
    }


def cohort_spec(member: Member, resources: Mapping[str, str]) -> Spec:
    """Return a cohort: what its members have in common, and what they borrow and lend together."""
    return {
        **({"parentName": member.parent} if member.parent else {}),
        **({"resourceGroups": _groups(member, resources)} if member.shares else {}),
        "fairSharing": {"weight": str(member.weight)},
    }


def queue_spec(tenant: Member, resources: Mapping[str, str]) -> Spec:
    """Return a tenant's queue, which takes work of the tenant's namespaces and of no other."""
    return {
        "cohortName": tenant.parent,
        # The API server itself writes this label, so that nobody gets in by labelling a namespace.
        "namespaceSelector": {
            "matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(tenant.namespaces)}
            ]
        },
        "queueingStrategy": tenant.queueing.value,
        "resourceGroups": _groups(tenant, resources),
        "flavorFungibility": FUNGIBILITY,
        "preemption": PREEMPTION,
        "fairSharing": {"weight": str(tenant.weight)},
    }


def _groups(member: Member, resources: Mapping[str, str]) -> list[Spec]:
    """Return the shares by resource, as Kueue wants them, each pool a flavor, in the member's own order."""
    shares: dict[str, list[Held]] = {}
    for share in member.shares:
        shares.setdefault(resources[share.pool], []).append(share)
    return [
        {
            "coveredResources": [resource],
            "flavors": [{"name": share.pool, "resources": [_quota(resource, share)]} for share in held],
        }
        for resource, held in shares.items()
    ]


def _quota(resource: str, share: Held) -> Spec:
    # As strings, since Kueue writes them so: a number would come back changed.
    limits = {"borrowingLimit": share.borrowing_limit, "lendingLimit": share.lending_limit}
    return {
        "name": resource,
        "nominalQuota": str(share.nominal),
        **{limit: str(amount) for limit, amount in limits.items() if amount is not None},
    }
