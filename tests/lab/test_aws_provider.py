"""The enacted AWS types against a moto server: every type through its whole life."""

import base64
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

import boto3
import grpc
import psutil
import pytest
import requests
from google.protobuf.empty_pb2 import Empty
from moto.server import ThreadedMotoServer
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from falaj.lab.moto_gaps import close_gaps
from falaj.lab.provider.aws import ENACTED, AwsProvider, recorded
from falaj.lab.provider.aws_types.recorded import table
from falaj.lab.provider.aws_types.table import in_order
from falaj.lab.provider.declared import declared, sdk_version
from falaj.lab.provider.journal import Journal
from falaj.lab.provider.kind import Kind, ProviderError
from falaj.lab.provider.testing import CheckError, Driver, Resource
from falaj.lab.provider.values import UNKNOWN, encode

ACCOUNT = "123456789012"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
ALLOW = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"]}]}
)
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
OPEN = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": ROOT, "Action": "kms:*", "Resource": "*"}],
    }
)
ALLOW_MORE = ALLOW.replace("s3:GetObject", "s3:PutObject")
# The same as ALLOW, spelled differently.
ALLOW_RESPELLED = json.dumps(
    {"Statement": {"Action": "s3:GetObject", "Effect": "Allow", "Resource": "*"}, "Version": "2012-10-17"}, indent=2
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    close_gaps()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def shared(endpoint: str) -> Driver:
    """One provider for all cases: making clients takes longer than using them."""
    return configured(AwsProvider(Journal(None)), endpoint)


@pytest.fixture
def driver(shared: Driver, endpoint: str) -> Driver:
    requests.post(f"{endpoint}/moto-api/reset", timeout=60).raise_for_status()
    return shared


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "FALAJ_LAB"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address at which nothing listens, and nobody can meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def configured(provider: AwsProvider, endpoint: str, **config: Any) -> Driver:
    services = ["ec2", "efs", "eks", "iam", "kms", "logs", "networkfirewall", "s3", "ssm", "sts"]
    return Driver(provider).configure(
        region="me-central-1",
        accessKey="test",
        secretKey="test",
        # The SDK sends nested configuration as JSON text.
        endpoints=json.dumps([dict.fromkeys(services, endpoint)]),
        **config,
    )


@dataclass
class Needs:
    """Makes what a case depends on."""

    driver: Driver
    made: dict[str, Resource] = field(default_factory=dict)

    def make(self, token: str, label: str, **inputs: Any) -> Resource:
        if label not in self.made:
            self.made[label] = self.driver.create(token, label, inputs)
        return self.made[label]

    @property
    def vpc(self) -> str:
        return self.make("aws:ec2/vpc:Vpc", "need-vpc", cidrBlock="10.0.0.0/16").id

    def subnet(self, zone: str = "a") -> str:
        block = f"10.0.{ord(zone) - 97}.0/24"
        return self.make(
            "aws:ec2/subnet:Subnet",
            f"need-{zone}",
            vpcId=self.vpc,
            cidrBlock=block,
            availabilityZone=f"me-central-1{zone}",
        ).id

    @property
    def table(self) -> str:
        return self.make("aws:ec2/routeTable:RouteTable", "need-table", vpcId=self.vpc).id

    @property
    def gateway(self) -> str:
        return self.make("aws:ec2/internetGateway:InternetGateway", "need-gateway", vpcId=self.vpc).id

    @property
    def file_system(self) -> str:
        return self.make("aws:efs/fileSystem:FileSystem", "need-files").id

    @property
    def address(self) -> str:
        return self.make("aws:ec2/eip:Eip", "need-address", domain="vpc").id

    @property
    def default_acl(self) -> str:
        assert self.vpc
        return self.made["need-vpc"].outputs["defaultNetworkAclId"]

    @property
    def group(self) -> str:
        return self.make("aws:ec2/securityGroup:SecurityGroup", "need-group", vpcId=self.vpc).id

    @property
    def key(self) -> Resource:
        return self.make("aws:kms/key:Key", "need-key")

    @property
    def bucket(self) -> str:
        return self.make("aws:s3/bucket:Bucket", "need-bucket", bucket="need-bucket", forceDestroy=True).id

    @property
    def log_bucket(self) -> str:
        bucket = self.make("aws:s3/bucket:Bucket", "need-target", bucket="need-target").id
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return self.make("aws:s3/bucketPolicy:BucketPolicy", "need-target-policy", bucket=bucket, policy=policy).id

    @property
    def role(self) -> Resource:
        return self.make("aws:iam/role:Role", "need-role", assumeRolePolicy=TRUST, forceDetachPolicies=True)

    @property
    def policy(self) -> str:
        return self.make("aws:iam/policy:Policy", "need-policy", policy=ALLOW).id

    @property
    def log_group(self) -> Resource:
        return self.make("aws:cloudwatch/logGroup:LogGroup", "need-logs", name="/need")

    @property
    def rule_group(self) -> str:
        inputs = {"type": "STATEFUL", "capacity": 10, "ruleGroup": allowing("need.example")}
        return self.make("aws:networkfirewall/ruleGroup:RuleGroup", "need-rules", **inputs).id

    def policy_of(self, *groups: str) -> dict[str, Any]:
        """Return the rules of a policy."""
        return {
            "statelessDefaultActions": ["aws:forward_to_sfe"],
            "statelessFragmentDefaultActions": ["aws:forward_to_sfe"],
            "statefulEngineOptions": {"ruleOrder": "STRICT_ORDER"},
            "statefulRuleGroupReferences": [{"priority": 1, "resourceArn": arn} for arn in groups],
        }

    @property
    def firewall_policy(self) -> str:
        token = "aws:networkfirewall/firewallPolicy:FirewallPolicy"
        return self.make(token, "need-firewall-policy", firewallPolicy=self.policy_of()).id

    @property
    def firewall(self) -> str:
        mappings = [{"subnetId": self.subnet()}]
        inputs = {"vpcId": self.vpc, "firewallPolicyArn": self.firewall_policy, "subnetMappings": mappings}
        return self.make("aws:networkfirewall/firewall:Firewall", "need-firewall", **inputs).id

    @property
    def template(self) -> Resource:
        return self.make("aws:ec2/launchTemplate:LaunchTemplate", "need-template", keyName="first")

    @property
    def second_version(self) -> str:
        """Give the launch template another version."""
        inputs = {"keyName": "second"}
        return str(self.driver.update(self.template, inputs).outputs["latestVersion"])

    @property
    def cluster(self) -> str:
        return self.make(
            "aws:eks/cluster:Cluster",
            "need-cluster",
            name="need",
            version="1.33",
            roleArn=self.role.outputs["arn"],
            vpcConfig={"subnetIds": [self.subnet("a"), self.subnet("b")]},
            accessConfig={"authenticationMode": "API"},
        ).id

    @property
    def entry(self) -> Resource:
        return self.make(
            "aws:eks/accessEntry:AccessEntry",
            "need-entry",
            clusterName=self.cluster,
            principalArn=self.role.outputs["arn"],
        )


@dataclass
class Case:
    """One type: how it is made, what is changed in place, and a change that makes a new one (None if there is none)."""

    token: str
    inputs: Callable[[Needs], dict[str, Any]]
    update: dict[str, Any] | Callable[[Needs], dict[str, Any]] | None
    replace: dict[str, Any] | None
    respelled: dict[str, Any] = field(default_factory=dict)
    """Another spelling of the same: no change."""
    stays: bool = False
    """Whether the thing outlives its resource, as a VPC's default security group does."""


def allowing(*domains: str) -> dict[str, Any]:
    """Return the rules of a group that lets out to domains."""
    source = {"generatedRulesType": "ALLOWLIST", "targetTypes": ["TLS_SNI"], "targets": list(domains)}
    return {"rulesSource": {"rulesSourceList": source}, "statefulRuleOptions": {"ruleOrder": "STRICT_ORDER"}}


def logging_to(*kinds: str) -> dict[str, Any]:
    """Return where a firewall logs what."""
    to = {"logDestinationType": "CloudWatchLogs", "logDestination": {"logGroup": "/firewall"}}
    return {"logDestinationConfigs": [{"logType": kind, **to} for kind in kinds]}


def acl_rule(number: int, protocol: str = "-1", port: int = 0, **more: Any) -> dict[str, Any]:
    """Return a rule of a network ACL that lets pass."""
    ports = {"fromPort": port, "toPort": port}
    return {"ruleNo": number, "action": "allow", "protocol": protocol, "cidrBlock": "0.0.0.0/0", **ports, **more}


TAGS = {"team": "vision", "data": "restricted"}
VERSIONED = {"versioningConfiguration": {"status": "Enabled"}}

CASES = [
    Case(
        "aws:ec2/vpc:Vpc",
        lambda _: {"cidrBlock": "10.1.0.0/16", "enableDnsHostnames": True, "tags": TAGS},
        {"enableDnsHostnames": False, "enableDnsSupport": False, "tags": {"team": "speech"}},
        {"cidrBlock": "10.2.0.0/16"},
    ),
    Case(
        "aws:ec2/subnet:Subnet",
        lambda n: {"vpcId": n.vpc, "cidrBlock": "10.0.9.0/24", "availabilityZone": "me-central-1b", "tags": TAGS},
        {"mapPublicIpOnLaunch": True, "tags": {}},
        {"cidrBlock": "10.0.8.0/24"},
    ),
    Case(
        "aws:ec2/internetGateway:InternetGateway", lambda n: {"vpcId": n.vpc, "tags": TAGS}, {"tags": {"a": "b"}}, None
    ),
    Case(
        "aws:ec2/routeTable:RouteTable",
        lambda n: {"vpcId": n.vpc, "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": n.gateway}], "tags": TAGS},
        lambda n: {"routes": [{"cidrBlock": "10.9.0.0/16", "gatewayId": n.gateway}], "tags": {"a": "b"}},
        {"vpcId": "vpc-other"},
    ),
    Case(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        lambda n: {"routeTableId": n.table, "subnetId": n.subnet()},
        lambda n: {"routeTableId": n.driver.create("aws:ec2/routeTable:RouteTable", "other", {"vpcId": n.vpc}).id},
        {"subnetId": "subnet-other"},
    ),
    Case(
        "aws:ec2/route:Route",
        lambda n: {"routeTableId": n.table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": n.gateway},
        None,
        {"destinationCidrBlock": "10.8.0.0/16"},
    ),
    Case(
        "aws:ec2/eip:Eip", lambda _: {"domain": "vpc", "tags": TAGS}, {"tags": {"a": "b"}}, {"publicIpv4Pool": "amazon"}
    ),
    Case(
        "aws:ec2/natGateway:NatGateway",
        lambda n: {"subnetId": n.subnet(), "allocationId": n.address, "tags": TAGS},
        {"tags": {"a": "b"}},
        {"subnetId": "subnet-other"},
    ),
    Case(
        "aws:ec2/placementGroup:PlacementGroup",
        lambda _: {"strategy": "cluster", "tags": TAGS},
        {"tags": {"a": "b"}},
        {"strategy": "spread"},
    ),
    Case(
        "aws:ec2/capacityReservation:CapacityReservation",
        lambda _: {
            "instanceType": "p5en.48xlarge",
            "instancePlatform": "Linux/UNIX",
            "availabilityZone": "me-central-1c",
            "instanceCount": 2,
            "tags": TAGS,
        },
        {"instanceCount": 3, "tags": {"a": "b"}},
        {"availabilityZone": "me-central-1a"},
    ),
    Case(
        "aws:ec2/networkAcl:NetworkAcl",
        lambda n: {
            "vpcId": n.vpc,
            "subnetIds": [n.subnet()],
            "ingress": [acl_rule(100), acl_rule(200, "tcp", 443, cidrBlock="10.0.0.0/8")],
            "egress": [acl_rule(100)],
            "tags": TAGS,
        },
        lambda n: {
            "subnetIds": [n.subnet("b")],
            "ingress": [acl_rule(100, "udp", 53), acl_rule(300, "icmp")],
            "egress": [],
            "tags": {},
        },
        {"vpcId": "vpc-other"},
        respelled={"ingress": [acl_rule(200, "6", 443, cidrBlock="10.0.0.0/8"), acl_rule(100, "all", icmpCode=0)]},
    ),
    Case(
        "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl",
        lambda n: {"defaultNetworkAclId": n.default_acl, "ingress": [], "egress": [acl_rule(100)], "tags": TAGS},
        {"ingress": [acl_rule(50)], "egress": [], "tags": {}},
        {"defaultNetworkAclId": "acl-other"},
        stays=True,
    ),
    Case(
        "aws:ec2/securityGroup:SecurityGroup",
        lambda n: {
            "vpcId": n.vpc,
            "description": "inference",
            "ingress": [
                {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8", "172.16.0.0/12"]},
                {"protocol": "tcp", "fromPort": 8001, "toPort": 8001, "self": True, "description": "peers"},
            ],
            "tags": TAGS,
        },
        {"ingress": [{"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"]}], "tags": {}},
        {"description": "training"},
        respelled={
            "ingress": [
                {"protocol": "tcp", "fromPort": 8001, "toPort": 8001, "self": True, "description": "peers"},
                {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["172.16.0.0/12"]},
                {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"], "self": False},
            ]
        },
    ),
    Case(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        lambda n: {"vpcId": n.vpc, "ingress": [], "egress": [], "tags": TAGS},
        {"egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["10.0.0.0/8"]}]},
        {"vpcId": "vpc-other"},
        stays=True,
    ),
    *(
        Case(
            f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule",
            lambda n: {
                "securityGroupId": n.group,
                "ipProtocol": "tcp",
                "fromPort": 443,
                "toPort": 443,
                "cidrIpv4": "10.0.0.0/8",
                "description": "TLS",
                "tags": TAGS,
            },
            {"description": "all from inside", "cidrIpv4": "172.16.0.0/12", "toPort": 444, "tags": {"a": "b"}},
            {"securityGroupId": "sg-other"},
        )
        for direction in ("Ingress", "Egress")
    ),
    Case(
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        lambda n: {
            "securityGroupId": n.group,
            "type": "ingress",
            "protocol": "tcp",
            "fromPort": 80,
            "toPort": 81,
            "cidrBlocks": ["10.0.0.0/8", "172.16.0.0/12"],
            "description": "HTTP",
        },
        {"description": "plain HTTP"},
        {"toPort": 82},
        respelled={"cidrBlocks": ["172.16.0.0/12", "10.0.0.0/8"]},
    ),
    Case(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        lambda n: {
            "vpcId": n.vpc,
            "serviceName": "com.amazonaws.me-central-1.ecr.api",
            "vpcEndpointType": "Interface",
            "privateDnsEnabled": True,
            "subnetIds": [n.subnet("a"), n.subnet("b")],
            "securityGroupIds": [n.group],
            "policy": ALLOW,
            "tags": TAGS,
        },
        lambda n: {"subnetIds": [n.subnet("a")], "policy": ALLOW_MORE, "tags": {"a": "b"}},
        {"serviceName": "com.amazonaws.me-central-1.sts"},
        respelled={"policy": ALLOW_RESPELLED},
    ),
    Case(
        "aws:ec2/flowLog:FlowLog",
        lambda n: {
            "vpcId": n.vpc,
            "trafficType": "ALL",
            "logDestination": n.log_group.outputs["arn"],
            "iamRoleArn": n.role.outputs["arn"],
            "tags": TAGS,
        },
        {"tags": {"a": "b"}},
        {"trafficType": "REJECT"},
    ),
    Case(
        "aws:ec2/launchTemplate:LaunchTemplate",
        lambda n: {
            "updateDefaultVersion": True,
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1, "httpEndpoint": "enabled"},
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/xvda",
                    "ebs": {
                        "encrypted": "true",
                        "kmsKeyId": n.key.outputs["arn"],
                        "volumeSize": 500,
                        "volumeType": "gp3",
                        "deleteOnTermination": "true",
                    },
                }
            ],
            "networkInterfaces": [{"deviceIndex": 0, "securityGroups": [n.group], "associatePublicIpAddress": "false"}],
            "tagSpecifications": [{"resourceType": "instance", "tags": {"Name": "gpu"}}],
            "userData": "IyEvYmluL3NoCg==",
            "tags": TAGS,
        },
        {"metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 2}, "tags": {"a": "b"}},
        {"name": "another"},
    ),
    Case(
        "aws:kms/key:Key",
        lambda _: {
            "description": "datasets",
            "enableKeyRotation": True,
            "deletionWindowInDays": 7,
            "policy": ALLOW,
            "tags": TAGS,
        },
        {"description": "models", "enableKeyRotation": False, "policy": ALLOW_MORE, "tags": {}},
        {"keyUsage": "SIGN_VERIFY", "customerMasterKeySpec": "RSA_2048"},
        respelled={"policy": ALLOW_RESPELLED},
    ),
    Case(
        "aws:kms/externalKey:ExternalKey",
        lambda _: {
            "description": "datasets",
            "deletionWindowInDays": 7,
            "keyMaterialBase64": base64.b64encode(bytes(range(32))).decode(),
            "policy": OPEN,
            "tags": TAGS,
        },
        {"description": "models", "enabled": False, "tags": {}},
        {"keyMaterialBase64": base64.b64encode(bytes(32)).decode()},
    ),
    Case(
        "aws:efs/fileSystem:FileSystem",
        lambda n: {
            "encrypted": True,
            "kmsKeyId": n.key.outputs["arn"],
            "performanceMode": "generalPurpose",
            "throughputMode": "elastic",
            "lifecyclePolicies": [{"transitionToIa": "AFTER_30_DAYS"}],
            "protection": {"replicationOverwrite": "DISABLED"},
            "tags": TAGS,
        },
        {
            "throughputMode": "bursting",
            "lifecyclePolicies": [],
            "protection": {"replicationOverwrite": "ENABLED"},
            "tags": {"a": "b"},
        },
        {"performanceMode": "maxIO"},
    ),
    Case(
        "aws:efs/mountTarget:MountTarget",
        lambda n: {"fileSystemId": n.file_system, "subnetId": n.subnet(), "securityGroups": [n.group]},
        lambda n: {"securityGroups": [n.make("aws:ec2/securityGroup:SecurityGroup", "other", vpcId=n.vpc).id]},
        {"subnetId": "subnet-other"},
    ),
    Case(
        "aws:efs/accessPoint:AccessPoint",
        lambda n: {
            "fileSystemId": n.file_system,
            "posixUser": {"uid": 1000, "gid": 1000},
            "rootDirectory": {"path": "/a", "creationInfo": {"ownerUid": 1, "ownerGid": 1, "permissions": "0700"}},
            "tags": TAGS,
        },
        {"tags": {"a": "b"}},
        {"posixUser": {"uid": 1001, "gid": 1000}},
    ),
    Case(
        "aws:efs/fileSystemPolicy:FileSystemPolicy",
        lambda n: {"fileSystemId": n.file_system, "policy": ALLOW},
        {"policy": ALLOW_MORE},
        {"fileSystemId": "fs-other"},
        respelled={"policy": ALLOW_RESPELLED},
    ),
    Case(
        "aws:efs/backupPolicy:BackupPolicy",
        lambda n: {"fileSystemId": n.file_system, "backupPolicy": {"status": "ENABLED"}},
        {"backupPolicy": {"status": "DISABLED"}},
        {"fileSystemId": "fs-other"},
        stays=True,
    ),
    Case(
        "aws:networkfirewall/ruleGroup:RuleGroup",
        lambda _: {"type": "STATEFUL", "capacity": 100, "ruleGroup": allowing("a.example", "b.example"), "tags": TAGS},
        {"ruleGroup": allowing("c.example"), "description": "others", "tags": {"a": "b"}},
        {"capacity": 200},
        respelled={"ruleGroup": allowing("b.example", "a.example")},
    ),
    Case(
        "aws:networkfirewall/firewallPolicy:FirewallPolicy",
        lambda n: {"firewallPolicy": n.policy_of(n.rule_group), "description": "way out", "tags": TAGS},
        lambda n: {"firewallPolicy": n.policy_of(), "tags": {}},
        {"name": "another"},
    ),
    Case(
        "aws:networkfirewall/firewall:Firewall",
        lambda n: {
            "vpcId": n.vpc,
            "firewallPolicyArn": n.firewall_policy,
            "subnetMappings": [{"subnetId": n.subnet("a")}, {"subnetId": n.subnet("b")}],
            "encryptionConfiguration": {"type": "CUSTOMER_KMS", "keyId": n.key.outputs["arn"]},
            "tags": TAGS,
        },
        lambda n: {
            "subnetMappings": [{"subnetId": n.subnet("b")}],
            "description": "way out",
            "subnetChangeProtection": True,
            "tags": {"a": "b"},
        },
        {"vpcId": "vpc-other"},
    ),
    Case(
        "aws:networkfirewall/loggingConfiguration:LoggingConfiguration",
        lambda n: {"firewallArn": n.firewall, "loggingConfiguration": logging_to("ALERT", "FLOW")},
        {"loggingConfiguration": logging_to("TLS", "FLOW")},
        {"firewallArn": "arn:aws:network-firewall:me-central-1:123456789012:firewall/other"},
        respelled={"loggingConfiguration": logging_to("FLOW", "ALERT")},
    ),
    Case("aws:kms/alias:Alias", lambda n: {"targetKeyId": n.key.id}, None, {"name": "alias/other"}),
    *(
        Case(
            token,
            lambda _: {"forceDestroy": True, "tags": TAGS},
            {"tags": {"team": "speech"}},
            {"bucket": "another-name"},
        )
        for token in ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
    ),
    *(
        Case(
            token,
            lambda n: {"bucket": n.bucket, "key": "models/a.json", "content": "{}", "tags": TAGS},
            {"content": '{"a": 1}', "tags": {}},
            {"key": "models/b.json"},
        )
        for token in ("aws:s3/bucketObject:BucketObject", "aws:s3/bucketObjectv2:BucketObjectv2")
    ),
    Case(
        "aws:s3/bucketVersioning:BucketVersioning",
        lambda n: {"bucket": n.bucket, **VERSIONED},
        {"versioningConfiguration": {"status": "Suspended"}},
        {"bucket": "other"},
        stays=True,
    ),
    Case(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        lambda n: {
            "bucket": n.bucket,
            "rules": [
                {
                    "bucketKeyEnabled": True,
                    "applyServerSideEncryptionByDefault": {
                        "sseAlgorithm": "aws:kms",
                        "kmsMasterKeyId": n.key.outputs["arn"],
                    },
                }
            ],
        },
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
        {"bucket": "other"},
    ),
    Case(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        lambda n: {"bucket": n.bucket, "blockPublicAcls": True, "blockPublicPolicy": True},
        {"ignorePublicAcls": True, "restrictPublicBuckets": True},
        {"bucket": "other"},
    ),
    Case(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        lambda n: {"bucket": n.bucket, "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
        {"bucket": "other"},
    ),
    Case(
        "aws:s3/bucketPolicy:BucketPolicy",
        lambda n: {"bucket": n.bucket, "policy": ALLOW},
        {"policy": ALLOW_MORE},
        {"bucket": "other"},
        respelled={"policy": ALLOW_RESPELLED},
    ),
    Case(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        lambda n: {
            "bucket": n.bucket,
            "rules": [
                {
                    "id": "old",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrentVersionExpiration": {"noncurrentDays": 30},
                    "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
                },
                {"id": "logs", "status": "Enabled", "filter": {"prefix": "logs/"}, "expiration": {"days": 90}},
            ],
        },
        {"rules": [{"id": "old", "status": "Enabled", "noncurrentVersionExpiration": {"noncurrentDays": 60}}]},
        {"bucket": "other"},
    ),
    Case(
        "aws:s3/bucketLogging:BucketLogging",
        lambda n: {
            "bucket": n.bucket,
            "targetBucket": n.log_bucket,
            "targetPrefix": "log/",
        },
        {"targetPrefix": "access/"},
        {"bucket": "other"},
    ),
    Case(
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        lambda n: {
            "bucket": n.make("aws:s3/bucket:Bucket", "need-lock", bucket="need-lock", objectLockEnabled=True).id,
            "rule": {"defaultRetention": {"mode": "COMPLIANCE", "days": 30}},
        },
        {"rule": {"defaultRetention": {"mode": "COMPLIANCE", "days": 60}}},
        {"bucket": "other"},
        stays=True,
    ),
    Case(
        "aws:iam/role:Role",
        lambda _: {"assumeRolePolicy": TRUST, "description": "nodes", "tags": TAGS},
        {
            "assumeRolePolicy": TRUST.replace("eks.", "ec2."),
            "description": "nodes of a pool",
            "maxSessionDuration": 7200,
            "tags": {},
        },
        {"path": "/other/"},
        respelled={"assumeRolePolicy": json.dumps(json.loads(TRUST), indent=4)},
    ),
    Case(
        "aws:iam/serviceLinkedRole:ServiceLinkedRole",
        lambda _: {"awsServiceName": "config.amazonaws.com", "description": "recorder", "tags": TAGS},
        {"description": "of what there is", "tags": {}},
        {"awsServiceName": "guardduty.amazonaws.com"},
    ),
    Case(
        "aws:iam/policy:Policy",
        lambda _: {"policy": ALLOW, "description": "reads", "tags": TAGS},
        {"policy": ALLOW_MORE, "tags": {"a": "b"}},
        {"description": "writes"},
        respelled={"policy": ALLOW_RESPELLED},
    ),
    Case(
        "aws:iam/rolePolicy:RolePolicy",
        lambda n: {"role": n.role.id, "policy": ALLOW},
        {"policy": ALLOW_MORE},
        {"role": "other"},
        respelled={"policy": ALLOW_RESPELLED},
    ),
    Case(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        lambda n: {"role": n.role.id, "policyArn": n.policy},
        None,
        {"policyArn": f"arn:aws:iam::{ACCOUNT}:policy/other"},
    ),
    Case(
        "aws:iam/instanceProfile:InstanceProfile",
        lambda n: {"role": n.role.id, "tags": TAGS},
        lambda n: {"role": n.make("aws:iam/role:Role", "need-second", assumeRolePolicy=TRUST).id, "tags": {}},
        {"path": "/other/"},
    ),
    Case(
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        lambda _: {
            "url": "https://oidc.eks.me-central-1.amazonaws.com/id/ABC",
            "clientIdLists": ["sts.amazonaws.com"],
            "thumbprintLists": ["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
            "tags": TAGS,
        },
        {"clientIdLists": ["sts.amazonaws.com", "other"], "tags": {}},
        {"url": "https://oidc.eks.me-central-1.amazonaws.com/id/DEF"},
    ),
    Case(
        "aws:cloudwatch/logGroup:LogGroup",
        lambda n: {"name": "/vpc/flow", "kmsKeyId": n.key.outputs["arn"], "retentionInDays": 365, "tags": TAGS},
        {"retentionInDays": 30, "kmsKeyId": None, "tags": {"a": "b"}},
        {"name": "/vpc/other"},
    ),
    Case(
        "aws:eks/cluster:Cluster",
        lambda n: {
            "roleArn": n.role.outputs["arn"],
            "version": "1.33",
            "vpcConfig": {
                "subnetIds": [n.subnet("a"), n.subnet("b")],
                "endpointPrivateAccess": True,
                "endpointPublicAccess": False,
            },
            "encryptionConfig": {"provider": {"keyArn": n.key.outputs["arn"]}, "resources": ["secrets"]},
            "enabledClusterLogTypes": ["audit", "api"],
            "accessConfig": {"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False},
            "upgradePolicy": {"supportType": "STANDARD"},
            "tags": TAGS,
        },
        lambda n: {
            "enabledClusterLogTypes": ["audit"],
            "version": "1.34",
            "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
            "upgradePolicy": {"supportType": "EXTENDED"},
            "zonalShiftConfig": {"enabled": True},
            "vpcConfig": {
                "subnetIds": [n.subnet("a")],
                "securityGroupIds": [n.group],
                "endpointPrivateAccess": False,
                "endpointPublicAccess": True,
                "publicAccessCidrs": ["192.0.2.0/24"],
            },
            "tags": {"a": "b"},
        },
        {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/other"},
        respelled={"enabledClusterLogTypes": ["api", "audit"]},
    ),
    Case(
        "aws:eks/nodeGroup:NodeGroup",
        lambda n: {
            "clusterName": n.cluster,
            "nodeRoleArn": n.role.outputs["arn"],
            "subnetIds": [n.subnet("a"), n.subnet("b")],
            "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 2},
            "instanceTypes": ["g5.12xlarge"],
            "amiType": "AL2023_x86_64_NVIDIA",
            "launchTemplate": {"id": n.template.id, "version": "1"},
            "labels": {"falaj.ai/gpu": "true"},
            "taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}],
            "version": "1.32",
            "updateConfig": {"maxUnavailable": 1},
            "nodeRepairConfig": {"enabled": False},
            "tags": TAGS,
        },
        lambda n: {
            "scalingConfig": {"minSize": 0, "maxSize": 4, "desiredSize": 4},
            "labels": {"other": "x"},
            "taints": [
                {"key": "nvidia.com/gpu", "value": "false", "effect": "NO_SCHEDULE"},
                {"key": "new", "value": "", "effect": "NO_EXECUTE"},
            ],
            "version": "1.33",
            "launchTemplate": {"id": n.template.id, "version": n.second_version},
            "updateConfig": {"maxUnavailablePercentage": 50},
            "nodeRepairConfig": {"enabled": True},
            "tags": {"a": "b"},
        },
        {"instanceTypes": ["g5.48xlarge"]},
    ),
    Case(
        "aws:eks/accessEntry:AccessEntry",
        lambda n: {
            "clusterName": n.cluster,
            "principalArn": n.role.outputs["arn"],
            "kubernetesGroups": ["readers", "viewers"],
            "tags": TAGS,
        },
        {"kubernetesGroups": [], "userName": "someone", "tags": {"a": "b"}},
        {"type": "EC2_LINUX"},
        respelled={"kubernetesGroups": ["viewers", "readers"]},
    ),
    Case(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        lambda n: {
            "clusterName": n.cluster,
            "principalArn": n.entry.outputs["principalArn"],
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
            "accessScope": {"type": "namespace", "namespaces": ["a", "b"]},
        },
        None,
        {"accessScope": {"type": "cluster"}},
        respelled={"accessScope": {"type": "namespace", "namespaces": ["b", "a"]}},
    ),
    Case(
        "aws:eks/addon:Addon",
        lambda n: {
            "clusterName": n.cluster,
            "addonName": "vpc-cni",
            "addonVersion": "v1.19.0-eksbuild.1",
            "resolveConflictsOnCreate": "OVERWRITE",
            "podIdentityAssociations": [{"serviceAccount": "aws-node", "roleArn": n.role.outputs["arn"]}],
            "tags": TAGS,
        },
        lambda n: {
            "addonVersion": "v1.20.0-eksbuild.1",
            "configurationValues": "{}",
            "serviceAccountRoleArn": n.role.outputs["arn"],
            "podIdentityAssociations": [],
            "resolveConflictsOnUpdate": "PRESERVE",
            "tags": {"a": "b"},
        },
        {"addonName": "coredns"},
    ),
    Case(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        lambda n: {
            "clusterName": n.cluster,
            "namespace": "team",
            "serviceAccount": "trainer",
            "roleArn": n.role.outputs["arn"],
            "tags": TAGS,
        },
        lambda n: {
            "roleArn": n.make("aws:iam/role:Role", "need-second", assumeRolePolicy=TRUST).outputs["arn"],
            "targetRoleArn": "arn:aws:iam::210987654321:role/far",
            "tags": {"a": "b"},
        },
        {"namespace": "other"},
    ),
]

OLD_NAMES = {
    "aws:s3/bucketVersioningV2:BucketVersioningV2",
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2",
    "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2",
    "aws:s3/bucketLoggingV2:BucketLoggingV2",
    "aws:s3/bucketObjectLockConfigurationV2:BucketObjectLockConfigurationV2",
}
CASES += [
    Case(token, case.inputs, case.update, case.replace, stays=case.stays)
    for token in sorted(OLD_NAMES)
    for case in CASES
    if case.token == token.replace("V2", "")
]


def test_every_enacted_type_has_a_case():
    assert sorted(case.token for case in CASES) == sorted(ENACTED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.token.rpartition(":")[2])
def test_a_type_lives_its_whole_life(driver: Driver, case: Case):
    needs = Needs(driver)
    inputs = case.inputs(needs)

    made = driver.create(case.token, "it", inputs)
    known = driver.provider.declared(case.token)
    assert known.outputs <= made.outputs.keys()
    assert made.outputs["id"] == made.id
    for name, value in inputs.items():
        assert made.outputs[name] is not None or not value, name

    # Read back, it shows no drift, and the same program again is no change.
    seen = driver.refresh(made)
    assert seen is not None
    assert seen.inputs == made.inputs
    assert seen.outputs == made.outputs
    assert not driver.diff(made, inputs).diffs
    for name, spelling in case.respelled.items():
        assert not driver.diff(made, {**inputs, name: spelling}).diffs

    # Imported, it is what the program says.
    imported = driver.import_(case.token, "imported", made.id)
    assert imported is not None
    named = {name: made.inputs[name] for name in made.inputs.get("__defaults", []) if name in ("name", "bucket", "key")}
    named |= {n: made.inputs[n] for n in ("nodeGroupName", "creationToken") if n in made.inputs}
    unseen = {
        "deletionWindowInDays",
        "forceDestroy",
        "keyMaterialBase64",
        "updateDefaultVersion",
        "accessConfig",
        "content",
        "resolveConflictsOnCreate",
    }
    assert set(driver.diff(imported, {**named, **inputs}).diffs) <= unseen

    if case.update is not None:
        change = case.update(needs) if callable(case.update) else case.update
        wanted = {**inputs, **change}
        difference = driver.diff(made, wanted)
        # Changed tags show among all tags too, as in the official plugin.
        assert sorted(difference.diffs) == sorted({*change, *(["tagsAll"] if "tags" in change else [])})
        assert not difference.replaces
        made = driver.update(made, wanted)
        seen = driver.refresh(made)
        assert seen is not None
        assert seen.inputs == made.inputs
        assert not driver.diff(seen, wanted).diffs
        inputs = wanted

    if case.replace is not None:
        assert set(driver.diff(made, {**inputs, **case.replace}).replaces) == set(case.replace)

    driver.delete(made)
    gone = driver.refresh(made)
    assert (gone is not None) == case.stays
    driver.delete(made)  # a second time: gone is as good as deleted


class TestConfiguration:
    """The provider reads its configuration as the official one does, and never reaches the real AWS."""

    def test_without_an_endpoint_it_refuses(self):
        with pytest.raises(ProviderError, match="never reaches the real AWS"):
            Driver(AwsProvider(Journal(None))).configure(region="me-central-1")

    def test_the_real_aws_is_refused(self):
        endpoints = [{"sts": "https://sts.me-central-1.amazonaws.com"}]
        with pytest.raises(ProviderError, match="does not talk to the real AWS"):
            Driver(AwsProvider(Journal(None))).configure(region="me-central-1", endpoints=endpoints)

    def test_nothing_at_the_endpoint_is_told_in_one_line(self, nowhere: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{nowhere}")
        with pytest.raises(ProviderError, match="is the lab up"):
            Driver(AwsProvider(Journal(None))).configure(region="me-central-1")

    def test_credentials_validation_may_be_skipped(self, nowhere: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{nowhere}")
        # The SDK sends flags as JSON text too.
        driver = Driver(AwsProvider(Journal(None))).configure(region="me-central-1", skipCredentialsValidation="true")
        with pytest.raises(ProviderError, match="create_vpc at http:"):
            driver.create("aws:ec2/vpc:Vpc", "it", {"cidrBlock": "10.0.0.0/16"})

    def test_the_environment_gives_endpoint_and_region(self, endpoint: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_REGION", "me-south-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        made = Driver(AwsProvider(Journal(None))).configure().create("aws:kms/key:Key", "it", {})
        assert made.outputs["arn"].startswith("arn:aws:kms:me-south-1:")

    def test_without_a_region_it_says_what_to_set(self, endpoint: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(ProviderError, match="no AWS region"):
            Driver(AwsProvider(Journal(None))).configure().create("aws:kms/key:Key", "it", {})

    def test_an_account_that_is_not_allowed_is_refused(self, endpoint: str):
        with pytest.raises(ProviderError, match=f"{ACCOUNT} is not allowed"):
            configured(AwsProvider(Journal(None)), endpoint, allowedAccountIds='["210987654321"]')
        configured(AwsProvider(Journal(None)), endpoint, allowedAccountIds=json.dumps([ACCOUNT]))
        # As `pulumi config set --path 'aws:allowedAccountIds[0]'` has it.
        configured(AwsProvider(Journal(None)), endpoint, allowedAccountIds=f"[{ACCOUNT}]")

    def test_a_misspelled_setting_is_refused(self, shared: Driver):
        request = provider_pb2.CheckRequest(
            urn="urn:pulumi:s::p::pulumi:providers:aws::aws", news=encode({"regoin": "me-central-1"})
        )
        (failure,) = shared.provider.check_config(request).failures
        assert failure.reason == "unknown property; did you mean 'region'?"

    def test_default_tags_reach_every_resource_and_the_resource_has_the_last_word(self, endpoint: str):
        tags = json.dumps({"tags": {"owner": "platform", "stage": "dev"}})
        driver = configured(AwsProvider(Journal(None)), endpoint, defaultTags=tags)
        made = driver.create("aws:ec2/vpc:Vpc", "it", {"cidrBlock": "10.0.0.0/16", "tags": {"stage": "prod"}})
        assert made.outputs["tagsAll"] == {"owner": "platform", "stage": "prod"}
        assert not driver.diff(made, {"cidrBlock": "10.0.0.0/16", "tags": {"stage": "prod"}}).diffs
        assert driver.refresh(made) == made

    def test_ignored_tags_are_no_drift(self, endpoint: str):
        ignore = json.dumps({"keys": ["seen"], "keyPrefixes": ["scanner/"]})
        driver = configured(AwsProvider(Journal(None)), endpoint, ignoreTags=ignore)
        made = driver.create("aws:ec2/vpc:Vpc", "it", {"cidrBlock": "10.0.0.0/16"})
        tags = [{"Key": "seen", "Value": "1"}, {"Key": "scanner/x", "Value": "1"}]
        aws(endpoint, "ec2").create_tags(Resources=[made.id], Tags=tags)
        assert driver.refresh(made) == made

    def test_a_resource_may_name_its_own_region(self, driver: Driver, endpoint: str):
        made = driver.create("aws:ec2/vpc:Vpc", "it", {"cidrBlock": "10.0.0.0/16", "region": "eu-central-1"})
        assert made.outputs["arn"].startswith("arn:aws:ec2:eu-central-1:")
        assert driver.refresh(made) == made
        assert list(driver.diff(made, {"cidrBlock": "10.0.0.0/16"}).replaces) == ["region"]


def test_a_role_carries_its_own_policies(driver: Driver):
    needs = Needs(driver)
    inputs = {
        "assumeRolePolicy": TRUST,
        "managedPolicyArns": [needs.policy],
        "inlinePolicies": [{"name": "read", "policy": ALLOW}],
    }
    made = driver.create("aws:iam/role:Role", "it", inputs)
    assert driver.refresh(made) == made
    respelled = {**inputs, "inlinePolicies": [{"name": "read", "policy": ALLOW_RESPELLED}]}
    assert not driver.diff(made, respelled).diffs
    changed = {**inputs, "managedPolicyArns": [], "inlinePolicies": [{"name": "write", "policy": ALLOW_MORE}]}
    made = driver.update(made, changed)
    assert made.outputs["managedPolicyArns"] == []
    assert [policy["name"] for policy in made.outputs["inlinePolicies"]] == ["write"]
    driver.delete(made)
    assert driver.refresh(made) is None


def test_the_versions_of_a_locked_bucket_go_on_without_their_resource(driver: Driver, endpoint: str):
    locked = driver.create("aws:s3/bucket:Bucket", "locked", {"bucket": "locked", "objectLockEnabled": True})
    token = "aws:s3/bucketVersioning:BucketVersioning"
    made = driver.create(token, "it", {"bucket": locked.id, **VERSIONED})
    with pytest.raises(ProviderError, match="InvalidBucketState"):
        driver.update(made, {"bucket": locked.id, "versioningConfiguration": {"status": "Suspended"}})
    driver.delete(made)
    assert aws(endpoint, "s3").get_bucket_versioning(Bucket="locked")["Status"] == "Enabled"


def test_the_order_of_properties_in_the_objects_of_a_set_is_no_change(driver: Driver):
    one = {"comparisonOperator": "GREATER_THAN", "notificationType": "ACTUAL", "thresholdType": "PERCENTAGE"}
    mail = [{**one, "threshold": 100}, {**one, "threshold": 50}]
    inputs = {"budgetType": "COST", "timeUnit": "MONTHLY", "notifications": mail}
    made = driver.create("aws:budgets/budget:Budget", "it", inputs)
    turned = [mail[1], dict(reversed(mail[0].items()))]
    assert in_order(mail) == in_order(turned)
    assert not driver.diff(made, {**made.inputs, "notifications": turned}).diffs


def test_the_secrets_of_a_cluster_are_encrypted_later_and_for_good(driver: Driver):
    needs = Needs(driver)
    inputs = {
        "roleArn": needs.role.outputs["arn"],
        "version": "1.33",
        "vpcConfig": {"subnetIds": [needs.subnet("a"), needs.subnet("b")]},
    }
    made = driver.create("aws:eks/cluster:Cluster", "it", inputs)
    encrypted = {
        **inputs,
        "encryptionConfig": {"provider": {"keyArn": needs.key.outputs["arn"]}, "resources": ["secrets"]},
    }
    assert not driver.diff(made, encrypted).replaces
    made = driver.update(made, encrypted)
    assert driver.refresh(made) == made
    with pytest.raises(ProviderError, match="replace the cluster"):
        driver.update(made, inputs)


@pytest.mark.parametrize("named", [{"id"}, {"name"}])
def test_a_node_group_goes_to_another_version_of_its_launch_template(driver: Driver, endpoint: str, named: set[str]):
    needs = Needs(driver)
    template = {name: needs.template.outputs[name] for name in named}
    inputs = {
        "clusterName": needs.cluster,
        "nodeRoleArn": needs.role.outputs["arn"],
        "subnetIds": [needs.subnet("a")],
        "scalingConfig": {"minSize": 1, "maxSize": 1, "desiredSize": 1},
        "launchTemplate": {**template, "version": "1"},
        "nodeGroupName": "pool",
    }
    made = driver.create("aws:eks/nodeGroup:NodeGroup", "it", inputs)
    moved = {**inputs, "launchTemplate": {**template, "version": needs.second_version}}
    assert not driver.diff(made, moved).replaces
    driver.update(made, moved)
    group = aws(endpoint, "eks").describe_nodegroup(clusterName=needs.cluster, nodegroupName="pool")["nodegroup"]
    assert group["launchTemplate"]["version"] == "2"


def test_a_pod_identity_association_is_imported_as_the_official_provider_takes_it(driver: Driver):
    needs = Needs(driver)
    token = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
    role = needs.role.outputs["arn"]
    inputs = {"clusterName": needs.cluster, "namespace": "team", "serviceAccount": "trainer", "roleArn": role}
    made = driver.create(token, "it", inputs)
    imported = driver.import_(token, "imported", f"{needs.cluster},{made.id}")
    assert imported is not None
    assert imported.id == made.id
    assert not driver.diff(imported, inputs).diffs


def test_an_association_is_imported_as_the_official_provider_takes_it(driver: Driver):
    needs = Needs(driver)
    token = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    made = driver.create(token, "it", {"routeTableId": needs.table, "subnetId": needs.subnet()})
    imported = driver.import_(token, "imported", f"{needs.subnet()}/{needs.table}")
    assert imported is not None
    assert imported.id == made.id


def test_a_preview_leaves_unknown_what_aws_chooses(driver: Driver):
    outputs = driver.preview("aws:ec2/subnet:Subnet", "it", {"vpcId": UNKNOWN, "cidrBlock": "10.0.0.0/24"})
    assert outputs["vpcId"] is UNKNOWN
    assert outputs["availabilityZone"] is UNKNOWN
    assert outputs["mapPublicIpOnLaunch"] is False
    assert outputs["arn"] is UNKNOWN
    assert outputs["tagsAll"] == {}


def test_enacted_and_recorded_types_make_up_the_sdk():
    assert set(ENACTED).isdisjoint(recorded())
    assert {"aws:sqs/queue:Queue", "aws:eks/fargateProfile:FargateProfile"} <= set(recorded())
    for token in ENACTED:
        assert declared("pulumi_aws", token) is not None, token


class TestDrift:
    """What somebody changed behind Pulumi's back shows, and nothing else."""

    def test_of_a_bucket(self, driver: Driver, endpoint: str):
        inputs = {"bucket": "models", "tags": {"a": "b"}}
        made = driver.create("aws:s3/bucket:Bucket", "it", inputs)
        aws(endpoint, "s3").put_bucket_tagging(Bucket="models", Tagging={"TagSet": [{"Key": "a", "Value": "c"}]})
        seen = driver.refresh(made)
        assert seen is not None
        assert dict(driver.diff(seen, inputs).detailedDiff).keys() == {"tags.a", "tagsAll.a"}

    def test_of_a_key_policy(self, driver: Driver, endpoint: str):
        made = driver.create("aws:kms/key:Key", "it", {"policy": ALLOW})
        same = json.dumps(json.loads(ALLOW), indent=2, sort_keys=True)
        aws(endpoint, "kms").put_key_policy(KeyId=made.id, PolicyName="default", Policy=same)
        assert driver.refresh(made) == made
        aws(endpoint, "kms").put_key_policy(KeyId=made.id, PolicyName="default", Policy=ALLOW_MORE)
        seen = driver.refresh(made)
        assert seen is not None
        assert list(driver.diff(seen, {"policy": ALLOW}).diffs) == ["policy"]

    def test_of_a_public_access_block(self, driver: Driver, endpoint: str):
        token = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
        bucket = driver.create("aws:s3/bucket:Bucket", "models", {"bucket": "models"}).id
        made = driver.create(token, "it", {"bucket": bucket, "blockPublicAcls": True})
        aws(endpoint, "s3").put_public_access_block(
            Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True, "BlockPublicPolicy": True}
        )
        seen = driver.refresh(made)
        assert seen is not None
        assert list(driver.diff(seen, {"bucket": bucket, "blockPublicAcls": True}).diffs) == ["blockPublicPolicy"]

    def test_of_a_security_group(self, driver: Driver, endpoint: str):
        needs = Needs(driver)
        inputs = {"vpcId": needs.vpc, "ingress": []}
        made = driver.create("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "it", inputs)
        opened = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        aws(endpoint, "ec2").authorize_security_group_ingress(GroupId=made.id, IpPermissions=opened)
        seen = driver.refresh(made)
        assert seen is not None
        assert list(driver.diff(seen, inputs).diffs) == ["ingress"]
        driver.update(seen, inputs)
        groups = aws(endpoint, "ec2").describe_security_groups(GroupIds=[made.id])["SecurityGroups"]
        assert groups[0]["IpPermissions"] == []


class TestAdoption:
    """A provider that died within a creation left a marker; what the creation made is found by it."""

    @pytest.mark.parametrize(
        ("token", "inputs"),
        [
            ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.3.0.0/16", "tags": {"a": "b"}}),
            ("aws:kms/key:Key", {"description": "d", "tags": {"a": "b"}}),
            ("aws:s3/bucket:Bucket", {}),
            ("aws:iam/role:Role", {"assumeRolePolicy": TRUST}),
        ],
    )
    def test_what_was_in_flight_is_adopted(
        self,
        endpoint: str,
        tmp_path: Path,
        token: str,
        inputs: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
    ):
        journal = Journal(tmp_path)
        first = configured(AwsProvider(journal), endpoint)
        # The provider dies when AWS has answered and before it takes note of the answer.
        monkeypatch.setattr(journal, "write", dying_after(1, journal.write))
        with pytest.raises(KeyboardInterrupt):
            first.create(token, "it", inputs)

        second = configured(AwsProvider(Journal(tmp_path)), endpoint)
        said: list[str] = []
        monkeypatch.setattr(second.provider, "log", lambda severity, message, urn="": said.append(message))
        made = second.create(token, "it", inputs)
        assert said == [f"adopted {made.id}, which an interrupted run had made"]
        # The tag that marked the creation has gone.
        assert made.outputs["tagsAll"] == inputs.get("tags", {})
        assert second.refresh(made) == made

    def test_so_is_a_pod_identity_association(
        self, driver: Driver, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        needs = Needs(driver)
        place = {"clusterName": needs.cluster, "namespace": "team", "serviceAccount": "trainer"}
        inputs = {**place, "roleArn": needs.role.outputs["arn"], "tags": {"a": "b"}}
        token = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
        self.test_what_was_in_flight_is_adopted(endpoint, tmp_path, token, inputs, monkeypatch)


def dying_after(count: int, write: Callable[[Any], None]) -> Callable[[Any], None]:
    left = [count]

    def die(entry: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(entry)

    return die


class TestRecorded:
    """Types without a table exist in the state only, with plausible identifiers and outputs and nothing else."""

    def test_identifier_and_arn_are_plausible(self, driver: Driver):
        made = driver.create("aws:sqs/queue:Queue", "jobs", {"visibilityTimeoutSeconds": 30})
        name = made.outputs["name"]
        assert name.startswith("jobs-")
        assert made.id == made.outputs["url"] == f"https://sqs.me-central-1.amazonaws.com/{ACCOUNT}/{name}"
        assert made.outputs["arn"] == f"arn:aws:sqs:me-central-1:{ACCOUNT}:{name}"
        assert made.outputs["visibilityTimeoutSeconds"] == 30

    @pytest.mark.parametrize(
        ("token", "inputs", "identifier", "outputs"),
        [
            (
                "aws:ecr/repository:Repository",
                {"name": "vision/train"},
                "vision/train",
                {
                    "arn": f"arn:aws:ecr:me-central-1:{ACCOUNT}:repository/vision/train",
                    "repositoryUrl": rf"{ACCOUNT}\.dkr\.ecr\.me-central-1\.amazonaws\.com/vision/train",
                    "registryId": ACCOUNT,
                },
            ),
            (
                "aws:fsx/lustreFileSystem:LustreFileSystem",
                {"subnetIds": "subnet-1"},
                r"fs-[0-9a-f]{17}",
                {"dnsName": r"fs-[0-9a-f]{17}\.fsx\.me-central-1\.amazonaws\.com", "mountName": "[0-9a-f]{8}"},
            ),
            (
                "aws:cloudtrail/trail:Trail",
                {"name": "records", "s3BucketName": "records"},
                f"arn:aws:cloudtrail:me-central-1:{ACCOUNT}:trail/records",
                {"homeRegion": "me-central-1"},
            ),
            (
                "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
                {"backupVaultName": "kept", "minRetentionDays": 30},
                "kept",
                {"backupVaultArn": f"arn:aws:backup:me-central-1:{ACCOUNT}:backup-vault:kept"},
            ),
            (
                "aws:sns/topicSubscription:TopicSubscription",
                {"topic": "arn:aws:sns:me-central-1:1:told", "protocol": "email", "endpoint": "a@example.org"},
                r"arn:aws:sns:me-central-1:1:told:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                {"ownerId": ACCOUNT},
            ),
            ("aws:budgets/budget:Budget", {"budgetType": "COST", "timeUnit": "MONTHLY"}, rf"{ACCOUNT}:it-.+", {}),
        ],
        ids=lambda value: value.rpartition(":")[2] if isinstance(value, str) and value.startswith("aws:") else "",
    )
    def test_so_are_those_that_have_a_form_of_their_own(
        self, driver: Driver, token: str, inputs: dict[str, Any], identifier: str, outputs: dict[str, str]
    ):
        made = driver.create(token, "it", inputs)
        assert re.fullmatch(identifier, made.id)
        for name, form in outputs.items():
            assert re.fullmatch(form, made.outputs[name]), (name, made.outputs[name])
        assert driver.refresh(made) == made

    def test_two_of_a_kind_are_told_apart(self, driver: Driver):
        token, inputs = "aws:fsx/lustreFileSystem:LustreFileSystem", {"subnetIds": "subnet-1"}
        one, other = (driver.create(token, name, inputs) for name in "ab")
        assert one.id != other.id
        assert one.outputs["dnsName"] != other.outputs["dnsName"]

    def test_what_is_left_out_is_filled_in_as_the_real_provider_does_at_every_depth(self, driver: Driver):
        inputs = {"name": "records", "s3BucketName": "records", "eventSelectors": [{"readWriteType": "ReadOnly"}, {}]}
        made = driver.create("aws:cloudtrail/trail:Trail", "it", inputs)
        assert made.inputs["enableLogging"] is True
        assert "isMultiRegionTrail" not in made.inputs  # which is off when left out
        assert made.inputs["eventSelectors"] == [
            {"readWriteType": "ReadOnly", "includeManagementEvents": True},
            {"readWriteType": "All", "includeManagementEvents": True},
        ]
        assert not driver.diff(made, inputs).diffs

    def test_what_makes_it_anew_is_what_the_real_provider_makes_anew(self, driver: Driver):
        token, subnets = "aws:fsx/lustreFileSystem:LustreFileSystem", {"subnetIds": "subnet-1"}
        made = driver.create(token, "it", {**subnets, "storageCapacity": 1200, "securityGroupIds": ["sg-1", "sg-2"]})
        changed = {**subnets, "storageCapacity": 2400, "storageType": "HDD", "securityGroupIds": ["sg-2", "sg-1"]}
        difference = driver.diff(made, changed)
        assert sorted(difference.diffs) == ["storageCapacity", "storageType"]  # groups have no order
        assert list(difference.replaces) == ["storageType"]

    def test_a_part_of_a_list_that_makes_it_anew_does(self):
        parts: Kind[Any] = Kind("t", create=lambda *_: "", read=lambda *_: {}, replace_on=frozenset({"rules[].id"}))
        old = {"rules": [{"id": "a", "days": 1}]}
        assert parts.difference(old, {"rules": [{"id": "b", "days": 1}]}).replaces == {"rules"}
        assert not parts.difference(old, {"rules": [{"id": "a", "days": 2}]}).replaces

    def test_it_takes_update_refresh_and_delete(self, driver: Driver):
        made = driver.create("aws:ebs/volume:Volume", "disk", {"availabilityZone": "me-central-1a", "size": 8})
        assert made.id.startswith("vol-")
        again = driver.update(made, {"availabilityZone": "me-central-1a", "size": 16})
        assert again.outputs["size"] == 16
        assert again.outputs["arn"] == made.outputs["arn"]
        assert driver.refresh(again) == again
        driver.delete(again)

    def test_it_cannot_be_imported(self, driver: Driver):
        with pytest.raises(ProviderError, match="nothing to import"):
            driver.import_("aws:sqs/queue:Queue", "jobs", "q")

    def test_a_type_that_the_sdk_lacks_is_refused(self, driver: Driver):
        with pytest.raises(ProviderError, match="declares no type aws:sqs/queues:Queues"):
            driver.create("aws:sqs/queues:Queues", "jobs", {})

    def test_the_table_is_of_recorded_types_and_of_their_properties(self):
        for token, row in table()["types"].items():
            known = declared("pulumi_aws", token)
            assert known is not None, token
            assert token not in ENACTED, f"{token} is enacted: its row in recorded.toml says nothing"
            assert row.get("outputs", {}).keys() <= known.outputs, token
            texts = [*row.get("outputs", {}).values(), *(row[name] for name in ("id", "arn") if name in row)]
            named = {field for text in texts for _, field, _, _ in Formatter().parse(text) if field}
            fixed = {"id", "arn", "name", "account", "region", "partition", "uuid"}
            assert {each for each in named - fixed if not re.fullmatch(r"hex\d+", each)} <= known.inputs.keys(), token


class TestErrors:
    def test_a_refusal_names_operation_and_reason(self, driver: Driver):
        with pytest.raises(ProviderError) as caught:
            driver.create("aws:ec2/subnet:Subnet", "it", {"vpcId": "vpc-0123456789abcdef0", "cidrBlock": "10.0.0.0/24"})
        assert "ec2 CreateSubnet" in str(caught.value)
        assert "InvalidVpcID.NotFound" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_bucket_with_objects_is_not_deleted_unless_said(self, driver: Driver, endpoint: str):
        made = driver.create("aws:s3/bucket:Bucket", "it", {"bucket": "full"})
        aws(endpoint, "s3").put_object(Bucket="full", Key="a", Body=b"x")
        with pytest.raises(ProviderError, match="set forceDestroy"):
            driver.delete(made)
        driver.delete(driver.update(made, {"bucket": "full", "forceDestroy": True}))
        assert driver.refresh(made) is None

    @pytest.mark.parametrize(
        ("token", "inputs", "refused"),
        [
            ("aws:kms/key:Key", {"deletionWindowInDays": 5}, "deletionWindowInDays"),
            ("aws:kms/key:Key", {"rotationPeriodInDays": 30}, "rotationPeriodInDays"),
            ("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 100}, "retentionInDays"),
            ("aws:ec2/flowLog:FlowLog", {"trafficType": "ALL"}, "vpcId"),
            ("aws:ec2/route:Route", {"routeTableId": "rtb-1", "gatewayId": "igw-1"}, "destinationCidrBlock"),
            ("aws:ec2/route:Route", {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"}, "carrierGatewayId"),
        ],
    )
    def test_values_that_aws_would_refuse_are_refused_at_the_preview(
        self, driver: Driver, token: str, inputs: dict[str, Any], refused: str
    ):
        with pytest.raises(CheckError) as caught:
            driver.preview(token, "it", inputs)
        assert list(caught.value.failures) == [refused]

    def test_inputs_that_the_sdk_does_not_declare_are_refused(self, driver: Driver):
        with pytest.raises(CheckError) as caught:
            driver.create("aws:eks/cluster:Cluster", "it", {"roleArn": "r", "vpcConfig": {"endpointPublic": True}})
        assert caught.value.failures == {
            "vpcConfig.endpointPublic": "unknown property; did you mean 'endpointPublicAccess'?",
            "vpcConfig.subnetIds": "this required property is missing",
        }


class TestFunctions:
    def test_who_and_where(self, driver: Driver):
        assert driver.invoke("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == ACCOUNT
        assert driver.invoke("aws:index/getRegion:getRegion")["region"] == "me-central-1"
        assert driver.invoke("aws:index/getPartition:getPartition")["dnsSuffix"] == "amazonaws.com"

    def test_zones(self, driver: Driver):
        found = driver.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", excludeNames=["me-central-1b"])
        assert found["names"] == ["me-central-1a", "me-central-1c"]
        assert len(found["zoneIds"]) == 2

    def test_a_function_takes_a_region_of_its_own(self, driver: Driver):
        found = driver.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", region="eu-central-1")
        assert found["names"][0] == "eu-central-1a"

    def test_instance_types(self, driver: Driver):
        filters = [{"name": "instance-type", "values": ["g5.12xlarge"]}]
        offered = driver.invoke("aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings", filters=filters)
        assert offered["instanceTypes"] == ["g5.12xlarge"]
        facts = driver.invoke("aws:ec2/getInstanceType:getInstanceType", instanceType="g5.12xlarge")
        assert facts["gpuses"][0]["count"] == 4
        assert driver.invoke("aws:ec2/getInstanceTypes:getInstanceTypes", filters=filters)["instanceTypes"] == [
            "g5.12xlarge"
        ]

    def test_networks(self, driver: Driver):
        needs = Needs(driver)
        subnet = needs.subnet()
        found = driver.invoke("aws:ec2/getVpc:getVpc", id=needs.vpc)
        assert found["cidrBlock"] == "10.0.0.0/16"
        filters = [{"name": "vpc-id", "values": [needs.vpc]}]
        assert driver.invoke("aws:ec2/getSubnets:getSubnets", filters=filters)["ids"] == [subnet]
        with pytest.raises(ProviderError, match="exactly one"):
            driver.invoke("aws:ec2/getVpc:getVpc", tags={"no": "such"})

    def test_a_parameter(self, driver: Driver, endpoint: str):
        aws(endpoint, "ssm").put_parameter(Name="/a", Value="v", Type="SecureString")
        assert driver.invoke("aws:ssm/getParameter:getParameter", name="/a")["value"] == "v"

    def test_a_clusters_token_names_the_cluster(self, driver: Driver):
        token = driver.invoke("aws:eks/getClusterAuth:getClusterAuth", name="main")["token"]
        prefix, _, encoded = token.partition("k8s-aws-v1.")
        assert prefix == ""
        url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        assert "x-k8s-aws-id" in url
        assert "Action=GetCallerIdentity" in url

    def test_a_cluster(self, driver: Driver):
        found = driver.invoke("aws:eks/getCluster:getCluster", name=Needs(driver).cluster)
        assert found["arn"].endswith("cluster/need")


class TestPolicyDocument:
    TOKEN = "aws:iam/getPolicyDocument:getPolicyDocument"

    def document(self, driver: Driver, **arguments: Any) -> dict[str, Any]:
        return json.loads(driver.invoke(self.TOKEN, **arguments)["json"])

    def test_statements_become_iams_own_form(self, driver: Driver):
        statement = {
            "sid": "Use",
            "actions": ["kms:Decrypt", "kms:Encrypt"],
            "resources": ["*"],
            "principals": [{"type": "AWS", "identifiers": ["arn:aws:iam::1:root"]}],
            "conditions": [{"test": "StringEquals", "variable": "aws:RequestedRegion", "values": ["me-central-1"]}],
        }
        assert self.document(driver, statements=[statement]) == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Use",
                    "Effect": "Allow",
                    "Action": ["kms:Encrypt", "kms:Decrypt"],
                    "Resource": "*",
                    "Principal": {"AWS": "arn:aws:iam::1:root"},
                    "Condition": {"StringEquals": {"aws:RequestedRegion": "me-central-1"}},
                }
            ],
        }

    def test_sources_are_extended_and_overrides_replace(self, driver: Driver):
        source = json.dumps({"Statement": [{"Sid": "A", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
        override = json.dumps({"Statement": {"Sid": "B", "Effect": "Deny", "Action": "*", "Resource": "*"}})
        found = self.document(
            driver,
            sourcePolicyDocuments=[source],
            statements=[{"sid": "B", "actions": ["ec2:*"], "resources": ["*"]}],
            overridePolicyDocuments=[override],
        )
        assert [(s["Sid"], s["Effect"]) for s in found["Statement"]] == [("A", "Allow"), ("B", "Deny")]

    def test_two_sources_with_one_sid_are_refused(self, driver: Driver):
        source = json.dumps({"Statement": [{"Sid": "A", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
        with pytest.raises(ProviderError, match="duplicate Sid"):
            driver.invoke(self.TOKEN, sourcePolicyDocuments=[source, source])


class TestProcess:
    """The plugin as the engine starts it."""

    COMMAND = (sys.executable, "-m", "falaj.lab.provider.aws")

    def test_it_tells_its_port_serves_and_ends_when_asked(self):
        with socket.create_server(("127.0.0.1", 0)) as engine:
            address = f"127.0.0.1:{engine.getsockname()[1]}"
            process = subprocess.Popen([*self.COMMAND, address], stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub = provider_pb2_grpc.ResourceProviderStub(channel)
                assert stub.GetPluginInfo(Empty(), timeout=30).version == sdk_version("pulumi_aws")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0

    def test_it_ends_when_the_cli_dies(self):
        # A CLI that starts the plugin, hears its port, and dies; the engine's address still answers.
        with socket.create_server(("127.0.0.1", 0)) as engine:
            command = [*self.COMMAND, f"127.0.0.1:{engine.getsockname()[1]}"]
            cli = f"""
import subprocess
plugin = subprocess.Popen({command!r}, stdout=subprocess.PIPE)
plugin.stdout.readline()
print(plugin.pid)
"""
            pid = int(subprocess.check_output([sys.executable, "-c", cli], text=True))
            self.wait_for_the_end_of(pid)

    def test_it_ends_when_the_cli_was_gone_from_the_start(self, nowhere: str):
        command = [*self.COMMAND, nowhere]
        cli = f"import subprocess; print(subprocess.Popen({command!r}, stdout=subprocess.DEVNULL).pid)"
        pid = int(subprocess.check_output([sys.executable, "-c", cli], text=True))
        self.wait_for_the_end_of(pid)

    def wait_for_the_end_of(self, pid: int) -> None:
        try:
            psutil.Process(pid).wait(timeout=120)
        except psutil.NoSuchProcess:
            return

    def test_without_an_engine_it_says_who_starts_it(self):
        result = subprocess.run(self.COMMAND, capture_output=True, text=True, check=False, timeout=120)
        assert result.returncode == 1
        assert "is started by the pulumi CLI" in result.stderr


def aws(endpoint: str, service: str) -> Any:
    """Return a client of the emulated AWS, to change things behind Pulumi's back."""
    login = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "me-central-1"}
    return boto3.client(service, endpoint_url=endpoint, **login)
