"""Evidence proves what was found, when, by whom and after what; and it holds no secret."""

import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from policies.report_samples import AT, RULES, SECRET, rotation, sample
from policies.test_rules import CASES

from falaj.policies.config import Config
from falaj.policies.engine import Engine, Finding, Stack
from falaj.policies.errors import RefusedError
from falaj.policies.evidence.bundle import MANIFEST, SIGNATURE, bundle, catalogue_version, verify
from falaj.policies.evidence.signing import fingerprint, generate_key, read_public
from falaj.policies.model import Resource, Severity, Verdict
from falaj.policies.rules import RULES as ALL_RULES
from falaj.policies.values import UNKNOWN, View
from falaj.policies.waivers import Waivers

PLANTED = "Pl4ntedS3cret"
FILES = {"findings.json", "results.sarif", "assessment-results.json", "report.html", MANIFEST, SIGNATURE}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    generate_key(tmp_path / "key.pem")
    return tmp_path / "key.pem"


@pytest.fixture
def public(key: Path) -> Path:
    return key.with_name("key.pem.pub")


@pytest.fixture
def evidence(tmp_path: Path, key: Path) -> Path:
    return bundle(sample(), tmp_path / "evidence", key)


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST).read_text())


def test_a_bundle_verifies_and_says_what_was_judged_by_what(evidence: Path, public: Path) -> None:
    assert {each.name for each in evidence.iterdir()} == FILES
    assert verify(evidence, public) == []
    told = manifest(evidence)
    assert told["at"] == "2026-11-26T08:30:00+00:00"
    assert told["source"] == {"kind": "state", "name": "out/state of prod.json", "sha256": "ab" * 32}
    assert told["catalogue"] == {"version": catalogue_version(RULES), "rules": 4}
    assert {name: len(waivers) for name, waivers in told["waivers"].items()} == {"used": 1, "expired": 1, "unused": 1}
    assert told["key"] == fingerprint(read_public(public))
    assert set(told["files"]) == FILES - {MANIFEST, SIGNATURE}
    assert told["previous"] is None


def test_an_archive_is_as_good_as_a_folder(tmp_path: Path, key: Path, public: Path) -> None:
    archive = bundle(sample(), tmp_path / "evidence.zip", key)
    assert set(zipfile.ZipFile(archive).namelist()) == FILES
    assert verify(archive, public) == []


@pytest.mark.parametrize("name", ["folder", "archive.zip"])
def test_the_same_run_gives_the_same_bytes(tmp_path: Path, key: Path, name: str) -> None:
    def content(path: Path) -> list[bytes]:
        return [each.read_bytes() for each in sorted(path.iterdir())] if path.is_dir() else [path.read_bytes()]

    first, second = (content(bundle(sample(), tmp_path / run / name, key)) for run in ("first", "second"))
    assert first == second


def test_evidence_is_never_overwritten(evidence: Path, key: Path) -> None:
    with pytest.raises(RefusedError, match="must not be there yet"):
        bundle(sample(), evidence, key)


def _cut(folder: Path) -> None:
    (folder / "report.html").unlink()


def _add(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "note.txt").write_text("trust me")


def _link(folder: Path) -> None:
    (folder / "elsewhere").symlink_to("/")


def _change(folder: Path) -> None:
    path = folder / "findings.json"
    path.write_text(path.read_text().replace('"fail"', '"pass"', 1))


def _change_and_list(folder: Path) -> None:
    told = manifest(folder)
    told["stack"] = "another"
    (folder / MANIFEST).write_text(json.dumps(told))


def _break_signature(folder: Path) -> None:
    (folder / SIGNATURE).write_text("never base64!")


def _unsign(folder: Path) -> None:
    (folder / SIGNATURE).unlink()


def _empty_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("[" * 100_000)


def _no_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


@pytest.mark.parametrize(
    ("tamper", "problems"),
    [
        (_cut, ["report.html: is missing"]),
        (_add, ["more/note.txt: is not in manifest.json"]),
        (_link, ["elsewhere: is not in manifest.json"]),
        (_change, ["findings.json: was changed"]),
        (
            _change_and_list,
            [
                "manifest.sig: is not a signature of manifest.json by this key",
                "findings.json: has another stack than manifest.json",
            ],
        ),
        (_break_signature, ["manifest.sig: is not a signature of manifest.json by this key"]),
        (_unsign, ["manifest.sig: is missing"]),
        (
            _empty_manifest,
            [
                "manifest.sig: is not a signature of manifest.json by this key",
                "manifest.json: does not fit its schema at $ (type)",
            ],
        ),
        (_no_manifest, ["manifest.json: is missing"]),
    ],
)
def test_whatever_is_done_to_a_bundle_is_told_in_a_line(
    evidence: Path, public: Path, tamper: Callable[[Path], None], problems: list[str]
) -> None:
    tamper(evidence)
    assert verify(evidence, public) == problems


def test_another_key_does_not_verify(evidence: Path, tmp_path: Path) -> None:
    other = generate_key(tmp_path / "other.pem")
    assert verify(evidence, other) == [
        "manifest.sig: is not a signature of manifest.json by this key",
        "manifest.json: names another key as its signer",
    ]


