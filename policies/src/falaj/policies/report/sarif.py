"""The report for code hosts: SARIF 2.1.0, which GitHub shows beside the file that was judged.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from falaj.policies.assessment import Assessment, Source
from falaj.policies.engine import Finding
from falaj.policies.model import Rule, Severity, Verdict
from falaj.policies.report.text import (
    TOOL,
    message,
    number,
    open_failures,
    ordered,
    printable,
    served,
    tool_version,
    waived_failures,
    waiver_line,
)

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.LOW: "note", Severity.MEDIUM: "warning", Severity.HIGH: "error", Severity.CRITICAL: "error"}
# GitHub sorts security findings by a number as in CVSS.
_SCORES = {Severity.LOW: "3.0", Severity.MEDIUM: "5.5", Severity.HIGH: "8.0", Severity.CRITICAL: "9.5"}
_PROJECT = "Pulumi.yaml"
"""Where a stack that was read by its name comes from."""


def render(assessment: Assessment) -> str:
    """Return failures, waived failures (suppressed) and what is undetermined (open); a pass is told by silence."""
    place = _place(assessment.source)
    findings = assessment.findings
    told = [
        *open_failures(findings),
        *waived_failures(findings),
        *ordered(assessment.of(Verdict.UNDETERMINED)),
    ]
    rules = {rule.id: index for index, rule in enumerate(assessment.rules)}
    run = {
        "tool": {
            "driver": {
                "name": TOOL,
                "version": tool_version(),
                "rules": [_rule(rule) for rule in assessment.rules],
            }
        },
        "automationDetails": {"id": f"{TOOL}/{printable(assessment.stack.name)}/"},
        "invocations": [
            {
                "executionSuccessful": True,
                "endTimeUtc": assessment.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
                "toolExecutionNotifications": _notifications(assessment),
            }
        ],
        "artifacts": [_artifact(assessment.source, place)],
        "results": [_result(finding, rules[finding.rule.id], place) for finding in told],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    todo = printable(rule.remediation)
    note = " ".join((rule.check.__doc__ or "").split())
    return {
        "id": rule.id,
        "shortDescription": {"text": printable(rule.title)},
        "fullDescription": {"text": printable(note or rule.title)},
        "help": {
            "text": f"To do: {todo}",
            "markdown": f"**To do:** {todo}\n\n**Controls:** {', '.join(rule.controls)}",
        },
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {
            "tags": ["security", *rule.controls],
            "security-severity": _SCORES[rule.severity],
            "precision": "high",
        },
    }


def _result(finding: Finding, rule: int, place: str) -> dict[str, Any]:
    failed = finding.verdict is Verdict.FAIL
    identity = hashlib.sha256(json.dumps([finding.rule.id, finding.urn]).encode()).hexdigest()[:32]
    urn = printable(finding.urn)
    result: dict[str, Any] = {
        "ruleId": finding.rule.id,
        "ruleIndex": rule,
        "kind": "fail" if failed else "open",
        "level": "none" if not failed else _LEVELS[finding.rule.severity] if _stops(finding) else "note",
        "message": {
            "text": f"{message(finding)} [{urn}]. To do: {printable(finding.rule.remediation)}"
            f" Serves: {served(finding)}."
        },
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": place, "index": 0}, "region": {"startLine": 1}},
                "logicalLocations": [
                    {"name": printable(finding.urn.rpartition("::")[2]), "fullyQualifiedName": urn, "kind": "resource"}
                ],
            }
        ],
        # GitHub reads the first; all findings are on one line, which alone would make them one.
        "partialFingerprints": {"primaryLocationLineHash": f"{identity[:16]}:1", "falajFinding/v1": identity},
        "properties": {"type": printable(finding.type), "level": finding.level.value},
    }
    if finding.waiver is not None:
        reason = printable(str(finding.waiver))
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def _stops(finding: Finding) -> bool:
    return finding.violates or finding.waiver is not None


def _notifications(assessment: Assessment) -> list[dict[str, Any]]:
    told = [("warning", f"expired waiver: {waiver_line(each)}") for each in assessment.expired]
    told += [("warning", f"unused waiver: {waiver_line(each)}") for each in assessment.unused]
    told += [
        ("note", f"no rule judges {printable(type_)}: {number(count, 'resource')}")
        for type_, count in assessment.unmapped.items()
    ]
    return [{"level": level, "message": {"text": text}} for level, text in told]


def _artifact(source: Source, place: str) -> dict[str, Any]:
    artifact: dict[str, Any] = {"location": {"uri": place}}
    # The digest of a stack's state is not that of its project file.
    if source.kind != "stack":
        artifact["hashes"] = {"sha-256": source.digest}
    return artifact


def _place(source: Source) -> str:
    """Return where what was judged is, from the folder of the run: code hosts show nothing outside it."""
    if source.kind == "stack":
        return _PROJECT
    path = Path(source.name)
    if path.is_absolute():
        path = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(path.name)
    return quote(printable(path.as_posix()))
