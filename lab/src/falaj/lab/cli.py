"""`falaj-lab`: start, look into and stop an embedded lab, and run commands against it."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from falaj.lab import control, plugins, services, tools
from falaj.lab.environment import environment, prepare_bin
from falaj.lab.errors import LabError
from falaj.lab.plugins import Aws
from falaj.lab.serving import triton
from falaj.lab.serving.services import TOOLS as SERVING_TOOLS
from falaj.lab.simulation.command import simulate
from falaj.lab.state import Lab

STOPPED, DEGRADED = 3, 1
DEBUG = "FALAJ_DEBUG"

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def lab_options(
    context: typer.Context,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The lab's folder.  [default: $FALAJ_LAB, else .lab]")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Run a whole platform on this machine: Kubernetes and OpenBao for real, AWS and the nodes emulated.

    Each folder given to --state is a lab of its own; several run side by side.
    """
    context.obj = Lab.at(state)
    if debug:
        os.environ[DEBUG] = "1"


app.command()(simulate)


@app.command()
def up(
    context: typer.Context,
    *,
    port: Annotated[
        list[str] | None, typer.Option(metavar="NAME=N", help="Give a service this port; 0 draws a new one.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SERVICE",
            help="Run this service only, with those that it needs; moto alone is an AWS in a second. `all` runs all "
            "again.  [default: what this lab ran before; at first all]",
        ),
    ] = None,
    aws: Annotated[
        Aws | None,
        typer.Option(
            help="What serves the AWS types: the lab's own quick provider, HashiCorp's (built on first use), or your "
            "official plugin.  [default: what this lab used before; at first official if you have it, else emulated]"
        ),
    ] = None,
    authorizer: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Enforce IAM in the emulated AWS: this command decides who may do what. `none` accepts everyone "
            "again.  [default: what this lab did before; at first everyone is accepted]",
        ),
    ] = None,
    serving: Annotated[
        bool | None,
        typer.Option(
            "--serving/--no-serving",
            help="Also run what models are served with: Argo Rollouts, Prometheus, Envoy.  [default: what this lab did "
            "before; at first not]",
        ),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="NAME=COMMAND",
            help="Keep a command running against this lab in the place of a pod, which runs nothing here; `none` ends "
            "that.  [default: what this lab ran before; at first nothing]",
        ),
    ] = None,
) -> None:
    """Start the lab, or wait for one that is starting; where all runs already, say so.

    Ctrl-C stops what this command has started. Ports stay the same from one start to the next.

    \b
    Examples:
      falaj-lab up
      falaj-lab up --aws bridged
      falaj-lab up --only moto
      falaj-lab up --serving
      falaj-lab up --run scheduler="falaj-scheduler run"
      falaj-lab up --port kube-apiserver=6443 --port moto=0
      falaj-lab --state ../second-lab up
    """
    lab: Lab = context.obj
    wanted = dict(map(parse_port, port or []))
    began = time.monotonic()
    lab.create()
    with control.alone(lab, "up"):
        if only:
            services.remember_only(lab, only)
        if authorizer is not None:
            services.remember_authorizer(lab, authorizer)
        if serving is not None:
            services.remember_serving(lab, on=serving)
        for each in beside or []:
            services.remember_command(lab, each)
        chosen = plugins.choose(lab, aws)
        own = (*tools.CORE, *(SERVING_TOOLS if services.serves(lab) else ()))
        resolved = tools.ensure((*chosen.tools, *own), err)
        prepare_bin(lab, resolved)
        plugins.prepare_plugins(lab, resolved, chosen)
        binaries = {name: path for name in own if (path := resolved[name].path)}
        ran_before = control.find_supervisor(lab) is not None
        try:
            started = control.start(lab, binaries, wanted)
            show_progress(lab, began)
        except KeyboardInterrupt:
            if not ran_before:
                err.print("stopping what was started")
                control.stop(lab)
            raise
    out.print(f"The lab {'is up' if started else 'was up already'} ({time.monotonic() - began:.1f} s).")
    show_endpoints(lab)


def show_progress(lab: Lab, began: float) -> None:
    """Wait for the services; say which answers, and on a terminal also what is still waited for."""
    told: set[str] = set()
    with err.status("starting") as status:

        def report(views: list[control.View]) -> None:
            for view in views:
                if view.state == "healthy" and view.name not in told and view.since >= time.time() - elapsed():
                    told.add(view.name)
                    err.print(f"  {view.name} answers after {elapsed():.1f} s")
            waiting = [f"{view.name} ({view.note or view.state})" for view in views if view.state != "healthy"]
            status.update(f"{elapsed():.0f} s, waiting for {', '.join(waiting)}" if waiting else "all services answer")

        def elapsed() -> float:
            return time.monotonic() - began

        control.wait_until_ready(lab, report)


