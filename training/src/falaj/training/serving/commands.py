"""The commands of `falaj-serve` about models: publish one, and fetch one for a server."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from falaj.training.errors import TrainingError, in_words
from falaj.training.sealing import open_keys
from falaj.training.serving import changes, releases
from falaj.training.serving.audit import AuditLog, Event
from falaj.training.serving.caller import caller
from falaj.training.serving.cluster import Cluster
from falaj.training.serving.decisions import unrecorded_refusal
from falaj.training.serving.fetching import fetch as fetch_version
from falaj.training.serving.manifest import Classification
from falaj.training.serving.options import (
    AnyService,
    Context,
    Key,
    Kubeconfig,
    Name,
    PublicKey,
    Region,
    Store,
    Tenant,
    VerdictKey,
    checked_digest,
    model_versions,
    recorder,
    say,
    whole_number,
)
from falaj.training.serving.publishing import publish as publish_version
from falaj.training.serving.refusals import NotServedError
from falaj.training.serving.standing import standing
from falaj.training.serving.verification import Trust


def publish(
    model: Annotated[Path, typer.Argument(metavar="MODEL_FOLDER", help="Folder of an exported model.")],
    *,
    to: Annotated[str, typer.Option("--to", metavar="STORE", help="s3://BUCKET/PREFIX or a folder.")],
    name: Name,
    tenant: Tenant,
    key: Key,
    public_key: PublicKey,
    verdict_key: VerdictKey = None,
    classification: Annotated[
        Classification | None, typer.Option(help="Left out: the strictest of its data, or restricted.")
    ] = None,
    region: Region = None,
    service: AnyService = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Verify an exported model and publish it, sealed, as the next version; with --service, have that version tried.

    Verified are the signature over the folder and the gate's verdict, before anything is written. The same model is
    not published twice: what is there already is told, and tried where --service does not serve it.

    \b
    Examples:
      falaj-serve publish runs/income/models/income --to s3://vision-models/served --name income --tenant vision \\
        --key aws-kms:arn:aws:kms:me-central-1:111122223333:key/0a1b --region me-central-1 --public-key signing.pub
      falaj-serve publish models/income --to served --name income --tenant vision --key file:seal.key \\
        --public-key signing.pub --service vision/income
    """
    place = model_versions(to, name, tenant, region)
    keys, trust = open_keys(key, region=region), Trust.read(public_key, verdict_key)
    cluster = Cluster(service, kubeconfig=kubeconfig, context=context) if service else None
    if cluster is not None:
        changes.check_service(cluster, name)
    who = caller(place.store, cluster.user() if cluster else None)
    log = AuditLog(place.store, name)
    logged = releases.recorded_releases(log.events())
    known = {number: each.model_digest for number, each in logged.items() if each.model_digest}
    made = publish_version(model, place, keys, trust, who=who, classification=classification, known=known, say=say)
    number = made.manifest.version
    event = releases.publish_event(made.manifest, made.digest)
    if number not in logged:
        recorder(log, who, name)(event)
    say(f"{name} {'is published as' if made.new else 'is already'} version {number} ({made.digest})")
    if cluster is None:
        return
    events, record = log.events(), recorder(log, who, name)
    release = releases.release(number, place, events)
    if refused := unrecorded_refusal(standing(cluster), events):
        record(refused)
    changed = changes.deploy(cluster, name, release, record, new=made.new)
    say(f"{service} {'is to try' if changed else 'has already'} version {number}")


def fetch(
    *,
    store: Store,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="The model's name.")],
    version: Annotated[
        str, typer.Option("--version", metavar="NUMBER", envvar="FALAJ_MODEL_VERSION", help="The version to serve.")
    ],
    tenant: Tenant,
    key: Key,
    public_key: PublicKey,
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="The server's model repository, in memory.")],
    verdict_key: VerdictKey = None,
    digest: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", envvar="FALAJ_MODEL_DIGEST", help="The manifest's digest, to pin the version."),
    ] = None,
    region: Region = None,
    termination_log: Annotated[
        Path,
        typer.Option(
            metavar="FILE", envvar="FALAJ_TERMINATION_LOG", help="Gets the reason of a refusal, where it is there."
        ),
    ] = Path("/dev/termination-log"),
) -> None:
    """Open and verify a published version, and only then put it where a server reads it: the first step of a pod.

    A refusal (exit code 3) begins with its reason: unsigned, wrong-signature, no-verdict, failed-verdict,
    other-tenant, tampered or unknown-version. Nothing is then in DIR.

    \b
    Example:
      falaj-serve fetch --store s3://vision-models/served --model income --version 3 --tenant vision \\
        --key aws-kms:arn:aws:kms:me-central-1:111122223333:key/0a1b --region me-central-1 \\
        --public-key /keys/signing.pub --into /models
    """
    told: dict[str, Any] = {"what": "fetch", "model": model, "tenant": tenant, "version": version}
    try:
        number = whole_number(version, "--version")
        found = fetch_version(
            model_versions(store, model, tenant, region, "--model"),
            number,
            open_keys(key, region=region),
            Trust.read(public_key, verdict_key),
            into,
            digest=checked_digest(digest or None, "--digest"),
            say=say,
        )
    except (TrainingError, OSError) as error:
        line = in_words(error)
        reason = error.reason if isinstance(error, NotServedError) else None
        _line({**told, "what": "fetch-refused", "reason": reason, "error": line})
        _tell_the_pod(termination_log, line)
        raise
    event = releases.publish_event(found.manifest, found.digest)
    _line({**{name: event[name] for name in ("model_digest", "manifest_digest", "verdict")}, **told, "version": number})


def _line(event: Event) -> None:
    """Say an event that is not for the log: a pod may only read the store."""
    when = datetime.now(UTC).isoformat(timespec="milliseconds")
    typer.echo(json.dumps({**event, "time": when}, sort_keys=True))


def _tell_the_pod(path: Path, line: str) -> None:
    """Give the kubelet the reason, where it waits for one; it reads 4096 bytes."""
    if path.is_file():
        path.write_bytes(line.encode()[:4096])
