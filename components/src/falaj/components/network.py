"""A network in the home region: subnets over its zones, AWS reached by endpoints, no way out but a named one."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.classification import Classification
from falaj.components.log_group import check_retention
from falaj.components.network_acls import make_acls
from falaj.components.network_dns import check_domains, home_domains, make_dns_firewall, make_query_log, resolved
from falaj.components.network_egress import EgressArgs, check_egress, make_egress
from falaj.components.network_endpoints import make_endpoints
from falaj.components.network_flow_log import make_flow_log
from falaj.components.network_plan import plan_network
from falaj.components.network_subnets import isolated_subnets, private_subnets
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import KeyRef, NetworkRef, key_arn
from falaj.components.regime import Regime, at_least, check_regime, check_zones, rules_of


class NetworkArgs(TypedDict):
    """What may be said of a network."""

    cidr: str
    """Private address range of the VPC, /16 to /20, for example ``10.20.0.0/16``."""
    zones: list[str]
    """Two to six zones of the home region; each gets a private and an isolated subnet."""
    key: pulumi.Input[KeyRef]
    """Key of the logs: ``ref`` of a ``ResidencyKey`` used by logs, and with ``egress`` by the network firewall."""
    regime: Regime
    """Home region, account and organization."""
    ownership: Ownership
    """Who answers for the network and pays for it."""
    classification: NotRequired[Classification]
    """Classification of what crosses the network. Default: ``restricted``."""
    reserved_cidrs: NotRequired[list[str]]
    """Ranges that the network must not overlap: on-premises, peers, pods and services of clusters. Default: none."""
    private_domains: NotRequired[list[str]]
    """Domains of private hosted zones that resolve here, exact or with a leading dot. Default: none."""
    egress: NotRequired[EgressArgs]
    """What may leave, through a network firewall. Default: nothing, and there is no gateway to the internet."""
    protected: NotRequired[bool]
    """Whether the firewalls refuse to be removed or exchanged, until it is false again. Default: ``false``."""
    placement_zone: NotRequired[str]
    """Zone of the nodes that train together over EFA. Default: the first zone."""
    flow_log_days: NotRequired[int]
    """Days that logs of flows, DNS queries and the firewall are kept. Default: 365."""


class Network(pulumi.ComponentResource):
    """One VPC of private and isolated subnets with the endpoints that a private cluster needs, all of it logged.

    There is no internet gateway, no NAT and no default route unless ``egress`` names domains; then the only way out
    leads through AWS Network Firewall. The resolver answers for names of the home region and those domains alone.
    Serves ISO/IEC 27001:2022 A.8.12, A.8.15, A.8.20, A.8.22 and A.8.23.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""
    subnet_ids: pulumi.Output[list[str]]
    """Ids of the private subnets, in the order of the zones."""
    isolated_subnet_ids: pulumi.Output[list[str]]
    """Ids of the isolated subnets, in the order of the zones."""
    efa_security_group_id: pulumi.Output[str]
    """Id of the security group of nodes that train together over EFA."""
    placement_group: pulumi.Output[str]
    """Name of the placement group of those nodes."""
    ref: NetworkRef
    """The network as other components take it."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime = args["regime"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        rules = rules_of(regime)
        zones = check_zones(f"{name}.zones", args["zones"], regime["home_region"])
        plan = plan_network(name, args["cidr"], zones, args.get("reserved_cidrs", []))
        close = plan.zone(f"{name}.placement_zone", args.get("placement_zone", zones[0]))
        egress = check_egress(f"{name}.egress", args.get("egress"))
        private_domains = check_domains(f"{name}.private_domains", args.get("private_domains", []))
        days = check_retention(f"{name}.flow_log_days", args.get("flow_log_days", 365))
        at_least(f"{name}.flow_log_days", days, rules.log_days[classification], rules.name)
        tags = labels(f"{name}.ownership", args["ownership"], classification)
        log_key = key_arn(f"{name}.key", args["key"], classification)
        protected = args.get("protected", False)

        super().__init__("falaj:index:Network", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=plan.cidr,
            enable_dns_support=True,
            # Private DNS names of the endpoints need both.
            enable_dns_hostnames=True,
            tags=tags | {"Name": name},
            opts=child,
        )
        # Every VPC has a default security group that lets its members talk; taken over without rules it opens nothing.
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default-security-group", vpc_id=vpc.id, ingress=[], egress=[], tags=tags, opts=child
        )
        private, tables = private_subnets(name, vpc, plan, tags=tags, opts=child)
        isolated = isolated_subnets(name, vpc, plan, tags=tags, opts=child)
        way_out = (
            make_egress(
                name,
                vpc,
                egress,
                plan=plan,
                private_tables={zone.zone: table for zone, table in zip(plan.zones, tables, strict=True)},
                key=log_key,
                days=days,
                protected=protected,
                tags=tags,
                opts=child,
            )
            if egress
            else []
        )
        make_acls(
            name,
            vpc,
            cidr=plan.cidr,
            private=private,
            isolated=isolated,
            egress=way_out,
            ports=egress.ports if egress else [],
            tags=tags,
            opts=child,
        )
        make_endpoints(name, vpc, plan=plan, subnets=isolated, tables=tables, regime=regime, tags=tags, opts=child)
        make_dns_firewall(
            name,
            vpc,
            home=[*home_domains(regime, plan.cidr), *resolved(private_domains)],
            egress=resolved(egress.domains if egress else []),
            protected=protected,
            tags=tags,
            opts=child,
        )
        make_query_log(name, vpc, key=log_key, days=days, tags=tags, opts=child)
        make_flow_log(name, vpc, key=log_key, days=days, regime=regime, tags=tags, opts=child)
        group = _efa_group(name, vpc, tags=tags, opts=child)
        placement = aws.ec2.PlacementGroup(
            f"{name}-placement",
            name=f"{tags['environment']}-{name}-{close.letter}",
            strategy="cluster",
            tags=tags,
            opts=child,
        )

        self.vpc_id = vpc.id
        self.subnet_ids = pulumi.Output.all(*[subnet.id for subnet in private])
        self.isolated_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in isolated])
        self.efa_security_group_id = group.id
        self.placement_group = placement.name
        self.ref = {
            "vpc_id": self.vpc_id,
            "subnet_ids": self.subnet_ids,
            "isolated_subnet_ids": self.isolated_subnet_ids,
            "cidr": plan.cidr,
            "zones": zones,
            "efa_security_group_id": self.efa_security_group_id,
            "placement_group": self.placement_group,
            "placement_zone": close.zone,
            "placement_subnet_id": private[zones.index(close.zone)].id,
        }
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "subnetIds": self.subnet_ids,
                "isolatedSubnetIds": self.isolated_subnet_ids,
                "efaSecurityGroupId": self.efa_security_group_id,
                "placementGroup": self.placement_group,
                "ref": self.ref,
            }
        )


def _efa_group(
    name: str, vpc: aws.ec2.Vpc, *, tags: dict[str, str], opts: pulumi.ResourceOptions
) -> aws.ec2.SecurityGroup:
    """Make the group of nodes that train together: EFA wants all traffic among its members, both ways.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start.html
    """
    group = aws.ec2.SecurityGroup(
        f"{name}-efa", vpc_id=vpc.id, description="Nodes that train together over EFA", tags=tags, opts=opts
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{name}-efa-in",
        security_group_id=group.id,
        description="Everything from its members",
        referenced_security_group_id=group.id,
        ip_protocol="-1",
        tags=tags,
        opts=opts,
    )
    aws.vpc.SecurityGroupEgressRule(
        f"{name}-efa-out",
        security_group_id=group.id,
        description="Everything to its members",
        referenced_security_group_id=group.id,
        ip_protocol="-1",
        tags=tags,
        opts=opts,
    )
    return group
