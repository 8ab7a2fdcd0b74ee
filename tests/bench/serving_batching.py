"""What the configuration that an export gets is worth: the same model with it, and as Triton serves it by default."""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from manual import model as text_model
from serving_load import Measured, Target, measure, middle, spread, told

from falaj.lab.serving import triton
from falaj.lab.simulation.plots import HEIGHT, WIDTH, lines
from falaj.lab.state import Lab, free_port
from falaj.training.export.folder import Module, export
from falaj.training.export.section import ExportSection
from falaj.training.serving.triton_text import top_fields

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
LENGTH = 8
"""Bytes of text in one request."""
SETTINGS = {"layers": 4, "width": 256, "heads": 4, "context": 64}
GENERATED, DEFAULTS = "generated", "defaults"
OURS = {"dynamic_batching", "instance_group", "parameters"}
"""What an export says beside what Triton must be told."""
READY = 300.0
Sweep = dict[int, list[Measured]]
Costs = dict[str, dict[int, list[tuple[float, float]]]]
"""Milliseconds of processor time for each request, and requests in a batch: these hold on a busy machine too."""


def batching(folder: Path, seconds: float, runs: int, plot: Path) -> None:
    """Measure both at each number of clients, by turns; print the table and draw the plot."""
    repository = folder / "models"
    _export(repository)
    found: dict[str, Sweep] = {name: {clients: [] for clients in CLIENTS} for name in (GENERATED, DEFAULTS)}
    costs: Costs = {name: {clients: [] for clients in CLIENTS} for name in found}
    with serving(folder, repository) as (ports, server):
        print(f"Triton's own: {_said(ports, DEFAULTS)}; of the export: {_said(ports, GENERATED)}\n", flush=True)
        for run in range(runs):
            for clients in CLIENTS:
                turn = (GENERATED, DEFAULTS) if run % 2 else (DEFAULTS, GENERATED)
                for name in turn:
                    began, answered, computed = _spent(server), *_counts(ports, name)
                    found[name][clients].append(measure(_target(ports, name), clients, seconds))
                    requests, batches = (
                        now - then for now, then in zip(_counts(ports, name), (answered, computed), strict=True)
                    )
                    costs[name][clients].append((1000 * (_spent(server) - began) / requests, requests / batches))
    _table(found)
    _costs_table(costs)
    plot.write_text(drawn(found) + "\n")


def drawn(found: dict[str, Sweep]) -> str:
    """Draw throughput over the number of clients, and below it the 99th percentile of latency over throughput."""
    names = {"as exported": GENERATED, "Triton's defaults": DEFAULTS}
    medians = {
        name: {clients: middle(several) for clients, several in found[key].items()} for name, key in names.items()
    }
    rates = {name: [(clients, one.rate) for clients, one in sweep.items()] for name, sweep in medians.items()}
    tails = {name: [(one.rate, one.p99) for one in sweep.values()] for name, sweep in medians.items()}
    above = lines("Throughput", "clients, each with a request at a time", "requests a second", rates)
    below = lines("Latency", "requests a second, a point for each number of clients", "99th percentile, ms", tails)
    below = below.replace("<svg ", f'<svg y="{HEIGHT}" ', 1)
    size = f'viewBox="0 0 {WIDTH} {2 * HEIGHT}" width="{WIDTH}" height="{2 * HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{above}{below}</svg>'


def at_most(sweep: Sweep, p99: float) -> float:
    """Return the highest throughput (median) of a sweep whose 99th percentile stays within a bound, else 0."""
    return max((one.rate for one in map(middle, sweep.values()) if one.p99 <= p99), default=0.0)


def _table(found: dict[str, Sweep]) -> None:
    print("| clients | Triton's defaults: requests a second, p99 ms | as exported | throughput as a ratio |")
    print("| --- | --- | --- | --- |")
    for clients in CLIENTS:
        ours, theirs = found[GENERATED][clients], found[DEFAULTS][clients]
        ratios = [one.rate / other.rate for one, other in zip(ours, theirs, strict=True)]
        print(f"| {clients} | {told(theirs)} | {told(ours)} | {spread(ratios, '.2f')} |")
    print(
        "\n| p99 at most, ms | Triton's defaults, requests a second | as exported | ratio |\n| --- | --- | --- | --- |"
    )
    for clients in CLIENTS:
        bound = middle(found[DEFAULTS][clients]).p99
        theirs, ours = at_most(found[DEFAULTS], bound), at_most(found[GENERATED], bound)
        print(
            f"| {bound:.0f} (that of the defaults with {clients}) | {theirs:.0f} | {ours:.0f} | {ours / theirs:.2f} |"
        )
    failed = sum(one.failed for sweep in found.values() for several in sweep.values() for one in several)
    print(f"\nFailed requests: {failed}", flush=True)


