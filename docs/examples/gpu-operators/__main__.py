"""Device plugin, metrics, EFA and Kueue for a cluster whose registry is the account's own.

It is for a cluster on AWS: charts and images have to be in the registry, as `python -m falaj.components.mirror_list`
lists them.
"""

import pulumi

from falaj.components import GpuOperators, ImageRegistry, KeyUse, NetworkRef, Ownership, Regime, ResidencyKey, Upstream

regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
# What a Network would tell as its ref.
network: NetworkRef = {
    "vpc_id": "vpc-1",
    "subnet_ids": [],
    "isolated_subnet_ids": [],
    "cidr": "10.20.0.0/16",
    "zones": ["me-central-1a"],
    "efa_security_group_id": "",
    "placement_group": "",
    "placement_zone": "me-central-1a",
    "placement_subnet_id": "",
}
key = ResidencyKey("images", {"purpose": "images", "used_by": [KeyUse.ECR], "regime": regime, "ownership": ownership})
images = ImageRegistry(
    "images",
    {
        "repositories": [
            *("charts/nvidia-device-plugin", "charts/dcgm-exporter"),
            *("charts/aws-efa-k8s-device-plugin", "charts/kueue"),
            *("nvidia/k8s-device-plugin", "nvidia/k8s/dcgm-exporter", "eks/aws-efa-k8s-device-plugin"),
        ],
        "mirrors": [{"upstream": Upstream.KUBERNETES}],
        "key": key.ref,
        "regime": regime,
        "ownership": ownership,
    },
)
operators = GpuOperators(
    "gpus",
    {
        "registry": images.ref,
        "network": network,
        "regime": regime,
        "ownership": ownership,
        "efa": True,
        "time_slices": [4],
    },
)
pulumi.export("releases", operators.releases)
