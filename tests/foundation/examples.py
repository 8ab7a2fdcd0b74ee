"""An example of docs/examples/ in a lab, driven as a person drives it, and what really exists there."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import hvac

from falaj.lab.testing import RunningLab

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
sys.path.insert(0, str(EXAMPLES))
from run import POLICIES, lab_configuration  # noqa: E402 - a program beside the examples, not a package

LONGEST = 10 * 60
UNCHANGED = ("same", "read", "refresh")


class Example:
    """One example as one stack of one lab."""

    def __init__(self, lab: RunningLab, name: str, region: str | None = None) -> None:
        self.lab, self.name = lab, name
        self.env = dict(lab.env)
        self.env |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region} if region else {}
        self._given: set[str] = set()
        self.advisory: tuple[str, ...] = ()
        """Rules that are told and stop nothing, for a choice that is unsafe on purpose."""
        self.policy_settings: dict[str, Any] = {}
        """Values for all rules, for a regime that is not the usual one."""
        self._selected = False

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the example's folder, inside the lab."""
        done = subprocess.run(
            command,
            cwd=EXAMPLES / self.name,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def pulumi(self, *command: str, check: bool = True, **config: str) -> subprocess.CompletedProcess[str]:
        """Run the CLI on the stack; ``config`` is the example's own configuration."""
        # The CLI keeps what it is given, on a preview too; here each call says all that is to hold.
        if stale := self._given - set(config):
            self._given = set()
            self.run("pulumi", "config", "rm-all", *(f"{self.name}:{key}" for key in stale), "--stack", "test")
        self._given |= set(config)
        given = [part for key, value in config.items() for part in ("-c", f"{self.name}:{key}={value}")]
        leading = lab_configuration(self.env) if command[0] in ("up", "preview", "refresh", "destroy") else []
        return self.run("pulumi", *command, "--stack", "test", "--non-interactive", *leading, *given, check=check)

    def up(self, check: bool = True, **config: str) -> subprocess.CompletedProcess[str]:
        """Bring the example up, policies first."""
        if not self._selected:
            self.run("pulumi", "stack", "select", "--create", "test", "--non-interactive")
            self._selected = True
        policies = ["--policy-pack", str(POLICIES)]
        with tempfile.TemporaryDirectory() as folder:
            if self.advisory or self.policy_settings:
                chosen = Path(folder) / "policy.json"
                told = {"settings": self.policy_settings} if self.policy_settings else {}
                chosen.write_text(json.dumps(told | dict.fromkeys(self.advisory, "advisory")))
                policies += ["--policy-pack-config", str(chosen)]
            return self.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs", *policies, check=check, **config)

    def changes(self, **config: str) -> dict[str, tuple[str, set[str]]]:
        """Return what a preview would do: operation and differing properties of each resource that does not stay."""
        return _moved(json.loads(self.pulumi("preview", "--json", **config).stdout)["steps"])

    def drift(self) -> dict[str, tuple[str, set[str]]]:
        """Take what is found into the state, and return the resources that are not as Pulumi left them."""
        told = self.pulumi("refresh", "--yes", "--skip-preview", "--json").stdout
        events = (json.loads(line) for line in told.splitlines() if line.startswith("{"))
        return _moved(event["resOutputsEvent"]["metadata"] for event in events if "resOutputsEvent" in event)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, secrets in plain."""
        return json.loads(self.pulumi("stack", "output", "--json", "--show-secrets").stdout)

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return what the state holds, by name."""
        deployment = json.loads(self.pulumi("stack", "export", "--show-secrets").stdout)["deployment"]
        return {each["urn"].rpartition("::")[2]: each for each in deployment.get("resources", [])}

    def destroy(self) -> None:
        """Destroy what the example made, and forget the stack."""
        self.pulumi("destroy", "--yes", "--skip-preview", "--remove")
        self._selected = False

    def aws(self, service: str, **more: Any) -> Any:
        """Return a client of the lab's AWS, in the example's region."""
        return self.lab.aws(service, **{"region_name": self.env["AWS_REGION"], **more})

    @cached_property
    def vault(self) -> hvac.Client:
        """A client of the lab's OpenBao that may do everything."""
        return self.lab.vault()


def _moved(steps: Iterable[dict[str, Any]]) -> dict[str, tuple[str, set[str]]]:
    return {
        step["urn"].rpartition("::")[2]: (step["op"], set(step.get("detailedDiff") or {}))
        for step in steps
        # A component differs by its arguments alone; what counts is what it makes.
        if "falaj:" not in step["urn"].split("::")[2].rpartition("$")[2]
        and (step["op"] not in UNCHANGED or step.get("detailedDiff"))
    }
