"""The report for spreadsheets: one row for each finding."""

import csv
import io

from falaj.policies.assessment import Assessment, plain_finding
from falaj.policies.report.text import ordered, printable

_COLUMNS = ("rule", "verdict", "level", "severity", "urn", "type", "controls", "message", "remediation", "waiver")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would work out."""


def render(assessment: Assessment) -> str:
    """Return the findings as comma-separated values, the worst first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for finding in ordered(assessment.findings):
        row = plain_finding(finding) | {
            "controls": " ".join(finding.rule.controls),
            "waiver": str(finding.waiver) if finding.waiver else "",
        }
        writer.writerow(_cell(str(row[column])) for column in _COLUMNS)
    return text.getvalue()


def _cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return printable(f"'{text}" if text.startswith(_FORMULA) else text)
