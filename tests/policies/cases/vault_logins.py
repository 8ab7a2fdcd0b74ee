"""Logins to Vault: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, make, simple

from falaj.policies.values import UNKNOWN

KUBERNETES = "vault:kubernetes/authBackendRole:AuthBackendRole"
JWT = "vault:jwt/authBackendRole:AuthBackendRole"
APP_ROLE = "vault:appRole/authBackendRole:AuthBackendRole"
AWS = "vault:aws/authBackendRole:AuthBackendRole"
CERT = "vault:index/certAuthBackendRole:CertAuthBackendRole"
METHOD = "vault:index/authBackend:AuthBackend"
JWT_METHOD = "vault:jwt/authBackend:AuthBackend"
PROVIDER = "pulumi:providers:vault"


def kubernetes(**changes: Any) -> dict[str, Any]:
    """Return a sound role with changes."""
    sound = {"boundServiceAccountNames": ["workload"], "boundServiceAccountNamespaces": ["team"], "audience": "vault"}
    return sound | changes


def jwt(**changes: Any) -> dict[str, Any]:
    """Return a sound role for a pipeline with changes."""
    return {"roleType": "jwt", "boundAudiences": ["vault"], "boundClaims": {"project": "one"}} | changes


def app_role(**changes: Any) -> dict[str, Any]:
    """Return a sound AppRole with changes."""
    return {"secretIdTtl": 3600, "secretIdNumUses": 1} | changes


CASES: list[Case] = [
    *(
        simple("FJ-VLT-002", KUBERNETES, kubernetes(), kubernetes(**bad), kubernetes(**unknown))
        for bad, unknown in (
            ({"boundServiceAccountNames": ["*"]}, {"boundServiceAccountNames": UNKNOWN}),
            ({"boundServiceAccountNamespaces": ["team", "t*"]}, {"boundServiceAccountNamespaces": [UNKNOWN]}),
            ({"boundServiceAccountNamespaces": None}, {"boundServiceAccountNamespaces": UNKNOWN}),
        )
    ),
    simple("FJ-VLT-009", KUBERNETES, kubernetes(), kubernetes(audience=None), kubernetes(audience=UNKNOWN)),
    simple("FJ-VLT-010", METHOD, {"type": "kubernetes"}, {"type": "userpass"}, {"type": UNKNOWN}),
    Case(
        "FJ-VLT-010",
        [make(METHOD, {"type": "oidc"})],
        [make("vault:index/userpassAuthBackendUser:UserpassAuthBackendUser", {"username": "one"})],
        [],
    ),
    *(
        simple(
            "FJ-VLT-011",
            type_,
            {"tune": {"maxLeaseTtl": "1h0m0s"}},
            bad,
            {"tune": {"maxLeaseTtl": UNKNOWN}},
        )
        for type_ in (METHOD, JWT_METHOD)
        for bad in ({}, {"tune": {"maxLeaseTtl": "768h"}}, {"tune": {"maxLeaseTtl": "0s"}})
    ),
    *(
        simple("FJ-VLT-012", type_, {"tokenMaxTtl": 3600.0}, bad, {"tokenMaxTtl": UNKNOWN})
        for type_ in (KUBERNETES, JWT, APP_ROLE, AWS, CERT)
        for bad in ({}, {"tokenMaxTtl": 3600, "tokenPeriod": 600})
    ),
    simple(
        "FJ-VLT-012",
        KUBERNETES,
        {"tokenPeriod": 600, "tokenExplicitMaxTtl": 3600},
        {"tokenExplicitMaxTtl": 31536000},
        {"tokenMaxTtl": 3600, "tokenPeriod": UNKNOWN},
    ),
    *(
        simple("FJ-VLT-013", JWT, jwt(**good), jwt(**bad), jwt(**unknown))
        for good, bad, unknown in (
            ({}, {"boundAudiences": []}, {"boundAudiences": UNKNOWN}),
            ({"boundSubject": "one", "boundClaims": None}, {"boundClaims": {}}, {"boundClaims": UNKNOWN}),
            (
                {"boundClaimsType": "glob", "boundClaims": {"ref": "release-*"}},
                {"boundClaimsType": "glob", "boundClaims": {"ref": "*"}},
                {"boundClaimsType": UNKNOWN, "boundClaims": {"ref": "*"}},
            ),
        )
    ),
    *(
        simple("FJ-VLT-014", APP_ROLE, app_role(), app_role(**bad), app_role(secretIdTtl=UNKNOWN))
        for bad in ({"bindSecretId": False}, {"secretIdTtl": 0}, {"secretIdNumUses": None}, {"secretIdTtl": 31536000})
    ),
    *(
        Case("FJ-VLT-015", [make(METHOD, {})], [make(type_, {})], [])
        for type_ in ("vault:index/token:Token", "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId")
    ),
    *(
        simple("FJ-VLT-016", PROVIDER, {"address": "https://vault.example"}, bad, unknown)
        for bad, unknown in (
            ({"address": "http://vault.example"}, {"address": UNKNOWN}),
            ({"address": "https://vault.example", "skipTlsVerify": True}, {"skipTlsVerify": UNKNOWN}),
        )
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (KUBERNETES, ["boundServiceAccountNamespaces"], ["*"], {"FJ-VLT-002"}),
    (KUBERNETES, ["audience"], None, {"FJ-VLT-009"}),
    (METHOD, ["type"], "userpass", {"FJ-VLT-010"}),
    (METHOD, ["tune", "maxLeaseTtl"], "768h", {"FJ-VLT-011"}),
    (METHOD, ["tune"], None, {"FJ-VLT-011"}),
    (KUBERNETES, ["tokenMaxTtl"], 0, {"FJ-VLT-012"}),
    (KUBERNETES, ["tokenPeriod"], 3600, {"FJ-VLT-012"}),
    (PROVIDER, ["address"], "http://127.0.0.1:8200", {"FJ-VLT-016"}),
    (PROVIDER, ["skipTlsVerify"], True, {"FJ-VLT-016"}),
]
