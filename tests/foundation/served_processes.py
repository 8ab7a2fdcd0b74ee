"""The processes of a lab that serve: which there are, and how much memory they took."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Processes:
    """The processes of a lab that serve, each as often as it runs."""

    found: Mapping[str, frozenset[int]]

    @classmethod
    def of(cls, root: Path) -> "Processes":
        """Find the servers, their models' processes and the gateway of a lab."""
        found: dict[str, set[int]] = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (place / "cmdline").read_text().split("\0")
                name = Path(words[0]).name
                if name in ("tritonserver", "envoy", "triton_python_backend_stub") and str(root) in " ".join(words):
                    found.setdefault(name, set()).add(int(place.name))
        return cls({name: frozenset(numbers) for name, numbers in found.items()})

    def most(self, name: str) -> int:
        """Return the most bytes that one of these processes ever held."""
        return max(_peak(number) for number in self.found[name])


def _peak(number: int) -> int:
    (line,) = (line for line in Path("/proc", str(number), "status").read_text().splitlines() if "VmHWM" in line)
    return int(line.split()[1]) << 10
