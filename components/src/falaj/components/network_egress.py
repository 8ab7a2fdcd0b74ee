"""The one way out of a network, where it has any: through AWS Network Firewall, to named domains, by TLS.

https://docs.aws.amazon.com/network-firewall/latest/developerguide/arch-igw-ngw.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.errors import ConfigError
from falaj.components.log_group import encrypted_log_group
from falaj.components.network_dns import MOST, check_domains
from falaj.components.network_plan import NetworkPlan, ZonePlan
from falaj.components.network_subnets import make_subnet, route_table

_ANYWHERE = "0.0.0.0/0"
_FORWARD = ["aws:forward_to_sfe"]


class EgressArgs(TypedDict):
    """What may leave a network."""

    allowed_domains: list[str]
    """Domains that may be reached: exact, or with a leading dot the domain and all below it; 1 to 200."""
    plain_http: NotRequired[bool]
    """Whether they may be reached without TLS too, for a mirror that has none. Default: ``false``."""


@dataclass(frozen=True)
class Egress:
    """What may leave, checked."""

    domains: list[str]
    plain_http: bool

    @property
    def ports(self) -> list[int]:
        """TCP ports that lead out."""
        return [80, 443] if self.plain_http else [443]

    @property
    def target_types(self) -> list[str]:
        """Where the firewall reads the name that is asked for."""
        return ["HTTP_HOST", "TLS_SNI"] if self.plain_http else ["TLS_SNI"]


def check_egress(field: str, args: EgressArgs | None) -> Egress | None:
    """Return what may leave, refusing an egress to nowhere in particular."""
    if args is None:
        return None
    if not args["allowed_domains"]:
        raise ConfigError(f"{field}.allowed_domains", [], "must name the domains; leave egress out for none")
    domains = check_domains(f"{field}.allowed_domains", args["allowed_domains"])
    return Egress(domains, args.get("plain_http", False))


def make_egress(
    name: str,
    vpc: aws.ec2.Vpc,
    egress: Egress,
    *,
    plan: NetworkPlan,
    private_tables: Mapping[str, aws.ec2.RouteTable],
    key: pulumi.Output[str],
    days: int,
    protected: bool,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> list[aws.ec2.Subnet]:
    """Make the way out and back of each zone, and return its subnets, the firewall's first."""
    gateway = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=vpc.id, tags=tags | {"Name": name}, opts=opts)
    firewall_subnets, public_subnets = (
        {
            zone.zone: make_subnet(name, kind, vpc, zone, getattr(zone, kind), tags=tags, opts=opts)
            for zone in plan.zones
        }
        for kind in ("firewall", "public")
    )
    policy = _policy(name, egress, key=key, tags=tags, opts=opts)
    firewall = aws.networkfirewall.Firewall(
        f"{name}-firewall",
        name=f"{tags['environment']}-{name}",
        vpc_id=vpc.id,
        firewall_policy_arn=policy.arn,
        subnet_mappings=[{"subnet_id": subnet.id} for subnet in firewall_subnets.values()],
        encryption_configuration=_encryption(key),
        delete_protection=protected,
        firewall_policy_change_protection=protected,
        subnet_change_protection=protected,
        tags=tags,
        opts=opts,
    )
    _logging(name, firewall, key=key, days=days, tags=tags, opts=opts)
    for zone in plan.zones:
        public = public_subnets[zone.zone]
        firewall_table, public_table = (
            route_table(
                f"{name}-{kind}-routes-{zone.letter}",
                vpc,
                subnet,
                tags=tags | {"Name": f"{name}-{kind}-{zone.letter}"},
                opts=opts,
            )
            for kind, subnet in (("firewall", firewall_subnets[zone.zone]), ("public", public))
        )
        _way(
            name,
            zone,
            endpoint=firewall.firewall_statuses.apply(endpoint_of(zone.zone)),
            gateway=gateway,
            tables=(private_tables[zone.zone], firewall_table, public_table),
            public=public,
            tags=tags,
            opts=opts,
        )
    return [*firewall_subnets.values(), *public_subnets.values()]


def endpoint_of(zone: str) -> Any:
    """Return what finds the firewall's endpoint in a zone: traffic that changes zones is dropped on its way back."""

    def find(statuses: Any) -> str:
        states = {state.availability_zone: state.attachments[0].endpoint_id for state in statuses[0].sync_states}
        return states[zone]

    return find


