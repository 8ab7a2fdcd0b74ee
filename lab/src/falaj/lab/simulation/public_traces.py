"""Reads public cluster traces: Microsoft's Philly (ATC '19), Alibaba's PAI of 2020 (NSDI '22) and 2023 (ATC '23).

Only who sent a job, when, how many GPUs it had and how long it ran is taken; jobs without a GPU or an end are left out.
Fractions of a GPU count as a whole one: the lab's nodes share no GPU between pods.
"""

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from falaj.lab.errors import LabError
from falaj.lab.simulation.trace import TraceJob, ordered, read

ALIBABA_2020_TASKS = (
    *("job_name", "task_name", "inst_num", "status", "start_time", "end_time"),
    *("plan_cpu", "plan_mem", "plan_gpu", "gpu_type"),
)
"""The columns of ``pai_task_table``, whose CSV file has no line of names."""


class Format(StrEnum):
    """How a trace file is written."""

    FALAJ = "falaj"
    """A ``trace.jsonl`` of an earlier run: replayed as it is."""
    PHILLY = "philly"
    """``cluster_job_log``, JSON: https://github.com/msr-fiddle/philly-traces."""
    ALIBABA_2020 = "alibaba-2020"
    """``pai_task_table.csv``: https://github.com/alibaba/clusterdata, cluster-trace-gpu-v2020."""
    ALIBABA_2023 = "alibaba-2023"
    """``openb_pod_list_*.csv``: https://github.com/alibaba/clusterdata, cluster-trace-gpu-v2023."""


def read_trace(path: Path, form: Format) -> list[TraceJob]:
    """Read a trace file; what is no such file is refused, and so is one without a usable job."""
    readers = {Format.PHILLY: philly, Format.ALIBABA_2020: alibaba_2020, Format.ALIBABA_2023: alibaba_2023}
    try:
        jobs = read(path) if form is Format.FALAJ else ordered(list(readers[form](path)))
    except (ValueError, KeyError, TypeError) as error:
        raise LabError(f"{path} is no {form} trace: {error!r}; name its format with --format") from None
    if not jobs:
        raise LabError(f"{path} holds no job with GPUs and an end; name its format with --format")
    return jobs


def philly(path: Path) -> Iterator[TraceJob]:
    """Yield the jobs of Philly's log: its run time is that of all attempts, its GPUs those of the largest one."""
    for entry in json.loads(path.read_text()):
        attempts = [attempt for attempt in entry["attempts"] if attempt.get("start_time") and attempt.get("end_time")]
        seconds = sum(_moment(one["end_time"]) - _moment(one["start_time"]) for one in attempts)
        gpus = max((sum(len(node["gpus"]) for node in one["detail"]) for one in attempts), default=0)
        submitted = entry.get("submitted_time")
        if submitted and submitted != "None":
            yield from _job(entry["jobid"], entry["vc"], _moment(submitted), seconds, gpus)


def alibaba_2020(path: Path) -> Iterator[TraceJob]:
    """Yield the jobs of ``pai_task_table``: the GPUs of all its tasks, from the first's start to the last's end."""
    tasks: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for row in _rows(path, ALIBABA_2020_TASKS):
        if row["start_time"] and row["end_time"] and row["plan_gpu"]:
            tasks[row["job_name"]].append(row)
    for name, rows in tasks.items():
        start = min(float(row["start_time"]) for row in rows)
        end = max(float(row["end_time"]) for row in rows)
        gpus = sum(math.ceil(float(row["plan_gpu"]) * float(row["inst_num"] or 1) / 100) for row in rows)
        # The table names no user: each job's tenant is drawn by its name.
        yield from _job(name, name[:2], start, end - start, gpus)


def alibaba_2023(path: Path) -> Iterator[TraceJob]:
    """Yield the pods of ``openb_pod_list``, each a job; it runs from its scheduling to its deletion."""
    for row in _rows(path):
        if row["scheduled_time"] and row["deletion_time"]:
            seconds = float(row["deletion_time"]) - float(row["scheduled_time"])
            yield from _job(row["name"], row["qos"], float(row["creation_time"]), seconds, int(row["num_gpu"]))


def _job(name: str, tenant: str, arrival: float, seconds: float, gpus: int) -> Iterable[TraceJob]:
    if gpus < 1 or seconds <= 0:
        return ()
    return (TraceJob(name=name, tenant=tenant, tier="batch", arrival=arrival, seconds=seconds, gpus=gpus),)


def _moment(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


def _rows(path: Path, names: tuple[str, ...] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV file; a line of names is not one, where the names are known."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file, fieldnames=names):
            if names and row[names[0]] == names[0]:
                continue
            yield row
