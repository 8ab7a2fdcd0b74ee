"""Rules, what they look at, and the verdicts they come to; nothing here knows Pulumi's engine."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from falaj.policies.catalogue.controls import CONTROLS
from falaj.policies.values import UNKNOWN, Fact, View

_T = TypeVar("_T")


class Verdict(StrEnum):
    """What a rule says about one resource."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNDETERMINED = "undetermined"
    """A value that decides is not known yet, or the rule itself broke: never a pass."""
    NOT_APPLICABLE = "not applicable"


class Severity(StrEnum):
    """How bad a failure is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as plain values: at preview its inputs, in the graph of the whole stack its outputs."""

    type: str
    urn: str
    name: str
    properties: View
    provider: View = field(default_factory=lambda: View(None, "provider"))
    """Configuration of its provider; nothing for components and for providers themselves."""
    links: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """URNs of the resources from which each property comes; known even where the value is not."""

    def __getitem__(self, key: str) -> View:
        return self.properties[key]


class Graph:
    """Every resource of a stack."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = tuple(resources)
        self._by_type: dict[str, list[Resource]] = {}
        for resource in self.resources:
            self._by_type.setdefault(resource.type, []).append(resource)
        self.by_urn = {resource.urn: resource for resource in self.resources}
        self._made: dict[Hashable, Any] = {}

    def of(self, types: Iterable[str]) -> Iterator[Resource]:
        """Yield the resources of these types."""
        for type_ in types:
            yield from self._by_type.get(type_, ())

    def judged_by(self, rule: "Rule") -> Iterator[Resource]:
        """Yield the resources that a rule judges."""
        return self.of(type_ for type_ in self._by_type if rule.judges(type_))

    def once(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Return what was made under this key, made now where it was not: what many resources ask of the same stack."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def companions(self, target: Resource, types: Iterable[str], link: str) -> list[tuple[Resource, Fact]]:
        """Return the resources whose property ``link`` refers, or may refer, to the target, and whether it does.

        Where the engine names the resources that a property comes from, that decides; else the value does.
        """
        names = dict.fromkeys(value for key in ("id", link) if isinstance(value := target[key].value, str))
        found: list[tuple[Resource, Fact]] = []
        for type_ in types:
            links = self._links(type_, link)
            sure = [
                *links.by_origin.get(target.urn, ()),
                *(each for name in names for each in links.by_value.get(name, ())),
            ]
            found += ((resource, Fact(True, link)) for resource in sure)
            found += ((resource, Fact(None, link)) for resource in links.unknown)
        return found

    def _links(self, type_: str, link: str) -> "Links":
        """Return where the property of all resources of a type leads, worked out once."""

        def make() -> Links:
            links = Links()
            for resource in self._by_type.get(type_, ()):
                value = resource[link].value
                if origins := resource.links.get(link):
                    for origin in sorted(origins):
                        links.by_origin.setdefault(origin, []).append(resource)
                elif value is UNKNOWN:
                    links.unknown.append(resource)
                elif isinstance(value, str):
                    links.by_value.setdefault(value, []).append(resource)
            return links

        return self.once(("companions", type_, link), make)


@dataclass(slots=True)
class Links:
    """The resources of one type by where one of their properties leads."""

    by_origin: dict[str, list[Resource]] = field(default_factory=dict[str, list[Resource]])
    by_value: dict[str, list[Resource]] = field(default_factory=dict[str, list[Resource]])
    unknown: list[Resource] = field(default_factory=list[Resource])


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may look at beside its resource."""

    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    graph: Graph = field(default_factory=lambda: Graph(()))


@dataclass(frozen=True, slots=True)
class Check:
    """One demand on a resource: what must not be, and the sentence for when it is.

    The message is the rule's own text and the property's path: values may be secret and never go into it.
    """

    violated: Fact
    message: str
    note: str = ""
    """Where the demand holds only because a person answers for it: which entry of which register says so."""

    def __str__(self) -> str:
        return f"{self.violated.at}: {self.message}" if self.violated.at else self.message


