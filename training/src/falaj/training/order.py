"""The order of the data: the same for every number of workers, and exact when it is taken up in the middle."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset, IterableDataset, Sampler, get_worker_info
from torchdata.stateful_dataloader import StatefulDataLoader

from falaj.training.errors import RefusedError
from falaj.training.position import seed_all


@dataclass(frozen=True)
class Share:
    """Which part of each step's examples one worker takes.

    A step takes the next ``batch_size`` examples of the order. They are cut into one part for each worker and
    accumulated round: worker r of n has the parts r, n + r, 2n + r and so on.
    """

    rank: int
    workers: int
    batch_size: int
    accumulate: int

    @property
    def part(self) -> int:
        """Examples of one part."""
        return self.batch_size // (self.workers * self.accumulate)

    def begin(self, batch: int) -> int:
        """Return where this worker's batch lies in the order of all examples."""
        step, round_ = divmod(batch, self.accumulate)
        return step * self.batch_size + (round_ * self.workers + self.rank) * self.part


@dataclass(frozen=True)
class Batch:
    """One part: which batch of this worker it is, and its examples."""

    number: int
    indices: list[int]


class Order(Sampler[Batch]):
    """Batches of one worker without end: every epoch is a new permutation that seed and epoch alone decide.

    The examples that do not fill a step at the end of an epoch are left out of it.
    """

    def __init__(self, size: int, share: Share, seed: int) -> None:
        self._size, self._share, self._seed = size, share, seed
        self._next = 0
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64)

    def __iter__(self) -> Iterator[Batch]:
        """Go on: there is one order, and asking again does not begin it anew."""
        return self

    def __next__(self) -> Batch:
        """Return the next batch."""
        number, share = self._next, self._share
        whole = self._size // share.batch_size * share.batch_size
        epoch, begin = divmod(share.begin(number), whole)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._permutation, self._epoch = torch.randperm(self._size, generator=generator), epoch
        self._next += 1
        return Batch(number, self._permutation[begin : begin + share.part].tolist())

    def state_dict(self) -> dict[str, int]:
        """Return the place."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on at the place."""
        self._next = state["next"]


class Examples(Dataset[Any]):
    """The user's examples, fetched a batch at a time; chance in them, such as augmentation, is the batch's own.

    In a process of the loader, seed and batch alone decide the random numbers, so that they do not depend on how far
    ahead it is. In the worker itself they are the worker's, which the checkpoint holds.
    """

    def __init__(self, examples: Any, share: Share, seed: int) -> None:
        self.examples, self._share, self._seed = examples, share, seed

    def __getitems__(self, batch: Batch) -> list[Any]:
        """Return the examples of a batch."""
        if get_worker_info() is not None:
            seed_all(self._seed, batch.number, self._share.rank)
        if hasattr(self.examples, "__getitems__"):
            return self.examples.__getitems__(batch.indices)
        return [self.examples[index] for index in batch.indices]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the user's examples, where they have one."""
        return {"examples": self.examples.state_dict()} if hasattr(self.examples, "state_dict") else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give the user's examples their state back."""
        if "examples" in state:
            self.examples.load_state_dict(state["examples"])


class Stream(IterableDataset[Any]):
    """The user's iterable, again and again; each worker reads all of it and keeps its own part."""

    def __init__(self, make: Callable[[], Iterable[Any]], share: Share) -> None:
        self._make, self._share = make, share
        self.begin = 0
        """Examples of the order that are left out at first."""

    def __iter__(self) -> "StreamIterator":
        """Begin at the place."""
        return StreamIterator(self._make, self._share, self.begin)


