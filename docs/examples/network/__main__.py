"""A network over three zones, its logs encrypted; the domains that may be reached from it are configuration."""

import pulumi

from falaj.components import Classification, KeyUse, Network, NetworkArgs, Ownership, Regime, ResidencyKey

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
zones = config.get("zones") or "me-central-1a,me-central-1b,me-central-1c"
domains = config.get("allowedDomains")

key = ResidencyKey(
    "logs",
    {
        "purpose": "network-logs",
        "used_by": [KeyUse.LOGS, KeyUse.NETWORK_FIREWALL],
        "regime": regime,
        "ownership": ownership,
    },
)
args: NetworkArgs = {
    "cidr": config.get("cidr") or "10.20.0.0/16",
    "zones": zones.split(","),
    # On-premises, and the pods of clusters elsewhere.
    "reserved_cidrs": ["10.128.0.0/9", "100.64.0.0/10"],
    "classification": Classification.RESTRICTED,
    "protected": config.get_bool("protected") or False,
    "flow_log_days": config.get_int("logDays") or 365,
    "key": key.ref,
    "regime": regime,
    "ownership": ownership,
}
if domains:
    args["egress"] = {"allowed_domains": domains.split(",")}
network = Network("network", args)

pulumi.export("vpcId", network.vpc_id)
pulumi.export("subnetIds", network.subnet_ids)
pulumi.export("isolatedSubnetIds", network.isolated_subnet_ids)
pulumi.export("efaSecurityGroupId", network.efa_security_group_id)
