"""Copies: what passes, what fails, and what cannot be decided."""

from policies.making import BUCKET, Case, make
from policies.placing import arn, in_bucket, named_by_arn, placed, regional

from falaj.policies.values import UNKNOWN

_LIFECYCLE = "aws:dlm/lifecyclePolicy:LifecyclePolicy"
_SNAPSHOTS = "vault:index/raftSnapshotAgentConfig:RaftSnapshotAgentConfig"
_EFS = "aws:efs/replicationConfiguration:ReplicationConfiguration"


def _global(type_: str) -> Case:
    return Case("FJ-RES-023", [make(BUCKET, {})], [make(type_, {})], [])


CASES = [
    in_bucket(
        "FJ-RES-020",
        "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
        "rules.destination.bucket",
        form="arn:aws:s3:::{}",
    ),
    in_bucket("FJ-RES-020", BUCKET, "replicationConfiguration.rules.destination.bucket", form="arn:aws:s3:::{}"),
    in_bucket("FJ-RES-020", "aws:s3/bucketV2:BucketV2", "replicationConfigurations.rules.destinations.bucket"),
    in_bucket("FJ-RES-020", "aws:s3control/multiRegionAccessPoint:MultiRegionAccessPoint", "details.regions.bucket"),
    named_by_arn(
        "FJ-RES-020",
        "aws:s3tables/tableBucketReplication:TableBucketReplication",
        "rule.destinations.destinationTableBucketArn",
        "s3tables",
    ),
    regional("FJ-RES-021", "aws:dynamodb/table:Table", "replicas.regionName"),
    regional("FJ-RES-021", "aws:dynamodb/globalTable:GlobalTable", "replicas.regionName"),
    named_by_arn("FJ-RES-021", "aws:dynamodb/tableReplica:TableReplica", "globalTableArn", "dynamodb"),
    regional("FJ-RES-021", "aws:keyspaces/keyspace:Keyspace", "replicationSpecification.regionLists", is_list=True),
    regional("FJ-RES-021", "aws:dsql/cluster:Cluster", "multiRegionProperties.witnessRegion"),
    regional("FJ-RES-021", "aws:dsql/clusterPeering:ClusterPeering", "witnessRegion"),
    regional("FJ-RES-022", "aws:rds/clusterSnapshotCopy:ClusterSnapshotCopy", "destinationRegion"),
    regional("FJ-RES-022", "aws:rds/snapshotCopy:SnapshotCopy", "destinationRegion"),
    named_by_arn(
        "FJ-RES-022",
        "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication",
        "sourceDbInstanceArn",
        "rds",
    ),
    regional("FJ-RES-022", "aws:redshift/snapshotCopy:SnapshotCopy", "destinationRegion"),
    regional("FJ-RES-022", "aws:opensearch/outboundConnection:OutboundConnection", "remoteDomainInfo.region"),
    named_by_arn(
        "FJ-RES-022", "aws:msk/replicator:Replicator", "kafkaClusters.amazonMskCluster.mskClusterArn", "kafka"
    ),
    placed("FJ-RES-022", "aws:rds/instance:Instance", "replicateSourceDb", "main", arn("rds", "eu-west-1")),
    regional("FJ-RES-022", "aws:rds/cluster:Cluster", "sourceRegion"),
    *(
        _global(type_)
        for type_ in (
            "aws:rds/globalCluster:GlobalCluster",
            "aws:docdb/globalCluster:GlobalCluster",
            "aws:neptune/globalCluster:GlobalCluster",
            "aws:elasticache/globalReplicationGroup:GlobalReplicationGroup",
            "aws:memorydb/multiRegionCluster:MultiRegionCluster",
        )
    ),
    *(
        placed("FJ-RES-023", type_, path, None, "everywhere")
        for type_, path in (
            ("aws:rds/cluster:Cluster", "globalClusterIdentifier"),
            ("aws:docdb/cluster:Cluster", "globalClusterIdentifier"),
            ("aws:neptune/cluster:Cluster", "globalClusterIdentifier"),
            ("aws:elasticache/replicationGroup:ReplicationGroup", "globalReplicationGroupId"),
            ("aws:memorydb/cluster:Cluster", "multiRegionClusterName"),
        )
    ),
    regional("FJ-RES-024", "aws:secretsmanager/secret:Secret", "replicas.region"),
    regional("FJ-RES-024", "vault:secrets/syncAwsDestination:SyncAwsDestination", "region"),
    placed(
        "FJ-RES-024",
        "vault:secrets/syncAwsDestination:SyncAwsDestination",
        "replicaRegions",
        {"me-central-1": "alias/secrets"},
        {"eu-west-1": "alias/secrets"},
    ),
    *(
        Case(
            "FJ-RES-025",
            [make(BUCKET, {})],
            [make(f"vault:secrets/sync{name}Destination:Sync{name}Destination", {})],
            [],
        )
        for name in ("Azure", "Gcp", "Gh", "Vercel")
    ),
    named_by_arn("FJ-RES-026", "aws:backup/plan:Plan", "rules.copyActions.destinationVaultArn", "backup"),
    regional("FJ-RES-027", _EFS, "destination.region"),
    placed("FJ-RES-027", _EFS, "destination.availabilityZoneName", "me-central-1a", "eu-west-1a"),
    regional(
        "FJ-RES-027",
        "aws:ecr/replicationConfiguration:ReplicationConfiguration",
        "replicationConfiguration.rules.destinations.region",
    ),
    regional("FJ-RES-027", "aws:ebs/snapshotCopy:SnapshotCopy", "sourceRegion"),
    regional("FJ-RES-027", "aws:ec2/amiCopy:AmiCopy", "sourceAmiRegion"),
    regional(
        "FJ-RES-027", "aws:imagebuilder/distributionConfiguration:DistributionConfiguration", "distributions.region"
    ),
    *(
        regional("FJ-RES-027", _LIFECYCLE, f"policyDetails.{path}")
        for path in (
            "schedules.crossRegionCopyRules.target",
            "schedules.crossRegionCopyRules.targetRegion",
            "action.crossRegionCopies.target",
        )
    ),
    regional("FJ-RES-028", _SNAPSHOTS, "awsS3Region", storageType="aws-s3"),
    placed("FJ-RES-028", _SNAPSHOTS, "storageType", "local", "google-gcs"),
    placed("FJ-RES-028", _SNAPSHOTS, "storageType", "local", "aws-s3", unknown=UNKNOWN),
]
_AWAY = arn("backup", "eu-west-1", "backup-vault:away")
MUTATIONS = [
    ("aws:backup/plan:Plan", ["rules", 0, "copyActions"], [{"destinationVaultArn": _AWAY}], {"FJ-RES-026"}),
]
