"""The report for auditors' tools: OSCAL assessment results, in which each control is a finding.

https://pages.nist.gov/OSCAL/resources/concepts/layer/assessment/assessment-results/
"""

import datetime
import hashlib
import json
import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from falaj.policies.assessment import Assessment, counts, plain
from falaj.policies.catalogue.controls import CONTROLS
from falaj.policies.engine import Finding
from falaj.policies.model import Verdict
from falaj.policies.report.text import TOOL, message, number, ordered, printable, tool_version, waiver_line

OSCAL_VERSION = "1.1.3"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:falaj:policies:oscal")
_NS = "urn:falaj:policies"
Json = dict[str, Any]


def render(assessment: Assessment) -> str:
    """Return assessment results; the same assessment gives the same document, down to its identifiers."""
    run = hashlib.sha256(json.dumps(plain(assessment), sort_keys=True).encode()).hexdigest()
    at = _time(assessment.at)
    document = {
        "uuid": _id("document", run),
        "metadata": {
            "title": _line(f"Assessment of {assessment.stack.name} by {TOOL}"),
            "last-modified": at,
            "version": tool_version(),
            "oscal-version": OSCAL_VERSION,
        },
        "import-ap": {"href": f"#{_id('plan', run)}", "remarks": "The choice of rules, in the back matter."},
        "results": [_result(assessment, run, at)],
        "back-matter": {"resources": [_plan(assessment, run), _source(assessment, run)]},
    }
    # Without line breaks: programs read it, and a large stack has a hundred thousand observations.
    return json.dumps({"assessment-results": document}) + "\n"


def _result(assessment: Assessment, run: str, at: str) -> Json:
    findings = ordered(assessment.findings)
    served: dict[str, list[Finding]] = {}
    for finding in findings:
        for control in finding.rule.controls:
            served.setdefault(control, []).append(finding)
    by_control = {control: served[control] for control in CONTROLS if control in served}
    tool = _id("tool", TOOL)
    origins = [{"actors": [{"type": "tool", "actor-uuid": tool}]}]
    result: Json = {
        "uuid": _id("result", run),
        "title": _line(f"Verdicts on {assessment.stack.name}"),
        "description": "What the rules say of what is declared; what rules do not look at is not claimed to be kept.",
        "start": at,
        "end": at,
        "props": [_prop(name, str(count)) for name, count in counts(findings).items()],
        "local-definitions": _definitions(findings, tool),
        "reviewed-controls": _reviewed(assessment),
        "observations": [_observation(finding, origins, at) for finding in findings],
        "risks": [_risk(finding, origins) for finding in findings if finding.verdict is Verdict.FAIL],
        "findings": [_finding(control, members, origins) for control, members in by_control.items()],
    }
    if remarks := _remarks(assessment):
        result["remarks"] = remarks
    # The schema wants lists that are not empty.
    return {key: value for key, value in result.items() if value != []}


def _definitions(findings: Sequence[Finding], tool: str) -> Json:
    resources = {finding.urn: finding.type for finding in findings}
    items = [
        {
            "uuid": _id("resource", urn),
            "description": _line(urn),
            "props": [_prop("urn", urn), _prop("type", type_)],
        }
        for urn, type_ in sorted(resources.items())
    ]
    component = {
        "uuid": tool,
        "type": "software",
        "title": TOOL,
        "description": "Rules over the resources of Pulumi stacks.",
        "props": [_prop("version", tool_version(), ns=False)],
        "status": {"state": "operational"},
    }
    platform = {"uuid": _id("platform", TOOL), "uses-components": [{"component-uuid": tool}]}
    assets = {"components": [component], "assessment-platforms": [platform]}
    return {"inventory-items": items, "assessment-assets": assets} if items else {"assessment-assets": assets}


def _reviewed(assessment: Assessment) -> Json:
    named = {control for rule in assessment.rules for control in rule.controls}
    selection: Json = {"include-controls": [{"control-id": control} for control in CONTROLS if control in named]}
    if not named:
        selection = {"description": "No rule was chosen: nothing was reviewed."}
    return {
        "description": "The controls that the chosen rules serve; controls that code cannot assess are not among them.",
        "control-selections": [selection],
    }


def _observation(finding: Finding, origins: list[Json], at: str) -> Json:
    return {
        "uuid": _id("observation", finding.rule.id, finding.urn),
        "title": _line(f"{finding.rule.id} {finding.rule.title}"),
        "description": message(finding),
        "props": [
            _prop("rule", finding.rule.id),
            _prop("verdict", finding.verdict.value),
            _prop("level", finding.level.value),
        ],
        "methods": ["TEST"],
        "types": ["finding" if finding.verdict is Verdict.FAIL else "control-objective"],
        "origins": origins,
        "subjects": [{"subject-uuid": _id("resource", finding.urn), "type": "inventory-item"}],
        "collected": at,
    }


