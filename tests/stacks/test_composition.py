"""The whole platform of each environment, against a stand-in for the engine."""

import json
from collections import Counter

import pulumi
import pytest
import yaml
from pulumi.runtime import mocks
from recording import Recorder
from test_platform_config import ROLES, raw

from composition import compose
from falaj.components import ConfigError
from platform_config import Environment, read_config
from targets import make_providers


@pytest.fixture
def platform(tmp_path):
    """Compose an environment in the lab; return what was made and the stack's outputs."""
    kubeconfig = tmp_path / "kubeconfig"
    (tmp_path / "ca.crt").write_text("LAB CA")
    cluster = {"server": "https://127.0.0.1:7443", "certificate-authority": "ca.crt"}
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "lab",
                "contexts": [{"name": "lab", "context": {"cluster": "lab"}}],
                "clusters": [{"name": "lab", "cluster": cluster}],
            }
        )
    )
    variables = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
        "KUBECONFIG": str(kubeconfig),
        "VAULT_ADDR": "https://127.0.0.1:8200",
    }

    def make(environment, **changes):
        recorder = Recorder()
        mocks.set_mocks(recorder)
        outputs = []

        def program():
            config = read_config(raw(environment, target="lab", **changes))
            made = compose(config, make_providers(config, variables))
            return pulumi.Output.from_input(made.outputs()).apply(outputs.append)

        pulumi.runtime.test(program)()
        return recorder.made, outputs[0]

    return make


@pytest.mark.parametrize("environment", list(Environment))
def test_every_environment_composes_in_the_lab_with_what_it_configures(platform, environment):
    made, outputs = platform(environment)
    config = read_config(raw(environment))
    kinds = Counter(args.typ for args in made)
    assert kinds["falaj:index:Tenant"] == len(config.tenants) == len(outputs["tenants"])
    assert kinds["aws:eks/nodeGroup:NodeGroup"] == len(config.pools) == len(outputs["pools"])
    assert len(config.services) == len(outputs["services"]) == kinds["falaj:index:TritonService"]
    assert kinds["falaj:index:SlaScheduler"] == bool(config.scheduler)
    assert kinds["falaj:index:GpuAutoscaler"] == bool(config.autoscaler)
    assert not kinds["falaj:index:GpuOperators"], "the lab has no registry of charts"
    assert kinds["kubernetes:kueue.x-k8s.io/v1beta2:ClusterQueue"] == len(config.tenants)
    assert kinds["aws:s3/bucket:Bucket"] == len(config.stores) + 2 * bool(config.records)
    assert len(outputs["bucketNames"]) == len(config.stores)
    assert len(outputs["subnetIds"]) == len(outputs["isolatedSubnetIds"]) == len(config.network.zones)
    assert kinds["falaj:index:SharedFileSystem"] == len(config.file_systems)
    assert kinds["aws:networkfirewall/firewall:Firewall"] == bool(config.network.allowed_domains)
    assert kinds["falaj:index:ImageRegistry"] == bool(config.registry)
    assert kinds["falaj:index:AuditTrail"] == bool(config.records)
    assert bool(kinds["falaj:index:Backup"]) == config.backups
    assert kinds["falaj:index:RegionGuard"] == bool(config.guard)


