"""The parts of the loop, each on its own: order of the data, learning rate, random states, meters, metrics."""

import random
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training.runs import write_job

from falaj.training.energy import Meter
from falaj.training.errors import RefusedError
from falaj.training.flops import counted, peak
from falaj.training.metrics import Metrics
from falaj.training.optimizer import learning_rate
from falaj.training.order import Loader, Order, Share
from falaj.training.position import Position, WorkerPosition, decode, random_states, seed_all, set_random_states
from falaj.training.precision import prepare
from falaj.training.tables import Compute, OptimizerTable, PrecisionTable, Schedule

sizes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))


def taken(size: int, share: tuple[int, int, int], steps: int, seed: int) -> list[list[int]]:
    """Return, by step, the examples that all workers take; a share is workers, parts, and examples of a step."""
    workers, parts, batch_size = share
    orders = [Order(size, Share(rank, workers, batch_size, parts), seed) for rank in range(workers)]
    return [[each for _ in range(parts) for order in orders for each in next(order).indices] for _ in range(steps)]


@settings(max_examples=25)
@given(sizes, st.integers(0, 2**32 - 1))
def test_every_number_of_workers_takes_the_same_examples_in_each_step(given_: tuple[int, ...], seed: int) -> None:
    workers, parts, times, epochs = given_
    batch_size = workers * parts * times
    size = batch_size * 4 - 1
    one = taken(size, (1, 1, batch_size), 3 * epochs, seed)
    assert taken(size, (workers, parts, batch_size), 3 * epochs, seed) == one
    for epoch in range(epochs):
        seen = {each for step in one[3 * epoch : 3 * epoch + 3] for each in step}
        assert len(seen) == 3 * batch_size


def test_epochs_are_shuffled_anew_and_seeds_differ() -> None:
    first, second = taken(40, (1, 1, 40), 2, 1)
    assert first != second and sorted(first) == sorted(second)
    assert taken(40, (1, 1, 40), 1, 2)[0] != first


@pytest.mark.parametrize("kind", ["data set", "stream", "stream with a place"])
@settings(max_examples=25)
@given(st.integers(0, 12))
def test_a_loader_is_taken_up_at_any_step(kind: str, step: int) -> None:
    def loader() -> Loader:
        makes = {
            "data set": lambda: list(range(23)),
            "stream": lambda: iter(range(23)),
            "stream with a place": Counting,
        }
        return Loader(makes[kind], Share(0, 1, 4, 1), 3)

    whole = loader()
    going = iter(whole)
    expected = [next(going).tolist() for _ in range(15)]
    stopped = loader()
    running = iter(stopped)
    for _ in range(step):
        next(running)
    state = stopped.state()
    resumed, moved = loader(), loader()
    resumed.resume(state)
    moved.go_to(step)
    for each in (resumed, moved):
        again = iter(each)
        assert [next(again).tolist() for _ in range(15 - step)] == expected[step:]


