"""Names of members in custom resources, which the SDK takes as they are."""

from collections.abc import Mapping, Sequence
from typing import Any

_WORDS = ("labels", "annotations", "node_selector", "match_labels", "limits", "requests")
"""Members whose keys are somebody's own words."""


def camel(value: Any) -> Any:
    """Return a specification with the names that Kubernetes has for its members: the SDK translates no custom ones."""
    if isinstance(value, Mapping):
        return {_camel(key): each if key in _WORDS else camel(each) for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType] - JSON
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [camel(each) for each in value]  # pyright: ignore[reportUnknownVariableType] - JSON
    return value


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(part.title() for part in rest)
