"""Three pools of GPUs, shared by teams who lend to each other what they leave idle, two of one department first.

The cluster is the one of KUBECONFIG, and it runs Kueue. The pools are told by figures here; a GpuNodePool has a ref.
"""

import pulumi

from falaj.components import GpuQueues, Ownership, PoolRef, QueueTenant, Tenant, Tier, TopologyLevel

config = pulumi.Config()
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}


def pool(name: str, gpus: int) -> PoolRef:
    """Return what a GpuNodePool of that name and size would tell."""
    model, labels = name.upper(), {"pool": name}
    resource = "nvidia.com/gpu"
    return {"pool_name": name, "node_labels": labels, "resource": resource, "max_gpus": gpus, "gpu_model": model}


h200, b200 = config.get_int("visionH200") or 12, 32
teams: list[QueueTenant] = [
    {
        "name": "vision",
        "shares": [{"pool": "h200", "nominal": h200, "lending_limit": 8}, {"pool": "b200", "nominal": b200}],
    },
    {"name": "nlp", "shares": [{"pool": "h200", "nominal": 8}, {"pool": "a10g", "nominal": 4}], "weight": 3},
    {"name": "speech", "shares": [{"pool": "h200", "nominal": 4}], "department": "language"},
    {"name": "text", "shares": [{"pool": "h200", "nominal": 4}], "department": "language"},
]
if config.get_bool("guest"):
    teams.append({"name": "guest", "shares": [{"pool": "h200", "nominal": 0, "borrowing_limit": 8}]})
queues = GpuQueues(
    "queues",
    {
        "pools": [
            {"name": "h200", "pool": pool("h200", 32)},
            {"name": "a10g", "pool": pool("a10g", 8)},
            # What runs on these spans nodes: it is placed within a zone, if it asks for that.
            {"name": "b200", "pool": pool("b200", b200), "topology": [TopologyLevel.ZONE, TopologyLevel.HOST]},
        ],
        "tenants": teams,
        "departments": [{"name": "language"}],
        "common": {"a10g": 4},
        "ownership": ownership,
    },
)
for team in teams:
    urgent = [] if team["name"] == "nlp" else [Tier.INTERACTIVE.value, Tier.PRODUCTION.value]
    Tenant(
        team["name"],
        {
            "ownership": {**ownership, "owner": f"{team['name']}-team"},
            "gpus": 64,
            "tiers": [Tier.SCAVENGER.value, Tier.BATCH.value, *urgent],
            "queues": queues.ref,
        },
    )
pulumi.export("unassigned", queues.unassigned)
