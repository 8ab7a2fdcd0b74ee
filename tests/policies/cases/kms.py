"""Keys: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import ACCOUNT, KEY, NO_REPLICA, ROOT, Case, allow, document, make, simple

from falaj.policies.values import UNKNOWN

EXTERNAL = "aws:kms/externalKey:ExternalKey"
EXTERNAL_REPLICA = "aws:kms/replicaExternalKey:ReplicaExternalKey"
KEY_POLICY = "aws:kms/keyPolicy:KeyPolicy"
BYPASS = "bypassPolicyLockoutSafetyCheck"
BOB = "arn:aws:iam::123456789012:role/bob"
ADMINISTER = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}

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
    simple("FJ-KMS-002", EXTERNAL, {"multiRegion": False}, {"multiRegion": True}, {"multiRegion": UNKNOWN}),
    Case("FJ-KMS-002", [make(KEY, {})], [make(EXTERNAL_REPLICA, {})], []),
    simple(
        "FJ-KMS-003",
        KEY_POLICY,
        {"policy": document(allow(ROOT))},
        {"policy": document(allow("*"))},
        {"policy": UNKNOWN},
    ),
    *(
        case
        for type_ in (KEY, EXTERNAL, NO_REPLICA, EXTERNAL_REPLICA)
        for case in (
            simple("FJ-KMS-004", type_, {}, {"deletionWindowInDays": 7.0}, {"deletionWindowInDays": UNKNOWN}),
            simple(
                "FJ-KMS-005",
                type_,
                {},
                {"isEnabled" if type_ == KEY else "enabled": False},
                {"isEnabled" if type_ == KEY else "enabled": UNKNOWN},
            ),
        )
    ),
    Case(
        "FJ-KMS-004",
        [make(KEY, {"deletionWindowInDays": 30.0})],
        [make(KEY, {"deletionWindowInDays": 14.0})],
        [],
        {"deletionWindowInDays": 30},
    ),
    *(
        case
        for type_ in (KEY, EXTERNAL, NO_REPLICA, EXTERNAL_REPLICA, KEY_POLICY)
        for case in (
            simple("FJ-KMS-006", type_, {}, {BYPASS: True}, {BYPASS: UNKNOWN}),
            simple(
                "FJ-KMS-008",
                type_,
                {"policy": document(ADMINISTER | {"Principal": ROOT})},
                {"policy": document(ADMINISTER | {"Principal": {"AWS": [ROOT["AWS"], BOB]}})},
                {"policy": UNKNOWN},
            ),
        )
    ),
    simple(
        "FJ-KMS-007",
        "aws:kms/grant:Grant",
        {"granteePrincipal": BOB, "operations": ["Decrypt"]},
        {"granteePrincipal": BOB, "operations": ["Decrypt", "CreateGrant"]},
        {"granteePrincipal": UNKNOWN, "operations": ["Decrypt"]},
    ),
    *(
        simple("FJ-KMS-009", type_, {}, {"keyMaterialBase64": "AAAA"}, {"keyMaterialBase64": UNKNOWN})
        for type_ in (EXTERNAL, EXTERNAL_REPLICA)
    ),
    *(
        Case(
            "FJ-KMS-010",
            [make(type_, {key: "cks-1"})],
            [make(type_, {key: "cks-2"})],
            [make(type_, {key: UNKNOWN})],
            {"keyStores": ["cks-1"]},
        )
        for type_, key in ((KEY, "customKeyStoreId"), ("aws:kms/customKeyStore:CustomKeyStore", "customKeyStoreName"))
    ),
    simple("FJ-KMS-011", KEY, {}, {"rotationPeriodInDays": 730.0}, {"rotationPeriodInDays": UNKNOWN}),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("aws:kms/key:Key", ["enableKeyRotation"], None, {"FJ-KMS-001"}),
    ("aws:kms/key:Key", ["deletionWindowInDays"], 7, {"FJ-KMS-004"}),
    ("aws:kms/key:Key", ["isEnabled"], False, {"FJ-KMS-005"}),
    ("aws:kms/key:Key", [BYPASS], True, {"FJ-KMS-006"}),
    ("aws:kms/key:Key", ["policy"], document(ADMINISTER | {"Principal": {"AWS": BOB}}), {"FJ-KMS-008"}),
    ("aws:kms/key:Key", ["customKeyStoreId"], "cks-1", {"FJ-KMS-010"}),
    ("aws:kms/key:Key", ["rotationPeriodInDays"], 2560, {"FJ-KMS-011"}),
]