def test_each_bucket_has_a_key_of_its_own(platform):
    made, _ = platform("prod")
    keys = [
        args.inputs["rules"][0]["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]
        for args in made
        if args.typ.endswith(":BucketServerSideEncryptionConfiguration")
    ]
    # The two stores of records share theirs.
    assert len(keys) == 7
    assert len(set(keys)) == 6


def test_every_taggable_resource_says_whose_it_is_and_how_sensitive(platform):
    made, _ = platform("prod")
    for args in made:
        if "tags" in args.inputs:
            assert {"owner", "cost-centre", "environment", "classification"} <= args.inputs["tags"].keys(), args.name
        if args.typ.startswith("kubernetes:"):
            assert {"owner", "classification"} <= args.inputs["metadata"]["labels"].keys(), args.name


def principals(key, sid):
    """Return whom a statement of a key's policy is for."""
    (found,) = [each for each in json.loads(key["policy"])["Statement"] if each["Sid"] == sid]
    return found["Principal"]["AWS"]


def keys_of(made):
    """Return the keys by their purpose."""
    return {args.inputs["tags"]["purpose"]: args.inputs for args in made if args.typ == "aws:kms/key:Key"}


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_every_key_is_administered_by_whom_the_environment_names_and_by_nobody_else(platform, environment):
    made, outputs = platform(environment)
    keys, named = keys_of(made), read_config(raw(environment)).keys
    assert keys.keys() == outputs["keyArns"].keys()
    for key in keys.values():
        assert principals(key, "Administer") == named.administrators


def test_records_are_read_by_auditors_and_stores_by_whom_iam_lets(platform):
    made, _ = platform("prod")
    keys = keys_of(made)
    for sid in ("ReadTrails", "UseThroughS3"):
        assert principals(keys["records"], sid) == [f"{ROLES}/auditor"]
    assert principals(keys["bucket-models"], "UseThroughS3") == "arn:aws:iam::123456789012:root"


@pytest.mark.parametrize("environment", ["local", "dev"])
def test_where_nobody_is_named_iam_of_the_account_decides_on_keys(platform, environment):
    made, _ = platform(environment)
    assert {principals(key, "Administer") for key in keys_of(made).values()} == {"arn:aws:iam::123456789012:root"}


def test_users_of_a_key_that_the_platform_does_not_have_are_refused(platform):
    users = {"attic": [f"{ROLES}/auditor"]}
    with pytest.raises(ConfigError) as refused:
        platform("local", keys={"users": users})
    assert str(refused.value).startswith("falaj:keys.users must be named by the purpose of a key: network, cluster, ")
    assert str(refused.value).endswith("(got 'attic')")


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_the_organization_is_in_the_policy_of_every_key_bucket_and_endpoint(platform, environment):
    made, _ = platform(environment)
    organization = read_config(raw(environment)).regime.organization_id
    kinds = ("aws:kms/key:Key", "aws:s3/bucketPolicy:BucketPolicy", "aws:ec2/vpcEndpoint:VpcEndpoint")
    policies = [(args.name, args.inputs["policy"]) for args in made if args.typ in kinds]
    assert policies
    for name, policy in policies:
        assert '"aws:PrincipalOrgID"' in policy, name
        assert organization in policy, name


def test_the_roles_of_tenants_and_the_autoscaler_carry_the_guard_s_boundary_which_others_find_too(platform):
    made, outputs = platform("prod")
    roles = {
        args.name: args.inputs for args in made if args.typ == "aws:iam/role:Role" and "stage" in args.inputs["tags"]
    }
    assert {role["tags"]["tenant"] for role in roles.values()} == {"vision", "speech", "language", "fraud"}
    (boundary,) = {role["permissionsBoundary"] for role in roles.values()}
    assert boundary == outputs["boundaryArn"]
    assert boundary.endswith(":region-guard-boundary")
    (autoscaler,) = (args.inputs for args in made if args.name == "gpu-autoscaler-role")
    assert autoscaler["permissionsBoundary"] == boundary


@pytest.mark.parametrize(
    "guard", [None, {"mode": "service-control-policy", "targets": ["ou-ab12-cdef3456"]}], ids=["none", "organization's"]
)
def test_a_guard_that_is_no_boundary_is_carried_by_no_role(platform, guard):
    made, outputs = platform("prod", guard=guard)
    assert not [args.name for args in made if "permissionsBoundary" in args.inputs]
    assert "boundaryArn" not in outputs


def test_the_local_platform_serves_on_two_pods(platform):
    _, outputs = platform("local")
    assert outputs["services"] == {"detector": "http://detector.vision.svc:8000"}
    assert outputs["clusterName"] == "falaj-local"


RARE = {
    "services__0__gpus": 0,
    "services__0__pool": "system",
    "services__0__monitoring": True,
    "services__0__gateway": "gateways/serving",
    "services__0__clientNames": ["web.vision.svc"],
    "services__0__autoscaling": {
        "most": 2,
        "least": 0,
        "by": "keda",
        "prometheus": "http://prometheus.monitoring.svc:9090",
    },
}


def test_a_small_model_that_is_seldom_asked_is_served_on_cpus_and_sleeps_between(platform):
    made, outputs = platform("local", **RARE)
    assert outputs["services"] == {"detector": "https://detector.vision.svc"}
    (deployment,) = (args.inputs["spec"] for args in made if args.name == "detector-deployment")
    assert "replicas" not in deployment
    pod = deployment["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "system"}
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "16Gi"}
    (scaled,) = (args.inputs["spec"] for args in made if args.typ.endswith(":ScaledObject"))
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 2)
