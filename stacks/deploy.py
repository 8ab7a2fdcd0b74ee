"""Bring a stack up in the lab, or down again: what `make up` and `make destroy` run inside `falaj-lab exec`."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).parents[1]
# Where a component shows itself best, the most telling output first.
_PLACES = (
    *("url", "bucket", "namespace", "alias", "poolName", "clusterName", "vpcId", "transitPath", "fileSystemId"),
    *("registry", "vaultName", "budgetName", "policyArn", "detectorId"),
)
_TRY = """Try next:
  falaj-lab exec -- kubectl get nodes -L pool,node.kubernetes.io/instance-type
  falaj-lab exec -- kubectl get pods -A -o wide
  falaj-lab exec -- kubectl -n {tenant} run root --image=x --privileged    # refused: Pod Security
  falaj-lab exec -- pulumi refresh --stack {stack} --preview-only    # what was changed behind Pulumi's back
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the deployment and return the exit code of the command that decided it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stack", nargs="?", default="local", help="environment to bring up (default: local)")
    parser.add_argument("--destroy", action="store_true", help="destroy what the stack made")
    options = parser.parse_args(arguments)
    known = sorted(path.name.split(".")[1] for path in (ROOT / "stacks").glob("Pulumi.*.yaml"))
    if options.stack not in known:
        return _refuse(f"no such environment: {options.stack}; choose one of {', '.join(known)}")
    if not os.environ.get("FALAJ_LAB"):
        return _refuse("run this inside the lab: falaj-lab exec -- python stacks/deploy.py")
    # Ctrl-C reaches pulumi as well, which ends its run in order; this program then only waits for it.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    return destroy(options.stack) if options.destroy else deploy(options.stack)


def deploy(stack: str) -> int:
    """Bring the stack up, policies first, and say what now exists."""
    code = pulumi("stack", "select", "--create", stack)
    if code == 0 and (other := occupied_by(stack)):
        return _refuse(
            f"{other} is up in this lab, which has one cluster: make destroy STACK={other} first, or use another lab"
        )
    code = code or clear_up(stack)
    if code:
        return code
    # The same configuration serves AWS and the lab; only what answers differs.
    policies = ("--policy-pack", str(ROOT / "policies"))
    code = pulumi("up", "--yes", "--stack", stack, "-c", "falaj:target=lab", "--suppress-outputs", *policies)
    if code == 0:
        resources = exported(stack).get("resources", [])
        made = table(("COMPONENT", "NAME", "WHERE"), components(resources))
        print(f"\n{made}\n\n{suggestions(stack, resources)}", end="")  # noqa: T201 - a command speaks to a person
    return code


def destroy(stack: str) -> int:
    """Destroy what the stack made, protected clusters too; the stack itself stays, empty."""
    code = pulumi("stack", "select", "--create", stack) or clear_up(stack)
    if code == 0:
        lift_protection(exported(stack).get("resources", []))
    return code or pulumi("destroy", "--yes", "--stack", stack)


def lift_protection(resources: Sequence[dict[str, Any]]) -> None:
    """Let the lab's clusters go, which outlive a `pulumi destroy` until their configuration says `protected: false`.

    Nothing rests on a cluster of the lab: who destroys the whole of its stack means the cluster too.
    """
    for resource in resources:
        outputs = resource.get("outputs", {})
        if resource["type"] != "aws:eks/cluster:Cluster" or not outputs.get("deletionProtection"):
            continue
        eks = boto3.client("eks", region_name=outputs["arn"].split(":")[3])
        try:
            eks.update_cluster_config(name=outputs["name"], deletionProtection=False)
        except eks.exceptions.ResourceNotFoundException:
            continue


def occupied_by(stack: str) -> str | None:
    """Return another stack of the project that is up: on AWS each has a cluster, in the lab they would share one."""
    listed = json.loads(_output("stack", "ls", "--json"))
    return next((each["name"] for each in listed if each["name"] != stack and each.get("resourceCount")), None)


def clear_up(stack: str) -> int:
    """Settle what an interrupted run left open.

    A resource that was being created when the run died may or may not exist. The lab's providers and Kubernetes take
    over what exists already, so it is forgotten here and made again.
    """
    if not exported(stack).get("pending_operations"):
        return 0
    print("The last run was interrupted; settling what it left open.")  # noqa: T201 - the same
    return pulumi("refresh", "--yes", "--stack", stack, "--skip-preview", "--clear-pending-creates")


def exported(stack: str, project: Path = ROOT) -> dict[str, Any]:
    """Return the stack's deployment as Pulumi keeps it; secrets stay encrypted."""
    return json.loads(_output("stack", "export", "--stack", stack, project=project))["deployment"]


def components(resources: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return type, name and place of each component that the stack composes, parts of components left out."""
    rows: list[tuple[str, str, str]] = []
    for resource in resources:
        kind = resource["type"]
        outputs = resource.get("outputs", {})
        if kind.startswith("falaj:index:") and "::pulumi:pulumi:Stack::" in resource.get("parent", ""):
            place = next((str(outputs[key]) for key in _PLACES if key in outputs), "")
            rows.append((kind.rsplit(":", 1)[1], resource["urn"].rsplit("::", 1)[1], place))
    return rows


def table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return the rows as aligned text below their heading."""
    lines = [heading, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def suggestions(stack: str, resources: Sequence[dict[str, Any]]) -> str:
    """Return what to try next, with names that exist in this stack."""
    tenant = next((place for kind, _, place in components(resources) if kind == "Tenant"), "default")
    return _TRY.format(stack=stack, tenant=tenant)


def pulumi(*arguments: str) -> int:
    """Run the Pulumi CLI on this project, its output as it comes, and return its exit code as a shell would."""
    try:
        code = subprocess.run(["pulumi", *arguments, "--non-interactive"], cwd=ROOT, check=False).returncode
        return code if code >= 0 else 128 - code
    except FileNotFoundError:
        return _refuse("pulumi is not on PATH: run this inside the lab: falaj-lab exec -- python stacks/deploy.py")


def _output(*arguments: str, project: Path = ROOT) -> str:
    command = ["pulumi", *arguments, "--non-interactive"]
    return subprocess.run(command, cwd=project, check=True, stdout=subprocess.PIPE, text=True).stdout


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201 - the same
    return 2


if __name__ == "__main__":
    sys.exit(main())
