"""Databases: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.cases.storage import KEY_ARN, each, varied
from policies.making import simple

from falaj.policies.rules import databases as db
from falaj.policies.values import UNKNOWN

DMS = "aws:dms/replicationInstance:ReplicationInstance"
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"
_ENCRYPTED = {"storageEncrypted": True, "kmsKeyId": KEY_ARN}
_SEARCHED = {"encryptAtRest.enabled": True, "encryptAtRest.kmsKeyId": KEY_ARN}
_ENDPOINT = {
    "domainEndpointOptions.enforceHttps": True,
    "domainEndpointOptions.tlsSecurityPolicy": "Policy-Min-TLS-1-2-PFS-2023-10",
    "nodeToNodeEncryption.enabled": True,
}
_IN_TRANSIT = "encryptionInfo.encryptionInTransit.clientBroker"


def group(family: Any, name: Any, value: Any) -> dict[str, Any]:
    return {"family": family, "parameters": [{"name": "log_statement", "value": "all"}, {"name": name, "value": value}]}


CASES = [
    *each(
        "FJ-DB-001",
        {
            db.RDS: (_ENCRYPTED, "kmsKeyId", "alias/aws/rds"),
            db.RDS_CLUSTER: (_ENCRYPTED, "storageEncrypted", None),
            db.DOCUMENTS: (_ENCRYPTED, "kmsKeyId", None),
            db.NEPTUNE: ({"storageEncrypted": True, "kmsKeyArn": KEY_ARN}, "kmsKeyArn", None),
            db.REDSHIFT: ({"encrypted": True, "kmsKeyId": KEY_ARN}, "encrypted", False),
            "aws:redshiftserverless/namespace:Namespace": ({"kmsKeyId": KEY_ARN}, "kmsKeyId", None),
            db.CACHES: ({"atRestEncryptionEnabled": True, "kmsKeyId": KEY_ARN}, "atRestEncryptionEnabled", None),
            "aws:elasticache/serverlessCache:ServerlessCache": ({"kmsKeyId": KEY_ARN}, "kmsKeyId", None),
            db.MEMORY: ({"kmsKeyArn": KEY_ARN}, "kmsKeyArn", None),
            db.SEARCH: (_SEARCHED, "encryptAtRest.kmsKeyId", None),
            db.ELASTICSEARCH: (_SEARCHED, "encryptAtRest.enabled", False),
            db.KAFKA: (
                {"encryptionInfo.encryptionAtRestKmsKeyArn": KEY_ARN},
                "encryptionInfo.encryptionAtRestKmsKeyArn",
                None,
            ),
            db.TABLE: (
                {"serverSideEncryption.enabled": True, "serverSideEncryption.kmsKeyArn": KEY_ARN},
                "serverSideEncryption.kmsKeyArn",
                None,
            ),
            "aws:timestreamwrite/database:Database": ({"kmsKeyId": KEY_ARN}, "kmsKeyId", None),
        },
    ),
    *(
        varied("FJ-DB-002", type_, {"publiclyAccessible": False}, "publiclyAccessible", True)
        for type_ in (
            db.RDS,
            db.RDS_CLUSTER,
            db.RDS_MEMBER,
            db.NEPTUNE_MEMBER,
            db.REDSHIFT,
            "aws:redshiftserverless/workgroup:Workgroup",
        )
    ),
    varied("FJ-DB-002", DMS, {"publiclyAccessible": False}, "publiclyAccessible", None),
    *(
        varied("FJ-DB-002", type_, {"vpcOptions.subnetIds": ["subnet-1"]}, "vpcOptions.subnetIds", None)
        for type_ in (db.SEARCH, db.ELASTICSEARCH)
    ),
    varied(
        "FJ-DB-002",
        db.KAFKA,
        {"brokerNodeGroupInfo.connectivityInfo.publicAccess.type": "DISABLED"},
        "brokerNodeGroupInfo.connectivityInfo.publicAccess.type",
        "SERVICE_PROVIDED_EIPS",
    ),
    *each(
        "FJ-DB-003",
        {
            db.CACHES: (
                {"transitEncryptionEnabled": True, "transitEncryptionMode": "required"},
                "transitEncryptionMode",
                "preferred",
            ),
            "aws:elasticache/cluster:Cluster": ({"transitEncryptionEnabled": True}, "transitEncryptionEnabled", None),
            db.MEMORY: ({"tlsEnabled": True}, "tlsEnabled", False),
            db.SEARCH: (
                _ENDPOINT,
                "domainEndpointOptions.tlsSecurityPolicy",
                "Policy-Min-TLS-1-0-2019-07",
            ),
            db.ELASTICSEARCH: (_ENDPOINT, "nodeToNodeEncryption.enabled", None),
            db.KAFKA: ({_IN_TRANSIT: "TLS"}, _IN_TRANSIT, "TLS_PLAINTEXT"),
            "aws:rds/proxy:Proxy": ({"requireTls": True}, "requireTls", None),
            "aws:dax/cluster:Cluster": (
                {"clusterEndpointEncryptionType": "TLS"},
                "clusterEndpointEncryptionType",
                None,
            ),
        },
    ),
    *(
        simple("FJ-DB-004", type_, group(family, name, good), group(family, name, bad), group(family, name, UNKNOWN))
        for type_, family, name, good, bad in (
            (PARAMETERS, "postgres16", "rds.force_ssl", "1", "0"),
            (PARAMETERS, "mysql8.4", "require_secure_transport", "ON", "OFF"),
            ("aws:rds/clusterParameterGroup:ClusterParameterGroup", "aurora-postgresql17", "rds.force_ssl", "1", "0"),
            ("aws:docdb/clusterParameterGroup:ClusterParameterGroup", "docdb5.0", "tls", "enabled", "disabled"),
            ("aws:redshift/parameterGroup:ParameterGroup", "redshift-2.0", "require_ssl", "true", "false"),
        )
    ),
    simple("FJ-DB-004", PARAMETERS, {"family": "oracle-ee-19"}, {"family": "postgres16"}, {"family": UNKNOWN}),
    simple(
        "FJ-DB-005",
        db.RDS,
        {"engine": "postgres", "iamDatabaseAuthenticationEnabled": True},
        {"engine": "postgres"},
        {"engine": UNKNOWN},
    ),
    *each(
        "FJ-DB-005",
        {
            db.RDS_CLUSTER: (
                {"iamDatabaseAuthenticationEnabled": True},
                "iamDatabaseAuthenticationEnabled",
                None,
            ),
            db.NEPTUNE: ({"iamDatabaseAuthenticationEnabled": True}, "iamDatabaseAuthenticationEnabled", None),
            db.MEMORY: ({"aclName": "readers"}, "aclName", "open-access"),
            db.SEARCH: ({"advancedSecurityOptions.enabled": True}, "advancedSecurityOptions.enabled", None),
            db.ELASTICSEARCH: ({"advancedSecurityOptions.enabled": True}, "advancedSecurityOptions.enabled", None),
            db.KAFKA: ({"clientAuthentication.unauthenticated": False}, "clientAuthentication.unauthenticated", True),
            db.CACHES: ({"userGroupIds": ["readers"]}, "userGroupIds", None),
        },
    ),
    simple(
        "FJ-DB-005",
        "aws:rds/proxy:Proxy",
        {"auths": [{"iamAuth": "REQUIRED"}]},
        {"auths": [{"iamAuth": "DISABLED"}]},
        {"auths": [{"iamAuth": UNKNOWN}]},
    ),
    *(
        varied("FJ-DB-006", type_, {name: True}, name, None)
        for type_, name in (
            (db.RDS, "manageMasterUserPassword"),
            (db.RDS_CLUSTER, "manageMasterUserPassword"),
            (db.DOCUMENTS, "manageMasterUserPassword"),
            (db.REDSHIFT, "manageMasterPassword"),
            ("aws:redshiftserverless/namespace:Namespace", "manageAdminPassword"),
        )
    ),
    simple(
        "FJ-DB-006",
        db.RDS,
        {"replicateSourceDb": "source"},
        {"manageMasterUserPassword": True, "password": "hunter2"},
        {"manageMasterUserPassword": True, "password": UNKNOWN},
    ),
]
