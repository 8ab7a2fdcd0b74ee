"""Carries out a rule's own remedy on a resource's properties, as the engine has them: secrets stay secrets."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct


def fix(properties: Struct, changes: Mapping[str, Any]) -> Struct:
    """Return the properties with values set at dotted paths; what else they hold stays as it is."""
    fixed = Struct()
    fixed.CopyFrom(properties)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = fixed
        for parent in parents:
            if place.fields[parent].WhichOneof("kind") != "struct_value":
                place.fields[parent].struct_value.Clear()
            place = place.fields[parent].struct_value
        place.update({last: value})
    return fixed
