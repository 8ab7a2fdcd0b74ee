"""The platform as stacks/ composes it, but for the arguments that FALAJ_FIDELITY_ARGUMENTS changes.

The variable holds JSON: component type, then its name, then the arguments that take the place of the composition's.
"""

import importlib
import json
import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STACKS = Path(__file__).parents[3] / "stacks"


def altered(make: type, by_name: Mapping[str, Mapping[str, Any]]) -> type:
    """Return a component's class that changes the arguments of the named ones."""

    def construct(self: Any, name: str, args: Mapping[str, Any], opts: Any = None) -> None:
        make.__init__(self, name, {**args, **by_name.get(name, {})}, opts)

    return type(make.__name__, (make,), {"__init__": construct})


sys.path.insert(0, str(STACKS))
changed = json.loads(os.environ["FALAJ_FIDELITY_ARGUMENTS"])

for module in map(importlib.import_module, ("foundation", "serving", "sharing", "composition")):
    for component, by_name in changed.items():
        if hasattr(module, component):
            setattr(module, component, altered(getattr(module, component), by_name))
runpy.run_path(str(STACKS / "__main__.py"))
