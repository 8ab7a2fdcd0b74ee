"""A run that was killed and resumed ends with the weights of one that was not, bit for bit."""

from pathlib import Path

import pytest
from training.runs import Server, hold, let_go, since_start, step, until, write_job

VARIANTS = {
    "one worker": (),
    "accumulated parts": ("optimizer.accumulate=2",),
    "momentum": ("optimizer.name=sgd", "optimizer.momentum=0.9"),
    "plain descent": ("optimizer.name=sgd",),
    "bfloat": ("precision.compute=bf16",),
    "a loading process": ("data.processes=2",),
    "a stream": ("data.settings.stream=true",),
    "two workers": ("parallel.workers=2",),
    "three workers": ("parallel.workers=3", "optimizer.batch_size=9"),
    "two workers, accumulated": ("parallel.workers=2", "optimizer.accumulate=2"),
    "two sharded workers": ("parallel.workers=2", "parallel.strategy=fsdp"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_killed_run_ends_with_the_same_bits(variant: str, tmp_path: Path, server: Server) -> None:
    sets = VARIANTS[variant]
    whole = write_job(tmp_path / "whole", *sets)
    server.run(whole)
    killed = write_job(tmp_path / "killed", *sets, "data.settings.pause=0.002")
    hold(killed, 39)
    workers = server.start(killed)
    until(lambda: step(killed) >= 17, "step 17")
    workers.kill(range(len(workers.pids)))
    let_go(killed)
    assert set(workers.wait()) == {-9}
    server.run(killed)
    begun = since_start(killed)[0]
    assert begun["event"] == "resume" and begun["exact"] and begun["step"] in (7, 14, 21, 28, 35)
    assert server.weights(killed) == server.weights(whole)
