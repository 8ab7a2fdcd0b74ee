"""Checkpoints: sharded, asynchronous, atomic, sealed, and loadable on another number of workers.

The section and the listing are there without torch, which is loaded when ``Checkpoints`` is first asked for.
"""

from typing import TYPE_CHECKING, Any

from falaj.training.checkpoints.listing import Saved, committed
from falaj.training.checkpoints.section import CheckpointSection

if TYPE_CHECKING:
    from falaj.training.checkpoints.manager import Checkpoints

__all__ = ["CheckpointSection", "Checkpoints", "Saved", "committed"]


def __getattr__(name: str) -> Any:
    if name == "Checkpoints":
        from falaj.training.checkpoints.manager import Checkpoints  # noqa: PLC0415 - torch takes two seconds

        return Checkpoints
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
