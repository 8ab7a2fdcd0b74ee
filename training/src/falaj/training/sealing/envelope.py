"""Envelopes: a sealed document together with what opens it, a data key that a key source wrapped.

    falaj-sealed 1 SHA-256-OF-THE-NEXT-LINE
    {"context": {...}, "key": "aws-kms:arn:...", "wrapped": "..."}
    (a sealed stream whose context is the two lines above and a purpose)

The two lines are in clear and authenticated. Their digest tells a damaged line, which is no reason to doubt the key,
from a key that is not the right one.
"""

import base64
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from falaj.training.errors import RefusedError
from falaj.training.sealing.keys import KeySource
from falaj.training.sealing.stream import DamagedError, SealedReader, SealedWriter

MAGIC = b"falaj-sealed 1"


@dataclass(frozen=True)
class DataKey:
    """A data key in clear, and what stands for it beside the data."""

    key: bytes = field(repr=False)
    """32 bytes, in memory only."""
    wrapped: bytes
    """The same, readable by the key source alone."""
    source: str
    """Name of the key source."""
    context: Mapping[str, str]
    """What the key is for; it opens for nothing else."""


def new_data_key(keys: KeySource, context: Mapping[str, str]) -> DataKey:
    """Have a new data key made for ``context``."""
    key, wrapped = keys.new(context)
    return DataKey(key, wrapped, keys.name, context)


def seal(body: bytes, key: DataKey, purpose: str) -> bytes:
    """Return ``body`` in an envelope; ``purpose`` says which document it is among those of the same key."""
    line = json.dumps(
        {"context": dict(key.context), "key": key.source, "wrapped": base64.b64encode(key.wrapped).decode()},
        sort_keys=True,
    ).encode()
    head = MAGIC + b" " + hashlib.sha256(line).hexdigest().encode() + b"\n" + line + b"\n"
    sealed = io.BytesIO(head)
    sealed.seek(0, io.SEEK_END)
    with SealedWriter(sealed, key.key, head + purpose.encode()) as stream:
        stream.write(body)
    return sealed.getvalue()


def unseal(
    envelope: bytes, keys: KeySource, context: Mapping[str, str], purpose: str, name: str
) -> tuple[DataKey, bytes]:
    """Return the data key and the body of an envelope that was made for ``context`` and ``purpose``.

    ``name`` is what messages call it. Raises ``DamagedError`` where it is not as it was written, or stands where
    another was, and ``RefusedError`` where ``keys`` is not the source of its key.
    """
    head, line, body = split(envelope, name)
    try:
        told = json.loads(line)
        found, source, wrapped = dict(told["context"]), str(told["key"]), base64.b64decode(told["wrapped"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"the first lines of {name} are not an envelope's") from error
    if found != dict(context):
        raise DamagedError(f"{name} is another envelope, put in its place: it is for {found}")
    if source != keys.name:
        raise RefusedError("key", keys.name, f"must be the key that sealed {name}, which is {source}")
    key = DataKey(keys.unwrap(wrapped, context), wrapped, source, context)
    stream = SealedReader(io.BytesIO(body), len(body), key.key, head + purpose.encode(), name=name)
    return key, stream.readall()


def split(envelope: bytes, name: str) -> tuple[bytes, bytes, bytes]:
    """Return an envelope's two lines, the second of them alone, and what is sealed."""
    first, _, rest = envelope.partition(b"\n")
    line, end, body = rest.partition(b"\n")
    if not end or first != MAGIC + b" " + hashlib.sha256(line).hexdigest().encode():
        raise DamagedError(f"the first lines of {name} were changed or cut off")
    return envelope[: len(first) + len(line) + 2], line, body
