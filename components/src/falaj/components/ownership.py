"""Who answers for a resource and who pays for it, as tags and labels."""

import re
from typing import TypedDict

from falaj.components.classification import Classification
from falaj.components.errors import ConfigError

# What AWS takes as a tag's value and Kubernetes as a label's, so that one word serves both.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


class Ownership(TypedDict):
    """The accountable team, the account that pays, and the environment."""

    owner: str
    """Team that answers for it, for example ``ml-platform``."""
    cost_centre: str
    """Who pays, for example ``cc-1042``."""
    environment: str
    """``local``, ``dev``, ``staging`` or ``prod``, or a team's own word."""


def labels(field: str, ownership: Ownership, classification: Classification) -> dict[str, str]:
    """Return the four tags that everything carries; the same words serve as Kubernetes labels."""
    for key, value in ownership.items():
        if not _LABEL.fullmatch(str(value)):
            raise ConfigError(
                f"{field}.{key}", value, "must be 1 to 63 letters, digits, dots, hyphens or underscores, as in a label"
            )
    return {
        "owner": ownership["owner"],
        "cost-centre": ownership["cost_centre"],
        "environment": ownership["environment"],
        "classification": classification.value,
    }
