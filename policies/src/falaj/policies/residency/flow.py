"""The data-flow picture of a stack: what there is, what it refers to, the border of home, and what leads over it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falaj.policies.model import Graph, Resource, Verdict
from falaj.policies.pods import POD_TYPES
from falaj.policies.residency.proofs import KIND_OF, STATE, Proof, proofs
from falaj.policies.residency.transfers import DEFAULT, regimes

GROUPS: Mapping[str, str] = {
    "compute": "Compute and workloads",
    "image": "Images",
    "state": "State of the stack",
    "store": "Stores",
    "log sink": "Logs",
    "telemetry": "Events and telemetry",
    "key": "Keys",
}
"""The groups of the picture, each with its title."""
_ORDER = ("compute", "store", "log sink", "key")
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Group:
    """What there is of one kind."""

    kind: str
    title: str
    members: Mapping[str, tuple[str, ...]]
    """Names of resources by their type, both sorted."""
    undetermined: int
    """How many findings about it wait for a value."""

    @property
    def size(self) -> int:
        """How many resources it has."""
        return sum(len(names) for names in self.members.values())

    def lines(self) -> list[str]:
        """Return one line for each type: how many there are, and the first names."""
        return [f"{len(names)} {kind}: {_listed(names)}" for kind, names in self.members.items()]


@dataclass(frozen=True, slots=True)
class Leaving:
    """Something that leads over the border."""

    kind: str
    names: tuple[str, ...]
    region: str
    rule: str
    why: str
    registered: bool
    """Whether an entry of the transfer register allows it."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What the picture shows."""

    home: str
    groups: tuple[Group, ...]
    flows: tuple[tuple[str, str, int], ...]
    """From which group to which, and how many resources refer so."""
    leaving: tuple[Leaving, ...]
    undetermined: int
    """How many findings in all wait for a value: none of them is known to stay."""

    @property
    def failing(self) -> int:
        """How many ways lead over the border without an entry."""
        return sum(1 for each in self.leaving if not each.registered)


def flow(resources: Iterable[Resource], settings: Mapping[str, Any] | None = None) -> Flow:
    """Return what the picture of a stack shows; the same stack gives the same picture."""
    graph = Graph(resources)
    given = dict(settings or {})
    proven = proofs(graph.resources, given)
    home = given.get("homeRegions") or regimes()[given.get("regime", DEFAULT)].home
    waiting = sum(1 for proof in proven if proof.verdict is Verdict.UNDETERMINED)
    return Flow(", ".join(home), tuple(_groups(graph, proven)), _flows(graph), tuple(_leaving(proven)), waiting)


def _groups(graph: Graph, proven: Sequence[Proof]) -> Iterator[Group]:
    placed: dict[str, dict[str, set[str]]] = {kind: {} for kind in GROUPS}
    for resource in graph.resources:
        if kind := _group_of(resource):
            placed[kind].setdefault(_short(resource.type), set()).add(resource.name)
    for proof in proven:
        if proof.kind in ("image", "telemetry", "state"):
            placed[proof.kind].setdefault(_type_of(proof.subject), set()).add(_name_of(proof.subject))
    for kind, title in GROUPS.items():
        waiting = sum(1 for proof in proven if proof.kind == kind and proof.verdict is Verdict.UNDETERMINED)
        members = {type_: tuple(sorted(names)) for type_, names in sorted(placed[kind].items())}
        yield Group(kind, title, members, waiting)


def _group_of(resource: Resource) -> str:
    kind = "compute" if resource.type in POD_TYPES else KIND_OF.get(resource.type, "")
    return kind if kind in GROUPS else ""


def _leaving(proven: Sequence[Proof]) -> Iterator[Leaving]:
    """Yield what leads over the border, the same rule and place told once with every name."""
    found: dict[tuple[str, str, str, str, bool], set[str]] = {}
    for proof in proven:
        registered = proof.verdict is Verdict.PASS and "by transfer" in proof.why
        if registered or proof.verdict is Verdict.FAIL:
            key = (proof.rule, proof.kind, ", ".join(proof.regions) or "unknown", proof.why, registered)
            found.setdefault(key, set()).add(_name_of(proof.subject))
    for (rule, kind, region, why, registered), names in sorted(found.items()):
        yield Leaving(kind, tuple(sorted(names)), region, rule, why, registered)


