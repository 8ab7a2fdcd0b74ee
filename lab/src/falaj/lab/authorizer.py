"""Asks a program whether a caller of the emulated AWS may do what it asks: a line of JSON each way.

A question names ``principal``, ``action``, ``resource``, the resource's ``account``, the request's ``context`` (IAM's
condition keys), and the policies that count: ``identity_policies``, ``resource_policy``, ``permission_boundaries``,
``session_policy`` and ``scps`` (a list for each level of the organization). The answer says ``allowed`` and
``because``, or ``error`` where the program cannot decide. docs/lab.md has an example.
"""

import json
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from falaj.lab.errors import LabError


@dataclass(frozen=True)
class Verdict:
    """What the program decided, and why."""

    allowed: bool
    because: str


class Authorizer:
    """A program that stays running and is asked one question at a time."""

    def __init__(self, command: Sequence[str]):
        self._command = list(command)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: Mapping[str, Any]) -> Verdict:
        """Return the verdict; raise `LabError` where there is none, so that nothing is allowed by accident."""
        with self._lock:
            answer = self._exchange(json.dumps(question))
        if "error" in answer:
            asked = f"{question['action']} on {question['resource']}"
            raise LabError(f"the authorizer cannot decide {asked}: {answer['error']}")
        return Verdict(answer["allowed"] is True, str(answer["because"]))

    def close(self) -> None:
        """Let the program end; it is started again when it is asked again."""
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _exchange(self, line: str) -> dict[str, Any]:
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            answer = ""
        if not answer.endswith("\n"):
            process.kill()  # its pipes may close a moment before it ends, and nobody else is to ask it
            self.close()
            raise LabError(f"the authorizer ended without an answer; try it by hand: {' '.join(self._command)}")
        return json.loads(answer)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            try:
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
                )
            except OSError as error:
                raise LabError(f"cannot start the authorizer {self._command[0]}: {error.strerror}") from error
        return self._process
