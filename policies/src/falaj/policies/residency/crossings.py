"""What leaves the home region: where each property leads, and whether the transfer register has an entry for it."""

import datetime
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from falaj.policies.model import Check, Checks, Context, Graph, Resource, Rule, Setting, Severity, never
from falaj.policies.residency import places
from falaj.policies.residency.places import HERE
from falaj.policies.residency.transfers import DEFAULT, Register, read_entries, regimes
from falaj.policies.values import UNKNOWN, Fact, View, any_of

BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2", "aws:s3/directoryBucket:DirectoryBucket")
"""Types whose ARNs name no region."""
KEYS = ("aws:kms/key:Key", "aws:kms/externalKey:ExternalKey", "aws:kms/alias:Alias")
"""Types that a key's ARN, id or alias comes from."""

TODAY = Setting({"type": "string", "description": "The day of the run, as 2027-01-31"}, "")
"""The day on which what has an end is judged: a rule has no clock."""

SETTINGS: Mapping[str, Setting] = {
    "regime": Setting(
        {"type": "string", "enum": list(regimes()), "description": "The residency regime that holds"}, DEFAULT
    ),
    "homeRegions": Setting(
        {
            "type": "array",
            "items": {"type": "string"},
            "description": "Regions that data may be in; none given means the regime's",
        },
        (),
    ),
    "homeDomains": Setting(
        {
            "type": "array",
            "items": {"type": "string"},
            "description": "Hosts outside AWS that are known to be at home; .example.ae is all below it",
        },
        (),
    ),
    "transfers": Setting(
        {"type": "array", "items": {"type": "object"}, "description": "Entries of the transfer register"}, ()
    ),
    "today": TODAY,
}
"""What a person may set for every residency rule."""


@dataclass(frozen=True, slots=True)
class Homes:
    """The places that data may be in."""

    regions: frozenset[str]
    domains: tuple[str, ...] = ()

    def hold(self, place: str) -> bool:
        """Return whether a place is at home."""
        dotted = f".{place}"
        named = any(place == each or (each.startswith(".") and dotted.endswith(each)) for each in self.domains)
        return place == HERE or place in self.regions or named


@dataclass(frozen=True, slots=True)
class Crossing:
    """A way that may lead out of the home region."""

    leaves: Fact
    """Whether it does."""
    message: str
    place: str = ""
    """Where it leads, if that can be read. Never shown unless it is a region: it may hold a secret."""
    because: str = ""
    """Why it is right although it leads elsewhere."""


Reader = Callable[[str, Resource, Graph], str]
Find = Callable[[Resource, Context], Iterator[Crossing]]


@dataclass(frozen=True, slots=True)
class Way:
    """A property that leads somewhere."""

    path: str
    """Names from the resource down, with dots; lists on the way are walked."""
    read: Reader
    """Says where a value leads."""
    from_types: tuple[str, ...] = ()
    """Types that the value comes from where it is not known yet, as far as the engine tells."""


@dataclass(frozen=True, slots=True)
class ResidencyRule(Rule):
    """A rule about what leaves; it can say where each thing is, not only whether that is right."""

    find: Find = lambda resource, context: iter(())
    kind: str = ""
    """What it is about, for the proofs: ``image``, ``telemetry`` …; empty for the kind of the resource."""


def residency_rule(  # noqa: PLR0917 - reads as a row of a table
    id: str,
    title: str,
    severity: Severity,
    controls: tuple[str, ...],
    types: tuple[str, ...],
    remediation: str,
    *,
    kind: str = "",
    reads: tuple[str, ...] = (),
    settings: Mapping[str, Setting] | None = None,
    fix: Mapping[str, Any] | None = None,
) -> Callable[[Find], ResidencyRule]:
    """Make a rule of a function that finds what may leave; the transfer register is heard for each."""

    def make(find: Find) -> ResidencyRule:
        def check(resource: Resource, context: Context) -> Checks:
            return (settle(id, resource, crossing, context.settings) for crossing in find(resource, context))

        every = {**SETTINGS, **(settings or {})}
        serves = controls if "RES-10" in controls else (*controls, "RES-10")
        return ResidencyRule(
            id, title, severity, serves, types, remediation, check, reads, every, fix or {}, find, kind
        )

    return make


def settle(rule: str, resource: Resource, crossing: Crossing, settings: Mapping[str, Any]) -> Check:
    """Return the check that something does not leave, or leaves by an entry of the register that has not expired."""
    check = never(crossing.leaves, crossing.message)
    if crossing.leaves.truth is not True or not settings["transfers"]:
        return check
    register = register_of(settings)
    for entry in register.find(rule, resource.urn, crossing.place):
        if register.today is None:
            return Check(Fact(None, "today"), f"{crossing.message}, and the entry in the register may have expired")
        if entry.expires >= register.today:
            return Check(Fact(False, crossing.leaves.at), crossing.message, str(entry))
        return never(crossing.leaves, f"{crossing.message}; the entry {entry.id} in the register has expired")
    return check


