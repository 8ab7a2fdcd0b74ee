"""Which GPU instance types the region offers, and in which zones: EC2 is asked, at preview too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import pulumi
import pulumi_aws as aws

from falaj.components.instance_facts import InstanceFacts, instance_types


@dataclass(frozen=True)
class Offers:
    """What EC2 offers in a region."""

    region: str
    by_zone: Mapping[str, frozenset[str]]
    """Names of instance types by zone."""

    def zones_of(self, instance_type: str) -> list[str]:
        """Return the zones that offer an instance type."""
        return sorted(zone for zone, offered in self.by_zone.items() if instance_type in offered)

    def types(self) -> list[InstanceFacts]:
        """Return what is offered in any zone."""
        return [facts for name, facts in instance_types().items() if self.zones_of(name)]

    def models(self) -> str:
        """Return the models of the region's GPUs, as a remedy names them."""
        return ", ".join(dict.fromkeys(facts.gpu for facts in self.types())) or "none"


def find_offers(parent: pulumi.Resource) -> Offers | None:
    """Ask EC2, by the provider of the resource, what its region offers of the GPU types that are known.

    None says that it could not be asked: at preview, of a provider whose own configuration is not known before another
    resource is made. At deployment it always can be; an empty answer is an answer, and offers nothing.
    """
    found = aws.ec2.get_instance_type_offerings(
        location_type="availability-zone",
        filters=[{"name": "instance-type", "values": sorted(instance_types())}],
        opts=pulumi.InvokeOptions(parent=parent),
    )
    # The SDK promises lists, and hands on nothing where the engine skips the call.
    names = cast("Sequence[str] | None", found.instance_types)
    if names is None and pulumi.runtime.is_dry_run():
        pulumi.log.warn("what the region offers is known at deployment only: not checked now", parent)
        return None
    by_zone: dict[str, set[str]] = {}
    for name, zone in zip(names or [], found.locations or [], strict=True):
        by_zone.setdefault(zone, set()).add(name)
    return Offers(found.region, {zone: frozenset(offered) for zone, offered in by_zone.items()})
