"""`falaj-lab simulate`: plays a scenario on labs of its own and writes what it shows."""

import contextlib
import json
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from falaj.lab.errors import LabError
from falaj.lab.simulation import arrivals, events, report, scenario, trace
from falaj.lab.simulation.driver import Outcome, Run
from falaj.lab.simulation.labs import fresh_lab
from falaj.lab.simulation.measuring import measure
from falaj.lab.simulation.public_traces import Format, read_trace
from falaj.lab.simulation.report import CONTROLLED, PLAIN
from falaj.lab.simulation.scenario import Scenario, Size
from falaj.lab.simulation.trace import TraceJob

SAY_EVERY = 15.0
"""Where the output is no terminal, seconds between two lines that say how far a run is."""

err = Console(stderr=True, highlight=False, soft_wrap=True)


def simulate(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SCENARIO", help="A scenario of the lab, or a TOML file.")],
    *,
    small: Annotated[bool, typer.Option("--small", help="The small size that the scenario names.")] = False,
    nodes: Annotated[int | None, typer.Option(min=1, help="So many nodes, in the pools' proportions.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="So many jobs.")] = None,
    tenants: Annotated[int | None, typer.Option(min=1, help="So many tenants, of every kind.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.05, help="Real minutes in which the jobs come.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed: another trace.")] = None,
    trace_file: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help="Play this trace instead of a generated one.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How the trace file is written.")] = Format.FALAJ,
    controller: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Run this beside Kueue, led to the lab, for example a deadline scheduler; {scale} in it becomes the "
            "simulated seconds that pass in a real one.",
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Play the trace twice: without the controller, then with it.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the results go.  [default: simulations/SCENARIO-TIME]")
    ] = None,
) -> None:
    """Simulate a shared GPU cluster on the real control plane: real scheduling, simulated nodes and run times.

    Each run has a lab of its own, which goes afterwards; with --state DIR it is below that folder and stays. The trace,
    all that was seen and the reports (report.json, report.html) are written; after Ctrl-C too, with what there is. What
    --out has whole already, of the same jobs at the same pace, is not played again.

    \b
    Examples:
      falaj-lab simulate steady --small
      falaj-lab simulate burst --nodes 100 --jobs 1000 --tenants 10 --minutes 8
      falaj-lab simulate steady --compare --controller "falaj-scheduler run --time-scale {scale}"
      falaj-lab simulate steady --trace simulations/steady-…/trace.jsonl
    """
    if compare and not controller:
        raise LabError("--compare needs something to compare with plain Kueue: name it with --controller")
    chosen = scenario.load(name, Size(nodes, jobs, tenants, minutes, seed), small=small)
    played = a_trace(chosen, trace_file, form)
    folder = out or Path("simulations") / f"{chosen.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder.mkdir(parents=True, exist_ok=True)
    parent = context.parent.params.get("state") if context.parent else None
    runs = {PLAIN: None, CONTROLLED: controller} if compare else {CONTROLLED if controller else PLAIN: controller}
    told = played_before(folder, chosen, played, runs)
    trace.write(folder / "trace.jsonl", played)
    for run, command in runs.items():
        if run in told:
            err.print(f"{chosen.name}, {run}: played before, see {folder}", markup=False)
            continue
        outcome = play(
            chosen, played, run=run, command=command, folder=folder, root=Path(parent) / run if parent else None
        )
        told[run] = judge(chosen, played, outcome, command)
        report.write(folder, chosen, played, told)
        if not outcome.complete:
            break
    for line in report.summary(told):
        typer.echo(line)
    typer.echo(f"{folder / 'report.html'}")
    raise typer.Exit(0 if all(run["complete"] for run in told.values()) else 130)


def played_before(
    folder: Path, chosen: Scenario, played: list[TraceJob], runs: Mapping[str, str | None]
) -> dict[str, Any]:
    """Return the figures of the runs that the folder has whole: same jobs, same pace, same controller."""
    report_file, trace_file = folder / "report.json", folder / "trace.jsonl"
    if not report_file.exists() or not trace_file.exists() or trace.read(trace_file) != played:
        return {}
    pace = round(trace.window(played, chosen.gpus, chosen.load) / (chosen.minutes * 60), 3)
    return {
        run: figures
        for run, figures in json.loads(report_file.read_text())["runs"].items()
        if run in runs
        and figures["complete"]
        and figures["controller"] == runs[run]
        and figures["simulated_seconds_per_second"] == pace
    }


def a_trace(chosen: Scenario, path: Path | None, form: Format) -> list[TraceJob]:
    """Return the jobs to play: a trace of an earlier run as it is, a public one by its rules, or a new one."""
    if path is None:
        return arrivals.generate(chosen)
    jobs = read_trace(path, form)
    if form is not Format.FALAJ:
        return arrivals.adopt(chosen, jobs)
    unknown = {job.tenant for job in jobs} - {tenant.name for tenant in chosen.tenants}
    if unknown:
        raise LabError(
            f"--trace {path}: {', '.join(sorted(unknown)[:3])} is no tenant of this scenario; name the scenario and"
            " the size that the trace was made with"
        )
    return jobs


def play(
    chosen: Scenario, played: list[TraceJob], *, run: str, command: str | None, folder: Path, root: Path | None
) -> Outcome:
    """Play a trace on a fresh lab, and write what was seen."""
    with showing(f"{chosen.name}, {run}") as tell:
        tell("starting a lab")
        with fresh_lab(root, err) as lab:
            outcome = Run(lab, chosen, played, tell).run(command, folder / f"{run}-controller.log")
    events.write(folder / f"{run}-events.jsonl", outcome.events)
    return outcome


def judge(chosen: Scenario, played: list[TraceJob], outcome: Outcome, command: str | None) -> dict[str, Any]:
    """Return the figures of a run."""
    figures = measure(chosen, played, outcome.events, outcome.scale, outcome.seconds)
    return {
        "controller": command,
        "complete": outcome.complete,
        "seconds": round(outcome.seconds, 1),
        "simulated_seconds_per_second": round(outcome.scale, 3),
        "time_to_scale": outcome.nodes,
        "control_plane": outcome.costs,
        "cycles": outcome.cycles,
        "restarts": outcome.restarts,
        "load_average": outcome.busy,
        **figures,
    }


@contextlib.contextmanager
def showing(label: str) -> Generator[Callable[[str], None]]:
    """Show how far a run is: in one moving line on a terminal, in a line now and then elsewhere."""
    last = 0.0
    with err.status(label) as status:

        def tell(text: str) -> None:
            nonlocal last
            status.update(f"{label}: {text}")
            if not err.is_terminal and time.monotonic() - last >= SAY_EVERY:
                last = time.monotonic()
                err.print(f"{label}: {text}", markup=False)

        yield tell
