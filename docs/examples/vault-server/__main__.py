"""What an OpenBao server needs before it stands: a key that unseals it, a role for its pods, and its chart's values.

``pulumi stack output values --json`` is what ``helm upgrade --install openbao … --namespace openbao --values`` takes.
"""

import pulumi

from falaj.components import Cluster, KeyUse, Network, Ownership, Regime, ResidencyKey
from falaj.components.vault_server import helm_values, vault_identity

config = pulumi.Config()
region = "me-central-1"
regime: Regime = {"home_region": region, "account_id": "123456789012", "organization_id": "o-a1b2c3d4e5"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}


def key(purpose: str, *uses: KeyUse) -> ResidencyKey:
    """Make the key of one purpose."""
    return ResidencyKey(purpose, {"purpose": purpose, "used_by": [*uses], "regime": regime, "ownership": ownership})


network = Network(
    "network",
    {
        "cidr": "10.72.0.0/16",
        "zones": [f"{region}a", f"{region}b"],
        "key": key("flows", KeyUse.LOGS).ref,
        "regime": regime,
        "ownership": ownership,
    },
)
cluster = Cluster(
    "cluster",
    {
        "version": "1.35",
        # A cluster that is tried out must be easy to remove.
        "protected": False,
        "as_of": "2026-11-26",
        "network": network.ref,
        "key": key("cluster", KeyUse.EKS, KeyUse.LOGS).ref,
        "regime": regime,
        "ownership": ownership,
        "administrators": ["arn:aws:iam::123456789012:role/platform-deployer"],
    },
)
identity = vault_identity("vault", cluster.ref, regime, ownership)
seal_key = ResidencyKey(
    "vault-seal",
    {
        "purpose": "vault-seal",
        "used_by": [KeyUse.VAULT_SEAL],
        "users": [identity.role_arn],
        "regime": regime,
        "ownership": ownership,
    },
    pulumi.ResourceOptions(depends_on=[identity.role]),
)
values = helm_values(
    seal_key.ref,
    region,
    # Examples: the image that you built with the plugin in it, and the digest of the plugin's binary.
    image=config.get("image")
    or f"123456789012.dkr.ecr.{region}.amazonaws.com/openbao/openbao:2.7.2@sha256:{'0123456789abcdef' * 4}",
    plugin_sha256=config.get("pluginSha256") or "0123456789abcdef" * 4,
)

pulumi.export("role", identity.role.arn)
pulumi.export("key", seal_key.arn)
pulumi.export("values", values)
