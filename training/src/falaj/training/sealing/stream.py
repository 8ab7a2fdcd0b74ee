"""Sealed streams: AES-256-GCM in segments whose order, number and end are authenticated.

The format is Tink's AES-GCM-HKDF streaming AEAD with the parameters of its template ``AES256_GCM_HKDF_1MB``
(https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming), so any Tink reads what this writes: a header
of 40 bytes (its length, a salt of 32, a prefix of 7), then segments of 1 MiB, the first shorter by the header. Each
stream has a key of its own, derived from the data key, the salt and the context; a segment's nonce holds its number and
whether it is the last. Only the framing is written here; the cipher and the derivation are ``cryptography``'s.
"""

import hashlib
import io
import os
import queue
import struct
import threading
from types import TracebackType
from typing import BinaryIO, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from typing_extensions import Buffer

from falaj.training.errors import TrainingError

SEGMENT = 1 << 20
"""Bytes of a whole sealed segment."""
KEY_BYTES = 32
PREFIX_BYTES = 7
HEADER_BYTES = 1 + KEY_BYTES + PREFIX_BYTES
TAG_BYTES = 16
BUFFERS = 4


class DamagedError(TrainingError):
    """What was read is not what was written: changed, cut off, moved, or missing."""


class SealedWriter:
    """Seals what is written to it into ``raw``, which it does not close; used as a context manager.

    Segments are sealed in the caller's thread while the one before is written by a thread of the stream's own, into
    buffers that are used again: sealing then costs next to no time beside writing. After an error inside the ``with``
    the stream is left without its last segment, so that nobody can take it for a whole one.
    Raises what writing to ``raw`` raised, at the latest when the ``with`` ends.
    """

    def __init__(self, raw: BinaryIO, key: bytes, context: bytes, *, segment: int = SEGMENT) -> None:
        salt, self._prefix = os.urandom(KEY_BYTES), os.urandom(PREFIX_BYTES)
        self.header = bytes([HEADER_BYTES]) + salt + self._prefix
        self.size = 0
        """Sealed bytes so far."""
        self._cipher = derive(key, salt, context)
        self._digest = hashlib.sha256(self.header)
        self._segment, self._number = segment, 0
        self._plain, self._filled = bytearray(segment - TAG_BYTES), 0
        self._position = 0
        self._raw, self._error = raw, None
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
        for _ in range(BUFFERS):
            self._free.put(bytearray(segment))
        self._thread = threading.Thread(target=self._write_all, name="sealed-writer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._emit(memoryview(self._plain)[: self._filled], last=True)
        finally:
            self._full.put(None)
            self._thread.join()
        if kind is None and self._error:
            raise self._error

    @property
    def digest(self) -> str:
        """SHA-256 of the header and of the tags of all segments so far, in hexadecimal.

        The tags authenticate the segments, so that this stands for the whole stream. A SHA-256 of all its bytes would
        say no more to who has the key, and takes several times as long as sealing them.
        """
        return self._digest.hexdigest()

    def tell(self) -> int:
        """Return how many bytes were written in clear."""
        return self._position

    def write(self, data: Buffer) -> int:
        """Seal the bytes of ``data``; the memory may be changed as soon as this returns."""
        rest = memoryview(data).cast("B")
        length = len(rest)
        while rest:
            room = self._capacity - self._filled
            if self._filled == 0 and len(rest) > room:
                self._emit(rest[:room], last=False)
            elif room == 0:
                self._emit(memoryview(self._plain)[: self._filled], last=False)
                self._filled = 0
                continue
            else:
                room = min(room, len(rest))
                self._plain[self._filled : self._filled + room] = rest[:room]
                self._filled += room
            rest = rest[room:]
        self._position += length
        return length

    @property
    def _capacity(self) -> int:
        return self._segment - TAG_BYTES - (HEADER_BYTES if self._number == 0 else 0)

    def _emit(self, plain: memoryview, *, last: bool) -> None:
        if self._error:
            raise self._error
        buffer = self._free.get()
        start = HEADER_BYTES if self._number == 0 else 0
        end = start + len(plain) + TAG_BYTES
        buffer[:start] = self.header[:start]
        sealed = memoryview(buffer)
        self._cipher.encrypt_into(nonce(self._prefix, self._number, last), plain, None, sealed[start:end])
        self._digest.update(sealed[end - TAG_BYTES : end])
        self.size += end
        self._number += 1
        self._full.put((buffer, end))

    def _write_all(self) -> None:
        while item := self._full.get():
            buffer, end = item
            try:
                if not self._error:
                    self._raw.write(memoryview(buffer)[:end])
            except Exception as error:  # it belongs to the caller's thread, which raises it
                self._error = error
            self._free.put(buffer)


class SealedReader(io.RawIOBase):
    """Reads a sealed stream of ``size`` bytes from ``raw``, anywhere in it, and hands out only what it authenticated.

    ``name`` is what messages call it; ``header`` pins the stream to the one that began with these 40 bytes. Raises
    ``DamagedError`` for a segment that was changed, moved or taken from elsewhere, a stream that was cut off or made
    longer (both at once), and a key or context that is not the stream's.
    """

    def __init__(
        self,
        raw: BinaryIO,
        size: int,
        key: bytes,
        context: bytes,
        *,
        name: str,
        header: bytes | None = None,
        segment: int = SEGMENT,
    ) -> None:
        super().__init__()
        self._raw, self._sealed_size, self._segment, self._name = raw, size, segment, name
        self._count = max(1, -(-size // segment))
        if size < HEADER_BYTES + TAG_BYTES or 0 < size % segment <= TAG_BYTES:
            raise DamagedError(f"{name} was cut off: {size} bytes are no sealed stream")
        raw.seek(0)
        found = raw.read(HEADER_BYTES)
        if len(found) < HEADER_BYTES or found[0] != HEADER_BYTES or (header is not None and found != header):
            raise DamagedError(f"{name} does not begin as the stream that was written")
        self._prefix = found[1 + KEY_BYTES :]
        self._cipher = derive(key, found[1 : 1 + KEY_BYTES], context)
        self._sealed = bytearray(segment)
        self._plain, self._held = bytearray(segment), -1
        self._position = 0
        self.size = size - HEADER_BYTES - TAG_BYTES * self._count
        """Bytes of the stream in clear."""
        # First the end: that the stream is as long as it was written is then sure, whatever part of it is read.
        self._hold(self._count - 1, self._clear_length(self._count - 1))

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Return the position in the clear bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to a position in the clear bytes."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill ``buffer`` from the position on; less only at the stream's end."""
        target = memoryview(buffer).cast("B")
        target = target[: max(0, self.size - self._position)]
        done = 0
        while done < len(target):
            number, offset = self._find(self._position)
            length = self._clear_length(number)
            if offset == 0 and len(target) - done >= length:
                self._open(number, target[done : done + length])
                taken = length
            else:
                self._hold(number, length)
                taken = min(length - offset, len(target) - done)
                target[done : done + taken] = memoryview(self._plain)[offset : offset + taken]
            done += taken
            self._position += taken
        return done

    def _find(self, position: int) -> tuple[int, int]:
        first, other = self._segment - TAG_BYTES - HEADER_BYTES, self._segment - TAG_BYTES
        if position < first:
            return 0, position
        number, offset = divmod(position - first, other)
        return number + 1, offset

    def _clear_length(self, number: int) -> int:
        sealed = min(self._segment, self._sealed_size - number * self._segment)
        return sealed - TAG_BYTES - (HEADER_BYTES if number == 0 else 0)

    def _hold(self, number: int, length: int) -> None:
        if self._held != number:
            self._held = -1
            self._open(number, memoryview(self._plain)[:length])
            self._held = number

    def _open(self, number: int, target: memoryview) -> None:
        sealed = memoryview(self._sealed)[: len(target) + TAG_BYTES]
        self._raw.seek(number * self._segment + (HEADER_BYTES if number == 0 else 0))
        if fill(self._raw, sealed) < len(sealed):
            raise DamagedError(f"{self._name} was cut off in segment {number} of {self._count}")
        try:
            self._cipher.decrypt_into(nonce(self._prefix, number, number == self._count - 1), sealed, None, target)
        except InvalidTag:
            said = "was changed, moved or cut off, or is sealed under another key"
            raise DamagedError(f"segment {number} of {self._count} of {self._name} {said}") from None


def derive(key: bytes, salt: bytes, context: bytes) -> AESGCM:
    """Return the cipher of one stream."""
    return AESGCM(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=context).derive(key))


def nonce(prefix: bytes, number: int, last: bool) -> bytes:
    """Return the nonce of a segment: which stream, which place in it, and whether nothing follows."""
    return prefix + struct.pack(">IB", number, last)


def fill(raw: BinaryIO, target: memoryview) -> int:
    """Read until ``target`` is full or ``raw`` ends; return how many bytes were read."""
    done = 0
    while done < len(target):
        part: int = raw.readinto(target[done:])  # type: ignore[attr-defined]
        if not part:
            break
        done += part
    return done
