"""Zero Trust, ISO/IEC 27001:2022 and residency rules, and what rules are made of."""

from falaj.policies.config import Level
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, Verdict, must, never, rule
from falaj.policies.rules import RULES

__all__ = [
    "RULES",
    "Checks",
    "Context",
    "Level",
    "Resource",
    "Rule",
    "Setting",
    "Severity",
    "Verdict",
    "must",
    "never",
    "rule",
]
