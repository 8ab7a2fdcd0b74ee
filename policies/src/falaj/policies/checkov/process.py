"""checkov as one warm process: started once, asked as often as is wanted."""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from falaj.policies.errors import PolicyError

_WORKER = Path(__file__).with_name("worker.py")
_PATIENCE = 600.0


class Checkov:
    """A process that runs checkov's runners; a stack goes to it through a pipe, so that no secret touches a disk."""

    def __init__(self, python: Path, patience: float = _PATIENCE) -> None:
        self._patience = patience
        # Neither credentials nor settings of the person: what it says must depend on the stack alone.
        environment = {"PATH": os.defpath, "HOME": str(python.parents[1]), "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            [python, "-I", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            start_new_session=True,  # it may start others, and is ended with them
        )
        self.version: str = self._answer()["version"]

    def __enter__(self) -> Self:
        """Use it for a while."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return what checkov finds; raises ``PolicyError`` when it cannot say."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise PolicyError("checkov ended before it was asked; run this again, or without --checkov") from error
        answer = self._answer()
        if "error" in answer:
            raise PolicyError(f"checkov could not read the stack ({answer['error']}); run this without --checkov")
        return answer

    def close(self) -> None:
        """End the process and what it started."""
        self._kill()
        self._process.communicate()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watch = threading.Timer(self._patience, self._kill)
        watch.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watch.cancel()
        if not line:
            self.close()
            raise PolicyError(f"checkov gave no answer within {self._patience:.0f} s, or ended; run without --checkov")
        return json.loads(line)
