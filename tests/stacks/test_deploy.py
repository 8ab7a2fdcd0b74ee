"""deploy.py: what it runs, in which order, and what it prints; `pulumi` is a script that notes its arguments."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

import deploy

DEPLOY = Path(deploy.__file__)
RESOURCES = [
    {"urn": "urn:pulumi:local::falaj::pulumi:pulumi:Stack::falaj-local", "type": "pulumi:pulumi:Stack"},
    {
        "urn": "urn:pulumi:local::falaj::falaj:index:DataStore::models",
        "type": "falaj:index:DataStore",
        "parent": "urn:pulumi:local::falaj::pulumi:pulumi:Stack::falaj-local",
        "outputs": {"arn": "arn:aws:s3:::b", "bucket": "b"},
    },
    {
        "urn": "urn:pulumi:local::falaj::falaj:index:Tenant::vision",
        "type": "falaj:index:Tenant",
        "parent": "urn:pulumi:local::falaj::pulumi:pulumi:Stack::falaj-local",
        "outputs": {"namespace": "vision"},
    },
    {
        "urn": "urn:pulumi:local::falaj::falaj:index:GpuNodePool$falaj:index:NodePool::gpu",
        "type": "falaj:index:NodePool",
        "parent": "urn:pulumi:local::falaj::falaj:index:GpuNodePool::gpu",
        "outputs": {"poolName": "gpu"},
    },
]


@pytest.fixture
def lab(tmp_path):
    """Run deploy.py with a `pulumi` that notes its arguments; give the result and the notes."""
    program = tmp_path / "pulumi"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, sys\n"
        "from pathlib import Path\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "if 'ls' in sys.argv: print(os.environ['STACKS'])\n"
        "if 'export' in sys.argv: print(Path(os.environ['DEPLOYMENT']).read_text())\n"
        "sys.exit(int(os.environ.get('FAIL', '0')) if 'up' in sys.argv else 0)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IEXEC)

    def run(*arguments, pending=False, fail=0, inside=True, up=("local",)):
        deployment = {"resources": RESOURCES, "pending_operations": [{"type": "creating"}] if pending else []}
        (tmp_path / "deployment").write_text(json.dumps({"deployment": deployment}))
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "DEPLOYMENT": str(tmp_path / "deployment"),
            "FAIL": str(fail),
            "STACKS": json.dumps(
                [{"name": name, "resourceCount": 9 if name in up else 0} for name in ("local", "prod")]
            ),
        }
        environment.pop("FALAJ_LAB", None)
        if inside:
            environment["FALAJ_LAB"] = str(tmp_path)
        done = subprocess.run(
            [sys.executable, str(DEPLOY), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        calls = tmp_path / "calls"
        return done, calls.read_text().splitlines() if calls.exists() else []

    return run


def test_it_makes_the_stack_and_brings_it_up_in_the_lab(lab):
    done, calls = lab()
    assert done.returncode == 0, done.stderr
    assert calls[0] == "stack select --create local --non-interactive"
    (up,) = [call for call in calls if call.startswith("up ")]
    assert "--stack local" in up
    assert "-c falaj:target=lab" in up
    assert not [call for call in calls if call.startswith(("refresh", "destroy"))]


def test_the_policy_pack_comes_before_any_resource(lab):
    _, calls = lab()
    (up,) = [call for call in calls if call.startswith("up ")]
    assert f"--policy-pack {DEPLOY.parents[1] / 'policies'}" in up
    assert "--skip-preview" not in up


def test_what_an_interrupted_run_left_open_is_settled_first(lab):
    _, calls = lab(pending=True)
    kinds = [call.split()[0] for call in calls]
    assert kinds.index("refresh") < kinds.index("up")
    assert "--clear-pending-creates" in calls[kinds.index("refresh")]


def test_it_ends_with_what_exists_and_what_to_try(lab):
    done, _ = lab()
    lines = done.stdout.splitlines()
    assert "DataStore  models  b" in lines
    assert "Tenant     vision  vision" in lines
    assert not [line for line in lines if line.startswith("NodePool")]
    assert "kubectl -n vision" in done.stdout


def test_a_failed_run_passes_its_exit_code_on_and_claims_nothing(lab):
    done, _ = lab(fail=3)
    assert done.returncode == 3
    assert "COMPONENT" not in done.stdout


def test_a_second_stack_is_refused_since_the_lab_has_one_cluster(lab):
    done, calls = lab("prod", up=("local",))
    assert done.returncode == 2
    assert done.stderr == (
        "error: local is up in this lab, which has one cluster: make destroy STACK=local first, or use another lab\n"
    )
    assert not [call for call in calls if call.startswith("up ")]


def test_a_stack_that_was_destroyed_stands_in_nobodys_way(lab):
    done, _ = lab("prod", up=())
    assert done.returncode == 0, done.stderr


def test_destroy_settles_and_destroys(lab):
    done, calls = lab("prod", "--destroy", pending=True)
    assert done.returncode == 0, done.stderr
    assert [call.split()[0] for call in calls] == ["stack", "stack", "refresh", "stack", "destroy"]
    assert "--stack prod" in calls[-1]


def test_clusters_that_are_there_and_protected_lose_their_protection_before_they_are_destroyed(monkeypatch):
    eks = boto3.client("eks", region_name="me-central-1", aws_access_key_id="none", aws_secret_access_key="none")
    regions = []

    def client(service, region_name):
        assert service == "eks"
        regions.append(region_name)
        return eks

    monkeypatch.setattr(deploy.boto3, "client", client)
    with Stubber(eks) as stubbed:
        stubbed.add_response("update_cluster_config", {}, {"name": "one", "deletionProtection": False})
        stubbed.add_client_error("update_cluster_config", "ResourceNotFoundException")
        deploy.lift_protection(
            [*RESOURCES, cluster("free", False), cluster("one", True), cluster("gone", True), {"type": "aws:eks/x:X"}]
        )
        stubbed.assert_no_pending_responses()
    assert regions == ["me-central-1", "me-central-1"]


def cluster(name, protected):
    arn = f"arn:aws:eks:me-central-1:123456789012:cluster/{name}"
    return {
        "type": "aws:eks/cluster:Cluster",
        "outputs": {"arn": arn, "name": name, "deletionProtection": protected},
    }


@pytest.mark.parametrize(
    ("arguments", "inside", "message"),
    [
        (["moon"], True, "error: no such environment: moon; choose one of dev, local, prod, staging\n"),
        ([], False, "error: run this inside the lab: falaj-lab exec -- python stacks/deploy.py\n"),
    ],
)
def test_what_a_person_can_put_right_is_one_line(lab, arguments, inside, message):
    done, calls = lab(*arguments, inside=inside)
    assert (done.returncode, done.stderr, calls) == (2, message, [])
