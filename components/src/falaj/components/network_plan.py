"""The address plan of a network: where each zone's subnets lie, whatever zones there are."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from falaj.components.errors import ConfigError

_PRIVATE_RANGES = [ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
# https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
_USED_BY_AWS = ipaddress.IPv4Network("172.17.0.0/16")
_LETTERS = "abcdef"


@dataclass(frozen=True)
class ZonePlan:
    """The blocks of one zone. Firewall and public subnets are only made where there is egress."""

    zone: str
    private: str
    """Nodes and their pods."""
    isolated: str
    """Endpoints and storage: no route leads out of it."""
    firewall: str
    """Endpoint of the network firewall."""
    public: str
    """NAT gateway."""

    @property
    def letter(self) -> str:
        """Letter of the zone within its region."""
        return self.zone[-1]


@dataclass(frozen=True)
class NetworkPlan:
    """The blocks of a network."""

    cidr: str
    zones: tuple[ZonePlan, ...]

    def zone(self, field: str, zone: str) -> ZonePlan:
        """Return the plan of one zone, refusing one that the network does not have."""
        for each in self.zones:
            if each.zone == zone:
                return each
        raise ConfigError(field, zone, f"must be a zone of the network: {', '.join(each.zone for each in self.zones)}")


def plan_network(name: str, cidr: str, zones: Sequence[str], reserved: Sequence[str] = ()) -> NetworkPlan:
    """Return where the subnets lie. A zone's place depends on its letter alone: zones come and go, the others stay.

    Of the network's eight equal parts, six are the private subnets of the zones a to f, one holds the isolated subnets
    and one those of an egress, which can so be added and removed as well.

    >>> plan_network("network", "10.20.0.0/16", ["me-central-1a", "me-central-1c"]).zones[1].private
    '10.20.64.0/19'
    """
    network = _network(f"{name}.cidr", cidr)
    for other in [_USED_BY_AWS, *(_reserved(f"{name}.reserved_cidrs", block) for block in reserved)]:
        if network.overlaps(other):
            why = "which AWS services use themselves" if other == _USED_BY_AWS else "which is reserved"
            raise ConfigError(f"{name}.cidr", cidr, f"must not overlap {other}, {why}")
    *private, isolated, egress = network.subnets(prefixlen_diff=3)
    isolated_blocks = list(isolated.subnets(prefixlen_diff=3))
    egress_blocks = list(egress.subnets(prefixlen_diff=4))
    plans: list[ZonePlan] = []
    for zone in zones:
        place = _place(f"{name}.zones", zone)
        blocks = (private[place], isolated_blocks[place], egress_blocks[place], egress_blocks[8 + place])
        plans.append(ZonePlan(zone, *map(str, blocks)))
    return NetworkPlan(cidr, tuple(plans))


def _network(field: str, cidr: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ConfigError(field, cidr, f"must be an address range such as 10.20.0.0/16: {error}") from error
    if not any(network.subnet_of(private) for private in _PRIVATE_RANGES):
        raise ConfigError(field, cidr, "must lie in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    # EKS gives each pod an address of the subnet; below a /20 that runs out, above a /16 AWS takes none.
    if not 16 <= network.prefixlen <= 20:
        raise ConfigError(field, cidr, "must be /16 to /20")
    return network


def _reserved(field: str, block: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(block)
    except ValueError as error:
        raise ConfigError(field, block, f"must be address ranges such as 100.64.0.0/10: {error}") from error


def _place(field: str, zone: str) -> int:
    if zone[-1] not in _LETTERS:
        raise ConfigError(
            field, zone, f"must be zones {_LETTERS[0]} to {_LETTERS[-1]}: the address plan has six places"
        )
    return _LETTERS.index(zone[-1])
