"""Machines and clusters: private, encrypted, logged, and with credentials that cannot be stolen from inside."""

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import View, any_of

CLUSTER = "aws:eks/cluster:Cluster"
_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_INSTANCE = "aws:ec2/instance:Instance"
_LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@rule(
    "FJ-EKS-001",
    "Cluster endpoints are private",
    Severity.CRITICAL,
    ("A.8.20", "A.8.22"),
    (CLUSTER,),
    "Set vpcConfig.endpointPrivateAccess to true and vpcConfig.endpointPublicAccess to false; AWS's default is public.",
)
def private_endpoint(cluster: Resource, _: Context) -> Checks:
    """A public endpoint is AWS's default."""
    config = cluster["vpcConfig"]
    yield must(config["endpointPrivateAccess"].is_true(), "the API server has no private endpoint")
    yield must(config["endpointPublicAccess"].equals(False), "the API server has a public endpoint")


@rule(
    "FJ-EKS-002",
    "Clusters log everything",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    (CLUSTER,),
    "Set enabledClusterLogTypes to api, audit, authenticator, controllerManager and scheduler.",
)
def log_types(cluster: Resource, _: Context) -> Checks:
    """Each type tells what no other tells."""
    for type_ in _LOG_TYPES:
        yield must(cluster["enabledClusterLogTypes"].contains(type_), f"the log {type_} is off")


@rule(
    "FJ-EKS-003",
    "Clusters encrypt their secrets with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.17"),
    (CLUSTER,),
    'Set encryptionConfig with resources ["secrets"] and provider.keyArn.',
)
def secrets_encryption(cluster: Resource, _: Context) -> Checks:
    """The key is the organisation's to revoke."""
    config = cluster["encryptionConfig"]
    yield must(config["resources"].contains("secrets"), "secrets are not encrypted with a customer key")
    yield must(config["provider"]["keyArn"].is_set(), "no customer key is named")


@rule(
    "FJ-EKS-004",
    "Clusters know their users by access entries",
    Severity.HIGH,
    ("A.8.5", "A.5.16", "A.8.2"),
    (CLUSTER,),
    "Set accessConfig.authenticationMode to API and bootstrapClusterCreatorAdminPermissions to false.",
)
def authentication_mode(cluster: Resource, _: Context) -> Checks:
    """The aws-auth config map escapes every review, and the creator's hidden rights every list."""
    config = cluster["accessConfig"]
    yield must(config["authenticationMode"].equals("API"), "users may come from a config map inside the cluster")
    creator = config["bootstrapClusterCreatorAdminPermissions"]
    yield must(creator.equals(False), "whoever creates the cluster administers it without an entry")


@rule(
    "FJ-EKS-005",
    "Node groups come from a launch template",
    Severity.HIGH,
    ("A.8.9", "A.8.5"),
    ("aws:eks/nodeGroup:NodeGroup",),
    "Set launchTemplate (which is judged on its own), and no remoteAccess.",
)
def node_groups(group: Resource, _: Context) -> Checks:
    """Without one, EKS's own template decides on metadata service and disks."""
    template = group["launchTemplate"]
    yield must(template["id"].is_set() | template["name"].is_set(), "the node group has no launch template")
    yield never(group["remoteAccess"].is_set(), "nodes can be logged into by SSH")


@rule(
    "FJ-EC2-001",
    "Machines hand their credentials to nobody else",
    Severity.HIGH,
    ("A.8.5", "A.5.17", "ZT-5"),
    (_TEMPLATE, _INSTANCE),
    "Set metadataOptions.httpTokens to required (IMDSv2) and httpPutResponseHopLimit to 1.",
)
def metadata_service(machine: Resource, _: Context) -> Checks:
    """With a hop limit of 1 the answer does not reach pods."""
    options = machine["metadataOptions"]
    off = options["httpEndpoint"].equals("disabled")
    yield must(off | options["httpTokens"].equals("required"), "the metadata service answers without a token")
    yield must(off | options["httpPutResponseHopLimit"].equals(1), "is not 1: pods reach the machine's credentials")


@rule(
    "FJ-EC2-002",
    "Disks are encrypted",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    (_TEMPLATE, _INSTANCE, "aws:ebs/volume:Volume"),
    "Set encrypted on every disk, the root disk included, and name the customer key.",
)
def disks(resource: Resource, _: Context) -> Checks:
    """A template that names no disk gets what the image says, which is in the clear."""
    if resource.type == _TEMPLATE:
        mappings = list(resource["blockDeviceMappings"].each())
        yield must(any_of((m["ebs"].is_set() for m in mappings), "blockDeviceMappings"), "no disk is described")
        found: list[View] = [mapping["ebs"] for mapping in mappings if mapping["ebs"].value is not None]
    elif resource.type == _INSTANCE:
        found = [resource["rootBlockDevice"], *resource["ebsBlockDevices"].each()]
    else:
        found = [resource.properties]
    for disk in found:
        yield must(disk["encrypted"].is_true(), "the disk is not encrypted")


RULES: tuple[Rule, ...] = (
    private_endpoint,
    log_types,
    secrets_encryption,
    authentication_mode,
    node_groups,
    metadata_service,
    disks,
)
