"""Reports of an assessment, one module for each format."""

from collections.abc import Callable, Mapping

from falaj.policies.assessment import Assessment
from falaj.policies.errors import RefusedError
from falaj.policies.report import findings, junit, oscal, page, sarif, sheet, table

FORMATS: Mapping[str, str] = {
    "table": "findings.txt",
    "json": "findings.json",
    "sarif": "results.sarif",
    "junit": "junit.xml",
    "oscal": "assessment-results.json",
    "html": "report.html",
    "csv": "findings.csv",
}
"""The formats, each with the name of the file that a report in it has."""

_WRITERS: Mapping[str, Callable[[Assessment], str]] = {
    "table": table.render,
    "json": findings.render,
    "sarif": sarif.render,
    "junit": junit.render,
    "oscal": oscal.render,
    "csv": sheet.render,
}


def render(assessment: Assessment, format: str, flow: str | None = None) -> str:
    """Return an assessment in one of the formats; ``flow`` is the SVG of where data goes, which only html shows.

    Raises ``RefusedError`` for a format that there is not.
    """
    if format == "html":
        return page.render(assessment, flow)
    if format not in _WRITERS:
        raise RefusedError("format", format, f"must be one of {', '.join(FORMATS)}")
    return _WRITERS[format](assessment)
