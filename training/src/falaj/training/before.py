"""What comes before training: the job is looked at, and its data."""

from collections.abc import Callable

from falaj.training.checkpoints import committed
from falaj.training.errors import RefusedError
from falaj.training.job import Job
from falaj.training.stores import open_store
from falaj.training.user import call, check_entries, load_user
from falaj.training.validation.report import Report


def check_new(job: Job) -> None:
    """Refuse to begin a job that has checkpoints: they would be gone on with, or written over."""
    if job.parallel.nodes > 1:  # another node may have begun already; there, `run` goes on as `resume` does
        return
    saved = committed(open_store(job.checkpoints.location, job.base), job.name)
    if saved:
        remedy = f"must have none of {job.name}: `falaj-train resume` goes on after step {saved[-1].step}"
        raise RefusedError("checkpoints.location", job.checkpoints.location, remedy)


def check_job(job: Job) -> None:
    """Refuse what can be seen to be wrong without running any of the user's code."""
    for error in check_entries(job):
        raise error


def check_data(job: Job, say: Callable[[str], None]) -> Report | None:
    """Check the data as the job asks, leave a report in the run's folder and return it; nothing where it asks nothing.

    Raises ``DataRefusedError`` where the data is not what the job asks for.
    """
    checks = job.data.checks
    if checks is None:
        return None
    # They bring numpy and pandas along, and are loaded only where there is something to check.
    from falaj.training.validation.check import check_data as look  # noqa: PLC0415
    from falaj.training.validation.check import require_accepted, write_report  # noqa: PLC0415

    data = None
    if checks.table is None or checks.tensors:
        data = call("data.entry", load_user(job).data, job.data.settings, "train")
    report = look(job.data, checks, data, job=job.name, base=job.base)
    page = write_report(report, job.folder)
    require_accepted(report)
    say(f"data accepted: {report.rows} examples; the report is {page}")
    return report
