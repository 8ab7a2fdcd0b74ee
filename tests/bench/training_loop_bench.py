"""How much longer a step of training takes than in a loop of bare PyTorch: `python tests/bench/training_loop_bench.py`.

Both train the transformer of docs/examples/training-text on the processor, one after the other, round after round in
several processes; what is compared is the mean step of each round, and the medians of each process.
"""

import argparse
import base64
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from falaj.training.job import Job, load_job
from falaj.training.loop import Trainer
from falaj.training.parallel import join
from falaj.training.precision import prepare
from falaj.training.user import User, load_user

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "training-text"
WARM = 5
"""Steps of a round that do not count."""


Clock = tuple[float, float]


def clock() -> Clock:
    """Return the time, and the processor's time of this thread, which other programs do not lengthen."""
    return time.perf_counter(), time.thread_time()


def main() -> None:
    """Measure in several processes: where one has its memory makes the one loop or the other some per cent slower."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--processes", type=int, default=11)
    options.add_argument("--rounds", type=int, default=4, help="in each process, half of them with the bare loop first")
    options.add_argument("--steps", type=int, default=60)
    given = options.parse_args()
    context = multiprocessing.get_context("spawn")
    found: list[list[tuple[Clock, Clock]]] = []
    for _ in range(given.processes):
        with ProcessPoolExecutor(1, mp_context=context) as alone:
            found.append(alone.submit(measured, given.rounds, given.steps).result())
    for place, what in enumerate(("time", "processor time")):
        theirs = [statistics.median(each[0][place] for each in rounds) for rounds in found]
        ours = [statistics.median(each[1][place] for each in rounds) for rounds in found]
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        steps = (
            f"{statistics.median(theirs) * 1000:.2f} ms bare, {statistics.median(ours) * 1000:.2f} ms falaj.training"
        )
        spread = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        print(f"{what} of a step, medians of {given.processes} processes: {steps}; ratio {spread}; target at most 1.02")


def measured(count: int, steps: int) -> list[tuple[Clock, Clock]]:
    """Return the times of a step in the bare loop and in the runtime's, round after round."""
    rounds: list[tuple[Clock, Clock]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(count):
            job = prepared(Path(scratch) / str(number), steps)
            user = load_user(job)
            prepare(job.precision)
            torch.set_num_threads(job.parallel.threads)
            first, second = (bare, runtime) if number % 2 else (runtime, bare)
            found = {first: first(job, user), second: second(job, user)}
            rounds.append((found[bare], found[runtime]))
    return rounds


def prepared(folder: Path, steps: int) -> Job:
    """Copy the example, and let it run without checkpoints but the last."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("runs", "checkpoints", "*.key", "__pycache__"))
    key = folder / "checkpoint.key"
    key.touch(0o600)
    key.write_bytes(base64.b64encode(os.urandom(32)))
    sets = [f"budget.steps={steps}", "checkpoints.every=100000", "parallel.threads=1", "parallel.device=cpu"]
    return load_job(folder / "job.toml", sets)


def runtime(job: Job, user: User) -> Clock:
    """Return the times of a step in the runtime's loop, which asks after each step whether it is to stop."""
    times: list[Clock] = []

    def ask() -> bool:
        times.append(clock())
        return False

    trainer = Trainer(job, user, join(job.parallel), ask)
    trainer.run()
    trainer.close()
    return mean(times)


def bare(job: Job, user: User) -> Clock:
    """Return the times of a step in the same loop, written down as PyTorch's tutorials do."""
    table = job.optimizer
    torch.manual_seed(job.seed)
    model: nn.Module = user.model(job.model.settings)
    data = user.data(job.data.settings, "train")
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=table.learning_rate, betas=table.betas, weight_decay=table.weight_decay
    )
    times: list[Clock] = []
    steps = job.budget.steps or 0
    for step, batch in enumerate(DataLoader(data, batch_size=table.batch_size, shuffle=True, drop_last=True)):
        if step == steps:
            break
        for group in optimizer.param_groups:
            group["lr"] = table.learning_rate
        user.score(model, batch)["loss"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), table.clip_norm or 1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(clock())
    return mean(times)


def mean(times: list[Clock]) -> Clock:
    """Return the mean step, the first ones left out."""
    steps = len(times) - 1 - WARM
    return (times[-1][0] - times[WARM][0]) / steps, (times[-1][1] - times[WARM][1]) / steps


if __name__ == "__main__":
    main()
