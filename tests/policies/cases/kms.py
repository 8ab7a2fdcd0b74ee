"""Keys: what passes, what fails, and what cannot be decided."""

from policies.making import ACCOUNT, KEY, NO_REPLICA, ROOT, Case, allow, document, make, simple

from falaj.policies.values import UNKNOWN

CASES = [
    simple("FJ-KMS-001", KEY, {"enableKeyRotation": True}, {}, {"enableKeyRotation": UNKNOWN}),
    simple("FJ-KMS-001", KEY, {"customKeyStoreId": "cks-1"}, {}, {"customKeyStoreId": UNKNOWN}),
    simple("FJ-KMS-002", KEY, {"multiRegion": False}, {"multiRegion": True}, {"multiRegion": UNKNOWN}),
    Case("FJ-KMS-002", [make(KEY, {})], [make(NO_REPLICA, {"primaryKeyArn": "arn:aws:kms:eu-west-1:1:key/mrk-1"})], []),
    simple(
        "FJ-KMS-003",
        KEY,
        {"policy": document(allow(ROOT), allow("*", Condition=ACCOUNT))},
        {"policy": document(allow(ROOT), allow({"AWS": "*"}))},
        {"policy": UNKNOWN},
    ),
]
