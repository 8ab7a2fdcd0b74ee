"""Verdicts as signed files: what serving accepts, and that every other file is refused."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from falaj.training.errors import RefusedError
from falaj.training.gate.signed import schema, sign_verdict, verify_verdict
from falaj.training.gate.verdict import Check, Verdict
from falaj.training.lineage.signatures import Signer, new_key, open_signer, verify

DOCS = Path(__file__).parents[2] / "docs"
MODEL, JOB, DATA, OTHER = (f"sha256:{digit * 64}" for digit in "abcd")
AT = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def judged(outcome: Any = "pass") -> Verdict:
    check = Check(check="metric", subject="accuracy", outcome=outcome, measured=0.1 + 0.2, minimum=0.25, said="é")
    return Verdict(outcome=outcome, checks=(check,))


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    path = tmp_path_factory.mktemp("key") / "key.pem"
    new_key(path)
    return open_signer(f"file:{path}")


def file_of(signer: Signer, verdict: Verdict | None = None, **about: Any) -> bytes:
    known = {"job": "people", "model_digest": MODEL, "job_digest": JOB, "data_digests": {"train": DATA}, "who": "ci"}
    return sign_verdict(verdict or judged(), signer, **({**known, "valid_days": 30, "at": AT} | about))


@pytest.fixture(scope="module")
def written(signer: Signer) -> bytes:
    """One file for all: signatures differ each time, also in length."""
    return file_of(signer)


def check(folder: Path, content: bytes, signer: Signer, model: str = MODEL, now: datetime = AT + DAY) -> Any:
    path = folder / "verdict.json"
    path.write_bytes(content)
    return verify_verdict(path, signer.public_pem, model, now=now)


def test_a_passed_verdict_comes_back_with_all_that_it_says(tmp_path: Path, signer: Signer) -> None:
    found = check(tmp_path, file_of(signer), signer)

    assert isinstance(found, Verdict)
    assert (found.outcome, found.checks) == ("pass", judged().checks)
    assert (found.model_digest, found.job_digest, found.data_digests) == (MODEL, JOB, {"train": DATA})
    assert (found.who, found.at, found.expires) == ("ci", AT, AT + 30 * DAY)


@pytest.mark.parametrize("outcome", ["fail", "undetermined"])
def test_a_verdict_that_did_not_pass_is_signed_too_and_refused(tmp_path: Path, signer: Signer, outcome: Any) -> None:
    with pytest.raises(RefusedError, match=r"verdict\.outcome must be pass"):
        check(tmp_path, file_of(signer, judged(outcome)), signer)


def test_the_verdict_of_another_model_is_refused(tmp_path: Path, signer: Signer) -> None:
    with pytest.raises(RefusedError, match=r"verdict\.model_digest must be of the model served"):
        check(tmp_path, file_of(signer), signer, model=OTHER)


def test_a_verdict_is_valid_from_when_it_was_made_until_it_expires(tmp_path: Path, signer: Signer) -> None:
    content = file_of(signer)
    for now in (AT, AT + 30 * DAY - timedelta(seconds=1), AT - timedelta(minutes=4)):
        check(tmp_path, content, signer, now=now)
    with pytest.raises(RefusedError, match=r"verdict\.expires must be ahead"):
        check(tmp_path, content, signer, now=AT + 30 * DAY)
    with pytest.raises(RefusedError, match=r"verdict\.at must not be in the future"):
        check(tmp_path, content, signer, now=AT - timedelta(minutes=6))


def test_now_is_the_clocks_unless_another_time_is_said(tmp_path: Path, signer: Signer) -> None:
    path = tmp_path / "verdict.json"
    path.write_bytes(file_of(signer, at=None))
    assert verify_verdict(path, signer.public_pem, MODEL).outcome == "pass"
    path.write_bytes(file_of(signer, at=datetime.now(UTC) - 31 * DAY))
    with pytest.raises(RefusedError, match="expires"):
        verify_verdict(path, signer.public_pem, MODEL)


def test_the_verdict_of_another_key_is_refused(tmp_path: Path, signer: Signer) -> None:
    new_key(tmp_path / "other.pem")
    other = open_signer("file:other.pem", base=tmp_path)

    with pytest.raises(RefusedError, match="must be signed by the key"):
        check(tmp_path, file_of(other), signer)
    forged = json.loads(file_of(other)) | {"key": json.loads(file_of(signer))["key"]}
    with pytest.raises(RefusedError, match="signature was not made over this content"):
        check(tmp_path, (json.dumps(forged, indent=2, sort_keys=True) + "\n").encode(), signer)


def test_a_signature_of_the_same_key_over_the_same_bytes_without_the_purpose_is_none(
    tmp_path: Path, signer: Signer
) -> None:
    read = json.loads(file_of(signer))
    payload = (json.dumps(read["payload"], indent=2, sort_keys=True) + "\n").encode()
    read["signature"] = base64.b64encode(signer.sign(payload)).decode()

    with pytest.raises(RefusedError, match="signature"):
        check(tmp_path, (json.dumps(read, indent=2, sort_keys=True) + "\n").encode(), signer)


def test_no_file_and_files_that_are_something_else_are_refused(tmp_path: Path, signer: Signer) -> None:
    with pytest.raises(RefusedError, match="must be a file that can be read"):
        verify_verdict(tmp_path / "none.json", signer.public_pem, MODEL)
    for content in (b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"payload": 1, "key": 2, "signature": 3}'):
        with pytest.raises(RefusedError, match="must be a verdict as the gate wrote it"):
            check(tmp_path, content, signer)


def resigned(signer: Signer, payload: Any) -> bytes:
    """Sign any payload as the gate does: a signature does not make a verdict of what is none."""
    written = (json.dumps(payload, indent=2, sort_keys=True) + "\n").encode()
    signature = base64.b64encode(signer.sign(b"falaj verdict 1\n" + written)).decode()
    content = {"payload": payload, "key": json.loads(file_of(signer))["key"], "signature": signature}
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


@pytest.mark.parametrize(
    "wrong",
    [{"version": 2}, {"outcome": "maybe"}, {"more": 1}, {"checks": []}, {"at": "2026-01-01T00:00:00"}, {"who": ""}],
)
def test_a_signed_payload_that_is_no_verdict_of_this_version_is_refused(
    tmp_path: Path, signer: Signer, wrong: dict[str, Any]
) -> None:
    payload = json.loads(file_of(signer))["payload"]
    check(tmp_path, resigned(signer, payload), signer)

    with pytest.raises(RefusedError, match="must be a verdict of version 1"):
        check(tmp_path, resigned(signer, payload | wrong), signer)


def test_the_same_content_written_another_way_is_refused(tmp_path: Path, signer: Signer) -> None:
    content = file_of(signer)
    read = json.loads(content)
    twice = content.replace(b'  "payload": {', b'  "payload": {},\n  "payload": {', 1)

    for other in (json.dumps(read).encode(), content + b" ", content.rstrip(), twice, b"\xef\xbb\xbf" + content):
        with pytest.raises(RefusedError, match="as the gate wrote it"):
            check(tmp_path, other, signer)
    with pytest.raises(RefusedError, match="as the gate wrote it"):
        check(tmp_path, (json.dumps(read | {"more": 1}, indent=2, sort_keys=True) + "\n").encode(), signer)


@settings(max_examples=400)
@given(st.data())
def test_any_changed_byte_is_refused(
    tmp_path_factory: pytest.TempPathFactory, signer: Signer, written: bytes, data: st.DataObject
) -> None:
    content = bytearray(written)
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(RefusedError):
        check(tmp_path_factory.getbasetemp(), bytes(content), signer)


@settings(max_examples=200)
@given(st.data())
def test_any_cut_off_or_lengthened_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, signer: Signer, written: bytes, data: st.DataObject
) -> None:
    content = written
    cut = data.draw(st.integers(0, len(content) - 1))
    more = data.draw(st.binary(min_size=1, max_size=20))

    for wrong in (content[:cut], content[:cut] + more, content + more, content[:cut] + more + content[cut:]):
        if wrong != content:
            with pytest.raises(RefusedError):
                check(tmp_path_factory.getbasetemp(), wrong, signer)


@pytest.mark.parametrize("wrong", [{"model_digest": "abc"}, {"job_digest": ""}, {"who": ""}])
def test_a_verdict_about_nothing_is_not_signed(signer: Signer, wrong: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match=f"verdict.{next(iter(wrong))} must be given"):
        file_of(signer, **wrong)


def test_the_file_keeps_to_its_published_schema(signer: Signer) -> None:
    Draft202012Validator.check_schema(schema())
    Draft202012Validator(schema()).validate(json.loads(file_of(signer)))
    assert json.loads((DOCS / "training-verdict.schema.json").read_text(encoding="utf-8")) == schema()


def test_whoever_has_no_runtime_can_verify_it_by_what_the_guide_says(signer: Signer) -> None:
    read = json.loads(file_of(signer))
    signed = b"falaj verdict 1\n" + json.dumps(read["payload"], indent=2, sort_keys=True).encode() + b"\n"

    verify(signer.public_pem, signed, base64.b64decode(read["signature"]))
