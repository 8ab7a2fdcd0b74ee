"""Copies: replicas, snapshots and backups stay in the home region."""

from collections.abc import Iterator, Mapping

from falaj.policies.model import Context, Graph, Resource, Rule, Severity
from falaj.policies.residency import places
from falaj.policies.residency.crossings import (
    ARN,
    BUCKETS,
    REGION,
    ZONE,
    Crossing,
    Way,
    bucket,
    follow,
    homes_of,
    reference,
    residency_rule,
)
from falaj.policies.residency.places import GLOBAL
from falaj.policies.values import Fact

_Ways = Mapping[str, tuple[Way, ...]]

_OBJECTS: _Ways = {
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": (Way("rules.destination.bucket", bucket, BUCKETS),),
    "aws:s3/bucket:Bucket": (Way("replicationConfiguration.rules.destination.bucket", bucket, BUCKETS),),
    "aws:s3/bucketV2:BucketV2": (Way("replicationConfigurations.rules.destinations.bucket", bucket, BUCKETS),),
    "aws:s3tables/tableBucketReplication:TableBucketReplication": (
        Way("rule.destinations.destinationTableBucketArn", ARN),
    ),
    "aws:s3control/multiRegionAccessPoint:MultiRegionAccessPoint": (Way("details.regions.bucket", bucket, BUCKETS),),
}
_TABLES: _Ways = {
    "aws:dynamodb/table:Table": (Way("replicas.regionName", REGION), Way("globalTableWitness.regionName", REGION)),
    "aws:dynamodb/globalTable:GlobalTable": (Way("replicas.regionName", REGION),),
    "aws:dynamodb/tableReplica:TableReplica": (Way("globalTableArn", ARN, ("aws:dynamodb/table:Table",)),),
    "aws:keyspaces/keyspace:Keyspace": (Way("replicationSpecification.regionLists", REGION),),
    "aws:dsql/cluster:Cluster": (Way("multiRegionProperties.witnessRegion", REGION),),
    "aws:dsql/clusterPeering:ClusterPeering": (Way("witnessRegion", REGION), Way("clusters", ARN)),
}
_RDS = ("aws:rds/instance:Instance", "aws:rds/cluster:Cluster")
_DATABASES: _Ways = {
    "aws:rds/clusterSnapshotCopy:ClusterSnapshotCopy": (Way("destinationRegion", REGION),),
    "aws:rds/snapshotCopy:SnapshotCopy": (Way("destinationRegion", REGION),),
    "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication": (
        Way("sourceDbInstanceArn", ARN, ("aws:rds/instance:Instance",)),
    ),
    "aws:redshift/snapshotCopy:SnapshotCopy": (Way("destinationRegion", REGION),),
    "aws:opensearch/outboundConnection:OutboundConnection": (Way("remoteDomainInfo.region", REGION),),
    "aws:msk/replicator:Replicator": (Way("kafkaClusters.amazonMskCluster.mskClusterArn", ARN),),
}
_SOURCES: _Ways = {
    "aws:rds/instance:Instance": (Way("replicateSourceDb", reference, _RDS),),
    "aws:rds/cluster:Cluster": (Way("replicationSourceIdentifier", reference, _RDS), Way("sourceRegion", REGION)),
}
_GLOBAL_DATABASES = (
    "aws:rds/globalCluster:GlobalCluster",
    "aws:docdb/globalCluster:GlobalCluster",
    "aws:neptune/globalCluster:GlobalCluster",
    "aws:elasticache/globalReplicationGroup:GlobalReplicationGroup",
    "aws:memorydb/multiRegionCluster:MultiRegionCluster",
)
# What makes a cluster of one region a part of such a database.
_MEMBERS = {
    "aws:rds/cluster:Cluster": "globalClusterIdentifier",
    "aws:docdb/cluster:Cluster": "globalClusterIdentifier",
    "aws:neptune/cluster:Cluster": "globalClusterIdentifier",
    "aws:elasticache/replicationGroup:ReplicationGroup": "globalReplicationGroupId",
    "aws:memorydb/cluster:Cluster": "multiRegionClusterName",
}
_SECRETS: _Ways = {
    "aws:secretsmanager/secret:Secret": (Way("replicas.region", REGION),),
    "vault:secrets/syncAwsDestination:SyncAwsDestination": (Way("region", REGION),),
}
_FILES: _Ways = {
    "aws:efs/replicationConfiguration:ReplicationConfiguration": (
        Way("destination.region", REGION),
        Way("destination.availabilityZoneName", ZONE),
    ),
    "aws:ecr/replicationConfiguration:ReplicationConfiguration": (
        Way("replicationConfiguration.rules.destinations.region", REGION),
    ),
    "aws:ebs/snapshotCopy:SnapshotCopy": (Way("sourceRegion", REGION),),
    "aws:ec2/amiCopy:AmiCopy": (Way("sourceAmiRegion", REGION),),
    "aws:imagebuilder/distributionConfiguration:DistributionConfiguration": (Way("distributions.region", REGION),),
}
_LIFECYCLE = "aws:dlm/lifecyclePolicy:LifecyclePolicy"


