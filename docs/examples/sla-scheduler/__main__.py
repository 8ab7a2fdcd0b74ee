"""Deadlines become priorities: the scheduler's pods, its rights, and the tiers that it goes by.

The cluster is the one of KUBECONFIG, and it runs Kueue. In the lab the pods are emulated: run the same program beside
it, in the name that is made here: falaj-scheduler run --as system:serviceaccount:falaj-system:sla-scheduler
"""

import pulumi

from falaj.components import NetworkRef, Ownership, SlaScheduler

config = pulumi.Config()
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
# What a Network would tell as its ref.
network: NetworkRef = {
    "vpc_id": "vpc-1",
    "subnet_ids": [],
    "isolated_subnet_ids": [],
    "cidr": config.get("cidr") or "10.20.0.0/16",
    "zones": ["me-central-1a"],
    "efa_security_group_id": "",
    "placement_group": "",
    "placement_zone": "me-central-1a",
    "placement_subnet_id": "",
}
registry = "123456789012.dkr.ecr.me-central-1.amazonaws.com"
scheduler = SlaScheduler(
    "sla-scheduler",
    {
        "network": network,
        "image": config.get("image") or f"{registry}/falaj/scheduler@sha256:{64 * '0'}",
        "ownership": ownership,
        "checkpoint_seconds": 300,
    },
)
pulumi.export("runsAs", pulumi.Output.concat(scheduler.namespace, ":", scheduler.service_account))