def show_endpoints(lab: Lab) -> None:
    """Say where the lab's services are, what they are, and what to try."""
    values = environment(lab)
    kubernetes = f"https://127.0.0.1:{lab.ports()['kube-apiserver']}"
    aws, _ = plugins.current(lab)
    lines = {
        "kube-apiserver": ("  Kubernetes", kubernetes, "real; its nodes are emulated by KWOK"),
        "moto": (
            "  AWS",
            values["AWS_ENDPOINT_URL"],
            "emulated by moto; its EKS node groups become nodes of this cluster",
        ),
        "openbao": ("  OpenBao", values["VAULT_ADDR"], "real"),
        "prometheus": ("  Prometheus", f"http://127.0.0.1:{lab.ports().get('prometheus')}", "real; its API alone"),
        "envoy": ("  Envoy", f"http://127.0.0.1:{lab.ports().get('envoy')}", "real; this is its admin interface"),
    }
    runs = [lines[service.name] for service in services.services_of(lab) if service.name in lines]
    show_columns([*runs, ("  AWS types", aws.value, f"Pulumi makes them through {plugins.describe(aws)}")])
    own = "" if lab == Lab.at() else f" --state {shlex.quote(str(lab.root))}"
    out.print("Try:")
    show_columns(
        [
            (f"  falaj-lab{own} exec -- kubectl get nodes", "run one command against the lab"),
            (f'  eval "$(falaj-lab{own} env)"', "lead this shell to the lab"),
            (f"  falaj-lab{own} status", "see how its services are"),
        ]
    )


@app.command()
def down(context: typer.Context) -> None:
    """Stop the lab's services, and whatever a crash left behind; its state stays.

    \b
    Example:
      falaj-lab down
    """
    lab: Lab = context.obj
    if not lab.exists():
        out.print(f"There is no lab at {lab.root}.", markup=False)
        return
    began = time.monotonic()
    with control.alone(lab, "down"), err.status("stopping"):
        ran = control.stop(lab)
    out.print(f"The lab is stopped ({time.monotonic() - began:.1f} s)." if ran else "The lab was not running.")


