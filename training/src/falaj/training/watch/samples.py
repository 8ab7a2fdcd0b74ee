"""Samples of requests, for whoever trains a model again: without headers, under pseudonyms, sealed before any disk.

```
MODEL/samples/pseudonyms.sealed                  the key of the pseudonyms
MODEL/samples/DAY/VERSION-TIME-RANDOM.sealed     some samples, as lines of JSON
```
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from falaj.training.errors import TrainingError, in_words
from falaj.training.sealing import DataKey, KeySource, new_data_key, seal, unseal
from falaj.training.stores import Store
from falaj.training.watch.pseudonyms import Pseudonyms
from falaj.training.watch.tensors import NUMBERS, TEXT, Message, Tensor

MOST_HELD, MOST_BYTES = 500, 8 << 20
"""Samples, and bytes of them, that are held before they are written."""
SECONDS = 300.0
"""After which what is held is written, however little it is."""
_LARGEST = 64 << 20


@dataclass
class Samples:
    """Keeps samples in a store; what fails there is counted, and never reaches the watch."""

    store: Store
    keys: KeySource
    pseudonyms: Pseudonyms
    tenant: str
    model: str
    most_per_hour: int
    """Samples of an hour at most; further ones are left out."""
    identifying: frozenset[str] = frozenset()
    """Inputs whose values tell who somebody is: pseudonyms stand for them."""
    say: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    kept: int = 0
    """Samples that were written."""
    lost: int = 0
    """Samples that could not be written."""
    _held: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._since = self._hour = self.clock()
        self._in_hour = self._bytes = 0

    def keep(self, version: str, caller: str | None, request: Message, answer: Message | None) -> None:
        """Keep a request and its answer, unless there were enough in this hour."""
        now = self.clock()
        with self._lock:
            if now - self._hour >= 3600:
                self._hour, self._in_hour = now, 0
            if self._in_hour >= self.most_per_hour:
                return
            self._in_hour += 1
            line = json.dumps(self._sample(version, caller, request, answer)).encode() + b"\n"
            self._held.setdefault(version, []).append(line)
            self._bytes += len(line)
            full = self._bytes >= MOST_BYTES or sum(map(len, self._held.values())) >= MOST_HELD
        self.flush(only_old=not full)

    def flush(self, *, only_old: bool = False) -> None:
        """Write what is held; with ``only_old``, if it is held long enough."""
        with self._lock:
            if only_old and self.clock() - self._since < SECONDS:
                return
            held, self._held, self._bytes, self._since = self._held, {}, 0, self.clock()
        for version, lines in held.items():
            try:
                self._write(version, b"".join(lines))
                self.kept += len(lines)
            except (TrainingError, OSError) as error:
                self.lost += len(lines)
                self.say(f"{len(lines)} samples could not be kept: {in_words(error)}")

    def _sample(self, version: str, caller: str | None, request: Message, answer: Message | None) -> dict[str, Any]:
        inputs = {name: self._input(name, tensor) for name, tensor in request.tensors.items()}
        outputs = {name: _encoded(tensor) for name, tensor in answer.tensors.items()} if answer else None
        return {
            # To the minute: the second could be found again in somebody's logs.
            "time": datetime.now(UTC).replace(second=0, microsecond=0).isoformat(),
            "version": int(version),
            "caller": self.pseudonyms.of_caller(caller),
            "inputs": inputs,
            "outputs": outputs,
        }

    def _input(self, name: str, tensor: Tensor) -> dict[str, Any]:
        if name not in self.identifying:
            return _encoded(tensor)
        flat = tensor.array.reshape(-1)
        values = (each if isinstance(each, bytes) else np.asarray(each).tobytes() for each in flat)
        named = [self.pseudonyms.of(f"input {name}", value) for value in values]
        return {"datatype": TEXT, "shape": list(tensor.array.shape), "data": named}

    def _write(self, version: str, body: bytes) -> None:
        now = datetime.now(UTC)
        name = f"{version}-{now:%H%M%S}-{secrets.token_hex(6)}.sealed"
        place = f"{self.model}/samples/{now:%Y-%m-%d}/{name}"
        self.store.create(place, seal(body, _key(self.keys, self.tenant, self.model), place))


def stored(store: Store, keys: KeySource, *, tenant: str, model: str, since: str = "") -> Iterator[dict[str, Any]]:
    """Open a model's samples and yield them, of the days from ``since``, ``2026-11-26``, on.

    Numbers come as lists, flat; what is no number is None. Raises ``DamagedError`` for a file that was changed.
    """
    folder = f"{model}/samples/"
    for place in store.names(folder):
        day, _, name = place.removeprefix(folder).partition("/")
        if not name or day < since:
            continue
        with store.read(place) as file:
            _, body = unseal(file.read(_LARGEST), keys, _context(tenant, model), place, place)
        for line in body.splitlines():
            sample = json.loads(line)
            for part in ("inputs", "outputs"):
                sample[part] = {key: _decoded(each) for key, each in (sample[part] or {}).items()}
            yield sample


def _key(keys: KeySource, tenant: str, model: str) -> DataKey:
    return new_data_key(keys, _context(tenant, model))


def _context(tenant: str, model: str) -> dict[str, str]:
    return {"purpose": "drift samples", "tenant": tenant, "model": model}


def _encoded(tensor: Tensor) -> dict[str, Any]:
    told: dict[str, Any] = {"datatype": tensor.datatype, "shape": list(tensor.array.shape)}
    if tensor.datatype == TEXT:
        return told | {"data": [each.decode("utf-8", "replace") for each in tensor.array.reshape(-1)]}
    raw = np.ascontiguousarray(tensor.array, dtype=NUMBERS[tensor.datatype]).tobytes()
    return told | {"base64": base64.b64encode(raw).decode()}


def _decoded(told: Mapping[str, Any]) -> dict[str, Any]:
    if "data" in told:
        return dict(told)
    array = np.frombuffer(base64.b64decode(told["base64"]), dtype=NUMBERS[told["datatype"]])
    values = [None if isinstance(each, float) and not np.isfinite(each) else each for each in array.tolist()]
    return {"datatype": told["datatype"], "shape": told["shape"], "data": values}