def test_findings_that_do_not_fit_their_schema_are_told_even_where_they_are_signed(
    tmp_path: Path, key: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("falaj.policies.assessment.SCHEMA_VERSION", "0.1")
    evidence = bundle(sample(), tmp_path / "evidence", key)
    assert verify(evidence, public) == ["findings.json: does not fit its schema at $.schemaVersion (const)"]


def test_each_bundle_follows_the_one_before(tmp_path: Path, key: Path, public: Path, evidence: Path) -> None:
    second = bundle(sample(), tmp_path / "second.zip", key, previous=evidence)
    third = bundle(sample(), tmp_path / "third", key, previous=second)
    assert verify(second, public, evidence) == []
    assert verify(third, public, second) == []
    assert verify(third, public, evidence) == ["manifest.json: does not follow evidence"]
    assert verify(evidence, public, second) == ["manifest.json: does not follow second.zip"]


def test_a_bundle_of_an_earlier_time_cannot_follow(tmp_path: Path, key: Path, public: Path, evidence: Path) -> None:
    earlier = replace(sample(), at=AT.replace(year=2025))
    second = bundle(earlier, tmp_path / "second", key, previous=evidence)
    assert verify(second, public, evidence) == ["manifest.json: is of an earlier time than evidence, which it follows"]


def test_only_digests_of_the_inputs_are_kept(tmp_path: Path, key: Path) -> None:
    given = tmp_path / "policy.json"
    given.write_text(f'{{"all": "{SECRET}"}}')
    evidence = bundle(sample(), tmp_path / "evidence", key, inputs=[given])
    [told] = manifest(evidence)["inputs"]
    assert told["name"] == "policy.json"
    assert len(told["sha256"]) == 64
    assert not any(SECRET.encode() in each.read_bytes() for each in evidence.iterdir())


def test_the_catalogue_version_is_of_what_the_rules_say_and_not_of_their_order() -> None:
    version = catalogue_version(RULES)
    assert catalogue_version(reversed(RULES)) == version
    others = [
        replace(rotation, title="Keys turn"),
        replace(rotation, controls=("A.8.24",)),
        replace(rotation, severity=Severity.LOW),
    ]
    assert len({version, *(catalogue_version([other, *RULES[1:]]) for other in others)}) == 4


def test_a_private_key_is_for_its_owner_and_never_written_over(key: Path, public: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"PRIVATE" not in public.read_bytes()
    with pytest.raises(RefusedError, match="must not be there yet"):
        generate_key(key)


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\x00"])
def test_what_is_no_key_is_refused_in_a_line(tmp_path: Path, evidence: Path, content: bytes) -> None:
    (tmp_path / "none.pem").write_bytes(content)
    with pytest.raises(RefusedError, match="must be an Ed25519 private key in PEM") as refused:
        bundle(sample(), tmp_path / "more", tmp_path / "none.pem")
    assert "\n" not in str(refused.value)
    with pytest.raises(RefusedError, match="must be an Ed25519 public key in PEM"):
        verify(evidence, tmp_path / "none.pem")


def test_a_private_key_does_not_pass_for_a_public_one(evidence: Path, key: Path) -> None:
    with pytest.raises(RefusedError, match="public key"):
        verify(evidence, key)


def test_what_is_no_bundle_is_refused(tmp_path: Path, key: Path, public: Path) -> None:
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(RefusedError, match="must be a folder or"):
        verify(tmp_path / "torn.zip", public)
    whole = bundle(sample(), tmp_path / "whole.zip", key)
    content = bytearray(whole.read_bytes())
    content[200] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(content)
    with pytest.raises(RefusedError, match="must be a folder or"):
        verify(tmp_path / "flipped.zip", public)


def test_an_archive_with_two_files_of_one_name_is_refused(tmp_path: Path, key: Path, public: Path) -> None:
    archive = bundle(sample(), tmp_path / "evidence.zip", key)
    shutil.copy(archive, tmp_path / "two.zip")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "two.zip", "a") as two:
        two.writestr("findings.json", "{}")
    with pytest.raises(RefusedError, match="two files of one name"):
        verify(tmp_path / "two.zip", public)


def _planted(value: Any, make: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return make(value)
    if isinstance(value, dict):
        return {name: _planted(each, make) for name, each in value.items()}
    if isinstance(value, list):
        return [_planted(each, make) for each in value]
    return value


def _with_secrets(resource: Resource, plant: Callable[[str], str]) -> Resource:
    provider = resource.provider.value
    return replace(
        resource,
        properties=View(_planted(resource.properties.value, plant)),
        provider=View(provider if provider is UNKNOWN else _planted(provider, plant), "provider"),
    )


@pytest.mark.parametrize(
    "plant",
    [
        lambda _: PLANTED,
        lambda text: text + PLANTED,
        lambda text: text[: len(text) // 2] + PLANTED + text[len(text) // 2 :],
    ],
    ids=["instead", "after", "within"],
)
def test_no_secret_of_a_resource_is_anywhere_in_a_bundle(
    tmp_path: Path, key: Path, plant: Callable[[str], str]
) -> None:
    engine = Engine(ALL_RULES, Config(), Waivers((), AT.date()))
    findings: list[Finding] = []
    for stack in (stack for case in CASES for stack in case[1:4]):
        resources = tuple(_with_secrets(resource, plant) for resource in stack)
        findings += engine.judge(Stack("prod", resources, resources))
    failed = {finding.rule.id for finding in findings if finding.verdict is Verdict.FAIL}
    assert len(failed) > 50, "a test in which little fails shows little"
    assessment = replace(sample(), findings=tuple(findings), rules=tuple(ALL_RULES))
    evidence = bundle(assessment, tmp_path / "evidence", key)
    for each in evidence.iterdir():
        assert PLANTED.encode() not in each.read_bytes(), each.name
