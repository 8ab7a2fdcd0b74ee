"""Each rule passes a sound resource, fails an unsound one, and is undetermined where the deciding value is unknown."""

import dataclasses
import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pulumi_aws
import pulumi_kubernetes
import pulumi_vault
import pytest

from falaj.policies.model import Context, Graph, Resource, Verdict, judge
from falaj.policies.rules import RULES
from falaj.policies.rules.workloads import POD_TYPES, pod_spec
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


CASES = [
    simple("FJ-KMS-001", KEY, {"enableKeyRotation": True}, {}, {"enableKeyRotation": UNKNOWN}),
    simple("FJ-KMS-001", KEY, {"customKeyStoreId": "cks-1"}, {}, {"customKeyStoreId": UNKNOWN}),
    simple("FJ-KMS-002", KEY, {"multiRegion": False}, {"multiRegion": True}, {"multiRegion": UNKNOWN}),
    Case("FJ-KMS-002", [make(KEY, {})], [make(NO_REPLICA, {"primaryKeyArn": "arn:aws:kms:eu-west-1:1:key/mrk-1"})], []),
    simple(
        "FJ-KMS-003",
        KEY,
        {"policy": document(allow(ROOT), allow("*", Condition=ACCOUNT))},
        {"policy": document(allow(ROOT), allow({"AWS": "*"}))},
        {"policy": UNKNOWN},
    ),
    simple(
        "FJ-S3-001", BLOCK, BLOCKED, BLOCKED | {"ignorePublicAcls": False}, BLOCKED | {"restrictPublicBuckets": UNKNOWN}
    ),
    simple(
        "FJ-S3-002",
        BUCKET_POLICY,
        {"policy": document(allow(ROOT), allow("*", Condition=ACCOUNT), allow("*", Effect="Deny"))},
        {"policy": document(allow("*"))},
        {"policy": UNKNOWN},
    ),
    Case(
        "FJ-S3-003",
        bucket(of_bucket(BLOCK, BLOCKED)),
        bucket(of_bucket(BLOCK, BLOCKED, origin="another")),
        bucket(make(BLOCK, {"bucket": UNKNOWN})),
    ),
    Case(
        "FJ-S3-004",
        bucket(encryption({"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "arn:aws:kms:me-central-1:1:key/1"})),
        bucket(encryption({"sseAlgorithm": "AES256"})),
        bucket(encryption(UNKNOWN)),
    ),
    Case(
        "FJ-S3-005",
        bucket(of_bucket(BUCKET_POLICY, {"policy": document(allow(ROOT), DENY_PLAINTEXT)})),
        bucket(of_bucket(BUCKET_POLICY, {"policy": document(allow(ROOT))})),
        bucket(of_bucket(BUCKET_POLICY, {"policy": UNKNOWN})),
    ),
    Case(
        "FJ-S3-006",
        bucket(of_bucket(OWNERSHIP, {"rule": {"objectOwnership": "BucketOwnerEnforced"}})),
        bucket(of_bucket(OWNERSHIP, {"rule": {"objectOwnership": "ObjectWriter"}})),
        bucket(of_bucket(OWNERSHIP, {"rule": {"objectOwnership": UNKNOWN}})),
    ),
    *(
        simple("FJ-NET-001", type_, good, bad, unknown)
        for type_, good, bad, unknown in (
            (
                "aws:ec2/securityGroup:SecurityGroup",
                {"ingress": [{"cidrBlocks": ["10.0.0.0/8"]}]},
                {"ingress": [{"cidrBlocks": ["10.0.0.0/8", "0.0.0.0/0"]}]},
                {"ingress": [{"cidrBlocks": ["10.0.0.0/8", UNKNOWN]}]},
            ),
            (
                "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
                {"egress": [{"ipv6CidrBlocks": ["fd00::/48"]}]},
                {"egress": [{"ipv6CidrBlocks": ["::/0"]}]},
                {"egress": UNKNOWN},
            ),
            (
                "aws:ec2/securityGroupRule:SecurityGroupRule",
                {"cidrBlocks": ["192.168.0.0/16"]},
                {"cidrBlocks": ["128.0.0.0/1"]},
                {"cidrBlocks": UNKNOWN},
            ),
            (
                "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
                {"cidrIpv4": "10.1.0.0/16"},
                {"cidrIpv4": "0.0.0.0/0"},
                {"cidrIpv4": UNKNOWN},
            ),
            (
                "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
                {"cidrIpv6": "fd00::/64"},
                {"cidrIpv6": "2000::/3"},
                {"cidrIpv6": UNKNOWN},
            ),
            (
                "aws:ec2/managedPrefixList:ManagedPrefixList",
                {"entries": [{"cidr": "10.0.0.0/16"}]},
                {"entries": [{"cidr": "10.0.0.0/16"}, {"cidr": "0.0.0.0/0"}]},
                {"entries": UNKNOWN},
            ),
            (
                "aws:ec2/managedPrefixListEntry:ManagedPrefixListEntry",
                {"cidr": "10.0.0.0/16"},
                {"cidr": "::/0"},
                {"cidr": UNKNOWN},
            ),
        )
    ),
    simple(
        "FJ-NET-002",
        "aws:ec2/subnet:Subnet",
        {"mapPublicIpOnLaunch": False},
        {"mapPublicIpOnLaunch": True},
        {"mapPublicIpOnLaunch": UNKNOWN},
    ),
    simple(
        "FJ-NET-002",
        TEMPLATE,
        {"networkInterfaces": [{"associatePublicIpAddress": "false"}]},
        {"networkInterfaces": [{"associatePublicIpAddress": "true"}]},
        {"networkInterfaces": UNKNOWN},
    ),
    simple(
        "FJ-NET-002",
        "aws:ec2/defaultSubnet:DefaultSubnet",
        {"mapPublicIpOnLaunch": False},
        {},
        {"mapPublicIpOnLaunch": UNKNOWN},
    ),
    Case(
        "FJ-NET-003",
        [make(NAT, {"connectivityType": "private"})],
        [make(GATEWAY, {"vpcId": "vpc-1"}), make(FIREWALL, {"vpcId": "vpc-2"}, name="firewall")],
        [make(NAT, {"connectivityType": UNKNOWN})],
    ),
    Case(
        "FJ-NET-004",
        [make(VPC, {}), make(FLOW_LOG, {"vpcId": UNKNOWN, "trafficType": "ALL"}, name="log", vpcId=urn(VPC))],
        [make(VPC, {}), make(FLOW_LOG, {"vpcId": UNKNOWN, "trafficType": "REJECT"}, name="log", vpcId=urn(VPC))],
        [make(VPC, {}), make(FLOW_LOG, {"vpcId": UNKNOWN, "trafficType": UNKNOWN}, name="log", vpcId=urn(VPC))],
    ),
    simple(
        "FJ-NET-005",
        ENDPOINT,
        {"policy": document(allow("*", Condition=ACCOUNT))},
        {"serviceName": "com.amazonaws.me-central-1.s3"},
        {"policy": UNKNOWN},
    ),
    simple(
        "FJ-EKS-001",
        CLUSTER,
        {"vpcConfig": {"endpointPrivateAccess": True, "endpointPublicAccess": False}},
        {"vpcConfig": {"endpointPrivateAccess": True}},
        {"vpcConfig": UNKNOWN},
    ),
    simple(
        "FJ-EKS-002",
        CLUSTER,
        {"enabledClusterLogTypes": LOGS},
        {"enabledClusterLogTypes": LOGS[1:]},
        {"enabledClusterLogTypes": [*LOGS[1:], UNKNOWN]},
    ),
    simple(
        "FJ-EKS-003",
        CLUSTER,
        {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": "arn"}}},
        {},
        {"encryptionConfig": {"resources": ["secrets"], "provider": {"keyArn": UNKNOWN}}},
    ),
    simple(
        "FJ-EKS-004",
        CLUSTER,
        {"accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}},
        {
            "accessConfig": {
                "authenticationMode": "API_AND_CONFIG_MAP",
                "bootstrapClusterCreatorAdminPermissions": False,
            }
        },
        {"accessConfig": UNKNOWN},
    ),
    simple(
        "FJ-EKS-005",
        NODES,
        {"launchTemplate": {"id": "lt-1", "version": "1"}},
        {"instanceTypes": ["g5.xlarge"]},
        {"launchTemplate": {"id": UNKNOWN, "version": "1"}},
    ),
    simple(
        "FJ-EC2-001",
        TEMPLATE,
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1.0}},
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2.0}},
        {"metadataOptions": {"httpTokens": UNKNOWN, "httpPutResponseHopLimit": 1.0}},
    ),
    simple(
        "FJ-EC2-002",
        TEMPLATE,
        {"blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}]},
        {"blockDeviceMappings": [{"ebs": {"encrypted": "true"}}, {"ebs": {"volumeSize": 10}}]},
        {"blockDeviceMappings": [{"ebs": {"encrypted": UNKNOWN}}]},
    ),
    simple(
        "FJ-EC2-002",
        INSTANCE,
        {"rootBlockDevice": {"encrypted": True}},
        {"rootBlockDevice": {"encrypted": True}, "ebsBlockDevices": [{"encrypted": False}]},
        {"rootBlockDevice": UNKNOWN},
    ),
    simple("FJ-EC2-002", "aws:ebs/volume:Volume", {"encrypted": True}, {"size": 10}, {"encrypted": UNKNOWN}),
    simple(
        "FJ-IAM-001",
        "aws:iam/rolePolicy:RolePolicy",
        {"policy": document(allow(Action="s3:*"), allow(Action="*", Resource="arn:aws:s3:::data/*"))},
        {"policy": document(allow(Action=["s3:GetObject", "*:*"]))},
        {"policy": UNKNOWN},
    ),
    simple(
        "FJ-IAM-001",
        ROLE,
        {"inlinePolicies": [{"policy": document(allow())}]},
        {"inlinePolicies": [{"policy": document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})}]},
        {"inlinePolicies": [{"policy": UNKNOWN}]},
    ),
    simple(
        "FJ-IAM-002",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        {"policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"},
        {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
        {"policyArn": UNKNOWN},
    ),
    Case("FJ-IAM-003", [make(ROLE, {})], [make("aws:iam/accessKey:AccessKey", {"user": "ci"})], []),
    simple(
        "FJ-IAM-004",
        ROLE,
        {"assumeRolePolicy": document(allow({"Service": "ec2.amazonaws.com"}))},
        {"assumeRolePolicy": document(allow({"AWS": "*"}))},
        {"assumeRolePolicy": UNKNOWN},
    ),
    simple(
        "FJ-LOG-001",
        "aws:cloudwatch/logGroup:LogGroup",
        {"retentionInDays": 365.0, "kmsKeyId": "arn"},
        {"retentionInDays": 0.0, "kmsKeyId": "arn"},
        {"retentionInDays": 365.0, "kmsKeyId": UNKNOWN},
    ),
    simple(
        "FJ-INV-001",
        KEY,
        {"tags": {"Owner": "team", "Classification": "restricted"}},
        {"tags": {"owner": "team", "classification": ""}},
        {"tags": UNKNOWN},
    ),
    simple(
        "FJ-INV-001",
        NAMESPACE,
        namespace(owner="team", classification="internal"),
        namespace(owner="team"),
        namespace(owner="team", classification=UNKNOWN),
    ),
    simple("FJ-RES-001", KEY, {}, {"region": "eu-west-1"}, {"region": UNKNOWN}),
    simple("FJ-RES-002", AWS_PROVIDER, HOME, {"region": "me-central-1"}, HOME | {"allowedAccountIds": UNKNOWN}),
    simple(
        "FJ-RES-003",
        AWS_PROVIDER,
        {"endpoints": [{"s3": "http://127.0.0.1:5000", "sts": "https://sts.me-central-1.amazonaws.com"}]},
        {"endpoints": [{"s3": "https://s3.eu-west-1.amazonaws.com"}]},
        {"endpoints": [{"s3": UNKNOWN}]},
    ),
    pods(
        "FJ-POD-001",
        pod(container(securityContext={"privileged": True})),
        pod(container(securityContext={"privileged": UNKNOWN})),
    ),
    pods("FJ-POD-002", pod(hostPID=True), pod(volumes=[{"hostPath": UNKNOWN}])),
    pods(
        "FJ-POD-003",
        pod(container(securityContext={"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}})),
        pod(container(securityContext={"capabilities": {"drop": [UNKNOWN]}})),
    ),
    pods(
        "FJ-POD-004",
        pod(container(securityContext={"runAsNonRoot": False}), securityContext={"runAsNonRoot": True}),
        pod(container(securityContext={"runAsUser": UNKNOWN})),
    ),
    pods("FJ-POD-005", pod(container(image="registry.example/app:1.0")), pod(container(image=UNKNOWN))),
    pods("FJ-POD-006", pod(automountServiceAccountToken=True), pod(automountServiceAccountToken=UNKNOWN)),
    pods(
        "FJ-POD-007",
        pod(container(env=[{"name": "DB_PASSWORD", "value": "hunter2"}])),
        pod(container(env=[{"name": "DB_PASSWORD", "value": UNKNOWN}])),
    ),
    Case("FJ-POD-008", [make(DEPLOYMENT, {})], [make("kubernetes:apps/v1:DeploymentPatch", {})], []),
    simple(
        "FJ-NSP-001",
        NAMESPACE,
        namespace(**{"pod-security.kubernetes.io/enforce": "restricted"}),
        namespace(**{"pod-security.kubernetes.io/enforce": "baseline"}),
        namespace(**{"pod-security.kubernetes.io/enforce": UNKNOWN}),
    ),
    Case(
        "FJ-NSP-002",
        [make(NAMESPACE, namespace()), network_policy()],
        [make(NAMESPACE, namespace()), network_policy(("Ingress",))],
        [make(NAMESPACE, namespace()), network_policy(UNKNOWN)],
    ),
    simple(
        "FJ-RBC-001",
        f"{RBAC}:ClusterRole",
        {"rules": [{"resources": ["*"], "verbs": ["get", "list"]}]},
        {"rules": [{"resources": ["pods"], "verbs": ["get"]}, {"resources": ["pods"], "verbs": ["*"]}]},
        {"rules": UNKNOWN},
    ),
    simple(
        "FJ-RBC-002",
        f"{RBAC}:ClusterRoleBinding",
        {"roleRef": {"name": "view"}, "subjects": [{"kind": "Group", "name": "viewers"}]},
        {"roleRef": {"name": "cluster-admin"}, "subjects": [{"kind": "Group", "name": "admins"}]},
        {"roleRef": {"name": UNKNOWN}},
    ),
    simple(
        "FJ-VLT-001",
        "vault:index/policy:Policy",
        {"policy": 'path "team/data/*" { capabilities = ["read"] }'},
        {"policy": 'path "team/data/*" { capabilities = ["read"] }\npath "sys/raw/*" { capabilities = ["sudo"] }'},
        {"policy": UNKNOWN},
    ),
    simple(
        "FJ-VLT-002",
        "vault:kubernetes/authBackendRole:AuthBackendRole",
        {"boundServiceAccountNames": ["workload"], "boundServiceAccountNamespaces": ["team"]},
        {"boundServiceAccountNames": ["*"], "boundServiceAccountNamespaces": ["team"]},
        {"boundServiceAccountNames": ["workload"], "boundServiceAccountNamespaces": UNKNOWN},
    ),
    simple(
        "FJ-VLT-003",
        "vault:transit/secretBackendKey:SecretBackendKey",
        {"exportable": False},
        {"exportable": True},
        {"deletionAllowed": UNKNOWN},
    ),
]


def verdict(rule: str, stack: list[Resource], **settings: Any) -> Verdict:
    return judge(BY_ID[rule], stack[0], Context(settings, Graph(stack))).verdict


def named(case: Case) -> str:
    return f"{case.rule}-{case.bad[0].type.rpartition(':')[2]}"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_a_sound_resource_does_not_fail(case: Case) -> None:
    assert verdict(case.rule, case.good) in (Verdict.PASS, Verdict.NOT_APPLICABLE)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_an_unsound_resource_fails(case: Case) -> None:
    assert verdict(case.rule, case.bad) is Verdict.FAIL


@pytest.mark.parametrize("case", [case for case in CASES if case.unknown], ids=named)
def test_an_unknown_that_decides_is_undetermined(case: Case) -> None:
    assert verdict(case.rule, case.unknown) is Verdict.UNDETERMINED


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in CASES} == set(BY_ID)


def test_rule_ids_are_unique_and_well_formed() -> None:
    assert len(BY_ID) == len(RULES)
    assert all(re.fullmatch(r"FJ-[A-Z0-9]{2,3}-\d{3}", rule.id) for rule in RULES)


@functools.cache
def declared_types(package: Any) -> dict[str, str]:
    """Return the types that an installed SDK declares, each with the source text that declares it."""
    found: dict[str, str] = {}
    for path in Path(package.__file__).parent.rglob("*.py"):
        if not path.name.startswith(("get_", "_")):
            text = path.read_text()
            for token in re.findall(r"__pulumi_type__ = \"([^\"]+)\"|^\s+'(\w+:[\w./]+:\w+)',$", text, re.MULTILINE):
                found[token[0] or token[1]] = text
    return found


SDKS = {"aws": pulumi_aws, "kubernetes": pulumi_kubernetes, "vault": pulumi_vault}


def test_every_type_that_a_rule_names_is_declared_by_the_sdk() -> None:
    foreign = ("kubernetes:argoproj.io/", "pulumi:providers:")
    types = {type_ for rule in RULES for type_ in rule.types if not type_.startswith(foreign) and "*" not in type_}
    unknown = {type_ for type_ in types if type_ not in declared_types(SDKS[type_.partition(":")[0]])}
    assert unknown == set()


@pytest.mark.parametrize("case", CASES, ids=named)
def test_every_property_in_a_case_is_declared_by_the_sdk(case: Case) -> None:
    for resource in (*case.good, *case.bad, *case.unknown):
        if resource.type.startswith("pulumi:providers:"):
            continue
        source = declared_types(SDKS[resource.type.partition(":")[0]])[resource.type]
        for key in resource.properties.value:
            snake = re.sub(r"(?<!^)([A-Z]|6(?=C))", r"_\1", key).lower()
            assert f'name="{key}"' in source or f"def {snake}(self)" in source, f"{resource.type} has no {key}"


@pytest.mark.parametrize("type_", POD_TYPES)
def test_one_view_finds_the_pod_in_every_type_that_makes_pods(type_: str) -> None:
    body: Any = {"hostNetwork": True}
    path = pod_spec(make(type_, {})).path
    for key in reversed(path.split(".")):
        body = {key: body}
    assert verdict("FJ-POD-002", [make(type_, body)]) is Verdict.FAIL


@pytest.mark.parametrize("kind", ["initContainers", "containers", "ephemeralContainers"])
def test_no_kind_of_container_is_overlooked(kind: str) -> None:
    unsafe = container(securityContext={"privileged": True})
    assert verdict("FJ-POD-001", [make(DEPLOYMENT, pod(**{kind: [unsafe]}))]) is Verdict.FAIL


def test_an_unknown_container_does_not_hide_an_unsafe_one() -> None:
    stack = [make(DEPLOYMENT, pod(UNKNOWN, container(securityContext={"privileged": True})))]  # type: ignore[arg-type]
    judgement = judge(BY_ID["FJ-POD-001"], stack[0], Context())
    assert judgement.verdict is Verdict.FAIL
    assert judgement.undecided


@pytest.mark.parametrize("name", ["SECRET_NAME", "TOKEN_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "SECRET_ARN", "PATH"])
def test_a_variable_that_only_says_where_a_secret_is_does_not_fail(name: str) -> None:
    stack = [make(DEPLOYMENT, pod(container(env=[{"name": name, "value": "/var/run/it"}])))]
    assert verdict("FJ-POD-007", stack) is Verdict.PASS


@pytest.mark.parametrize(
    "value",
    [
        "AKIA" + "A" * 16,
        "-----BEGIN RSA PRIVATE KEY-----",
        "postgres://user:word@db/app",
        "hvs." + "a" * 24,
    ],
)
def test_a_value_that_looks_like_a_secret_fails_whatever_its_name(value: str) -> None:
    stack = [make(DEPLOYMENT, pod(container(env=[{"name": "SETTING", "value": value}])))]
    assert verdict("FJ-POD-007", stack) is Verdict.FAIL


def test_a_secret_from_a_secret_reference_passes() -> None:
    reference = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    assert verdict("FJ-POD-007", [make(DEPLOYMENT, pod(container(env=[reference])))]) is Verdict.PASS


def test_a_region_that_nobody_states_is_elsewhere() -> None:
    assert verdict("FJ-RES-001", [make(KEY, {}, provider={})]) is Verdict.FAIL
    assert verdict("FJ-RES-001", [make(KEY, {}, provider=None)]) is Verdict.FAIL


def test_home_regions_and_accounts_can_be_set() -> None:
    assert verdict("FJ-RES-001", [make(KEY, {"region": "me-south-1"})], homeRegions=["me-south-1"]) is Verdict.PASS
    assert verdict("FJ-RES-002", [make(AWS_PROVIDER, HOME)], allowedAccounts=["999999999999"]) is Verdict.FAIL


def test_default_tags_of_the_provider_count() -> None:
    tags = {"defaultTags": {"tags": {"owner": "team", "classification": "internal"}}}
    assert verdict("FJ-INV-001", [make(KEY, {}, provider=tags)]) is Verdict.PASS


def test_pods_in_a_namespace_of_another_stack_are_undetermined() -> None:
    assert verdict("FJ-NSP-002", [make(DEPLOYMENT, pod())]) is Verdict.UNDETERMINED


def test_pods_in_a_declared_namespace_are_judged_by_it() -> None:
    assert verdict("FJ-NSP-002", [make(DEPLOYMENT, pod()), make(NAMESPACE, namespace())]) is Verdict.PASS


def test_pods_in_the_namespace_default_fail() -> None:
    body = pod() | {"metadata": {"name": "app"}}
    assert verdict("FJ-NSP-002", [make(DEPLOYMENT, body)]) is Verdict.FAIL
    assert verdict("FJ-NSP-002", [make(DEPLOYMENT, body, provider={"namespace": "team"})]) is Verdict.UNDETERMINED


def test_a_default_that_stands_for_an_unknown_namespace_is_undetermined() -> None:
    body = pod() | {"metadata": {"name": "app", "namespace": "default"}}
    stack = [make(DEPLOYMENT, body, metadata=urn(NAMESPACE)), make(NAMESPACE, namespace())]
    assert verdict("FJ-NSP-002", stack) is Verdict.UNDETERMINED


def test_a_namespace_that_is_not_known_yet_is_found_by_where_it_comes_from() -> None:
    body = pod() | {"metadata": {"name": "app", "namespace": UNKNOWN}}
    stack = [make(DEPLOYMENT, body, metadata=urn(NAMESPACE)), make(NAMESPACE, namespace())]
    assert verdict("FJ-NSP-002", stack) is Verdict.PASS


@pytest.mark.parametrize(
    "policy",
    [
        network_policy(podSelector={"matchLabels": {"app": "one"}}),
        network_policy(egress=[{}]),
        network_policy(space="another"),
    ],
    ids=["selects some pods", "allows egress", "in another namespace"],
)
def test_a_policy_that_lets_something_through_is_no_default_deny(policy: Resource) -> None:
    assert verdict("FJ-NSP-002", [make(NAMESPACE, namespace()), policy]) is Verdict.FAIL


def test_two_policies_together_can_deny_both_directions() -> None:
    stack = [make(NAMESPACE, namespace()), network_policy(("Ingress",)), network_policy(("Egress",))]
    assert verdict("FJ-NSP-002", stack) is Verdict.PASS


def way_out(table_of: str, **to: str) -> list[Resource]:
    """A VPC with a firewall, a NAT gateway and a gateway; the first resource is a route of one subnet's table."""
    subnets = [
        make(SUBNET, {"id": f"subnet-{name}", "vpcId": "vpc-1"}, name=name) for name in ("inside", "wall", "edge")
    ]
    return [
        make(ROUTE, {"routeTableId": "table-1", "destinationCidrBlock": "0.0.0.0/0", **to}),
        make("aws:ec2/routeTableAssociation:RouteTableAssociation", {"routeTableId": "table-1", "subnetId": table_of}),
        *subnets,
        make(GATEWAY, {"id": "igw-1", "vpcId": "vpc-1"}),
        make(NAT, {"id": "nat-1", "subnetId": "subnet-edge", "connectivityType": "public"}),
        make(FIREWALL, {"vpcId": "vpc-1", "subnetMappings": [{"subnetId": "subnet-wall"}]}),
    ]


def test_a_route_leads_out_from_behind_the_firewall_only() -> None:
    assert verdict("FJ-NET-003", way_out("subnet-inside", vpcEndpointId="vpce-1")) is Verdict.PASS
    assert verdict("FJ-NET-003", way_out("subnet-wall", natGatewayId="nat-1")) is Verdict.PASS
    assert verdict("FJ-NET-003", way_out("subnet-edge", gatewayId="igw-1")) is Verdict.PASS
    assert verdict("FJ-NET-003", way_out("subnet-inside", natGatewayId="nat-1")) is Verdict.FAIL
    assert verdict("FJ-NET-003", way_out("subnet-inside", gatewayId="igw-1")) is Verdict.FAIL
    assert verdict("FJ-NET-003", way_out("subnet-wall", gatewayId="igw-1")) is Verdict.FAIL


def test_a_gateway_needs_a_firewall_in_its_own_network() -> None:
    stack = way_out("subnet-inside")
    gateway, nat = stack[5], stack[6]
    assert verdict("FJ-NET-003", [gateway, *stack]) is Verdict.PASS
    assert verdict("FJ-NET-003", [nat, *stack]) is Verdict.PASS
    assert verdict("FJ-NET-003", [gateway, *stack[:-1]]) is Verdict.FAIL
    assert verdict("FJ-NET-003", [nat, *stack[:-1]]) is Verdict.FAIL
    assert (
        verdict("FJ-NET-003", [make("aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway", {})]) is Verdict.FAIL
    )


def test_a_way_out_that_stands_within_a_route_table_fails() -> None:
    table = "aws:ec2/routeTable:RouteTable"
    assert verdict("FJ-NET-003", [make(table, {"routes": [{"natGatewayId": "nat-1"}]})]) is Verdict.FAIL
    assert verdict("FJ-NET-003", [make(table, {"routes": [{"vpcEndpointId": "vpce-1"}]})]) is Verdict.PASS


def test_keys_that_aws_cannot_rotate_need_no_rotation() -> None:
    assert verdict("FJ-KMS-001", [make(KEY, {"customerMasterKeySpec": "RSA_4096"})]) is Verdict.PASS
    assert verdict("FJ-KMS-001", [make(KEY, {"customerMasterKeySpec": "SYMMETRIC_DEFAULT"})]) is Verdict.FAIL


def test_companions_are_found_by_value_where_the_engine_names_no_origin() -> None:
    by_name = make(BLOCK, {"bucket": "data"} | BLOCKED, name="block")
    assert verdict("FJ-S3-003", bucket(by_name)) is Verdict.PASS
    assert verdict("FJ-S3-003", bucket(make(BLOCK, {"bucket": "other"} | BLOCKED, name="block"))) is Verdict.FAIL


PLANTED = "Pl4ntedS3cret"


def planted(value: Any) -> Iterator[Any]:
    """Yield the value with a secret in the place, at the end or in the middle of each of its strings, one at a time."""
    if isinstance(value, str):
        yield from (PLANTED, value + PLANTED, value[: len(value) // 2] + PLANTED + value[len(value) // 2 :])
    elif isinstance(value, dict):
        yield from (value | {key: changed} for key, child in value.items() for changed in planted(child))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from ([*value[:index], changed, *value[index + 1 :]] for changed in planted(child))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_no_message_holds_a_property_s_value(case: Case) -> None:
    for stack in (case.good, case.bad, case.unknown):
        for number, resource in enumerate(stack):
            for properties in planted(resource.properties.value):
                changed = dataclasses.replace(resource, properties=View(properties))
                graph = Graph([*stack[:number], changed, *stack[number + 1 :]])
                judgement = judge(BY_ID[case.rule], graph.resources[0], Context({}, graph))
                assert PLANTED not in str(judgement)
