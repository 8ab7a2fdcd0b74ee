"""What a worker refuses, tells and does; its process is forked, the rest of it is real."""

from pathlib import Path
from typing import Any

import pytest
from training.runs import Server, hold, let_go, since_start, step, until, write_job

from falaj.training import events
from falaj.training.job import Job
from falaj.training.status import State, in_words, status

BROKEN = """
import torch
from toy import data, model, score as good

def no_model(settings): return 3
def failing(settings): raise OSError("no such weights")
def no_loss(model, batch): return {"accuracy": torch.ones(2)}
def many(model, batch): return {"loss": good(model, batch)["loss"].expand(2)}
def scalar(model, batch): return good(model, batch) | {"error": torch.tensor(1.0)}
def nothing(model, batch): return {"loss": good(model, batch)["loss"] * float("nan")}
def no_data(settings, split): return iter(())

class Chance(torch.autograd.Function):
    @staticmethod
    def forward(context, loss): return loss.clone()
    @staticmethod
    def backward(context, gradient): return gradient.put_(torch.tensor([0]), torch.ones(1))

def chance(model, batch): return {"loss": Chance.apply(good(model, batch)["loss"])}
"""

REFUSED = {
    "model.entry=broken:no_model": "model.entry must return a torch.nn.Module",
    "model.entry=broken:failing": "model.entry must not fail: OSError: no such weights (broken.py:",
    "model.entry=broken:other": "model.entry must name a function of broken, which has no other to call",
    "model.entry=absent:other": "model.entry must name a module beside the job file",
    "model.score=broken:no_loss": 'model.score must return a mapping whose "loss" is a tensor',
    "model.score=broken:many": 'model.score must return a "loss" that is one number, and it has shape (2,)',
    "model.score=broken:scalar": "model.score must be a tensor with one value for each example (got 'error')",
    "model.score=broken:chance": "precision.deterministic must be false, or the model must do without put_:",
    "data.entry=broken:no_data": "data.entry must give at least one example",
    "optimizer.batch_size=84": "optimizer.batch_size must be at most 83, the examples that there are",
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_the_users_functions_may_not_do_is_refused_in_one_line(said: str, tmp_path: Path, server: Server) -> None:
    job = write_job(tmp_path, said)
    (tmp_path / "broken.py").write_text(BROKEN)
    error = failure(job, server)
    assert error["event"] == "refused"
    assert REFUSED[said] in f"{error['field']} {error['remedy']} (got {error['value']!r})"


def test_a_loss_that_is_no_number_is_never_saved(tmp_path: Path, server: Server) -> None:
    job = write_job(tmp_path, "model.score=broken:nothing", "report.every_seconds=1000")
    (tmp_path / "broken.py").write_text(BROKEN)
    error = failure(job, server)
    assert error["event"] == "final" and "the loss is no finite number at step 1" in error["message"]
    assert not list((tmp_path / "checkpoints").rglob("manifest"))


def failure(job: Job, server: Server) -> dict[str, Any]:
    assert server.start(job).wait() == [1]
    (error,) = events.read(job.folder, events.ERRORS)
    return error


def test_a_checkpoint_of_another_order_of_the_data_is_not_gone_on_with(tmp_path: Path, server: Server) -> None:
    job = write_job(tmp_path, "budget.steps=3")
    server.run(job)
    error = failure(write_job(tmp_path, "budget.steps=6", "optimizer.batch_size=4"), server)
    assert error["field"] == "optimizer.batch_size" and "must stay 8 when a run is resumed" in error["remedy"]


def test_two_workers_one_and_two_again_do_the_steps_of_two(tmp_path: Path, server: Server) -> None:
    plain = ("data.settings.plain=true", "model.settings.plain=true", "parallel.restarts=0")
    whole = write_job(tmp_path / "whole", *plain, "parallel.workers=2", "checkpoints.every=10")
    server.run(whole)
    parts = tmp_path / "parts"
    for workers, steps in ((2, 10), (1, 20), (2, 40)):
        # What was told is durable, and a run waits before its next checkpoint: the next start goes on from there.
        sets = (f"parallel.workers={workers}", "checkpoints.every=10", "checkpoints.asynchronous=false")
        job = write_job(parts, *plain, *sets, "data.settings.pause=0.002")
        if steps < 40:
            hold(job, 15)
            running = server.start(job)
            until(lambda job=job, steps=steps: (saved(job) or 0) >= steps, f"checkpoint {steps}")
            running.kill(range(workers))
            running.wait()
            let_go(job)
        else:
            server.run(job)
    begun = since_start(job)[0]
    assert (begun["step"], begun["exact"]) == (20, False)
    # The same examples in the same steps; only the sums were added in another order.
    one, other = server.weights(whole), server.weights(job)
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert flat(other[name]) == pytest.approx(flat(values), rel=1e-9, abs=1e-12), name


def saved(job: Job) -> int | None:
    return max((line["step"] for line in events.read(job.folder) if line["event"] == "checkpoint"), default=None)


def flat(values: Any) -> list[float]:
    return [each for value in values for each in flat(value)] if isinstance(values, list) else [values]


def test_sharded_checkpoints_are_taken_up_by_one_worker(tmp_path: Path, server: Server) -> None:
    server.run(write_job(tmp_path, "parallel.workers=2", "parallel.strategy=fsdp", "budget.steps=12"))
    job = write_job(tmp_path, "budget.steps=20")
    server.run(job)
    assert since_start(job)[0]["step"] == 12 and step(job) == 20


def test_steps_tell_the_same_losses_every_time(tmp_path: Path, server: Server) -> None:
    losses = []
    for name in ("one", "other"):
        job = write_job(tmp_path / name, "budget.steps=5")
        server.run(job)
        losses.append([line["loss"] for line in events.read(job.folder) if line["event"] == "progress"])
    assert losses[0] == losses[1] and len(set(losses[0])) == 5


def test_an_epoch_goes_through_the_data_once_and_a_minute_is_a_minute(tmp_path: Path, server: Server) -> None:
    job = write_job(tmp_path, "report.every_seconds=1000")
    text = job.path.read_text()
    job.path.write_text(text.replace("steps = 40", "epochs = 2"))
    server.run(job)
    assert events.read(job.folder)[-1]["step"] == 2 * (83 // 8)
    other = write_job(tmp_path / "other", 'optimizer.schedule="constant"')
    other.path.write_text(text.replace("steps = 40", "minutes = 0.005").replace("cosine", "constant"))
    server.run(other)
    last = events.read(other.folder)[-1]
    assert last["event"] == "end" and last["seconds"] >= 0.3


def test_status_tells_a_run_that_was_killed_from_one_that_is_done(tmp_path: Path, server: Server) -> None:
    job = write_job(tmp_path, "data.settings.pause=0.002", "checkpoints.asynchronous=false")
    assert status(job).state is State.NEW
    hold(job, 20)
    running = server.start(job)
    until(lambda: step(job) >= 15, "step 15")
    running.kill([0])
    running.wait()
    let_go(job)
    found = status(job)
    assert found.state is State.INTERRUPTED and found.saved_step == 14 and found.step >= 15 and found.steps == 40
    server.run(job)
    found = status(job)
    assert (found.state, found.step, found.saved_step, found.starts) == (State.DONE, 40, 40, 2)
    assert in_words(found)[0] == "toy: done, step 40 of 40"
