"""A worker of a sweep whose trials are sums, not trainings: `python sweep_worker.py JOB PAUSE [KEY=VALUE ...]`."""

import sys
import time
from pathlib import Path

from falaj.training.job import load_job
from falaj.training.sweep.study import Sweep
from falaj.training.sweep.trial import suggest
from falaj.training.sweep.worker import work


def main(path: str, pause: str, *sets: str) -> None:
    job = load_job(Path(path), sets)
    sweep = Sweep(job, job.sweep)

    def parabola(sweep, trial):
        values = {name: suggest(trial, name, each) for name, each in sweep.section.parameters.items()}
        time.sleep(float(pause))
        return (values["optimizer.learning_rate"] - 0.3) ** 2

    work(sweep, lambda line: print(line, flush=True), parabola)


if __name__ == "__main__":
    main(*sys.argv[1:])
