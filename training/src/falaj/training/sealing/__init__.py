"""Envelope encryption: a data key for each artifact, wrapped by a key service; contents in Tink's streaming format."""

from falaj.training.sealing.envelope import DataKey, new_data_key, seal, unseal
from falaj.training.sealing.keys import KeySource, check_key, open_keys
from falaj.training.sealing.stream import DamagedError, SealedReader, SealedWriter

__all__ = [
    "DamagedError",
    "DataKey",
    "KeySource",
    "SealedReader",
    "SealedWriter",
    "check_key",
    "new_data_key",
    "open_keys",
    "seal",
    "unseal",
]
