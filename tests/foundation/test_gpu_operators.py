"""What charts and Karpenter's types make of falaj's values and objects, said by the real API server.

Their sources are Go modules: what is not in Go's module cache is left out. Kueue's is there where the lab built Kueue.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from examples import Example

from falaj.components import kueue_configuration
from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab
IMAGE = "123456789012.dkr.ecr.me-central-1.amazonaws.com/k8s/kueue/kueue"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
KARPENTER = "sigs.k8s.io/karpenter@v1.15.0/pkg/apis/crds/karpenter.sh_nodepools.yaml"
KARPENTER_ON_AWS = "github.com/aws/karpenter-provider-aws@v1.15.1/pkg/apis/crds/karpenter.k8s.aws_ec2nodeclasses.yaml"


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab with an AWS and a control plane; nothing runs pods."""
    root = tmp_path_factory.mktemp("control-plane") / "state"
    with temporary_lab(root, aws="emulated", only=["moto", "kube-controller-manager"]) as running:
        yield running


def sources(path: str) -> Path:
    cache = Path(os.environ.get("GOMODCACHE") or Path.home() / "go" / "pkg" / "mod")
    if not (cache / path).exists():
        pytest.skip(f"not in Go's module cache: {path}")
    return cache / path


def kubectl(lab: RunningLab, *command: str, given: Any = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", *command],
        env=dict(lab.env),
        input=None if given is None else json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def found(lab: RunningLab, *what: str) -> Any:
    told = kubectl(lab, "get", *what, "-o", "json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_kueue_s_chart_takes_the_values_and_its_pods_are_restricted(control_plane):
    chart = sources("sigs.k8s.io/kueue@v0.19.2/charts/kueue")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kueue-system", "labels": RESTRICTED}}
    assert kubectl(control_plane, "apply", "-f", "-", given=namespace).returncode == 0
    program = Program(control_plane, "kueue-chart")
    program.up(chart=str(chart), image=IMAGE)
    assert program.changes(chart=str(chart), image=IMAGE) == {}

    deployment = found(control_plane, "-n", "kueue-system", "deployment", "kueue-controller-manager")["spec"]
    assert deployment["replicas"] == 2
    pod = deployment["template"]
    assert [each["image"] for each in pod["spec"]["containers"]] == [f"{IMAGE}:v0.19.2"]
    trial = {**pod, "apiVersion": "v1", "kind": "Pod", "metadata": {**pod["metadata"], "name": "trial"}}
    tried = kubectl(control_plane, "-n", "kueue-system", "create", "--dry-run=server", "-f", "-", given=trial)
    assert tried.returncode == 0, tried.stderr

    config = found(control_plane, "-n", "kueue-system", "configmap", "kueue-manager-config")["data"]
    configuration = yaml.safe_load(config["controller_manager_config.yaml"])
    assert configuration.items() >= kueue_configuration().items()
    assert configuration["internalCertManagement"]["enable"]
    program.destroy()


def test_the_api_server_takes_karpenter_s_objects_by_their_own_types_rules_included(control_plane):
    for path in (KARPENTER, KARPENTER_ON_AWS):
        assert kubectl(control_plane, "apply", "--server-side", "-f", str(sources(path))).returncode == 0
    for kind in ("nodepools.karpenter.sh", "ec2nodeclasses.karpenter.k8s.aws"):
        kubectl(control_plane, "wait", "--for=condition=Established", f"crd/{kind}", "--timeout=60s")
    eks = control_plane.aws("eks")
    role = "arn:aws:iam::123456789012:role/eks"
    access = {"authenticationMode": "API"}
    eks.create_cluster(name="falaj-dev", roleArn=role, resourcesVpcConfig={"subnetIds": []}, accessConfig=access)

    example = Example(control_plane, "karpenter-pool")
    example.up()
    assert example.changes() == {}
    pool = found(control_plane, "nodepool.karpenter.sh", "burst")["spec"]
    assert pool["limits"] == {"nvidia.com/gpu": 8}
    assert pool["template"]["spec"]["nodeClassRef"]["name"] == "burst"
    nodes = found(control_plane, "ec2nodeclass.karpenter.k8s.aws", "burst")["spec"]
    assert nodes["instanceProfile"] == "falaj-dev-burst"
    (entry,) = eks.list_access_entries(clusterName="falaj-dev")["accessEntries"]
    assert eks.describe_access_entry(clusterName="falaj-dev", principalArn=entry)["accessEntry"]["type"] == "EC2_LINUX"

    assert set(example.changes(gpus="16")) == {"burst-pool"}
    assert set(example.changes(image="al2023@v20261201")) == {"burst-class"}
    example.destroy()
    assert found(control_plane, "nodepools.karpenter.sh")["items"] == []


class Program(Example):
    """A program of the tests, driven like an example."""

    def pulumi(self, *command: str, check: bool = True, **config: str) -> subprocess.CompletedProcess[str]:
        """Run the CLI; nothing runs pods here, so that a release cannot wait for them, and is halfway for ever."""
        tuned = ("--policy-pack-config", "policy.json") if command[0] == "up" else ()
        return super().pulumi(*command, *tuned, check=check, **config)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the program's folder, inside the lab."""
        done = subprocess.run(
            command,
            cwd=Path(__file__).with_name(self.name.replace("-", "_")),
            env=dict(self.lab.env),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done
