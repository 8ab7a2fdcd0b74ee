"""The nodes whose pods are processes of this machine: one, unless the lab was told of more."""

from falaj.lab.errors import LabError
from falaj.lab.state import Lab

NODE = "processes"
"""Name of the first one."""
NODES_SETTING = "serving-nodes"
"""Under which a lab remembers how many there are."""
MOST = 9


def names(lab: Lab) -> list[str]:
    """Return the nodes' names, ``processes``, ``processes-2`` and so on; raises ``LabError`` for a wrong setting."""
    told = lab.settings().get(NODES_SETTING, "1")
    if not told.isdecimal() or not 1 <= int(told) <= MOST:
        raise LabError(f"the setting {NODES_SETTING} is {told}; it must be a number from 1 to {MOST}")
    return [NODE, *(f"{NODE}-{number}" for number in range(2, int(told) + 1))]
