"""Where a run is: step, place in the data, random states. What weights and optimizer do not hold of it."""

import base64
import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from falaj.training.errors import RefusedError, TrainingError


@dataclass(frozen=True)
class WorkerPosition:
    """What is each worker's own."""

    random: Mapping[str, Any]
    """States of the random numbers of Python, numpy, torch and the GPU."""
    loader: Mapping[str, Any]
    """State of the loader of data."""


@dataclass(frozen=True)
class Position:
    """The place of a run after a step; it goes into the checkpoint as text, from which no code can come."""

    step: int
    """Steps that are done."""
    workers: tuple[WorkerPosition, ...]
    """Each worker's own, by rank."""
    threads: int
    """Processor threads of each worker: other numbers of them add in another order."""
    seconds: float = 0.0
    """Seconds of training so far, those before interruptions too."""
    joules: float = 0.0
    """Energy so far."""
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What must stay the same for it to mean anything: seed, size of a step, size of the data."""
    layout: Mapping[str, int] = field(default_factory=dict[str, int])
    """What must stay the same for the workers' own positions to mean anything: how the steps are shared."""

    def encode(self) -> bytes:
        """Return it as JSON."""
        try:
            return json.dumps(asdict(self), allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            remedy = f"must give examples whose state_dict holds numbers, text, lists and mappings alone: {error}"
            raise RefusedError("data.entry", "state_dict", remedy) from error


def decode(text: bytes) -> Position:
    """Read what `Position.encode` wrote."""
    try:
        values: dict[str, Any] = json.loads(text)
        workers = tuple(WorkerPosition(**each) for each in values.pop("workers"))
        return Position(workers=workers, **values)
    except (ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"the checkpoint's position cannot be read: {error}") from error


def random_states(device: torch.device) -> dict[str, Any]:
    """Return the states of all random numbers of this process as plain values."""
    version, words, following = random.getstate()
    name, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    states: dict[str, Any] = {
        "python": [version, list(words), following],
        "numpy": [name, _text(np.asarray(keys, dtype=np.uint32).tobytes()), place, has_gauss, gauss],
        "torch": _text(bytes(torch.get_rng_state().numpy())),
    }
    if device.type == "cuda":
        states["cuda"] = _text(bytes(torch.cuda.get_rng_state(device).numpy()))
    return states


def set_random_states(states: Mapping[str, Any], device: torch.device) -> None:
    """Go on with the random numbers where `random_states` was taken."""
    version, words, following = states["python"]
    random.setstate((version, tuple(words), following))
    name, keys, place, has_gauss, gauss = states["numpy"]
    np.random.set_state((name, np.frombuffer(_bytes(keys), dtype=np.uint32), place, has_gauss, gauss))
    torch.set_rng_state(_tensor(states["torch"]))
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(_tensor(states["cuda"]), device)


def seed_all(seed: int, *more: int) -> None:
    """Begin all random numbers of this process anew, at a place that all of the numbers given decide."""
    words = np.random.SeedSequence([seed, *more]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.manual_seed(int(words[2]))


def check_fixed(found: Position, fixed: Mapping[str, Any]) -> None:
    """Refuse to go on with a checkpoint after which another order of the data would begin."""
    for name, value in fixed.items():
        before = found.fixed.get(name)
        if before != value:
            remedy = f"must stay {before!r} when a run is resumed: the order of the data comes from it"
            raise RefusedError(name, value, remedy)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(_bytes(text)), dtype=torch.uint8)
