"""The `pulumi` of a lab: the real CLI, kept inside the lab.

Three things differ from calling the CLI directly. A stack's configuration is a copy that the lab keeps, so that the
salt of its secrets, `pulumi config set` and `-c` do not touch the tracked `Pulumi.<stack>.yaml`. The lock of a run that
was killed is removed, since a run on this machine can be seen to be gone; what it moved aside is put back. And the CLI
keeps no log of its own.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from falaj.lab.state import Lab, write_private

SECRET_KEYS = ("secretsprovider", "encryptedkey", "encryptionsalt")
"""How a stack's secrets are encrypted: a lab decides that for itself."""


def main() -> None:
    """Become the real CLI, with the lab's copy of the stack's configuration."""
    lab = Lab.at()
    command = sys.argv[1:]
    remove_stale_locks(lab.root / "pulumi-state")
    keep_no_log(lab.root / "pulumi")
    project = find_project(option(command, "--cwd", "-C"))
    stack = option(command, "--stack", "-s") or os.environ.get("PULUMI_STACK") or named_stack(command)
    real = lab.root / "libexec" / "pulumi"
    if project is not None:
        stack = stack or selected_stack(lab, project)
        if stack:
            copy = lab_config(lab, project, stack.rsplit("/", 1)[-1])
            os.environ["PULUMI_OPTION_CONFIG_FILE"] = str(copy)
            # `pulumi stack rm` would remove the tracked file.
            os.environ["PULUMI_OPTION_PRESERVE_CONFIG"] = "true"
            command = create_stack(real, copy.parent, stack, command)
    os.execv(real, ["pulumi", *command])  # noqa: S606 (no shell is wanted)


