"""Databases: encrypted with customer keys, private, over TLS, and entered by callers that are known."""

from falaj.policies.demands import Table, at, customer_key, demanded, none_of, not_off, not_on, on, one_of
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import Fact, View, any_of

RDS = "aws:rds/instance:Instance"
RDS_CLUSTER = "aws:rds/cluster:Cluster"
RDS_MEMBER = "aws:rds/clusterInstance:ClusterInstance"
DOCUMENTS = "aws:docdb/cluster:Cluster"
NEPTUNE = "aws:neptune/cluster:Cluster"
NEPTUNE_MEMBER = "aws:neptune/clusterInstance:ClusterInstance"
REDSHIFT = "aws:redshift/cluster:Cluster"
CACHES = "aws:elasticache/replicationGroup:ReplicationGroup"
MEMORY = "aws:memorydb/cluster:Cluster"
SEARCH = "aws:opensearch/domain:Domain"
ELASTICSEARCH = "aws:elasticsearch/domain:Domain"
KAFKA = "aws:msk/cluster:Cluster"
TABLE = "aws:dynamodb/table:Table"
_NAMESPACE = "aws:redshiftserverless/namespace:Namespace"
_WORKGROUP = "aws:redshiftserverless/workgroup:Workgroup"
_DAX = "aws:dax/cluster:Cluster"
_CACHE = "aws:elasticache/cluster:Cluster"
_PROXY = "aws:rds/proxy:Proxy"
_SEARCH_KEYS = {"encryptAtRest.enabled": on, "encryptAtRest.kmsKeyId": customer_key}
_KEYS: Table = {
    RDS: {"storageEncrypted": on, "kmsKeyId": customer_key},
    RDS_CLUSTER: {"storageEncrypted": on, "kmsKeyId": customer_key},
    DOCUMENTS: {"storageEncrypted": on, "kmsKeyId": customer_key},
    NEPTUNE: {"storageEncrypted": on, "kmsKeyArn": customer_key},
    REDSHIFT: {"encrypted": not_off, "kmsKeyId": customer_key},
    _NAMESPACE: {"kmsKeyId": customer_key},
    CACHES: {"atRestEncryptionEnabled": on, "kmsKeyId": customer_key},
    "aws:elasticache/serverlessCache:ServerlessCache": {"kmsKeyId": customer_key},
    MEMORY: {"kmsKeyArn": customer_key},
    SEARCH: _SEARCH_KEYS,
    ELASTICSEARCH: _SEARCH_KEYS,
    KAFKA: {"encryptionInfo.encryptionAtRestKmsKeyArn": customer_key},
    TABLE: {"serverSideEncryption.enabled": on, "serverSideEncryption.kmsKeyArn": customer_key},
    "aws:timestreamwrite/database:Database": {"kmsKeyId": customer_key},
}
_PRIVATE: Table = {
    RDS: {"publiclyAccessible": not_on},
    RDS_CLUSTER: {"publiclyAccessible": not_on},
    RDS_MEMBER: {"publiclyAccessible": not_on},
    NEPTUNE_MEMBER: {"publiclyAccessible": not_on},
    REDSHIFT: {"publiclyAccessible": not_on},
    _WORKGROUP: {"publiclyAccessible": not_on},
    SEARCH: {"vpcOptions.subnetIds": View.is_set},
    ELASTICSEARCH: {"vpcOptions.subnetIds": View.is_set},
    KAFKA: {"brokerNodeGroupInfo.connectivityInfo.publicAccess.type": none_of("SERVICE_PROVIDED_EIPS")},
    # AWS's own default is public here.
    "aws:dms/replicationInstance:ReplicationInstance": {"publiclyAccessible": one_of(False)},
}


def _modern(policy: View) -> Fact:
    """Return whether a TLS policy of OpenSearch is of TLS 1.2 or newer."""
    return policy.test(lambda name: str(name).startswith(("Policy-Min-TLS-1-2", "Policy-Min-TLS-1-3")))


_SEARCH_TRANSIT = {
    "domainEndpointOptions.enforceHttps": on,
    "domainEndpointOptions.tlsSecurityPolicy": _modern,
    "nodeToNodeEncryption.enabled": on,
}
_TRANSIT: Table = {
    CACHES: {"transitEncryptionEnabled": on, "transitEncryptionMode": none_of("preferred")},
    _CACHE: {"transitEncryptionEnabled": on},
    MEMORY: {"tlsEnabled": not_off},
    SEARCH: _SEARCH_TRANSIT,
    ELASTICSEARCH: _SEARCH_TRANSIT,
    KAFKA: {
        "encryptionInfo.encryptionInTransit.clientBroker": none_of("TLS_PLAINTEXT", "PLAINTEXT"),
        "encryptionInfo.encryptionInTransit.inCluster": not_off,
    },
    _PROXY: {"requireTls": on},
    _DAX: {"clusterEndpointEncryptionType": one_of("TLS")},
}
_PARAMETER_GROUPS = (
    "aws:rds/parameterGroup:ParameterGroup",
    "aws:rds/clusterParameterGroup:ClusterParameterGroup",
    "aws:docdb/clusterParameterGroup:ClusterParameterGroup",
    "aws:redshift/parameterGroup:ParameterGroup",
)
# The parameter that demands TLS, by the start of the group's family, and what it must be.
# MySQL's and PostgreSQL's defaults changed with the versions: a group of one's own says it.
_TLS_PARAMETERS = (
    (("mysql", "mariadb", "aurora-mysql"), "require_secure_transport", ("1", "on")),
    (("postgres", "aurora-postgresql", "sqlserver"), "rds.force_ssl", ("1",)),
    (("docdb",), "tls", ("enabled", "fips-140-3", "tls1.2+", "tls1.3+")),
    (("redshift",), "require_ssl", ("true",)),
)
_CALLERS: Table = {
    RDS_CLUSTER: {"iamDatabaseAuthenticationEnabled": on},
    NEPTUNE: {"iamDatabaseAuthenticationEnabled": on},
    MEMORY: {"aclName": lambda name: name.is_set() & ~name.equals("open-access")},
    SEARCH: {"advancedSecurityOptions.enabled": on, "advancedSecurityOptions.anonymousAuthEnabled": not_on},
    ELASTICSEARCH: {"advancedSecurityOptions.enabled": on},
    KAFKA: {"clientAuthentication.unauthenticated": not_on},
}
_PASSWORDS = {
    RDS: "manageMasterUserPassword",
    RDS_CLUSTER: "manageMasterUserPassword",
    DOCUMENTS: "manageMasterUserPassword",
    REDSHIFT: "manageMasterPassword",
    _NAMESPACE: "manageAdminPassword",
}
_COPIED = ("replicateSourceDb", "replicationSourceIdentifier", "snapshotIdentifier", "globalClusterIdentifier")


