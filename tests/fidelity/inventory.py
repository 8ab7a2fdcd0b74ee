"""What moto holds, in AWS's own shapes: one listing for each kind of thing that the stacks' types make."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import listed_clusters
import listed_identity
import listed_network
import listed_records
import listed_storage
from botocore.config import Config
from listing import Client, Listing
from normalize import Names
from recorded import enacted

from falaj.lab.testing import RunningLab

# What a thing is in, the nearest first; the default VPC is in nothing, and known by its addresses.
_PARENTS = ("SubnetId", "GroupId", "AvailabilityZone", "VpcId", "CidrBlock")
_TABLES = (listed_identity, listed_network, listed_storage, listed_clusters, listed_records)
LISTINGS: tuple[Listing, ...] = tuple(listing for table in _TABLES for listing in table.LISTINGS)
"""Every listing; in each table they go from the large to the small."""
RECORDED = frozenset(listing.kind for listing in LISTINGS if listing.shows and not enacted(listing.shows))
"""The kinds of things that the emulated provider never makes, since it records every type that shows in them."""

Found = Mapping[str, Mapping[str, Any]]
"""What AWS says of everything, by kind and identifier."""
Held = Mapping[str, Mapping[str, list[Any]]]
"""The same by kind and name: each with all the things that bear it, for some are alike in everything."""


class Aws:
    """The emulated AWS of one lab."""

    def __init__(self, lab: RunningLab) -> None:
        self._lab = lab
        self._clients: dict[str, Client] = {}

    def client(self, service: str) -> Client:
        """Return the client of a service."""
        if service not in self._clients:
            self._clients[service] = self._lab.aws(service, config=Config(retries={"total_max_attempts": 1}))
        return self._clients[service]

    def inventory(self) -> dict[str, dict[str, Any]]:
        """Return everything that exists, by kind and identifier."""
        return {listing.kind: listing.found(self.client(listing.service)) for listing in LISTINGS}


def comparable(found: Found, names: Names) -> Held:
    """Return an inventory by names; things that no resource made are named on the way."""
    for listing in LISTINGS:
        for identity, facts in found[listing.kind].items():
            parents = (str(facts[part]) for part in _PARENTS if part in facts)
            parent = next((names.text(each) for each in parents if each != identity), "nothing")
            names.add(identity, f"<{listing.kind} of {parent}>")
    held: dict[str, dict[str, list[Any]]] = {}
    for listing in LISTINGS:
        of_kind = held.setdefault(listing.kind, {})
        for identity, facts in found[listing.kind].items():
            of_kind.setdefault(names.text(identity), []).append(names.value(facts))
    return held


def flat(held: Held, left_out: Collection[str] = ()) -> dict[str, list[Any]]:
    """Return an inventory as things by their kind and name, without the kinds that are left out."""
    return {
        f"{kind} {name}": things
        for kind, of_kind in held.items()
        if kind not in left_out
        for name, things in of_kind.items()
    }


def unlisted(types: Iterable[str]) -> list[str]:
    """Return the types that no listing shows."""
    shown = frozenset[str]().union(*(listing.shows for listing in LISTINGS))
    return sorted({each for each in types if each not in shown})


def unshown(types: Iterable[str], before: Held, after: Held) -> list[str]:
    """Return the types in whose listings nothing has changed: what a stack made of them does not exist."""
    made = frozenset(types)
    return sorted(
        token for listing in LISTINGS for token in listing.shows & made if before[listing.kind] == after[listing.kind]
    )
