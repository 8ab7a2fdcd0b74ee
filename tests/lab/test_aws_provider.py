"""The enacted AWS types against a moto server: every type through its whole life."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from moto.server import ThreadedMotoServer

from falaj.lab.provider.aws import ENACTED, AwsProvider
from falaj.lab.provider.journal import Journal
from falaj.lab.provider.testing import Driver, Resource

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
ALLOW_MORE = ALLOW.replace("s3:GetObject", "s3:PutObject")
# The same as ALLOW, spelled differently.
ALLOW_RESPELLED = json.dumps(
    {"Statement": {"Action": "s3:GetObject", "Effect": "Allow", "Resource": "*"}, "Version": "2012-10-17"}, indent=2
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
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
    requests.post(f"{endpoint}/moto-api/reset", timeout=10).raise_for_status()
    return shared


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "FALAJ_LAB"):
        monkeypatch.delenv(name, raising=False)


def configured(provider: AwsProvider, endpoint: str, **config: Any) -> Driver:
    services = ["ec2", "eks", "iam", "kms", "logs", "s3", "ssm", "sts"]
    return Driver(provider).configure(
        region="me-central-1",
        accessKey="test",
        secretKey="test",
        # The SDK sends nested configuration as JSON text.
        endpoints=json.dumps([dict.fromkeys(services, endpoint)]),
        **config,
    )


def login(endpoint: str) -> dict[str, str]:
    return {
        "endpoint_url": endpoint,
        "region_name": "me-central-1",
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }


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
    def template(self) -> Resource:
        return self.make("aws:ec2/launchTemplate:LaunchTemplate", "need-template", instanceType="g5.xlarge")

    @property
    def cluster(self) -> str:
        return self.make(
            "aws:eks/cluster:Cluster",
            "need-cluster",
            name="need",
            roleArn=self.role.outputs["arn"],
            vpcConfig={"subnetIds": [self.subnet("a"), self.subnet("b")]},
        ).id


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
        None,
        {"routeTableId": "rtb-other"},
    ),
    Case(
        "aws:ec2/route:Route",
        lambda n: {"routeTableId": n.table, "destinationCidrBlock": "0.0.0.0/0", "gatewayId": n.gateway},
        None,
        {"destinationCidrBlock": "10.8.0.0/16"},
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
            {"description": "TLS from inside", "tags": {"a": "b"}},
            {"cidrIpv4": "172.16.0.0/12"},
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
            "accessConfig": {"authenticationMode": "API"},
            "tags": TAGS,
        },
        {"enabledClusterLogTypes": ["audit"], "version": "1.34", "tags": {"a": "b"}},
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
            "updateConfig": {"maxUnavailable": 1},
            "tags": TAGS,
        },
        lambda n: {
            "scalingConfig": {"minSize": 0, "maxSize": 4, "desiredSize": 4},
            "labels": {"other": "x"},
            "taints": [],
            "launchTemplate": {"id": n.template.id, "version": "2"},
            "tags": {"a": "b"},
        },
        {"instanceTypes": ["g5.48xlarge"]},
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
    declared = driver.provider.declared(case.token)
    assert declared.outputs <= made.outputs.keys()
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
    named |= {n: made.inputs[n] for n in ("nodeGroupName",) if n in made.inputs}
    unseen = {"deletionWindowInDays", "forceDestroy", "updateDefaultVersion", "accessConfig", "content"}
    assert set(driver.diff(imported, {**named, **inputs}).diffs) <= unseen

    if case.update is not None:
        change = case.update(needs) if callable(case.update) else case.update
        wanted = {**inputs, **change}
        difference = driver.diff(made, wanted)
        assert sorted(difference.diffs) == sorted(change)
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
