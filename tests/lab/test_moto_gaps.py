"""What AWS does and moto does not: the lab's moto does it, and it is noticed when moto does it too.

Each gap is a question to AWS whose answer is yes, in the module ``gaps_<service>``. The lab's moto says yes; moto says
no, or cannot be asked.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from asking import ADMIN, Aws, serving
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from moto.backends import get_backend
from moto.eks.models import EKSBackend

from falaj.lab.eks_nodes import EmulatedEks
from falaj.lab.moto_state import MotoState
from falaj.lab.nodes import NodeGroup
from falaj.lab.state import ACCOUNT, REGION

GAPS = [gap for path in sorted(Path(__file__).parent.glob("gaps_*.py")) for gap in import_module(path.stem).GAPS]


@pytest.fixture(scope="module")
def labs_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with serving("falaj.lab.moto_server", f"--data={tmp_path_factory.mktemp('moto')}") as aws:
        yield aws


@pytest.fixture(scope="module")
def plain_moto() -> Iterator[Aws]:
    with serving("moto.server", "--host=127.0.0.1") as aws:
        yield aws


def spoken(gap: Callable[[Aws], bool]) -> str:
    return gap.__name__


@pytest.mark.parametrize("gap", GAPS, ids=spoken)
def test_the_lab_s_moto_does_as_aws_does(labs_moto: Aws, gap: Callable[[Aws], bool]):
    assert gap(labs_moto)


@pytest.mark.parametrize("gap", GAPS, ids=spoken)
def test_moto_itself_does_not_so_that_the_lab_has_to(plain_moto: Aws, gap: Callable[[Aws], bool]):
    try:
        closed = gap(plain_moto)
    except (ClientError, BotoCoreError, ResponseParserError, KeyError):
        closed = False  # what cannot be asked is not done
    assert not closed, f"moto does this itself now ({gap.__name__}): take ours out of falaj.lab.moto_gaps"


def test_all_of_it_is_there_after_the_server_was_killed(tmp_path: Path):
    def seen(aws: Aws) -> list[Any]:
        return [
            {name: value for name, value in answer.items() if name != "ResponseMetadata"}
            for answer in (
                aws.eks.describe_cluster(name=cluster),
                aws.eks.describe_nodegroup(**group),
                aws.eks.describe_access_entry(**named),
                aws.eks.list_associated_access_policies(**named),
                aws.eks.describe_addon(clusterName=cluster, addonName="vpc-cni"),
                aws.eks.list_pod_identity_associations(clusterName=cluster),
                aws.eks.describe_update(name=cluster, updateId=update["id"]),
            )
        ]

    with serving("falaj.lab.moto_server", f"--data={tmp_path}") as aws:
        named = aws.cluster_with_entries()
        cluster = named["clusterName"]
        group = aws.group(cluster, updateConfig={"maxUnavailable": 2})
        aws.eks.create_access_entry(**named)
        aws.eks.associate_access_policy(**named, policyArn=ADMIN, accessScope={"type": "cluster"})
        wanted = [{"serviceAccount": "aws-node", "roleArn": aws.role()}]
        aws.eks.create_addon(clusterName=cluster, addonName="vpc-cni", podIdentityAssociations=wanted)
        update = aws.eks.update_cluster_version(name=cluster, version="1.34")["update"]
        before = seen(aws)
    with serving("falaj.lab.moto_server", f"--data={tmp_path}") as aws:
        assert seen(aws) == before


def test_what_was_written_before_the_gaps_were_closed_is_completed(tmp_path: Path):
    state = MotoState(tmp_path)
    answers = state.load()
    backend: EKSBackend = get_backend("eks")[ACCOUNT][REGION]
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    backend.create_cluster("old", role, {"subnetIds": ["subnet-1"]}, version="1.33")
    backend.create_nodegroup("old", role, "pool", ["subnet-1"], version="1.33")
    state.write(state.dump(answers))
    with serving("falaj.lab.moto_server", f"--data={tmp_path}") as aws:
        found = aws.described("old")
        assert (found["accessConfig"], found["upgradePolicy"]) == (
            {"authenticationMode": "CONFIG_MAP"},
            {"supportType": "EXTENDED"},
        )
        assert aws.eks.list_addons(clusterName="old")["addons"] == []
        assert aws.eks.list_updates(name="old")["updateIds"] == []
        assert aws.succeeded(aws.eks.update_cluster_version(name="old", version="1.34"), "old")
        moved = aws.eks.update_nodegroup_version(clusterName="old", nodegroupName="pool", version="1.34")
        assert aws.succeeded(moved, "old", nodegroupName="pool")


@pytest.fixture
def group_of(labs_moto: Aws, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], NodeGroup]:
    """Return how what makes nodes of node groups sees one of them."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{labs_moto.port}")
    for variable, value in {"DEFAULT_REGION": REGION, "ACCESS_KEY_ID": "lab", "SECRET_ACCESS_KEY": "lab"}.items():
        monkeypatch.setenv(f"AWS_{variable}", value)

    def of(named: dict[str, Any]) -> NodeGroup:
        groups, unclear = EmulatedEks().groups()
        assert not unclear
        return next(group for group in groups if group.name == named["nodegroupName"])

    return of


def test_the_nodes_of_a_group_have_the_interfaces_and_disks_of_its_launch_template(labs_moto: Aws, group_of):
    told = b64encode(b"spec:\n  instance:\n    localStorage:\n      strategy: RAID0\n").decode()
    cards = [{"NetworkCardIndex": card, "InterfaceType": "efa-only" if card else "efa"} for card in range(4)]
    disks = [
        {"DeviceName": f"/dev/xvd{letter}", "Ebs": {"VolumeSize": size}} for letter, size in (("a", 4), ("b", 300))
    ]
    data = {"UserData": told, "NetworkInterfaces": cards, "BlockDeviceMappings": disks}
    template = {"id": labs_moto.template(data)}
    seen = group_of(labs_moto.group(labs_moto.cluster(), launchTemplate=template, instanceTypes=["p4d.24xlarge"]))
    assert (seen.efa, seen.local_nvme, seen.disk_gib) == (4, True, 300)


def test_a_node_group_keeps_its_nodes_when_its_version_changes(labs_moto: Aws, group_of):
    versions = [("m5.large", "a"), ("m5.large", "b"), ("m5.xlarge", "b")]
    template = labs_moto.template(*({"InstanceType": kind, "KeyName": key} for kind, key in versions))
    named = labs_moto.group(labs_moto.cluster(), launchTemplate={"id": template, "version": "1"}, version="1.32")
    before = group_of(named)
    moved = {"id": template, "version": "2"}
    labs_moto.eks.update_nodegroup_version(**named, launchTemplate=moved, version="1.33")
    assert group_of(named) == before
    labs_moto.eks.update_nodegroup_version(**named, launchTemplate={**moved, "version": "3"})
    assert group_of(named).prefix != before.prefix  # other machines, other nodes
