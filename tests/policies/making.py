"""Makes resources and stacks for rules to judge."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from falaj.policies.model import Context, Graph, Resource, Verdict, judge
from falaj.policies.rules import RULES
from falaj.policies.values import UNKNOWN, View

BY_ID = {rule.id: rule for rule in RULES}
HOME = {"region": "me-central-1", "allowedAccountIds": ["123456789012"]}
ACCOUNT = {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}
DIGEST = "registry.example/app@sha256:" + "0" * 64


def urn(type_: str, name: str = "it") -> str:
    return f"urn:pulumi:test::falaj::{type_}::{name}"


def make(
    type_: str, properties: Mapping[str, Any], *, name: str = "it", provider: Any = HOME, **links: str
) -> Resource:
    """Make a resource; a link names the URN that a property comes from."""
    origins = {key: frozenset({origin}) for key, origin in links.items()}
    return Resource(type_, urn(type_, name), name, View(dict(properties)), View(provider, "provider"), origins)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(principal: Any = None, **more: Any) -> dict[str, Any]:
    who = {} if principal is None else {"Principal": principal}
    return {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"} | who | more


GATEWAY = "aws:ec2/internetGateway:InternetGateway"
NAT = "aws:ec2/natGateway:NatGateway"
SUBNET = "aws:ec2/subnet:Subnet"
ROUTE = "aws:ec2/route:Route"
FIREWALL = "aws:networkfirewall/firewall:Firewall"


class Case(NamedTuple):
    """Three stacks of which the first resource is judged; ``unknown`` is empty where no value can decide."""

    rule: str
    good: list[Resource]
    bad: list[Resource]
    unknown: list[Resource]
    settings: Mapping[str, Any] = MappingProxyType({})


def simple(rule: str, type_: str, good: dict[str, Any], bad: dict[str, Any], unknown: dict[str, Any] | None) -> Case:
    stacks = [[make(type_, properties)] for properties in (good, bad)]
    return Case(rule, *stacks, [] if unknown is None else [make(type_, unknown)])


KEY = "aws:kms/key:Key"
ROOT = {"AWS": "arn:aws:iam::123456789012:root"}
NO_REPLICA = "aws:kms/replicaKey:ReplicaKey"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BLOCKED = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
BUCKET = "aws:s3/bucket:Bucket"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
SSE = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
VPC = "aws:ec2/vpc:Vpc"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
CLUSTER = "aws:eks/cluster:Cluster"
NODES = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE = "aws:ec2/instance:Instance"
ROLE = "aws:iam/role:Role"
AWS_PROVIDER = "pulumi:providers:aws"
LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
NAMESPACE = "kubernetes:core/v1:Namespace"
NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"

DENY_PLAINTEXT = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def bucket(*companions: Resource) -> list[Resource]:
    return [make(BUCKET, {"bucket": "data"}), *companions]


def of_bucket(type_: str, properties: dict[str, Any], origin: str = "it") -> Resource:
    """Make a companion as at preview: the bucket's id is unknown, where it comes from is not."""
    return make(type_, {"bucket": UNKNOWN} | properties, name="companion", bucket=urn(BUCKET, origin))


def encryption(default: Any) -> Resource:
    return of_bucket(SSE, {"rules": [{"applyServerSideEncryptionByDefault": default}]})


def container(**changes: Any) -> dict[str, Any]:
    """Return a sound container with changes; the name ``securityContext`` merges."""
    context = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    } | changes.pop("securityContext", {})
    return {"name": "main", "image": DIGEST, "securityContext": context} | changes


def pod(*containers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    spec = {"automountServiceAccountToken": False, "containers": list(containers) or [container()]} | changes
    return {"metadata": {"name": "app", "namespace": "team"}, "spec": {"template": {"spec": spec}}}


def pods(rule: str, bad: dict[str, Any], unknown: dict[str, Any]) -> Case:
    return simple(rule, DEPLOYMENT, pod(), bad, unknown)


def namespace(**labels: Any) -> dict[str, Any]:
    return {"metadata": {"name": "team", "labels": labels}}


def network_policy(types: Any = ("Ingress", "Egress"), space: Any = "team", **spec: Any) -> Resource:
    types = list(types) if isinstance(types, tuple) else types
    body = {"metadata": {"namespace": space}, "spec": {"podSelector": {}, "policyTypes": types} | spec}
    return make(NETWORK_POLICY, body, name="deny")


def verdict(rule: str, stack: list[Resource], **settings: Any) -> Verdict:
    """Return the verdict of a rule on the first resource of a stack."""
    return judge(BY_ID[rule], stack[0], Context(settings, Graph(stack))).verdict
