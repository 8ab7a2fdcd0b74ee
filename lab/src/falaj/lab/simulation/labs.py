"""A lab for one run: the control plane, Kueue and KWOK, and nothing else; stopped whatever becomes of the run."""

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

from rich.console import Console

from falaj.lab import control, services, tools
from falaj.lab.state import Lab

SERVICES = ("kube-controller-manager", "kube-scheduler", "kwok", "kueue")
TOOLS = ("etcd", "kube-apiserver", *SERVICES)


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
