"""A team trains over two nodes of a pool, with a deadline, and searches parameters on what is left over.

The cluster is the one of KUBECONFIG, with Kueue. The digest is that of an image which training/Containerfile builds.
"""

from pathlib import Path

import pulumi

from falaj.components import (
    GpuQueues,
    Ownership,
    PoolRef,
    SweepJob,
    Tenant,
    TenantAdmission,
    Tier,
    TrainingJob,
    TrainingJobArgs,
)

config = pulumi.Config()
teams = ("vision", "speech")
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
# What a GpuNodePool of that name and size would tell.
pool: PoolRef = {
    "pool_name": "h200",
    "node_labels": {"pool": "h200"},
    "resource": "nvidia.com/gpu",
    "max_gpus": 32,
    "gpu_model": "H200",
}
queues = GpuQueues(
    "queues",
    {
        "pools": [{"name": "h200", "pool": pool}],
        "tenants": [{"name": team, "shares": [{"pool": "h200", "nominal": 16}]} for team in teams],
        "ownership": ownership,
    },
)
TenantAdmission("tenants", {"ownership": ownership})
tenants = {
    team: Tenant(
        team,
        {
            "ownership": {**ownership, "owner": f"{team}-team"},
            "gpus": 32,
            "cpus": 256,
            "memory": "4096Gi",
            "tiers": [Tier.BATCH, Tier.SCAVENGER],
            "queues": queues.ref,
            "service_accounts": ["trainer"],
        },
    )
    for team in teams
}
vision = tenants["vision"].ref
image = f"123456789012.dkr.ecr.me-central-1.amazonaws.com/vision/trainer@sha256:{64 * '0'}"
stores = ["10.20.8.0/24"]
training: TrainingJobArgs = {
    "tenant": vision,
    "image": image,
    "job": Path("job.toml").read_text(),
    "nodes": 2,
    "gpus": 4,
    "cpus": 16,
    "pool": pool,
    "deadline": config.get("deadline") or "2099-01-31T18:00:00Z",
    "expected_seconds": 7200,
    "checkpoint_seconds": 900,
    "service_account": "trainer",
    "scratch_class": "encrypted",
    "scratch_size": "200Gi",
    "storage_cidrs": stores,
    "queue": config.get("queue") or "default",
}
job = TrainingJob("detector", training)
SweepJob(
    "search",
    {
        "tenant": vision,
        "image": image,
        "job": Path("job.toml").read_text(),
        "storage_secret": "sweeps",
        "database_cidrs": ["10.20.9.0/28"],
        "parallel": 2,
        "gpus": 1,
        "pool": pool,
        "service_account": "trainer",
        "storage_cidrs": stores,
    },
)
pulumi.export("rendezvous", job.rendezvous)
