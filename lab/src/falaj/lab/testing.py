"""A lab for tests: used through its command line, as a person uses it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import hvac


@dataclass(frozen=True)
class RunningLab:
    """One lab, named by its state directory."""

    root: Path

    def command(self, *arguments: str) -> Sequence[str]:
        """Return the command line of a `falaj-lab` command on this lab."""
        return [str(Path(sys.executable).with_name("falaj-lab")), "--state", str(self.root), *arguments]

    def run(self, *arguments: str, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a `falaj-lab` command; unless told otherwise, expect it to succeed."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout, check=False, env=person()
        )
        if check and done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise AssertionError(f"`falaj-lab {' '.join(arguments)}` ended with {done.returncode}: {said}")
        return done

    def status(self) -> dict[str, Mapping[str, Any]]:
        """Return how each service is, as `falaj-lab status --json` says it."""
        answer = json.loads(self.run("status", "--json", check=False).stdout)
        return {service["name"]: service for service in answer["services"]}

    def aws(self, service: str, **more: Any) -> Any:
        """Return a boto3 client of the lab's AWS; ``more`` are further arguments of it, or others."""
        make: Any = boto3.client  # its stubs know services by their literal names only
        told = {
            "endpoint_url": self.env["AWS_ENDPOINT_URL"],
            "region_name": self.env["AWS_REGION"],
            "aws_access_key_id": self.env["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self.env["AWS_SECRET_ACCESS_KEY"],
        }
        return make(service, **{**told, **more})

    def vault(self) -> hvac.Client:
        """Return a client of the lab's OpenBao that may do everything."""
        return hvac.Client(self.env["VAULT_ADDR"], self.env["VAULT_TOKEN"], verify=self.env["VAULT_CACERT"])

    @cached_property
    def env(self) -> Mapping[str, str]:
        """The environment of a program that uses the lab: the person's variables and the lab's own.

        Pulumi writes a stack's state once, when it ends: after each step would be two fifths of all it does. Whoever
        interrupts it takes ``PULUMI_SKIP_CHECKPOINTS`` out.
        """
        return {**person(), **json.loads(self.run("env", "--json").stdout), "PULUMI_SKIP_CHECKPOINTS": "true"}


@contextmanager
def temporary_lab(
    root: Path,
    aws: str | None = None,
    only: Sequence[str] = (),
    authorizer: str | None = None,
    *,
    serving: bool = False,
) -> Generator[RunningLab]:
    """Run a lab in a folder that is removed afterwards; where its tools are missing, they are built first.

    ``aws`` says what serves the AWS types, as `falaj-lab up --aws` does, ``only`` which services run, ``authorizer``
    what decides in the emulated AWS who may do what, ``serving`` whether models can be served.
    """
    running = RunningLab(root)
    try:
        options = [*(("--aws", aws) if aws else ()), *(f"--only={name}" for name in only)]
        options += [f"--authorizer={authorizer}"] if authorizer else []
        options += ["--serving"] if serving else []
        running.run("up", *options, timeout=1800)
        yield running
    finally:
        running.run("down", check=False)
        shutil.rmtree(root, ignore_errors=True)


def person() -> dict[str, str]:
    """Return the environment of a person who uses no lab and no cloud."""
    foreign = ("FALAJ_", "AWS_", "VAULT_", "PULUMI_", "KUBECONFIG")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign) or name == "FALAJ_CACHE"}
