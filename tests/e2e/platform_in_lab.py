"""A platform in a lab, and what really exists there, for the tests of whole paths."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from inventory import Aws

from falaj.lab.testing import RunningLab

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
MINUTES = 60


class Platform:
    """One stack in one lab, driven as a person drives it."""

    def __init__(self, lab: RunningLab, stack: str) -> None:
        self.lab, self.stack = lab, stack
        self.said = ""
        """What the first deployment said."""

    def run(self, *command: str, check: bool = True, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        """Run a command inside the lab."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env=dict(self.lab.env),
            capture_output=True,
            text=True,
            timeout=15 * MINUTES,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def deploy(self, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run what `make up` runs."""
        return self.run(PYTHON, "stacks/deploy.py", self.stack, *options, check=check)

    def pulumi(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the CLI on this stack."""
        return self.run("pulumi", *command, "--stack", self.stack, "--non-interactive", check=check)

    def with_changes(self, folder: Path, change: Callable[[dict[str, Any]], None]) -> tuple[str, str]:
        """Return the options of a run whose configuration was changed; ``change`` is given what the file says."""
        settings = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{self.stack}.yaml").read_text())
        change(settings["config"])
        path = folder / "changed.yaml"
        path.write_text(yaml.safe_dump(settings))
        return ("--config-file", str(path))

    def changes(self, *command: str) -> dict[str, set[str]]:
        """Return the resources that a preview would change, each with the properties that differ.

        A component changes whenever its arguments do, and is nothing by itself.
        """
        answer = json.loads(self.pulumi(*command, "--json").stdout)
        return {
            step["urn"].rpartition("::")[2]: set(step.get("detailedDiff") or {})
            for step in answer["steps"]
            if step["op"] not in ("same", "read", "refresh")
            and not step["urn"].split("::")[2].rpartition("$")[2].startswith("falaj:")
        }

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return what the state holds, by name."""
        deployment = json.loads(self.pulumi("stack", "export").stdout)["deployment"]
        return {each["urn"].rpartition("::")[2]: each for each in deployment.get("resources", [])}

    def kubectl(self, *command: str, check: bool = True, given: object = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl, with an object on its standard input when one is given."""
        done = subprocess.run(
            ["kubectl", *command],
            env=dict(self.lab.env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            input=None if given is None else json.dumps(given),
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def get(self, *command: str) -> list[dict[str, Any]]:
        """Return Kubernetes objects."""
        return json.loads(self.kubectl("get", *command, "-o", "json").stdout)["items"]

    def aws(self, service: str) -> Any:
        """Return a client of the emulated AWS."""
        return self.lab.aws(service)

    def inventory(self) -> Mapping[str, frozenset[str]]:
        """Return what exists in AWS, Kubernetes and OpenBao, by names where things have one."""
        return {**self._aws_inventory(), **self._kubernetes_inventory(), **self._openbao_inventory()}

    def _aws_inventory(self) -> dict[str, frozenset[str]]:
        found = Aws(self.lab).inventory()
        # moto keeps the network ACL of a deleted VPC.
        return {kind: frozenset(things) for kind, things in found.items() if kind != "network ACL"}

    def _kubernetes_inventory(self) -> dict[str, frozenset[str]]:
        kinds = (
            "namespaces,nodes,clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,secrets,services,"
            "deployments,networkpolicies,resourcequotas,limitranges,poddisruptionbudgets,clusterqueues,localqueues,"
            "cohorts,resourceflavors,workloadpriorityclasses,validatingadmissionpolicies"
        )
        found: dict[str, set[str]] = {}
        for item in self.get(kinds, "-A"):
            namespace = item["metadata"].get("namespace", "")
            # The control plane makes its own service accounts when it gets to it.
            if item["kind"] != "ServiceAccount" or not namespace.startswith(("kube-", "default")):
                found.setdefault(item["kind"], set()).add(f"{namespace}/{item['metadata']['name']}")
        return {kind: frozenset(names) for kind, names in found.items()}

    def _openbao_inventory(self) -> dict[str, frozenset[str]]:
        client = self.lab.vault()
        return {
            "mounts": frozenset(client.sys.list_mounted_secrets_engines()["data"]),
            "auth methods": frozenset(client.sys.list_auth_methods()["data"]),
            "vault policies": frozenset(client.sys.list_acl_policies()["data"]["keys"]),
        }


def counts(inventory: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """Return how many there are of each kind."""
    return {kind: len(names) for kind, names in inventory.items()}


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    """Wait for a condition, until the deadline at the latest."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
