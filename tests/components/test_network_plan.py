"""The address plan: subnets apart, in their places for good, and clear of what others use."""

import ipaddress

import pytest

from falaj.components import ConfigError
from falaj.components.network_plan import plan_network

KINDS = ("private", "isolated", "firewall", "public")


def zones(letters: str) -> list[str]:
    return [f"me-central-1{letter}" for letter in letters]


@pytest.mark.parametrize("prefix", range(16, 21))
@pytest.mark.parametrize("letters", ["ab", "abc", "abcdef", "cf"])
def test_subnets_lie_within_the_network_apart_and_are_large_enough(prefix, letters):
    network = ipaddress.IPv4Network(f"10.64.0.0/{prefix}")
    plan = plan_network("network", str(network), zones(letters))
    blocks = [ipaddress.IPv4Network(getattr(zone, kind)) for zone in plan.zones for kind in KINDS]
    assert len(blocks) == 4 * len(letters)
    assert all(block.subnet_of(network) for block in blocks)
    assert not any(a.overlaps(b) for a in blocks for b in blocks if a is not b)
    assert all(block.prefixlen <= 28 for block in blocks)  # the smallest that AWS takes
    assert {zone.private.rpartition("/")[2] for zone in plan.zones} == {str(prefix + 3)}


def test_a_zone_has_its_place_whatever_others_there_are_and_in_whatever_order():
    whole = {zone.zone: zone for zone in plan_network("network", "10.20.0.0/16", zones("abcdef")).zones}
    for letters in ("abc", "abcd", "cb", "fa"):
        assert all(whole[zone.zone] == zone for zone in plan_network("network", "10.20.0.0/16", zones(letters)).zones)


@pytest.mark.parametrize(
    ("cidr", "remedy"),
    [
        ("10.20.0.0", "must be /16 to /20"),
        ("10.20.0.1/16", "must be an address range such as 10.20.0.0/16: 10.20.0.1/16 has host bits set"),
        ("ten", "must be an address range such as 10.20.0.0/16"),
        ("10.0.0.0/8", "must be /16 to /20"),
        ("10.20.0.0/21", "must be /16 to /20"),
        ("52.0.0.0/16", "must lie in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"),
        ("172.17.0.0/16", "must not overlap 172.17.0.0/16, which AWS services use themselves"),
        ("10.140.0.0/16", "must not overlap 10.128.0.0/9, which is reserved"),
        ("2001:db8::/32", "must be an address range such as 10.20.0.0/16"),
    ],
)
def test_an_address_range_that_aws_or_the_others_would_not_take_is_refused(cidr, remedy):
    with pytest.raises(ConfigError, match=r"^network\.cidr ") as refused:
        plan_network("network", cidr, zones("abc"), ["10.128.0.0/9"])
    assert remedy in str(refused.value)
    assert f"(got '{cidr}')" in str(refused.value)


@pytest.mark.parametrize(
    ("letters", "reserved", "message"),
    [
        ("abg", [], "network.zones must be zones a to f: the address plan has six places (got 'me-central-1g')"),
        (
            "abc",
            ["100.64.0.0/33"],
            "network.reserved_cidrs must be address ranges such as 100.64.0.0/10:"
            " '33' is not a valid netmask (got '100.64.0.0/33')",
        ),
    ],
)
def test_what_the_plan_cannot_hold_is_refused(letters, reserved, message):
    with pytest.raises(ConfigError) as refused:
        plan_network("network", "10.20.0.0/16", zones(letters), reserved)
    assert str(refused.value) == message
