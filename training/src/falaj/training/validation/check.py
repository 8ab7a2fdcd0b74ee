"""Whether a job may train on its data: all checks in one pass, one report, and the profile for the next time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.stores import Store, open_store
from falaj.training.validation.dataset import DataTable, Place, Tag, check_tag, find_tag, open_place
from falaj.training.validation.drift import Columns, drift
from falaj.training.validation.examples import look_at
from falaj.training.validation.frames import digest_of, frame_of, read_table, watched
from falaj.training.validation.profile import Profile, decoded, of_numbers, of_words
from falaj.training.validation.report import DataRefusedError, Finding, Report
from falaj.training.validation.section import DataChecks, DriftChecks
from falaj.training.validation.table import check_table


def check_data(table: DataTable, checks: DataChecks, data: Any, *, job: str, base: Path) -> Report:
    """Check a job's data and return all that was found.

    ``data`` is what the user's function returned: a DataFrame, an iterable or a data set; None where ``checks.table``
    is all there is. Relative paths begin at ``base``. Where every check passes, the profile of this data becomes
    what the next data is compared with. Raises `RefusedError` for data of another kind than the checks are for, and
    `TrainingError` where it cannot be read.
    """
    try:
        return _Look(table, checks, job, base).report(data)
    except OSError as error:
        raise TrainingError(f"the data of {job} cannot be read: {error}") from error


def require_accepted(report: Report) -> None:
    """Go on where the data was accepted; raise `DataRefusedError`, which ends the command with code 4, where not."""
    if not report.accepted:
        raise DataRefusedError(report)


def write_report(report: Report, folder: Path) -> Path:
    """Write a report as ``data-report.json`` and ``data-report.html``, and return the path of the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data-report.json").write_text(report.json(), encoding="utf-8")
    page = folder / "data-report.html"
    page.write_text(report.html(), encoding="utf-8")
    return page


class _Look:
    """One look at a job's data."""

    def __init__(self, table: DataTable, checks: DataChecks, job: str, base: Path) -> None:
        self.table = table
        self.checks = checks
        self.job = job
        self.base = base
        self.at = datetime.now(UTC)
        self.rows = 0
        self.findings: list[Finding] = []
        self.watched: dict[str, Any] = {}

    def report(self, data: Any) -> Report:
        place = None if self.table.location is None else open_place(self.table.location, self.base)
        digest = self._files(place)
        content = self._content(place, data)
        digest = digest or content
        tag = self._tag(digest)
        keep = self._drift(self.checks.drift, digest) if self.checks.drift else None
        report = Report(
            job=self.job,
            at=self.at,
            data_digest=digest,
            rows=self.rows,
            classification=tag.classification if tag else None,
            region=tag.region if tag else None,
            owner=tag.owner if tag else None,
            findings=tuple(self.findings),
        )
        if report.accepted and keep and tag and digest:
            keep(tag, digest)
        return report

    def _files(self, place: Place | None) -> str | None:
        if place is None:
            return None
        if not place.names:
            self.findings.append(Finding("files", "", "fail", "there are no files at the data's location"))
            return None
        return place.digest()

    def _content(self, place: Place | None, data: Any) -> str | None:
        """Look at columns and tensors; return the digest of the content, where it is needed."""
        digest, counts = None, list[int]()
        frame = self._frame(place, data) if self.checks.columns else None
        if frame is not None:
            self.findings.extend(check_table(frame, self.checks))
            self.watched |= watched(frame, self.checks.columns, self._named())
            counts.append(len(frame))
            digest = digest_of(frame) if place is None else None
        if self.checks.tensors:
            looked = look_at(data, self.checks)
            self.findings.extend(looked.findings)
            named = self._named()
            self.watched |= {name: each for name, each in looked.numbers.items() if not named or name in named}
            counts.append(looked.count)
            digest = looked.digest if digest is None else digest
        self.rows = min(counts, default=0)
        enough = self.rows >= self.checks.least_rows
        said = "" if enough else "there are fewer rows or examples than the checks ask for"
        found = Finding(
            "rows", "", "pass" if enough else "fail", said, measured=self.rows, bound=self.checks.least_rows
        )
        self.findings.append(found)
        return digest

    def _frame(self, place: Place | None, data: Any) -> Any:
        if self.checks.table is None:
            return frame_of(data)
        if place is None:
            raise RefusedError("data.location", None, f"must say where {self.checks.table} lies")
        try:
            return read_table(place.store, self.checks.table, self.checks.columns)
        except RefusedError as error:
            self.findings.append(Finding("table", self.checks.table, "fail", str(error)))
            return None

    def _named(self) -> tuple[str, ...]:
        return self.checks.drift.columns if self.checks.drift else ()

    def _tag(self, digest: str | None) -> Tag | None:
        try:
            tag = find_tag(self.table, self.checks, self.base)
        except RefusedError as error:
            self.findings.append(Finding("tag", "", "fail", str(error)))
            return None
        self.findings.extend(check_tag(self.table, self.checks, tag, digest))
        return tag

    def _drift(self, checks: DriftChecks, digest: str | None) -> Callable[[Tag, str], None] | None:
        """Compare with the last accepted data; return what makes this data the last accepted, if it is to be."""
        store, name = open_store(checks.accepted, self.base), f"{self.job}.profile.json"
        try:
            reference = _reference(store, name)
        except RefusedError as error:
            self.findings.append(Finding("drift", "", "fail", str(error)))
            return None
        if not self.watched:
            self.findings.append(Finding("drift", "", "undetermined", "there is no column that can be watched"))
            return None
        if reference is not None and reference.data_digest == digest:
            self.findings.append(Finding("drift", "", "pass", "it is the data that was accepted last"))
            return None
        self.findings.extend(drift(checks, self.watched, reference, digest))
        if reference is not None and not checks.follow:
            return None
        return lambda tag, data: _keep(store, name, self._profile(tag, data, checks.bins))

    def _profile(self, tag: Tag, digest: str, bins: int) -> Profile:
        return Profile(
            job=self.job,
            data_digest=digest,
            classification=tag.classification,
            at=self.at,
            rows=self.rows,
            columns=dict(_profiles(self.watched, bins)),
        )


def _profiles(columns: Columns, bins: int) -> Iterator[tuple[str, Any]]:
    for name, values in columns.items():
        yield name, of_numbers(values, bins) if isinstance(values, np.ndarray) else of_words(values)


def _reference(store: Store, name: str) -> Profile | None:
    try:
        with store.read(name) as file:
            return decoded(file.read())
    except FileNotFoundError:
        return None


def _keep(store: Store, name: str, profile: Profile) -> None:
    with store.write(name) as file:
        file.write(profile.encoded())
