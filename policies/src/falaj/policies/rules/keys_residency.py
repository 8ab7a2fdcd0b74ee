"""Keys: every key that data is encrypted with is of the home region, and held where the regime says."""

from collections.abc import Iterator, Mapping

from falaj.policies.model import Context, Resource, Rule, Severity
from falaj.policies.residency.crossings import (
    KEYS,
    SERVICE,
    URL,
    Crossing,
    Way,
    below,
    follow,
    reference,
    residency_rule,
)

USES: Mapping[str, tuple[str, ...]] = {
    "aws:backup/vault:Vault": ("kmsKeyArn",),
    "aws:bedrock/agentAgent:AgentAgent": ("customerEncryptionKeyArn",),
    "aws:bedrock/customModel:CustomModel": ("customModelKmsKeyId",),
    "aws:cfg/deliveryChannel:DeliveryChannel": ("s3KmsKeyArn",),
    "aws:cloudtrail/trail:Trail": ("kmsKeyId",),
    "aws:cloudtrail/eventDataStore:EventDataStore": ("kmsKeyId",),
    "aws:cloudwatch/eventBus:EventBus": ("kmsKeyIdentifier",),
    "aws:cloudwatch/logGroup:LogGroup": ("kmsKeyId",),
    "aws:dms/replicationInstance:ReplicationInstance": ("kmsKeyArn",),
    "aws:docdb/cluster:Cluster": ("kmsKeyId",),
    "aws:dynamodb/table:Table": ("serverSideEncryption.kmsKeyArn", "replicas.kmsKeyArn"),
    "aws:ebs/defaultKmsKey:DefaultKmsKey": ("keyArn",),
    "aws:ebs/volume:Volume": ("kmsKeyId",),
    "aws:ec2/launchTemplate:LaunchTemplate": ("blockDeviceMappings.ebs.kmsKeyId",),
    "aws:ec2/instance:Instance": ("rootBlockDevice.kmsKeyId", "ebsBlockDevices.kmsKeyId"),
    "aws:ecr/repository:Repository": ("encryptionConfigurations.kmsKey",),
    "aws:efs/fileSystem:FileSystem": ("kmsKeyId",),
    "aws:eks/cluster:Cluster": ("encryptionConfig.provider.keyArn",),
    "aws:elasticache/replicationGroup:ReplicationGroup": ("kmsKeyId",),
    "aws:fsx/lustreFileSystem:LustreFileSystem": ("kmsKeyId",),
    "aws:fsx/ontapFileSystem:OntapFileSystem": ("kmsKeyId",),
    "aws:fsx/openZfsFileSystem:OpenZfsFileSystem": ("kmsKeyId",),
    "aws:fsx/windowsFileSystem:WindowsFileSystem": ("kmsKeyId",),
    "aws:guardduty/publishingDestination:PublishingDestination": ("kmsKeyArn",),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        "serverSideEncryption.keyArn",
        "extendedS3Configuration.kmsKeyArn",
    ),
    "aws:kinesis/stream:Stream": ("kmsKeyId",),
    "aws:lambda/function:Function": ("kmsKeyArn",),
    "aws:memorydb/cluster:Cluster": ("kmsKeyArn",),
    "aws:neptune/cluster:Cluster": ("kmsKeyArn",),
    "aws:networkfirewall/firewall:Firewall": ("encryptionConfiguration.keyId",),
    "aws:rds/cluster:Cluster": ("kmsKeyId", "masterUserSecretKmsKeyId", "performanceInsightsKmsKeyId"),
    "aws:rds/instance:Instance": ("kmsKeyId", "masterUserSecretKmsKeyId", "performanceInsightsKmsKeyId"),
    "aws:redshift/cluster:Cluster": ("kmsKeyId",),
    "aws:redshiftserverless/namespace:Namespace": ("kmsKeyId",),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId",
    ),
    "aws:sagemaker/domain:Domain": ("kmsKeyId",),
    "aws:sagemaker/notebookInstance:NotebookInstance": ("kmsKeyId",),
    "aws:secretsmanager/secret:Secret": ("kmsKeyId",),
    "aws:sns/topic:Topic": ("kmsMasterKeyId",),
    "aws:sqs/queue:Queue": ("kmsMasterKeyId",),
}
"""Where each type of store, log and message names its key."""


@residency_rule(
    "FJ-RES-010",
    "Data is encrypted with keys of the home region",
    Severity.CRITICAL,
    ("RES-2", "A.8.24", "A.5.34"),
    tuple(USES),
    "Use a key of the home region that has no replicas; a key whose id begins with mrk- can be copied elsewhere.",
    reads=KEYS,
    kind="key",
)
def home_keys(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A key's ARN names its region; an id or an alias without one is of the resource's own."""
    paths = USES[resource.type]
    yield from follow(
        resource, (Way(path, reference, KEYS) for path in paths), context, "is not a key of the home region"
    )
    for path in paths:
        for view in below(resource.properties, path):
            copied = view.test(lambda key: "mrk-" in str(key))
            # Whether an unknown key is one has been asked above, and is asked of the key itself.
            if copied.truth:
                yield Crossing(copied, "is a key that can be copied to other regions")


@residency_rule(
    "FJ-RES-011",
    "Stores of keys outside AWS are in the home region",
    Severity.CRITICAL,
    ("RES-2", "A.8.24"),
    ("aws:kms/customKeyStore:CustomKeyStore",),
    "Reach the external key manager by an endpoint service of the home region, or by a host that homeDomains names.",
    kind="key",
)
def key_stores(store: Resource, context: Context) -> Iterator[Crossing]:
    """Whoever runs the proxy of an external store sees every key that is asked for."""
    by_service = store["xksProxyVpcEndpointServiceName"]
    if by_service.value is None:
        yield from follow(store, (Way("xksProxyUriEndpoint", URL),), context, "is a key store outside the home region")
    ways = (Way("xksProxyVpcEndpointServiceName", SERVICE),)
    yield from follow(store, ways, context, "is a key store outside the home region")


@residency_rule(
    "FJ-RES-012",
    "Keys of other regions have no part here",
    Severity.HIGH,
    ("RES-2", "A.8.24"),
    ("aws:kms/grant:Grant", "aws:kms/ciphertext:Ciphertext", "aws:kms/alias:Alias"),
    "Name a key of the home region.",
    reads=KEYS,
    kind="key",
)
def named_keys(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A grant or an alias of a key elsewhere is a way to use it."""
    way = Way("targetKeyId" if resource.type.endswith("Alias") else "keyId", reference, KEYS[:2])
    yield from follow(resource, (way,), context, "is not a key of the home region")


RULES: tuple[Rule, ...] = (home_keys, key_stores, named_keys)
