"""Care for databases: backed up, not deleted by mistake, logged, in two zones, and kept up to date."""

from falaj.policies.demands import Table, demanded, not_off, not_on, on
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, rule
from falaj.policies.rules.databases import (
    CACHES,
    DOCUMENTS,
    ELASTICSEARCH,
    KAFKA,
    MEMORY,
    NEPTUNE,
    NEPTUNE_MEMBER,
    RDS,
    RDS_CLUSTER,
    RDS_MEMBER,
    REDSHIFT,
    SEARCH,
    TABLE,
)
from falaj.policies.values import Fact, View, any_of

_DOCUMENTS_MEMBER = "aws:docdb/clusterInstance:ClusterInstance"
_RETENTION = {
    RDS: "backupRetentionPeriod",
    RDS_CLUSTER: "backupRetentionPeriod",
    DOCUMENTS: "backupRetentionPeriod",
    NEPTUNE: "backupRetentionPeriod",
    REDSHIFT: "automatedSnapshotRetentionPeriod",
}
_PROTECTED: Table = {
    RDS: {"deletionProtection": on, "skipFinalSnapshot": not_on},
    RDS_CLUSTER: {"deletionProtection": on, "skipFinalSnapshot": not_on},
    DOCUMENTS: {"deletionProtection": on, "skipFinalSnapshot": not_on},
    NEPTUNE: {"deletionProtection": on, "skipFinalSnapshot": not_on},
    REDSHIFT: {"skipFinalSnapshot": not_on},
    TABLE: {"deletionProtectionEnabled": on},
    "aws:cognito/userPool:UserPool": {"deletionProtection": lambda view: view.equals("ACTIVE")},
}


def _audited(options: View) -> Fact:
    """Return whether a search domain publishes its audit log."""
    return any_of(
        (option["logType"].equals("AUDIT_LOGS") & ~option["enabled"].equals(False) for option in options.each()),
        options.path,
    )


def _kept(logs: View) -> Fact:
    """Return whether Kafka's brokers write their logs anywhere."""
    return any_of((logs[name]["enabled"].is_true() for name in ("cloudwatchLogs", "firehose", "s3")), logs.path)


_LOGGED: Table = {
    RDS: {"enabledCloudwatchLogsExports": View.is_set},
    RDS_CLUSTER: {"enabledCloudwatchLogsExports": View.is_set},
    DOCUMENTS: {"enabledCloudwatchLogsExports": lambda logs: logs.contains("audit")},
    NEPTUNE: {"enableCloudwatchLogsExports": lambda logs: logs.contains("audit")},
    "aws:redshiftserverless/namespace:Namespace": {"logExports": lambda logs: logs.contains("connectionlog")},
    SEARCH: {"logPublishingOptions": _audited},
    ELASTICSEARCH: {"logPublishingOptions": _audited},
    KAFKA: {"loggingInfo.brokerLogs": _kept},
    CACHES: {"logDeliveryConfigurations": View.is_set},
}
_ZONES: Table = {
    RDS: {"multiAz": on},
    CACHES: {"multiAzEnabled": on, "automaticFailoverEnabled": on},
    SEARCH: {"clusterConfig.zoneAwarenessEnabled": on},
    ELASTICSEARCH: {"clusterConfig.zoneAwarenessEnabled": on},
    MEMORY: {"numReplicasPerShard": lambda replicas: ~replicas.test(lambda number: float(number) < 1)},
}
_UPGRADED: Table = {
    RDS: {"autoMinorVersionUpgrade": not_off},
    RDS_MEMBER: {"autoMinorVersionUpgrade": not_off},
    _DOCUMENTS_MEMBER: {"autoMinorVersionUpgrade": not_off},
    NEPTUNE_MEMBER: {"autoMinorVersionUpgrade": not_off},
    CACHES: {"autoMinorVersionUpgrade": not_off},
    MEMORY: {"autoMinorVersionUpgrade": not_off},
    REDSHIFT: {"allowVersionUpgrade": not_off},
    "aws:mq/broker:Broker": {"autoMinorVersionUpgrade": on},
}


@rule(
    "FJ-DB-007",
    "Databases are backed up every day and for a week",
    Severity.HIGH,
    ("A.8.13",),
    tuple(_RETENTION),
    "Set backupRetentionPeriod (automatedSnapshotRetentionPeriod of Redshift) to 7 days or more.",
    settings={
        "leastDays": Setting(
            {"type": "integer", "minimum": 1, "description": "Days for which a backup is kept at least"}, 7
        )
    },
)
def backups(database: Resource, context: Context) -> Checks:
    """Left out, backups are kept for a day or not made at all; a replica is backed up at its source."""
    kept = database[_RETENTION[database.type]]
    enough = kept.test(lambda days: float(days) >= context.settings["leastDays"])
    yield must(enough | database["replicateSourceDb"].is_set(), "backups are not made, or kept too shortly")


@rule(
    "FJ-DB-008",
    "Tables can be restored to any moment",
    Severity.HIGH,
    ("A.8.13",),
    (TABLE,),
    "Set pointInTimeRecovery.enabled to true.",
    fix={"pointInTimeRecovery.enabled": True},
)
def point_in_time(table: Resource, _: Context) -> Checks:
    """A table has no other backup of its own."""
    yield must(table["pointInTimeRecovery"]["enabled"].is_true(), "the table cannot be restored")


@rule(
    "FJ-DB-009",
    "Databases are not lost by one call",
    Severity.MEDIUM,
    ("A.8.32", "A.8.13", "A.5.33"),
    tuple(_PROTECTED),
    "Set deletionProtection to true, and leave skipFinalSnapshot false.",
)
def protection(database: Resource, _: Context) -> Checks:
    """Whoever does mean it says so twice."""
    yield from demanded(database, _PROTECTED, "one call deletes the database, or leaves no last snapshot")


@rule(
    "FJ-DB-010",
    "Databases log who does what",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    tuple(_LOGGED),
    "Export the audit log, or the engine's logs where it has none, to CloudWatch.",
)
def logs(database: Resource, _: Context) -> Checks:
    """Logs inside the database are lost with it."""
    yield from demanded(database, _LOGGED, "the database keeps its logs to itself")


@rule(
    "FJ-DB-011",
    "Databases outlive a zone",
    Severity.MEDIUM,
    ("A.8.14",),
    tuple(_ZONES),
    "Set multiAz (multiAzEnabled and automaticFailoverEnabled, zoneAwarenessEnabled, numReplicasPerShard).",
)
def zones(database: Resource, _: Context) -> Checks:
    """The zones are of one region: the data stays in the country."""
    yield from demanded(database, _ZONES, "the database stands in one zone")


@rule(
    "FJ-DB-012",
    "Databases take minor upgrades by themselves",
    Severity.MEDIUM,
    ("A.8.8", "ZT-5"),
    tuple(_UPGRADED),
    "Set autoMinorVersionUpgrade (allowVersionUpgrade of Redshift) to true.",
)
def upgrades(database: Resource, _: Context) -> Checks:
    """Minor versions mend what attackers know."""
    yield from demanded(database, _UPGRADED, "known faults stay until somebody upgrades by hand")


RULES: tuple[Rule, ...] = (backups, point_in_time, protection, logs, zones, upgrades)
