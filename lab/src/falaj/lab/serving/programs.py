"""A program of this machine, and how it stands in for a container image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from falaj.lab.state import Lab


@dataclass(frozen=True)
class Launch:
    """How to start a program: its words, and what it needs in its environment beside the container's own."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Program:
    """What stands in for an image."""

    entrypoint: str
    """The command within the image that is meant, and what the image starts when a container names no command."""
    find: Callable[[Lab], Launch]
    """Returns the program of this machine; raises ``LabError`` when it is not there."""
    binds: Callable[[str], Sequence[str]] = lambda _: ()
    """Returns what tells it to listen on the pod's address alone."""
