"""Security groups and ACLs: what their rules look through."""

from typing import Any

import pytest
from policies.making import make, urn, verdict

from falaj.policies.model import Verdict
from falaj.policies.values import UNKNOWN

GROUP = "aws:ec2/securityGroup:SecurityGroup"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ACL = "aws:ec2/networkAcl:NetworkAcl"


def test_a_group_that_names_itself_is_known_before_its_id_is() -> None:
    everything = {"ipProtocol": "-1", "referencedSecurityGroupId": UNKNOWN, "securityGroupId": UNKNOWN}
    own, other = urn(GROUP, "own"), urn(GROUP, "other")
    itself = make(INGRESS, everything, securityGroupId=own, referencedSecurityGroupId=own)
    stranger = make(INGRESS, everything, securityGroupId=own, referencedSecurityGroupId=other)
    assert verdict("FJ-NET-008", [itself]) is Verdict.PASS
    assert verdict("FJ-NET-008", [stranger]) is Verdict.FAIL


def test_pings_are_about_no_port() -> None:
    ping = {"ipProtocol": "icmp", "fromPort": 8.0, "toPort": 65535.0, "cidrIpv4": "10.0.0.0/8"}
    assert verdict("FJ-NET-009", [make(INGRESS, ping)]) is Verdict.PASS


@pytest.mark.parametrize(
    ("ports", "expected"),
    [((5432.0, 5432.0), Verdict.FAIL), ((443.0, 443.0), Verdict.PASS), ((0.0, 65535.0), Verdict.FAIL)],
)
def test_a_range_of_ports_counts_by_what_it_holds(ports: tuple[float, float], expected: Verdict) -> None:
    low, high = ports
    given = {"ipProtocol": "tcp", "fromPort": low, "toPort": high, "cidrIpv4": "10.0.0.0/16"}
    assert verdict("FJ-NET-009", [make(INGRESS, given)]) is expected


def test_which_ranges_are_wide_is_a_setting() -> None:
    given = {"ipProtocol": "tcp", "fromPort": 22.0, "toPort": 22.0, "cidrIpv4": "10.0.0.0/20"}
    assert verdict("FJ-NET-009", [make(INGRESS, given)]) is Verdict.FAIL
    assert verdict("FJ-NET-009", [make(INGRESS, given)], widestPrefix=16) is Verdict.PASS
    assert verdict("FJ-NET-009", [make(INGRESS, given)], ports=[3389]) is Verdict.PASS


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "action": "allow",
        "protocol": "tcp",
        "cidrBlock": "0.0.0.0/0",
        "fromPort": 1024.0,
        "toPort": 65535.0,
    } | changes


def test_an_acl_lets_answers_in_but_no_administration() -> None:
    assert verdict("FJ-NET-010", [make(ACL, {"ingress": [entry()]})]) is Verdict.PASS
    assert verdict("FJ-NET-010", [make(ACL, {"ingress": [entry(fromPort=3389.0, toPort=3389.0)]})]) is Verdict.FAIL
    assert verdict("FJ-NET-010", [make(ACL, {"ingress": [entry(fromPort=0.0)]})]) is Verdict.FAIL
    assert verdict("FJ-NET-010", [make(ACL, {"egress": [entry(fromPort=0.0)]})]) is Verdict.NOT_APPLICABLE


def test_ports_of_an_acl_s_entry_for_every_protocol_bound_nothing() -> None:
    assert verdict("FJ-NET-010", [make(ACL, {"ingress": [entry(protocol="-1")]})]) is Verdict.FAIL


def test_the_provider_s_own_description_says_nothing() -> None:
    assert verdict("FJ-NET-019", [make(GROUP, {"description": "Managed by Pulumi"})]) is Verdict.FAIL
    assert verdict("FJ-NET-019", [make(GROUP, {"description": "Callers of the database"})]) is Verdict.PASS
