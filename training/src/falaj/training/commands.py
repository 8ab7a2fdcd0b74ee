"""The commands of `falaj-train`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from falaj.training import status as standing
from falaj.training.before import check_new
from falaj.training.errors import RefusedError
from falaj.training.job import load_job, problems
from falaj.training.launch import StoppedError
from falaj.training.run import GateRefusedError, pass_gate, plain, train
from falaj.training.user import check_entries
from falaj.training.validation.report import DataRefusedError
from falaj.training.watch.reference import LEAST, REFERENCE

DONE, FAILED, REFUSED, GATE_REFUSED, DATA_REFUSED = range(5)
"""Exit codes. Asked to stop by a signal, it is 128 and the signal's number, as a shell says it."""

JobPath = Annotated[Path, typer.Argument(metavar="JOB", help="The job file (TOML).", exists=True, dir_okay=False)]
Champion = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Weights of the model that is served now (model.safetensors of its run)."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Say a value of the job file anew, such as budget.steps=100."),
]


def validate(job: JobPath, sets: Sets = None) -> None:
    """Check a job file and its entry points without running any of the user's code. Exit with 2 where it is refused.

    \b
    Examples:
      falaj-train validate job.toml
      falaj-train validate job.toml --set parallel.workers=4
    """
    wrong = problems(job, sets or [])
    if not wrong:
        wrong = check_entries(load_job(job, sets or []))
    for error in wrong:
        typer.echo(f"falaj-train: {error}", err=True)
    if wrong:
        raise typer.Exit(REFUSED)
    typer.echo(f"{job} can be run.")


def run(job: JobPath, sets: Sets = None, champion: Champion = None) -> None:
    """Train from the beginning. Refused where the job has checkpoints. SIGINT or SIGTERM: a last checkpoint, then end.

    \b
    Examples:
      falaj-train run job.toml
      falaj-train run job.toml --set parallel.workers=2 --set budget.steps=1000
    """
    loaded = load_job(job, sets or [])
    check_new(loaded)
    train(loaded, plain, champion)


def resume(job: JobPath, sets: Sets = None, champion: Champion = None) -> None:
    """Go on from the last whole checkpoint; where there is none, begin. The number of workers may be another one.

    \b
    Examples:
      falaj-train resume job.toml
      falaj-train resume job.toml --set parallel.workers=1
    """
    train(load_job(job, sets or []), plain, champion)


def evaluate(job: JobPath, sets: Sets = None, champion: Champion = None) -> None:
    """Judge the model of the last checkpoint as `[gate]` says, and sign the verdict. Exit with 3 unless it passes.

    \b
    Examples:
      falaj-train evaluate job.toml
      falaj-train evaluate job.toml --champion served/model.safetensors
    """
    pass_gate(load_job(job, sets or []), plain, champion)


def export(job: JobPath, sets: Sets = None) -> None:
    """Export the model of the last checkpoint as `[export]` says, signed where `[signing]` names a key.

    What inputs and outputs are like on the validation data goes with it, for `falaj-serve watch`.

    \b
    Example:
      falaj-train export job.toml --set export.version=2
    """
    from falaj.training.after import export_model  # noqa: PLC0415 - it brings torch along

    made = export_model(load_job(job, sets or []))
    if not (Path(made.location) / REFERENCE).exists():
        typer.echo(f"fewer than {LEAST} validation examples: drift of requests cannot be watched", err=True)
    typer.echo(f"exported to {made.location} ({made.digest})")


def status(
    job: JobPath,
    sets: Sets = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say how a job stands, from its run's files on this machine.

    \b
    Examples:
      falaj-train status job.toml
      falaj-train status job.toml --json
    """
    found = standing.status(load_job(job, sets or []))
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    for line in standing.in_words(found):
        typer.echo(line)


def exit_code(error: Exception) -> int:
    """Return the exit code for an error that a person sees."""
    if isinstance(error, StoppedError):
        return 128 + error.number
    if isinstance(error, DataRefusedError):
        return DATA_REFUSED
    if isinstance(error, GateRefusedError):
        return GATE_REFUSED
    return REFUSED if isinstance(error, RefusedError) else FAILED
