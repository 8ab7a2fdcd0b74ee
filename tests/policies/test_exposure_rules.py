"""What a cluster shows and lets through, and who guards it: what the rules look through."""

import pytest
from policies.cases.admission import BINDINGS, POLICIES, spec, where
from policies.cases.delivery import KINDS, application
from policies.cases.exposure import INGRESS, SERVICE, ingress, service
from policies.cases.traffic import block, going
from policies.making import NETWORK_POLICY, make, verdict

from falaj.policies.model import Verdict


@pytest.mark.parametrize(
    ("note", "value"),
    [
        ("service.beta.kubernetes.io/aws-load-balancer-internal", "true"),
        ("service.beta.kubernetes.io/azure-load-balancer-internal", "true"),
        ("networking.gke.io/load-balancer-type", "Internal"),
    ],
)
def test_each_cloud_has_its_own_word_for_an_internal_load_balancer(note: str, value: str) -> None:
    assert verdict("FJ-SVC-001", [make(SERVICE, service("LoadBalancer", **{note: value}))]) is Verdict.PASS


def test_a_wildcard_certificate_covers_one_label_only() -> None:
    assert verdict("FJ-ING-001", [make(INGRESS, ingress("a.team.example", "*.team.example"))]) is Verdict.PASS
    assert verdict("FJ-ING-001", [make(INGRESS, ingress("team.example", "*.team.example"))]) is Verdict.FAIL


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "128.0.0.0/1", "::/0", "2000::/3"])
def test_half_of_the_world_is_still_the_world(cidr: str) -> None:
    assert verdict("FJ-NPL-002", [make(NETWORK_POLICY, going(to=[block(cidr)]))]) is Verdict.FAIL


def test_the_address_of_pod_identities_is_not_the_node_s() -> None:
    assert verdict("FJ-NPL-003", [make(NETWORK_POLICY, going(to=[block("169.254.170.23/32")]))]) is Verdict.PASS
    assert verdict("FJ-NPL-003", [make(NETWORK_POLICY, going(to=[block("fd00:ec2::/32")]))]) is Verdict.FAIL


def test_namespaces_may_be_excepted_by_the_label_that_nobody_can_set() -> None:
    by_name = where("kubernetes.io/metadata.name", "NotIn")
    policy = make(POLICIES[0], spec(matchConstraints={"namespaceSelector": by_name}))
    assert verdict("FJ-ADM-004", [policy]) is Verdict.PASS
    objects = make(BINDINGS[0], spec(matchResources={"objectSelector": by_name}))
    assert verdict("FJ-ADM-004", [objects]) is Verdict.FAIL


@pytest.mark.parametrize("kind", KINDS)
def test_delivery_that_is_switched_off_is_not_judged_as_automatic(kind: str) -> None:
    off = application(kind, syncPolicy={"automated": {"enabled": False, "allowEmpty": True}})
    assert verdict("FJ-ARG-003", [make(kind, off)]) is Verdict.NOT_APPLICABLE
