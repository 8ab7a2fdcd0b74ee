"""The rules and the controls they serve, as tables for people: ``python -m falaj.policies.catalogue`` prints them."""

from collections.abc import Iterable

from falaj.policies.controls import CONTROLS
from falaj.policies.model import Rule
from falaj.policies.rules import RULES


def rules_table(rules: Iterable[Rule]) -> str:
    """Return one row for each rule."""
    rows = [
        (
            rule.id,
            f"{rule.title}{' (graph)' if rule.reads else ''}",
            rule.severity,
            ", ".join(rule.controls),
            _kinds(rule),
        )
        for rule in rules
    ]
    return _table(("Rule", "Demands", "Severity", "Serves", "Judges"), rows)


def controls_table(rules: Iterable[Rule]) -> str:
    """Return one row for each control that a rule serves."""
    chosen = list(rules)
    rows = [
        (control.id, control.name, control.framework, ", ".join(served))
        for control in CONTROLS.values()
        if (served := [rule.id for rule in chosen if control.id in rule.controls])
    ]
    return _table(("Control", "Name", "Framework", "Rules"), rows)


def _kinds(rule: Rule) -> str:
    """Return the provider and the kinds that a rule judges; what is too long to read is in the code."""
    kinds = [f"`{type_.partition(':')[0]}` {type_.rpartition(':')[2]}" for type_ in rule.types]
    return ", ".join(kinds[:4]) + (f" and {len(kinds) - 4} more" if len(kinds) > 4 else "")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(rules_table(RULES), controls_table(RULES), sep="\n\n")  # noqa: T201 - its purpose