@app.command()
def reset(
    context: typer.Context, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Stop the lab and forget all that it keeps: clusters, secrets, Pulumi's state, ports.

    \b
    Example:
      falaj-lab reset --yes
    """
    lab: Lab = context.obj
    if not lab.root.exists():
        out.print(f"There is no lab at {lab.root}.", markup=False)
        return
    if not lab.exists():
        raise LabError(f"{lab.root} is not a lab, and is left as it is; name the lab's folder with --state DIR")
    if not yes:
        if not sys.stdin.isatty():
            raise LabError("reset forgets everything in the lab; confirm it with --yes")
        if not typer.confirm(f"Forget everything in {lab.root}?"):
            raise typer.Exit(1)
    with control.alone(lab, "reset"):
        control.stop(lab)
        lab.forget()
    out.print(f"The lab at {lab.root} is forgotten.", markup=False)


@app.command()
def status(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Show how each service is; exit with 0 when all are healthy, 3 when the lab is stopped, 1 otherwise.

    \b
    Examples:
      falaj-lab status
      falaj-lab status --json | jq -r .state
    """
    lab: Lab = context.obj
    views = control.views(lab)
    states = {view.state for view in views}
    code = 0 if states == {"healthy"} else STOPPED if states == {"stopped"} else DEGRADED
    overall = {0: "healthy", STOPPED: "stopped", DEGRADED: "degraded"}[code]
    aws, why = plugins.current(lab)
    if as_json:
        answer = {"lab": str(lab.root), "state": overall, "aws": aws, "services": list(map(asdict, views))}
        print(json.dumps(answer, indent=2))  # noqa: T201 (for programs)
        raise typer.Exit(code)
    out.print(f"{lab.root}: {overall}", markup=False)
    out.print(f"AWS types: {aws}, {plugins.describe(aws)} ({why})", markup=False)
    rows: list[tuple[str, ...]] = [("service", "state", "pid", "port", "for", "restarts", "memory", "note")]
    for view in views:
        port = str(view.port or "")
        running = (
            (str(view.pid), port, duration(time.time() - view.since), str(view.restarts), f"{view.memory >> 20} MiB")
            if view.pid
            else ("", port, "", "", "")
        )
        rows.append((view.name, view.state, *running, view.note))
    show_columns(rows)
    raise typer.Exit(code)


@app.command()
def env(context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the variables that lead Pulumi, AWS, Kubernetes and Vault clients to this lab. They hold its secrets.

    \b
    Examples:
      eval "$(falaj-lab env)"
      falaj-lab env --json | jq -r .VAULT_ADDR
    """
    values = environment(existing(context.obj))
    if as_json:
        print(json.dumps(values, indent=2))  # noqa: T201 (for programs)
    else:
        for name, value in values.items():
            print(f"export {name}={shlex.quote(value)}")  # noqa: T201 (for the shell)


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(
    context: typer.Context, command: Annotated[list[str], typer.Argument(metavar="COMMAND [ARGUMENT]...")]
) -> None:
    """Run a command against the lab: it takes this process's place, with its signals and its exit code.

    \b
    Examples:
      falaj-lab exec -- pulumi preview
      falaj-lab exec -- kubectl get pods --all-namespaces
    """
    lab = existing(context.obj)
    if control.find_supervisor(lab) is None:
        raise LabError("the lab is not running; start it with `falaj-lab up`")
    try:
        os.execvpe(command[0], command, {**os.environ, **environment(lab)})  # noqa: S606 (no shell is wanted)
    except FileNotFoundError:
        err.print(f"falaj-lab: {command[0]}: there is no such command", markup=False)
        raise typer.Exit(127) from None


@app.command()
def logs(
    context: typer.Context,
    service: Annotated[
        str | None, typer.Argument(help="One log, for example etcd or supervisor.  [default: all]")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each log.")] = 20,
) -> None:
    """Show the end of the services' logs.

    \b
    Examples:
      falaj-lab logs kube-apiserver -n 100
      falaj-lab logs kube-apiserver-audit -f
      falaj-lab logs -f
    """
    folder = existing(context.obj).folder("logs")
    known = sorted(path.stem for path in folder.glob("*.log"))
    if service and service not in known:
        raise LabError(f"there is no log of {service}; there are {', '.join(known) or 'none yet'}")
    # Audit logs are for reading by themselves.
    names = [service] if service else [name for name in known if "-audit" not in name]
    width = max(map(len, names), default=0)
    with contextlib.suppress(BrokenPipeError):
        for name, line in read_logs({name: folder / f"{name}.log" for name in names}, lines, follow=follow):
            print(line if service else f"{name:<{width}} | {line}", flush=follow)  # noqa: T201 (as it was written)


def read_logs(paths: dict[str, Path], lines: int, *, follow: bool) -> Iterator[tuple[str, str]]:
    """Yield the last lines of each log and, when following, what is added; a log that was emptied is read anew."""
    places: dict[str, int] = {}
    for name, path in paths.items():
        content = path.read_bytes() if path.exists() else b""
        places[name] = len(content)
        for line in content.decode(errors="replace").splitlines()[-lines or len(content) + 1 :]:
            yield name, line
    while follow:
        time.sleep(0.3)
        for name, path in paths.items():
            size = path.stat().st_size if path.exists() else 0
            if size < places[name]:
                places[name] = 0
            if size > places[name]:
                with path.open("rb") as file:
                    file.seek(places[name])
                    whole, _, _ = file.read().rpartition(b"\n")
                places[name] += len(whole) + bool(whole)
                for line in whole.decode(errors="replace").splitlines():
                    yield name, line


@app.command()
def install(
    *,
    aws: Annotated[Aws | None, typer.Option(help="Also what `up` needs with the same option.")] = None,
    serving: Annotated[bool, typer.Option("--serving", help="Also what `up` needs with the same option.")] = False,
) -> None:
    """Build or fetch the tools that `up` needs, without starting anything; what is there already is used.

    \b
    Examples:
      falaj-lab install
      falaj-lab install --aws bridged
      falaj-lab install --serving
    """
    if aws is Aws.OFFICIAL:
        plugins.find_official()
    resolved = tools.ensure((*(aws.tools if aws else tools.CORE), *(SERVING_TOOLS if serving else ())), err)
    if serving and (lacking := triton.lacks()):
        err.print(f"without Triton: {lacking}")
    out.print(f"All {len(resolved)} tools are there.")


@app.command()
def doctor(context: typer.Context) -> None:
    """Say what the lab would use and why, and what stands in its way; exit with 1 when something does.

    \b
    Example:
      falaj-lab doctor
    """
    lab: Lab = context.obj
    problems: list[str] = []
    rows: list[tuple[str, ...]] = [("tool", "version", "from", "why")]
    for name in tools.table():
        tool = tools.resolve(name)
        rows.append((name, tool.version, tool.origin, tool.why))
    aws, why = plugins.current(lab)
    rows.append(("provider aws", "", aws.value, f"{why}; {plugins.describe(aws)}"))
    vault = tools.provider_plugin("vault")
    emulated = ("", "emulated", "you have no official plugin that fits; the lab's own, with the names of pulumi-vault")
    rows.append(("provider vault", *((vault.version, vault.origin, vault.why) if vault else emulated)))
    show_columns(rows)
    if aws is Aws.EMULATED:
        out.print(f"\n{enacted_types()}", markup=False)
    if aws is Aws.BRIDGED:
        services = " ".join(plugins.bridged_services())
        out.print(f"\nservices that the bridged aws provider knows, by HashiCorp's names: {services}", markup=False)
    if aws is Aws.OFFICIAL and not tools.provider_plugin("aws"):
        problems.append(
            "this lab uses your official aws plugin, and there is none any more that fits; install it again"
        )
    if found := plugins.bypass():
        problems.append(found)
    place = next(path for path in (lab.root, *lab.root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    out.print(
        f"\nlab at {lab.root}: {'there' if lab.exists() else 'not made yet'}; {free >> 20} MiB free", markup=False
    )
    if free < control.SPACE:
        problems.append(f"{place} needs {control.SPACE >> 20} MiB free; free some space, or choose another --state DIR")
    if not os.access(place, os.W_OK):
        problems.append(f"{place} cannot be written; choose another --state DIR")
    if lab.root.exists() and not lab.exists() and any(lab.root.iterdir()):
        problems.append(f"{lab.root} holds something that is not a lab; choose an empty folder with --state DIR")
    for view in control.views(lab):
        if view.state in ("failed", "unhealthy", "left behind"):
            problems.append(f"{view.name} is {view.state}: {view.note}")
    for problem in problems:
        err.print(f"falaj-lab: {problem}", markup=False)
    raise typer.Exit(1 if problems else 0)


def enacted_types() -> str:
    """Say which AWS types the emulated provider makes in moto, by service, and what becomes of the others."""
    from falaj.lab.provider.aws import ENACTED  # noqa: PLC0415 (boto3 takes a second to import)

    services: dict[str, list[str]] = {}
    for token in ENACTED:
        _, module, kind = token.split(":")
        services.setdefault(module.partition("/")[0], []).append(kind)
    lines = [f"  {service}: {', '.join(sorted(kinds))}" for service, kinds in sorted(services.items())]
    rest = "every other AWS type is recorded, not enacted: it exists in Pulumi's state only, and each run says so"
    return "\n".join(["types that the emulated aws provider enacts in moto:", *lines, rest])


def existing(lab: Lab) -> Lab:
    """Return the lab if it has been made."""
    if not lab.exists():
        raise LabError(
            f"there is no lab at {lab.root}; make one with `falaj-lab up`, or name another folder: --state DIR"
        )
    return lab


def parse_port(text: str) -> tuple[str, int]:
    """Read NAME=N."""
    name, _, number = text.partition("=")
    if not number.isdecimal() or int(number) > 65535:
        raise LabError(f"--port {text}: write NAME=N with a port number, or 0 for a new one, for example moto=0")
    return name, int(number)


def show_columns(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows, their columns aligned; the last may be long."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        out.print("  ".join(cells).rstrip(), markup=False)


def duration(seconds: float) -> str:
    """Write a duration as a person reads it."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{rest} s"


def main() -> None:
    """Run the command line; what a person can put right is one line, and its traceback is behind --debug."""
    # Who ends a command, such as a time limit, is served like Ctrl-C: what was started stops, what was seen is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except (LabError, OSError) as error:
        if os.environ.get(DEBUG):
            raise
        err.print(f"falaj-lab: {in_words(error)}", markup=False)
        sys.exit(1)


def in_words(error: LabError | OSError) -> str:
    """Say what went wrong without the numbers that only programs read."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


if __name__ == "__main__":
    main()
