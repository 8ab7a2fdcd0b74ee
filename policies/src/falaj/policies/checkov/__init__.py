"""A second opinion: what checkov says of the same stack, beside our own rules.

It never decides: its findings stand under their own heading. ``second_opinion`` is all that others need.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from falaj.policies.checkov.environment import ensure
from falaj.policies.checkov.findings import CheckovFinding, findings
from falaj.policies.checkov.handover import hand_over
from falaj.policies.checkov.process import Checkov
from falaj.policies.engine import Stack
from falaj.policies.model import Verdict

__all__ = ["Checkov", "CheckovFinding", "Opinion", "ask", "second_opinion"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What checkov says of a stack."""

    version: str
    findings: tuple[CheckovFinding, ...]
    """By resource; without those that contradict residency."""
    contradictions: tuple[CheckovFinding, ...]
    """Findings that were skipped, each with the reason: following them would break residency."""
    left_out: Mapping[str, int]
    """Types of AWS and Kubernetes that could not be handed over, with how many resources there are of each."""
    resources: int
    """How many resources it read."""

    def of(self, verdict: Verdict) -> list[CheckovFinding]:
        """Return the findings of one verdict."""
        return [finding for finding in self.findings if finding.verdict is verdict]


def second_opinion(stack: Stack, say: Callable[[str], object] = lambda _: None) -> Opinion:
    """Ask checkov about a stack; its environment is made first where it is missing, and ``say`` hears how that goes.

    Raises ``PolicyError``, in one line, when it cannot be had or has not read every resource.
    """
    python = ensure(say)
    say("Asking checkov")
    with Checkov(python) as checkov:
        return ask(checkov, stack)


def ask(checkov: Checkov, stack: Stack) -> Opinion:
    """Ask a process that runs already."""
    handover = hand_over(stack.known)
    found = findings(handover, checkov.ask(handover.request)) if handover.request else []
    return Opinion(
        checkov.version,
        tuple(finding for finding in found if not finding.contradicts),
        tuple(finding for finding in found if finding.contradicts and finding.verdict is not Verdict.PASS),
        handover.left_out,
        len(handover.plan) + len(handover.manifests),
    )
