"""Property values as they cross the wire, as plain Python values, and compared with each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

Props = dict[str, Any]
"""The properties of one resource by their camelCase Pulumi names."""

# The protocol marks special values with these keys and strings (sdk/go/common/resource/sig, plugin/rpc.go).
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (a marker of the protocol)
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
UNKNOWNS: Final = {
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}
UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown:
    """A value that is known only after something else has been made; there is one instance, `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value to be sent as a secret."""

    value: Any


@dataclass(frozen=True)
class Asset:
    """An asset or archive, kept as the engine sent it."""

    fields: Mapping[str, Any]


def decode(struct: struct_pb2.Struct) -> tuple[Props, frozenset[str]]:
    """Return plain properties, and the names of those that are or hold a secret."""
    secrets: set[str] = set()
    props: Props = {}
    for name, value in struct.fields.items():
        found: list[bool] = []
        props[name] = _decode(value, found)
        if found:
            secrets.add(name)
    return props, frozenset(secrets)


def _decode(value: struct_pb2.Value, secrets: list[bool]) -> Any:  # noqa: PLR0911 (one return per kind)
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWNS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode(item, secrets) for item in value.list_value.values]
    if kind == "struct_value":
        fields = value.struct_value.fields
        signature = fields[SIGNATURE].string_value if SIGNATURE in fields else None
        if signature is None:
            return {name: _decode(item, secrets) for name, item in fields.items()}
        if signature == SECRET:
            secrets.append(True)
            return _decode(fields["value"], secrets)
        if signature == OUTPUT:
            if "secret" in fields and fields["secret"].bool_value:
                secrets.append(True)
            return _decode(fields["value"], secrets) if "value" in fields else UNKNOWN
        if signature == RESOURCE:
            return _decode(fields["id"], secrets) if "id" in fields else fields["urn"].string_value
        return Asset({name: _decode(item, secrets) for name, item in fields.items()})
    return None


def encode(props: Mapping[str, Any], secrets: Iterable[str] = ()) -> struct_pb2.Struct:
    """Return properties as the protocol carries them; those named in ``secrets`` are sent as secrets."""
    struct = struct_pb2.Struct()
    hidden = frozenset(secrets)
    for name, value in props.items():
        secret = name in hidden and value is not None and not isinstance(value, Secret)
        _encode(Secret(value) if secret else value, struct.fields[name])
    return struct


def _encode(value: Any, into: struct_pb2.Value) -> None:
    if value is None:
        into.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int | float):
        into.number_value = value
    elif isinstance(value, str):
        into.string_value = value
    elif isinstance(value, Unknown):
        into.string_value = UNKNOWN_STRING
    elif isinstance(value, Secret):
        into.struct_value.fields[SIGNATURE].string_value = SECRET
        _encode(value.value, into.struct_value.fields["value"])
    elif isinstance(value, Asset | Mapping):
        items: Mapping[str, Any] = value.fields if isinstance(value, Asset) else value
        into.struct_value.SetInParent()
        for name, item in items.items():
            _encode(item, into.struct_value.fields[name])
    elif isinstance(value, Iterable):
        into.list_value.SetInParent()
        for item in value:
            _encode(item, into.list_value.values.add())
    else:
        raise TypeError(f"a {type(value).__name__} cannot be sent to the engine")


def has_unknown(value: Any) -> bool:
    """Say whether a value is unknown or holds something unknown."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return isinstance(value, Unknown)


def is_empty(value: Any) -> bool:
    """Say whether a value means the same as leaving it out: null, or an empty string, list or map."""
    return value is None or (not isinstance(value, bool | int | float) and value in ("", [], {}, ()))


def compact(value: Any) -> Any:
    """Return a value without the empty parts of its maps, so that null and absent compare alike."""
    if isinstance(value, Mapping):
        items = {name: compact(item) for name, item in value.items()}
        return {name: item for name, item in items.items() if not is_empty(item)}
    if isinstance(value, list | tuple):
        return [compact(item) for item in value]
    return value


def steps(path: str) -> list[str]:
    """Return the steps of a path such as ``rules[].window``: ``rules``, ``[]``, ``window``."""
    return path.replace("[]", ".[]").split(".")


def filled(value: Any, path: Sequence[str], default: Any) -> Any:
    """Return a value with a default at the end of a path of steps, where what is on the way is given."""
    if not path:
        return default if is_empty(value) else value
    step, *rest = path
    if step == "[]" and isinstance(value, list):
        return [filled(item, rest, default) for item in value]
    if not isinstance(value, Mapping) or (rest and is_empty(value.get(step))):
        return value
    return {**value, step: filled(value.get(step), rest, default)}


def covers(wanted: Any, observed: Any) -> bool:
    """Say whether what was observed holds all that is wanted; what a service adds to an object does not count."""
    if isinstance(wanted, Mapping) and isinstance(observed, Mapping):
        return all(covers(item, observed.get(name)) for name, item in wanted.items())
    if isinstance(wanted, list) and isinstance(observed, list):
        return len(wanted) == len(observed) and all(map(covers, wanted, observed))
    if is_empty(wanted) or is_empty(observed):
        return is_empty(wanted) and is_empty(observed)
    return same_scalar(wanted, observed)


def same_scalar(one: Any, other: Any) -> bool:
    """Compare two leaves; Pulumi's SDKs send some numbers and flags as strings, which mean the same."""
    if isinstance(one, str) != isinstance(other, str) and isinstance(one, str | bool | int | float):
        return _text(one) == _text(other)
    return one == other


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def project(known: Any, observed: Any) -> Any:
    """Return what was observed of the parts that are known: the drift, without what a service adds."""
    if isinstance(known, Mapping) and isinstance(observed, Mapping):
        return {name: project(item, observed.get(name)) for name, item in known.items()}
    if isinstance(known, list) and isinstance(observed, list) and len(known) == len(observed):
        return [project(one, other) for one, other in zip(known, observed, strict=True)]
    return known if covers(known, observed) else observed


def leaf_changes(path: str, old: Any, new: Any) -> Iterable[tuple[str, Any, Any]]:
    """Yield the path, the old and the new value of each leaf that differs, in Pulumi's path syntax.

    A list that comes or goes, an empty one being none, is a leaf: official plugins tell of no member of it.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            step = f".{name}" if name.replace("_", "").isalnum() else f'["{name}"]'
            yield from leaf_changes(path + step, old.get(name), new.get(name))
    elif isinstance(old, list) and isinstance(new, list) and old and new:
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from leaf_changes(f"{path}[{index}]", before, after)
    elif has_unknown(new) or not ((is_empty(old) and is_empty(new)) or same_scalar(old, new)):
        yield path, old, new
