"""One run of the rules over one stack: what reports, evidence and comparisons are made of."""

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falaj.policies.catalogue.controls import CONTROLS
from falaj.policies.engine import Engine, Finding, Stack
from falaj.policies.model import Rule, Verdict
from falaj.policies.waivers import Waiver

SCHEMA_VERSION = "1.0"
"""Version of the JSON that ``plain`` makes; docs/policy-findings.schema.json is its schema."""


@dataclass(frozen=True, slots=True)
class Source:
    """What was judged."""

    kind: str
    """``state``, ``preview`` or ``stack``."""
    name: str
    """The file or the stack, as it was named."""
    digest: str
    """SHA-256 of what was read, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the rules say about a stack."""

    stack: Stack
    source: Source
    at: datetime.datetime
    packs: tuple[str, ...]
    rules: tuple[Rule, ...]
    """The rules that ran."""
    findings: tuple[Finding, ...]
    """All but what is not applicable."""
    unmapped: Mapping[str, int]
    """Types that no rule judges, with how many resources there are of each."""
    expired: tuple[Waiver, ...]
    unused: tuple[Waiver, ...]

    def of(self, verdict: Verdict) -> Iterator[Finding]:
        """Yield the findings of one verdict; a waived failure is a failure."""
        return (finding for finding in self.findings if finding.verdict is verdict)

    @property
    def violations(self) -> list[Finding]:
        """Failures that stop a run."""
        return [finding for finding in self.findings if finding.violates]


def assess(engine: Engine, stack: Stack, source: Source, packs: Sequence[str], at: datetime.datetime) -> Assessment:
    """Judge a stack, and keep with it all that a reader must know."""
    findings = tuple(engine.judge(stack))
    waivers = engine.waivers
    return Assessment(
        stack,
        source,
        at,
        tuple(packs),
        engine.chosen,
        findings,
        engine.unmapped(stack.known),
        tuple(waivers.expired),
        tuple(waivers.unused),
    )


def counts(findings: Sequence[Finding]) -> dict[str, int]:
    """Return how many findings there are of each verdict, and how many of the failures are waived."""
    found = Counter(finding.verdict.value for finding in findings)
    waived = sum(finding.waiver is not None for finding in findings)
    return {
        **{verdict.value: found[verdict.value] for verdict in Verdict if verdict is not Verdict.NOT_APPLICABLE},
        "waived": waived,
    }


def by_control(findings: Sequence[Finding]) -> dict[str, dict[str, int]]:
    """Return the counts of each control that a rule with findings serves, in the catalogue's order."""
    served: dict[str, list[Finding]] = {}
    for finding in findings:
        for control in finding.rule.controls:
            served.setdefault(control, []).append(finding)
    return {control: counts(served[control]) for control in CONTROLS if control in served}


def plain(assessment: Assessment) -> dict[str, Any]:
    """Return an assessment as JSON has it."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "stack": assessment.stack.name,
        "source": {"kind": assessment.source.kind, "name": assessment.source.name, "sha256": assessment.source.digest},
        "at": assessment.at.isoformat(timespec="seconds"),
        "packs": list(assessment.packs),
        "resources": len(assessment.stack.known),
        "findings": [plain_finding(finding) for finding in assessment.findings],
        "summary": {
            "verdicts": counts(assessment.findings),
            "violations": len(assessment.violations),
            "controls": by_control(assessment.findings),
        },
        "unmapped": dict(assessment.unmapped),
        "waivers": {
            "expired": [_plain_waiver(waiver) for waiver in assessment.expired],
            "unused": [_plain_waiver(waiver) for waiver in assessment.unused],
        },
    }


def plain_finding(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON has it."""
    return {
        "rule": finding.rule.id,
        "verdict": finding.verdict.value,
        "level": finding.level.value,
        "urn": finding.urn,
        "type": finding.type,
        "severity": finding.rule.severity.value,
        "controls": list(finding.rule.controls),
        "message": finding.message,
        "remediation": finding.rule.remediation,
        "waiver": _plain_waiver(finding.waiver) if finding.waiver else None,
    }


def _plain_waiver(waiver: Waiver) -> dict[str, str]:
    return {
        "rule": waiver.rule,
        "resource": waiver.resource,
        "reason": waiver.reason,
        "owner": waiver.owner,
        "expires": waiver.expires.isoformat(),
    }
