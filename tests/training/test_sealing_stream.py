"""Sealed streams: what Tink reads and writes, and nothing that was touched."""

import hashlib
import io
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falaj.training.sealing.stream import HEADER_BYTES, TAG_BYTES, DamagedError, SealedReader, SealedWriter

KEY = bytes(range(32))
SEGMENT = 128
FIRST = SEGMENT - HEADER_BYTES - TAG_BYTES
OTHER = SEGMENT - TAG_BYTES


def sealed(clear: bytes, *, segment: int = SEGMENT, context: bytes = b"file", parts: int = 1) -> bytes:
    raw = io.BytesIO()
    with SealedWriter(raw, KEY, context, segment=segment) as stream:
        for start in range(0, len(clear), -(-len(clear) // parts) or 1):
            stream.write(clear[start : start + -(-len(clear) // parts)])
    return raw.getvalue()


def reader(data: bytes, *, key: bytes = KEY, context: bytes = b"file", **more: Any) -> SealedReader:
    return SealedReader(io.BytesIO(data), len(data), key, context, name="the file", **{"segment": SEGMENT, **more})


def tink_streaming(segment: int) -> Any:
    import tink
    from tink import cleartext_keyset_handle, streaming_aead
    from tink.proto import aes_gcm_hkdf_streaming_pb2 as streaming
    from tink.proto import common_pb2, tink_pb2

    streaming_aead.register()
    key: Any = streaming.AesGcmHkdfStreamingKey(version=0, key_value=KEY)
    key.params.ciphertext_segment_size = segment
    key.params.derived_key_size = 32
    key.params.hkdf_hash_type = common_pb2.SHA256
    keyset: Any = tink_pb2.Keyset(primary_key_id=1)
    made = keyset.key.add(status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
    made.key_data.type_url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
    made.key_data.value = key.SerializeToString()
    made.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
    handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset.SerializeToString()))
    return handle.primitive(streaming_aead.StreamingAead)


LENGTHS = [
    0,
    1,
    FIRST - 1,
    FIRST,
    FIRST + 1,
    FIRST + OTHER,
    FIRST + OTHER + 1,
    FIRST + 3 * OTHER - 1,
    FIRST + 3 * OTHER,
]


@pytest.mark.parametrize("length", LENGTHS)
def test_tink_reads_what_is_written_and_the_other_way(length: int) -> None:
    clear, tink = os.urandom(length), tink_streaming(SEGMENT)
    with tink.new_decrypting_stream(io.BytesIO(sealed(clear)), b"file") as stream:
        assert stream.read() == clear
    raw = Kept()
    with tink.new_encrypting_stream(raw, b"file") as stream:
        stream.write(clear)
    assert reader(raw.kept).readall() == clear


class Kept(io.BytesIO):
    """Tink closes what it wrote to; this keeps it."""

    kept = b""

    def close(self) -> None:
        self.kept = self.getvalue()
        super().close()


def test_tink_reads_segments_of_a_megabyte_too() -> None:
    clear = os.urandom(3 << 20)
    with tink_streaming(1 << 20).new_decrypting_stream(io.BytesIO(sealed(clear, segment=1 << 20)), b"file") as stream:
        assert stream.read() == clear


@given(clear=st.binary(max_size=600), parts=st.integers(1, 20), start=st.integers(0, 650), length=st.integers(0, 650))
def test_any_part_can_be_read_however_it_was_written(clear: bytes, parts: int, start: int, length: int) -> None:
    stream = reader(sealed(clear, parts=parts))
    assert stream.size == len(clear)
    stream.seek(start)
    target = bytearray(length)
    count = stream.readinto(target)
    assert bytes(target[:count]) == clear[start : start + length]
    stream.seek(0)
    assert stream.readall() == clear


def test_the_same_bytes_are_never_sealed_alike_and_lie_nowhere_in_clear() -> None:
    clear = b"a planted secret" * 100
    first, second = sealed(clear), sealed(clear)
    assert first != second
    assert b"planted" not in first


def test_the_writer_tells_the_digest_the_size_and_the_beginning_of_what_it_wrote() -> None:
    raw = io.BytesIO()
    with SealedWriter(raw, KEY, b"file", segment=SEGMENT) as stream:
        stream.write(b"x" * 500)
        assert stream.tell() == 500
    data = raw.getvalue()
    tags = [data[at : at + SEGMENT][-TAG_BYTES:] for at in range(0, len(data), SEGMENT)]
    digest = hashlib.sha256(data[:HEADER_BYTES] + b"".join(tags)).hexdigest()
    assert (stream.digest, stream.size) == (digest, len(data))
    assert reader(data, header=stream.header).readall() == b"x" * 500


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), clear=st.binary(max_size=400))
def test_no_bit_can_be_flipped(at: int, bit: int, clear: bytes) -> None:
    data = bytearray(sealed(clear))
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(DamagedError, match="the file"):
        reader(bytes(data)).readall()


@pytest.mark.parametrize("length", [0, FIRST, FIRST + 2 * OTHER, FIRST + 2 * OTHER + 5])
def test_it_cannot_be_cut_off_anywhere_or_made_longer(length: int) -> None:
    data = sealed(os.urandom(length))
    for end in range(len(data)):
        with pytest.raises(DamagedError):
            reader(data[:end]).readall()
    for more in (b"\0", data[-SEGMENT:], bytes(SEGMENT)):
        with pytest.raises(DamagedError):
            reader(data + more).readall()


def test_segments_cannot_change_places_be_left_out_or_come_from_another_stream() -> None:
    clear = os.urandom(FIRST + 3 * OTHER)
    ours, theirs = sealed(clear), sealed(clear)
    cut = [ours[at : at + SEGMENT] for at in range(0, len(ours), SEGMENT)]
    for changed in (
        [cut[0], cut[2], cut[1], cut[3]],
        [cut[0], cut[1], cut[3]],
        [cut[0], cut[1], cut[1], cut[3]],
        [cut[0], theirs[SEGMENT : 2 * SEGMENT], cut[2], cut[3]],
    ):
        with pytest.raises(DamagedError, match=r"segment \d of \d of the file was changed, moved or cut off"):
            reader(b"".join(changed)).readall()


def test_another_key_context_or_stream_opens_nothing() -> None:
    data = sealed(b"hello")
    for wrong in ({"key": bytes(32)}, {"context": b"another file"}, {"header": sealed(b"hello")[:HEADER_BYTES]}):
        with pytest.raises(DamagedError):
            reader(data, **wrong).readall()


def test_bytes_that_do_not_authenticate_are_not_handed_out() -> None:
    data = bytearray(sealed(os.urandom(FIRST + 2 * OTHER)))
    data[SEGMENT] ^= 1
    stream, target = reader(bytes(data)), bytearray(FIRST)
    assert stream.readinto(target) == FIRST
    with pytest.raises(DamagedError, match="segment 1 of 3"):
        stream.read(1)


def test_a_stream_that_was_given_up_cannot_be_taken_for_a_whole_one() -> None:
    for count in (0, FIRST, FIRST + OTHER, FIRST + OTHER + 1):
        raw = io.BytesIO()
        with pytest.raises(KeyError), SealedWriter(raw, KEY, b"file", segment=SEGMENT) as stream:
            stream.write(bytes(count))
            raise KeyError
        with pytest.raises(DamagedError):
            reader(raw.getvalue()).readall()


@pytest.mark.parametrize("fails_at", [0, 3, 7])
def test_a_disk_that_fills_up_is_told_to_who_writes(fails_at: int) -> None:
    class Full(io.BytesIO):
        writes = 0

        def write(self, data: Any, /) -> int:
            self.writes += 1
            if self.writes > fails_at:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with pytest.raises(OSError, match="No space left"), SealedWriter(Full(), KEY, b"file", segment=SEGMENT) as stream:
        for _ in range(1000):
            stream.write(bytes(100))
            if fails_at == 7 and stream.tell() == 7 * OTHER:
                break
