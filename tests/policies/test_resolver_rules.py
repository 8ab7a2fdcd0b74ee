"""DNS: what its rules look through."""

from policies.making import VPC, make, urn, verdict

from falaj.policies.model import Verdict

GROUP = "aws:route53/resolverFirewallRuleGroup:ResolverFirewallRuleGroup"
ASSOCIATION = "aws:route53/resolverFirewallRuleGroupAssociation:ResolverFirewallRuleGroupAssociation"
LOG = "aws:route53/resolverQueryLogConfig:ResolverQueryLogConfig"


def test_a_stack_that_leaves_its_names_to_another_account_is_not_judged() -> None:
    assert verdict("FJ-DNS-003", [make(VPC, {})]) is Verdict.NOT_APPLICABLE
    assert verdict("FJ-DNS-004", [make(VPC, {})]) is Verdict.NOT_APPLICABLE


def test_a_firewall_or_a_log_that_nothing_is_joined_to_serves_no_network() -> None:
    assert verdict("FJ-DNS-003", [make(VPC, {}), make(GROUP, {})]) is Verdict.FAIL
    assert verdict("FJ-DNS-004", [make(VPC, {}), make(LOG, {})]) is Verdict.FAIL


def test_each_network_needs_an_association_of_its_own() -> None:
    association = make(ASSOCIATION, {}, vpcId=urn(VPC, "one"))
    assert verdict("FJ-DNS-003", [make(VPC, {}, name="one"), association]) is Verdict.PASS
    assert verdict("FJ-DNS-003", [make(VPC, {}, name="two"), association]) is Verdict.FAIL
