"""Records and inventory: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import KEY, NAMESPACE, namespace, simple

from falaj.policies.values import UNKNOWN

LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"

CASES = [
    simple(
        "FJ-LOG-001",
        LOG_GROUP,
        {"retentionInDays": 365.0, "kmsKeyId": "arn"},
        {"retentionInDays": 0.0, "kmsKeyId": "arn"},
        {"retentionInDays": 365.0, "kmsKeyId": UNKNOWN},
    ),
    simple(
        "FJ-LOG-002",
        LOG_GROUP,
        {"retentionInDays": 30.0, "tags": {"classification": "internal"}},
        {"retentionInDays": 30.0, "tags": {"classification": "restricted"}},
        {"retentionInDays": 30.0, "tags": UNKNOWN},
    ),
    simple(
        "FJ-INV-001",
        KEY,
        {"tags": {"Owner": "team", "Classification": "restricted"}},
        {"tags": {"owner": "team", "classification": ""}},
        {"tags": UNKNOWN},
    ),
    simple(
        "FJ-INV-001",
        NAMESPACE,
        namespace(owner="team", classification="internal"),
        namespace(owner="team"),
        namespace(owner="team", classification=UNKNOWN),
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("aws:cloudwatch/logGroup:LogGroup", ["retentionInDays"], 0, {"FJ-LOG-001"}),
    ("aws:cloudwatch/logGroup:LogGroup", ["retentionInDays"], 7, {"FJ-LOG-002"}),
]
