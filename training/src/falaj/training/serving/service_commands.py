"""The commands of `falaj-serve` about services: how they stand, how they go on, and how they go back."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from falaj.training.errors import RefusedError, TrainingError, in_words
from falaj.training.sealing import open_keys
from falaj.training.serving import changes, releases
from falaj.training.serving import standing as standings
from falaj.training.serving.audit import AuditLog, Recorded, broken_links
from falaj.training.serving.caller import caller
from falaj.training.serving.cluster import Cluster
from falaj.training.serving.decisions import decision, refusal
from falaj.training.serving.options import (
    NOT_SERVED,
    AnyService,
    Context,
    Json,
    Kubeconfig,
    Name,
    Region,
    Service,
    Store,
    checked_digest,
    model_versions,
    recorder,
    say,
    whole_number,
)


def status(
    *,
    service: Service,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_json: Json = False,
) -> None:
    """Say which versions a service serves, how far an update is, and what its analyses measured.

    \b
    Examples:
      falaj-serve status --service vision/income
      falaj-serve status --service vision/income --json
    """
    found = standings.standing(Cluster(service, kubeconfig=kubeconfig, context=context))
    if as_json:
        typer.echo(json.dumps({**asdict(found), "updating": found.updating}))
        return
    for line in standings.in_words(found):
        typer.echo(line)


def promote(
    *,
    service: Service,
    store: Store,
    name: Name,
    full: Annotated[bool, typer.Option("--full", help="To the end, without further steps and analyses.")] = False,
    why: Annotated[str | None, typer.Option(metavar="TEXT", help="The reason, for the audit log.")] = None,
    region: Region = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Let an update that waits go on by one step, or with --full to its end at once.

    \b
    Examples:
      falaj-serve promote --service vision/income --store s3://vision-models/served --name income
      falaj-serve promote --service vision/income --store served --name income --full --why "the fix is urgent"
    """
    cluster = Cluster(service, kubeconfig=kubeconfig, context=context)
    found = standings.standing(cluster)
    if full and not why:
        raise RefusedError("--why", why, "must say why steps and analyses are to be skipped, as --full does")
    place = model_versions(store, name, None, region)
    log, who = AuditLog(place.store, name), caller(place.store, cluster.user())
    number = found.wanted_version
    if number is None:
        raise RefusedError("--service", service, "must ask for a version by its number")
    release = releases.release(number, place, log.events())
    why = _reason(why) if why is not None else None
    changes.promote(cluster, found, release, recorder(log, who, name), full=full, why=why)
    say(f"{service} goes on with version {number}{' to the end' if full else ''}")


