"""What moto holds, in AWS's own shapes: one listing for each kind of thing that the stacks' types make."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from normalize import Names

# What a thing is in, the nearest first; the default VPC is in nothing, and known by its addresses.
_PARENTS = ("SubnetId", "GroupId", "AvailabilityZone", "VpcId", "CidrBlock")
Client = Any
Thing = tuple[str, Any]
"""Identifier and everything that AWS says of the thing."""


@dataclass(frozen=True)
class Listing:
    """How things of one kind are listed, and which Pulumi types are seen in it."""

    kind: str
    service: str
    things: Callable[[Client], Iterator[Thing]]
    shows: frozenset[str] = field(default_factory=frozenset[str])


class Aws:
    """The emulated AWS of one lab."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._clients: dict[str, Client] = {}

    def client(self, service: str) -> Client:
        """Return the client of a service."""
        if service not in self._clients:
            make: Any = boto3.client  # its stubs know services by their literal names only
            self._clients[service] = make(
                service,
                endpoint_url=self._env["AWS_ENDPOINT_URL"],
                region_name=self._env["AWS_REGION"],
                aws_access_key_id=self._env["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self._env["AWS_SECRET_ACCESS_KEY"],
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[service]

    def inventory(self) -> dict[str, dict[str, Any]]:
        """Return everything that exists, by kind and identifier."""
        return {listing.kind: dict(listing.things(self.client(listing.service))) for listing in LISTINGS}


def comparable(found: Mapping[str, Mapping[str, Any]], names: Names) -> dict[str, list[Any]]:
    """Return an inventory by names: each with all the things that bear it, for some are alike in everything.

    Things that no resource made are named on the way, so the listings go from the large to the small.
    """
    result: dict[str, list[Any]] = {}
    for listing in LISTINGS:
        for identity, facts in found[listing.kind].items():
            parents = (str(facts[part]) for part in _PARENTS if part in facts)
            parent = next((names.text(each) for each in parents if each != identity), "nothing")
            names.add(identity, f"<{listing.kind} of {parent}>")
    for listing in LISTINGS:
        for identity, facts in found[listing.kind].items():
            result.setdefault(f"{listing.kind} {names.text(identity)}", []).append(names.value(facts))
    return result


def unlisted(types: Iterator[str] | Sequence[str]) -> list[str]:
    """Return the types that no listing shows."""
    shown = frozenset[str]().union(*(listing.shows for listing in LISTINGS))
    return sorted({each for each in types if each not in shown})


def ask(client: Client, operation: str, **parameters: Any) -> Any:
    """Return an answer of AWS; a refusal is an answer as well: that a bucket has no lifecycle is a fact about it."""
    try:
        answer = getattr(client, operation)(**parameters)
    except ClientError as error:
        return {"error": error.response.get("Error", {}).get("Code", "unknown")}
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def pages(client: Client, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
    """Yield the items of all pages of a list."""
    if client.can_paginate(operation):
        for page in client.get_paginator(operation).paginate(**parameters):
            yield from page.get(key, [])
    else:
        yield from getattr(client, operation)(**parameters).get(key, [])


def _of_ec2(operation: str, key: str, identity: str) -> Callable[[Client], Iterator[Thing]]:
    return lambda ec2: ((item[identity], item) for item in pages(ec2, operation, key))


def _endpoints(ec2: Client) -> Iterator[Thing]:
    for item in pages(ec2, "describe_vpc_endpoints", "VpcEndpoints"):
        if item["State"] != "deleted":
            yield item["VpcEndpointId"], item


def _prefix_lists(ec2: Client) -> Iterator[Thing]:
    for item in pages(ec2, "describe_managed_prefix_lists", "PrefixLists"):
        if item.get("OwnerId") != "AWS":
            entries = list(pages(ec2, "get_managed_prefix_list_entries", "Entries", PrefixListId=item["PrefixListId"]))
            yield item["PrefixListId"], {**item, "Entries": entries}


def _launch_templates(ec2: Client) -> Iterator[Thing]:
    for item in pages(ec2, "describe_launch_templates", "LaunchTemplates"):
        identity = item["LaunchTemplateId"]
        versions = pages(ec2, "describe_launch_template_versions", "LaunchTemplateVersions", LaunchTemplateId=identity)
        yield identity, {**item, "Versions": list(versions)}


def _vpcs(ec2: Client) -> Iterator[Thing]:
    for item in pages(ec2, "describe_vpcs", "Vpcs"):
        identity = item["VpcId"]
        attributes = {
            name: ask(ec2, "describe_vpc_attribute", VpcId=identity, Attribute=name).get(name[0].upper() + name[1:])
            for name in ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics")
        }
        yield identity, {**item, "Attributes": attributes}


def _keys(kms: Client) -> Iterator[Thing]:
    for item in pages(kms, "list_keys", "Keys"):
        key = item["KeyId"]
        metadata = ask(kms, "describe_key", KeyId=key)["KeyMetadata"]
        # A key is never gone at once: it waits for its deletion, and counts as gone.
        if metadata["KeyState"] != "PendingDeletion":
            yield (
                key,
                {
                    "metadata": metadata,
                    "policy": ask(kms, "get_key_policy", KeyId=key, PolicyName="default"),
                    "rotation": ask(kms, "get_key_rotation_status", KeyId=key),
                    "tags": ask(kms, "list_resource_tags", KeyId=key),
                    "grants": ask(kms, "list_grants", KeyId=key),
                },
            )


def _aliases(kms: Client) -> Iterator[Thing]:
    return ((item["AliasName"], item) for item in pages(kms, "list_aliases", "Aliases"))


def _log_groups(logs: Client) -> Iterator[Thing]:
    for item in pages(logs, "describe_log_groups", "logGroups"):
        name, arn = item["logGroupName"], item["arn"].removesuffix(":*")
        yield (
            name,
            {
                **item,
                "tags": ask(logs, "list_tags_for_resource", resourceArn=arn),
                "metricFilters": ask(logs, "describe_metric_filters", logGroupName=name),
                "subscriptions": ask(logs, "describe_subscription_filters", logGroupName=name),
            },
        )


def _roles(iam: Client) -> Iterator[Thing]:
    for item in pages(iam, "list_roles", "Roles"):
        name = item["RoleName"]
        inline = pages(iam, "list_role_policies", "PolicyNames", RoleName=name)
        yield (
            name,
            {
                "role": ask(iam, "get_role", RoleName=name),
                "attached": list(pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)),
                "inline": {each: ask(iam, "get_role_policy", RoleName=name, PolicyName=each) for each in inline},
                "profiles": list(pages(iam, "list_instance_profiles_for_role", "InstanceProfiles", RoleName=name)),
            },
        )


def _policies(iam: Client) -> Iterator[Thing]:
    for item in pages(iam, "list_policies", "Policies", Scope="Local"):
        arn = item["Arn"]
        version = ask(iam, "get_policy_version", PolicyArn=arn, VersionId=item["DefaultVersionId"])
        yield arn, {"policy": ask(iam, "get_policy", PolicyArn=arn), "version": version}


def _profiles(iam: Client) -> Iterator[Thing]:
    return ((item["InstanceProfileName"], item) for item in pages(iam, "list_instance_profiles", "InstanceProfiles"))


def _oidc_providers(iam: Client) -> Iterator[Thing]:
    for item in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        yield item["Arn"], ask(iam, "get_open_id_connect_provider", OpenIDConnectProviderArn=item["Arn"])


def _buckets(s3: Client) -> Iterator[Thing]:
    """List the buckets with every answer that S3 gives about one, whatever it is asked by the bucket's name alone."""
    model = s3.meta.service_model
    operations = [
        name
        for name, api in s3.meta.method_to_api_mapping.items()
        if name.startswith("get_") and model.operation_model(api).input_shape.required_members == ["Bucket"]
    ]
    for item in s3.list_buckets()["Buckets"]:
        bucket = item["Name"]
        facts = {operation: ask(s3, operation, Bucket=bucket) for operation in sorted(operations)}
        objects = [each["Key"] for each in pages(s3, "list_objects_v2", "Contents", Bucket=bucket)]
        yield bucket, {**facts, "objects": objects}


def _clusters(eks: Client) -> Iterator[Thing]:
    for name in pages(eks, "list_clusters", "clusters"):
        yield name, ask(eks, "describe_cluster", name=name)["cluster"]


def _of_cluster(listed: str, key: str, described: str, parameter: str) -> Callable[[Client], Iterator[Thing]]:
    """List what belongs to each cluster and is described by its name there."""

    def things(eks: Client) -> Iterator[Thing]:
        for cluster in pages(eks, "list_clusters", "clusters"):
            for item in pages(eks, listed, key, clusterName=cluster):
                name = item["associationId"] if isinstance(item, dict) else item
                yield f"{cluster}/{name}", ask(eks, described, clusterName=cluster, **{parameter: name})

    return things


def _access_entries(eks: Client) -> Iterator[Thing]:
    entries = _of_cluster("list_access_entries", "accessEntries", "describe_access_entry", "principalArn")
    for identity, facts in entries(eks):
        cluster, _, principal = identity.partition("/")
        policies = ask(eks, "list_associated_access_policies", clusterName=cluster, principalArn=principal)
        yield identity, {**facts, "policies": policies.get("associatedAccessPolicies", policies)}


LISTINGS = (
    Listing("KMS key", "kms", _keys, frozenset({"aws:kms/key:Key"})),
    Listing("KMS alias", "kms", _aliases, frozenset({"aws:kms/alias:Alias"})),
    Listing("log group", "logs", _log_groups, frozenset({"aws:cloudwatch/logGroup:LogGroup"})),
    Listing(
        "role",
        "iam",
        _roles,
        frozenset(
            {
                "aws:iam/role:Role",
                "aws:iam/rolePolicy:RolePolicy",
                "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            }
        ),
    ),
    Listing("instance profile", "iam", _profiles, frozenset({"aws:iam/instanceProfile:InstanceProfile"})),
    Listing("managed policy", "iam", _policies, frozenset({"aws:iam/policy:Policy"})),
    Listing(
        "OIDC provider", "iam", _oidc_providers, frozenset({"aws:iam/openIdConnectProvider:OpenIdConnectProvider"})
    ),
    Listing(
        "bucket",
        "s3",
        _buckets,
        frozenset(
            {
                "aws:s3/bucket:Bucket",
                "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
                "aws:s3/bucketLogging:BucketLogging",
                "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
                "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
                "aws:s3/bucketPolicy:BucketPolicy",
                "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
                "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
                "aws:s3/bucketVersioning:BucketVersioning",
            }
        ),
    ),
    Listing("VPC", "ec2", _vpcs, frozenset({"aws:ec2/vpc:Vpc"})),
    Listing("subnet", "ec2", _of_ec2("describe_subnets", "Subnets", "SubnetId"), frozenset({"aws:ec2/subnet:Subnet"})),
    Listing(
        "route table",
        "ec2",
        _of_ec2("describe_route_tables", "RouteTables", "RouteTableId"),
        frozenset({"aws:ec2/routeTable:RouteTable", "aws:ec2/routeTableAssociation:RouteTableAssociation"}),
    ),
    Listing(
        "security group",
        "ec2",
        _of_ec2("describe_security_groups", "SecurityGroups", "GroupId"),
        frozenset({"aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"}),
    ),
    Listing(
        "security group rule",
        "ec2",
        _of_ec2("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId"),
        frozenset(
            {
                "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
                "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            }
        ),
    ),
    Listing("network ACL", "ec2", _of_ec2("describe_network_acls", "NetworkAcls", "NetworkAclId")),
    Listing(
        "network interface", "ec2", _of_ec2("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId")
    ),
    Listing(
        "VPC endpoint",
        "ec2",
        _endpoints,
        frozenset({"aws:ec2/vpcEndpoint:VpcEndpoint"}),
    ),
    Listing(
        "flow log",
        "ec2",
        _of_ec2("describe_flow_logs", "FlowLogs", "FlowLogId"),
        frozenset({"aws:ec2/flowLog:FlowLog"}),
    ),
    Listing("prefix list", "ec2", _prefix_lists, frozenset({"aws:ec2/managedPrefixList:ManagedPrefixList"})),
    Listing("launch template", "ec2", _launch_templates, frozenset({"aws:ec2/launchTemplate:LaunchTemplate"})),
    Listing("cluster", "eks", _clusters, frozenset({"aws:eks/cluster:Cluster"})),
    Listing(
        "node group",
        "eks",
        _of_cluster("list_nodegroups", "nodegroups", "describe_nodegroup", "nodegroupName"),
        frozenset({"aws:eks/nodeGroup:NodeGroup"}),
    ),
    Listing(
        "access entry",
        "eks",
        _access_entries,
        frozenset({"aws:eks/accessEntry:AccessEntry", "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"}),
    ),
    Listing(
        "add-on",
        "eks",
        _of_cluster("list_addons", "addons", "describe_addon", "addonName"),
        frozenset({"aws:eks/addon:Addon"}),
    ),
    Listing(
        "pod identity association",
        "eks",
        _of_cluster(
            "list_pod_identity_associations", "associations", "describe_pod_identity_association", "associationId"
        ),
        frozenset({"aws:eks/podIdentityAssociation:PodIdentityAssociation"}),
    ),
)
