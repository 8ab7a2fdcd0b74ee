"""Measure falaj as a person meets it: whole commands, each as a ratio to a named baseline of the same run.

    python tests/bench/bench.py            with the tools present, in a lab of its own
    python tests/bench/bench.py --first    the first `make up` as well: a fresh clone, empty caches (10 to 30 minutes)
    python tests/bench/bench.py --bridged  with the AWS provider of HashiCorp in a lab as well, and `make fidelity`
    python tests/bench/bench.py --tenants  only how `prod` grows with its tenants, on both AWS providers
    python tests/bench/bench.py --policies only what policies cost: in a preview of `prod`, and alone on large states

Prints the table that docs/benchmarks.md keeps. The baseline is a `pulumi up` of a program without resources in the same
lab, so a slower machine moves both.
"""

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
LAB = str(ROOT / ".venv/bin/falaj-lab")
CACHES = {
    "FALAJ_CACHE": "falaj",
    "GOCACHE": "go-build",
    "GOMODCACHE": "go-mod",
    "UV_CACHE_DIR": "uv",
    "PIP_CACHE_DIR": "pip",
}


def main() -> None:
    """Run the measurements and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", action="store_true", help="also the first `make up`, with empty caches")
    parser.add_argument("--bridged", action="store_true", help="also HashiCorp's AWS provider, and `make fidelity`")
    parser.add_argument("--tenants", action="store_true", help="only how `prod` grows with its tenants")
    parser.add_argument("--policies", action="store_true", help="only what policies cost")
    parser.add_argument("--runs", type=int, default=5, help="runs of each short measurement (default: 5)")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}\n")
    if arguments.tenants:
        tenants_runs()
        return
    if arguments.policies:
        policies_runs(arguments.runs)
        return
    print("| what | seconds: median (min to max) | ratio to the baseline |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="falaj-bench-") as folder:
        if arguments.first:
            first_run(Path(folder))
        baseline = warm_runs(Path(folder), arguments.runs)
        if arguments.bridged:
            bridged_runs(Path(folder), arguments.runs, baseline)


def warm_runs(folder: Path, runs: int) -> Sequence[float]:
    """Measure a lab's life with every tool present; return the baseline."""
    environment = {**os.environ, "FALAJ_LAB": str(folder / "lab"), "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}

    def lab(*command: str, cwd: Path = ROOT) -> Callable[[], object]:
        return lambda: run([LAB, *command], cwd, environment)

    try:
        up, deploy = lab("up"), lab("exec", "--", sys.executable, "stacks/deploy.py", "local")
        cold = measure(up, 1)
        empty = folder / "empty"
        empty.mkdir()
        (empty / "Pulumi.yaml").write_text("name: empty\nruntime: python\n")
        (empty / "__main__.py").write_text("")
        lab("exec", "--", "pulumi", "stack", "init", "empty", cwd=empty)()
        baseline = measure(lab("exec", "--", "pulumi", "up", "--yes", "--stack", "empty", cwd=empty), runs)
        row("baseline: `pulumi up` of a program without resources", baseline, baseline)
        row("`falaj-lab up`, nothing running", cold, baseline)
        row("`falaj-lab up`, all running", measure(up, runs), baseline)
        row("`local` deployed into an empty lab, policies first", measure(deploy, 1), baseline)
        local = ("pulumi", "up", "--yes", "--stack", "local", "--policy-pack", "policies")
        row("`pulumi up` of `local` without changes, with policies", measure(lab("exec", "--", *local), runs), baseline)
        row("`make up` again, all there", measure(lambda: run(["make", "up"], ROOT, environment), 1), baseline)
        lab("exec", "--", "pulumi", "stack", "init", "prod")()
        prod = ("pulumi", "preview", "--stack", "prod", "--policy-pack", "policies", "--config", "falaj:target=lab")
        row("`pulumi preview` of `prod`, with policies", measure(lab("exec", "--", *prod), runs), baseline)
        row("`falaj-lab down`", measure(lab("down"), 1), baseline)
    finally:
        subprocess.run([LAB, "reset", "--yes"], cwd=ROOT, env=environment, check=False, capture_output=True)
    fresh = {**environment, "FALAJ_LAB": str(folder / "fresh")}
    try:
        row(
            "`make up` with the tools present, no lab yet",
            measure(lambda: run(["make", "up"], ROOT, fresh), 1),
            baseline,
        )
    finally:
        subprocess.run([LAB, "reset", "--yes"], cwd=ROOT, env=fresh, check=False, capture_output=True)
    return baseline


def bridged_runs(folder: Path, runs: int, baseline: Sequence[float]) -> None:
    """Measure the same platform with HashiCorp's AWS provider, which is built before, and the comparison of both."""
    environment = {**os.environ, "FALAJ_LAB": str(folder / "bridged"), "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}

    def lab(*command: str) -> Callable[[], object]:
        return lambda: run([LAB, *command], ROOT, environment)

    lab("install", "--aws", "bridged")()
    try:
        lab("up", "--aws", "bridged")()
        deploy = lab("exec", "--", sys.executable, "stacks/deploy.py", "local")
        row("bridged: `local` deployed into an empty lab, policies first", measure(deploy, 1), baseline)
        up = lab("exec", "--", "pulumi", "up", "--yes", "--stack", "local", "--policy-pack", "policies")
        row("bridged: `pulumi up` of `local` without changes, with policies", measure(up, runs), baseline)
    finally:
        subprocess.run([LAB, "reset", "--yes"], cwd=ROOT, env=environment, check=False, capture_output=True)
    fidelity = measure(lambda: run(["make", "fidelity"], ROOT, dict(os.environ)), 1)
    row("`make fidelity`: `local` and `prod`, each in two labs", fidelity, baseline)


def policies_runs(runs: int) -> None:
    """Measure a preview of `prod` with policies against one without, and `falaj-policy check` on larger states.

    The states are that of `local`, deployed in a lab, repeated under other names.
    """
    print("| what | seconds: median (min to max) | ratio to its baseline |\n| --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="falaj-bench-") as name:
        folder = Path(name)
        environment = {**os.environ, "FALAJ_LAB": str(folder / "lab"), "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}

        def lab(*command: str) -> Callable[[], object]:
            return lambda: run([LAB, *command], ROOT, environment)

        try:
            lab("up")()
            lab("exec", "--", sys.executable, "stacks/deploy.py", "local")()
            lab("exec", "--", "pulumi", "stack", "export", "--stack", "local", "--file", str(folder / "local.json"))()
            lab("exec", "--", "pulumi", "stack", "init", "prod")()
            bare = ("pulumi", "preview", "--stack", "prod", "--config", "falaj:target=lab")
            without = measure(lab("exec", "--", *bare), runs)
            row("baseline: `pulumi preview` of `prod`, without policies", without, without)
            judged = measure(lab("exec", "--", *bare, "--policy-pack", "policies"), runs)
            row("`pulumi preview` of `prod`, with policies", judged, without)
        finally:
            subprocess.run([LAB, "reset", "--yes"], cwd=ROOT, env=environment, check=False, capture_output=True)
        state = json.loads((folder / "local.json").read_text())
        baseline: Sequence[float] = []
        for count in (1000, 2000, 5000, 10_000):
            path = folder / f"{count}.json"
            made = repeated(state, count)
            path.write_text(json.dumps(made))
            check = [f"{ROOT}/.venv/bin/falaj-policy", "check", "--state", str(path), "--output", str(folder / "out")]
            # Secrets that only the stack's passphrase opens are undetermined: the command ends with 0 all the same.
            seconds = measure(lambda check=check: run(check, ROOT, environment), runs)
            baseline = baseline or seconds
            row(f"`falaj-policy check` of {len(made['deployment']['resources']):,} resources", seconds, baseline)


def repeated(state: dict[str, Any], count: int) -> dict[str, Any]:
    """Return a state of about as many resources, and one copy at least: whole copies of its own under other names.

    In half a copy the companion of a resource may be missing, for which a rule fails.
    """
    own = state["deployment"]["resources"]
    copies: list[Any] = []
    for number in range(max(1, round(count / len(own)))):
        copies += json.loads(
            re.sub(r'(urn:pulumi:[^"]*?::[^":]+?)(?=(::[0-9a-f-]{36})?")', rf"\g<1>-{number}", json.dumps(own))
        )
    return {**state, "deployment": {**state["deployment"], "resources": copies}}


def tenants_runs() -> None:
    """Measure `prod` with its tenants once, twice and four times, each in an empty lab; the baseline is the first row.

    What is measured is deployed without policies, so that growth is the platform's own.
    """
    print("| AWS provider | tenants | resources | preview | up | up without changes | up, as a ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    baseline = 0.0
    for aws in ("emulated", "bridged"):
        for factor in (1, 2, 4):
            with tempfile.TemporaryDirectory(prefix="falaj-bench-") as folder:
                count, resources, seconds = grown(Path(folder), aws, factor)
            preview, up, again = seconds
            baseline = baseline or up
            print(
                f"| {aws} | {count} | {resources} | {preview:.1f} | {up:.1f} | {again:.1f} | {up / baseline:.1f} |",
                flush=True,
            )


def grown(folder: Path, aws: str, factor: int) -> tuple[int, int, list[float]]:
    """Return tenants, resources and the seconds of preview, up and up without changes, of so many times the tenants."""
    environment = {**os.environ, "FALAJ_LAB": str(folder / "lab"), "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    config = yaml.safe_load((ROOT / "stacks" / "Pulumi.prod.yaml").read_text())["config"]
    tenants, pools = config["falaj:tenants"], config["falaj:pools"]
    for pool in pools:  # as many times the GPUs for as many times the tenants; the nodes at work stay as they are
        if "needs" in pool:
            pool["needs"]["gpus"] *= factor
        else:
            pool["max"] *= factor
    more = [
        {
            **tenant,
            "name": f"{tenant['name']}-{number}" if number else tenant["name"],
            "uid": 20001 + 100 * number + index,
        }
        for number in range(factor)
        for index, tenant in enumerate(tenants)
    ]

    def pulumi(*command: str) -> str:
        return run([LAB, "exec", "--", "pulumi", *command, "--stack", "prod"], ROOT, environment)

    try:
        run([LAB, "up", "--aws", aws], ROOT, environment)
        run([LAB, "exec", "--", "pulumi", "stack", "init", "prod"], ROOT, environment)
        pulumi("config", "set", "falaj:target", "lab")
        pulumi("config", "set", "falaj:tenants", json.dumps(more))
        pulumi("config", "set", "falaj:pools", json.dumps(pools))
        seconds = [
            measure(lambda: pulumi("preview"), 1)[0],
            *(measure(lambda: pulumi("up", "--yes", "--skip-preview"), 1)[0] for _ in range(2)),
        ]
        deployment = json.loads(pulumi("stack", "export"))["deployment"]
    finally:
        subprocess.run([LAB, "reset", "--yes"], cwd=ROOT, env=environment, check=False, capture_output=True)
    return len(more), len(deployment["resources"]), seconds


def first_run(folder: Path) -> None:
    """Measure the first `make up` in a fresh clone with empty caches, and what each tool's build took."""
    clone = folder / "clone"
    run(["git", "clone", "--quiet", str(ROOT), str(clone)], ROOT, dict(os.environ))
    environment = {**os.environ, **{name: str(folder / "caches" / sub) for name, sub in CACHES.items()}}
    environment["PATH"] = os.pathsep.join(p for p in environment["PATH"].split(os.pathsep) if ".venv" not in p)
    try:
        said: list[str] = []
        total = measure(lambda: said.extend(run(["make", "up"], clone, environment).splitlines()), 1)
        print(f"| first `make up`, empty caches | {total[0]:.0f} | |")
        install = ["bash", "-c", ".venv/bin/falaj-lab install --aws bridged"]
        strict = measure(lambda: said.extend(run(install, clone, environment).splitlines()), 1)
        print(f"| `falaj-lab install --aws bridged` after it | {strict[0]:.0f} | |")
        for line in said:
            if found := re.match(r"(?P<what>.+): done in (?P<time>.+)", line.strip()):
                print(f"| of which: {found['what']} | {found['time']} | |", flush=True)
    finally:
        subprocess.run(["make", "reset"], cwd=clone, env=environment, check=False, capture_output=True)
        subprocess.run(["chmod", "-R", "u+w", str(folder / "caches")], check=False)  # Go's module cache is read-only
        shutil.rmtree(folder / "caches", ignore_errors=True)


def measure(action: Callable[[], object], runs: int) -> list[float]:
    """Return the seconds that each run of an action took."""
    seconds = []
    for _ in range(runs):
        start = time.monotonic()
        action()
        seconds.append(time.monotonic() - start)
    return seconds


def row(what: str, seconds: Sequence[float], baseline: Sequence[float]) -> None:
    """Print one line of the table."""
    median = statistics.median(seconds)
    spread = f" ({min(seconds):.1f} to {max(seconds):.1f})" if len(seconds) > 1 else ""
    print(f"| {what} | {median:.1f}{spread} | {median / statistics.median(baseline):.1f} |", flush=True)


def run(command: Sequence[str], cwd: Path, environment: dict[str, str]) -> str:
    """Return what a command printed; a failure ends the measurement with the command's last lines."""
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-15:])
        sys.exit(f"{' '.join(command)} failed ({result.returncode}):\n{tail}")
    return result.stdout + result.stderr


if __name__ == "__main__":
    main()
