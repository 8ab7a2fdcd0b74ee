"""What the commands of `falaj-serve` share: their options, how they record, and how errors are told."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from falaj.training.errors import RefusedError
from falaj.training.lineage.digests import DIGEST
from falaj.training.serving.audit import AuditLog, Event
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.repository import check_name
from falaj.training.serving.versions import Versions
from falaj.training.stores import open_store

DONE, FAILED, REFUSED, NOT_SERVED = range(4)
"""Exit codes."""

Store = Annotated[str, typer.Option("--store", metavar="STORE", help="s3://BUCKET/PREFIX or a folder.")]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="The model's name, as config.pbtxt says it.")]
Tenant = Annotated[str, typer.Option("--tenant", metavar="TENANT", help="Whose model it is.")]
Key = Annotated[
    str, typer.Option("--key", metavar="KEY", help="Key that seals: aws-kms:ARN, vault:MOUNT/KEY, file:PATH.")
]
PublicKey = Annotated[Path, typer.Option(metavar="FILE", help="Public key (PEM) that must have signed the model.")]
VerdictKey = Annotated[Path | None, typer.Option(metavar="FILE", help="That of the gate, where it is another.")]
Region = Annotated[
    str | None,
    typer.Option(envvar=["FALAJ_REGION", "AWS_REGION"], help="Region that the data stays in; an AWS KMS key needs it."),
]
Service = Annotated[str, typer.Option("--service", metavar="NAMESPACE/NAME", help="The service's Argo Rollout.")]
AnyService = Annotated[
    str | None, typer.Option("--service", metavar="NAMESPACE/NAME", help="The service's Argo Rollout.")
]
Kubeconfig = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Left out: KUBECONFIG, or the pod's own cluster.")
]
Context = Annotated[str | None, typer.Option(metavar="NAME", help="A context of the kubeconfig.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def exit_code(error: Exception) -> int:
    """Return the exit code for an error that a person sees."""
    if isinstance(error, NotServedError):
        return NOT_SERVED
    return REFUSED if isinstance(error, RefusedError) else FAILED


def model_versions(store: str, name: str, tenant: str | None, region: str | None, field: str = "--name") -> Versions:
    """Return the versions of a model; without a tenant, none of them can be opened, only told."""
    if tenant is not None and not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", tenant):
        raise RefusedError("--tenant", tenant, "must be a tenant's name: small letters, digits and -, at most 63")
    return Versions(open_store(store, Path(), region=region), check_name(name, field), tenant or "")


def recorder(log: AuditLog, who: dict[str, str], name: str) -> Callable[[Event], None]:
    """Return what writes events to the log and to the terminal."""

    def record(event: Event) -> None:
        typer.echo(log.append({"model": name, **event, "who": event.get("who", who)}).line())

    return record


def whole_number(text: str, field: str) -> int:
    """Read a version's number; raise `RefusedError` about ``field`` for anything else."""
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise RefusedError(field, text, "must be a whole number from 1")
    return int(text)


def checked_digest(text: str | None, field: str) -> str | None:
    """Return a digest that may be left out; raise `RefusedError` about ``field`` for anything else."""
    if text is not None and not re.fullmatch(DIGEST, text):
        raise RefusedError(field, text, "must be sha256: and 64 hexadecimal digits")
    return text


def say(words: str) -> None:
    """Say something to people; what programs read goes to the standard output."""
    typer.echo(words, err=True)
