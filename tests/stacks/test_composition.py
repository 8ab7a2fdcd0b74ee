"""The whole platform of each environment, against a stand-in for the engine."""

import json
import re
from collections import Counter
from pathlib import Path

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


def named(made, name):
    """Return the inputs of the one resource of a name that a provider makes."""
    (found,) = [args.inputs for args in made if args.name == name and not args.typ.startswith("falaj:")]
    return found


def ways_out(policy):
    """Return the address ranges that a network policy lets pods call."""
    return [rule["to"][0]["ipBlock"]["cidr"] for rule in policy["spec"]["egress"]]


SEALING = "arn:aws:kms:me-central-1:123456789012:key/sealing-vision-key"
S3, ENDPOINTS = "198.51.100.0/24", ["10.48.192.0/22", "10.48.196.0/22", "10.48.200.0/22"]
API_SERVER = ["10.48.0.0/19", "10.48.32.0/19", "10.48.64.0/19"]


def test_staging_serves_a_published_model_whose_versions_take_over_by_shares(platform):
    made, outputs = platform("staging")
    assert outputs["services"] == {"detector": "https://detector.vision.svc"}
    rollout = named(made, "detector-rollout")["spec"]
    weights = [step["setWeight"] for step in rollout["strategy"]["canary"]["steps"] if "setWeight" in step]
    assert weights == [5, 25, 50]
    (fetch,) = rollout["template"]["spec"]["initContainers"]
    told = dict(zip(fetch["args"][1::2], fetch["args"][2::2], strict=True))
    assert told["--store"] == f"s3://{outputs['bucketNames']['models']}/vision"
    assert (told["--model"], told["--tenant"], told["--key"]) == ("detector", "vision", f"aws-kms:{SEALING}")
    assert ways_out(named(made, "detector-network-policy")) == [S3, *ENDPOINTS]


def test_the_pods_of_a_published_model_may_read_its_store_and_open_it_as_their_tenant_s(platform):
    made, outputs = platform("staging")
    assert outputs["keyArns"]["sealing-vision"] == SEALING
    granted = json.loads(named(made, "vision-reach-workload")["policy"])["Statement"]
    (opened,) = [each for each in granted if each["Resource"] == SEALING]
    assert opened["Condition"] == {"StringEquals": {"kms:EncryptionContext:tenant": "vision"}}
    (read,) = [each for each in granted if "s3:GetObject" in each["Action"]]
    assert read["Resource"].endswith("models-bucket/vision/*")
    associated = named(made, "vision-identity-of-workload")
    assert (associated["namespace"], associated["serviceAccount"]) == ("vision", "workload")
    assert [name for name in outputs["keyArns"] if name.startswith("sealing-")] == ["sealing-vision"]


def test_the_key_of_a_team_s_models_is_there_before_any_is_served_and_stays_after(platform):
    made, outputs = platform("staging", services=[], tenants__0__stores=["datasets", "models"])
    assert outputs["keyArns"]["sealing-vision"] == SEALING
    granted = json.loads(named(made, "vision-reach-workload")["policy"])["Statement"]
    assert len([each for each in granted if each["Resource"] == SEALING]) == 1, "datasets hold no published models"


def test_what_a_strategy_decides_over_a_published_model_is_written_down_by_an_identity_that_may_do_that(platform):
    made, _ = platform("staging", guard={})
    assert ways_out(named(made, "detector-recorder-network-policy"))[:4] == [*API_SERVER, S3]
    assert named(made, "detector-recorder-identity")["permissionsBoundary"].endswith(":region-guard-boundary")
    writes = json.loads(named(made, "detector-recorder-reach")["policy"])["Statement"]
    (put,) = [each for each in writes if each["Action"] == ["s3:PutObject"]]
    assert put["Resource"].endswith("models-bucket/vision/detector/audit/*")
    assert named(made, "detector-recorder-association")["serviceAccount"] == "detector-recorder"


