"""The loop of training: what one worker does from the first step, or from a checkpoint, to the last one."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from falaj.training.checkpoints.manager import Checkpoints
from falaj.training.contract import check_score, make_model
from falaj.training.errors import RefusedError
from falaj.training.flops import counted
from falaj.training.job import Job
from falaj.training.optimizer import clip, learning_rate, make_optimizer, set_learning_rate
from falaj.training.order import Loader, Share
from falaj.training.parallel import Agreement, World, accumulating, align, share
from falaj.training.position import (
    Position,
    WorkerPosition,
    check_fixed,
    decode,
    random_states,
    seed_all,
    set_random_states,
)
from falaj.training.precision import compiled, computing, prepare, refusing_chance
from falaj.training.process import keep_freed_memory
from falaj.training.progress import Progress, note
from falaj.training.user import User, call


class Trainer:
    """One worker of a job."""

    def __init__(self, job: Job, user: User, world: World, asked_to_stop: Callable[[], bool] = lambda: False) -> None:
        self.job, self.world = job, world
        self._score, self._asked_to_stop = user.score, asked_to_stop
        keep_freed_memory()
        prepare(job.precision)
        seed_all(job.seed)
        self.model = make_model(job, user).to(world.device)
        """The user's model."""
        self._shared = share(compiled(self.model, job.precision), world, job.parallel.strategy, job.precision)
        self._parameters = [each for each in self.model.parameters() if each.requires_grad]
        kept = self.model.state_dict()
        self._buffers = [each for name, each in self.model.named_buffers() if name in kept]
        self._optimizer = make_optimizer(self._parameters, job.optimizer)
        part = Share(world.rank, world.size, job.optimizer.batch_size, job.optimizer.accumulate)
        if job.optimizer.batch_size % (world.size * job.optimizer.accumulate):
            remedy = f"must be a multiple of {world.size * job.optimizer.accumulate}, workers times accumulated parts"
            raise RefusedError("optimizer.batch_size", job.optimizer.batch_size, remedy)
        self._loader = Loader(
            lambda: call("data.entry", user.data, job.data.settings, "train"),
            part,
            job.seed,
            processes=job.data.processes,
            pin_memory=world.device.type == "cuda",
        )
        self.steps = self._budget()
        """Steps that there are to do; None where time decides."""
        self._checkpoints = Checkpoints(job.checkpoints, job.name, base=job.base)
        self._progress = Progress(job, world)
        self._agreement = Agreement(world)
        self._saved = self._told_saved = 0
        self._checked = False

    def run(self) -> int:
        """Train from where the last checkpoint is to the end, or until it is asked to stop; return the steps done."""
        place = self._resume()
        # Making the iterator takes from the random numbers, so that they are put back after it.
        batches = iter(self._loader)
        self._take_up(place)
        step = place.step
        counting = self._progress.wants_flops and not (self.job.precision.compile and self.job.precision.deterministic)
        stopped = False
        while not stopped and not self._over(step):
            if counting:
                self._count(step, batches)
                counting = False
            else:
                self._step(step, batches)
            step += 1
            stop, tell = self._agreement.settle(self._wants_to_stop(), self._progress.due)
            if tell or self._progress.due_by_step(step):
                self._progress.tell(step, self.steps, self._rate(step - 1))
            if step % self.job.checkpoints.every == 0:
                self._save(step)
            stopped = stop
        self._agreement.settled()
        self._end(step)
        return step

    def close(self) -> None:
        """Let go of what is held."""
        self._checkpoints.close()

    def _step(self, step: int, batches: Iterator[Any]) -> None:
        table = self.job.optimizer
        set_learning_rate(self._optimizer, self._rate(step))
        for part in range(table.accumulate):
            batch = moved(next(batches), self.world.device)
            with accumulating(self._shared, last=part == table.accumulate - 1), refusing_chance():
                loss = self._scored(batch)
                (loss if table.accumulate == 1 else loss / table.accumulate).backward()
        if table.clip_norm is not None:
            clip(self._parameters, table.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        align(self._buffers, self.world)

    def _scored(self, batch: Any) -> torch.Tensor:
        with computing(self.job.precision, self.world.device):
            scored = self._score(self._shared, batch)
        if not self._checked:
            check_score(self.job, scored)
            self._checked = True
        self._progress.take(scored)
        return scored["loss"]

    def _count(self, step: int, batches: Iterator[Any]) -> None:
        """Do a step and count its operations; what is compiled shows none, so that this one step is not."""
        torch.compiler.set_stance("force_eager" if self.job.precision.compile else "default")
        try:
            self._progress.counted(counted(lambda: self._step(step, batches)))
        finally:
            torch.compiler.set_stance("default")

    def _rate(self, step: int) -> float:
        return learning_rate(step, self.job.optimizer, self.steps)

    def _budget(self) -> int | None:
        budget = self.job.budget
        if budget.epochs is None:
            return budget.steps
        if self._loader.steps_per_epoch is None:
            raise RefusedError("budget.epochs", budget.epochs, "must be steps or minutes where data has no length")
        return budget.epochs * self._loader.steps_per_epoch

    def _over(self, step: int) -> bool:
        return self.steps is not None and step >= self.steps

    def _wants_to_stop(self) -> bool:
        minutes = self.job.budget.minutes
        return self._asked_to_stop() or (minutes is not None and self._progress.seconds >= minutes * 60)

    def _end(self, step: int) -> None:
        self._progress.tell(step, self.steps, self._rate(max(0, step - 1)))
        if step != self._saved:
            self._save(step)
        self._durable()
        minutes = self.job.budget.minutes
        over = self._over(step) or (minutes is not None and self._progress.seconds >= minutes * 60)
        note(self.job, self.world, "end" if over else "stopped", step=step, seconds=round(self._progress.seconds, 3))

    def _resume(self) -> Position:
        """Put the newest good checkpoint in place, and return where it was saved; step 0 where there is none."""
        if not self.world.gather(self._checkpoints.steps())[0]:
            return Position(0, (), torch.get_num_threads(), fixed=self._fixed(), layout=self._layout())
        options = [{key: value for key, value in group.items() if key != "params"} for group in self._groups()]
        state = self._state(b"")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self._checkpoints.restore(state)
        for each in caught:
            if "damaged" in str(each.message):
                note(self.job, self.world, "damaged", message=str(each.message))
        set_model_state_dict(self._shared, state["model"])
        set_optimizer_state_dict(self._shared, self._optimizer, state["optimizer"])
        # What the job file says of the optimizer holds, not what it said when the checkpoint was made.
        for group, option in zip(self._groups(), options, strict=True):
            group.update(option)
        found = decode(state["position"])
        check_fixed(found, self._fixed())
        self._saved = self._told_saved = found.step
        if found.layout == self._layout():
            self._loader.resume(dict(found.workers[self.world.rank].loader))
        else:
            self._loader.go_to(found.step)
        return found

    def _take_up(self, place: Position) -> None:
        """Go on with random numbers and data as they were; anew, from the seed, where the workers are others."""
        exact = place.layout == self._layout()
        note(
            self.job,
            self.world,
            "resume" if place.step else "begin",
            step=place.step,
            steps=self.steps,
            workers=self.world.size,
            device=self.world.device.type,
            exact=exact,
        )
        if place.step and exact:
            if self.job.precision.deterministic:
                torch.set_num_threads(place.threads)
            set_random_states(place.workers[self.world.rank].random, self.world.device)
        else:
            seed_all(self.job.seed, place.step, self.world.rank)
        self._progress.begin(place.step, place.seconds, place.joules)

    def _save(self, step: int) -> None:
        self._progress.check(step)
        self._durable()
        began = time.monotonic()
        here = WorkerPosition(random_states(self.world.device), self._loader.state())
        place = Position(
            step,
            tuple(self.world.gather(here)),
            torch.get_num_threads(),
            self._progress.seconds,
            self._progress.joules(),
            self._fixed(),
            self._layout(),
        )
        self._checkpoints.save(step, self._state(place.encode()))
        self._saved = step
        if not self.job.checkpoints.asynchronous:
            self._durable()
        note(self.job, self.world, "saving", step=step, stall_seconds=round(time.monotonic() - began, 4))

    def _durable(self) -> None:
        self._checkpoints.wait()
        if self._saved > self._told_saved:
            note(self.job, self.world, "checkpoint", step=self._saved)
            self._told_saved = self._saved

    def _state(self, position: bytes) -> dict[str, Any]:
        return {
            "model": get_model_state_dict(self._shared),
            "optimizer": get_optimizer_state_dict(self._shared, self._optimizer),
            "position": position,
        }

    def _groups(self) -> list[dict[str, Any]]:
        return self._optimizer.param_groups

    def _fixed(self) -> dict[str, Any]:
        job = self.job
        return {"seed": job.seed, "optimizer.batch_size": job.optimizer.batch_size, "data.entry": self._loader.size}

    def _layout(self) -> dict[str, int]:
        job = self.job
        return {"workers": self.world.size, "parts": job.optimizer.accumulate, "processes": job.data.processes}


def moved(batch: Any, device: torch.device) -> Any:
    """Return a batch with its tensors on a device."""
    if device.type == "cpu":
        return batch
    if isinstance(batch, torch.Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, Mapping):
        return {name: moved(each, device) for name, each in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(moved(each, device) for each in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(moved(each, device) for each in batch)
    return batch
