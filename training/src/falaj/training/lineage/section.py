"""The tables `[tracking]`, `[lineage]` and `[signing]` of a job file: who is told about a run, who vouches for it."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from falaj.training.section import Section

_LOCAL = ("localhost", "127.0.0.1", "::1")


def _key(uri: str) -> str:
    kind, _, rest = uri.partition(":")
    if not (kind == "file" and rest) and not (kind == "vault" and all(rest.rpartition("/"))):
        raise ValueError("must be file:PATH of a PEM private key, or vault:MOUNT/KEY of a transit key")
    return uri


class TrackingSection(Section):
    """Where runs and models are kept: an MLflow database or tracking server (`[tracking]`).

    Names and passwords for a server come from MLflow's own variables, MLFLOW_TRACKING_TOKEN or
    MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, never from the job file.
    """

    uri: str | None = None
    """A database, `sqlite:///PATH` (relative to the job file) or another that SQLAlchemy knows, or a server's
    `https://` address.  Left out: `mlflow.db` in the run's folder."""
    experiment: str | None = Field(default=None, min_length=1)
    """Experiment that the runs belong to.  Left out: the job's name."""
    model: str | None = Field(default=None, min_length=1)
    """Name in the model registry of what is exported.  Left out: the job's name."""
    allow_http: bool = False
    """Whether a server elsewhere may be spoken to without TLS: whoever is on the way can read and change all."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.uri is None:
            return self
        parts = urlsplit(self.uri)
        if parts.scheme in ("", "file"):
            raise ValueError("uri: must be a database such as sqlite:///mlflow.db or a server: MLflow refuses folders")
        if parts.password or (parts.scheme in ("http", "https") and parts.username):
            raise ValueError("uri: must not hold a password: MLFLOW_TRACKING_TOKEN is the place for it")
        _check_tls("uri", self.uri, self.allow_http)
        return self

    def place(self, base: Path, folder: Path) -> str:
        """Return the address for MLflow; ``base`` is the job file's folder and ``folder`` the run's."""
        if self.uri is None:
            return f"sqlite:///{folder.absolute() / 'mlflow.db'}"
        scheme, _, path = self.uri.partition(":///")
        if scheme == "sqlite" and path:
            return f"sqlite:///{base.absolute() / path}"
        return self.uri


class LineageSection(Section):
    """Where OpenLineage events go: to an endpoint, a file, or both (`[lineage]`); with neither, to a file.

    A token for the endpoint comes from OPENLINEAGE_API_KEY, never from the job file.
    """

    url: str | None = None
    """Address of a server that takes OpenLineage events, such as `https://marquez.example.internal`."""
    endpoint: str = "api/v1/lineage"
    """Path below that address."""
    file: str | None = None
    """File that events are appended to, one a line, relative to the job file.  Left out: `lineage.jsonl` in the run's
    folder where there is no `url`, and none where there is one."""
    namespace: str = Field(default="falaj", min_length=1)
    """Namespace of jobs and models in the lineage graph."""
    allow_http: bool = False
    """Whether a server elsewhere may be spoken to without TLS: whoever is on the way can read and change all."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.url is None:
            return self
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url: must be an https:// address; a file has its own key, file")
        if parts.username or parts.password:
            raise ValueError("url: must not hold a password: OPENLINEAGE_API_KEY is the place for a token")
        _check_tls("url", self.url, self.allow_http)
        return self

    def events_file(self, base: Path, folder: Path) -> Path | None:
        """Return the file for events, if there is to be one."""
        if self.file is not None:
            return base / self.file
        return folder / "lineage.jsonl" if self.url is None else None


class SigningSection(Section):
    """With which key exported models are signed (`[signing]`)."""

    key: Annotated[str, AfterValidator(_key)]
    """`file:PATH` of a PEM private key on P-256, relative to the job file, or `vault:MOUNT/KEY` of a transit key of
    type ecdsa-p256, which never leaves Vault."""


def _check_tls(field: str, address: str, allowed: bool) -> None:
    parts = urlsplit(address)
    if parts.scheme == "http" and parts.hostname not in _LOCAL and not allowed:
        raise ValueError(f"{field}: must be https:// for a server elsewhere, or allow_http = true must stand beside it")
