"""Records and inventory: what passes, what fails, and what cannot be decided."""

from policies.making import KEY, NAMESPACE, namespace, simple

from falaj.policies.values import UNKNOWN

CASES = [
    simple(
        "FJ-LOG-001",
        "aws:cloudwatch/logGroup:LogGroup",
        {"retentionInDays": 365.0, "kmsKeyId": "arn"},
        {"retentionInDays": 0.0, "kmsKeyId": "arn"},
        {"retentionInDays": 365.0, "kmsKeyId": UNKNOWN},
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
