"""A lab for one run: the control plane, Kueue and KWOK, and nothing else; stopped whatever becomes of the run."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import psutil
from rich.console import Console

from falaj.lab import control, services, tools
from falaj.lab.state import Lab

SERVICES = ("kube-controller-manager", "kube-scheduler", "kwok", "kueue")
TOOLS = ("etcd", "kube-apiserver", *SERVICES)
COLLECTING = {"GOGC": "400", "GOMEMLIMIT": str(psutil.virtual_memory().total // 3)}
"""How Go collects garbage in the lab's services: by default it takes a quarter of the API server's time, so it is done
less often, as long as a service has not a third of the machine's memory."""


@contextlib.contextmanager
def fresh_lab(root: Path | None, console: Console) -> Generator[Lab]:
    """Run a new lab, in a folder that stays when it is named and goes otherwise."""
    temporary = root is None
    place = Path(tempfile.mkdtemp(prefix="falaj-simulation-")) if root is None else root
    lab = Lab.at(place)
    try:
        if lab.exists():
            control.stop(lab)
            lab.forget()
        lab.create()
        resolved = tools.ensure(TOOLS, console)
        for name, value in COLLECTING.items():  # after what may be built; the lab's supervisor inherits it
            os.environ.setdefault(name, value)
        with control.alone(lab, "simulate"):
            services.remember_only(lab, SERVICES)
            control.start(lab, {name: path for name in TOOLS if (path := resolved[name].path)}, {})
            control.wait_until_ready(lab, lambda _: None)
        yield lab
    finally:
        if lab.exists():
            control.stop(lab)
        if temporary:
            shutil.rmtree(place, ignore_errors=True)
