"""What lies in a model's folder, under its signature, about where it comes from."""

from pathlib import Path

from pydantic import ValidationError

from falaj.training.errors import RefusedError
from falaj.training.lineage.facts import Facts

LINEAGE, JOB, VERDICT = "lineage.json", "job.toml", "verdict.json"
"""The facts of the run, the job file as it was, and the gate's verdict."""


def passport(facts: Facts, job_file: Path, verdict: Path | None = None) -> dict[str, bytes]:
    """Return the files for `export.folder.export` as ``evidence``.

    ``verdict`` is the file that the gate wrote about these weights (`export.weights.weights_digest` names them).
    """
    files = {LINEAGE: facts.model_dump_json(indent=2).encode() + b"\n", JOB: job_file.read_bytes()}
    return files if verdict is None else {**files, VERDICT: verdict.read_bytes()}


def read_facts(content: bytes, place: str) -> Facts:
    """Read the facts of a run; raise `RefusedError` about ``place`` where they are none."""
    try:
        return Facts.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise RefusedError(place, where, f"must hold the facts of a run: {first['msg']}") from None
