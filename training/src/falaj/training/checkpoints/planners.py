"""Torch's planners, without the pickle that they use for all that is not a tensor."""

import io
from collections.abc import Collection
from typing import Any

import torch
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.metadata import Metadata
from torch.distributed.checkpoint.planner import LoadPlan, ReadItem, WriteItem, WriteItemType

from falaj.training.checkpoints.values import from_json, to_json
from falaj.training.errors import TrainingError


class SavePlanner(DefaultSavePlanner):
    """Saves plain values as JSON."""

    def transform_object(self, write_item: WriteItem, object: Any) -> Any:
        """Return the bytes of a plain value; tensors stay as they are."""
        if write_item.type != WriteItemType.BYTE_IO:
            return object
        try:
            return io.BytesIO(to_json(object))
        except TrainingError as error:
            raise TrainingError(f"{write_item.index.fqn}: {error}") from None


class LoadPlanner(DefaultLoadPlanner):
    """Loads plain values from JSON; what is below ``optional`` may be missing in the checkpoint."""

    def __init__(self, optional: Collection[str] = ()) -> None:
        super().__init__()
        self._optional = tuple(optional)

    def set_up_planner(
        self, state_dict: dict[str, Any], metadata: Metadata | None = None, is_coordinator: bool = False
    ) -> None:
        """Flatten the state, and leave out what is optional and not in the checkpoint."""
        super().set_up_planner(state_dict, metadata, is_coordinator)
        assert metadata is not None
        self.state_dict = {
            name: value
            for name, value in self.state_dict.items()
            if name in metadata.state_dict_metadata or not self._is_optional(name)
        }

    def create_local_plan(self) -> LoadPlan:
        """Refuse what the checkpoint has in another kind than the state, then plan."""
        assert self.metadata is not None
        for name, value in self.state_dict.items():
            saved = self.metadata.state_dict_metadata.get(name)
            if saved is not None and hasattr(saved, "size") != isinstance(value, torch.Tensor):
                raise ValueError(f"{name} is a tensor on one side and a plain value on the other")
        return super().create_local_plan()

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        """Put a plain value where the state has it."""
        path = self.mappings[read_item.dest_index.fqn]
        place: Any = self.original_state_dict
        for part in path[:-1]:
            place = place[key_of(place, part)]
        place[key_of(place, path[-1])] = from_json(value.getvalue())

    def _is_optional(self, name: str) -> bool:
        return any(name == prefix or name.startswith(f"{prefix}.") for prefix in self._optional)


def key_of(place: Any, part: str | int) -> Any:
    """Return the key that ``part`` was made of: the planner's paths have the text of keys that were numbers."""
    if isinstance(part, int) or part in place:
        return part
    return next(key for key in place if str(key) == part)
