"""The tag of a data set: how confidential it is, which region it may be in, whose it is, and which bytes are meant.

A tag is a ``dataset.json`` beside the data, which holds for the bytes of its digest alone, or the tags ``owner`` and
``classification`` of the S3 bucket that the data is in, whose region is asked of S3 itself.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.lineage.digests import DIGEST
from falaj.training.stores import Store, open_store
from falaj.training.validation.report import Finding
from falaj.training.validation.section import Classification, DataChecks

TAG = "dataset.json"
BUCKET = "bucket"

LEVELS: tuple[Classification, ...] = ("public", "internal", "confidential", "restricted")
"""From the least harm to the most."""

_PIECE = 1 << 20
_OLD_REGIONS = {None: "us-east-1", "EU": "eu-west-1"}
"""What S3 answers for buckets of its first years."""


class DataTable(Protocol):
    """What is needed of the job file's table ``[data]``."""

    @property
    def location(self) -> str | None:
        """Where the data lies: a folder, a file or ``s3://BUCKET/PREFIX``; None where the user's code makes it."""
        ...

    @property
    def classification(self) -> str | None:
        """The classification that the job may see."""
        ...

    @property
    def region(self) -> str | None:
        """The region that the job runs in and takes its data from."""
        ...


class Tag(BaseModel):
    """What a data set says of itself; further keys are its owner's business."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    version: Literal[1] = 1
    classification: Classification
    """How much harm it does when the data is seen."""
    region: str = Field(min_length=1)
    """The region that the data may be in."""
    owner: str = Field(min_length=1)
    """Who answers for the data."""
    digest: str | None = Field(default=None, pattern=DIGEST)
    """Of the data that is meant; only a bucket's tags have none."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job's data lies."""

    store: Store
    names: Sequence[str]
    """The files of the data, without its tag."""

    def digest(self) -> str:
        """Return ``sha256:…`` of all names and contents, in the order of names."""
        whole = hashlib.sha256()
        for name in self.names:
            content = hashlib.sha256()
            with self.store.read(name) as file:
                while piece := file.read(_PIECE):
                    content.update(piece)
            whole.update(f"{content.hexdigest()}  {json.dumps(name)}\n".encode())
        return f"sha256:{whole.hexdigest()}"


def open_place(location: str, base: Path) -> Place:
    """Return the files at a job's location."""
    path = base / location
    if "://" not in location and path.is_file():
        return Place(open_store(str(path.parent), base), [path.name])
    store = open_store(location, base)
    return Place(store, [name for name in store.names() if name != TAG])


def find_tag(table: DataTable, checks: DataChecks, base: Path) -> Tag | None:
    """Return the tag of a job's data, None where there is none.

    Raises `RefusedError` for one that cannot be read as a tag, and `TrainingError` where S3 does not answer.
    """
    if checks.tag == BUCKET:
        return _bucket_tag(table.location or "")
    where = checks.tag or _beside(table.location, base)
    if where is None:
        return None
    folder, _, name = where.rpartition("/")
    try:
        with open_store(folder or ".", base).read(name) as file:
            tag = _read(json.loads(file.read()))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(TAG, where, "must be JSON") from None
    if tag.digest is None:
        raise RefusedError(TAG, where, "must have the digest of the data: without it, it could be any other data's")
    return tag


def check_tag(table: DataTable, checks: DataChecks, tag: Tag | None, digest: str | None) -> Iterator[Finding]:
    """Yield what the tag says against what the job says; what is missing is never a pass."""
    if tag is None:
        remedy = f'write a {TAG} with classification, region, owner and "digest": "{digest}"'
        yield Finding("tag", "", "undetermined", f"the data has no tag: {remedy}")
        return
    if tag.digest is not None:
        same = tag.digest == digest
        said = "is of other data" if digest else "cannot be compared: the data has no digest"
        yield Finding("tag", "digest", "pass" if same else "fail", "" if same else f"the tag {said} (data: {digest})")
    yield _classification(table, checks, tag)
    yield _region(table, checks, tag)


def _classification(table: DataTable, checks: DataChecks, tag: Tag) -> Finding:
    found = Finding("tag", "classification", "pass", tag.classification)
    if table.classification not in LEVELS:
        return _other(found, "undetermined", f"the job must name its data's classification, one of {', '.join(LEVELS)}")
    if LEVELS.index(tag.classification) > LEVELS.index(table.classification):
        return _other(found, "fail", f"the data is {tag.classification}, the job may see {table.classification} data")
    if checks.classifications and tag.classification not in checks.classifications:
        return _other(found, "fail", f"the data is {tag.classification}, which the job's checks do not allow")
    return found


def _region(table: DataTable, checks: DataChecks, tag: Tag) -> Finding:
    found = Finding("tag", "region", "pass", tag.region)
    home = checks.home_region or table.region
    if table.region is None:
        return _other(found, "undetermined", "the job must name the region of its data")
    if table.region != home:
        return _other(found, "fail", f"the job's data is to be in {table.region}, its home region is {home}")
    if tag.region != home:
        return _other(found, "fail", f"the data belongs in {tag.region}, the job's home region is {home}")
    return found


def _other(found: Finding, outcome: Literal["fail", "undetermined"], said: str) -> Finding:
    return Finding(found.check, found.subject, outcome, said)


def _beside(location: str | None, base: Path) -> str | None:
    if location is None:
        return None
    path = base / location
    if "://" not in location and path.is_file():
        return str(path.with_name(TAG))
    return f"{location.rstrip('/')}/{TAG}"


def _read(content: Any) -> Tag:
    try:
        return Tag.model_validate(content)
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(str(part) for part in wrong["loc"]) or TAG
        raise RefusedError(
            f"{TAG}: {field}", _shown(wrong["input"]), wrong["msg"][:1].lower() + wrong["msg"][1:]
        ) from None


def _shown(value: object) -> object:
    return value if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def _bucket_tag(location: str) -> Tag | None:
    """Return what a bucket's tags say, with the region that S3 says it is in."""
    import boto3  # noqa: PLC0415 - it takes a while, and most data has a tag beside it
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    scheme, _, rest = location.partition("://")
    bucket = rest.partition("/")[0]
    if scheme != "s3" or not bucket:
        raise RefusedError("data.checks.tag", BUCKET, "must be left out where the data is not at s3://BUCKET/PREFIX")
    client: Any = boto3.client("s3")
    try:
        region = client.get_bucket_location(Bucket=bucket)["LocationConstraint"]
        pairs = client.get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "NoSuchTagSet":
            return None
        raise TrainingError(f"the tags of bucket {bucket} cannot be read: {error}") from error
    except BotoCoreError as error:
        raise TrainingError(f"the tags of bucket {bucket} cannot be read: {error}") from error
    tags = {pair["Key"]: pair["Value"] for pair in pairs}
    known = {name: tags[name] for name in ("classification", "owner") if name in tags}
    return _read({**known, "region": _OLD_REGIONS.get(region, region)}) if known else None
