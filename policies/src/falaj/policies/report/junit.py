"""The report for test dashboards: JUnit XML with a suite for each rule and a case for each resource."""

from itertools import groupby
from xml.etree import ElementTree

from falaj.policies.assessment import Assessment
from falaj.policies.engine import Finding
from falaj.policies.model import Verdict
from falaj.policies.report.text import TOOL, message, ordered, printable, served


def render(assessment: Assessment) -> str:
    """Return the report; what is undetermined or waived is skipped, with the reason, and never counts as passed."""
    root = ElementTree.Element("testsuites", name=f"{TOOL} {printable(assessment.stack.name)}")
    for rule, group in groupby(ordered(assessment.findings), key=lambda each: each.rule):
        suite = ElementTree.SubElement(root, "testsuite", name=f"{rule.id} {printable(rule.title)}")
        suite.set("timestamp", assessment.at.isoformat(timespec="seconds"))
        for finding in group:
            _case(suite, finding)
        _count(suite)
    _count(root)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ElementTree.Element, finding: Finding) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=finding.rule.id, name=printable(finding.urn), time="0")
    said = message(finding)
    if finding.waiver is not None:
        ElementTree.SubElement(case, "skipped", message=f"fails, {printable(str(finding.waiver))} ({said})")
    elif finding.verdict is Verdict.UNDETERMINED:
        ElementTree.SubElement(case, "skipped", message=f"undetermined: {said}")
    elif finding.verdict is Verdict.FAIL:
        kind = finding.rule.severity.value if finding.violates else f"{finding.rule.severity.value}, advisory"
        failure = ElementTree.SubElement(case, "failure", type=kind, message=said)
        failure.text = f"{said}\nTo do: {printable(finding.rule.remediation)}\nServes: {served(finding)}"


def _count(element: ElementTree.Element) -> None:
    for name, found in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
        element.set(name, str(sum(1 for _ in element.iter(found))))
    element.set("errors", "0")
