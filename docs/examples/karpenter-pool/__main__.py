"""A pool of up to eight GPUs that comes from nothing and goes again, on a cluster that has Karpenter and its types."""

import pulumi

from falaj.components import (
    CapacityType,
    ClusterRef,
    KarpenterPool,
    KeyUse,
    NetworkRef,
    Ownership,
    Regime,
    ResidencyKey,
)

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
key = ResidencyKey("nodes", {"purpose": "nodes", "used_by": [KeyUse.EBS], "regime": regime, "ownership": ownership})
# A cluster and a network that are there already, as another stack's outputs hand them over.
cluster: ClusterRef = {
    "cluster_name": config.get("cluster") or "falaj-dev",
    "version": "1.35",
    "endpoint": "https://eks.example",
    "certificate_authority": "",
    "security_group_id": "sg-0123456789abcdef0",
}
network: NetworkRef = {
    "vpc_id": "vpc-0123456789abcdef0",
    "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "isolated_subnet_ids": ["subnet-0123456789abcdef2", "subnet-0123456789abcdef3"],
    "cidr": "10.64.0.0/16",
    "zones": ["me-central-1a", "me-central-1b"],
    "efa_security_group_id": "sg-0123456789abcdef1",
    "placement_group": "dev-training",
    "placement_zone": "me-central-1a",
    "placement_subnet_id": "subnet-0123456789abcdef0",
}
pool = KarpenterPool(
    "burst",
    {
        "cluster": cluster,
        "network": network,
        "key": key.ref,
        "ownership": ownership,
        "image_alias": config.get("image") or "al2023@v20261106",
        "needs": {"gpus": config.get_int("gpus") or 8, "gpu_memory_gb": 22},
        "capacity_types": [CapacityType.SPOT, CapacityType.ON_DEMAND],
        "disruption_budgets": [{"nodes": "1"}, {"nodes": "0", "schedule": "0 4 * * 1-5", "duration": "9h"}],
    },
)
pulumi.export("instanceTypes", pool.instance_types)
