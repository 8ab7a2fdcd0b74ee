"""Which rules serve which controls, and the pages that say so: ``python -m falaj.policies.catalogue --write``."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from falaj.policies.config import PACKS, in_pack
from falaj.policies.controls import CISA, CONTROLS, FRAMEWORKS, VERSION, Assessed, Control, Follows, Framework, served
from falaj.policies.model import Rule, Severity
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


def rules_page(rules: Sequence[Rule] = RULES) -> str:
    """Return the page of rules, by subject."""
    severities = Counter(rule.severity for rule in rules)
    counted = ", ".join(f"{severities[severity]} {severity}" for severity in reversed(Severity))
    lines = [
        "# The rules",
        "",
        _GENERATED,
        "",
        f"{len(rules)} rules: {counted}. {sum(bool(rule.reads) for rule in rules)} look at the whole stack (*graph*)."
        " What they mean by pass, fail and undetermined is in [the guide](policies.md); the controls that they serve"
        " are in [the catalogue](policy-controls.md), as are CISA's pillars, which follow from them.",
    ]
    for subject, members in groupby(rules, key=_subject):
        heading, about = subject
        rows = [
            (
                rule.id,
                f"{rule.title}{' (graph)' if rule.reads else ''}",
                rule.severity,
                ", ".join(rule.controls),
                ", ".join(pillars(rule)),
                ", ".join(pack for pack in PACKS if in_pack(rule, pack)),
                _kinds(rule),
            )
            for rule in members
        ]
        head = ("Rule", "Demands", "Severity", "Serves", "Pillars", "Packs", "Judges")
        lines += ["", f"## {heading}", "", about, "", _table(head, rows)]
    return "\n".join(lines) + "\n"


def controls_page(rules: Sequence[Rule] = RULES) -> str:
    """Return the page of controls, by framework and family."""
    lines = [
        "# The controls, and the rules that serve them",
        "",
        _GENERATED,
        "",
        "What a control demands of people, papers and buildings no code can see. Such a control is *not assessable by"
        " code*, and no report of falaj calls it passed. Where code sees all that is declared, or a part, and no rule"
        " looks yet, the page says *gap*. A served control is not a passed one either: a run over a stack says that, of"
        " what is declared there.",
        "",
        "Rules name controls of ISO/IEC 27001, of NIST SP 800-207 and of falaj's own regimes. The other frameworks"
        " follow from these by a crosswalk, each row with its reason; it is falaj's reading, not legal advice."
        f" Version of the catalogue: `{VERSION}`.",
        "",
        _table(
            ("Framework", "Controls", "Served", "Gaps", "Not assessable by code"),
            [_counts(framework.title, _controls(framework), rules) for framework in FRAMEWORKS.values()],
        ),
        "",
        "## Gaps",
        "",
        *_gaps(rules),
    ]
    for framework in FRAMEWORKS.values():
        lines += ["", *_framework(framework, rules)]
    return "\n".join(lines) + "\n"


_GENERATED = "Generated by `python -m falaj.policies.catalogue --write`; edit the rules and the frameworks instead."


def _controls(framework: Framework) -> list[Control]:
    return [control for control in CONTROLS.values() if control.framework == framework.name]


def _counts(title: str, controls: list[Control], rules: Sequence[Rule]) -> tuple[str, ...]:
    found = Counter(standing(control, rules) for control in controls)
    return (title, str(len(controls)), *(str(found[each]) for each in Standing))


def _gaps(rules: Sequence[Rule]) -> list[str]:
    found = [control for control in CONTROLS.values() if standing(control, rules) is Standing.GAP]
    if not found:
        return ["None: each control that code can assess, wholly or partly, is served by a rule."]
    return [f"- {_link(control.id)} {control.name} ({control.framework}): {control.basis}" for control in found]


def _framework(framework: Framework, rules: Sequence[Rule]) -> list[str]:
    document = f"[{framework.document}]({framework.url})" if framework.url else framework.document
    lines = [f"## {framework.title}", "", " ".join(filter(None, (f"Source: {document}.", framework.note)))]
    for family, members in groupby(_controls(framework), key=lambda control: control.family):
        if family != framework.name:
            lines += ["", f"### {family}"]
        rows = [
            (
                f'<a id="{control.id}"></a>{control.id}',
                control.name,
                control.section,
                control.assessed,
                _service(control, rules),
                _types(served_by(control, rules).rules),
                control.basis,
            )
            for control in members
        ]
        head = ("Control", "Name", "Section", "By code", "Rules", "Judged", "What code sees, or why it sees nothing")
        lines += ["", _table(head, rows)]
    return lines


def _service(control: Control, rules: Sequence[Rule]) -> str:
    """Return the rules of a control as a cell: those that name it by id, those of the crosswalk by their number."""
    found = served_by(control, rules)
    if (state := standing(control, rules)) is not Standing.SERVED:
        return f"*{state}*"
    direct = [", ".join(rule.id for rule in found.direct)] if found.direct else []
    followed = [
        f"{len(by) or 'none yet'} by {', '.join(_link(id) for id in row.controls)}: {row.reason}"
        for row, by in found.followed
    ]
    return "<br>".join(direct + followed)


def _link(id: str) -> str:
    return f"[{id}](#{id})"


def _types(rules: Iterable[Rule]) -> str:
    """Return how many types of resources the rules judge, by provider."""
    types = {type_ for rule in rules for type_ in rule.types}
    every = {type_.partition(":")[0] for type_ in types if type_.endswith(":*")}
    counts = Counter(type_.partition(":")[0] for type_ in types)
    return ", ".join(f"`{name}` {'all' if name in every else count}" for name, count in sorted(counts.items()))


def _subject(rule: Rule) -> tuple[str, str]:
    """Return the name of a rule's module and the first sentence that the module says of itself."""
    module = sys.modules[rule.check.__module__]
    return module.__name__.rpartition(".")[2].capitalize(), (module.__doc__ or "").partition("\n")[0]


def _kinds(rule: Rule) -> str:
    """Return the provider and the kinds that a rule judges; what is too long to read is in the code."""
    kinds = [f"`{type_.partition(':')[0]}` {type_.rpartition(':')[2]}" for type_ in rule.types]
    return ", ".join(kinds[:4]) + (f" and {len(kinds) - 4} more" if len(kinds) > 4 else "")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PAGES: dict[str, Callable[[], str]] = {"policy-rules.md": rules_page, "policy-controls.md": controls_page}
"""The generated pages, by file name."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the pages, or write them."""
    parser = argparse.ArgumentParser(prog="python -m falaj.policies.catalogue", description=__doc__)
    parser.add_argument("--write", nargs="?", const="docs", metavar="FOLDER", help="write the pages (default: docs)")
    folder = parser.parse_args(arguments).write
    for name, page in PAGES.items():
        if folder is None:
            print(page())  # noqa: T201 - its purpose
        else:
            Path(folder, name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
