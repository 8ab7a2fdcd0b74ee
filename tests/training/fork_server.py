"""Forks workers from a process that has torch already: their start takes no seconds, and all else of them is real.

A line of JSON comes in for each: what to do, with which arguments and variables; a line goes out with its process id.
A line with a process id alone waits for it, and goes out with its exit code.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import torch._dynamo  # noqa: F401 - optimizers would import it in every worker

from falaj.training import worker
from falaj.training.job import load_job
from falaj.training.trained import load_trained  # this, and the loop behind it, is what takes long
from falaj.training.user import load_user


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer = os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]) if isinstance(asked, int) else fork(**asked)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def write_weights(arguments: list[str]) -> None:
    """Write the model of the last checkpoint: Python's numbers hold all bits of torch's."""
    path, out, *sets = arguments
    job = load_job(Path(path), sets)
    model, position = load_trained(job, load_user(job))
    values = {name: value.tolist() for name, value in model.state_dict().items()}
    Path(out).write_text(json.dumps({"step": position.step, **values}))


DO = {"work": worker.main, "weights": write_weights}


def fork(do: str, arguments: list[str], variables: dict[str, str], log: str) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        os.environ.update(variables)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        os.close(0)
        DO[do](arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
