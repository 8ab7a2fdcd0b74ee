"""Teams that share GPUs and reach nothing of each other: shares, a pool kept for one of them, and rules for all.

The cluster is the one of KUBECONFIG, with Kueue. One more team, and the others stay untouched:
``pulumi up -c teams="vision speech robotics"``.
"""

import pulumi

from falaj.components import Direction, GpuQueues, Ownership, PoolRef, Share, Tenant, TenantAdmission, Tier

config = pulumi.Config()
teams = (config.get("teams") or "vision speech").split()
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}


def pool(name: str, gpus: int, **more: str) -> PoolRef:
    """Return what a GpuNodePool of that name and size would tell; ``more`` are further labels of its nodes."""
    labels = {"pool": name, **more}
    return {
        "pool_name": name,
        "node_labels": labels,
        "resource": "nvidia.com/gpu",
        "max_gpus": gpus,
        "gpu_model": "H200",
    }


def shares(team: str) -> list[Share]:
    """Return a team's shares: 8 GPUs of what is shared, and for speech the pool that is kept for it."""
    of_all: Share = {"pool": "shared", "nominal": 8}
    return [of_all, {"pool": "kept", "nominal": 8}] if team == "speech" else [of_all]


queues = GpuQueues(
    "queues",
    {
        "pools": [
            {"name": "shared", "pool": pool("shared", 32)},
            # Its nodes also have the taint falaj.dev/tenant=speech, which speech's work tolerates.
            {"name": "kept", "pool": pool("kept", 8, **{"falaj.dev/tenant": "speech"})},
        ],
        "departments": [{"name": "research"}],
        "tenants": [{"name": team, "department": "research", "shares": shares(team)} for team in teams],
        "ownership": ownership,
    },
)
TenantAdmission("tenants", {"ownership": ownership})
for team in teams:
    Tenant(
        team,
        {
            "ownership": {**ownership, "owner": f"{team}-team"},
            "gpus": 32,
            "pods": 20,
            "largest_cpus": 32,
            "department": "research",
            "tiers": [Tier.BATCH, Tier.SCAVENGER],
            "queues": queues.ref,
            "service_accounts": ["trainer", "server"],
            "openings": [
                {"name": "gateway", "direction": Direction.IN, "ports": [8000], "namespace": "gateway"},
                {"name": "stores", "direction": Direction.OUT, "ports": [443], "cidrs": ["10.20.8.0/24"]},
            ],
        },
    )
