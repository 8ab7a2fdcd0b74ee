"""What Vault gives out: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, simple

from falaj.policies.values import UNKNOWN

LOGIN = "vault:database/secretBackendRole:SecretBackendRole"
CONNECTION = "vault:database/secretBackendConnection:SecretBackendConnection"
CERTIFICATES = "vault:pkiSecret/secretBackendRole:SecretBackendRole"
ROOT = "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert"
INTERMEDIATE = "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest"
MOUNT = "vault:index/mount:Mount"
KV = "vault:kv/secretBackendV2:SecretBackendV2"
AWS = "vault:aws/secretBackend:SecretBackend"
AWS_ROLE = "vault:aws/secretBackendRole:SecretBackendRole"


def database(mode: Any, *roles: Any) -> dict[str, Any]:
    """Return the connection to a database."""
    url = mode if mode is UNKNOWN else f"postgresql://{{{{username}}}}:{{{{password}}}}@db.example/x?sslmode={mode}"
    return {"allowedRoles": list(roles) or ["team.one"], "postgresql": {"connectionUrl": url}}


def certificates(**changes: Any) -> dict[str, Any]:
    """Return a sound role for certificates with changes."""
    sound = {
        "allowedDomains": ["team.svc"],
        "allowWildcardCertificates": False,
        "allowIpSans": False,
        "maxTtl": "86400",
        "keyType": "ec",
        "keyBits": 256.0,
    }
    return sound | changes


CASES: list[Case] = [
    *(
        simple(
            "FJ-VLT-017", LOGIN, {"defaultTtl": 3600, "maxTtl": 28800.0}, bad, {"defaultTtl": 3600, "maxTtl": UNKNOWN}
        )
        for bad in ({"defaultTtl": 3600}, {"defaultTtl": 3600, "maxTtl": 2764800}, {"maxTtl": 28800})
    ),
    simple("FJ-VLT-018", CONNECTION, database("verify-full"), database("require"), database(UNKNOWN)),
    simple(
        "FJ-VLT-018",
        CONNECTION,
        database("verify-ca"),
        database("verify-full", "*"),
        database("verify-full", UNKNOWN),
    ),
    *(
        simple("FJ-VLT-019", CERTIFICATES, certificates(), certificates(**bad), certificates(**unknown))
        for bad, unknown in (
            ({"allowAnyName": True}, {"allowAnyName": UNKNOWN}),
            ({"allowGlobDomains": True}, {"allowGlobDomains": UNKNOWN}),
            ({"enforceHostnames": False}, {"enforceHostnames": UNKNOWN}),
            ({"allowWildcardCertificates": None}, {"allowWildcardCertificates": UNKNOWN}),
            ({"allowIpSans": True}, {"allowIpSans": UNKNOWN}),
            ({"allowedDomains": []}, {"allowedDomains": UNKNOWN}),
        )
    ),
    *(
        simple("FJ-VLT-020", CERTIFICATES, certificates(), certificates(maxTtl=bad), certificates(maxTtl=UNKNOWN))
        for bad in (None, "31536000", "8760h")
    ),
    *(
        simple(
            "FJ-VLT-021",
            type_,
            {"keyType": "ec", "keyBits": 384},
            bad,
            {"keyType": "rsa", "keyBits": UNKNOWN},
        )
        for type_ in (CERTIFICATES, ROOT, INTERMEDIATE)
        for bad in ({"keyType": "ec", "keyBits": 224}, {"keyBits": 1024}, {"keyType": "any"})
    ),
    *(
        simple("FJ-VLT-022", type_, {"type": "internal"}, {"type": "exported"}, {"type": UNKNOWN})
        for type_ in (ROOT, INTERMEDIATE)
    ),
    *(
        simple("FJ-VLT-023", MOUNT, good, bad, unknown)
        for good, bad, unknown in (
            (
                {"type": "kv", "options": {"version": "2"}},
                {"type": "kv", "options": {"version": "1"}},
                {"type": "kv", "options": UNKNOWN},
            ),
            ({"type": "kv-v2"}, {"type": "generic"}, {"type": UNKNOWN}),
        )
    ),
    simple("FJ-VLT-023", KV, {"maxVersions": 10.0}, {"maxVersions": 0}, {"maxVersions": UNKNOWN}),
    *(
        simple("FJ-VLT-024", AWS, {"roleArn": "arn:aws:iam::123456789012:role/vault"}, {key: "x"}, {key: UNKNOWN})
        for key in ("accessKey", "secretKey", "secretKeyWo")
    ),
    simple(
        "FJ-VLT-024",
        AWS_ROLE,
        {"credentialType": "assumed_role"},
        {"credentialType": "iam_user"},
        {"credentialType": UNKNOWN},
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (CERTIFICATES, ["allowAnyName"], True, {"FJ-VLT-019"}),
    (CERTIFICATES, ["allowWildcardCertificates"], True, {"FJ-VLT-019"}),
    (CERTIFICATES, ["allowIpSans"], None, {"FJ-VLT-019"}),
    (CERTIFICATES, ["enforceHostnames"], False, {"FJ-VLT-019"}),
    (CERTIFICATES, ["allowedDomains"], [], {"FJ-VLT-019"}),
    (CERTIFICATES, ["maxTtl"], "315360000", {"FJ-VLT-020"}),
    (CERTIFICATES, ["keyBits"], 224, {"FJ-VLT-021"}),
    (ROOT, ["keyType"], "any", {"FJ-VLT-021"}),
    (ROOT, ["type"], "exported", {"FJ-VLT-022"}),
    (INTERMEDIATE, ["type"], "exported", {"FJ-VLT-022"}),
    (KV, ["maxVersions"], 0, {"FJ-VLT-023"}),
]
