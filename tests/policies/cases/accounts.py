"""Service accounts, secrets and settings: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import RBAC, Case, make, simple

from falaj.policies.model import Resource
from falaj.policies.values import UNKNOWN

ACCOUNT = "kubernetes:core/v1:ServiceAccount"
SECRET = "kubernetes:core/v1:Secret"
SETTINGS = "kubernetes:core/v1:ConfigMap"
TOKEN_TYPE = "kubernetes.io/service-account-token"


def endless(kind: Any = TOKEN_TYPE) -> Resource:
    """Return the token of an account."""
    notes = {"kubernetes.io/service-account.name": "reviewer"}
    return make(SECRET, {"type": kind, "metadata": {"namespace": "team", "annotations": notes}})


def bound(role: Any, name: Any = "reviewer", namespace: str = "team") -> Resource:
    """Return a binding of an account."""
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    body = {"roleRef": {"name": role}, "subjects": [subject]}
    return make(f"{RBAC}:ClusterRoleBinding", body, name=f"{role}-{name}")


CASES: list[Case] = [
    simple(
        "FJ-SAC-001",
        ACCOUNT,
        {"automountServiceAccountToken": False},
        {},
        {"automountServiceAccountToken": UNKNOWN},
    ),
    *(
        Case(
            "FJ-SAC-002",
            [endless(), bound("system:auth-delegator"), bound("admin", "another"), bound("edit", namespace="other")],
            [endless(), *bad],
            [endless(), bound("system:auth-delegator", UNKNOWN)],
        )
        for bad in ([], [bound("system:auth-delegator"), bound("edit")])
    ),
    Case("FJ-SAC-002", [endless("Opaque")], [endless()], [endless(UNKNOWN)]),
    *(
        simple("FJ-SAC-003", SECRET, {"type": "Opaque"}, bad, {"type": UNKNOWN, "data": {"password": "eA=="}})
        for bad in ({"data": {"password": "eA=="}}, {"type": "Opaque", "stringData": {"password": "x"}})
    ),
    simple(
        "FJ-SAC-003",
        SECRET,
        {"type": TOKEN_TYPE, "data": {"token": "eA=="}},
        {"stringData": {"password": "x"}},
        {"data": UNKNOWN},
    ),
    *(
        simple("FJ-SAC-004", SETTINGS, {"data": good}, {"data": bad}, {"data": unknown})
        for good, bad, unknown in (
            ({"tokenizer.json": "{}"}, {"db-password": "hunter2"}, {"policy": UNKNOWN}),
            ({"app.yaml": "password: ${DB_PASSWORD}"}, {"app.yaml": "port: 1\npassword: hunter2\n"}, UNKNOWN),
            ({"a.json": '{"maxTokens": 4096}'}, {"a.json": '{"apiKey": "hunter2"}'}, {"a.json": UNKNOWN}),
            ({"secretName": "db"}, {"url": "postgres://one:hunter2@db.example/x"}, {"url": UNKNOWN}),
        )
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (ACCOUNT, ["automountServiceAccountToken"], True, {"FJ-SAC-001"}),
    (ACCOUNT, ["automountServiceAccountToken"], None, {"FJ-SAC-001"}),
    (SECRET, ["metadata", "annotations"], {"kubernetes.io/service-account.name": "sla-scheduler"}, {"FJ-SAC-002"}),
    (SETTINGS, ["data"], {"api_key": "hunter2"}, {"FJ-SAC-004"}),
    (SETTINGS, ["data"], {"policy.json": '{"password": "hunter2"}'}, {"FJ-SAC-004"}),
]
