"""The edge: what its rules look through."""

import pytest
from policies.cases.edge import DISTRIBUTION, LISTENERS, origins
from policies.making import make, verdict

from falaj.policies.model import Verdict

LISTENER = LISTENERS[0]


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "TLS", "HTTPS"])
def test_listeners_that_are_not_of_http_may_forward(protocol: str) -> None:
    listener = {"port": 443.0, "protocol": protocol, "defaultActions": [{"type": "forward"}]}
    assert verdict("FJ-ELB-001", [make(LISTENER, listener)]) is Verdict.PASS


def test_a_redirect_beside_something_else_is_not_enough() -> None:
    actions = [{"type": "redirect", "redirect": {"protocol": "HTTPS"}}, {"type": "forward"}]
    assert verdict("FJ-ELB-001", [make(LISTENER, {"protocol": "HTTP", "defaultActions": actions})]) is Verdict.FAIL
    assert verdict("FJ-ELB-001", [make(LISTENER, {"protocol": "HTTP", "defaultActions": []})]) is Verdict.FAIL


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", Verdict.PASS),
        ("ELBSecurityPolicy-FS-1-2-Res-2020-10", Verdict.PASS),
        ("ELBSecurityPolicy-2016-08", Verdict.FAIL),
        ("ELBSecurityPolicy-TLS13-1-0-2021-06", Verdict.FAIL),
        ("ELBSecurityPolicy-TLS-1-1-2017-01", Verdict.FAIL),
    ],
)
def test_policies_of_tls_are_known_by_their_name(policy: str, expected: Verdict) -> None:
    assert verdict("FJ-ELB-002", [make(LISTENER, {"protocol": "HTTPS", "sslPolicy": policy})]) is expected


@pytest.mark.parametrize("name", ["data.s3.amazonaws.com", "data.s3.me-central-1.amazonaws.com"])
def test_buckets_are_known_by_their_name(name: str) -> None:
    assert verdict("FJ-CDN-002", [make(DISTRIBUTION, origins({"domainName": name}))]) is Verdict.FAIL


def test_an_old_version_beside_a_new_one_is_an_old_one() -> None:
    server = {"originProtocolPolicy": "https-only", "originSslProtocols": ["TLSv1.1", "TLSv1.2"]}
    origin = {"domainName": "api.example.ae", "customOriginConfig": server}
    assert verdict("FJ-CDN-002", [make(DISTRIBUTION, origins(origin))]) is Verdict.FAIL
