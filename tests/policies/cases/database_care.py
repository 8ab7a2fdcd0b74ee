"""Care for databases: what passes, what fails, and what cannot be decided."""

from policies.cases.storage import each, varied
from policies.making import simple

from falaj.policies.rules import databases as db
from falaj.policies.values import UNKNOWN

NAMESPACE = "aws:redshiftserverless/namespace:Namespace"
POOL = "aws:cognito/userPool:UserPool"
_ON = {"deletionProtection": True}
_CACHES = {"multiAzEnabled": True, "automaticFailoverEnabled": True}
_AUDIT = {"logType": "AUDIT_LOGS", "cloudwatchLogGroupArn": "arn"}

CASES = [
    *(
        varied("FJ-DB-007", type_, {"backupRetentionPeriod": 35.0}, "backupRetentionPeriod", bad)
        for type_, bad in ((db.RDS, None), (db.RDS_CLUSTER, 1.0), (db.DOCUMENTS, 6.0), (db.NEPTUNE, None))
    ),
    varied(
        "FJ-DB-007",
        db.REDSHIFT,
        {"automatedSnapshotRetentionPeriod": 7.0},
        "automatedSnapshotRetentionPeriod",
        0.0,
    ),
    varied("FJ-DB-008", db.TABLE, {"pointInTimeRecovery.enabled": True}, "pointInTimeRecovery.enabled", False),
    *(
        varied("FJ-DB-009", type_, _ON, "deletionProtection", None)
        for type_ in (db.RDS, db.RDS_CLUSTER, db.DOCUMENTS, db.NEPTUNE)
    ),
    varied("FJ-DB-009", db.RDS, _ON | {"skipFinalSnapshot": False}, "skipFinalSnapshot", True),
    varied("FJ-DB-009", db.REDSHIFT, {"skipFinalSnapshot": False}, "skipFinalSnapshot", True),
    varied("FJ-DB-009", db.TABLE, {"deletionProtectionEnabled": True}, "deletionProtectionEnabled", None),
    varied("FJ-DB-009", POOL, {"deletionProtection": "ACTIVE"}, "deletionProtection", None),
    *(
        varied("FJ-DB-010", type_, {name: ["audit", "connectionlog"]}, name, [])
        for type_, name in (
            (db.RDS, "enabledCloudwatchLogsExports"),
            (db.RDS_CLUSTER, "enabledCloudwatchLogsExports"),
            (db.DOCUMENTS, "enabledCloudwatchLogsExports"),
            (db.NEPTUNE, "enableCloudwatchLogsExports"),
            (NAMESPACE, "logExports"),
            (db.CACHES, "logDeliveryConfigurations"),
        )
    ),
    *(
        simple(
            "FJ-DB-010",
            type_,
            {"logPublishingOptions": [_AUDIT]},
            {"logPublishingOptions": [_AUDIT | {"enabled": False}]},
            {"logPublishingOptions": [_AUDIT | {"logType": UNKNOWN}]},
        )
        for type_ in (db.SEARCH, db.ELASTICSEARCH)
    ),
    varied(
        "FJ-DB-010",
        db.KAFKA,
        {"loggingInfo.brokerLogs.cloudwatchLogs.enabled": True},
        "loggingInfo.brokerLogs.cloudwatchLogs.enabled",
        False,
    ),
    *each(
        "FJ-DB-011",
        {
            db.RDS: ({"multiAz": True}, "multiAz", None),
            db.CACHES: (_CACHES, "automaticFailoverEnabled", None),
            db.SEARCH: ({"clusterConfig.zoneAwarenessEnabled": True}, "clusterConfig.zoneAwarenessEnabled", None),
            db.ELASTICSEARCH: (
                {"clusterConfig.zoneAwarenessEnabled": True},
                "clusterConfig.zoneAwarenessEnabled",
                False,
            ),
            db.MEMORY: ({"numReplicasPerShard": 1.0}, "numReplicasPerShard", 0.0),
        },
    ),
    *(
        varied("FJ-DB-012", type_, {"autoMinorVersionUpgrade": True}, "autoMinorVersionUpgrade", False)
        for type_ in (
            db.RDS,
            db.RDS_MEMBER,
            "aws:docdb/clusterInstance:ClusterInstance",
            db.NEPTUNE_MEMBER,
            db.CACHES,
            db.MEMORY,
            "aws:mq/broker:Broker",
        )
    ),
    varied("FJ-DB-012", db.REDSHIFT, {"allowVersionUpgrade": True}, "allowVersionUpgrade", False),
]
