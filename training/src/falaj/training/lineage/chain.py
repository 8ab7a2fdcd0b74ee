"""The chain behind a model: model, verdict, run, job, code, image and data, each link verified where it can be.

A link is *verified* where this machine has checked it, *broken* where it was checked and does not hold, and
*unverified* where it could not be checked; what cannot be checked is never taken for good. Whatever a folder says is
worth no more than the signature over it: without one, or with a broken one, nothing in it is verified.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.lineage.code import CodeFacts, code_facts, digest_at_commit, has_commit
from falaj.training.lineage.digests import bytes_digest, content_digest
from falaj.training.lineage.facts import DataFacts, Facts
from falaj.training.lineage.mlflow_runs import run_tags
from falaj.training.lineage.passport import JOB, LINEAGE, VERDICT, read_facts
from falaj.training.lineage.signatures import fingerprint
from falaj.training.lineage.signed_models import SignedModel, load_signed, unverified_model

Status = Literal["verified", "unverified", "broken"]


@dataclass(frozen=True)
class Link:
    """One link of the chain."""

    link: str
    """What it is: ``model``, ``verdict``, ``run``, ``job``, ``code``, ``image`` or ``data NAME``."""
    status: Status
    """How it stands."""
    value: str | None
    """What the chain says that it is; none where it says nothing."""
    reason: str
    """Why it stands so."""


@dataclass(frozen=True)
class Witnesses:
    """What links can be checked against; whatever is missing leaves links unverified."""

    public_pem: bytes | None = None
    """Public key of whoever must have signed the model."""
    verdict_pem: bytes | None = None
    """Public key of whoever must have signed the verdict. Left out: the same."""
    code: Path | None = None
    """Folder of the user's package, as it is or in a repository that has its history."""
    base: Path = field(default_factory=Path)
    """Folder that relative locations of data are below: the job file's."""
    tracking: str | None = None
    """MLflow's database or server."""


def trace(folder: Path, witnesses: Witnesses) -> list[Link]:
    """Return the chain behind the model in ``folder``, from the model to its data.

    Raises `RefusedError` where there is no such folder.
    """
    model, first = _model(folder, witnesses.public_pem)
    trusted = first.status == "verified"
    links = [first, *_behind(folder, model, witnesses)]
    return [first, *(link if trusted or link.status == "broken" else _doubted(link) for link in links[1:])]


def _doubted(link: Link) -> Link:
    reason = "the model's signature is not verified, and this rests on it"
    return Link(link.link, "unverified", link.value, reason if link.status == "verified" else link.reason)


def _model(folder: Path, public_pem: bytes | None) -> tuple[SignedModel, Link]:
    if public_pem is None:
        model = unverified_model(folder)
        return model, Link("model", "unverified", model.digest, "no public key was given: who made it is not proven")
    try:
        model = load_signed(folder, public_pem)
    except RefusedError as error:
        model = unverified_model(folder)
        return model, Link("model", "broken", model.digest, str(error))
    return model, Link("model", "verified", model.digest, f"every file is signed by the key {fingerprint(public_pem)}")


def _behind(folder: Path, model: SignedModel, witnesses: Witnesses) -> Iterator[Link]:
    if LINEAGE not in model.files:
        yield Link("run", "unverified", None, f"no {LINEAGE} lies with the model")
        return
    try:
        facts = read_facts(model.read(LINEAGE), LINEAGE)
    except RefusedError as error:
        yield Link("run", "broken", None, str(error))
        return
    yield _verdict(folder, model, facts, witnesses)
    yield _run(facts, model, witnesses.tracking)
    yield _job(model, facts)
    yield _code(facts.code, witnesses.code)
    yield Link(
        "image", "unverified", facts.image, "a registry would have to be asked" if facts.image else "no image is named"
    )
    for data in facts.data:
        yield _data(data, witnesses.base)


