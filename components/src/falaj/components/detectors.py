"""The detectors that AWS offers, and what each can look at; part of the component that turns them on."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from falaj.components.errors import ConfigError


class Threats(StrEnum):
    """What GuardDuty looks at beside management events, flow logs and DNS queries, which it always does."""

    S3 = "S3_DATA_EVENTS"
    """How objects are used."""
    EKS_AUDIT = "EKS_AUDIT_LOGS"
    """What is asked of clusters' API servers."""
    RUNTIME = "RUNTIME_MONITORING"
    """What runs on nodes: an agent that GuardDuty installs in clusters and on instances."""
    MALWARE = "EBS_MALWARE_PROTECTION"
    """Disks of instances on which something was found."""
    DATABASES = "RDS_LOGIN_EVENTS"
    """Log-ins to databases."""
    LAMBDA = "LAMBDA_NETWORK_LOGS"
    """Connections of functions."""


RUNTIME_AGENTS = {"EKS_ADDON_MANAGEMENT": True, "EC2_AGENT_MANAGEMENT": True, "ECS_FARGATE_AGENT_MANAGEMENT": False}
"""Where GuardDuty installs its agent by itself. Nothing runs on ECS; said, since GuardDuty tells all three."""
WITHOUT_MACIE = ("eu-south-2", "me-central-1")
"""Home regions of the regimes in which AWS does not offer Macie: https://docs.aws.amazon.com/general/latest/gr/macie.html."""


class Standard(StrEnum):
    """A standard whose controls Security Hub checks, with its version."""

    FSBP = "aws-foundational-security-best-practices/v/1.0.0"
    """AWS Foundational Security Best Practices."""
    CIS = "cis-aws-foundations-benchmark/v/3.0.0"
    """CIS AWS Foundations Benchmark 3.0."""
    NIST = "nist-800-53/v/5.0.0"
    """NIST SP 800-53, revision 5."""

    def arn(self, region: str) -> str:
        """Return the standard's ARN in a region."""
        return f"arn:aws:securityhub:{region}::standards/{self.value}"


class Scans(StrEnum):
    """What Inspector looks for known vulnerabilities in."""

    EC2 = "EC2"
    """Instances."""
    ECR = "ECR"
    """Images in repositories, at each push and as vulnerabilities become known."""
    LAMBDA = "LAMBDA"
    """Functions and their packages."""


class Severity(StrEnum):
    """How grave a finding is, as Security Hub labels it."""

    MEDIUM = "MEDIUM"
    """To be looked at soon."""
    HIGH = "HIGH"
    """To be looked at first."""
    CRITICAL = "CRITICAL"
    """To be looked at now."""

    def and_above(self) -> list[str]:
        """Return the labels of this severity and of graver ones."""
        known = list(Severity)
        return [each.value for each in known[known.index(self) :]]


Member = TypeVar("Member", bound=StrEnum)


def members(field: str, kind: type[Member], values: Sequence[str]) -> list[Member]:
    """Return the values as members of an enum, each once; an unknown one or none at all is refused."""
    known = ", ".join(kind)
    if not values:
        raise ConfigError(field, list(values), f"must name at least one of {known}")
    for value in values:
        if value not in set(kind):
            raise ConfigError(field, value, f"must be among {known}")
    return [kind(value) for value in dict.fromkeys(values)]