def register_of(settings: Mapping[str, Any]) -> Register:
    """Return the transfer register of a rule's settings."""
    today = settings["today"]
    day = datetime.date.fromisoformat(today) if isinstance(today, str) and today else today or None
    return Register(tuple(read_entries(settings["transfers"], settings["regime"])), day)


def homes_of(context: Context) -> Homes:
    """Return the places that data may be in: those that are set, else those of the regime."""
    settings = context.settings
    regions = settings["homeRegions"] or regimes()[settings["regime"]].home
    return Homes(frozenset(regions), tuple(settings["homeDomains"]))


def region_of(resource: Resource) -> View:
    """Return the region of a resource: its own, else its provider's, else nothing, which counts as elsewhere."""
    own = resource["region"]
    return resource.provider["region"] if own.value is None else own


def below(view: View, path: str) -> Iterator[View]:
    """Yield what stands at a dotted path, in every element of every list on the way."""
    first, _, rest = path.partition(".")
    for element in view[first].each():
        if rest:
            yield from below(element, rest)
        else:
            yield element


def follow(resource: Resource, ways: Iterable[Way], context: Context, message: str) -> Iterator[Crossing]:
    """Yield where each of these properties leads; one that is not set leads nowhere."""
    for way in ways:
        for view in below(resource.properties, way.path):
            if view.value == "":
                continue  # states say so of what is not set
            yield crossing(resource, view, way, context, message)


def crossing(resource: Resource, view: View, way: Way, context: Context, message: str) -> Crossing:
    """Return where one value leads."""
    homes = homes_of(context)
    if view.value is UNKNOWN:
        return Crossing(_by_origin(resource, view, way, context, homes), message)
    place = _place(resource, view, way, context.graph)
    return Crossing(Fact(None if not place else not homes.hold(place), view.path), message, place)


def _place(resource: Resource, view: View, way: Way, graph: Graph) -> str:
    try:
        return way.read(view.value, resource, graph) if isinstance(view.value, str) and view.value else ""
    except ValueError:
        return ""


def _by_origin(resource: Resource, view: View, way: Way, context: Context, homes: Homes) -> Fact:
    """Return whether a value that is not known yet leads out, by the resources that it comes from.

    What the engine names is where the whole property comes from: everything that this value could be must agree.
    """
    origins = resource.links.get(way.path.partition(".")[0], frozenset())
    types = {origin: origin.split("::", 3)[2].rpartition("$")[2] for origin in origins}
    sources = [context.graph.by_urn.get(origin) for origin, type_ in types.items() if type_ in way.from_types]
    foreign = any(not type_.startswith("aws:") for type_ in types.values())
    if not sources or foreign:
        return Fact(None, view.path)
    facts = [Fact(None, view.path) if each is None else ~at_home(each, homes, view.path) for each in sources]
    out = any_of(facts, view.path)
    return out if out.truth is False or len(facts) == 1 else Fact(None, view.path)


def at_home(resource: Resource, homes: Homes, at: str) -> Fact:
    """Return whether a resource is in a home region, said of another's property."""
    return Fact(region_of(resource).test(homes.hold).truth, at)


def simply(read: Callable[[str], str]) -> Reader:
    """Return a reader of text that needs neither resource nor graph."""
    return lambda text, _resource, _graph: read(text)


def own(resource: Resource) -> str:
    """Return the region of a resource as a place; where it is not known, that cannot be read."""
    value = region_of(resource).value
    if not isinstance(value, str):
        raise ValueError("no region")
    return value


def reference(text: str, resource: Resource, graph: Graph) -> str:
    """Return where an ARN leads; an id or a name without one is of the resource's own region."""
    return places.arn(text) if text.startswith("arn:") else own(resource)


def bucket(text: str, resource: Resource, graph: Graph) -> str:
    """Return where a bucket is, by its name, ARN or ``s3://`` path: what makes it in this stack says so."""
    if text.startswith("arn:") and not text.startswith(("arn:aws:s3:::", "arn:aws-cn:s3:::", "arn:aws-us-gov:s3:::")):
        return places.arn(text)
    name = text.rpartition(":::")[2].removeprefix("s3://").partition("/")[0]
    if name.endswith("--x-s3"):
        return places.zone(name.removesuffix("--x-s3").rpartition("--")[2])
    found = _buckets(graph).get(name)
    if found is None:
        raise ValueError("no bucket of this stack")
    return own(found)


@functools.lru_cache(maxsize=2)
def _buckets(graph: Graph) -> Mapping[str, Resource]:
    """Return the buckets of a stack by every name that they go by."""
    return {
        name: each for each in graph.of(BUCKETS) for key in ("bucket", "id") if isinstance(name := each[key].value, str)
    }


def sink(text: str, resource: Resource, graph: Graph) -> str:
    """Return where a destination is that may be a bucket, another resource of AWS, or the name of one."""
    return bucket(text, resource, graph) if ":s3:::" in text else reference(text, resource, graph)


REGION, ARN, ZONE = simply(places.region), simply(places.arn), simply(places.zone)
URL, HOST, IMAGE = simply(places.url), simply(places.host), simply(places.image)
SERVICE = simply(places.endpoint_service)
