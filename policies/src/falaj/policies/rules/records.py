"""Records and inventory: logs that are kept and protected, resources that somebody answers for."""

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.values import Fact, any_of

# What holds data, runs code or grants access; small companions inherit from what they belong to.
_TAGGABLE = (
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:ec2/instance:Instance",
    "aws:ec2/launchTemplate:LaunchTemplate",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:ebs/volume:Volume",
    "aws:ecr/repository:Repository",
    "aws:efs/fileSystem:FileSystem",
    "aws:eks/cluster:Cluster",
    "aws:eks/nodeGroup:NodeGroup",
    "aws:fsx/lustreFileSystem:LustreFileSystem",
    "aws:iam/role:Role",
    "aws:kms/key:Key",
    "aws:rds/instance:Instance",
    "aws:s3/bucket:Bucket",
    "aws:s3/bucketV2:BucketV2",
    "aws:secretsmanager/secret:Secret",
    "aws:sns/topic:Topic",
    "aws:sqs/queue:Queue",
)
_LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
_NAMESPACE = "kubernetes:core/v1:Namespace"


@rule(
    "FJ-LOG-001",
    "Log groups are kept for a term and encrypted with a customer key",
    Severity.MEDIUM,
    ("A.8.15", "A.5.33", "A.8.24"),
    (_LOG_GROUP,),
    "Set retentionInDays and kmsKeyId.",
)
def log_groups(group: Resource, _: Context) -> Checks:
    """Zero days means for ever, which is no term."""
    yield must(group["retentionInDays"].test(lambda days: days > 0), "the logs have no term")
    yield must(group["kmsKeyId"].is_set(), "the logs are not encrypted with a customer key")


@rule(
    "FJ-LOG-002",
    "Logs of confidential work are kept for a year",
    Severity.MEDIUM,
    ("A.5.33", "A.8.15", "A.5.28", "ZT-7"),
    (_LOG_GROUP,),
    "Set retentionInDays to 365 or more; logs of what is tagged public or internal may end sooner.",
    settings={
        "retentionDays": Setting(
            {"type": "integer", "minimum": 1, "description": "Days for which logs of confidential work are kept"}, 365
        )
    },
)
def kept_logs(group: Resource, context: Context) -> Checks:
    """Most intrusions are noticed months after they began. A group that is not classified counts as confidential."""
    own, default = group["tags"]["classification"], group.provider["defaultTags"]["tags"]["classification"]
    light = (default if own.value is None else own).among(("public", "internal"))
    least, days = context.settings["retentionDays"], group["retentionInDays"]
    # Zero is for ever, which FJ-LOG-001 is about.
    short = days.test(lambda number: 0 < number < least)
    yield never(short & ~light, "the logs end too soon")


@rule(
    "FJ-INV-001",
    "Somebody answers for every resource, and its data is classified",
    Severity.MEDIUM,
    ("A.5.9", "A.5.12", "A.5.13", "ZT-1"),
    (*_TAGGABLE, _NAMESPACE),
    "Tag (or label) the resource, or its provider's default tags, with owner and classification.",
    settings={
        "requiredTags": Setting(
            {"type": "array", "items": {"type": "string"}, "description": "Tags and labels that must be there"},
            ("owner", "classification"),
        )
    },
)
def owner_and_classification(resource: Resource, context: Context) -> Checks:
    """Tags are compared without regard to case; a provider's default tags count."""
    if resource.type == _NAMESPACE:
        holders = [resource["metadata"]["labels"]]
    else:
        holders = [resource["tags"], resource["tagsAll"], resource.provider["defaultTags"]["tags"]]
    for wanted in context.settings["requiredTags"]:
        found: list[Fact] = [
            tag.is_set() for holder in holders for key, tag in holder.entries() if key.lower() in ("", wanted.lower())
        ]
        yield must(any_of(found, holders[0].path), f"there is no {wanted}")


RULES: tuple[Rule, ...] = (log_groups, kept_logs, owner_and_classification)
