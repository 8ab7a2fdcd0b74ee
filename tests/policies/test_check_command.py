"""`falaj-policy` as a person meets it: what it prints, how it ends, and errors of one line."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from falaj.lab.testing import person

COMMAND = str(Path(sys.executable).with_name("falaj-policy"))
ROOT = Path(__file__).parents[2]
AWS = "urn:pulumi:prod::shop::pulumi:providers:aws::aws"
KEY = "urn:pulumi:prod::shop::aws:kms/key:Key::data"
TAGS = {"owner": "team", "classification": "internal"}
SOUND = {"enableKeyRotation": True, "tags": TAGS}


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], env={"PATH": "", **env}, capture_output=True, text=True, check=False, timeout=300
    )


def state(folder: Path, *, name: str = "state.json", **properties: Any) -> Path:
    provider = {"region": "me-central-1", "allowedAccountIds": '["123456789012"]'}
    key = {
        "urn": KEY,
        "type": "aws:kms/key:Key",
        "custom": True,
        "provider": f"{AWS}::1",
        "inputs": properties,
        "outputs": properties,
    }
    resources = [{"urn": AWS, "type": "pulumi:providers:aws", "custom": True, "id": "1", "inputs": provider}, key]
    path = folder / name
    path.write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))
    return path


def waivers(folder: Path, **changes: str) -> Path:
    entry = {"rule": "FJ-KMS-001", "resource": "urn:pulumi:*::data", "reason": "ends soon", "owner": "team"} | changes
    expires = entry.pop("expires", "2999-01-01")
    path = folder / "waivers.toml"
    path.write_text(
        "[[waivers]]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
        + f"expires = {expires}\n"
    )
    return path


def config(folder: Path, **values: Any) -> Path:
    path = folder / "policy.json"
    path.write_text(json.dumps(values))
    return path


def only(rule: str, folder: Path, **more: Any) -> Path:
    """Write a configuration in which no rule but one is mandatory."""
    return config(folder, **{"all": "advisory", rule: "mandatory", **more})


def test_a_sound_stack_is_accepted_with_zero(tmp_path: Path) -> None:
    done = run("check", "--state", str(state(tmp_path, **SOUND)), "--config", str(only("FJ-KMS-001", tmp_path)))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_violation_ends_with_one_and_says_what_to_do(tmp_path: Path) -> None:
    done = run("check", "--state", str(state(tmp_path, tags=TAGS)))
    assert done.returncode == 1
    assert "FJ-KMS-001" in done.stdout
    assert KEY in done.stdout
    assert "Set enableKeyRotation to true." in done.stdout


def test_what_cannot_be_decided_ends_with_three_where_that_is_strictly_asked(tmp_path: Path) -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:no"}
    given = ("check", "--state", str(state(tmp_path, enableKeyRotation=secret, tags=TAGS)), "--config")
    rules = str(only("FJ-KMS-001", tmp_path))
    assert run(*given, rules).returncode == 0
    strict = run(*given, rules, "--strict")
    assert strict.returncode == 3
    assert "undetermined" in strict.stdout


def test_a_violation_goes_before_what_cannot_be_decided(tmp_path: Path) -> None:
    given = state(tmp_path, multiRegion="04da6b54-80e4-46f7-96ec-b56ff0331ba9", tags=TAGS)
    assert run("check", "--state", str(given), "--strict").returncode == 1


def test_a_waived_failure_stops_nothing_and_stays_a_failure(tmp_path: Path) -> None:
    given = ("check", "--state", str(state(tmp_path, tags=TAGS)), "--config", str(only("FJ-KMS-001", tmp_path)))
    assert run(*given).returncode == 1
    waived = run(*given, "--waivers", str(waivers(tmp_path)), "--format", "json")
    assert waived.returncode == 0
    finding = next(each for each in json.loads(waived.stdout)["findings"] if each["rule"] == "FJ-KMS-001")
    assert finding["verdict"] == "fail"
    assert finding["waiver"] == {
        "rule": "FJ-KMS-001",
        "resource": "urn:pulumi:*::data",
        "reason": "ends soon",
        "owner": "team",
        "expires": "2999-01-01",
    }


def test_an_expired_waiver_holds_no_longer_and_is_told(tmp_path: Path) -> None:
    given = ("check", "--state", str(state(tmp_path, tags=TAGS)), "--config", str(only("FJ-KMS-001", tmp_path)))
    done = run(*given, "--waivers", str(waivers(tmp_path, expires="2020-01-01")), "--format", "json")
    assert done.returncode == 1
    assert [each["rule"] for each in json.loads(done.stdout)["waivers"]["expired"]] == ["FJ-KMS-001"]


def test_every_format_is_written_beside_the_others(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    done = run(
        *("check", "--state", str(state(tmp_path, **SOUND)), "--output", str(reports)),
        *("--format", "table,json,sarif,junit,oscal,html,csv"),
    )
    assert len(list(reports.iterdir())) == 7
    assert all(path.stat().st_size for path in reports.iterdir())
    assert len(done.stderr.splitlines()) == 7


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "needs exactly one of --state, --preview and --stack"),
        (("--state", "{state}", "--preview", "{state}"), "needs exactly one of"),
        (("--state", "{missing}"), "No such file"),
        (("--preview", "{state}"), "must be what `pulumi preview --json` printed"),
        (("--state", "{state}", "--config", "{missing}"), "No such file"),
        (("--state", "{state}", "--config", "{unknown}"), "must be all, settings, or the id of a rule"),
        (("--state", "{state}", "--config", "{level}"), "must be advisory, mandatory, remediate, disabled"),
        (("--state", "{state}", "--waivers", "{nobody}"), "must have rule, resource, reason, owner, expires"),
        (("--state", "{state}", "--waivers", "{norule}"), "must be the id of a rule"),
        (("--state", "{state}", "--format", "pdf"), "must be of table"),
        (("--state", "{state}", "--format", "json,csv"), "several together with --output"),
        (("--stack", "prod"), "pulumi cannot be run"),
    ],
)
def test_bad_input_ends_with_two_and_one_line(tmp_path: Path, arguments: tuple[str, ...], expected: str) -> None:
    (tmp_path / "nobody").mkdir()
    (tmp_path / "norule").mkdir()
    nobody = tmp_path / "nobody" / "waivers.toml"
    nobody.write_text('[[waivers]]\nrule = "FJ-KMS-001"\n')
    (tmp_path / "unknown.json").write_text('{"FJ-NOT-001": "advisory"}')
    (tmp_path / "level.json").write_text('{"FJ-KMS-001": "loud"}')
    places = {
        "state": state(tmp_path, **SOUND),
        "missing": tmp_path / "missing.json",
        "unknown": tmp_path / "unknown.json",
        "level": tmp_path / "level.json",
        "nobody": nobody,
        "norule": waivers(tmp_path / "norule", rule="FJ-NOT-001"),
    }
    done = run("check", *(argument.format(**places) for argument in arguments))
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_the_traceback_is_behind_debug(tmp_path: Path) -> None:
    assert "Traceback" in run("--debug", "check", "--state", str(tmp_path / "missing.json")).stderr


def test_a_stack_of_the_backend_is_judged_by_its_name(tmp_path: Path) -> None:
    """The CLI is asked as it is asked by a person: here a program stands for it that knows one stack."""
    exported = state(tmp_path, **SOUND).read_text()
    pulumi = tmp_path / "pulumi"
    refusal = "import sys\nif 'prod' not in sys.argv: sys.exit('error: no stack named it')"
    pulumi.write_text(f"#!{sys.executable}\n{refusal}\nprint({exported!r})\n")
    pulumi.chmod(0o755)
    rules = str(only("FJ-KMS-001", tmp_path))
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run("check", "--stack", "prod", "--config", rules, "--format", "json", PATH=path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["source"]["kind"] == "stack"
    other = run("check", "--stack", "dev", "--config", rules, PATH=path)
    assert other.returncode == 2
    assert "no stack named it" in other.stderr


def test_two_assessments_are_compared(tmp_path: Path) -> None:
    reports: list[str] = []
    for name, properties in (("old", SOUND), ("new", {"tags": TAGS})):
        given = state(tmp_path, name=f"{name}.json", **properties)
        done = run("check", "--state", str(given), "--format", "json")
        (tmp_path / f"{name}-findings.json").write_text(done.stdout)
        reports.append(str(tmp_path / f"{name}-findings.json"))
    worse = run("diff", *reports)
    assert worse.returncode == 1
    assert f"fails         FJ-KMS-001  {KEY}" in worse.stdout.splitlines()
    better = run("diff", *reversed(reports))
    assert better.returncode == 0
    assert f"mended        FJ-KMS-001  {KEY}" in better.stdout.splitlines()
    assert run("diff", reports[0], str(tmp_path / "state.json")).returncode == 2


def test_evidence_is_signed_chained_and_verified(tmp_path: Path) -> None:
    key = tmp_path / "evidence.key"
    assert run("keygen", str(key)).returncode == 0
    judged = ("check", "--state", str(state(tmp_path, **SOUND)), "--config", str(only("FJ-KMS-001", tmp_path)))
    first, second = tmp_path / "first.zip", tmp_path / "second"
    assert run(*judged, "--evidence", str(first), "--key", str(key)).returncode == 0
    assert run(*judged, "--evidence", str(second), "--key", str(key), "--previous", str(first)).returncode == 0
    public = f"{key}.pub"
    assert run("verify", str(second), "--key", public, "--previous", str(first)).returncode == 0
    findings = second / "findings.json"
    findings.write_text(findings.read_text().replace('"pass"', '"fail"', 1))
    broken = run("verify", str(second), "--key", public)
    assert broken.returncode == 1
    assert "findings.json" in broken.stdout
    unsigned = run(*judged, "--evidence", str(tmp_path / "third.zip"))
    assert unsigned.returncode == 2
    assert "needs --key FILE" in unsigned.stderr


def transfers(folder: Path, expires: str) -> Path:
    entry = {
        "id": "T-1",
        "rules": ["FJ-RES-001"],
        "resource": "urn:pulumi:*::data",
        "destinations": ["eu-west-1"],
        "basis": "approval",
        "article": "Approval 17 of 2026",
        "owner": "dpo@example.com",
        "classification": "internal",
    }
    path = folder / "transfers.toml"
    path.write_text(
        "[[transfers]]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
        + f"expires = {expires}\n"
    )
    return path


def test_what_leaves_is_proven_drawn_and_allowed_by_the_register_alone(tmp_path: Path) -> None:
    given = ("--state", str(state(tmp_path, region="eu-west-1", **SOUND)))
    picture = tmp_path / "flow.svg"
    leaves = run("residency", *given, "--picture", str(picture))
    assert leaves.returncode == 1
    assert [
        line for line in leaves.stdout.splitlines() if line.startswith("fail") and "eu-west-1" in line and KEY in line
    ]
    assert picture.read_text().startswith("<svg")
    registered = ("--transfers", str(transfers(tmp_path, "2999-01-01")))
    assert run("residency", *given, *registered).returncode == 0
    rules = ("--config", str(only("FJ-RES-001", tmp_path)))
    assert run("check", *given, *rules).returncode == 1
    allowed = run("check", *given, *rules, *registered)
    assert allowed.returncode == 0
    assert "leaves by transfer T-1 of the register, until 2999-01-01 by dpo@example.com" in allowed.stdout
    ended = run("check", *given, *rules, "--transfers", str(transfers(tmp_path, "2020-01-01")))
    assert ended.returncode == 1
    assert "has expired" in ended.stdout


def test_checkov_is_heard_and_decides_only_where_that_is_strictly_asked(tmp_path: Path) -> None:
    judged = (
        "check",
        "--state",
        str(state(tmp_path, **SOUND)),
        "--config",
        str(only("FJ-RES-001", tmp_path)),
        "--checkov",
    )
    # checkov's environment may have to be installed, as whoever runs the tests installs what else they need.
    done = run(*judged, "--output", str(tmp_path / "out"), **person())
    assert done.returncode == 0, done.stderr
    assert "Second opinion: checkov" in done.stderr
    told = json.loads((tmp_path / "out" / "checkov.json").read_text())
    assert {each["check"]: each["verdict"] for each in told["findings"]}["CKV_AWS_7"] == "pass"
    assert {each["urn"] for each in told["findings"]} == {KEY}


def test_a_rule_is_explained_with_its_controls_and_remedy() -> None:
    done = run("explain", "FJ-KMS-001")
    assert done.returncode == 0
    assert "Set enableKeyRotation to true." in done.stdout
    assert "ISO/IEC 27001:2022 A.8.24, Use of cryptography" in done.stdout
    unknown = run("explain", "FJ-KMS-999")
    assert unknown.returncode == 2
    assert "such as FJ-KMS-001" in unknown.stderr


def test_rules_and_controls_are_listed() -> None:
    residency = run("rules", "--pack", "residency").stdout
    assert "FJ-RES-001" in residency
    assert "FJ-POD-001" not in residency
    assert run("rules", "--pack", "nothing").returncode == 2
    listed = run("controls", "--framework", "ISO").stdout
    assert "A.8.24" in listed
    assert "NIST" not in listed
    assert len([line for line in listed.splitlines() if "A." in line]) == 93


@pytest.mark.parametrize("command", ["check", "explain", "rules", "controls", "diff"])
def test_every_command_has_examples(command: str) -> None:
    assert "falaj-policy" in run(command, "--help", COLUMNS="200").stdout.partition("Examples:")[2]


def test_the_files_for_ci_are_what_the_command_takes(tmp_path: Path) -> None:
    folder = ROOT / "docs" / "examples" / "ci"
    given = ("--config", str(folder / "policy.json"), "--waivers", str(folder / "waivers.toml"))
    done = run("check", "--state", str(state(tmp_path, **SOUND)), *given)
    assert done.returncode in (0, 1), done.stderr
