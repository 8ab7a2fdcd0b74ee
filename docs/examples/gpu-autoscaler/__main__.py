"""Sizes two GPU pools of a cluster that is there by the work that waits for nodes, within budgets.

The cluster is the one of KUBECONFIG, and it runs Kueue. What a Cluster, a Network and a GpuNodePool with `autoscaled`
would tell of themselves by their refs is told by figures here.
"""

import pulumi
import pulumi_kubernetes as k8s

from falaj.components import ClusterRef, GiveBack, GpuAutoscaler, NetworkRef, Ownership, PoolRef, Regime

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
cluster: ClusterRef = {
    "cluster_name": config.get("cluster") or "falaj",
    "version": "1.35",
    "endpoint": "https://kubernetes.example",
    "certificate_authority": "",
    "security_group_id": "",
}
network: NetworkRef = {
    "vpc_id": "",
    "subnet_ids": [],
    "isolated_subnet_ids": [],
    "cidr": "10.20.0.0/16",
    "zones": [],
    "efa_security_group_id": "",
    "placement_group": "",
    "placement_subnet_id": "",
    "placement_zone": "",
}


def pool(name: str) -> PoolRef:
    """Return what a GpuNodePool of four nodes with eight GPUs each would tell."""
    labels, resource = {"pool": name}, "nvidia.com/gpu"
    return {"pool_name": name, "node_labels": labels, "resource": resource, "max_gpus": 32, "gpu_model": "H200"}


# A SlaScheduler makes this namespace; here it is made by hand.
owned = {"owner": "ml-platform", "classification": "internal"}
restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
namespace = k8s.core.v1.Namespace("system", metadata={"name": "falaj-system", "labels": owned | restricted})
k8s.networking.v1.NetworkPolicy(
    "closed",
    metadata={"name": "default-deny", "namespace": namespace.metadata.name, "labels": owned},
    spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
)
autoscaler = GpuAutoscaler(
    "autoscaler",
    {
        "cluster": cluster,
        "network": network,
        "pools": [
            {"pool": pool("gpu"), "gpus_per_node": 8, "usd_per_node_hour": 50, "usd_per_hour": 150},
            {"pool": pool("near"), "gpus_per_node": 8, "usd_per_node_hour": 50},
        ],
        "image": "123456789012.dkr.ecr.me-central-1.amazonaws.com/falaj/scheduler@sha256:" + 64 * "0",
        "namespace": namespace.metadata.name,
        "tenant_budgets": {"speech": 50},
        "give_back": GiveBack(config.get("giveBack") or GiveBack.TERMINATE),
        "regime": regime,
        "ownership": ownership,
    },
)
pulumi.export("policy", autoscaler.policy)
pulumi.export("serviceAccount", autoscaler.service_account)
