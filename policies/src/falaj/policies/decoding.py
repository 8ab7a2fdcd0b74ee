"""From the engine's messages, and from what the CLI writes, to the plain values that rules read."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from falaj.policies.values import UNKNOWN

# Pulumi's marks, https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig/sig.go
_MARK = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark, not a secret
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e"
# The strings that stand for unknown values of each type; `pulumi policy analyze --file` sends the last one in place of
# a secret, of whatever type, that it cannot decrypt.
_UNKNOWNS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
        "[secret]",
    }
)


class PartlyKnown(dict[str, Any]):
    """An object of which only some entries are known: any other is unknown, not absent."""

    def get(self, key: str, default: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - no overloads
        """Return an entry, or ``UNKNOWN``."""
        return super().get(key, UNKNOWN)


def from_struct(struct: Struct) -> dict[str, Any]:
    """Return a message's properties as dicts, lists and scalars, each unknown in it as ``UNKNOWN``."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
    if kind == "struct_value":
        fields = value.struct_value.fields
        if _MARK in fields:
            return _marked(
                {key: each if key == _MARK else _from_value(each) for key, each in fields.items()},
                fields[_MARK].string_value,
            )
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [_from_value(each) for each in value.list_value.values]
    if kind == "number_value":
        return value.number_value
    return value.bool_value if kind == "bool_value" else None


def from_json(value: Any) -> Any:
    """Return a value of a state or a preview as rules read it."""
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWNS else value
    if isinstance(value, Mapping):
        inner = {str(key): from_json(each) for key, each in value.items()}
        return _marked(inner, value[_MARK]) if _MARK in value else inner
    if isinstance(value, list):
        return [from_json(each) for each in value]
    return value


def _marked(inner: dict[str, Any], mark: Any) -> Any:
    """Return what stands behind one of Pulumi's marks: a secret's value where it can be read, else an unknown."""
    if mark in (_SECRET, _OUTPUT):
        if "value" in inner:
            return inner["value"]
        return _from_text(inner["plaintext"]) if isinstance(inner.get("plaintext"), str) else UNKNOWN
    if mark == _REFERENCE:
        return inner.get("id") or inner.get("urn")
    return {key: value for key, value in inner.items() if key != _MARK}


def _from_text(text: str) -> Any:
    try:
        return from_json(json.loads(text))
    except ValueError:
        return UNKNOWN


def provider_from_struct(struct: Struct) -> dict[str, Any]:
    """Return a provider's configuration: the engine holds all but its strings as JSON text."""
    return provider_values(from_struct(struct))


def provider_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a provider's configuration with what is JSON text read."""
    return {key: _accounts(key, _configured(from_json(value))) for key, value in values.items()}


def _configured(text: Any) -> Any:
    # A string such as an access key stays a string even if it looks like a number.
    if not isinstance(text, str) or (text[:1] not in ("[", "{") and text not in ("true", "false")):
        return text
    try:
        return from_json(json.loads(text))
    except ValueError:
        return text


def _accounts(key: str, value: Any) -> Any:
    """Return ids of accounts as the text that they are: `pulumi config` takes twelve digits for a number."""
    if not key.endswith("AccountIds") or not isinstance(value, list):
        return value
    listed: list[Any] = value
    return [f"{int(each):012d}" if isinstance(each, int | float) else each for each in listed]