@rule(
    "FJ-DB-001",
    "Databases are encrypted with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    tuple(_KEYS),
    "Switch encryption at rest on and name your own key; most databases cannot be encrypted later.",
)
def keys(database: Resource, _: Context) -> Checks:
    """A replica in the same region has its source's key."""
    replica = database["replicateSourceDb"].is_set()
    for path, holds in _KEYS[database.type].items():
        yield must(replica | holds(at(database, path)), "the database is not encrypted with a customer key")


@rule(
    "FJ-DB-002",
    "Databases have no public address",
    Severity.CRITICAL,
    ("A.8.20", "A.8.22", "A.8.3"),
    tuple(_PRIVATE),
    "Set publiclyAccessible to false; give search domains vpcOptions.",
)
def private(database: Resource, _: Context) -> Checks:
    """A password is then all that is between the data and the internet."""
    yield from demanded(database, _PRIVATE, "the database has, or may have, a public address")


@rule(
    "FJ-DB-003",
    "Databases are reached over TLS only",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    tuple(_TRANSIT),
    "Switch encryption in transit on, for clients and between nodes, with TLS 1.2 or newer.",
)
def transit(database: Resource, _: Context) -> Checks:
    """Where TLS is only preferred, a client may do without."""
    yield from demanded(database, _TRANSIT, "clients or nodes may talk in the clear, or with an old TLS")


@rule(
    "FJ-DB-004",
    "Parameters of databases demand TLS",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    _PARAMETER_GROUPS,
    "Set require_secure_transport (MySQL), rds.force_ssl (PostgreSQL, SQL Server) or require_ssl (Redshift) to on.",
)
def parameters(group: Resource, _: Context) -> Checks:
    """DocumentDB demands TLS by default; Oracle's TLS is an option of another kind, and is not judged."""
    for families, name, good in _TLS_PARAMETERS:
        of_family = group["family"].test(lambda family, families=families: str(family).startswith(families))
        said = list(group["parameters"].each())
        demands = any_of(
            (part["name"].equals(name) & part["value"].test(lambda value, good=good: str(value).lower() in good))
            for part in said
        )
        left = ~any_of(part["name"].equals(name) for part in said) if name == "tls" else Fact(False, "parameters")
        yield never(of_family & ~(demands | left), f"clients may do without TLS: {name}")


@rule(
    "FJ-DB-005",
    "Databases know who calls",
    Severity.HIGH,
    ("A.8.5", "A.5.16", "ZT-3", "ZT-6"),
    (*_CALLERS, RDS, CACHES, _PROXY),
    "Let callers in by IAM (iamDatabaseAuthenticationEnabled, clientAuthentication), access lists or user groups.",
)
def callers(database: Resource, _: Context) -> Checks:
    """A role's token lasts minutes, a password as long as nobody changes it."""
    message = "callers need no identity, or only a password that lasts"
    if database.type == RDS:
        # Oracle, SQL Server and Db2 have no such tokens.
        able = database["engine"].test(lambda name: str(name).startswith(("mysql", "mariadb", "postgres")))
        yield never(able & ~database["iamDatabaseAuthenticationEnabled"].is_true(), message)
    elif database.type == CACHES:
        token = any_of(database[name].is_set() for name in ("userGroupIds", "authToken", "authTokenWo"))
        yield must(token, "whoever reaches the cache reads it")
    elif database.type == _PROXY:
        for part in database["auths"].each():
            yield must(part["iamAuth"].equals("REQUIRED"), message)
    else:
        yield from demanded(database, _CALLERS, message)


@rule(
    "FJ-DB-006",
    "Passwords of databases are made and changed by AWS",
    Severity.HIGH,
    ("A.5.17", "ZT-3"),
    tuple(_PASSWORDS),
    "Set manageMasterUserPassword (manageMasterPassword, manageAdminPassword): Secrets Manager makes and rotates it.",
)
def passwords(database: Resource, _: Context) -> Checks:
    """What is a copy of another database has its users; what names no user has no password to set."""
    copied = any_of(database[name].is_set() for name in _COPIED)
    managed = database[_PASSWORDS[database.type]].is_true()
    given = any_of(
        database[f"{name}{suffix}"].is_set()
        for name in ("password", "masterPassword", "adminUserPassword")
        for suffix in ("", "Wo")
    )
    yield never(given, "the program knows the password, and nobody changes it")
    yield must(managed | copied | given, "AWS does not keep the password")


RULES: tuple[Rule, ...] = (keys, private, transit, parameters, callers, passwords)