def _risk(finding: Finding, origins: list[Json]) -> Json:
    risk: Json = {
        "uuid": _id("risk", finding.rule.id, finding.urn),
        "title": _line(f"{finding.rule.id} {finding.rule.title}"),
        "description": message(finding),
        "statement": _line(f"A failure of severity {finding.rule.severity.value} on {finding.urn}."),
        "props": [_prop("severity", finding.rule.severity.value)],
        "status": "open",
        "origins": origins,
        "remediations": [
            {
                "uuid": _id("remediation", finding.rule.id, finding.urn),
                "lifecycle": "recommendation",
                "title": "To do",
                "description": _line(finding.rule.remediation),
            }
        ],
        "related-observations": [{"observation-uuid": _id("observation", finding.rule.id, finding.urn)}],
    }
    if (waiver := finding.waiver) is not None:
        # A waiver holds on its last day, and no longer when the next begins.
        end = datetime.datetime.combine(waiver.expires, datetime.time(23, 59, 59), datetime.UTC)
        risk |= {"status": "deviation-approved", "deadline": _time(end)}
        risk["props"] += [_prop("waived-by", waiver.owner), _prop("waived-because", waiver.reason)]
    return risk


def _finding(control: str, members: Sequence[Finding], origins: list[Json]) -> Json:
    told = counts(members)
    kept = told["pass"] == len(members)
    status = {"state": "satisfied", "reason": "pass"}
    if not kept:
        # Undecided is not satisfied: OSCAL knows no third state.
        status = {"state": "not-satisfied", "reason": "fail" if told["fail"] else "other"}
    said = (
        f"{told['pass']} passed, {told['fail']} failed (of these {told['waived']} waived),"
        f" {told['undetermined']} undetermined"
    )
    risks = [each for each in members if each.verdict is Verdict.FAIL]
    finding: Json = {
        "uuid": _id("finding", control),
        "title": _line(f"{CONTROLS[control].framework} {control} {CONTROLS[control].name}"),
        "description": f"{said}. It says this of what the rules look at, and of nothing else.",
        "props": [_prop(name, str(count)) for name, count in told.items()],
        "origins": origins,
        "target": {"type": "objective-id", "target-id": control, "status": status | {"remarks": said}},
        "related-observations": [{"observation-uuid": _id("observation", each.rule.id, each.urn)} for each in members],
    }
    if risks:
        finding["related-risks"] = [{"risk-uuid": _id("risk", each.rule.id, each.urn)} for each in risks]
    return finding


def _remarks(assessment: Assessment) -> str:
    lines = [
        f"No rule judges {printable(type_)}: {number(count, 'resource')}."
        for type_, count in assessment.unmapped.items()
    ]
    lines += [f"Expired waiver: {waiver_line(each)}." for each in assessment.expired]
    lines += [f"Unused waiver: {waiver_line(each)}." for each in assessment.unused]
    return "\n\n".join(lines)


def _plan(assessment: Assessment, run: str) -> Json:
    resource: Json = {
        "uuid": _id("plan", run),
        "title": "Assessment plan",
        "description": _line(f"The rules of the packs {', '.join(assessment.packs)} over every resource of the stack."),
    }
    if assessment.rules:
        resource["props"] = [_prop("rule", rule.id) for rule in assessment.rules]
    return resource


def _source(assessment: Assessment, run: str) -> Json:
    source = assessment.source
    hashed = {"algorithm": "SHA-256", "value": source.digest}
    return {
        "uuid": _id("source", run),
        "title": _line(f"What was judged: {source.kind} {source.name}"),
        "rlinks": [{"href": quote(printable(source.name)), "hashes": [hashed]}],
    }


def _prop(name: str, value: str, *, ns: bool = True) -> Json:
    return {"name": name, "value": _line(value)} | ({"ns": _NS} if ns else {})


def _line(text: str) -> str:
    """Return a text as OSCAL's strings must be: one line, not empty, with no space at its ends."""
    return printable(text).strip() or "(none)"


def _time(at: datetime.datetime) -> str:
    return at.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@lru_cache(maxsize=1 << 18)
def _id(*about: str) -> str:
    """Return the identifier of a thing: the same for the same thing in every run."""
    return str(uuid.uuid5(_SPACE, json.dumps(about)))
