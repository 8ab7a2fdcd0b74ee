"""A moto server to ask, and what the questions about its gaps share."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from falaj.lab.state import REGION, Lab

ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
PERSON = "arn:aws:iam::123456789012:role/aws-reserved/sso/people"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@dataclass
class Aws:
    """An emulated AWS, with what a question needs."""

    port: int

    def client(self, service: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id="lab",
            aws_secret_access_key="lab",
            config=Config(retries={"total_max_attempts": 1}),
        )

    @property
    def eks(self) -> Any:
        return self.client("eks")

    @property
    def ec2(self) -> Any:
        return self.client("ec2")

    def role(self) -> str:
        return self.client("iam").create_role(RoleName=name(), AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]

    def subnet(self) -> str:
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        return self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]

    def cluster(self, **more: Any) -> str:
        subnets = {"subnetIds": [self.subnet()]}
        made = {"name": name(), "version": "1.33", "roleArn": self.role(), "resourcesVpcConfig": subnets} | more
        return self.eks.create_cluster(**made)["cluster"]["name"]

    def cluster_with_entries(self) -> dict[str, str]:
        """Make a cluster that takes access entries; return how to name the one of a person."""
        return {"clusterName": self.cluster(accessConfig={"authenticationMode": "API"}), "principalArn": PERSON}

    def described(self, cluster: str) -> dict[str, Any]:
        return self.eks.describe_cluster(name=cluster)["cluster"]

    def group(self, cluster: str, **more: Any) -> dict[str, Any]:
        """Make a node group; return how to name it."""
        named = {"clusterName": cluster, "nodegroupName": name()}
        self.eks.create_nodegroup(**named, subnets=[self.subnet()], nodeRole=self.role(), **more)
        return named

    def described_group(self, named: dict[str, Any]) -> dict[str, Any]:
        return self.eks.describe_nodegroup(**named)["nodegroup"]

    def template(self, *versions: dict[str, Any], **more: Any) -> str:
        """Make a launch template with these versions."""
        first, *others = versions or ({"InstanceType": "m5.large"},)
        made = self.ec2.create_launch_template(LaunchTemplateName=name(), LaunchTemplateData=first, **more)
        identifier = made["LaunchTemplate"]["LaunchTemplateId"]
        for data in others:
            self.ec2.create_launch_template_version(LaunchTemplateId=identifier, LaunchTemplateData=data)
        return identifier

    def succeeded(self, update: dict[str, Any], cluster: str, **of: str) -> bool:
        """Ask after an update as the AWS provider does."""
        found = self.eks.describe_update(name=cluster, updateId=update["update"]["id"], **of)["update"]
        listed = self.eks.list_updates(name=cluster, **of)["updateIds"]
        return found["status"] == "Successful" and update["update"]["id"] in listed


def name() -> str:
    return f"n{uuid4().hex[:12]}"


def refused(call: Callable[[], Any], code: str, said: str) -> bool:
    try:
        call()
    except ClientError as error:
        return error.response.get("Error", {}).get("Code") == code and said in str(error)
    return False


def kept_port(folder: Path) -> int:
    """Return a port that no lab is given as long as the folder is there, whether something listens on it or not."""
    lab = Lab(folder / "ports")
    lab.create()
    return lab.allocate_ports(["moto"])["moto"]


@contextmanager
def serving(*arguments: str) -> Generator[Aws]:
    """Run a server of moto's protocol on a port of its own."""
    with tempfile.TemporaryDirectory() as folder:
        port = kept_port(Path(folder))
        command = [sys.executable, "-m", *arguments, f"--port={port}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                assert process.poll() is None, "the server ended"
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            else:
                raise AssertionError("the server did not listen in time")
            yield Aws(port)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
