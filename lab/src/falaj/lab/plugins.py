"""The plugins that Pulumi finds in a lab, and which of three providers serves the AWS types there."""

import gzip
import importlib.metadata
import json
import os
import shutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from falaj.lab import pulumi_cli
from falaj.lab.environment import link, write_launcher
from falaj.lab.errors import LabError
from falaj.lab.state import Lab
from falaj.lab.table import find, modules, plugins
from falaj.lab.tools import CORE, Resolved, provider_plugin

BRIDGED = "aws-bridged"
"""The tool that is the bridged AWS provider."""

EMULATED_PROVIDERS = {"aws": "pulumi-aws", "vault": "pulumi-vault"}
"""Providers that the lab can emulate, with the SDK whose names they check against."""

REMEMBERED = "aws"
"""The setting of a lab that says what serves the AWS types."""


class Aws(StrEnum):
    """What serves the AWS types of a lab."""

    EMULATED = "emulated"
    """The lab's own thin provider: quick, and less strict than AWS's."""
    BRIDGED = "bridged"
    """HashiCorp's provider, built from source, behind Pulumi's protocol."""
    OFFICIAL = "official"
    """The person's official plugin."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Every tool that a lab with this provider needs."""
        return (*CORE, BRIDGED) if self is Aws.BRIDGED else CORE


def choose(lab: Lab, wanted: Aws | None) -> Aws:
    """Return what shall serve the AWS types: what is wanted, else what did, else what a new lab uses.

    Raises LabError when it cannot: resources in Pulumi's state belong to the provider that wrote them.
    """
    chosen, why = current(lab)
    if wanted and wanted != chosen:
        for stack, count in aws_resources(lab).items():
            raise LabError(
                f"stack {stack} of this lab has {count} AWS resources made through the {chosen} provider ({why});"
                " destroy them or `falaj-lab reset` first, or use another lab: --state DIR"
            )
        chosen = wanted
    if chosen is Aws.OFFICIAL:
        find_official()
    if found := bypass():
        raise LabError(found)
    return chosen


def current(lab: Lab) -> tuple[Aws, str]:
    """Return what serves the AWS types of a lab, or would when it is started, and why."""
    if remembered := lab.settings().get(REMEMBERED):
        return Aws(remembered), "this lab remembers it"
    if provider_plugin("aws"):
        return Aws.OFFICIAL, "you have an official plugin that fits"
    return Aws.EMULATED, "you have no official plugin that fits"


def find_official() -> Resolved:
    """Return the person's official AWS plugin; raise LabError when there is none that fits."""
    wanted, sdk = plugins()["aws"], importlib.metadata.version(EMULATED_PROVIDERS["aws"])
    found = provider_plugin("aws")
    if found is None:
        raise LabError(
            f"no official aws plugin from {wanted.minimum} on and below {wanted.below} is in your PULUMI_HOME;"
            f" get one with `pulumi plugin install resource aws {sdk}` outside the lab,"
            " or use --aws bridged or --aws emulated"
        )
    return found


def bypass() -> str | None:
    """Say which plugin on the person's PATH Pulumi would use whatever the lab has, if there is one."""
    found = shutil.which("pulumi-resource-aws")
    if found is None or os.environ.get("PULUMI_IGNORE_AMBIENT_PLUGINS", "").lower() in ("1", "true"):
        return None
    return (
        f"Pulumi would use {found} of your PATH instead of what this lab says; take it off your PATH,"
        " or set PULUMI_IGNORE_AMBIENT_PLUGINS=true"
    )


def describe(aws: Aws) -> str:
    """Say in words what serves the AWS types."""
    names = f"the names of pulumi-aws {importlib.metadata.version(EMULATED_PROVIDERS['aws'])}"
    match aws:
        case Aws.EMULATED:
            return f"the lab's own provider, with {names}; less strict than AWS's"
        case Aws.BRIDGED:
            known = len(bridged_services())
            return f"HashiCorp's provider {find(BRIDGED).version} for {known} services, with {names}"
        case Aws.OFFICIAL:
            found = provider_plugin("aws")
            return f"{found.why}, {found.version}" if found else "your official plugin, which is not there any more"


