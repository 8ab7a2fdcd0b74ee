"""How far a long transfer is, told now and then."""

import time
from collections.abc import Callable


class Transfer:
    """Counts bytes, and says at most every few seconds how many of all there were."""

    def __init__(
        self,
        doing: str,
        total: int,
        say: Callable[[str], None],
        *,
        seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._doing, self._total, self._say = doing, total, say
        self._seconds, self._clock = seconds, clock
        self._done, self._started = 0, clock()
        self._said = self._started

    def add(self, count: int) -> None:
        """Count some more bytes."""
        self._done += count
        now = self._clock()
        if now - self._said < self._seconds:
            return
        self._said = now
        rate = self._done / (now - self._started)
        left = (self._total - self._done) / rate if rate else 0
        percent = 100 * self._done // max(1, self._total)
        self._say(f"{self._doing}: {percent} % of {size_in_words(self._total)}, about {left:.0f} s left")


def size_in_words(count: int) -> str:
    """Say a number of bytes as people read it."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"
