"""The emulated AWS keeps what it was told, wherever it is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from asking import kept_port
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from moto.logs.models import LogsBackend
from werkzeug.test import Client

from falaj.lab.errors import LabError
from falaj.lab.moto_server import READS, DurableMoto, action
from falaj.lab.moto_state import INLINE_BYTES, MotoState
from falaj.lab.state import REGION

ASSUME = json.dumps({"Version": "2012-10-17", "Statement": []})
POLICY = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"


class Server:
    """A server process of the test's own, on one port and folder through all its lives."""

    def __init__(self, data: Path):
        self.data = data
        self.port = kept_port(data)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "falaj.lab.moto_server", "--port", str(self.port), "--data", str(self.data)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the server ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("the server did not listen in time")

    def end(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def restart(self) -> None:
        self.end()
        self.start()

    def client(self, service: Any, retries: int = 0) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id="lab",
            aws_secret_access_key="lab",
            config=Config(retries={"total_max_attempts": retries + 1}),
        )


@contextmanager
def running(data: Path) -> Iterator[Server]:
    server = Server(data)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_everything_is_there_with_the_same_ids_after_the_server_was_killed(tmp_path: Path):
    with running(tmp_path) as server:
        ec2, iam, kms, s3 = (server.client(name) for name in ("ec2", "iam", "kms", "s3"))
        logs, eks, ssm = (server.client(name) for name in ("logs", "eks", "ssm"))
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zones = ("a", "b")
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
                "SubnetId"
            ]
            for n, zone in enumerate(zones)
        ]
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=ASSUME)["Role"]["Arn"]
        iam.attach_role_policy(RoleName="r", PolicyArn=POLICY)
        key = kms.create_key(Description="k")["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName="alias/k", TargetKeyId=key)
        signer = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        signing = {"KeyId": signer, "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
        signature = kms.sign(**signing)["Signature"]
        secret = kms.encrypt(KeyId=key, Plaintext=b"plain")["CiphertextBlob"]
        s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
        contents = [b"small", b"large" * INLINE_BYTES]
        versions = [s3.put_object(Bucket="kept", Key="o", Body=content)["VersionId"] for content in contents]
        logs.create_log_group(logGroupName="g")
        ssm.put_parameter(Name="/p", Value="v", Type="String")
        eks.create_cluster(name="c", roleArn=role, resourcesVpcConfig={"subnetIds": subnets})
        eks.create_nodegroup(clusterName="c", nodegroupName="n", subnets=subnets, nodeRole=role)

        def seen() -> list[Any]:
            return [
                without_metadata(answer)
                for answer in (
                    ec2.describe_vpcs(),
                    ec2.describe_subnets(),
                    ec2.describe_security_groups(),
                    ec2.describe_vpc_endpoint_services(ServiceNames=[f"com.amazonaws.{REGION}.kms"]),
                    iam.list_roles(),
                    iam.get_policy(PolicyArn=POLICY),
                    iam.get_policy(PolicyArn=POLICY.replace("Cluster", "WorkerNode")),
                    iam.list_attached_role_policies(RoleName="r"),
                    kms.list_aliases(),
                    kms.describe_key(KeyId=key),
                    s3.list_object_versions(Bucket="kept"),
                    logs.describe_log_groups(),
                    ssm.get_parameter(Name="/p"),
                    eks.describe_cluster(name="c"),
                    eks.describe_nodegroup(clusterName="c", nodegroupName="n"),
                )
            ]

        before = seen()
        server.restart()
        assert seen() == before
        assert kms.decrypt(CiphertextBlob=secret)["Plaintext"] == b"plain"
        assert kms.verify(**signing, Signature=signature)["SignatureValid"]
        for version, content in zip(versions, contents, strict=True):
            assert s3.get_object(Bucket="kept", Key="o", VersionId=version)["Body"].read() == content


def test_whatever_was_answered_is_kept_when_the_server_is_killed_amid_writes(tmp_path: Path):
    with running(tmp_path) as server:
        answered: set[str] = set()
        asked: set[str] = set()

        def create(worker: int, turn: int) -> None:
            logs = server.client("logs")
            for number in range(10_000):
                name = f"{turn}-{worker}-{number}"
                asked.add(name)
                try:
                    logs.create_log_group(logGroupName=name)
                except (BotoCoreError, ClientError):
                    return
                answered.add(name)

        for turn in range(2):
            workers = [threading.Thread(target=create, args=(worker, turn)) for worker in range(3)]
            for worker in workers:
                worker.start()
            deadline = time.monotonic() + 60
            while len(answered) < 10 * (turn + 1) and time.monotonic() < deadline:
                time.sleep(0.01)
            server.end()
            for worker in workers:
                worker.join(60)
            server.start()
        pages = server.client("logs").get_paginator("describe_log_groups").paginate()
        kept = [group["logGroupName"] for page in pages for group in page["logGroups"]]
        assert len(answered) >= 20
        assert answered <= set(kept) <= asked
        assert len(kept) == len(set(kept))


def test_a_call_repeated_after_a_kill_gets_the_first_answer_and_makes_nothing_twice(tmp_path: Path):
    with running(tmp_path) as server:
        ec2 = server.client("ec2")
        ec2.meta.events.register("before-send.ec2.CreateVpc", _set_invocation)
        first = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        server.restart()
        again = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        found = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.9.0.0/16"]}])["Vpcs"]
        assert [vpc["VpcId"] for vpc in found] == [first] == [again]


def _set_invocation(request: Any, **_: Any) -> None:
    request.headers["amz-sdk-invocation-id"] = "one-call"


def test_the_server_ends_cleanly_when_asked(tmp_path: Path):
    with running(tmp_path) as server:
        server.client("logs").create_log_group(logGroupName="g")
        assert server.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: data.replace(b'"moto": "', b'"moto": "0.', 1), "was written by moto 0."),
        (lambda data: data[:-1], "is damaged"),
        (lambda _: b"", "is not a state"),
    ],
)
def test_a_state_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, spoil: Any, said: str):
    MotoState(tmp_path).write(MotoState(tmp_path).dump(MotoState(tmp_path).load()))
    file = tmp_path / "moto.state"
    file.write_bytes(spoil(file.read_bytes()))
    port = str(kept_port(tmp_path))
    command = [sys.executable, "-m", "falaj.lab.moto_server", "--port", port, "--data", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_taken_port_is_refused_in_one_line(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "falaj.lab.moto_server", "--port", port, "--data", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr
    assert ended.stderr.count("\n") == 1


class FullDisk(MotoState):
    """A state that can be written until the disk is full."""

    full = False

    def write(self, dump: bytes) -> None:
        if self.full:
            raise LabError("cannot write moto.state: No space left on device")
        super().write(dump)


def signed(service: str) -> dict[str, str]:
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential=lab/20260101/{REGION}/{service}/aws4_request, Signature=0"}


def create_group(client: Client, name: str) -> Any:
    headers = signed("logs") | {
        "X-Amz-Target": "Logs_20140328.CreateLogGroup",
        "Content-Type": "application/x-amz-json-1.1",
    }
    return client.post("/", headers=headers, json={"logGroupName": name})


def test_a_change_that_finds_the_disk_full_is_refused_and_undone(tmp_path: Path):
    state = FullDisk(tmp_path)
    client = Client(DurableMoto(state))
    assert create_group(client, "before").status_code == 200
    state.full = True
    assert create_group(client, "lost").status_code == 507
    state.full = False
    assert create_group(client, "lost").status_code == 200
    assert create_group(client, "before").status_code == 400  # it is there already


def test_a_service_whose_state_cannot_be_written_down_is_refused_and_the_others_go_on(tmp_path: Path):
    client = Client(DurableMoto(MotoState(tmp_path)))
    assert client.get("/2015-03-31/functions/", headers=signed("lambda")).status_code == 501
    assert create_group(client, "g").status_code == 200


def test_a_request_that_moto_trips_over_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    client = Client(DurableMoto(MotoState(tmp_path)))
    create = LogsBackend.create_log_group

    def trip(*arguments: Any, **options: Any) -> None:
        create(*arguments, **options)
        raise RuntimeError("after half of the work")

    with monkeypatch.context() as patch:
        patch.setattr(LogsBackend, "create_log_group", trip)
        assert create_group(client, "g").status_code == 500
    assert create_group(client, "g").status_code == 200


def test_the_state_is_readable_by_its_owner_alone(tmp_path: Path):
    create_group(Client(DurableMoto(MotoState(tmp_path))), "g")
    assert os.stat(tmp_path / "moto.state").st_mode & 0o077 == 0  # noqa: PTH116


def test_web_pages_and_other_partitions_are_refused(tmp_path: Path):
    client = Client(DurableMoto(MotoState(tmp_path)))
    assert client.post("/moto-api/reset", headers={"Origin": "https://example.org"}).status_code == 403
    scope = {"Authorization": "AWS4-HMAC-SHA256 Credential=lab/20260101/cn-north-1/ec2/aws4_request, Signature=0"}
    assert client.get("/", headers=scope).status_code == 400


@pytest.mark.parametrize(
    ("request_", "name", "reads"),
    [
        (("POST", "TrentService.CreateKey", b"", b"{}"), "CreateKey", False),
        (("POST", "TrentService.GetParametersForImport", b"", b"{}"), "GetParametersForImport", False),
        (("POST", "TrentService.ListKeys", b"", b"{}"), "ListKeys", True),
        (("POST", "", b"", b"Action=DescribeVpcs&Version=2016-11-15"), "DescribeVpcs", True),
        (("GET", "", b"Action=CreateVpc", b""), "CreateVpc", False),
        (("GET", "", b"", b""), "Get", True),
        (("PUT", "", b"versioning", b""), "Put", False),
        (("POST", "", b"", b"anything else"), "Post", False),
    ],
)
def test_only_a_request_known_to_read_counts_as_reading(request_: Any, name: str, reads: bool):
    assert action(*request_) == name
    assert bool(READS.match(name)) == reads
