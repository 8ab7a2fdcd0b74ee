"""The whole platform of each environment, against a stand-in for the engine."""

from collections import Counter

import pulumi
import pytest
import yaml
from pulumi.runtime import mocks
from recording import Recorder
from test_platform_config import raw

from composition import compose
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

    def make(environment):
        recorder = Recorder()
        mocks.set_mocks(recorder)
        outputs = []

        def program():
            config = read_config(raw(environment, target="lab"))
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


def test_the_local_platform_serves_on_two_pods(platform):
    _, outputs = platform("local")
    assert outputs["services"] == {"detector": "http://detector.vision.svc:8000"}
    assert outputs["clusterName"] == "falaj-local"