def rollback(
    *,
    service: Service,
    store: Store,
    name: Name,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the audit log.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="Left out: the version that was served before.")
    ] = None,
    skip_analysis: Annotated[
        bool, typer.Option("--skip-analysis", help="Go to the version at once, without steps and analyses.")
    ] = False,
    although_refused: Annotated[
        bool, typer.Option("--although-refused", help="Go to a version that the service gave up before.")
    ] = False,
    region: Region = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Go back to an earlier version. An update that runs is aborted: all traffic is back at the stable version at once.

    Another version than the stable one is then tried by the service's steps, unless Argo's rollback window covers it or
    --skip-analysis says otherwise. A version that the service gave up before is refused.

    \b
    Examples:
      falaj-serve rollback --service vision/income --store served --name income --why "wrong answers since noon"
      falaj-serve rollback --service vision/income --store served --name income --to 3 --why "4 and 5 are biased"
    """
    reason = _reason(why)
    wanted = None if to is None else whole_number(to, "--to")
    cluster = Cluster(service, kubeconfig=kubeconfig, context=context)
    rollout = cluster.rollout()
    found = standings.standing(cluster, rollout)
    changes.check_model(service, rollout, name)
    place = model_versions(store, name, None, region)
    log = AuditLog(place.store, name)
    events = log.events()
    number = wanted if wanted is not None else _before(found, events)
    release = releases.release(number, place, events)
    given_up = refusal(service, number, events)
    is_stable = found.stable is not None and found.stable.version == number
    if given_up is not None and not although_refused and not is_stable:
        remedy = f"must not be a version that the service gave up ({given_up}), unless --although-refused says so"
        raise RefusedError("--to", number, remedy)
    who = caller(place.store, cluster.user())
    record = recorder(log, who, name)
    changed = changes.rollback(cluster, found, release, record, why=reason, skip_analysis=skip_analysis)
    say(f"{service} {'goes back to' if changed else 'serves already'} version {number}")


def record(
    *,
    service: Service,
    store: Store,
    name: Name,
    every: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=1, help="Go on, looking this often, until it is stopped.")
    ] = None,
    region: Region = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Write into the audit log what Argo decided by itself: that a version was refused, or is served, with the numbers.

    \b
    Examples:
      falaj-serve record --service vision/income --store s3://vision-models/served --name income
      falaj-serve record --service vision/income --store s3://vision-models/served --name income --every 30
    """
    cluster = Cluster(service, kubeconfig=kubeconfig, context=context)
    place = model_versions(store, name, None, region)
    log, who = AuditLog(place.store, name), caller(place.store, cluster.user())
    seen: standings.Standing | None = None
    while True:
        try:
            found = standings.standing(cluster)
            # Reading the whole log is what costs; a service at rest has nothing new for it.
            if found != seen:
                event = decision(found, log.events())
                if event is not None:
                    recorder(log, who, name)(event)
                seen = found
        except (TrainingError, OSError) as error:
            if every is None or isinstance(error, RefusedError):
                raise
            say(f"falaj-serve: {in_words(error)}")
        if every is None:
            return
        time.sleep(every)


def history(
    *,
    store: Store,
    name: Name,
    service: AnyService = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the log's chain and every manifest's digest. Exit with 3 if wrong.")
    ] = False,
    holds: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="With --verify: an event's digest that the log must have.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="With --tenant: read the manifests themselves.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(metavar="TENANT", help="Whose model it is.")] = None,
    region: Region = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_json: Json = False,
) -> None:
    """List a model's versions, the newest first: when, by whom, with which digest and verdict, and which are served.

    \b
    Examples:
      falaj-serve history --store s3://vision-models/served --name income --service vision/income
      falaj-serve history --store served --name income --verify --holds sha256:2c26...
      falaj-serve history --store served --name income --json
    """
    if (key is None) != (tenant is None):
        raise RefusedError("--key", key, "must be given together with --tenant, or neither of the two")
    if holds is not None and not verify:
        raise RefusedError("--holds", holds, "must be given together with --verify")
    place = model_versions(store, name, tenant, region)
    events = AuditLog(place.store, name).events()
    wrong: list[str] = []
    if verify:
        wrong = [*broken_links(events, checked_digest(holds, "--holds")), *releases.disagreements(place, events)]
    found = None
    if service is not None:
        found = standings.standing(Cluster(service, kubeconfig=kubeconfig, context=context))
    keys = open_keys(key, region=region) if key is not None else None
    rows = releases.history(place, events, found, keys)
    if as_json:
        told = {"versions": [asdict(each) for each in rows], "events": [json.loads(each.line()) for each in events]}
        typer.echo(json.dumps({**told, "verified": not wrong if verify else None, "wrong": wrong}))
    else:
        releases.in_words(rows, typer.echo)
    if verify and not wrong:
        head = events[-1].digest if events else "none yet"
        say(f"{len(events)} events and {len(rows)} versions are as they were written; the last event is {head}")
    for each in wrong:
        say(each)
    if wrong:
        raise typer.Exit(NOT_SERVED)


def _before(found: standings.Standing, events: Sequence[Recorded]) -> int:
    """Return the version to go back to where none was named."""
    number = None
    if found.canary is not None:
        number = found.stable.version if found.stable is not None else None
    elif found.wanted_version is not None:
        number = releases.served_before(found.wanted_version, found.service, events)
    if number is None:
        raise RefusedError("--to", None, "must name a version: no event says what was served before")
    return number


def _reason(text: str) -> str:
    if not text.strip() or len(text) > 500 or not text.isprintable():
        raise RefusedError("--why", text[:60], "must be a reason in one line of 500 characters at most")
    return text.strip()
