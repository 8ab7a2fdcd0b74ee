"""The rules, by subject."""

from falaj.policies.model import Rule
from falaj.policies.rules import (
    cluster,
    compute,
    egress,
    identity,
    kms,
    network,
    records,
    residency,
    s3,
    vault,
    workloads,
)

RULES: tuple[Rule, ...] = (
    *kms.RULES,
    *s3.RULES,
    *network.RULES,
    *egress.RULES,
    *compute.RULES,
    *identity.RULES,
    *records.RULES,
    *residency.RULES,
    *workloads.RULES,
    *cluster.RULES,
    *vault.RULES,
)
"""Every rule of falaj."""
