"""Names: resolved through a firewall that blocks and fails closed, every question written down."""

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, rule
from falaj.policies.values import any_of

_VPC = "aws:ec2/vpc:Vpc"
_GROUP = "aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup"
_RULE = "aws:route53/resolverFirewallRule:ResolverFirewallRule"
_ASSOCIATION = "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation"
_LOG = "aws:route53/resolverQueryLogConfig:ResolverQueryLogConfig"
_LOG_ASSOCIATION = "aws:route53/resolverQueryLogConfigAssociation:ResolverQueryLogConfigAssociation"


@rule(
    "FJ-DNS-001",
    "DNS firewalls fail closed",
    Severity.MEDIUM,
    ("A.8.23", "A.8.12", "A.8.20"),
    ("aws:route53/resolverFirewallConfig:ResolverFirewallConfig",),
    "Set firewallFailOpen to DISABLED.",
    fix={"firewallFailOpen": "DISABLED"},
)
def fails_closed(config: Resource, _: Context) -> Checks:
    """Whoever can overload the firewall would otherwise be past it."""
    setting = config["firewallFailOpen"]
    yield must(~setting.is_set() | setting.equals("DISABLED"), "questions pass unfiltered when the firewall is late")


@rule(
    "FJ-DNS-002",
    "DNS firewalls block what they do not allow",
    Severity.HIGH,
    ("A.8.23", "A.8.12", "A.8.20"),
    (_GROUP,),
    'Give the group a rule with action BLOCK, in the end for "*.".',
    reads=(_RULE,),
)
def blocks(group: Resource, context: Context) -> Checks:
    """A firewall that alerts only lets the data out that is hidden in the questions."""
    found = context.graph.companions(group, (_RULE,), "firewallRuleGroupId")
    yield must(any_of(refers_ & each["action"].equals("BLOCK") for each, refers_ in found), "no rule blocks anything")


@rule(
    "FJ-DNS-003",
    "Every network of a stack with a DNS firewall is behind it",
    Severity.MEDIUM,
    ("A.8.23", "A.8.12", "A.8.22"),
    (_VPC,),
    "Declare a ResolverFirewallRuleGroupAssociation for the VPC.",
    reads=(_ASSOCIATION, _GROUP),
)
def behind_firewall(vpc: Resource, context: Context) -> Checks:
    """A stack that declares no group leaves its names to another account: nothing is said about it then."""
    if any(True for _ in context.graph.of((_GROUP, _ASSOCIATION))):
        joined = any_of(is_its for _, is_its in context.graph.companions(vpc, (_ASSOCIATION,), "vpcId"))
        yield must(joined, "the network's names are resolved past the DNS firewall")


@rule(
    "FJ-DNS-004",
    "Every network of a stack with a log of DNS queries writes to it",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    (_VPC,),
    "Declare a ResolverQueryLogConfigAssociation for the VPC.",
    reads=(_LOG_ASSOCIATION, _LOG),
)
def logged(vpc: Resource, context: Context) -> Checks:
    """A stack that declares no such log leaves it to another account: nothing is said about it then."""
    if any(True for _ in context.graph.of((_LOG, _LOG_ASSOCIATION))):
        joined = any_of(is_its for _, is_its in context.graph.companions(vpc, (_LOG_ASSOCIATION,), "resourceId"))
        yield must(joined, "the network's DNS queries are not logged")


RULES: tuple[Rule, ...] = (fails_closed, blocks, behind_firewall, logged)
