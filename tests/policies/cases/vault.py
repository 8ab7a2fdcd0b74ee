"""Vault: what passes, what fails, and what cannot be decided."""

from policies.making import simple

from falaj.policies.values import UNKNOWN

CASES = [
    simple(
        "FJ-VLT-001",
        "vault:index/policy:Policy",
        {"policy": 'path "team/data/*" { capabilities = ["read"] }'},
        {"policy": 'path "team/data/*" { capabilities = ["read"] }\npath "sys/raw/*" { capabilities = ["sudo"] }'},
        {"policy": UNKNOWN},
    ),
    simple(
        "FJ-VLT-002",
        "vault:kubernetes/authBackendRole:AuthBackendRole",
        {"boundServiceAccountNames": ["workload"], "boundServiceAccountNamespaces": ["team"]},
        {"boundServiceAccountNames": ["*"], "boundServiceAccountNamespaces": ["team"]},
        {"boundServiceAccountNames": ["workload"], "boundServiceAccountNamespaces": UNKNOWN},
    ),
    simple(
        "FJ-VLT-003",
        "vault:transit/secretBackendKey:SecretBackendKey",
        {"exportable": False},
        {"exportable": True},
        {"deletionAllowed": UNKNOWN},
    ),
]
