"""Vault's policies, keys and records: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, make, simple

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

POLICY = "vault:index/policy:Policy"
KEY = "vault:transit/secretBackendKey:SecretBackendKey"
MOUNT = "vault:index/mount:Mount"
AUDIT = "vault:index/audit:Audit"
READS = 'path "team/data/*" { capabilities = ["read"] }'
OWN = 'path "auth/token/renew-self" { capabilities = ["update"] }'


def granting(path: str, *capabilities: str) -> dict[str, Any]:
    """Return a policy that grants capabilities on a path, beside what is sound."""
    words = ", ".join(f'"{word}"' for word in capabilities)
    return {"policy": f'{READS}\n{OWN}\npath "{path}" {{ capabilities = [{words}] }}'}


def device(name: str, **options: Any) -> Resource:
    """Return an audit device."""
    return make(AUDIT, {"type": "file", "path": name, "options": options}, name=name)


CASES: list[Case] = [
    *(
        simple("FJ-VLT-001", POLICY, {"policy": READS}, bad, {"policy": UNKNOWN})
        for bad in (granting("sys/raw/*", "sudo"), granting("*", "read"), granting("+/data/x", "list"))
    ),
    simple("FJ-VLT-001", POLICY, granting("*", "deny"), granting("*", "read"), {"policy": "no policy"}),
    *(
        simple("FJ-VLT-004", POLICY, good, bad, {"policy": UNKNOWN})
        for good, bad in (
            (granting("sys/leases/renew", "update"), granting("sys/policies/acl/*", "create", "update")),
            (granting("sys/wrapping/unwrap", "update"), granting("auth/*", "update")),
            (granting("identity/oidc/token/team", "read"), granting("identity/entity", "create")),
            (granting("sys/health", "read"), granting("sys/raw/core", "read")),
            (granting("system/data", "update"), granting("sy*", "update")),
            (granting("sys/*", "deny"), granting("sys/+/acl", "delete")),
        )
    ),
    *(
        simple("FJ-VLT-003", KEY, {"exportable": False}, {name: True}, {name: UNKNOWN})
        for name in ("exportable", "allowPlaintextBackup", "deletionAllowed")
    ),
    *(
        simple("FJ-VLT-005", KEY, {"autoRotatePeriod": 2592000.0}, bad, {"autoRotatePeriod": UNKNOWN})
        for bad in ({}, {"autoRotatePeriod": 0}, {"autoRotatePeriod": 315360000})
    ),
    simple("FJ-VLT-006", KEY, {"type": "aes256-gcm96"}, {"type": "rsa-2048"}, {"type": UNKNOWN}),
    simple("FJ-VLT-006", KEY, {}, {"convergentEncryption": True}, {"convergentEncryption": UNKNOWN}),
    Case("FJ-VLT-007", [device("one"), device("two")], [device("one")], []),
    simple(
        "FJ-VLT-008",
        AUDIT,
        {"options": {"log_raw": "false"}},
        {"options": {"log_raw": "true"}},
        {"options": UNKNOWN},
    ),
    simple(
        "FJ-VLT-008",
        MOUNT,
        {"type": "transit"},
        {"type": "transit", "auditNonHmacRequestKeys": ["plaintext"]},
        {"type": "transit", "auditNonHmacResponseKeys": UNKNOWN},
    ),
]

_BESIDE = 'path "team/data/x" { capabilities = ["read"] }\n'
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (POLICY, ["policy"], f'{_BESIDE}path "team/x" {{ capabilities = ["sudo"] }}', {"FJ-VLT-001"}),
    (POLICY, ["policy"], 'path "+/data" { capabilities = ["update"] }', {"FJ-VLT-001"}),
    (POLICY, ["policy"], 'path "sys/policies/acl/x" { capabilities = ["update"] }', {"FJ-VLT-004"}),
    (POLICY, ["policy"], '{"path": {"auth/kubernetes/role/x": {"capabilities": ["create"]}}}', {"FJ-VLT-004"}),
    (KEY, ["deletionAllowed"], True, {"FJ-VLT-003"}),
    (KEY, ["allowPlaintextBackup"], True, {"FJ-VLT-003"}),
    (KEY, ["autoRotatePeriod"], 0, {"FJ-VLT-005"}),
    (KEY, ["autoRotatePeriod"], None, {"FJ-VLT-005"}),
    (KEY, ["type"], "aes128-gcm96", {"FJ-VLT-006"}),
    (KEY, ["convergentEncryption"], True, {"FJ-VLT-006"}),
    (MOUNT, ["auditNonHmacRequestKeys"], ["plaintext"], {"FJ-VLT-008"}),
]
