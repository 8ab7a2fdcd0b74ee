"""The commands of `falaj-serve` about requests: watch them for drift, and read the samples that were kept of them."""

import json
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from falaj.training.errors import RefusedError
from falaj.training.sealing import open_keys
from falaj.training.serving.options import Key, PublicKey, Region, Store, Tenant, model_versions, say, whole_number
from falaj.training.serving.verification import Trust
from falaj.training.stores import open_store

Model = Annotated[str, typer.Option("--model", metavar="NAME", help="The model's name.")]


def watch(
    *,
    store: Store,
    model: Model,
    tenant: Tenant,
    key: Key,
    public_key: PublicKey,
    version: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Whose requests they are; left out: as answers tell.")
    ] = None,
    ask: Annotated[
        str | None, typer.Option(metavar="URL", help="Service that is asked for predictions; left out: none is.")
    ] = None,
    address: Annotated[str, typer.Option(metavar="ADDRESS", help="What it listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="Where requests come.")] = 8000,
    metrics_port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="Of /metrics, /healthz.")] = 8002,
    window: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="How far back it looks.")] = 3600,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How often it looks.")] = 30,
    above: Annotated[float, typer.Option(metavar="INDEX", min=0.01, help="An index above it is drift.")] = 0.25,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.999999, help="How sure it must be that drift is no chance.")
    ] = 0.9999,
    least_rows: Annotated[int, typer.Option(min=30, help="Examples before anything is told.")] = 200,
    largest_body: Annotated[
        int, typer.Option(metavar="BYTES", min=1024, max=16 << 20, help="Larger requests are not looked at.")
    ] = 1 << 20,
    samples: Annotated[
        str | None, typer.Option(metavar="STORE", help="Where samples are kept, sealed; left out: none are.")
    ] = None,
    samples_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Key that seals them; left out: that of the model.")
    ] = None,
    samples_per_hour: Annotated[int, typer.Option(min=1, max=100_000, help="Samples of an hour at most.")] = 1000,
    identifying: Annotated[
        list[str] | None, typer.Option(metavar="INPUT", help="Input that tells who somebody is; may be repeated.")
    ] = None,
    webhook: Annotated[
        str | None, typer.Option(metavar="URL", help="Told once of each crossing, as a CloudEvent; https.")
    ] = None,
    webhook_token: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Bearer token for it, read each time.")
    ] = None,
    region: Region = None,
) -> None:
    """Watch mirrored requests for drift against what the model was judged on; say it to Prometheus and to a webhook.

    It takes what a gateway mirrors, on the paths of Triton's HTTP protocol, and answers nothing. Of each request only
    counts stay, in the bins of the reference that lies in the published version under its signature. SIGTERM ends it.

    \b
    Examples:
      falaj-serve watch --store s3://vision-models/served --model income --tenant vision \\
        --key aws-kms:arn:aws:kms:me-central-1:111122223333:key/0a1b --region me-central-1 \\
        --public-key /keys/signing.pub --ask http://income.vision.svc:8000
      falaj-serve watch --store served --model income --tenant vision --key file:seal.key --public-key signing.pub \\
        --ask http://127.0.0.1:8000 --port 9000 --webhook https://ci.example.com/retrain --webhook-token /keys/token
    """
    if ask is None and version is None:
        raise RefusedError("--ask", None, "must be given, or --version: else nobody knows whose requests they are")
    if webhook is None and webhook_token is not None:
        raise RefusedError("--webhook-token", str(webhook_token), "must be left out unless --webhook is given")
    from falaj.training.serving import watching  # noqa: PLC0415 - numpy and what it brings: no other command needs it

    place, keys = model_versions(store, model, tenant, region, "--model"), open_keys(key, region=region)
    kept = None
    if samples is not None:
        own, sealing = open_store(samples, Path(), region=region), open_keys(samples_key or key, region=region)
        kept = watching.keep_samples(own, sealing, place, samples_per_hour, identifying or [])
    elif identifying or samples_key:
        raise RefusedError("--samples", None, "must be given for --identifying and --samples-key")
    watcher = watching.Watcher(
        reference=watching.reader(place, keys, Trust.read(public_key)),
        asks=None if ask is None else watching.Service(ask, model),
        version=None if version is None else whole_number(version, "--version"),
        judgement=watching.Judgement(above, confidence, least_rows),
        seconds=window,
        keeps=kept,
        say=say,
    )
    told = None if webhook is None else watching.Webhook(webhook, webhook_token)
    listening = watching.Listening(model, address, port, metrics_port, largest_body, every)
    watching.run(watcher, watching.crossings(place, told), kept, listening, say)


def samples(
    *,
    store: Store,
    model: Model,
    tenant: Tenant,
    key: Key,
    since: Annotated[str, typer.Option(metavar="DAY", help="Left out: all that are there.")] = "",
    region: Region = None,
) -> None:
    """Open the samples of requests that `watch` kept and print them, one line of JSON each.

    They are of the tenant's clients: what is printed is as confidential as what the model is asked.

    \b
    Examples:
      falaj-serve samples --store s3://vision-samples --model income --tenant vision --region me-central-1 \\
        --key aws-kms:arn:aws:kms:me-central-1:111122223333:key/0a1b --since 2026-11-01
      falaj-serve samples --store samples --model income --tenant vision --key file:seal.key
    """
    place = model_versions(store, model, tenant, region, "--model")
    if since:
        try:
            date.fromisoformat(since)
        except ValueError:
            raise RefusedError("--since", since, "must be a day such as 2026-11-26") from None
    from falaj.training.watch.samples import stored  # noqa: PLC0415 - as above

    for sample in stored(place.store, open_keys(key, region=region), tenant=tenant, model=model, since=since):
        typer.echo(json.dumps(sample))
