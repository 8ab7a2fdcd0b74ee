"""One worker's process: `python -m falaj.training.worker JOB [KEY=VALUE ...]`, started by `falaj.training.launch`."""

import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from falaj.training import events
from falaj.training.errors import RefusedError
from falaj.training.job import Job, load_job
from falaj.training.process import die_with_parent
from falaj.training.user import in_short, load_user


class Signals:
    """Remembers that the process was asked to stop, until the loop has come to the end of its step."""

    def __init__(self) -> None:
        self.stop = False
        """Whether it was asked to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._take)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.stop = True


def main(arguments: list[str]) -> None:
    """Train; what fails is written down for the launcher, and the process ends without waiting for the others."""
    die_with_parent()
    signals = Signals()
    job = load_job(Path(arguments[0]), arguments[1:])
    try:
        work(job, signals)
    except BaseException as error:
        fail(job, error)


def work(job: Job, signals: Signals) -> None:
    """Do this worker's part of a job."""
    user = load_user(job)
    import torch.distributed as dist  # noqa: PLC0415 - it takes seconds, and signals are to be heard before

    from falaj.training.loop import Trainer  # noqa: PLC0415 - the same
    from falaj.training.parallel import join  # noqa: PLC0415 - the same

    trainer = Trainer(job, user, join(job.parallel), lambda: signals.stop)
    trainer.run()
    trainer.close()
    if dist.is_initialized():
        dist.destroy_process_group()


def fail(job: Job, error: BaseException) -> NoReturn:
    """Write down what a worker failed with, and end."""
    trace = "".join(traceback.format_exception(error))
    rank = int(os.environ.get("RANK", "0"))
    if isinstance(error, RefusedError):
        values = {"field": error.field, "value": str(error.value), "remedy": error.remedy}
        events.append(job.folder, events.ERRORS, "refused", rank=rank, trace=trace, **values)
    else:
        event = "final" if type(error).__name__ == "DivergedError" else "failed"
        events.append(job.folder, events.ERRORS, event, rank=rank, trace=trace, message=in_short(error))
    sys.stderr.write(trace)
    sys.stderr.flush()
    # The others may be gone: whatever waits for them at an orderly end would wait for ever.
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
