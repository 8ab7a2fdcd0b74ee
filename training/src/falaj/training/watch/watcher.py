"""The watch itself: requests come in, counts stay, and by them it is told how far requests are from the reference.

One thread works on requests, in their order; whoever brings one never waits for it.
"""

import queue
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from falaj.training.watch.asking import Asks
from falaj.training.watch.columns import UnlikeError
from falaj.training.watch.reference import Reference
from falaj.training.watch.tensors import Message, UnreadableError, parsed
from falaj.training.watch.window import Judgement, Measured, Window

MOST_WAITING = 64
"""Requests that wait to be looked at; with the largest body they bound what is held."""
MOST_VERSIONS = 3
"""Versions of which requests are counted: the newest ones that answered."""
_END_SECONDS = 20.0
RETRY_SECONDS = 60.0
"""After which a reference that could not be read is tried again."""


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    body: bytes
    json_length: int | None
    """How many of its bytes are JSON; None: all."""
    caller: str | None
    """Who sent it, as the gateway tells; it leaves this process under a pseudonym alone."""


class Keeps(Protocol):
    """Keeps a sample of requests for later."""

    def keep(self, version: str, caller: str | None, request: Message, answer: Message | None) -> None:
        """Keep one; what fails there must not reach the watch."""
        ...


class _UnreadError(Exception):
    """The reference of a version could not be read, for now."""


@dataclass
class Watcher:
    """All that is known of a model's requests."""

    reference: Callable[[int], Reference | None]
    """Reads the reference of a version; None where it has none. What it raises is tried again later."""
    asks: Asks | None
    """Whom to ask for predictions; None: they are not watched."""
    version: int | None
    """The version whose requests they are where no answer tells it."""
    judgement: Judgement = field(default_factory=Judgement)
    seconds: float = 3600.0
    """Length of the window."""
    keeps: Keeps | None = None
    say: Callable[[str], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    seen: int = 0
    """Requests that were counted."""
    dropped: Counter[str] = field(default_factory=Counter[str])
    """Requests that were not, by the reason."""
    unpredicted: Counter[str] = field(default_factory=Counter[str])
    """Requests that were counted without a prediction, by the reason."""

    def __post_init__(self) -> None:
        self._waiting: queue.Queue[Received | None] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._windows: OrderedDict[int, Window | None] = OrderedDict()
        self._unread: dict[int, float] = {}
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what waits was looked at, if that takes no longer than a pod has to end."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_END_SECONDS / 2)
        self._thread.join(_END_SECONDS / 2)

    def take(self, received: Received) -> None:
        """Take a request, unless too many wait."""
        try:
            self._waiting.put_nowait(received)
        except queue.Full:
            self.drop("queue")

    def drop(self, reason: str) -> None:
        """Count a request that cannot be looked at."""
        with self._lock:
            self.dropped[reason] += 1

    def measured(self) -> Mapping[int, list[Measured] | None]:
        """Return by version how each column stands; None for a version that has no reference."""
        with self._lock:
            return {
                version: None if window is None else window.measured(self.judgement)
                for version, window in self._windows.items()
            }

    def look_at(self, received: Received) -> None:
        """Count one request; never raises for what is in it."""
        try:
            request = parsed(received.body, received.json_length, "inputs")
        except UnreadableError as error:
            self.drop(error.reason)
            return
        answer, why = self._answer(request)
        number = self.version if answer is None else _number(answer.version, self.version)
        if number is None:
            self.drop("version")
            return
        try:
            self._count(number, request, answer, why)
        except (UnlikeError, _UnreadError) as error:
            self.drop("unlike" if isinstance(error, UnlikeError) else "reference")
            return
        if self.keeps is not None:
            self.keeps.keep(str(number), received.caller, request, answer)

    def _work(self) -> None:
        while received := self._waiting.get():
            try:
                self.look_at(received)
            except Exception as error:  # a watch that died would look like one that sees no drift
                self.drop("failed")
                self.say(f"a request could not be looked at: {type(error).__name__}")

    def _answer(self, request: Message) -> tuple[Message | None, str]:
        if self.asks is None:
            return None, "unasked"
        try:
            return self.asks.ask(request), ""
        except UnreadableError as error:
            return None, error.reason

    def _count(self, number: int, request: Message, answer: Message | None, why: str) -> None:
        window = self._window(number)
        with self._lock:
            if window is not None:
                window.add("input", request.arrays)
                if answer is not None:
                    try:
                        window.add("prediction", answer.arrays)
                    except UnlikeError:
                        answer, why = None, "unlike"
            if answer is None:
                self.unpredicted[why] += 1
            self.seen += 1

    def _window(self, number: int) -> Window | None:
        """Return a version's window; its reference is read when its first request comes."""
        if number in self._windows:
            with self._lock:
                self._windows.move_to_end(number)
            return self._windows[number]
        if self.clock() < self._unread.get(number, float("-inf")):
            raise _UnreadError
        try:
            reference = self.reference(number)
        except Exception as error:
            self._unread = {number: self.clock() + RETRY_SECONDS}
            self.say(f"the reference of version {number} cannot be read: {error}")
            raise _UnreadError from error
        if reference is None:
            self.say(f"version {number} has no reference: nothing can be told of its requests")
        with self._lock:
            self._windows[number] = Window(reference, self.seconds, self.clock) if reference else None
            while len(self._windows) > MOST_VERSIONS:
                self._windows.popitem(last=False)
        return self._windows[number]


def _number(told: str | None, otherwise: int | None) -> int | None:
    return int(told) if told is not None and told.isdecimal() and len(told) < 10 else otherwise
