"""Verdicts as signed files: written by the gate, demanded by serving, refused where a single byte is another."""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from falaj.training.errors import RefusedError
from falaj.training.gate.verdict import SignedVerdict, Verdict, VerdictFile
from falaj.training.lineage.signatures import Signer, fingerprint, verify

_PURPOSE = b"falaj verdict 1\n"
"""Stands before what is signed: a signature of the same key over anything else is none over a verdict."""
_LARGEST = 16 << 20
_CLOCKS_DIFFER = timedelta(minutes=5)


def sign_verdict(
    verdict: Verdict,
    signer: Signer,
    *,
    job: str,
    model_digest: str,
    job_digest: str,
    data_digests: Mapping[str, str],
    who: str,
    valid_days: int,
    at: datetime | None = None,
) -> bytes:
    """Return the file of a verdict, also of one that did not pass; ``at`` is now where it is left out.

    Digests are ``sha256:…``. Raises `RefusedError` for one that is none.
    """
    at = (at or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    about = {"job": job, "model_digest": model_digest, "job_digest": job_digest, "data_digests": dict(data_digests)}
    when = {"who": who, "at": at, "expires": at + timedelta(days=valid_days)}
    try:
        signed = SignedVerdict.model_validate({"version": 1, **verdict.model_dump(), **about, **when})
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(str(part) for part in wrong["loc"])
        raise RefusedError(
            f"verdict.{field}", wrong["input"], "must be given, digests as sha256: and 64 digits"
        ) from None
    payload = signed.model_dump(mode="json")
    signature = base64.b64encode(signer.sign(_signed_bytes(payload))).decode()
    return _written({"payload": payload, "key": fingerprint(signer.public_pem), "signature": signature})


def verify_verdict(path: Path, public_pem: bytes, model_digest: str, *, now: datetime | None = None) -> SignedVerdict:
    """Return the verdict that lets a model be served; raise `RefusedError` for every other one.

    Refused are: a file that is not byte for byte what was signed by the key of ``public_pem``, the verdict about
    another model than ``model_digest``, one that did not pass, one that has expired or is from the future.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
    except OSError as error:
        raise _refused(path, f"must be a file that can be read: {error.strerror}") from None
    verdict = _verified(path, content, public_pem)
    now = now or datetime.now(UTC)
    if verdict.model_digest != model_digest:
        raise RefusedError("verdict.model_digest", verdict.model_digest, f"must be of the model served, {model_digest}")
    if verdict.outcome != "pass":
        raise RefusedError("verdict.outcome", verdict.outcome, "must be pass: the model is not to be served")
    if verdict.expires <= now:
        raise RefusedError("verdict.expires", verdict.expires.isoformat(), "must be ahead: run the gate again")
    if verdict.at > now + _CLOCKS_DIFFER:
        raise RefusedError("verdict.at", verdict.at.isoformat(), "must not be in the future: set the clocks")
    return verdict


def schema() -> dict[str, Any]:
    """Return the JSON schema of the file; docs/training-verdict.schema.json is a copy."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **VerdictFile.model_json_schema()}


def _verified(path: Path, content: bytes, public_pem: bytes) -> SignedVerdict:
    try:
        read: Any = json.loads(content)
        payload, key, signature = read["payload"], read["key"], base64.b64decode(read["signature"], validate=True)
        # One verdict is one sequence of bytes: no other spacing, no key twice, no spare bits in Base64.
        is_as_written = content == _written({**read, "signature": base64.b64encode(signature).decode()})
        signed = _signed_bytes(payload)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error):
        raise _refused(path, "must be a verdict as the gate wrote it") from None
    if not is_as_written or read.keys() != {"payload", "key", "signature"}:
        raise _refused(path, "must be a verdict as the gate wrote it, byte for byte")
    if key != fingerprint(public_pem):
        raise _refused(path, f"must be signed by the key {fingerprint(public_pem)}")
    verify(public_pem, signed, signature)
    try:
        return SignedVerdict.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole"
        raise _refused(path, f"must be a verdict of version 1; {where} is not as it should be") from None


def _signed_bytes(payload: Any) -> bytes:
    return _PURPOSE + _written(payload)


def _written(content: Any) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"


def _refused(path: Path, remedy: str) -> RefusedError:
    return RefusedError("verdict", str(path), remedy)
