"""What network policies let through: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import NETWORK_POLICY, Case, simple

from falaj.policies.values import UNKNOWN


def going(**entry: Any) -> dict[str, Any]:
    """Return a policy with one rule for what goes out."""
    return {"spec": {"policyTypes": ["Egress"], "egress": [entry]}}


def block(cidr: Any, *excepted: Any) -> dict[str, Any]:
    """Return a network as one end of the traffic."""
    return {"ipBlock": {"cidr": cidr} | ({"except": list(excepted)} if excepted else {})}


CASES: list[Case] = [
    simple(
        "FJ-NPL-003",
        NETWORK_POLICY,
        going(to=[block("169.254.170.23/32"), block("0.0.0.0/0", "169.254.0.0/16"), block("10.0.0.0/8")]),
        going(to=[block("169.254.0.0/16", "169.254.170.0/24")]),
        going(to=[block("169.254.0.0/16", UNKNOWN)]),
    ),
]

_OUT: list[str | int] = ["spec", "egress"]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (NETWORK_POLICY, _OUT, [{"to": [block("169.254.169.254/32")]}], {"FJ-NPL-003", "FJ-NSP-002"}),
    (NETWORK_POLICY, _OUT, [{"to": [block("0.0.0.0/0")]}], {"FJ-NPL-003", "FJ-NSP-002"}),
]
