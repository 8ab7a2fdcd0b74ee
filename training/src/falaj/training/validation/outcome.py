"""The three answers of a check; what is not known is never a pass."""

from collections.abc import Iterable
from typing import Literal

Outcome = Literal["pass", "fail", "undetermined"]
"""``undetermined``: the check could not tell, for example because there was too little to judge by."""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return what several answers come to: one failure fails, one doubt is a doubt, and nothing judged is a doubt."""
    found = set(outcomes)
    if "fail" in found:
        return "fail"
    return "pass" if found == {"pass"} else "undetermined"
