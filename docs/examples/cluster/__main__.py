"""A private EKS cluster: add-ons in pinned versions, one administrator, and developers whom RBAC bounds."""

import pulumi

from falaj.components import Addon, Cluster, ClusterAddon, KeyUse, Network, Ownership, Regime, ResidencyKey

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}


def key(purpose: str, *uses: KeyUse) -> ResidencyKey:
    """Make the key of one purpose."""
    return ResidencyKey(purpose, {"purpose": purpose, "used_by": [*uses], "regime": regime, "ownership": ownership})


network = Network(
    "network",
    {
        "cidr": "10.64.0.0/16",
        "zones": ["me-central-1a", "me-central-1b"],
        "key": key("flows", KeyUse.LOGS).ref,
        "regime": regime,
        "ownership": ownership,
    },
)
disks: ClusterAddon = {"name": Addon.EBS_CSI, "key": key("disks", KeyUse.EBS).ref}
if version := config.get("diskDriver"):
    disks["version"] = version
cluster = Cluster(
    "cluster",
    {
        "version": config.get("version") or "1.35",
        # A cluster that is tried out must be easy to remove.
        "protected": config.get_bool("protected") or False,
        "as_of": config.get("asOf") or "2026-11-26",
        "network": network.ref,
        "key": key("cluster", KeyUse.EKS, KeyUse.LOGS).ref,
        "regime": regime,
        "ownership": ownership,
        "administrators": ["arn:aws:iam::123456789012:role/platform-deployer"],
        "members": [{"principal": "arn:aws:iam::123456789012:role/vision-developers", "groups": ["vision:developer"]}],
        "addons": [disks],
    },
)
pulumi.export("cluster", cluster.cluster_name)
