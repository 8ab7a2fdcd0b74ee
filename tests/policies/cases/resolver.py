"""DNS: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import VPC, Case, make, simple, urn

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

GROUP = "aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup"
RULE = "aws:route53/resolverFirewallRule:ResolverFirewallRule"
ASSOCIATION = "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation"
LOG_ASSOCIATION = "aws:route53/resolverQueryLogConfigAssociation:ResolverQueryLogConfigAssociation"


def group_with(action: Any) -> list[Resource]:
    of_group = {"firewallRuleGroupId": UNKNOWN, "action": action}
    return [make(GROUP, {}), make(RULE, of_group, name="rule", firewallRuleGroupId=urn(GROUP))]


def joined(type_: str, key: str, origin: str = "") -> list[Resource]:
    """Make a network and an association of which only the engine knows, or nobody, which network it is about."""
    links = {key: urn(VPC, origin)} if origin else {}
    return [make(VPC, {}), make(type_, {key: UNKNOWN}, name="association", **links)]


CASES = [
    simple(
        "FJ-DNS-001",
        "aws:route53/resolverFirewallConfig:ResolverFirewallConfig",
        {"firewallFailOpen": "DISABLED"},
        {"firewallFailOpen": "ENABLED"},
        {"firewallFailOpen": UNKNOWN},
    ),
    Case("FJ-DNS-002", group_with("BLOCK"), group_with("ALERT"), group_with(UNKNOWN)),
    *(
        Case(rule, joined(type_, key, "it"), joined(type_, key, "another"), joined(type_, key))
        for rule, type_, key in (("FJ-DNS-003", ASSOCIATION, "vpcId"), ("FJ-DNS-004", LOG_ASSOCIATION, "resourceId"))
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("ResolverFirewallConfig", ["firewallFailOpen"], "ENABLED", {"FJ-DNS-001"}),
    ("ResolverFirewallRuleGroup", ["id"], "rslvr-frg-elsewhere", {"FJ-DNS-002"}),
    ("ResolverFirewallRuleGroupAssociation", ["vpcId"], "vpc-elsewhere", {"FJ-DNS-003"}),
    ("ResolverQueryLogConfigAssociation", ["resourceId"], "vpc-elsewhere", {"FJ-DNS-004"}),
]