def _costs_table(costs: Costs) -> None:
    print("\n| clients | Triton's defaults: processor ms for a request | as exported | ratio | requests in a batch |")
    print("| --- | --- | --- | --- | --- |")
    for clients in CLIENTS:
        ours, theirs = costs[GENERATED][clients], costs[DEFAULTS][clients]
        ratios = [other[0] / one[0] for one, other in zip(ours, theirs, strict=True)]
        cells = [spread([one[0] for one in several], ".2f") for several in (theirs, ours)]
        print(
            f"| {clients} | {' | '.join(cells)} | {spread(ratios, '.2f')} | {spread([one[1] for one in ours], '.1f')} |"
        )


def _spent(server: psutil.Process) -> float:
    """Return the seconds of processor time that the server and its backends have taken."""
    times = [each.cpu_times() for each in (server, *server.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _counts(ports: triton.Ports, name: str) -> tuple[int, int]:
    """Return how many requests a model has answered, and in how many batches."""
    (found,) = json.loads(_get(ports, f"models/{name}/stats"))["model_stats"]
    return found["inference_count"], found["execution_count"]


def _export(repository: Path) -> None:
    """Export the model, and put a copy beside it of which Triton is told only what it must be told."""
    torch.manual_seed(1)
    tokens = torch.randint(0, 256, (4, LENGTH))
    module = Module(
        module=text_model(SETTINGS), examples={"text": tokens}, name=GENERATED, entry="manual:model", settings=SETTINGS
    )
    given = {
        "format": "python",
        "instances": os.cpu_count(),
        "inputs": [{"name": "text", "type": "int64", "shape": [LENGTH]}],
        "outputs": [{"name": "scores", "shape": [LENGTH, 256]}],
    }
    export(module, ExportSection.model_validate_json(json.dumps(given)), repository)
    copied = shutil.copytree(repository / GENERATED, repository / DEFAULTS)
    config = (copied / "config.pbtxt").read_text()
    for field in reversed([each for each in top_fields(config) if each.name in OURS]):
        config = config[: field.start] + config[field.end :]
    (copied / "config.pbtxt").write_text(config.replace(f'"{GENERATED}"', f'"{DEFAULTS}"'))


@contextmanager
def serving(folder: Path, repository: Path) -> Generator[tuple[triton.Ports, psutil.Process]]:
    """Serve a repository as the lab does, without the rest of a lab."""
    lab, taken = Lab(folder / "lab"), list[int]()
    lab.create()
    for _ in range(3):
        taken.append(free_port(taken))
    ports = triton.Ports(*taken)
    launch = triton.serve(lab, repository, ports)
    with (folder / "triton.log").open("wb") as log:
        process = subprocess.Popen(launch.command, env=dict(launch.environment), stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + READY
        while not _is_ready(ports):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "triton.log").read_text()[-3000:]
            time.sleep(0.2)
        yield ports, psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _target(ports: triton.Ports, name: str) -> Target:
    tokens = np.random.default_rng(2).integers(0, 256, (1, LENGTH))
    given = {
        "name": "text",
        "datatype": "INT64",
        "shape": [1, LENGTH],
        "parameters": {"binary_data_size": tokens.nbytes},
    }
    head = json.dumps(
        {"inputs": [given], "outputs": [{"name": "scores", "parameters": {"binary_data": True}}]}
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    body = (head + tokens.tobytes()).hex()
    return Target("127.0.0.1", ports.http, f"/v2/models/{name}/infer", body, headers)


def _said(ports: triton.Ports, name: str) -> dict[str, Any]:
    """Return what the server itself says of how it runs a model."""
    config = json.loads(_get(ports, f"models/{name}/config"))
    copies = [{key: group[key] for key in ("count", "kind")} for group in config["instance_group"]]
    return {"dynamic_batching": config.get("dynamic_batching", "none"), "instance_group": copies}


def _is_ready(ports: triton.Ports) -> bool:
    try:
        _get(ports, "health/ready")
    except OSError:
        return False
    return True


def _get(ports: triton.Ports, path: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{ports.http}/v2/{path}", timeout=30) as answer:
        return answer.read().decode()