def keep_no_log(home: Path) -> None:
    """Keep the CLI from logging every property of every resource below its home, for which it has no switch.

    Each line is compressed and written while the engine waits, which is a fourth of the engine's time where policies
    look on. A file in the folder's place ends that; ``pulumi -v 9 --logtostderr`` tells as much as before.
    """
    logs = home / "logs"
    if logs.is_dir():
        shutil.rmtree(logs, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    logs.touch()


def create_stack(real: Path, folder: Path, stack: str, command: Sequence[str]) -> Sequence[str]:
    """Create a stack where a command asks for that, and return the command that is left to do.

    Creating is the one thing for which the CLI knows no other place for the configuration, and it writes the salt. So
    the stack is created from the folder of the lab's copies, which is a project of the same name.
    """
    wanted = tuple(command[:2])
    selecting = wanted == ("stack", "select") and not {"--create", "-c"}.isdisjoint(command)
    if wanted != ("stack", "init") and not selecting:
        return command
    select = ["stack", "select", stack, *(["--cwd", cwd] if (cwd := option(command, "--cwd", "-C")) else [])]
    if (
        selecting
        and subprocess.run([real, *select, "--non-interactive"], capture_output=True, check=False).returncode == 0
    ):
        return select
    made = subprocess.run([real, "stack", "init", stack, "--no-select", "--cwd", folder], check=False)
    if made.returncode:
        sys.exit(made.returncode)
    return select


def option(command: Sequence[str], long: str, short: str) -> str | None:
    """Return the value of an option of the CLI, given as `--long v`, `--long=v`, `-s v`, or nothing."""
    for index, word in enumerate(command):
        if word == "--":
            return None
        if word in (long, short) and index + 1 < len(command):
            return command[index + 1]
        if word.startswith(f"{long}="):
            return word.partition("=")[2]
    return None


def named_stack(command: Sequence[str]) -> str | None:
    """Return the stack that `pulumi stack init|select|rm NAME` names."""
    if tuple(command[:1]) == ("stack",) and len(command) > 2 and command[1] in ("init", "select", "rm", "new"):
        return next((word for word in command[2:] if not word.startswith("-")), None)
    return None


def find_project(folder: str | None) -> Path | None:
    """Return the nearest Pulumi.yaml at or above a folder (the current one when not given)."""
    start = Path(folder or ".").absolute()
    return next((p / "Pulumi.yaml" for p in (start, *start.parents) if (p / "Pulumi.yaml").is_file()), None)


def selected_stack(lab: Lab, project: Path) -> str | None:
    """Return the stack selected for a project, as the CLI keeps it below PULUMI_HOME."""
    import hashlib  # noqa: PLC0415 (only a run without a named stack needs it)

    digest = hashlib.sha1(str(project).encode(), usedforsecurity=False).hexdigest()
    for path in (lab.root / "pulumi" / "workspaces").glob(f"*-{digest}-workspace.json"):
        kept = json.loads(path.read_text())
        stacks = kept.get("stacks", {})
        return stacks.get(os.environ.get("PULUMI_BACKEND_URL", "")) or kept.get("stack")
    return None


def lab_config(lab: Lab, project: Path, stack: str) -> Path:
    """Return the lab's copy of a stack's configuration, brought up to date with the tracked file.

    What the lab changed since the last run is kept; what changed in the tracked file meanwhile is taken over.
    """
    settings = yaml.safe_load(project.read_text()) or {}
    tracked = project.parent / settings.get("stackConfigDir", ".") / f"Pulumi.{stack}.yaml"
    folder = lab.folder("stacks", settings["name"])
    write_private(folder / "Pulumi.yaml", yaml.safe_dump({"name": settings["name"], "runtime": "python"}))
    copy, base = folder / f"Pulumi.{stack}.yaml", folder / f"Pulumi.{stack}.base.yaml"
    source = {k: v for k, v in read_yaml(tracked).items() if k not in SECRET_KEYS}
    merged = overlay(source, changed_since=read_yaml(base), lab=read_yaml(copy))
    if merged != read_yaml(copy) or not copy.exists():
        write_private(copy, yaml.safe_dump(merged, sort_keys=False))
    write_private(base, yaml.safe_dump(source, sort_keys=False))
    return copy


def overlay(source: dict[str, Any], changed_since: dict[str, Any], lab: dict[str, Any]) -> dict[str, Any]:
    """Merge the tracked settings with what the lab changed against the settings that it last copied."""
    ours, base = lab.get("config") or {}, changed_since.get("config") or {}
    config = dict(source.get("config") or {})
    for key in {*ours, *base}:
        if ours.get(key) != base.get(key):
            if key in ours:
                config[key] = ours[key]
            elif lab:
                config.pop(key, None)
    kept = {key: lab[key] for key in SECRET_KEYS if key in lab}
    return {**kept, **source, **({"config": config} if config else {})}


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML mapping, empty when the file is not there."""
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def remove_stale_locks(backend: Path) -> None:
    """Remove the locks of runs that ended without removing them: their process is gone, or another has its number."""
    locks = list((backend / ".pulumi" / "locks").rglob("*.json"))
    if not locks:
        return
    from datetime import datetime  # noqa: PLC0415 (rarely needed; this module starts before every run)

    import psutil  # noqa: PLC0415

    for path in locks:
        try:
            lock = json.loads(path.read_text())
            taken = datetime.fromisoformat(lock["timestamp"]).timestamp()
            pid: int = lock["pid"]
        except (OSError, ValueError, KeyError):
            continue  # being written or removed just now, or not a lock of this CLI: its own check decides
        try:
            process = psutil.Process(pid)
            alive = process.create_time() <= taken and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            alive = False
        if not alive and lock.get("hostname") == os.uname().nodename:
            restore_state(backend, *path.parent.parts[-2:])
            path.unlink(missing_ok=True)
            print(f"falaj-lab: removed the lock of an interrupted run (pid {pid})", file=sys.stderr)  # noqa: T201


def restore_state(backend: Path, project: str, stack: str) -> None:
    """Restore the state of a run that was killed between moving the old state aside and writing the new one."""
    state = backend / ".pulumi" / "stacks" / project / f"{stack}.json"
    aside = state.with_name(f"{state.name}.bak")
    if not state.exists() and aside.exists():
        write_private(state, aside.read_bytes())


if __name__ == "__main__":
    main()
