"""What the reports share: text that is safe to show, the order of findings, and what is said of them."""

from collections.abc import Iterable
from importlib.metadata import version

from falaj.policies.catalogue.controls import CONTROLS
from falaj.policies.engine import Finding
from falaj.policies.model import Severity, Verdict
from falaj.policies.waivers import Waiver

TOOL = "falaj-policy"
WORST_FIRST = tuple(reversed(Severity))
"""The severities, the worst first."""


def tool_version() -> str:
    """Return the version of the rules' distribution."""
    return version("falaj-policies")


def printable(text: str) -> str:
    """Return a text with each character that a terminal, a reader or XML could take for a command written out.

    Names in a stack may be anybody's: line breaks, terminal escapes, marks that turn the direction, half characters.
    """
    return text if text.isprintable() else "".join(each if each.isprintable() else _written(each) for each in text)


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def message(finding: Finding) -> str:
    """Return what a finding says, in text that is safe to show."""
    return printable(finding.message)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with the worst first, those of one rule together."""
    return sorted(findings, key=lambda each: (WORST_FIRST.index(each.rule.severity), each.rule.id, each.urn))


def open_failures(findings: Iterable[Finding]) -> list[Finding]:
    """Return the failures that nobody answers for, the worst first."""
    return ordered(each for each in findings if each.verdict is Verdict.FAIL and each.waiver is None)


def waived_failures(findings: Iterable[Finding]) -> list[Finding]:
    """Return the failures that somebody answers for, the worst first."""
    return ordered(each for each in findings if each.waiver is not None)


def waiver_line(waiver: Waiver) -> str:
    """Return one line about a waiver: what it is about, and who answers for it until when."""
    return printable(f"{waiver.rule} on {waiver.resource}: {waiver}")


def served(finding: Finding) -> str:
    """Return the controls that the rule of a finding serves, by framework."""
    by_framework: dict[str, list[str]] = {}
    for control in finding.rule.controls:
        by_framework.setdefault(CONTROLS[control].framework, []).append(control)
    return "; ".join(f"{framework} {', '.join(controls)}" for framework, controls in by_framework.items())


def number(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