def test_all_that_may_be_said_of_a_service_reaches_it(platform):
    changes = {
        "tenants__0__stores": ["models", "scratch"],
        "services__0__published__digest": f"sha256:{64 * 'a'}",
        "services__0__strategy": {
            "shadow": {"mirror": 20, "analysis": {"prometheus": "http://prometheus:9090", "windowSeconds": 90}}
        },
        "services__0__recorder": {"apiServerCidrs": ["172.20.0.1/32"], "everySeconds": 15},
        "services__0__drift": {"percent": 7, "samples": "scratch", "serviceAccount": "workload"},
        "services__0__envoyGateway": {},
        "services__0__idempotent": True,
        "services__0__hostnames": ["detector.example.ae"],
        "services__0__errorPercent": 0.5,
    }
    made, outputs = platform("staging", **changes)
    assert outputs["services"] == {"detector": "https://detector.example.ae"}
    template = named(made, "detector-rollout")["spec"]["template"]
    assert template["metadata"]["annotations"]["falaj.dev/model-digest"] == f"sha256:{64 * 'a'}"
    (recorder,) = named(made, "detector-recorder")["spec"]["template"]["spec"]["containers"]
    assert recorder["args"][-2:] == ["--every", "15"]
    assert ways_out(named(made, "detector-recorder-network-policy"))[:2] == ["172.20.0.1/32", S3]
    mirrored = named(made, "detector-http-route")["spec"]["rules"][0]["filters"]
    assert [each["requestMirror"]["percent"] for each in mirrored] == [20, 7]
    (watch,) = named(made, "detector-watch")["spec"]["template"]["spec"]["containers"]
    assert f"s3://{outputs['bucketNames']['scratch']}/vision" in watch["args"]
    retried = [args.inputs["spec"]["retry"] for args in made if args.typ.endswith(":BackendTrafficPolicy")]
    assert all("reset" in each["retryOn"]["triggers"] for each in retried)
    assert len(retried) == 2


def test_the_service_of_the_component_s_page_is_one_that_staging_could_have(platform):
    page = (Path(__file__).parents[2] / "docs/components/triton-service.md").read_text()
    (example,) = re.findall(r"```yaml\n(falaj:services:.*?)```", page, flags=re.DOTALL)
    made, _ = platform("staging", services=yaml.safe_load(example)["falaj:services"])
    assert named(made, "detector-rollout")["spec"]["strategy"].keys() == {"blueGreen"}
    assert named(made, "detector-watch")


def test_who_says_so_has_nobody_write_down_what_a_strategy_decides(platform):
    made, _ = platform("staging", services__0__unrecorded=True)
    assert not [args.name for args in made if args.name.startswith("detector-recorder")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"services__0__published__fetcherImage": "falaj/serving:1"},
            "falaj:services detector.published.fetcherImage must be an image by digest,"
            " registry/repository@sha256:<64 hex digits> (got 'falaj/serving:1')",
        ),
        (
            {"services__0__strategy__canary__keptSeconds": -1},
            "falaj:services detector.strategy.canary.keptSeconds must be a whole number from 0 to 86400 seconds"
            " (got -1)",
        ),
        (
            {"services__0__strategy__canary__analysis__prometheus": "prometheus"},
            "falaj:services detector.strategy.canary.analysis.prometheus must be a URL such as"
            " http://prometheus.monitoring.svc:9090 (got 'prometheus')",
        ),
        (
            {"services__0__strategy": {}},
            "falaj:services detector.strategy must have exactly one of canary, blue_green, shadow (got [])",
        ),
        (
            {"services__0__p99Milliseconds": 0},
            "falaj:services detector.p99Milliseconds must be a whole number from 1 to 3600000 milliseconds (got 0)",
        ),
    ],
)
def test_what_the_service_refuses_is_told_in_one_line_with_the_path_of_the_configuration(platform, changes, message):
    with pytest.raises(ConfigError) as refused:
        platform("staging", **changes)
    assert str(refused.value) == message