def _verdict(folder: Path, model: SignedModel, facts: Facts, witnesses: Witnesses) -> Link:
    from falaj.training.gate.signed import verify_verdict  # noqa: PLC0415 - it knows this package

    if VERDICT not in model.files:
        return Link("verdict", "unverified", None, f"no {VERDICT} lies with the model: no gate has judged it")
    key = witnesses.verdict_pem or witnesses.public_pem
    weights = _weights(model)
    if key is None or weights is None:
        said = "no public key was given" if key is None else "the model's manifest does not name its weights"
        return Link("verdict", "unverified", None, said)
    try:
        verdict = verify_verdict(folder / VERDICT, key, weights)
    except RefusedError as error:
        return Link("verdict", "broken", None, str(error))
    value = f"{verdict.outcome}, by {verdict.who}, until {verdict.expires.date().isoformat()}"
    if verdict.job_digest != facts.job_digest:
        return Link("verdict", "broken", value, f"it is about another job file, {verdict.job_digest}")
    return Link("verdict", "verified", value, f"signed by the key {fingerprint(key)}, about the weights {weights}")


def _weights(model: SignedModel) -> str | None:
    try:
        manifest: Any = json.loads(model.read("manifest.json"))
        return str(manifest["weights"])
    except (RefusedError, ValueError, KeyError, TypeError):
        return None


def _run(facts: Facts, model: SignedModel, tracking: str | None) -> Link:
    if tracking is None:
        return Link("run", "unverified", facts.run, "no tracking server was named to ask")
    try:
        tags = run_tags(tracking, facts.run)
    except TrainingError as error:
        return Link("run", "unverified", facts.run, str(error))
    if tags is None:
        return Link("run", "unverified", facts.run, "the tracking server knows no such run")
    says = {"falaj.job_digest": facts.job_digest, "falaj.code_digest": facts.code.digest}
    for name, value in says.items():
        if tags.get(name) != value:
            return Link("run", "broken", facts.run, f"the tracking server knows it with {name} {tags.get(name)}")
    return Link("run", "verified", facts.run, "the tracking server knows it with the same job and code")


def _job(model: SignedModel, facts: Facts) -> Link:
    value = " ".join([facts.job_digest, *facts.overrides])
    if JOB not in model.files:
        return Link("job", "unverified", value, f"no {JOB} lies with the model")
    found = bytes_digest(model.read(JOB))
    if found != facts.job_digest:
        return Link("job", "broken", value, f"{JOB} has another digest, {found}")
    return Link("job", "verified", value, f"{JOB} in the model's folder has this digest")


def _code(code: CodeFacts, folder: Path | None) -> Link:
    commit = code.commit or "of no commit"
    value = f"{code.digest} ({commit}{', changed' if code.dirty else ''})"
    if folder is None:
        return Link("code", "unverified", value, "no folder of the code was named")
    if code_facts(folder).digest == code.digest:
        return Link("code", "verified", value, f"the code in {folder} has this digest")
    return _code_in_history(code, value, folder)


def _code_in_history(code: CodeFacts, value: str, folder: Path) -> Link:
    if code.commit is None or code.path is None or not has_commit(folder, code.commit):
        return Link("code", "unverified", value, f"the code in {folder} is another, and its commit is not there")
    if code.dirty is not False:
        return Link("code", "unverified", value, "it differed from its commit, and the difference is not here")
    found = digest_at_commit(folder, code.commit, code.path)
    if found is None:
        return Link("code", "unverified", value, "git could not show the commit")
    if found != code.digest:
        return Link("code", "broken", value, f"its commit has another digest, {found}: files outside of it ran too")
    return Link("code", "verified", value, "its commit has this digest")


def _data(data: DataFacts, base: Path) -> Link:
    name, place = f"data {data.name}", data.location or "inside the code or a package"
    value = f"{data.known_by or 'no digest'} ({', '.join(x for x in (place, data.classification, data.region) if x)})"
    if data.digest is None:
        code = "the digest is of its examples: only the user's code can read them"
        return Link(name, "unverified", value, code if data.examples else "nobody has read it whole")
    if data.location is None or "://" in data.location or not (base / data.location).exists():
        return Link(name, "unverified", value, "it is not on this machine")
    try:
        found = content_digest(base / data.location)
    except OSError as error:
        return Link(name, "unverified", value, f"it cannot be read: {error.strerror}")
    if found != data.digest:
        return Link(name, "broken", value, f"what lies there has another digest, {found}")
    return Link(name, "verified", value, "what lies there has this digest")
