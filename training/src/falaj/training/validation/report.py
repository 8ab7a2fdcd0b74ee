"""The report of a validation: for programs as JSON, for people as one page that needs nothing else."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from html import escape
from typing import Any

from falaj.training.errors import TrainingError
from falaj.training.validation.outcome import Outcome, worst

VERSION = 1
"""Of the report's JSON."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 0 auto; padding: 16px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 4px 10px; overflow-wrap: anywhere;
  border-bottom: 1px solid #8886; }
.fail { border-left: 6px solid #a40e26; }
.undetermined { border-left: 6px solid #9a6700; }
.pass { border-left: 6px solid #116329; }
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of the data found. It tells of counts and rows, never of values."""

    check: str
    """What was asked, for example ``null`` or ``drift``."""
    subject: str
    """The column, the part or the tag that it was asked of; empty: the whole data."""
    outcome: Outcome
    said: str
    """What is wrong, or what is worth knowing; may be empty where the check passes."""
    count: int | None = None
    """How many rows or examples fail; None where rows are not what is counted."""
    of: int | None = None
    """How many rows or examples were looked at."""
    rows: tuple[int, ...] = ()
    """The first rows that fail, counted from 0."""
    measured: float | None = None
    """What was measured, for example the stability index."""
    bound: float | None = None
    """What it is held against."""

    def line(self) -> str:
        """Return the finding as one line of text."""
        parts = [f"{self.outcome}: {self.check}", self.subject and f"of {self.subject}", self.said and f"- {self.said}"]
        if self.count is not None:
            parts.append(f"({self.count} of {self.of})")
        if self.rows:
            parts.append(f"first rows {', '.join(map(str, self.rows))}")
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Report:
    """What a validation of a job's data found."""

    job: str
    """The name of the job."""
    at: datetime
    """When the data was looked at."""
    data_digest: str | None
    """``sha256:…`` of the data, None where it could not be read through."""
    rows: int
    """How many rows or examples there were."""
    classification: str | None
    """What the data's tag says; None where there is none that can be relied on."""
    region: str | None
    """The same, of the region."""
    owner: str | None
    """The same, of the owner."""
    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of all findings; with none of them, undetermined."""
        return worst(finding.outcome for finding in self.findings)

    @property
    def accepted(self) -> bool:
        """Whether the job may train on this data: only where every check passed."""
        return self.outcome == "pass"

    def refusals(self) -> Iterable[Finding]:
        """Return the findings that did not pass, failures first."""
        return sorted(
            (each for each in self.findings if each.outcome != "pass"), key=lambda each: each.outcome != "fail"
        )

    def plain(self) -> dict[str, Any]:
        """Return the report as what JSON can say."""
        return {"version": VERSION, "outcome": self.outcome, **asdict(self), "at": self.at.isoformat()}

    def json(self) -> str:
        """Return the report for programs."""
        return json.dumps(self.plain(), indent=2, allow_nan=False) + "\n"

    def html(self) -> str:
        """Return the report for people: one page, without scripts and without anything from elsewhere."""
        facts = {
            "Outcome": self.outcome,
            "Looked at": self.at.isoformat(timespec="seconds"),
            "Digest of the data": self.data_digest or "not known",
            "Rows": str(self.rows),
            "Classification": self.classification or "not known",
            "Region": self.region or "not known",
            "Owner": self.owner or "not known",
        }
        said = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
        passed = [each for each in self.findings if each.outcome == "pass"]
        rows = "".join(_row(finding) for finding in [*self.refusals(), *passed])
        title = f"Data of {escape(self.job)}: {self.outcome}"
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
            f"<h1>{title}</h1><table>{said}</table><h2>Checks</h2><table><thead><tr><th>Outcome<th>Check<th>Of"
            f"<th>Found<th>Rows that fail<th>First of them</tr></thead><tbody>{rows}</tbody></table></html>\n"
        )


class DataRefusedError(TrainingError):
    """The data is not what the job's checks ask for; nothing was trained."""

    exit_code = 4

    def __init__(self, report: Report) -> None:
        refusals = list(report.refusals())
        first = refusals[0].line() if refusals else "no check was made"
        more = f", and {len(refusals) - 1} more in the report" if len(refusals) > 1 else ""
        super().__init__(f"the data of {report.job} is refused: {first}{more}")
        self.report = report


def _row(finding: Finding) -> str:
    said = finding.said
    if finding.measured is not None:
        bound = "" if finding.bound is None else f" (bound {finding.bound:g})"
        said = f"{said} {finding.measured:.4g}{bound}".strip()
    count = "" if finding.count is None else f"{finding.count} of {finding.of}"
    cells = (finding.outcome, finding.check, finding.subject, said, count, ", ".join(map(str, finding.rows)))
    return f'<tr class="{finding.outcome}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
