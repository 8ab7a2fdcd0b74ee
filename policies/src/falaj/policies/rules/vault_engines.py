"""What Vault gives out: database logins, certificates and cloud credentials that end, secrets with versions."""

import re

from falaj.policies.durations import ends_within
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact

_MOUNT = "vault:index/mount:Mount"
_DATABASE_ROLE = "vault:database/secretBackendRole:SecretBackendRole"
_CONNECTION = "vault:database/secretBackendConnection:SecretBackendConnection"
_CERTIFICATES = "vault:pkiSecret/secretBackendRole:SecretBackendRole"
_AUTHORITIES = (
    "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert",
    "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest",
)
_AWS = "vault:aws/secretBackend:SecretBackend"
_AWS_ROLE = "vault:aws/secretBackendRole:SecretBackendRole"
_SSL_MODE = re.compile(r"[?&\s]sslmode=(verify-full|verify-ca)\b")
_LONGEST_LOGIN = Setting(
    {"type": "integer", "minimum": 60, "description": "Longest life of a database login, in seconds"},
    86400,
)
_LONGEST_CERTIFICATE = Setting(
    {"type": "integer", "minimum": 3600, "description": "Longest life of a certificate, in seconds"},
    7776000,
)
# Shortest keys, by kind: what NIST SP 800-57 takes as strong enough until 2030.
_SHORTEST = {"rsa": 2048, "ec": 256}


@rule(
    "FJ-VLT-017",
    "Database logins that Vault makes end",
    Severity.HIGH,
    ("A.5.17", "A.8.5", "ZT-3"),
    (_DATABASE_ROLE,),
    "Set defaultTtl and maxTtl, in seconds, to a day or less.",
    settings={"longestLoginSeconds": _LONGEST_LOGIN},
)
def database_logins(role: Resource, context: Context) -> Checks:
    """Without them a login lives for Vault's own 32 days."""
    in_time = ends_within(context.settings["longestLoginSeconds"])
    for key in ("defaultTtl", "maxTtl"):
        yield must(role[key].test(in_time), "the login lives too long")


@rule(
    "FJ-VLT-018",
    "Databases are reached over TLS, for named roles",
    Severity.HIGH,
    ("A.8.24", "A.5.15", "ZT-2"),
    (_CONNECTION,),
    "Name roles in allowedRoles, and set sslmode=verify-full in the URL of PostgreSQL.",
)
def connections(connection: Resource, _: Context) -> Checks:
    """The connection carries the login that may make all others."""
    yield never(connection["allowedRoles"].contains("*"), "every role may use it")
    url = connection["postgresql"]["connectionUrl"]
    yield never(url.test(lambda text: not _SSL_MODE.search(str(text))), "the database's certificate is not checked")


@rule(
    "FJ-VLT-019",
    "Certificates are given for named hosts",
    Severity.HIGH,
    ("A.8.24", "A.5.16", "ZT-6"),
    (_CERTIFICATES,),
    "Name allowedDomains; leave allowAnyName and allowGlobDomains false, and set allowWildcardCertificates and "
    "allowIpSans to false.",
)
def certificate_names(role: Resource, _: Context) -> Checks:
    """Whoever has a certificate of a name is that name to everyone else."""
    for key in ("allowAnyName", "allowGlobDomains"):
        yield never(role[key].is_true(), "certificates of any name are given")
    yield never(role["enforceHostnames"].equals(False), "names need not be of hosts")
    for key in ("allowWildcardCertificates", "allowIpSans"):
        # Vault's default is true.
        yield must(role[key].equals(False), "certificates of more than one host are given")
    yield must(role["allowedDomains"].is_set(), "no domain is named")


@rule(
    "FJ-VLT-020",
    "Certificates end soon",
    Severity.MEDIUM,
    ("A.8.24", "A.5.17", "ZT-3"),
    (_CERTIFICATES,),
    "Set maxTtl, in seconds, to 90 days or less.",
    settings={"longestCertificateSeconds": _LONGEST_CERTIFICATE},
)
def certificate_life(role: Resource, context: Context) -> Checks:
    """A certificate that ends needs no list of those taken back."""
    in_time = ends_within(context.settings["longestCertificateSeconds"])
    yield must(role["maxTtl"].test(in_time), "certificates live too long")


@rule(
    "FJ-VLT-021",
    "Keys of certificates are strong",
    Severity.HIGH,
    ("A.8.24",),
    (_CERTIFICATES, *_AUTHORITIES),
    "Set keyType ec with keyBits 256 or more, or rsa with 2048 or more.",
)
def certificate_keys(resource: Resource, _: Context) -> Checks:
    """rsa with 2048 is the default; any accepts whatever a request brings."""
    kind, bits = resource["keyType"], resource["keyBits"]
    yield never(kind.equals("any"), "a key of any strength is taken")
    is_rsa = kind.equals("rsa") | Fact(kind.value is None, kind.path)
    for name, shortest in _SHORTEST.items():
        is_kind = is_rsa if name == "rsa" else kind.equals(name)
        # Nothing stands for the kind's own default, which is strong.
        short = bits.test(lambda number, shortest=shortest: 0 < number < shortest)
        yield never(is_kind & short, "the key is too short")


@rule(
    "FJ-VLT-022",
    "Keys of authorities never leave Vault",
    Severity.CRITICAL,
    ("A.8.24", "A.5.17"),
    _AUTHORITIES,
    "Set type to internal, or kms.",
)
def authority_keys(authority: Resource, _: Context) -> Checks:
    """An exported key stands in the answer, and so in the state."""
    yield must(authority["type"].among(("internal", "kms", "existing")), "the key is handed out")


@rule(
    "FJ-VLT-023",
    "Secrets are kept with versions, and not for ever",
    Severity.MEDIUM,
    ("A.8.10", "A.5.33", "A.5.17"),
    (_MOUNT, "vault:kv/secretBackendV2:SecretBackendV2"),
    "Use kv with options.version 2, and set maxVersions.",
)
def versions(resource: Resource, _: Context) -> Checks:
    """Version 1 overwrites in place: a mistake cannot be taken back, nor a reader told which secret is meant."""
    if resource.type != _MOUNT:
        yield must(resource["maxVersions"].test(lambda count: count > 0), "keeps old secrets for ever")
        return
    is_kv = resource["type"].among(("kv", "generic"))
    if is_kv.truth is False:
        return
    yield must(~is_kv | resource["options"]["version"].equals("2"), "keeps no versions")


@rule(
    "FJ-VLT-024",
    "Vault reaches AWS by a role, and hands out sessions only",
    Severity.HIGH,
    ("A.5.17", "A.5.16", "ZT-3"),
    (_AWS, _AWS_ROLE),
    "Set identityTokenAudience and roleArn instead of keys, and credentialType assumed_role.",
)
def aws_sessions(resource: Resource, _: Context) -> Checks:
    """Keys of users live until somebody deletes them."""
    if resource.type == _AWS:
        for key in ("accessKey", "secretKey", "secretKeyWo"):
            yield never(resource[key].is_set(), "a key without end is stored")
        return
    sessions = ("assumed_role", "federation_token", "session_token")
    yield must(resource["credentialType"].among(sessions), "users with keys are made")


RULES: tuple[Rule, ...] = (
    database_logins,
    connections,
    certificate_names,
    certificate_life,
    certificate_keys,
    authority_keys,
    versions,
    aws_sessions,
)
