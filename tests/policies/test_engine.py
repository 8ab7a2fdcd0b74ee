"""The real engine runs the pack over a stack's state, without program, provider or network."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from falaj.lab import tools
from falaj.lab.environment import write_launcher

pytestmark = pytest.mark.lab
PACK = Path(__file__).parents[2] / "policies"
STACK = "urn:pulumi:test::shop::pulumi:pulumi:Stack::shop-test"
PROVIDER = "urn:pulumi:test::shop::pulumi:providers:aws::aws"
KEY = "urn:pulumi:test::shop::aws:kms/key:Key::data"


@pytest.fixture
def analyze(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a function that judges a key with these properties by the pack, and returns the finished command."""
    pulumi = tools.ensure(["pulumi"])["pulumi"].path
    assert pulumi is not None
    commands = tmp_path / "bin"
    commands.mkdir()
    write_launcher(commands / "pulumi-language-python", "falaj.lab.language_host")
    environment = {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }

    def run(config: dict[str, Any] | None = None, **properties: Any) -> subprocess.CompletedProcess[str]:
        provider = {"region": "me-central-1", "allowedAccountIds": '["123456789012"]'}
        key = {"tags": {"owner": "team", "classification": "internal"}} | properties
        resources = [
            {"urn": STACK, "custom": False, "type": "pulumi:pulumi:Stack"},
            {"urn": PROVIDER, "custom": True, "id": "1", "type": "pulumi:providers:aws", "inputs": provider},
            {"urn": KEY, "custom": True, "id": "2", "type": "aws:kms/key:Key", "provider": f"{PROVIDER}::1"},
        ]
        resources[1]["outputs"] = provider
        resources[2] |= {"inputs": key, "outputs": key}
        state = tmp_path / "state.json"
        manifest = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}
        # Some passphrase's salt: the passphrase is not given, as in a job that must not decrypt anything.
        salt = "v1:qrpLK43AEMo=:v1:L9zi6A55Vh4/wwjO:fPVdcaKrU9qj/ltmIqEePN0k7j4wdw=="
        secrets = {"type": "passphrase", "state": {"salt": salt}}
        deployment = {"manifest": manifest, "resources": resources, "secrets_providers": secrets}
        state.write_text(json.dumps({"version": 3, "deployment": deployment}))
        command = [str(pulumi), "policy", "analyze", "--file", str(state), "--policy-pack", str(PACK)]
        if config is not None:
            settings = tmp_path / "config.json"
            settings.write_text(json.dumps(config))
            command += ["--policy-pack-config", str(settings)]
        return subprocess.run(
            [*command, "--non-interactive", "--color", "never"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_a_sound_stack_is_accepted(analyze: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = analyze(enableKeyRotation=True)
    assert done.returncode == 0, done.stderr
    assert "FJ-" not in done.stdout


def test_an_unsound_stack_is_refused_with_what_to_do(analyze: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = analyze(enableKeyRotation=False)
    assert done.returncode != 0
    assert "[mandatory]" in done.stdout
    assert "FJ-KMS-001" in done.stdout
    assert "To do: Set enableKeyRotation to true." in done.stdout


def test_a_secret_that_cannot_be_read_is_undetermined(
    analyze: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    signature = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
    done = analyze(enableKeyRotation=True, multiRegion=signature | {"ciphertext": "v1:unreadable"})
    assert done.returncode == 0, done.stderr
    assert "undetermined: multiRegion is not known, or not readable" in done.stdout
    assert "FJ-KMS-002 (1)" in done.stdout


def test_the_configuration_of_the_pack_is_heard(analyze: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    levels = {"FJ-KMS-001": "advisory"}
    done = analyze(levels, enableKeyRotation=False)
    assert done.returncode == 0, done.stderr
    assert "[advisory]" in done.stdout
    elsewhere = analyze({"FJ-RES-001": {"homeRegions": ["eu-west-1"]}}, enableKeyRotation=True)
    assert elsewhere.returncode != 0
    assert "FJ-RES-001" in elsewhere.stdout
