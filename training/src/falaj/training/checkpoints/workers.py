"""What the workers of a checkpoint tell each other: what worker 0 found, and whether all of them succeeded."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import torch.distributed as dist
from torch.distributed.checkpoint.api import CheckpointException

from falaj.training.errors import RefusedError, TrainingError
from falaj.training.sealing import DamagedError

T = TypeVar("T")
FAILED, REFUSED, DAMAGED = range(3)
"""How bad an outcome is, the worst first: damage is a reason to go back, but only where nothing else is wrong."""


class Workers:
    """The workers of a process group, or a single one with none."""

    def __init__(self, group: dist.ProcessGroup | None) -> None:
        self.group = group
        self.rank: int = 0 if group is None else dist.get_rank(group)
        """This worker's number in the group."""

    def first(self, do: Callable[[], T]) -> T:
        """Return what worker 0 finds, on all; raise on all what it raises."""
        found: list[Any] = [self.together(do if self.rank == 0 else lambda: None)]
        if self.group is not None:
            dist.broadcast_object_list(found, group=self.group, group_src=0)
        return cast(T, found[0])

    def together(self, do: Callable[[], T]) -> T:
        """Return what this worker finds; where one of them fails, raise the worst failure on all.

        Only failures travel, never what was found, so that it may hold a secret.
        """
        result, told = None, None
        try:
            result = do()
        except (TrainingError, OSError) as error:
            told = outcome(error)
        everyone: list[Any] = [told]
        if self.group is not None:
            everyone = [None] * dist.get_world_size(self.group)
            dist.all_gather_object(everyone, told, group=self.group)
        failures = [failure for failure in everyone if failure is not None]
        if failures:
            raise error_of(failures)
        return cast(T, result)


def outcome(error: BaseException) -> tuple[int, Sequence[str]]:
    """Return an error in a form that travels."""
    if isinstance(error, RefusedError):
        return REFUSED, (error.field, str(error.value), error.remedy)
    if isinstance(error, DamagedError):
        return DAMAGED, (str(error),)
    return FAILED, (str(error) or type(error).__name__,)


def outcomes_of(failed: CheckpointException) -> Sequence[tuple[int, Sequence[str]]]:
    """Return what torch gathered of the workers that failed."""
    return [outcome(failure) for failure, _ in failed.failures.values()]


def error_of(outcomes: Sequence[tuple[int, Sequence[str]]]) -> TrainingError:
    """Return the worst of some outcomes as the error that it was."""
    kind, told = min(outcomes, key=lambda found: found[0])
    if kind == REFUSED:
        return RefusedError(*told)
    messages = "; ".join(sorted({found[1][0] for found in outcomes if found[0] == kind}))
    return DamagedError(messages) if kind == DAMAGED else TrainingError(messages)
