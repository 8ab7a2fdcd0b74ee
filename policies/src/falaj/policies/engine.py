"""Judges resources by the chosen rules: a resource is decoded once, and only the rules of its type run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from falaj.policies.config import Config, Level
from falaj.policies.model import Context, Graph, Resource, Rule, Verdict, judge
from falaj.policies.waivers import Waiver, Waivers


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as plain values, wherever it comes from."""

    name: str
    declared: tuple[Resource, ...]
    """Its resources with their inputs, as rules over one resource see them."""
    known: tuple[Resource, ...]
    """Its resources with all that is known of them, as rules over the graph see them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says about one resource."""

    rule: Rule
    urn: str
    type: str
    verdict: Verdict
    level: Level
    failures: tuple[str, ...] = ()
    """What is wrong: paths of properties and the rule's own words, never a value."""
    undecided: tuple[str, ...] = ()
    """What could not be decided; a failure beside it is a failure all the same."""
    waiver: Waiver | None = None
    """Where the verdict is a failure: the waiver that holds for it."""
    notes: tuple[str, ...] = ()
    """What holds only because a person answers for it, for example by an entry of the transfer register."""

    @property
    def message(self) -> str:
        """What is wrong, undecided or answered for, or the rule's title where nothing is."""
        return "; ".join((*self.failures, *self.undecided, *self.notes)) or self.rule.title

    @property
    def violates(self) -> bool:
        """Whether it is a failure that stops the run."""
        return self.verdict is Verdict.FAIL and self.waiver is None and self.level is not Level.ADVISORY


class Engine:
    """The chosen rules, ready to judge."""

    def __init__(self, rules: Iterable[Rule], config: Config, waivers: Waivers) -> None:
        self.rules = tuple(rules)
        self.waivers = waivers
        self._levels = {rule.id: config.level(rule) for rule in self.rules}
        # A rule has no clock: the day is the run's own, unless it was set.
        self.common = {"today": self.waivers.today.isoformat(), **config.common}
        """Values for every rule that takes them."""
        dated = replace(config, common=self.common)
        self._settings = {rule.id: dated.settings(rule) for rule in self.rules}
        self.chosen = tuple(rule for rule in self.rules if self._levels[rule.id] is not Level.DISABLED)
        """The rules that run."""
        self._alone: dict[str, list[tuple[Rule, Context]]] = {}
        self._known = frozenset(type_ for rule in self.chosen for type_ in (*rule.types, *rule.reads))

    def level(self, rule: Rule) -> Level:
        """Return the level at which a rule runs."""
        return self._levels[rule.id]

    def judge_resource(self, resource: Resource) -> list[Finding]:
        """Judge one resource by the rules that need no other: what is not applicable is left out."""
        if resource.type not in self._alone:
            self._alone[resource.type] = [
                (rule, Context(self._settings[rule.id]))
                for rule in self.chosen
                if not rule.reads and rule.judges(resource.type)
            ]
        return self._told((rule, resource, context) for rule, context in self._alone[resource.type])

    def judge_graph(self, resources: Sequence[Resource]) -> list[Finding]:
        """Judge a stack by the rules that look at several resources."""
        graph = Graph(resources)
        rules = [rule for rule in self.chosen if rule.reads]
        return self._told(
            (rule, resource, context)
            for rule in rules
            for context in (Context(self._settings[rule.id], graph),)
            for resource in graph.judged_by(rule)
        )

    def judge(self, stack: Stack) -> list[Finding]:
        """Judge a whole stack."""
        alone = [finding for resource in stack.declared for finding in self.judge_resource(resource)]
        return [*alone, *self.judge_graph(stack.known)]

    def unmapped(self, resources: Iterable[Resource]) -> dict[str, int]:
        """Return the types that no chosen rule of their own judges or reads, with how many resources there are.

        Components and providers have no provider: they are left out.
        """
        found = Counter(resource.type for resource in resources if resource.provider.value is not None)
        return {type_: count for type_, count in sorted(found.items()) if type_ not in self._known}

    def _told(self, work: Iterable[tuple[Rule, Resource, Context]]) -> list[Finding]:
        found: list[Finding] = []
        for rule, resource, context in work:
            judged = judge(rule, resource, context)
            if judged.verdict is Verdict.NOT_APPLICABLE:
                continue
            waiver = self.waivers.find(rule.id, resource.urn) if judged.verdict is Verdict.FAIL else None
            level = self._levels[rule.id]
            failures, undecided, notes = judged.failures, judged.undecided, judged.notes
            found.append(
                Finding(rule, resource.urn, resource.type, judged.verdict, level, failures, undecided, waiver, notes)
            )
        return found