def _flows(graph: Graph) -> tuple[tuple[str, str, int], ...]:
    """Return who refers to whom, group by group: by the engine's links, and by ids, ARNs and names in properties.

    What only joins two, as the encryption of a bucket does, counts for the first of them.
    """
    groups = {resource.urn: kind for resource in graph.resources if (kind := _group_of(resource)) in _ORDER}
    named = {
        value: resource.urn
        for resource in graph.resources
        if resource.urn in groups
        for key in ("id", "arn", "bucket")
        if isinstance(value := resource[key].value, str) and value
    }
    counted: Counter[tuple[str, str]] = Counter()
    for resource in graph.resources:
        met = {origin for origins in resource.links.values() for origin in origins if origin in groups}
        met |= {named[text] for text in _texts(resource.properties.value) if text in named}
        met.discard(resource.urn)
        kinds = sorted({groups[urn] for urn in met}, key=_ORDER.index)
        start = groups.get(resource.urn)
        if start is None and len(kinds) > 1:
            start, kinds = kinds[0], kinds[1:]
        counted.update((start, kind) for kind in kinds if start is not None and kind != start)
    return tuple((start, end, number) for (start, end), number in sorted(counted.items()))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _short(type_: str) -> str:
    return type_.rpartition(":")[2]


def _type_of(urn: str) -> str:
    return "Stack" if urn == STATE else _short(urn.split("::", 3)[2])


def _name_of(urn: str) -> str:
    return "state" if urn == STATE else urn.split("::", 3)[3]


def headline(shown: Flow) -> str:
    """Return what the picture says in one line; what waits for a value is never said to stay."""
    if shown.leaving:
        registered = len(shown.leaving) - shown.failing
        said = f"{shown.failing} ways lead out of the home region, {registered} more by the transfer register"
    else:
        said = "nothing is known to leave the home region" if shown.undetermined else "nothing leaves the home region"
    return f"Data flow: {said}" + (f"; {shown.undetermined} undetermined" if shown.undetermined else "")


def mermaid(shown: Flow) -> str:
    """Return the picture as a Mermaid flowchart."""
    lines = ["flowchart LR", f"  accTitle: {headline(shown)}", f'  subgraph home["Home: {_quoted(shown.home)}"]']
    for group in shown.groups:
        waits = [f"? {group.undetermined} undetermined"] if group.undetermined else []
        text = "<br>".join(_quoted(line) for line in (f"{group.title} ({group.size})", *group.lines(), *waits))
        lines.append(f'    {_id(group.kind)}["{text}"]')
    lines.append("  end")
    lines += (f"  {_id(start)} -- {number} --> {_id(end)}" for start, end, number in shown.flows)
    for number, each in enumerate(shown.leaving):
        told = "registered" if each.registered else "leaves"
        text = f"{told}: {_listed(each.names)} to {each.region}<br>{each.rule}: {_quoted(each.why)}"
        lines.append(
            f'  out{number}["{_quoted(text, breaks=True)}"]:::{"registered" if each.registered else "leaving"}'
        )
        start = _id(each.kind) if each.kind in GROUPS else "home"
        lines.append(f"  {start} {'-.->' if each.registered else '==>'} out{number}")
    lines += [
        "  classDef leaving stroke:#b00020,stroke-width:3px,color:#b00020,fill:#fff",
        "  classDef registered stroke:#6b4e00,stroke-dasharray:5 3,color:#6b4e00,fill:#fff",
    ]
    return "\n".join(lines) + "\n"


def _id(kind: str) -> str:
    return kind.replace(" ", "_")


def _quoted(text: str, *, breaks: bool = False) -> str:
    """Return text that Mermaid takes literally."""
    for mark, code in (("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(mark, code)
    return text.replace("#lt;br#gt;", "<br>") if breaks else text
