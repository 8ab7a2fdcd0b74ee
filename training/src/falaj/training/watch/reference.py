"""The reference of the drift watch: what inputs and predictions were like on the data that a model was judged on.

It lies in the exported folder as ``reference.json``, under the model's signature. It keeps no rows, but quantiles and
frequent values: it is as confidential as the data, as the model is.
"""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from falaj.training.errors import RefusedError
from falaj.training.validation.profile import ColumnProfile
from falaj.training.watch.columns import MOST_EACH, Array, Columns, UnlikeError, columns_of, rows_of

REFERENCE = "reference.json"
"""Its file in the model's folder."""
LEAST = 100
"""Examples below which there is no reference: bins would be of single persons, and nothing could be told by them."""
LARGEST = 8 << 20
"""Bytes of the file."""


class TensorReference(BaseModel):
    """What one input or output was like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    each: int = Field(ge=0, le=MOST_EACH)
    """How many numbers of one example have a column each; 0 where mean and spread are watched."""
    largest: bool = False
    """Whether it is watched which number is the largest."""
    columns: dict[str, ColumnProfile] = Field(min_length=1)
    """The bins of each column, and how many examples are in each."""


class Reference(BaseModel):
    """What inputs and predictions were like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    """Version of this form."""
    data_digest: str | None
    """Digest of the examples that were looked at: of all of them it is the one in the gate's verdict. None where an
    example has none."""
    examples: int = Field(ge=LEAST)
    """How many they were."""
    inputs: dict[str, TensorReference] = Field(min_length=1)
    """By the input's name."""
    outputs: dict[str, TensorReference]
    """By the output's name."""

    def encoded(self) -> bytes:
        """Return the file."""
        return json.dumps(self.model_dump(mode="json"), indent=1, allow_nan=False).encode() + b"\n"


def decoded(content: bytes) -> Reference:
    """Read a reference back; raise `RefusedError` for what is none."""
    try:
        if len(content) > LARGEST:
            raise ValueError("too large")
        return Reference.model_validate_json(content)
    except (ValueError, ValidationError):
        remedy = "must be a reference as `falaj-train export` of this release writes it"
        raise RefusedError(REFERENCE, f"{len(content)} bytes", remedy) from None


def columns_like(reference: Mapping[str, TensorReference], tensors: Mapping[str, Array]) -> tuple[int, Columns]:
    """Return the number of examples and the columns of tensors that must be those of a reference.

    Raises `UnlikeError` where one is missing, there are others, or one is of another kind or size.
    """
    if tensors.keys() != reference.keys():
        raise UnlikeError("its tensors have other names")
    found: Columns = {}
    for name, known in reference.items():
        found |= columns_of(name, tensors[name], each=known.each, largest=known.largest)
    return rows_of(tensors), found
