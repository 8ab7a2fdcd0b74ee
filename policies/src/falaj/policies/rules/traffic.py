"""What network policies let through: never everybody, never the world, never the node's credentials."""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, never, rule
from falaj.policies.values import Fact, View, all_of

_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_METADATA = (ip_address("169.254.169.254"), ip_address("fd00:ec2::254"))
# Wider than any network of one's own, by version of the protocol.
_WIDEST = {4: 8, 6: 16}


@rule(
    "FJ-NPL-001",
    "Network policies name who may come in",
    Severity.HIGH,
    ("A.8.22", "A.8.20", "ZT-2", "ZT-6"),
    (_POLICY,),
    "Give each ingress rule a from with labels of pods or of namespaces, or a network of your own.",
)
def comes_in(policy: Resource, _: Context) -> Checks:
    """A rule without a source, or with every namespace as its source, undoes the denial by default."""
    for entry in policy["spec"]["ingress"].each():
        yield never(~entry["from"].is_set(), "everybody may come in")
        for peer in entry["from"].each():
            yield from _peers(peer, "everybody may come in")


@rule(
    "FJ-NPL-002",
    "Network policies name where traffic may go",
    Severity.HIGH,
    ("A.8.12", "A.8.22", "ZT-2"),
    (_POLICY,),
    "Give each egress rule a to with labels of pods or of namespaces, or a network of your own.",
)
def goes_out(policy: Resource, _: Context) -> Checks:
    """Whoever breaks into a pod first looks for a way out."""
    for entry in policy["spec"]["egress"].each():
        yield never(~entry["to"].is_set(), "traffic may go anywhere")
        for peer in entry["to"].each():
            yield from _peers(peer, "traffic may go anywhere")


def _peers(peer: View, message: str) -> Checks:
    """Judge one end of the traffic; an empty selector of namespaces means all, unless pods are chosen beside it."""
    too_wide = _of(lambda network: network.prefixlen < _WIDEST[network.version])
    yield never(peer["ipBlock"]["cidr"].test(too_wide), message)
    space, pods = peer["namespaceSelector"], peer["podSelector"]
    everywhere = space.test(lambda _: True) & _empty(space)
    yield never(everywhere & _empty(pods), message)


def _empty(selector: View) -> Fact:
    return ~selector["matchLabels"].is_set() & ~selector["matchExpressions"].is_set()


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


RULES: tuple[Rule, ...] = (comes_in, goes_out, metadata)
