"""What HashiCorp's provider says of a type's inputs beyond names and shapes: what makes it anew, what is filled in.

facts.json is what its schema says, written by the bridged provider; a test compares the two. The paths are Pulumi's:
``a.b`` is a property of the object a, ``a[].b`` one of each object in the list a.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FACTS = Path(__file__).with_name("facts.json")


@dataclass(frozen=True)
class Facts:
    """The facts of one type."""

    replaces: frozenset[str] = frozenset()
    """Inputs whose change makes a new thing."""
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Values of inputs that are not given."""
    computed: frozenset[str] = frozenset()
    """Inputs that AWS chooses when they are not given."""
    sets: frozenset[str] = frozenset()
    """Lists without an order."""
    named: str | None = None
    """The input that gets a name made from the resource's."""
    delete_first: bool = False
    """Whether a new thing can only follow the old one."""


def facts(token: str) -> Facts | None:
    """Return the facts of a type, None when the schema is not known here."""
    found = _all().get(token)
    if found is None:
        return None
    return Facts(
        frozenset(found.get("replaces", ())),
        found.get("defaults", {}),
        frozenset(found.get("computed", ())),
        frozenset(found.get("sets", ())),
        found.get("named"),
        found.get("deleteFirst", False),
    )


@cache
def _all() -> Mapping[str, Mapping[str, Any]]:
    return json.loads(FACTS.read_text())
