"""Zero Trust, ISO/IEC 27001:2022 and residency rules, and the way into Pulumi's policy packs."""

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, Verdict, must, never, rule
from falaj.policies.pack import policies
from falaj.policies.rules import RULES

__all__ = [
    "RULES",
    "Checks",
    "Context",
    "Resource",
    "Rule",
    "Setting",
    "Severity",
    "Verdict",
    "must",
    "never",
    "policies",
    "rule",
]
