"""`falaj-train sweep`: the command."""

import json
import warnings
from pathlib import Path
from typing import Annotated

import typer

from falaj.training.errors import RefusedError
from falaj.training.job import Job, load_job
from falaj.training.process import die_with_parent
from falaj.training.sweep.section import SweepSection


def sweep(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job file (TOML).", exists=True, dir_okay=False)],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Say a value of the job file anew, such as sweep.trials=50."),
    ] = None,
    worker: Annotated[
        bool, typer.Option("--worker", help="Be one worker of the sweep, as each pod of a SweepJob is.")
    ] = False,
) -> None:
    """Try the values that `[sweep]` names until all trials have ended, and tell which are best. Run again, it goes on.

    \b
    Examples:
      falaj-train sweep job.toml
      falaj-train sweep job.toml --set sweep.trials=50 --set sweep.workers=4
    """
    loaded = load_job(job, sets or [])
    section = check_sweep(loaded)
    # Optuna takes a second to load, and nothing but a sweep needs it.
    from optuna.exceptions import ExperimentalWarning  # noqa: PLC0415

    from falaj.training.sweep.report import PAGE, said, write_report  # noqa: PLC0415
    from falaj.training.sweep.study import Sweep  # noqa: PLC0415
    from falaj.training.sweep.worker import supervise, work  # noqa: PLC0415

    # What is told of heartbeats and retries is for whoever upgrades Optuna, and its version is pinned.
    warnings.simplefilter("ignore", ExperimentalWarning)
    if worker:
        die_with_parent()
    found = Sweep(loaded, section)
    try:
        if worker:
            work(found, typer.echo)
        else:
            supervise(found, loaded, typer.echo)
    finally:
        report = write_report(found)
    if report.best is not None:
        typer.echo(f"best: trial {report.best.number} with {section.metric} {report.best.value:.6g}")
        typer.echo("  " + " ".join(f"--set {each}" for each in said(report.best)))
    typer.echo(f"the report is {found.folder / PAGE}")


def check_sweep(job: Job) -> SweepSection:
    """Return the job's sweep; refuse a job that has none, and values of which the job file would refuse the first."""
    if job.sweep is None:
        raise RefusedError("sweep", None, "must be a table of the job file, with parameters, trials and a metric")
    if job.parallel.nodes > 1:
        raise RefusedError("parallel.nodes", job.parallel.nodes, "must be 1 in a sweep: a trial runs on one machine")
    for name, parameter in job.sweep.parameters.items():
        for value in parameter.choices or (parameter.low, parameter.high):
            try:
                load_job(job.path, [*job.overrides, f"{name}={json.dumps(value)}"])
            except RefusedError as error:
                field = f"sweep.parameters.{name}"
                raise RefusedError(field, value, f"must be values that the job file takes: {error}") from None
    return job.sweep
