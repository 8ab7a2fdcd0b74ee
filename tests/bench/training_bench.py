"""Measure what sealing costs in checkpoints, each as a ratio to the same without it, interleaved in one run.

    python tests/bench/training_bench.py                          256 MB, 7 runs of each
    python tests/bench/training_bench.py --megabytes 1024 --folder /scratch

Prints the table that docs/benchmarks.md keeps. Everything that is written is on the disk before the clock stops.
"""

import argparse
import base64
import io
import os
import platform
import resource
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from falaj.training.checkpoints import Checkpoints, CheckpointSection
from falaj.training.checkpoints.planners import LoadPlanner, SavePlanner
from falaj.training.checkpoints.reader import SealedStorage, open_saved
from falaj.training.checkpoints.writer import SealingWriter
from falaj.training.sealing import SealedReader, SealedWriter, open_keys
from falaj.training.stores.local import LocalStore

KEY = bytes(range(32))


def main() -> None:
    """Run the measurements and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=256, help="size of a checkpoint (default: 256)")
    parser.add_argument("--runs", type=int, default=7, help="runs of each measurement (default: 7)")
    parser.add_argument("--folder", type=Path, default=None, help="where to write (default: the temporary folder)")
    told = parser.parse_args()
    size = told.megabytes * 1_000_000
    print(f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, torch {torch.__version__}")
    print(f"{told.megabytes} MB, median of {told.runs} interleaved runs\n")
    warnings.filterwarnings("ignore", message="torch.distributed is disabled|Detected an existing checkpoint")
    print("| what | GB/s: median (min to max) | ratio of the rates |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="falaj-bench-", dir=told.folder) as folder:
        base = Path(folder)
        (base / "key").touch(0o600)
        (base / "key").write_bytes(base64.b64encode(KEY))
        files(base, size, told.runs)
        through_torch(base, size, told.runs)
        memory_only(size, told.runs)
        print("\n| what | seconds: median (min to max) | ratio |\n| --- | --- | --- |")
        stalls(base, size, told.runs)


def files(base: Path, size: int, runs: int) -> None:
    """Write one file, plain and sealed."""
    store, data = LocalStore(base / "files"), memoryview(bytearray(os.urandom(1 << 20)) * (size >> 20))

    def plain() -> None:
        with store.write("plain") as file:
            for start in range(0, len(data), 1 << 20):
                file.write(data[start : start + (1 << 20)])

    def sealed() -> None:
        with store.write("sealed") as file, SealedWriter(file, KEY, b"bench") as stream:
            stream.write(data)

    rates({"write and fsync, plain": plain, "write and fsync, sealed": sealed}, len(data), runs)


def through_torch(base: Path, size: int, runs: int) -> None:
    """Save and load by torch.distributed.checkpoint, with its own storage and with the sealed one."""
    state, empty = model_of(size), model_of(size, fill=False)
    bytes_of = sum(tensor.nbytes for tensor in state.values())
    store, keys, last = LocalStore(base / "torch"), open_keys("file:key", base=base), []

    def plain() -> None:
        save(dict(state), storage_writer=FileSystemWriter(base / "plain"), no_dist=True)

    def sealed() -> None:
        shutil.rmtree(store.root, ignore_errors=True)
        last[:] = [SealingWriter(store, keys, "bench", 1)]
        save(dict(state), storage_writer=last[0], planner=SavePlanner(), no_dist=True)

    def plain_load() -> None:
        load(dict(empty), storage_reader=FileSystemReader(base / "plain"), no_dist=True)

    def sealed_load() -> None:
        reader = SealedStorage(store, "bench", open_saved(store, keys, "bench", last[0].attempt))
        load(dict(empty), storage_reader=reader, planner=LoadPlanner(), no_dist=True)

    rates({"saved by torch, plain and with fsync": plain, "saved by torch, sealed": sealed}, bytes_of, runs)
    rates({"loaded by torch, plain and by pickle": plain_load, "loaded by torch, sealed": sealed_load}, bytes_of, runs)


def memory_only(size: int, runs: int) -> None:
    """Open a sealed stream that lies in memory, in one thread."""
    raw, target = io.BytesIO(), bytearray(size)
    with SealedWriter(raw, KEY, b"bench") as stream:
        stream.write(target)

    def unsealed() -> None:
        SealedReader(raw, len(raw.getbuffer()), KEY, b"bench", name="it").readinto(target)

    def copied() -> None:
        raw.seek(0)
        raw.readinto(target)

    rates({"copied in memory": copied, "opened in memory, one thread": unsealed}, size, runs)


def stalls(base: Path, size: int, runs: int) -> None:
    """Measure how long training stands still for a checkpoint, and what memory the copy takes."""
    state = model_of(size)
    sections = {
        kind: CheckpointSection(location=kind, key="file:key", keep=1, asynchronous=kind == "asynchronous")
        for kind in ("synchronous", "asynchronous")
    }
    with_pauses = {kind: Checkpoints(section, "bench", base=base) for kind, section in sections.items()}
    found: dict[str, list[float]] = {kind: [] for kind in with_pauses}
    before = resident()
    for step in range(1, runs + 1):
        for kind, made in with_pauses.items():
            found[kind].append(seconds(lambda made=made, step=step: made.save(step, {"model": state})))
            made.wait()
    grown = resident() - before  # the copy's memory is kept for the next save
    for made in with_pauses.values():
        made.close()
    base_line = statistics.median(found["synchronous"])
    for kind, times in found.items():
        row(f"training stands still for a {kind} save", times, statistics.median(times) / base_line, "3f")
    print(f"| memory that asynchronous saves keep, in sizes of the state | {grown / size:.2f} | |")


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def model_of(size: int, *, fill: bool = True) -> dict[str, torch.Tensor]:
    """Return tensors of a transformer's proportions: many of some megabytes, more that are small."""
    large = max(1, size // (4 << 20))
    shapes = {f"layer.{number}.weight": (1024, 1024) for number in range(large)}
    shapes |= {f"layer.{number}.bias": (1024,) for number in range(large)}
    return {name: (torch.randn if fill else torch.zeros)(shape) for name, shape in shapes.items()}


def rates(what: Mapping[str, Callable[[], Any]], size: int, runs: int) -> None:
    """Print the rates of some ways to do the same, each as a ratio to the first; the first round only warms up."""
    found: dict[str, list[float]] = {name: [] for name in what}
    for turn in range(runs + 1):
        for name, do in what.items():
            taken = seconds(do)
            if turn:
                found[name].append(size / taken / 1e9)
    base_line = statistics.median(next(iter(found.values())))
    for name, told in found.items():
        row(name, told, statistics.median(told) / base_line, "2f")


def seconds(do: Callable[[], Any]) -> float:
    """Return how long ``do`` takes."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def row(what: str, told: Sequence[float], ratio: float, digits: str) -> None:
    """Print one row of the table."""
    middle, least, most = statistics.median(told), min(told), max(told)
    print(f"| {what} | {middle:.{digits}} ({least:.{digits}} to {most:.{digits}}) | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