def _way(
    name: str,
    zone: ZonePlan,
    *,
    endpoint: pulumi.Output[str],
    gateway: aws.ec2.InternetGateway,
    tables: tuple[aws.ec2.RouteTable, aws.ec2.RouteTable, aws.ec2.RouteTable],
    public: aws.ec2.Subnet,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Lead one zone out: private subnet, firewall, NAT gateway, internet; and back by the firewall again."""
    private_table, firewall_table, public_table = tables
    named = tags | {"Name": f"{name}-{zone.letter}"}
    after_gateway = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[gateway]))
    address = aws.ec2.Eip(f"{name}-nat-{zone.letter}-address", domain="vpc", tags=named, opts=after_gateway)
    nat = aws.ec2.NatGateway(
        f"{name}-nat-{zone.letter}", subnet_id=public.id, allocation_id=address.id, tags=named, opts=after_gateway
    )

    def route(step: str, table: aws.ec2.RouteTable, destination: str, **target: pulumi.Input[str]) -> None:
        aws.ec2.Route(
            f"{name}-{step}-{zone.letter}",
            route_table_id=table.id,
            destination_cidr_block=destination,
            opts=opts,
            **target,
        )

    route("out-to-firewall", private_table, _ANYWHERE, vpc_endpoint_id=endpoint)
    route("out-to-nat", firewall_table, _ANYWHERE, nat_gateway_id=nat.id)
    route("out-to-internet", public_table, _ANYWHERE, gateway_id=gateway.id)
    route("back-to-firewall", public_table, zone.private, vpc_endpoint_id=endpoint)


def _policy(
    name: str, egress: Egress, *, key: pulumi.Output[str], tags: dict[str, str], opts: pulumi.ResourceOptions
) -> aws.networkfirewall.FirewallPolicy:
    """Make the policy: what is on the list passes, everything else is dropped once it is seen what it is."""
    full_name = f"{tags['environment']}-{name}"
    allowed = aws.networkfirewall.RuleGroup(
        f"{name}-firewall-domains",
        name=f"{full_name}-domains",
        type="STATEFUL",
        # Fixed for the life of the group; each domain takes one per place where its name is read.
        capacity=2 * MOST,
        rule_group={
            "rules_source": {
                "rules_source_list": {
                    "generated_rules_type": "ALLOWLIST",
                    "target_types": egress.target_types,
                    "targets": egress.domains,
                }
            },
            "stateful_rule_options": {"rule_order": "STRICT_ORDER"},
        },
        encryption_configuration=_encryption(key),
        tags=tags,
        opts=opts,
    )
    return aws.networkfirewall.FirewallPolicy(
        f"{name}-firewall-policy",
        name=full_name,
        firewall_policy={
            "stateless_default_actions": _FORWARD,
            "stateless_fragment_default_actions": _FORWARD,
            "stateful_engine_options": {"rule_order": "STRICT_ORDER", "stream_exception_policy": "DROP"},
            # A connection has to be made before the name that it asks for is seen; then it is dropped, and told of.
            "stateful_default_actions": ["aws:drop_established", "aws:alert_established"],
            "stateful_rule_group_references": [{"priority": 1, "resource_arn": allowed.arn}],
        },
        encryption_configuration=_encryption(key),
        tags=tags,
        opts=opts,
    )


def _encryption(key: pulumi.Output[str]) -> Any:
    return {"type": "CUSTOMER_KMS", "key_id": key}


def _logging(
    name: str,
    firewall: aws.networkfirewall.Firewall,
    *,
    key: pulumi.Output[str],
    days: int,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Record every flow through the firewall, and every one that it refused."""
    path = f"/vpc/{tags['environment']}/{name}/firewall"
    group = encrypted_log_group(f"{name}-firewall-logs", path, key=key, days=days, tags=tags, opts=opts)
    aws.networkfirewall.LoggingConfiguration(
        f"{name}-firewall-logging",
        firewall_arn=firewall.arn,
        logging_configuration={
            "log_destination_configs": [
                {
                    "log_type": kind,
                    "log_destination_type": "CloudWatchLogs",
                    "log_destination": {"logGroup": group.name},
                }
                for kind in ("ALERT", "FLOW")
            ]
        },
        opts=opts,
    )
