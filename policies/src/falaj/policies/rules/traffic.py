"""What network policies let through: never the node's credentials."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, never, rule
from falaj.policies.values import all_of

_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_METADATA = (ip_address("169.254.169.254"), ip_address("fd00:ec2::254"))


@rule(
    "FJ-NPL-003",
    "Pods do not reach the credentials of their node",
    Severity.HIGH,
    ("A.8.5", "A.5.17", "A.8.22", "ZT-5"),
    (_POLICY,),
    "Name networks that leave out 169.254.169.254, or set it in except.",
)
def metadata(policy: Resource, _: Context) -> Checks:
    """The address hands out the credentials of the node's role to whoever asks from it."""
    for entry in policy["spec"]["egress"].each():
        for peer in entry["to"].each():
            block = peer["ipBlock"]
            for address in _METADATA:
                holds = _of(lambda network, address=address: network.version == address.version and address in network)
                not_excepted = all_of((~each.test(holds) for each in block["except"].each()), block["except"].path)
                yield never(block["cidr"].test(holds) & not_excepted, "the node's credentials can be reached")


def _of(predicate: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return the predicate over a network, for its text; text that is none is undecided."""
    return lambda text: predicate(ip_network(str(text), strict=False))


RULES: tuple[Rule, ...] = (metadata,)
