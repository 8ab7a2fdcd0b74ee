"""What the installed SDKs declare, read from their sources."""

import inspect
from importlib import import_module

import pytest

from falaj.lab.provider.declared import Shape, declared, nested_type, sdk_version
from falaj.lab.provider.values import UNKNOWN


def needed(token: str, package: str = "pulumi_aws"):
    found = declared(package, token)
    assert found is not None
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the SDK's own, of types that it keeps under old names
@pytest.mark.parametrize(
    ("package", "token", "module", "name"),
    [
        ("pulumi_aws", "aws:ec2/vpc:Vpc", "pulumi_aws.ec2.vpc", "Vpc"),
        ("pulumi_aws", "aws:kms/key:Key", "pulumi_aws.kms.key", "Key"),
        ("pulumi_aws", "aws:s3/bucket:Bucket", "pulumi_aws.s3.bucket", "Bucket"),
        ("pulumi_aws", "aws:s3/bucketObjectv2:BucketObjectv2", "pulumi_aws.s3.bucket_objectv2", "BucketObjectv2"),
        (
            "pulumi_aws",
            "aws:s3/bucketVersioning:BucketVersioning",
            "pulumi_aws.s3.bucket_versioning",
            "BucketVersioning",
        ),
        ("pulumi_aws", "aws:lambda/function:Function", "pulumi_aws.lambda_.function", "Function"),
        (
            "pulumi_aws",
            "aws:eks/podIdentityAssociation:PodIdentityAssociation",
            "pulumi_aws.eks",
            "PodIdentityAssociation",
        ),
        ("pulumi_vault", "vault:index/mount:Mount", "pulumi_vault.mount", "Mount"),
        (
            "pulumi_vault",
            "vault:kubernetes/authBackendRole:AuthBackendRole",
            "pulumi_vault.kubernetes.auth_backend_role",
            "AuthBackendRole",
        ),
    ],
)
def test_inputs_are_those_of_the_class_itself(package: str, token: str, module: str, name: str):
    # The SDK, imported, is the measure of what was read from its source.
    resource = getattr(import_module(module), name)
    parameters = list(inspect.signature(resource._internal_init).parameters)[
        3:-1
    ]  # without self, name and options, and the last, __props__
    assert len(needed(token, package).inputs) == len(parameters)
    getters = [p for p in vars(resource).values() if isinstance(p, property)]
    assert len(needed(token, package).outputs) == len(getters)


def test_names_are_those_of_pulumi_with_their_shapes():
    inputs = needed("aws:ec2/vpc:Vpc").inputs
    assert inputs["cidrBlock"].shape == Shape("string")
    assert inputs["enableDnsSupport"].shape == Shape("boolean")
    assert inputs["ipv4NetmaskLength"].shape == Shape("number")
    assert inputs["tags"].shape == Shape("map", item=Shape("string"))


def test_required_inputs_are_known():
    inputs = needed("aws:eks/cluster:Cluster").inputs
    assert [name for name, prop in inputs.items() if prop.required] == ["roleArn", "vpcConfig"]


def test_what_forces_a_new_resource_is_taken_from_the_documentation():
    assert needed("aws:eks/cluster:Cluster").inputs["bootstrapSelfManagedAddons"].forces_new


def test_secret_outputs_are_known():
    assert "masterPassword" in needed("aws:rds/cluster:Cluster").secret_outputs


def test_a_type_that_does_not_exist_is_none():
    assert declared("pulumi_aws", "aws:ec2/vpcs:Vpcs") is None


def test_the_configuration_of_the_provider_is_a_type_too():
    assert {"region", "endpoints", "s3UsePathStyle"} <= needed("pulumi:providers:aws").inputs.keys()


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(ModuleNotFoundError, match="pulumi_nothing"):
        declared("pulumi_nothing", "nothing:index/x:X")


def test_the_version_is_that_of_the_sdk():
    assert sdk_version("pulumi_aws").startswith("7.")


class TestProblems:
    def of(self, token: str, **values: object) -> dict[str, str]:
        return dict(needed(token).problems(values))

    def test_right_inputs_have_none(self):
        assert self.of("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16", tags={"a": "b"}) == {}

    def test_an_unknown_name_is_told_with_the_closest(self):
        assert self.of("aws:ec2/vpc:Vpc", cidrBlok="x") == {"cidrBlok": "unknown property; did you mean 'cidrBlock'?"}

    def test_a_missing_required_input_is_told(self):
        assert self.of("aws:s3/bucketPolicy:BucketPolicy", bucket="b") == {
            "policy": "this required property is missing"
        }

    def test_an_unknown_value_passes(self):
        assert self.of("aws:s3/bucketPolicy:BucketPolicy", bucket=UNKNOWN, policy=UNKNOWN) == {}

    def test_a_wrong_type_is_told(self):
        assert self.of("aws:ec2/vpc:Vpc", enableDnsSupport="maybe", tags=["a"]) == {
            "enableDnsSupport": "expected a boolean, got a string",
            "tags": "expected a map, got a list",
        }

    def test_numbers_and_flags_may_be_sent_as_text(self):
        assert self.of("aws:ec2/vpc:Vpc", enableDnsSupport="true", ipv4NetmaskLength="16") == {}

    def test_nested_objects_are_checked_with_their_path(self):
        found = self.of(
            "aws:ec2/launchTemplate:LaunchTemplate",
            metadataOptions={"httpTokns": "required"},
            blockDeviceMappings=[{"ebs": {"volumeSize": "large"}}],
        )
        assert found == {
            "metadataOptions.httpTokns": "unknown property; did you mean 'httpTokens'?",
            "blockDeviceMappings[0].ebs.volumeSize": "expected a number, got a string",
        }

    def test_a_policy_may_be_text_or_an_object(self):
        assert self.of("aws:s3/bucketPolicy:BucketPolicy", bucket="b", policy={"Version": "2012-10-17"}) == {}

    def test_an_enumeration_is_text(self):
        assert self.of("aws:s3/bucket:Bucket", acl="private") == {}


def test_nested_types_are_found_in_their_module():
    folder = needed("aws:eks/cluster:Cluster").folder
    found = nested_type(folder, "ClusterVpcConfigArgs")
    assert found is not None
    assert "endpointPrivateAccess" in found.inputs
