"""The two sides of the comparison: one program in two labs, one with each provider."""

import json
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from inventory import Aws
from normalize import Names

from falaj.lab.plugins import Aws as AwsProvider
from falaj.lab.testing import RunningLab, temporary_lab

ROOT = Path(__file__).parents[2]
_LONGEST = 15 * 60
T = TypeVar("T")


class SideError(Exception):
    """A command that had to succeed failed on one side."""

    def __init__(self, provider: str, command: str, said: str) -> None:
        super().__init__(f"{provider}: {command} failed: {said}")
        self.provider, self.command, self.said = provider, command, said


@dataclass(frozen=True)
class Program:
    """A Pulumi program with one stack, and how it comes up and goes."""

    stack: str
    folder: Path
    up: Sequence[Sequence[str]]
    down: Sequence[str]
    variant: Path
    """The project in which FALAJ_FIDELITY_ARGUMENTS changes arguments of the same program."""
    only: Sequence[str] = ()
    """The services of the lab that it needs; none named are all."""


def platform(stack: str) -> Program:
    """Return one of falaj's own stacks, deployed as `make up` does it."""
    deploy = (sys.executable, "stacks/deploy.py", stack)
    return Program(stack, ROOT, (deploy,), (*deploy, "--destroy"), Path(__file__).parent / "variant")


@dataclass
class Side:
    """One program in one lab."""

    provider: str
    lab: RunningLab
    program: Program
    aws: Aws = field(init=False)

    def __post_init__(self) -> None:
        self.aws = Aws(self.lab)

    def run(self, *command: str, cwd: Path | None = None, check: bool = True, **variables: str) -> str:
        """Run a command inside the lab and return what it printed."""
        done = subprocess.run(
            command,
            cwd=cwd or self.program.folder,
            env={**self.lab.env, **variables},
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode:
            raise SideError(self.provider, " ".join(command), errors(done.stdout + done.stderr))
        return done.stdout

    def up(self) -> None:
        """Deploy the program."""
        for command in self.program.up:
            self.run(*command)

    def down(self) -> None:
        """Destroy what the program made."""
        self.run(*self.program.down)

    def pulumi(self, *command: str, check: bool = True, cwd: Path | None = None, **variables: str) -> str:
        """Run the CLI on the stack."""
        stack = ("--stack", self.program.stack, "--non-interactive")
        return self.run("pulumi", *command, *stack, check=check, cwd=cwd, **variables)

    def preview(self, *options: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what Pulumi says that it would do, as JSON; a refusal is an answer too."""
        cwd = self.program.folder if arguments is None else self.program.variant
        said = self.pulumi(
            "preview",
            "--json",
            *options,
            cwd=cwd,
            check=False,
            FALAJ_FIDELITY_ARGUMENTS=json.dumps(arguments or {}),
        )
        try:
            return json.loads(said)
        except json.JSONDecodeError:
            raise SideError(self.provider, "pulumi preview --json", errors(said)) from None

    def resources(self) -> list[dict[str, Any]]:
        """Return the stack's state, secrets in plain."""
        return json.loads(self.pulumi("stack", "export", "--show-secrets"))["deployment"].get("resources", [])

    def names(self) -> Names:
        """Return what stands for what on this side, as its state has it."""
        return Names(self.resources())


@contextmanager
def two_labs(
    folder: Path, program: Program, keep: bool = False, judge: AwsProvider = AwsProvider.BRIDGED
) -> Generator[tuple[Side, Side]]:
    """Run a lab with the emulated provider and one with its judge; both go afterwards, unless they shall be kept."""
    with ExitStack() as labs:
        sides: list[Side] = []
        for provider in (AwsProvider.EMULATED, judge):
            root = folder / provider
            if keep:
                lab = RunningLab(root)
                only = [part for service in program.only for part in ("--only", service)]
                lab.run("up", "--aws", provider, *only, timeout=1800)
            else:
                lab = labs.enter_context(temporary_lab(root, aws=provider, only=program.only))
            sides.append(Side(provider, lab, program))
        yield sides[0], sides[1]


def errors(said: str) -> str:
    """Return the lines that tell of an error, each once, else the last ones."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [f"error: {line.partition('error:')[2].strip()}" for line in lines if "error:" in line]
    return "; ".join(dict.fromkeys(told)) or " / ".join(lines[-5:])


def both(sides: Sequence[Side], action: Callable[[Side], T]) -> tuple[T, T]:
    """Return what an action gives on the two sides, done side by side."""
    with ThreadPoolExecutor(max_workers=2) as threads:
        emulated, bridged = threads.map(action, sides)
    return emulated, bridged
