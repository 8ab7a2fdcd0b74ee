"""The verdict about a model: every check with what was measured, and what they come to."""

from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from falaj.training.lineage.digests import DIGEST
from falaj.training.validation.outcome import Outcome, worst


class Check(BaseModel):
    """One thing that was asked of the model."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    check: Literal["examples", "metric", "champion", "slice", "latency", "size"]
    """What kind of thing was asked."""
    subject: str
    """Of what, for example ``accuracy`` or ``region=3: accuracy``."""
    outcome: Outcome
    """What came of it."""
    accepted: bool = False
    """Whether the job file says that this check lets through what it cannot judge."""
    measured: float | None = None
    """What was measured; null where it is not known."""
    low: float | None = None
    """Lower confidence bound of what was measured."""
    high: float | None = None
    """Upper confidence bound of what was measured."""
    minimum: float | None = None
    """The least that passes."""
    maximum: float | None = None
    """The most that passes."""
    said: str = ""
    """What a person should know of it."""

    @model_validator(mode="after")
    def _accepts_doubt_alone(self) -> Self:
        if self.accepted and self.outcome != "undetermined":
            raise ValueError("only what is undetermined can be accepted")
        return self


class Verdict(BaseModel):
    """What all checks of a gate come to. What is not known does not pass, unless the job file spells it out."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    outcome: Outcome
    """``pass`` only where every check passed, but for those that are accepted as undetermined."""
    checks: tuple[Check, ...]
    """All of them."""

    @model_validator(mode="after")
    def _follows(self) -> Self:
        if self.outcome != outcome_of(self.checks):
            raise ValueError("outcome must be what the checks come to")
        return self


class SignedVerdict(Verdict):
    """A verdict with what it is about, as serving demands it."""

    version: Literal[1]
    """Of this file."""
    job: str
    """Name of the job that made the model."""
    model_digest: str = Field(pattern=DIGEST)
    """The model that was judged, and no other."""
    job_digest: str = Field(pattern=DIGEST)
    """The job file, and with it the gate."""
    data_digests: dict[str, str]
    """By split, the data that the model was made from and judged on."""
    who: str = Field(min_length=1)
    """Who or what ran the gate."""
    at: AwareDatetime
    """When it was judged."""
    expires: AwareDatetime
    """When the verdict stops being one."""


class VerdictFile(BaseModel):
    """The file: a verdict and the signature over it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    payload: SignedVerdict
    """What is signed."""
    key: str
    """SHA-256 of the public key's PEM, in hexadecimal."""
    signature: str
    """Base64 of the DER signature, ECDSA on P-256 with SHA-256."""


def outcome_of(checks: tuple[Check, ...]) -> Outcome:
    """Return what checks come to; accepted doubt counts neither way, and doubt alone proves nothing."""
    return worst(check.outcome for check in checks if not check.accepted)
