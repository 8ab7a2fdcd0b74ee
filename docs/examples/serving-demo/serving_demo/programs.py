"""Programs that are installed beside this Python, run as a person runs them."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from falaj.lab.errors import LabError
from falaj.lab.progress import Progress
from falaj.lab.testing import person


def run(
    progress: Progress,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    on_line: Callable[[str], object] = lambda _: None,
) -> Sequence[str]:
    """Run a program and return its lines; ``env`` is that of a person who uses no lab where it is left out.

    Raises ``LabError`` with what it said last where it fails.
    """
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        on_line(line)

    beside = Path(sys.executable).parent / command[0]
    program = str(beside) if beside.exists() else command[0]
    status = progress.run([program, *command[1:]], take, env=env or person(), cwd=cwd)
    if status:
        said = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        raise LabError(f"`{' '.join(command[:2])}` ended with {status}: {said}")
    return lines
