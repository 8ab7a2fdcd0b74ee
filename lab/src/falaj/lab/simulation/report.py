"""Tells of one run, or of two side by side: report.json for programs, report.html (one file, with plots) for people."""

import json
import math
import platform
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import psutil

from falaj.lab.simulation import plots
from falaj.lab.simulation.scenario import Scenario
from falaj.lab.simulation.trace import TraceJob

Figures = Mapping[str, Any]
"""What one run shows, as `measuring.measure` returns it, with how it ran."""

FAIR, BUSY, FEWER = 0.98, 0.95, 0.5
LEAST_SECONDS = 10.0
"""Seconds in which there was work for all GPUs, below which fairness and utilization say nothing."""
START_PART = (1 - BUSY) / 2
"""Part of a mean job's run time that starting it may take: half of what may be idle, so that the policy decides."""
PLAIN, CONTROLLED = "plain", "controlled"


def write(folder: Path, scenario: Scenario, trace: Sequence[TraceJob], runs: Mapping[str, Figures]) -> None:
    """Write both reports."""
    about = describe(scenario, trace)
    content = {"scenario": about, "targets": targets(runs), "runs": runs}
    (folder / "report.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "report.html").write_text(page(about, runs))


def describe(scenario: Scenario, trace: Sequence[TraceJob]) -> dict[str, Any]:
    """Return what was played, and on what."""
    return {
        "name": scenario.name,
        "title": scenario.title,
        "seed": scenario.seed,
        "nodes": sum(pool.nodes for pool in scenario.pools),
        "gpus": scenario.gpus,
        "tenants": len(scenario.tenants),
        "jobs": len(trace),
        "pods": sum(job.pods for job in trace),
        "gpu_hours": round(sum(job.all_gpus * job.seconds for job in trace) / 3600),
        "with_deadline": sum(job.deadline is not None for job in trace),
        "load": scenario.load,
        "machine": f"{psutil.cpu_count()} CPUs, {psutil.virtual_memory().total >> 30} GiB, {platform.system()}",
    }


def targets(runs: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """Return each target with what was measured and whether that meets it; what was not measured is undetermined."""
    told: list[dict[str, Any]] = []
    for name, run in runs.items():
        enough = long_enough(run) and too_fast(run) <= 1
        fair, busy = run["fairness"]["jain"], run["utilization"]["while_work_waits"]
        told.append(target(f"fairness under contention, {name}", f">= {FAIR}", fair if enough else None, FAIR))
        told.append(target(f"GPU utilization while work waits, {name}", f">= {BUSY}", busy if enough else None, BUSY))
        told.append(below_share(name, run, enough=enough))
    if {PLAIN, CONTROLLED} <= runs.keys() and all(run["complete"] and too_fast(run) <= 1 for run in runs.values()):
        with_it, without = (runs[name]["deadlines"]["all"]["missed"] for name in (CONTROLLED, PLAIN))
        part = with_it / without if without else None
        told.append(target("deadline misses, as a part of those of plain Kueue", f"<= {FEWER}", part, FEWER, most=True))
    return told


def long_enough(run: Figures) -> bool:
    """Return whether a run went to its end, with work for all GPUs for a while."""
    return run["complete"] and run["utilization"]["seconds_while_work_waits"] >= LEAST_SECONDS


def too_fast(run: Figures) -> float:
    """Return how many times too fast time passed: starting work is not scaled, and weighs more than the policy."""
    start, mean = run["start_seconds"]["p50"], run["run_seconds_mean"]
    return start / (START_PART * mean) if start is not None else 0.0


def below_share(name: str, run: Figures, *, enough: bool) -> dict[str, Any]:
    """Return the target for the tenant that was longest below its share and let in nothing: one round and preemption.

    Of rounds the longest of the run is taken, by the lower of the bounds that are known, and of preemptions the time
    in which 95 of 100 were done.
    """
    left_out, cycles = run["nominal"]["left_out"], run["cycles"]
    most = left_out["longest_seconds"]["max"] if left_out and cycles and enough else None
    limit = (cycles["longest_at_least"] if cycles else 0) + (run["evictions"]["preemption_seconds"]["p95"] or 0)
    wanted = f"<= {limit:.1f} s, one scheduling round and preemption"
    return target(f"seconds left out below the nominal share, {name}", wanted, most, limit, most=True)


def target(what: str, wanted: str, measured: float | None, limit: float, *, most: bool = False) -> dict[str, Any]:
    """Return one target with its verdict."""
    met = None if measured is None else measured <= limit if most else measured >= limit
    verdict = "undetermined" if met is None else "met" if met else "missed"
    return {"target": what, "wanted": wanted, "measured": measured, "verdict": verdict}


def summary(runs: Mapping[str, Figures]) -> list[str]:
    """Return what a person wants to know first, in lines."""
    lines = [
        f"{one['verdict']:>12}  {one['target']}: {shown(one['measured'])} ({one['wanted']})" for one in targets(runs)
    ]
    for name, run in runs.items():
        jobs, all_deadlines = run["jobs"], run["deadlines"]["all"]
        known = all_deadlines["met"] + all_deadlines["missed"]
        lines.append(
            f"{name}: {jobs['finished']} of {jobs['in_trace']} jobs finished in {run['seconds']:.0f} s,"
            f" {all_deadlines['missed']} of {known} deadlines missed, {run['evictions']['preemptions']} preemptions,"
            f" {shown(run['evictions']['gpu_hours_lost'])} GPU hours lost,"
            f" {shown(run['admissions']['peak_per_second'])} admissions a second at best"
        )
    return [*lines, *not_judged(runs)]


def not_judged(runs: Mapping[str, Figures]) -> list[str]:
    """Return which runs were too fast, why, and how long they would have to be, in lines."""
    lines: list[str] = []
    for name, run in runs.items():
        if long_enough(run) and (times := too_fast(run)) > 1:
            start, mean = run["start_seconds"]["p50"], run["run_seconds_mean"]
            lines.append(
                f"{name}: not judged, since time passed too fast: half of the work took {start:.1f} s or more to start,"
                f" of {mean:.1f} s that the mean job runs; {START_PART:.1%} is the most:"
                f" give {math.ceil(10 * times) / 10:g} times the --minutes"
            )
    return lines


def page(about: Mapping[str, Any], runs: Mapping[str, Figures]) -> str:
    """Return the report as one page."""
    facts = (
        f"{about['nodes']} nodes, {about['gpus']} GPUs, {about['tenants']} tenants, {about['jobs']} jobs"
        f" ({about['pods']} pods, {about['gpu_hours']} GPU hours, load {about['load']:g}), seed {about['seed']};"
        f" on {about['machine']}"
    )
    parts = [
        f"<h1>{escape(about['title'])}</h1><p>{escape(facts)}</p>",
        "<p>Real: API server, scheduler, controllers, Kueue. Simulated: nodes (KWOK) and the run time of pods.</p>",
        table(("target", "wanted", "measured", "verdict"), [list(one.values()) for one in targets(runs)]),
        *(f"<p>{escape(line)}</p>" for line in not_judged(runs)),
        f'<div class="plots">{"".join(pictures(runs))}</div>',
        *(details(name, run) for name, run in runs.items()),
    ]
    return PAGE.format(title=escape(about["title"]), body="\n".join(parts))


def pictures(runs: Mapping[str, Figures]) -> list[str]:
    """Return the plots, each with all runs in it where it can be."""
    return [
        *(gpus_over_time(name, run) for name, run in runs.items()),
        plots.lines(
            "Preemptions so far",
            "real seconds",
            "preemptions",
            {
                name: [(at, count) for at, count in run["evictions"]["preemptions_over_time"]]
                for name, run in runs.items()
            },
        ),
        plots.lines(
            "Fairness of each moment (Jain's index)",
            "real seconds",
            "index",
            {name: [(one["at"], one["jain"]) for one in run["series"]] for name, run in runs.items()},
            top=1,
        ),
        plots.bars(
            "Deadlines missed",
            "jobs",
            {tier: {name: missed(run, tier) for name, run in runs.items()} for tier in tiers_with_deadlines(runs)},
        ),
        *(waits(name, run) for name, run in runs.items()),
        *(shares(name, run) for name, run in runs.items()),
        plots.bars(
            "Processor seconds of the control plane",
            "seconds",
            {
                short(process): {
                    name: run["control_plane"].get(process, NOTHING)["cpu_seconds"] for name, run in runs.items()
                }
                for process in dict.fromkeys(process for run in runs.values() for process in run["control_plane"])
            },
        ),
    ]


NOTHING = {"cpu_seconds": 0.0, "peak_mib": 0.0}


def gpus_over_time(name: str, run: Figures) -> str:
    """Draw how many GPUs there were, were at work and were waited for."""
    series = run["series"]
    names = {"capacity": "there", "held": "given", "running": "at work", "waiting": "waited for"}
    return plots.lines(
        f"GPUs, {name}",
        "real seconds",
        "GPUs",
        {label: [(one["at"], one[key]) for one in series] for key, label in names.items()},
    )


def waits(name: str, run: Figures) -> str:
    """Draw the distribution of waits by tier."""
    by_tier = {tier: plots.distribution(told["seconds_of_each"]) for tier, told in run["waits"].items()}
    return plots.lines(f"Wait until the first admission, {name}", "real seconds", "part of the jobs", by_tier, top=1)


def shares(name: str, run: Figures) -> str:
    """Draw what each tenant got of what it was entitled to."""
    groups = {
        tenant: {"got of entitled": told["got_of_entitled"]}
        for tenant, told in run["fairness"]["tenants"].items()
        if told["got_of_entitled"] is not None
    }
    return plots.bars(f"What tenants got of their entitled share, {name}", "part", groups, line=1)


def details(name: str, run: Figures) -> str:
    """Return a run's figures as tables."""
    used = run["utilization"]
    nominal = run["nominal"]
    rows: list[Sequence[object]] = [
        ("jobs", ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in run["jobs"].items())),
        ("controller", run["controller"] or "none: Kueue alone"),
        ("utilization over all", used["overall"]),
        ("utilization while work waits", f"{shown(used['while_work_waits'])} ({used['seconds_while_work_waits']} s)"),
        ("GPUs given while work waits", used["quota_given_while_work_waits"]),
        ("fairness, all told", run["fairness"]["jain"]),
        ("fairness, mean of each moment", run["fairness"]["jain_of_each_moment"]),
        ("longest time below nominal share", longest(nominal)),
        ("… with room on nodes for the job that waits", longest(nominal["with_room"])),
        ("… and nothing of the tenant let in", longest(nominal["left_out"])),
        (
            "admissions a second",
            f"{shown(run['admissions']['per_second'])}, at best {shown(run['admissions']['peak_per_second'])}",
        ),
        ("Kueue's scheduling cycles", cycle_times(run["cycles"])),
        ("evictions", json.dumps(run["evictions"]["by_reason"])),
        (
            "seconds from the decision to preempt until the quota is free",
            ", ".join(f"{name} {shown(took)}" for name, took in run["evictions"]["preemption_seconds"].items()),
        ),
        (
            "GPU hours lost (simulated)",
            f"{shown(run['evictions']['gpu_hours_lost'])} {json.dumps(run['evictions']['gpu_hours_lost_by'])}",
        ),
        (
            "nodes ready",
            "; ".join(f"{one['nodes']:g} after {one['seconds_until_ready']} s" for one in run["time_to_scale"]),
        ),
        (
            "capacity",
            "; ".join(
                f"{one['note']} at {one['at']} s, busy after {shown(one['seconds_until_95_percent_ran'])} s"
                for one in run["capacity_changes"]
            ),
        ),
        ("simulated seconds in a real one", run["simulated_seconds_per_second"]),
        ("run time of the mean job", f"{shown(run['run_seconds_mean'])} s"),
        ("from being let in until all pods run, median", f"{shown(run['start_seconds']['p50'])} s"),
        ("load average of the machine (15 min)", run["load_average"]),
        ("services that had to be started again", json.dumps(run["restarts"])),
        ("said by the controller", json.dumps(run["said"])),
    ]
    tiers = [
        (tier, told["admitted"], told["never_admitted"], *told["seconds"].values(), *told["simulated_minutes"].values())
        for tier, told in run["waits"].items()
    ]
    due = [(tier, *told.values()) for tier, told in run["deadlines"].items()]
    costs = [(process, cost["cpu_seconds"], cost["peak_mib"]) for process, cost in run["control_plane"].items()]
    of_waits = ("admitted", "never", "p50 s", "p95 s", "max s", "p50 min simulated", "p95", "max")
    return (
        f"<h2>{escape(name)}{'' if run['complete'] else ' (ended early)'}</h2>"
        + table(("figure", "value"), rows)
        + "<h3>Wait until the first admission</h3>"
        + table(("tier", *of_waits), tiers)
        + "<h3>Deadlines</h3>"
        + table(("tier", "met", "missed", "undetermined", "part missed", "late by (p50, simulated minutes)"), due)
        + "<h3>The control plane's own cost</h3>"
        + table(("process", "CPU seconds", "peak MiB"), costs)
    )


def longest(spells: Figures | None) -> str:
    """Say how long something was so at a stretch, of the tenant with the longest and of half of them."""
    seconds: Mapping[str, float | None] = spells["longest_seconds"] if spells else {"p50": None, "max": None}
    return f"{shown(seconds['max'])} s (median of tenants {shown(seconds['p50'])} s)"


def cycle_times(cycles: Mapping[str, float] | None) -> str:
    """Say how long Kueue takes from trying a queue's first work to trying the next."""
    if not cycles:
        return "unknown"
    most = f"{cycles['longest_at_least']:g} s and more the longest"
    return f"{cycles['count']:.0f}, {cycles['mean_seconds']:g} s each, {most}"


def tiers_with_deadlines(runs: Mapping[str, Figures]) -> list[str]:
    """Return the tiers in which a job has a deadline, and all together."""
    return list(
        dict.fromkeys(
            tier
            for run in runs.values()
            for tier, told in run["deadlines"].items()
            if told["met"] + told["missed"] + told["undetermined"]
        )
    )


def missed(run: Figures, tier: str) -> float:
    """Return how many deadlines of a tier were missed."""
    return float(run["deadlines"].get(tier, {"missed": 0})["missed"])


def short(process: str) -> str:
    """Return a process's name as it fits below a bar."""
    return process.removeprefix("kube-").replace("controller-manager", "controllers")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(shown(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def shown(value: object) -> str:
    """Write a figure for people; one that is not known says so."""
    if value is None:
        return "unknown"
    return (
        f"{value:.4g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.5 system-ui, sans-serif; color: #222; max-width: 1300px; margin: 24px auto; padding: 0 16px; }}
.plots {{ display: flex; flex-wrap: wrap; gap: 14px; margin: 18px 0; }}
.plots svg {{ border: 1px solid #ddd; border-radius: 6px; max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; margin: 10px 0; }}
td, th {{ border-bottom: 1px solid #e2e2e2; padding: 3px 14px 3px 0; text-align: left; vertical-align: top; }}
</style>
<body>
{body}
</body></html>
"""
