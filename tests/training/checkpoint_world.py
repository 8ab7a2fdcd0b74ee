"""Workers for the tests of checkpoints, forked from one process that has torch: their start takes no seconds."""

import base64
import multiprocessing
import multiprocessing.connection
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
import torch.distributed as dist
from training.runs import PATIENCE, free_port

from falaj.training.checkpoints import Checkpoints, CheckpointSection
from falaj.training.stores.local import LocalStore


def write_key(folder: Path, name: str = "key") -> None:
    path = folder / name
    path.touch(0o600)
    path.write_bytes(base64.b64encode(os.urandom(32)))


def section(**told: Any) -> CheckpointSection:
    return CheckpointSection(**{"location": "store", "key": "file:key", "timeout_seconds": 60, **told})


@contextmanager
def checkpoints(base: Path, **told: Any) -> Iterator[Checkpoints]:
    made = Checkpoints(section(**told), "job", base=base)
    try:
        yield made
    finally:
        made.close()


def plain_state(value: float, rank: int = 0) -> dict[str, Any]:
    """A state as training has it; all of it is told by one number, and by the worker where it is its own."""
    return {
        "model": {"weight": torch.full((300, 70), value), "half": torch.full((7,), value, dtype=torch.bfloat16)},
        "optimizer": {"groups": [{"rate": value, "betas": (0.9, value)}], "state": {0: {"step": torch.tensor(value)}}},
        "place": {"epoch": int(value), "shuffled": value > 1, "note": "a planted secret", "raw": b"a planted secret"},
        "random": {str(rank): torch.full((16,), value + rank).to(torch.uint8)},
    }


def flat(value: Any) -> Any:
    """Return a state in a form that is equal where the state is."""
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), value.tolist())
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    return [flat(item) for item in value] if isinstance(value, list) else value


class DyingStore(LocalStore):
    """A store whose process is killed, or whose disk is full, after some bytes were written to it."""

    def __init__(self, root: Path, left: int, *, kill: bool) -> None:
        super().__init__(root)
        self.left, self.kill = left, kill

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        with super().write(name) as file:
            yield Dying(file, self)  # type: ignore[misc]


class Dying:
    def __init__(self, file: BinaryIO, store: DyingStore) -> None:
        self._file, self._store = file, store

    def write(self, data: Any) -> int:
        store = self._store
        size = memoryview(data).nbytes
        if store.left < size:
            self._file.write(memoryview(data)[: store.left])
            self._file.flush()
            if store.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(28, "No space left on device")
        store.left -= size
        return self._file.write(data)


def run(workers: int, do: Callable[..., Any], *told: Any) -> list[Any]:
    """Return what ``do(rank, *told)`` returns on each worker; what one raises fails the test.

    A worker that is killed answers by the negative number of its signal.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.checkpoint_work"])
    port = free_port()
    pipes, processes = [], []
    for rank in range(workers):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(theirs, rank, (workers, port), do, told))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        return [answer(pipe, process) for pipe, process in zip(pipes, processes, strict=True)]
    finally:
        for process in processes:
            process.kill()
            process.join()


def answer(pipe: multiprocessing.connection.Connection, process: Any) -> Any:
    assert pipe.poll(PATIENCE), "a worker does not answer"
    try:
        failed, value = pipe.recv()
    except EOFError:
        process.join(PATIENCE)
        assert process.exitcode is not None and process.exitcode < 0, f"a worker ended with {process.exitcode}"
        return process.exitcode
    assert not failed, value
    return value


def work(
    pipe: multiprocessing.connection.Connection, rank: int, world: tuple[int, int], do: Callable[..., Any], told: Any
) -> None:
    warnings.simplefilter("always")
    torch.set_num_threads(1)
    workers, port = world
    try:
        if workers > 1:
            address = f"tcp://127.0.0.1:{port}"
            dist.init_process_group("gloo", init_method=address, rank=rank, world_size=workers)
        pipe.send((False, do(rank, *told)))
    except BaseException:
        pipe.send((True, traceback.format_exc()))
