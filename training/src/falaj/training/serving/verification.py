"""Whether a model's folder may be served: signed by the trusted key, and judged to pass by the gate."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from falaj.training.errors import RefusedError
from falaj.training.gate.signed import verify_verdict
from falaj.training.gate.verdict import SignedVerdict
from falaj.training.lineage.facts import Facts
from falaj.training.lineage.passport import LINEAGE, VERDICT, read_facts
from falaj.training.lineage.signatures import fingerprint, public_key, verify
from falaj.training.lineage.signed_models import SIGNATURE, SignedModel, load_signed
from falaj.training.serving.refusals import NotServedError

EXPORTED = "manifest.json"
"""What an export says of itself: its files' digests and the digest of the weights."""
_PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Trust:
    """Who is believed."""

    signing: bytes
    """Public key (PEM) that must have signed the model."""
    verdict: bytes
    """Public key (PEM) that must have signed the gate's verdict."""

    @classmethod
    def read(cls, signing: Path, verdict: Path | None = None) -> "Trust":
        """Read the keys; one key is believed for both unless two are named. Raises `RefusedError` for what is none."""
        first = _key(signing, "--public-key")
        return cls(first, first if verdict is None else _key(verdict, "--verdict-key"))


@dataclass(frozen=True)
class Verified:
    """A model that may be served."""

    model: SignedModel
    """Its signed folder."""
    verdict: SignedVerdict
    """What the gate said of it."""
    verdict_digest: str
    """Digest of the verdict's file."""
    facts: Facts | None
    """Where it comes from, where its folder says so."""


def verified(folder: Path, trust: Trust, *, now: datetime | None = None) -> Verified:
    """Verify a model's folder; raise `NotServedError` unless it is signed and judged as ``trust`` demands.

    ``now`` is the time at which the verdict must be one; left out, it is the clock's.
    """
    _check_signer(folder, trust.signing)
    try:
        model = load_signed(folder, trust.signing)
    except RefusedError as error:
        raise _because("tampered", error) from None
    weights = _weights(model)
    if VERDICT not in model.files:
        raise NotServedError("no-verdict", "verdict", str(folder), f"must lie in the folder as {VERDICT}: run the gate")
    verdict = _verdict(folder, trust.verdict, weights, now)
    facts = _facts(model)
    if facts is not None and facts.job_digest != verdict.job_digest:
        raise NotServedError("no-verdict", "verdict.job_digest", verdict.job_digest, f"must be {facts.job_digest}")
    return Verified(model, verdict, model.files[VERDICT], facts)


def signed_digests(bundle: bytes, public_pem: bytes, place: str) -> dict[str, str]:
    """Return the digests of all files that a signature covers, where not all of them are here to be compared.

    ``place`` is what messages call the model. Raises `NotServedError` for a signature of another key.
    """
    payload = _signed(bundle, public_pem, place)
    try:
        resources = json.loads(payload)["predicate"]["resources"]
        return {str(each["name"]): f"sha256:{each['digest']}" for each in resources if each["algorithm"] == "sha256"}
    except (ValueError, KeyError, TypeError):
        remedy = "must be a signature as `falaj-train export` makes it"
        raise NotServedError("wrong-signature", "model", place, remedy) from None


def _check_signer(folder: Path, public_pem: bytes) -> None:
    """Tell a signature of another key from a folder that is not what was signed, which is asked next."""
    path = folder / SIGNATURE
    if path.is_symlink() or not path.is_file():
        raise NotServedError("unsigned", "model", str(folder), f"must be signed: there is no file {SIGNATURE} in it")
    _signed(path.read_bytes(), public_pem, str(folder))


def _signed(bundle: bytes, public_pem: bytes, place: str) -> bytes:
    """Return what a signature is over."""
    try:
        envelope = json.loads(bundle)["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        raise NotServedError(
            "wrong-signature", "model", place, f"must be signed: its {SIGNATURE} cannot be read"
        ) from None
    try:
        verify(public_pem, _encoded(payload), signature)
    except RefusedError:
        remedy = f"must be signed by the key {fingerprint(public_pem)}: the signature is not its"
        raise NotServedError("wrong-signature", "model", place, remedy) from None
    return payload


def _encoded(payload: bytes) -> bytes:
    """Return what DSSE signs: https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md."""
    kind = _PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _weights(model: SignedModel) -> str:
    """Return the digest of the weights, as the export says it of exactly the files that are here."""
    try:
        told: Any = json.loads(model.read(EXPORTED))
        weights, files = str(told["weights"]), dict(told["files"])
    except RefusedError as error:
        raise _because("tampered", error) from None
    except (ValueError, KeyError, TypeError):
        remedy = "must name the weights and the files, as `falaj-train export` writes it"
        raise NotServedError("tampered", EXPORTED, str(model.folder), remedy) from None
    if files != _without(model.files, EXPORTED):
        raise NotServedError("tampered", EXPORTED, str(model.folder), "must be about the files that lie beside it")
    return weights


def _verdict(folder: Path, public_pem: bytes, weights: str, now: datetime | None) -> SignedVerdict:
    try:
        return verify_verdict(folder / VERDICT, public_pem, weights, now=now)
    except RefusedError as error:
        if error.field == "verdict.outcome":
            raise _because("failed-verdict", error) from None
        by_another = error.field == "signature" or _signer(folder / VERDICT) != fingerprint(public_pem)
        raise _because("wrong-signature" if by_another else "no-verdict", error) from None


def _signer(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_bytes())["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _facts(model: SignedModel) -> Facts | None:
    if LINEAGE not in model.files:
        return None
    try:
        return read_facts(model.read(LINEAGE), LINEAGE)
    except RefusedError as error:
        raise _because("tampered", error) from None


def _because(reason: Any, error: RefusedError) -> NotServedError:
    return NotServedError(reason, error.field, error.value, error.remedy)


def _without(files: Mapping[str, str], name: str) -> dict[str, str]:
    return {path: digest for path, digest in files.items() if path != name}


def _key(path: Path, field: str) -> bytes:
    try:
        content = path.read_bytes()
        public_key(content)
    except OSError as error:
        raise RefusedError(field, str(path), f"must be a file that can be read: {error.strerror}") from None
    except RefusedError as error:
        raise RefusedError(field, str(path), error.remedy) from None
    return content