class StreamIterator:
    """One pass over a `Stream`, with its place."""

    def __init__(self, make: Callable[[], Iterable[Any]], share: Share, begin: int) -> None:
        self._make, self._share = make, share
        self._source: Any = None
        self._iterator: Iterator[Any] = iter(())
        self._seen = self._taken = 0
        self._open()
        while self._seen < begin:
            self._read()
        steps, rest = divmod(begin, share.batch_size)
        assert not rest
        self._taken = steps * share.accumulate * share.part

    def __iter__(self) -> Iterator[Any]:
        """Return itself."""
        return self

    def __next__(self) -> Any:
        """Return the next example of this worker."""
        batch, within = divmod(self._taken, self._share.part)
        wanted = self._share.begin(batch) + within
        while True:
            example = self._read()
            if self._seen > wanted:
                self._taken += 1
                return example

    def state_dict(self) -> dict[str, Any]:
        """Return the place, with the state of the user's iterable or its iterator where it has one."""
        state: dict[str, Any] = {"seen": self._seen, "taken": self._taken}
        for name, part in (("iterator", self._iterator), ("source", self._source)):
            if hasattr(part, "state_dict"):
                return state | {name: part.state_dict()}  # pyright: ignore[reportAttributeAccessIssue] # just asked
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on at the place: by the state of the user's iterable, or by reading up to it."""
        seen = state["seen"]
        if "source" in state:
            self._source.load_state_dict(state["source"])
            self._iterator = iter(self._source)
        elif "iterator" in state:
            self._iterator.load_state_dict(state["iterator"])  # pyright: ignore[reportAttributeAccessIssue]
        else:
            while self._seen < seen:
                self._read()
        self._seen, self._taken = seen, state["taken"]

    def _open(self) -> None:
        self._source = self._make()
        self._iterator = iter(self._source)

    def _read(self) -> Any:
        for _ in range(2):
            for example in self._iterator:
                self._seen += 1
                return example
            self._open()
        raise RefusedError("data.entry", "train", "must give at least one example")


def has_length(examples: Any) -> bool:
    """Return whether examples can be taken in any order."""
    return hasattr(examples, "__getitem__") and hasattr(examples, "__len__")


class Loader:
    """Batches of one worker, without end."""

    def __init__(
        self, make: Callable[[], Any], share: Share, seed: int, *, processes: int = 0, pin_memory: bool = False
    ) -> None:
        self._share = share
        examples = make()
        self.size = len(examples) if has_length(examples) else None
        """Examples of an epoch, where they are counted."""
        self._order: Order | None = None
        self._stream: Stream | None = None
        # A generator of its own, since making an iterator draws a number, and would draw it again when resumed.
        common: dict[str, Any] = {"num_workers": processes, "pin_memory": pin_memory, "generator": torch.Generator()}
        if self.size is None:
            if processes > 1:
                raise RefusedError("data.processes", processes, "must be at most 1 where data.entry gives an iterable")
            self._stream = Stream(make, share)
            self._loader = StatefulDataLoader(self._stream, batch_size=share.part, **common)
        else:
            if self.size < share.batch_size:
                remedy = f"must be at most {self.size}, the examples that there are"
                raise RefusedError("optimizer.batch_size", share.batch_size, remedy)
            self._order = Order(self.size, share, seed)
            loaded = Examples(examples, share, seed)
            self._loader = StatefulDataLoader(loaded, batch_sampler=self._order, **common)  # pyright: ignore[reportArgumentType] # batches carry their number

    @property
    def steps_per_epoch(self) -> int | None:
        """Steps of an epoch, where it has an end that is known."""
        return None if self.size is None else self.size // self._share.batch_size

    def state(self) -> dict[str, Any]:
        """Return this worker's place in the data."""
        return self._loader.state_dict()

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, on the same worker of as many."""
        self._loader.load_state_dict(state)

    def go_to(self, step: int) -> None:
        """Go on after a step that other workers, or another number of them, have done."""
        if self._order is not None:
            self._order.load_state_dict({"next": step * self._share.accumulate})
        if self._stream is not None:
            self._stream.begin = step * self._share.batch_size

    def __iter__(self) -> Iterator[Any]:
        """Return the batches from here on."""
        return iter(self._loader)
