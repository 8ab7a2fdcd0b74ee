"""What network policies let through: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import NETWORK_POLICY, Case, simple

from falaj.policies.values import UNKNOWN

EVERY_NAMESPACE: dict[str, Any] = {"namespaceSelector": {}}
SOME = {"namespaceSelector": {"matchLabels": {"team": "one"}}}


def coming(**entry: Any) -> dict[str, Any]:
    """Return a policy with one rule for what comes in."""
    return {"spec": {"policyTypes": ["Ingress"], "ingress": [entry]}}


def going(**entry: Any) -> dict[str, Any]:
    """Return a policy with one rule for what goes out."""
    return {"spec": {"policyTypes": ["Egress"], "egress": [entry]}}


def block(cidr: Any, *excepted: Any) -> dict[str, Any]:
    """Return a network as one end of the traffic."""
    return {"ipBlock": {"cidr": cidr} | ({"except": list(excepted)} if excepted else {})}


CASES: list[Case] = [
    *(
        simple("FJ-NPL-001", NETWORK_POLICY, coming(**{"from": [good]}), coming(**bad), coming(**{"from": [unknown]}))
        for good, bad, unknown in (
            (SOME, {}, UNKNOWN),
            ({"podSelector": {}}, {"from": [EVERY_NAMESPACE]}, {"namespaceSelector": UNKNOWN}),
            (block("10.0.0.0/8"), {"from": [block("0.0.0.0/0")]}, block(UNKNOWN)),
            (block("fd00::/48"), {"from": [SOME, block("::/1")]}, block("not a network")),
        )
    ),
    *(
        simple("FJ-NPL-002", NETWORK_POLICY, going(to=[good]), going(**bad), going(to=[unknown]))
        for good, bad, unknown in (
            (SOME, {"ports": [{"port": 443}]}, UNKNOWN),
            (
                EVERY_NAMESPACE | {"podSelector": {"matchLabels": {"k8s-app": "dns"}}},
                {"to": [EVERY_NAMESPACE]},
                UNKNOWN,
            ),
            (block("10.64.0.0/16"), {"to": [block("0.0.0.0/0", "169.254.0.0/16")]}, block(UNKNOWN)),
        )
    ),
    simple(
        "FJ-NPL-003",
        NETWORK_POLICY,
        going(to=[block("169.254.170.23/32"), block("0.0.0.0/0", "169.254.0.0/16"), block("10.0.0.0/8")]),
        going(to=[block("169.254.0.0/16", "169.254.170.0/24")]),
        going(to=[block("169.254.0.0/16", UNKNOWN)]),
    ),
]

_IN: list[str | int] = ["spec", "ingress"]
_OUT: list[str | int] = ["spec", "egress"]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (NETWORK_POLICY, _IN, [{}], {"FJ-NPL-001", "FJ-NSP-002"}),
    (NETWORK_POLICY, _OUT, [{}], {"FJ-NPL-002", "FJ-NSP-002"}),
    (NETWORK_POLICY, _IN, [{"from": [EVERY_NAMESPACE]}], {"FJ-NPL-001", "FJ-NSP-002"}),
    (NETWORK_POLICY, _OUT, [{"to": [block("169.254.169.254/32")]}], {"FJ-NPL-003", "FJ-NSP-002"}),
    (
        NETWORK_POLICY,
        _OUT,
        [{"to": [block("0.0.0.0/0")]}],
        {"FJ-NPL-002", "FJ-NPL-003", "FJ-NSP-002"},
    ),
]
