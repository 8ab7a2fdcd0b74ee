"""`falaj-train lineage MODEL`: the chain behind a model, for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from falaj.training.errors import RefusedError
from falaj.training.lineage.chain import Link, Witnesses, trace
from falaj.training.lineage.mlflow_runs import registered

BROKEN, UNPROVEN = 1, 5
"""Exit codes: a link does not hold; with --strict, one could not be checked."""

Key = Annotated[Path | None, typer.Option(help="Public key (PEM) that must have signed the model.", exists=True)]
VerdictKey = Annotated[
    Path | None, typer.Option(help="Public key (PEM) of the gate, where it is another.", exists=True)
]
Code = Annotated[Path | None, typer.Option(help="Folder of the user's package.", exists=True, file_okay=False)]
Base = Annotated[Path, typer.Option(help="Folder that relative locations of data are below.", file_okay=False)]
Tracking = Annotated[str | None, typer.Option(help="MLflow's database (sqlite:///PATH) or server.")]


def lineage(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder of a model, or models:/NAME/VERSION.")],
    *,
    key: Key = None,
    verdict_key: VerdictKey = None,
    code: Code = None,
    base: Base = Path(),
    tracking: Tracking = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 5 where a link could not be verified.")] = False,
) -> None:
    """Print where a model comes from, link by link, and whether each link was verified, is unverified or broken.

    Exit with 1 where a link is broken.

    \b
    Examples:
      falaj-train lineage models/income --key signing.pub
      falaj-train lineage models:/income/3 --tracking sqlite:///mlflow.db --key signing.pub --code src --json
    """
    folder, known = _folder(model, tracking)
    witnesses = Witnesses(
        public_pem=key.read_bytes() if key else None,
        verdict_pem=verdict_key.read_bytes() if verdict_key else None,
        code=code,
        base=base,
        tracking=tracking,
    )
    links = trace(folder, witnesses)
    if known is not None:
        links.insert(0, _entry(model, known, links[0]))
    typer.echo(json.dumps({"model": model, "links": [asdict(link) for link in links]}) if as_json else in_words(links))
    statuses = {link.status for link in links}
    if "broken" in statuses:
        raise typer.Exit(BROKEN)
    if strict and statuses != {"verified"}:
        raise typer.Exit(UNPROVEN)


def in_words(links: Sequence[Link]) -> str:
    """Return the chain as text: a line for each link, and the reason below it."""
    widest = max(len(link.link) for link in links)
    lines = [
        f"{link.status:<10}  {link.link:<{widest}}  {link.value or '-'}\n{'':<10}  {'':<{widest}}  {link.reason}"
        for link in links
    ]
    return "\n".join(lines)


def _folder(model: str, tracking: str | None) -> tuple[Path, str | None]:
    if not model.startswith("models:/"):
        return Path(model), None
    name, _, version = model.removeprefix("models:/").rpartition("/")
    if not name or not version:
        raise RefusedError("MODEL", model, "must be a folder, or models:/NAME/VERSION")
    if tracking is None:
        raise RefusedError("--tracking", None, "must name the MLflow that knows the model")
    location, digest = registered(tracking, name, version)
    if "://" in location:
        raise RefusedError("MODEL", location, "must be on this machine: fetch it, and name its folder")
    return Path(location), digest


def _entry(model: str, digest: str, found: Link) -> Link:
    if found.value != digest:
        return Link("registry", "broken", f"{model} {digest}", f"the folder's digest is another, {found.value}")
    return Link("registry", "verified", f"{model} {digest}", "the folder has this digest")
