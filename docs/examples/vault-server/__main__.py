"""What an OpenBao server needs before it stands: a key that unseals it, a role for its pods, and its chart's values.

``pulumi stack output values --json`` is what ``helm upgrade --install openbao … --namespace openbao --values`` takes.
"""

import pulumi

from falaj.components import KeyUse, Ownership, Regime, ResidencyKey
from falaj.components.vault_server import helm_values, vault_identity

config = pulumi.Config()
region = "me-central-1"
regime: Regime = {"home_region": region, "account_id": "123456789012", "organization_id": "o-a1b2c3d4e5"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
registry = f"123456789012.dkr.ecr.{region}.amazonaws.com"

identity = vault_identity(
    "vault",
    {
        "cluster_name": config.get("cluster") or "falaj-dev",
        "version": "1.35",
        "endpoint": "https://0123456789.gr7.me-central-1.eks.amazonaws.com",
        "certificate_authority": "",
        "security_group_id": "sg-0123456789abcdef0",
    },
    regime,
    ownership,
)
key = ResidencyKey(
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
    key.ref,
    region,
    # Examples: the image that you built with the plugin in it, and the digest of the plugin's binary.
    image=config.get("image") or f"{registry}/openbao/openbao:2.7.2@sha256:{'0123456789abcdef' * 4}",
    plugin_sha256=config.get("pluginSha256") or "0123456789abcdef" * 4,
)

pulumi.export("role", identity.role.arn)
pulumi.export("key", key.arn)
pulumi.export("values", values)