class Counting:
    """An iterable that knows its place."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> Any:
        while self.at < 23:
            self.at += 1
            yield self.at - 1

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]


@settings(max_examples=25)
@given(st.sampled_from(Schedule), st.integers(0, 20), st.integers(1, 100), st.floats(0, 1))
def test_the_learning_rate_rises_to_its_peak_and_never_above(
    schedule: Schedule, warmup: int, steps: int, final: float
) -> None:
    table = OptimizerTable(learning_rate=0.5, batch_size=1, schedule=schedule, warmup_steps=warmup, final=final)
    rates = [learning_rate(step, table, steps + warmup) for step in range(steps + warmup)]
    assert all(0 <= rate <= 0.5 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup]) and rates[warmup] == 0.5
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    if schedule is not Schedule.CONSTANT:
        assert learning_rate(steps + warmup, table, steps + warmup) == pytest.approx(0.5 * final)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(0, 9))
def test_random_numbers_go_on_where_they_were(seed: int, drawn: int, normal: int) -> None:
    seed_all(seed, 1)
    for _ in range(drawn):
        draw()
    random.gauss(0, 1)
    np.random.normal(size=normal)
    device = torch.device("cpu")
    here = WorkerPosition(random_states(device), {})
    there = decode(Position(3, (here,), 1).encode())
    expected = [draw() for _ in range(5)]
    seed_all(0)
    set_random_states(there.workers[0].random, device)
    assert [draw() for _ in range(5)] == expected


def draw() -> tuple[float, ...]:
    plain = random.random(), random.gauss(0, 1)  # noqa: S311 - it is what user code draws
    return *plain, np.random.normal(), torch.rand(()).item(), torch.randn(()).item()


def test_a_state_of_data_that_is_no_plain_value_is_refused() -> None:
    place = Position(1, (WorkerPosition({}, {"place": torch.ones(2)}),), 1)
    with pytest.raises(RefusedError, match=r"data.entry must give examples whose state_dict holds numbers"):
        place.encode()


class Nvml:
    """NVML as far as a meter asks it: 200 W, and a counter where the GPU has one."""

    class NVMLError(Exception):
        pass

    def __init__(self, counts: bool) -> None:
        self.counts, self.seconds = counts, 0.0

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's names
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        return uuid

    def nvmlDeviceGetPowerUsage(self, device: str) -> int:  # noqa: N802
        return 200_000

    def nvmlDeviceGetTotalEnergyConsumption(self, device: str) -> int:  # noqa: N802
        if not self.counts:
            raise self.NVMLError
        return int(1e9 + self.seconds * 200_000)


@pytest.mark.parametrize("counts", [True, False])
def test_energy_is_counted_by_the_gpu_or_summed_up_from_its_power(counts: bool) -> None:
    nvml = Nvml(counts)
    meter = Meter(nvml, "GPU-1", clock=lambda: nvml.seconds)
    assert (meter.watts(), meter.joules()) == (200.0, 0.0)
    for nvml.seconds in (1.0, 3.5, 10.0):
        assert meter.joules() == pytest.approx(200 * nvml.seconds)


def test_operations_of_a_matrix_product_are_counted_and_peaks_are_told_by_name() -> None:
    assert counted(lambda: torch.ones(4, 5) @ torch.ones(5, 6)) == 2 * 4 * 5 * 6
    bf16, fp32 = PrecisionTable(compute=Compute.BF16), PrecisionTable()
    assert peak("NVIDIA H100 80GB HBM3", bf16) == 989e12
    assert peak("NVIDIA H100 PCIe", bf16) == 756e12
    assert peak("NVIDIA A100-SXM4-80GB", fp32) == 19.5e12
    assert peak("NVIDIA L4", bf16) == 121e12
    assert peak("NVIDIA L40", bf16) is None, "no L4, though its name begins so"
    assert peak("Another Device", bf16) is None


def test_without_deterministic_mode_single_precision_is_multiplied_as_tf32_and_held_against_its_peak() -> None:
    exact, fast = PrecisionTable(), PrecisionTable(deterministic=False)
    assert (peak("NVIDIA H200", exact), peak("NVIDIA H200", fast)) == (67e12, 494e12)
    try:
        for table in (fast, exact):
            prepare(table)
            found = torch.get_float32_matmul_precision() == "high", torch.backends.cudnn.allow_tf32
            assert found == (not table.deterministic, not table.deterministic)
    finally:
        torch.use_deterministic_algorithms(False)


def test_prometheus_is_told_by_file_and_port_where_the_job_asks_for_it(tmp_path: Path) -> None:
    job = write_job(tmp_path, "report.metrics_file=metrics.prom", "report.metrics_port=0")
    job.folder.mkdir(parents=True)
    metrics = Metrics(job)
    lines: list[dict[str, Any]] = [
        {"event": "begin", "step": 0, "steps": 40},
        {"event": "progress", "step": 7, "loss": 0.5, "samples_per_second": 80.0},
        {"event": "checkpoint", "step": 7},
    ]
    for line in lines:
        metrics.take(line)
    with urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=30) as answer:
        asked = answer.read().decode()
    for text in (asked, (job.folder / "metrics.prom").read_text()):
        assert 'falaj_training_loss{job="toy"} 0.5' in text
        assert 'falaj_training_saved_step{job="toy"} 7.0' in text
        assert 'falaj_training_saved_share{job="toy"} 0.175' in text
        assert 'falaj_training_starts_total{job="toy"} 1.0' in text
    with pytest.raises(RefusedError, match=r"report.metrics_port must be free on 127.0.0.1"):
        Metrics(write_job(tmp_path, f"report.metrics_port={metrics.port}"))


def test_a_process_that_has_lost_its_parent_does_not_live_on() -> None:
    import os
    import signal
    import subprocess
    import sys

    from falaj.training.process import PARENT

    code = "from falaj.training.process import die_with_parent; die_with_parent(); print('alive')"
    for parent, expected in ((os.getpid(), 0), (1, -signal.SIGKILL)):
        environment = os.environ | {PARENT: str(parent)}
        ended = subprocess.run([sys.executable, "-c", code], env=environment, timeout=120, check=False)
        assert ended.returncode == expected