def bridged_services() -> tuple[str, ...]:
    """Return the AWS services that the bridged provider knows, as HashiCorp names their packages."""
    return modules()["aws"].lists["services"]


def aws_resources(lab: Lab) -> Mapping[str, int]:
    """Count the AWS resources of each stack that has any; what an interrupted run was about to make counts too."""
    backend = lab.root / "pulumi-state"
    pulumi_cli.remove_stale_locks(backend)  # and restore what such a run had moved aside
    if any((backend / ".pulumi" / "locks").rglob("*.json")):
        raise LabError("a Pulumi run is at work in this lab; wait until it has ended, or `pulumi cancel` it")
    stacks = backend / ".pulumi" / "stacks"
    counts: dict[str, int] = {}
    for path in (*sorted(stacks.rglob("*.json")), *sorted(stacks.rglob("*.json.gz"))):
        try:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            latest: dict[str, Any] = json.loads(content)["checkpoint"].get("latest") or {}
        except (OSError, EOFError, ValueError, KeyError) as error:
            raise LabError(
                f"cannot read Pulumi's state {path}; mend it, or `falaj-lab reset`, to change what serves AWS types"
            ) from error
        pending = [operation["resource"] for operation in latest.get("pending_operations") or ()]
        made = [each for each in (*(latest.get("resources") or ()), *pending) if each["type"].startswith("aws:")]
        if made:
            counts[str(path.relative_to(stacks)).partition(".json")[0]] = len(made)
    return counts


def prepare_plugins(lab: Lab, resolved: Mapping[str, Resolved], aws: Aws) -> None:
    """Install the language host and one plugin for each provider, and remember what serves the AWS types."""
    lab.remember(REMEMBERED, aws)
    folder = lab.folder("pulumi", "plugins")
    pulumi = resolved["pulumi"].path
    assert pulumi is not None
    if not (pulumi.resolve().parent / "pulumi-language-python").exists() and not shutil.which("pulumi-language-python"):
        version = importlib.metadata.version("pulumi")
        write_launcher(
            lab.folder("pulumi", "plugins", f"language-python-v{version}") / "pulumi-language-python",
            "falaj.lab.language_host",
        )
    kubernetes = resolved["pulumi-resource-kubernetes"]
    install_plugin(folder, "kubernetes", kubernetes.version, kubernetes.path)
    for name, sdk in EMULATED_PROVIDERS.items():
        version = importlib.metadata.version(sdk)
        if name == "aws" and aws is Aws.BRIDGED:
            install_plugin(folder, name, version, resolved[BRIDGED].path)
        elif official := (None if name == "aws" and aws is Aws.EMULATED else provider_plugin(name)):
            install_plugin(folder, name, official.version, official.path)
        else:
            write_launcher(plugin_place(folder, name, version), f"falaj.lab.provider.{name}")


def install_plugin(folder: Path, name: str, version: str, executable: Path | None) -> None:
    """Link one provider plugin into Pulumi's plugin folder under the name and version that it has."""
    assert executable is not None
    link(plugin_place(folder, name, version), executable)


def plugin_place(folder: Path, name: str, version: str) -> Path:
    """Return where Pulumi looks for the only plugin of a provider; one of another version is removed.

    Pulumi would take the newest that fits, whatever it is.
    """
    chosen = folder / f"resource-{name}-v{version.removeprefix('v')}"
    for other in folder.glob(f"resource-{name}-v*"):
        if other.is_dir() and not other.is_symlink() and other != chosen:
            shutil.rmtree(other)
    chosen.mkdir(mode=0o700, exist_ok=True)
    return chosen / f"pulumi-resource-{name}"
