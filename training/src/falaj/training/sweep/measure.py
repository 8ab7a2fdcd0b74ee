"""Measures a trial's model: `python -m falaj.training.sweep.measure JOB [KEY=VALUE ...]`, a line of JSON comes out."""

import json
import sys
from pathlib import Path

import torch

from falaj.training.gate.evaluate import evaluate
from falaj.training.job import load_job
from falaj.training.process import die_with_parent
from falaj.training.trained import load_trained
from falaj.training.user import call, load_user


def main(arguments: list[str]) -> None:
    """Evaluate the model of the last checkpoint on the validation data, and say the mean of each metric."""
    die_with_parent()
    job = load_job(Path(arguments[0]), arguments[1:])
    user = load_user(job)
    model, _ = load_trained(job, user)
    data = call("data.entry", user.data, job.data.settings, "validation")
    device = "cuda" if torch.cuda.is_available() and job.parallel.device != "cpu" else "cpu"
    found = evaluate(model, data, user.score, job.optimizer.batch_size, device)
    sys.stdout.write(json.dumps({name: found.mean(name) for name in ("loss", *found.metrics)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
