"""Reports of an assessment, one module for each format."""

import importlib
from collections.abc import Mapping

from falaj.policies.assessment import Assessment
from falaj.policies.errors import RefusedError

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

# A run needs one or two of them, and what some import takes longer to load than a small stack to judge.
_WRITERS: Mapping[str, str] = {
    "table": "table",
    "json": "findings",
    "sarif": "sarif",
    "junit": "junit",
    "oscal": "oscal",
    "html": "page",
    "csv": "sheet",
}
"""The module of each format."""


def render(assessment: Assessment, format: str, flow: str | None = None) -> str:
    """Return an assessment in one of the formats; ``flow`` is the SVG of where data goes, which only html shows.

    Raises ``RefusedError`` for a format that there is not.
    """
    if format not in _WRITERS:
        raise RefusedError("format", format, f"must be one of {', '.join(FORMATS)}")
    writer = importlib.import_module(f"{__name__}.{_WRITERS[format]}")
    return writer.render(assessment, flow) if format == "html" else writer.render(assessment)
