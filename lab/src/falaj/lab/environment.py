"""What a program needs to find a lab: its environment variables and its commands."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from falaj.lab.state import REGION, Lab, write_private
from falaj.lab.tools import CORE, Resolved


def environment(lab: Lab) -> dict[str, str]:
    """Return the variables that lead Pulumi, AWS, Kubernetes and Vault clients to this lab and to nothing else."""
    ports = lab.ports()
    return {
        "FALAJ_LAB": str(lab.root),
        "PATH": f"{lab.root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "PULUMI_HOME": str(lab.root / "pulumi"),
        # Without its files of metadata: a killed CLI can leave an empty one, and then refuses the whole state.
        "PULUMI_BACKEND_URL": f"file://{lab.root / 'pulumi-state'}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(lab.root / "secrets" / "passphrase"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports.get('moto', 0)}",
        "AWS_ACCESS_KEY_ID": f"AKIA{lab.secret('aws-access-key')[:16].upper()}",
        "AWS_SECRET_ACCESS_KEY": lab.secret("aws-secret-key"),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "VAULT_ADDR": f"https://127.0.0.1:{ports.get('openbao', 0)}",
        "VAULT_TOKEN": read_secret(lab, "vault-token"),
        "VAULT_CACERT": str(lab.root / "pki" / "ca.crt"),
        "KUBECONFIG": str(lab.root / "kubeconfig"),
    }


def read_secret(lab: Lab, name: str) -> str:
    """Return a secret that another part of the lab made, or nothing while it is not there."""
    path = lab.root / "secrets" / name
    return path.read_text().strip() if path.exists() else ""


def prepare_bin(lab: Lab, resolved: Mapping[str, Resolved]) -> None:
    """Put the lab's commands into ``bin``.

    ``bin/pulumi`` is a launcher that keeps a run inside the lab (see `falaj.lab.pulumi_cli`).
    """
    lab.secret("passphrase")
    lab.folder("pulumi-state")
    commands = lab.folder("bin")
    for name in CORE:
        path = resolved[name].path
        if path is not None and not name.startswith("pulumi"):
            link(commands / name, path)
    pulumi = resolved["pulumi"].path
    assert pulumi is not None
    link(lab.folder("libexec") / "pulumi", pulumi)
    write_launcher(commands / "pulumi", "falaj.lab.pulumi_cli")


def link(path: Path, target: Path) -> None:
    """Make ``path`` a symbolic link to ``target``, whatever it was before."""
    if path.is_symlink() and path.readlink() == target:
        return
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def write_launcher(path: Path, module: str) -> None:
    """Write a command that runs one of the lab's modules under this interpreter, untouched by the current folder."""
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m {module} "$@"\n'
    if path.is_symlink() or not path.exists() or path.read_text() != text:
        path.unlink(missing_ok=True)
        write_private(path, text)
        path.chmod(0o700)