Checks = Iterator[Check]


def must(fact: Fact, message: str) -> Check:
    """Demand that the fact holds."""
    return Check(~fact, message)


def never(fact: Fact, message: str) -> Check:
    """Demand that the fact does not hold."""
    return Check(fact, message)


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that a person may set for a rule in the pack's configuration."""

    schema: Mapping[str, Any]
    """JSON schema of the value."""
    default: Any


@dataclass(frozen=True, slots=True)
class Rule:
    """One machine check with a stable id."""

    id: str
    title: str
    severity: Severity
    controls: tuple[str, ...]
    """Ids of the controls that it serves, the most important first."""
    types: tuple[str, ...]
    """Resource types that it judges; ``aws:*`` stands for every type of that provider."""
    remediation: str
    check: Callable[[Resource, Context], Checks]
    reads: tuple[str, ...] = ()
    """Types of other resources that it reads. Such a rule sees outputs, and runs when the program has ended."""
    settings: Mapping[str, Setting] = field(default_factory=dict[str, Setting])
    fix: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Properties, by dotted path, with the values that mend a failure whatever else holds; only on demand."""

    def __post_init__(self) -> None:
        unknown = [control for control in self.controls if control not in CONTROLS]
        if unknown or not self.controls or not self.types:
            raise ValueError(f"rule {self.id} needs types and known controls; unknown are {unknown}")

    def judges(self, type_: str) -> bool:
        """Return whether the rule judges resources of this type."""
        return type_ in self.types or f"{type_.partition(':')[0]}:*" in self.types


def rule(  # noqa: PLR0917 - reads as a row of a table
    id: str,
    title: str,
    severity: Severity,
    controls: tuple[str, ...],
    types: tuple[str, ...],
    remediation: str,
    *,
    reads: tuple[str, ...] = (),
    settings: Mapping[str, Setting] | None = None,
    fix: Mapping[str, Any] | None = None,
) -> Callable[[Callable[[Resource, Context], Checks]], Rule]:
    """Make a rule of the function below it."""

    def make(check: Callable[[Resource, Context], Checks]) -> Rule:
        return Rule(id, title, severity, controls, types, remediation, check, reads, settings or {}, fix or {})

    return make


@dataclass(frozen=True, slots=True)
class Judgement:
    """A rule's verdict on one resource, and why."""

    rule: str
    urn: str
    verdict: Verdict
    failures: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    """What could not be decided; a failure beside it is a failure all the same."""
    notes: tuple[str, ...] = ()
    """What holds only because a person answers for it, for example by an entry of the transfer register."""


def judge(rule: Rule, resource: Resource, context: Context) -> Judgement:
    """Judge one resource by one rule; a rule that breaks is undetermined, and what it found before still counts."""
    if not rule.judges(resource.type):
        return Judgement(rule.id, resource.urn, Verdict.NOT_APPLICABLE)
    failures: list[str] = []
    undecided: list[str] = []
    notes: list[str] = []
    checked = False
    settings = {name: setting.default for name, setting in rule.settings.items()} | dict(context.settings)
    try:
        for check in rule.check(resource, Context(settings, context.graph)):
            checked = True
            if check.violated.truth is True:
                failures.append(str(check))
            elif check.violated.truth is None:
                undecided.append(f"{check.violated.at} is not known, or not readable (fails if: {check.message})")
            elif check.note:
                notes.append(f"{check.violated.at}: {check.note}" if check.violated.at else check.note)
    except Exception as error:
        # Whatever breaks, the run goes on and the rule does not pass.
        # The exception's text may quote a property's value, which may be secret.
        undecided.append(f"the rule could not be run on this resource ({type(error).__name__}): please report it")
    if failures:
        verdict = Verdict.FAIL
    elif undecided:
        verdict = Verdict.UNDETERMINED
    else:
        verdict = Verdict.PASS if checked else Verdict.NOT_APPLICABLE
    return Judgement(rule.id, resource.urn, verdict, tuple(failures), tuple(undecided), tuple(notes))
