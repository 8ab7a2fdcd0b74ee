"""How long training stands still when a worker is killed: `python tests/bench/training_recovery_bench.py`.

Two workers train the transformer of docs/examples/training-text on the processor; one of them, drawn at random, is
killed at a random moment, again and again in one run. Recovery is the time from the kill to the first step after it;
its baseline is the same from the start of `falaj-train`.
"""

import argparse
import base64
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from falaj.training import events
from falaj.training.job import load_job

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "training-text"
EVERY = 10
"""Steps between two checkpoints."""
PATIENCE = 60.0

T = TypeVar("T")


def main() -> None:
    """Kill and measure, and print a line of the table that docs/benchmarks.md keeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)  # noqa: S311 - it picks moments
    with tempfile.TemporaryDirectory(prefix="falaj-bench-") as scratch:
        job = prepared(Path(scratch) / "job")
        began = time.time()
        launcher = subprocess.Popen(command(job, given.kills), stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            run = Run(job, launcher)
            first = run.step_after(began)["time"] - began
            found = [run.killed(chance) for _ in range(given.kills)]
        finally:
            os.killpg(launcher.pid, signal.SIGTERM)
            launcher.wait(PATIENCE)
    seconds = sorted(each for each, _ in found)
    p95 = seconds[max(0, -(-len(seconds) * 95 // 100) - 1)]
    middle, lost = statistics.median(seconds), [each for _, each in found]
    print(f"baseline: from the start to the first step: {first:.1f} s")
    print(
        f"{len(found)} of {given.kills} kills recovered: {middle:.1f} s ({seconds[0]:.1f} to {seconds[-1]:.1f}),",
        end=" ",
    )
    print(f"95 % in {p95:.1f} s, ratio {middle / first:.2f}; target 10 s")
    print(f"steps lost: {statistics.median(lost)}, at most {max(lost)}; a checkpoint every {EVERY} steps")


class Run:
    """The run that is disturbed."""

    def __init__(self, folder: Path, launcher: "subprocess.Popen[bytes]") -> None:
        self._folder, self._launcher = load_job(folder / "job.toml").folder, launcher

    def killed(self, chance: random.Random) -> tuple[float, int]:
        """Kill one worker at a moment; return the seconds until a step was done again, and the steps lost."""
        begun = self._lines()[-1]["step"]
        last = begun + chance.randrange(1, 3 * EVERY)
        self._until(lambda: self._lines()[-1].get("step", 0) >= last)
        time.sleep(chance.uniform(0, 0.05))
        (torchrun,) = children(self._launcher.pid)
        victim = chance.choice(children(torchrun))
        os.kill(victim, signal.SIGKILL)
        moment = time.time()
        done = self.step_after(moment, again=True)
        reached = max(line["step"] for line in self._lines() if line["event"] == "progress" and line["time"] <= moment)
        resumed = [line["step"] for line in self._lines() if line["event"] in ("begin", "resume")][-1]
        return done["time"] - moment, reached - resumed

    def step_after(self, moment: float, *, again: bool = False) -> dict[str, Any]:
        """Wait for the first step that workers did which started after a moment."""

        def find() -> dict[str, Any] | None:
            lines = [line for line in self._lines() if line["time"] > moment]
            starts = [index for index, line in enumerate(lines) if line["event"] in ("begin", "resume")]
            if not starts:
                return None
            return next((line for line in lines[starts[0] :] if line["event"] == "progress"), None)

        return self._until(find)

    def _lines(self) -> list[dict[str, Any]]:
        return [dict(line) for line in events.read(self._folder)] or [{"event": "", "step": 0, "time": 0.0}]

    def _until(self, ask: Callable[[], T]) -> T:
        end = time.monotonic() + PATIENCE
        while not (answer := ask()):
            if time.monotonic() > end or self._launcher.poll() is not None:
                sys.exit(f"the run did not recover: see {self._folder}")
            time.sleep(0.02)
        return answer


def prepared(folder: Path) -> Path:
    """Copy the example, with a key."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("runs", "checkpoints", "*.key", "__pycache__"))
    key = folder / "checkpoint.key"
    key.touch(0o600)
    key.write_bytes(base64.b64encode(os.urandom(32)))
    return folder


def command(folder: Path, kills: int) -> list[str]:
    """Return how the run is started."""
    sets = ["parallel.workers=2", "parallel.device=cpu", f"parallel.restarts={kills}", "budget.steps=1000000"]
    sets += [f"checkpoints.every={EVERY}", "report.every_steps=1"]
    return [
        *(sys.executable, "-m", "falaj.training.cli", "run", str(folder / "job.toml")),
        *(part for each in sets for part in ("--set", each)),
    ]


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    main()