@residency_rule(
    "FJ-RES-020",
    "Objects are copied within the home region only",
    Severity.CRITICAL,
    ("RES-4", "A.5.34", "A.8.14"),
    tuple(_OBJECTS),
    "Replicate to a bucket of the home region that this stack declares: a bucket's name does not say where it is.",
    reads=BUCKETS,
)
def objects(resource: Resource, context: Context) -> Iterator[Crossing]:
    """Where a bucket is, only the stack that makes it can say."""
    yield from follow(resource, _OBJECTS[resource.type], context, "is not a bucket that is known to be at home")


@residency_rule(
    "FJ-RES-021",
    "Tables are copied within the home region only",
    Severity.CRITICAL,
    ("RES-4", "A.5.34", "A.8.14"),
    tuple(_TABLES),
    "Remove replicas and witnesses of other regions.",
)
def tables(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A global table writes to every one of its regions."""
    yield from follow(resource, _TABLES[resource.type], context, "is a region that is not home")


@residency_rule(
    "FJ-RES-022",
    "Databases are copied within the home region only",
    Severity.CRITICAL,
    ("RES-4", "A.5.34", "A.8.14"),
    (*_DATABASES, *_SOURCES),
    "Copy and replicate within the home region; more zones of it give redundancy.",
    reads=tuple(_SOURCES),
)
def databases(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A replica of a database elsewhere is named by an ARN; a name without one is of the same region."""
    yield from follow(resource, _DATABASES.get(resource.type, ()), context, "is a region that is not home")
    yield from follow(resource, _SOURCES.get(resource.type, ()), context, "is not a database of the home region")


@residency_rule(
    "FJ-RES-023",
    "No database spans regions",
    Severity.CRITICAL,
    ("RES-4", "A.5.34"),
    (*_GLOBAL_DATABASES, *_MEMBERS),
    "Use a cluster of the home region; spread it over its zones.",
)
def global_databases(resource: Resource, _: Context) -> Iterator[Crossing]:
    """What these are for is to be in several regions; a cluster joins one by a name."""
    if member := _MEMBERS.get(resource.type):
        yield Crossing(resource[member].is_set(), "the cluster is part of a database of several regions", GLOBAL)
    else:
        yield Crossing(Fact(True), "a database of several regions", GLOBAL)


@residency_rule(
    "FJ-RES-024",
    "Secrets are copied within the home region only",
    Severity.CRITICAL,
    ("RES-4", "A.5.17", "A.8.24"),
    tuple(_SECRETS),
    "Remove replicas of other regions, and sync to the home region only.",
)
def secrets(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A secret elsewhere opens what it is for from there."""
    yield from follow(resource, _SECRETS[resource.type], context, "is a region that is not home")
    for name, _ in resource["replicaRegions"].entries():
        # The regions are names in an object, and a name of a secret must not show in a path.
        place = places.region(name) if name else ""
        leaves = Fact(None if not place else not homes_of(context).hold(place), "replicaRegions")
        yield Crossing(leaves, "holds a region that is not home", place)


@residency_rule(
    "FJ-RES-025",
    "Secrets are handed to no other cloud",
    Severity.CRITICAL,
    ("RES-4", "A.5.17", "A.5.23"),
    tuple(f"vault:secrets/sync{name}Destination:Sync{name}Destination" for name in ("Azure", "Gcp", "Gh", "Vercel")),
    "Read secrets from Vault where they are used.",
)
def handed_on(_resource: Resource, _: Context) -> Iterator[Crossing]:
    """These keep a copy of each secret with a service of others."""
    yield Crossing(Fact(True), "copies secrets to a service outside the home region", GLOBAL)


@residency_rule(
    "FJ-RES-026",
    "Backups are copied within the home region only",
    Severity.CRITICAL,
    ("RES-4", "RES-9", "A.8.13"),
    ("aws:backup/plan:Plan",),
    "Copy to a vault of the home region, or of another account there.",
    reads=("aws:backup/vault:Vault", "aws:backup/logicallyAirGappedVault:LogicallyAirGappedVault"),
)
def backups(plan: Resource, context: Context) -> Iterator[Crossing]:
    """A copy action takes whole backups to where its vault is."""
    vaults = ("aws:backup/vault:Vault", "aws:backup/logicallyAirGappedVault:LogicallyAirGappedVault")
    way = Way("rules.copyActions.destinationVaultArn", ARN, vaults)
    yield from follow(plan, (way,), context, "is not a vault of the home region")


@residency_rule(
    "FJ-RES-027",
    "Files, disks and images are copied within the home region only",
    Severity.HIGH,
    ("RES-4", "RES-6", "A.5.34"),
    (*_FILES, _LIFECYCLE),
    "Copy, replicate and distribute to the home region only.",
)
def files(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A copy from another region is one between regions as well."""
    yield from follow(resource, _FILES.get(resource.type, ()), context, "is a region that is not home")
    if resource.type == _LIFECYCLE:
        schedule = "policyDetails.schedules.crossRegionCopyRules"
        ways = (Way(f"{schedule}.targetRegion", REGION), Way("policyDetails.action.crossRegionCopies.target", REGION))
        yield from follow(resource, ways, context, "is a region that is not home")
        yield from follow(resource, (Way(f"{schedule}.target", _target),), context, "is a region that is not home")


def _target(text: str, resource: Resource, graph: Graph) -> str:
    """Return where snapshots are copied to: a region or the ARN of an outpost."""
    return (ARN if text.startswith("arn:") else REGION)(text, resource, graph)


@residency_rule(
    "FJ-RES-028",
    "Vault's own snapshots stay in the home region",
    Severity.CRITICAL,
    ("RES-9", "A.8.13", "A.8.24"),
    ("vault:index/raftSnapshotAgentConfig:RaftSnapshotAgentConfig",),
    "Keep snapshots on local disks or in a bucket of the home region, and name its region.",
)
def vault_snapshots(agent: Resource, context: Context) -> Iterator[Crossing]:
    """A snapshot holds everything that Vault knows."""
    kind = agent["storageType"]
    yield Crossing(kind.among(("azure-blob", "google-gcs")), "snapshots go to another cloud", GLOBAL)
    if kind.equals("aws-s3").truth is not False:
        given = agent["awsS3Region"].is_set() | agent["awsS3Endpoint"].is_set()
        yield Crossing(kind.equals("aws-s3") & ~given, "snapshots go to a bucket of a region that is not named")
        yield from follow(agent, (Way("awsS3Region", REGION),), context, "is a region that is not home")


RULES: tuple[Rule, ...] = (
    objects,
    tables,
    databases,
    global_databases,
    secrets,
    handed_on,
    backups,
    files,
    vault_snapshots,
)
