"""The lab's OpenBao comes up by itself, again and again, and keeps what it was told."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hvac
import pytest

from falaj.lab import openbao, services
from falaj.lab.errors import LabError
from falaj.lab.state import Lab


def find_bao() -> str:
    """Return the command that the lab itself would start, or skip."""
    from falaj.lab import tools

    try:
        path = tools.ensure(["bao"])["bao"].path
    except LabError as error:
        pytest.skip(f"no bao: {error}")
    return str(path)


@pytest.fixture(scope="module")
def bao() -> str:
    return find_bao()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab.at(tmp_path / "lab")
    lab.create()  # no other lab is given its ports then, also while the server is down
    services.prepare(lab)
    return lab


@contextmanager
def serving(lab: Lab, bao: str) -> Iterator[hvac.Client]:
    """Start the server, initialize it, and kill it at the end as a crash would."""
    with (lab.folder("logs") / "openbao.log").open("a") as log:
        command = [bao, "server", f"-config={openbao.write_config(lab, lab.ports())}"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        openbao.initialize(lab)
        yield client(lab)
    finally:
        process.kill()
        process.wait()


def client(lab: Lab, token: str | None = None) -> hvac.Client:
    address = f"https://127.0.0.1:{lab.ports()['openbao']}"
    return hvac.Client(
        address, token or (lab.root / "secrets" / "vault-token").read_text(), verify=lab.root / "pki" / "ca.crt"
    )


def test_it_unseals_itself_and_keeps_secrets_and_token_after_a_kill(lab: Lab, bao: str):
    with serving(lab, bao) as vault:
        assert openbao.healthy(lab)
        vault.sys.enable_secrets_engine("kv", path="kept", options={"version": "1"})
        vault.write_data("kept/it", data={"value": "1"})
        token = vault.token
    assert not openbao.healthy(lab)
    with serving(lab, bao) as vault:
        assert vault.token == token
        assert vault.read("kept/it")["data"] == {"value": "1"}


def test_its_token_is_not_root_and_may_do_an_administrators_work(lab: Lab, bao: str):
    with serving(lab, bao) as vault:
        assert vault.lookup_token()["data"]["policies"] == ["default", openbao.POLICY_NAME]
        vault.sys.enable_auth_method("kubernetes")
        vault.auth.token.create(policies=["default"])


def test_it_writes_every_request_to_two_audit_logs_without_secrets(lab: Lab, bao: str):
    with serving(lab, bao) as vault:
        assert {path.strip("/") for path in vault.sys.list_enabled_audit_devices()["data"]} == {*openbao.AUDIT_LOGS}
        vault.sys.enable_secrets_engine("kv", path="kept", options={"version": "1"})
        vault.write_data("kept/it", data={"value": "a-secret-value"})
    assert len(openbao.AUDIT_LOGS) == 2
    for name in openbao.AUDIT_LOGS.values():
        log = lab.root / "logs" / name
        paths = [json.loads(line)["request"].get("path") for line in log.read_text().splitlines()]
        assert "kept/it" in paths
        assert "a-secret-value" not in log.read_text()
        assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_first_start_that_was_killed_before_its_keys_were_written_is_begun_anew(lab: Lab, bao: str):
    with serving(lab, bao):
        (lab.root / "secrets" / "openbao-keys.json").unlink()
        (lab.root / "secrets" / "vault-token").unlink()
        with pytest.raises(LabError, match="its keys are lost; run `falaj-lab down`, then `up`"):
            openbao.initialize(lab)
    with serving(lab, bao):
        assert openbao.healthy(lab)


def test_a_lost_or_revoked_token_is_replaced_at_the_next_start(lab: Lab, bao: str):
    with serving(lab, bao) as vault:
        before = vault.token
        vault.auth.token.revoke_self()
        openbao.initialize(lab)
        after = client(lab)
        assert after.token != before
        assert after.is_authenticated()


def test_what_it_keeps_is_readable_by_its_owner_alone(lab: Lab, bao: str):
    with serving(lab, bao):
        for name in ("secrets/openbao-keys.json", "secrets/openbao-unseal", "secrets/vault-token", "data/openbao.json"):
            assert stat.S_IMODE((lab.root / name).stat().st_mode) == 0o600


def test_a_server_with_a_certificate_of_another_authority_is_not_healthy(lab: Lab, bao: str):
    with serving(lab, bao):
        other = Lab.at(lab.root.parent / "other")
        services.prepare(other)
        shutil.copy(lab.root / "ports.json", other.root / "ports.json")
        assert openbao.healthy(lab)
        assert not openbao.healthy(other)


def test_a_missing_server_is_said_in_one_line(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openbao, "DEADLINE", 0.2)
    with pytest.raises(LabError, match="OpenBao is not answering after") as caught:
        openbao.initialize(lab)
    assert os.linesep not in str(caught.value)
