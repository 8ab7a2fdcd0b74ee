"""Which rules serve which controls, and what can be said of a control before any stack is looked at."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from falaj.policies.catalogue.controls import CISA, Assessed, Control, Follows, served
from falaj.policies.model import Rule
from falaj.policies.rules import RULES


class Standing(StrEnum):
    """What can be said of a control before any stack is looked at."""

    SERVED = "served"
    """At least one rule serves it."""
    GAP = "gap"
    """Code could assess it, or a part of it, and no rule does."""
    NOT_BY_CODE = "not assessable by code"
    """No rule can; a report that calls it passed is wrong."""


@dataclass(frozen=True, slots=True)
class Service:
    """The rules that serve one control."""

    direct: tuple[Rule, ...]
    """Rules that name it."""
    followed: tuple[tuple[Follows, tuple[Rule, ...]], ...]
    """Rules that name a control from which it follows, by row of the crosswalk."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule once, those that name the control first."""
        every = (*self.direct, *(rule for _, rules in self.followed for rule in rules))
        return tuple({rule.id: rule for rule in every}.values())


def served_by(control: Control, rules: Iterable[Rule] = RULES) -> Service:
    """Return the rules that serve a control, told apart by whether they name it."""
    chosen = tuple(rules)
    return Service(
        tuple(rule for rule in chosen if control.id in rule.controls),
        tuple(
            (row, tuple(rule for rule in chosen if not set(row.controls).isdisjoint(rule.controls)))
            for row in control.follows
        ),
    )


def standing(control: Control, rules: Iterable[Rule] = RULES) -> Standing:
    """Return whether a control is served, could be, or cannot be."""
    if control.assessed is Assessed.NO:
        return Standing.NOT_BY_CODE
    return Standing.SERVED if served_by(control, rules).rules else Standing.GAP


def pillars(rule: Rule) -> list[str]:
    """Return the pillars and cross-cutting capabilities of CISA's maturity model that a rule bears on."""
    return [control.name for control in served(rule.controls) if control.framework == CISA]
