"""The facts of a run: everything that a later reader needs to say where a model comes from."""

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

from pydantic import Field

from falaj.training.errors import RefusedError
from falaj.training.lineage.code import CodeFacts, code_facts, without_password
from falaj.training.lineage.digests import DIGEST, content_digest, file_digest
from falaj.training.section import Section

IMAGE = "FALAJ_IMAGE_DIGEST"
"""The variable by which whoever starts the image says its digest, ``sha256:…``."""

Digest = Annotated[str, Field(pattern=DIGEST)]


class ColumnFacts(Section):
    """A column of a data set, or a field of its examples."""

    name: str
    """Its name."""
    type: str
    """Its type, as the data's own library calls it."""
    nulls: int | None = None
    """How many of its values are missing."""


class CheckFacts(Section):
    """One check of the data before training."""

    check: str
    """Its name."""
    passed: bool
    """Whether the data passed."""
    column: str | None = None
    """The column that it is about."""


class DataFacts(Section):
    """A data set that a run read."""

    name: str
    """Which one: ``train``, ``validation`` or ``reference``."""
    location: str | None = None
    """Where it lies, without passwords. Left out: inside the user's code or a package."""
    digest: Digest | None = None
    """Digest of its files; none where they are not on this machine."""
    examples: Digest | None = None
    """Digest of its examples, as the user's code reads them; none where nobody has read them all."""
    classification: str | None = None
    """Classification that it carries."""
    region: str | None = None
    """Region that it may not leave."""
    owner: str | None = None
    """Who answers for it."""
    rows: int | None = None
    """How many examples it has."""
    columns: tuple[ColumnFacts, ...] = ()
    """Its columns."""
    checks: tuple[CheckFacts, ...] = ()
    """How it was checked before training."""

    @property
    def known_by(self) -> str | None:
        """The digest that it is known by: of its files, or else of its examples."""
        return self.digest or self.examples


class EnergyFacts(Section):
    """What a run cost in energy."""

    joules: float = Field(ge=0)
    """Energy, over all its devices."""
    method: str
    """How it was measured or estimated."""


class Facts(Section):
    """The facts of a run, as they stand in the model's folder, in MLflow and in OpenLineage."""

    version: int = Field(default=1, ge=1, le=1)
    """Version of this form."""
    run: str = Field(pattern=r"^[0-9a-f-]{36}$")
    """The run's own name, a UUID: MLflow's run and OpenLineage's are found by it."""
    job: str
    """Name of the job."""
    job_digest: Digest
    """Digest of the job file."""
    overrides: tuple[str, ...] = ()
    """What was said on the command line in place of the file, as KEY=VALUE."""
    seed: int
    """Where all randomness began."""
    started: str
    """When it began, ISO 8601 in UTC."""
    code: CodeFacts
    """The user's code."""
    image: Digest | None = None
    """Digest of the container image; none outside one."""
    data: tuple[DataFacts, ...] = ()
    """The data sets that it read."""
    python: str
    """Version of Python."""
    libraries: dict[str, str]
    """Every installed distribution and its version."""
    step: int | None = None
    """Optimizer step at which the model was taken."""
    energy: EnergyFacts | None = None
    """What it cost; none until it is known."""


class ModelFacts(Section):
    """A model that a run has exported."""

    name: str
    """Its name in the registry and on the server."""
    digest: Digest
    """Digest over all files of its folder."""
    location: str
    """Where its folder lies: a path, or an address such as ``s3://bucket/prefix``."""
    format: str
    """Format that it is exported in."""
    size: int
    """Bytes of its files."""
    files: int
    """How many files it has."""
    signed_by: str | None = None
    """SHA-256 of the public key that its signature verifies with; none where nobody signed it."""
    verdict: Literal["pass", "fail", "undetermined"] | None = None
    """Verdict of the evaluation gate; none where there was no gate."""


def gather(
    job: str,
    job_file: Path,
    *,
    seed: int,
    code: Path,
    data: Sequence[DataFacts] = (),
    overrides: Sequence[str] = (),
    run: str | None = None,
) -> Facts:
    """Gather the facts of a run that begins now, or of one, named ``run``, that goes on.

    ``code`` is the folder of the user's package. Raises `RefusedError` where FALAJ_IMAGE_DIGEST holds no digest.
    """
    return Facts(
        run=run or str(uuid4()),
        job=job,
        job_digest=file_digest(job_file),
        overrides=tuple(overrides),
        seed=seed,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        code=code_facts(code),
        image=_image(),
        data=tuple(data),
        python=platform.python_version(),
        libraries=_libraries(),
    )


def data_facts(
    name: str,
    location: str | None,
    *,
    base: Path = Path(),
    digest: str | None = None,
    classification: str | None = None,
    region: str | None = None,
    owner: str | None = None,
) -> DataFacts:
    """Describe a data set; the files of one that lies on this machine are read for their digest.

    ``digest`` is that of its examples, where the caller has read them.
    """
    local = None if location is None or "://" in location else base / location
    return DataFacts(
        name=name,
        location=None if location is None else without_password(location),
        digest=content_digest(local) if local is not None and local.exists() else None,
        examples=digest,
        classification=classification,
        region=region,
        owner=owner,
    )


def _image() -> str | None:
    digest = os.environ.get(IMAGE)
    if not digest:
        return None
    alone = digest.rpartition("@")[2]
    if not re.fullmatch(DIGEST, alone):
        raise RefusedError(IMAGE, digest, "must be the image's digest, sha256: and 64 hexadecimal digits")
    return alone


def _libraries() -> dict[str, str]:
    found = {each.name: each.version for each in distributions() if each.name}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))
