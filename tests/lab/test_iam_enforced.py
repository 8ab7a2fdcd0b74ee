"""IAM enforced: who calls, what is asked of the authorizer, and that nothing is let through without its yes."""

import json
import os
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from asking import TRUST, kept_port
from botocore.config import Config
from botocore.exceptions import ClientError

from falaj.lab.authorizer import Authorizer
from falaj.lab.errors import LabError
from falaj.lab.services import SERVICES, remember_authorizer
from falaj.lab.state import ACCOUNT, REGION, Lab

ALLOWED = {"allowed": True, "because": "of a test"}
ROOT = ("AKIAROOTROOTROOTROOT", "secret", None)
OWN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}
# Writes down each question; says no to what the file `no` names, and nothing sensible once the file `broken` is there.
AUTHORIZER = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
for line in sys.stdin:
    question = json.loads(line)
    with (folder / "asked").open("a") as file:
        file.write(line)
    if (folder / "broken").exists():
        sys.exit((folder / "broken").read_text() or 0)
    no = (folder / "no").read_text().split() if (folder / "no").exists() else []
    if question["action"] == "s3:GetBucketAcl":
        print(json.dumps({"error": "no such thing"}), flush=True)
    else:
        print(json.dumps({"allowed": question["action"] not in no, "because": "so it is"}), flush=True)
"""


class Enforcing:
    """A server whose authorizer is told by files."""

    def __init__(self, folder: Path, port: int):
        self.folder, self.port = folder, port

    def client(self, service: Any, credentials: tuple[str, str, str | None] = ROOT) -> Any:
        identifier, secret, token = credentials
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id=identifier,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def asked(self) -> list[dict[str, Any]]:
        """Return the questions since the last time, and forget them."""
        path = self.folder / "asked"
        questions = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        return questions

    def deny(self, *actions: str) -> None:
        (self.folder / "no").write_text(" ".join(actions))


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(ClientError) as error:
        yield
    assert error.value.response.get("Error", {}).get("Code") == code


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enforcing]:
    folder = tmp_path_factory.mktemp("authorizer")
    port = kept_port(folder)
    program = folder / "authorizer.py"
    program.write_text(AUTHORIZER)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "falaj.lab.moto_server", f"--port={port}", f"--data={folder / 'moto'}"),
            f"--authorizer={shlex.join([sys.executable, str(program), str(folder)])}",
        ],
        env={**os.environ, "AWS_ACCESS_KEY_ID": ROOT[0], "AWS_SECRET_ACCESS_KEY": ROOT[1]},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "emulated AWS" in process.stderr.readline()
    yield Enforcing(folder, port)
    process.kill()
    process.communicate()


@pytest.fixture
def aws(server: Enforcing) -> Enforcing:
    server.deny()
    (server.folder / "broken").unlink(missing_ok=True)
    server.asked()
    return server


@pytest.fixture
def bucket(aws: Enforcing) -> str:
    name = f"bucket-{len(aws.client('s3').list_buckets()['Buckets'])}"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def user(aws: Enforcing, name: str) -> tuple[str, str, str | None]:
    iam = aws.client("iam")
    iam.create_user(UserName=name, Tags=[{"Key": "team", "Value": "vision"}])
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(OWN))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"], None


def test_a_question_says_who_asks_for_what_and_which_policies_count(aws, bucket):
    alice = user(aws, "alice")
    policy = {"Version": "2012-10-17", "Statement": [{"Sid": "Bucket", "Effect": "Deny", "Principal": "*"}]}
    policy["Statement"][0] |= {"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/x"}
    aws.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    aws.asked()
    aws.client("s3", alice).put_object(Bucket=bucket, Key="a/b c", Body=b"", ServerSideEncryption="AES256")
    (question,) = aws.asked()
    assert question["principal"] == f"arn:aws:iam::{ACCOUNT}:user/alice"
    assert (question["action"], question["resource"]) == ("s3:PutObject", f"arn:aws:s3:::{bucket}/a/b c")
    assert question["account"] == ACCOUNT
    assert question["identity_policies"] == [OWN]
    assert question["resource_policy"] == policy
    assert question["context"].items() >= {
        ("aws:PrincipalAccount", ACCOUNT),
        ("aws:PrincipalTag/team", "vision"),
        ("aws:PrincipalType", "User"),
        ("aws:RequestedRegion", REGION),
        ("aws:ResourceAccount", ACCOUNT),
        ("s3:x-amz-server-side-encryption", "AES256"),
    }


def test_a_role_s_session_brings_its_boundary_and_its_own_policy(aws):
    iam = aws.client("iam")
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(OWN))["Policy"]["Arn"]
    made = iam.create_role(RoleName="bound", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary)
    sts = aws.client("sts")
    assumed = sts.assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="one", Policy=json.dumps(OWN))
    credentials = assumed["Credentials"]
    aws.asked()
    session = (credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
    aws.client("kms", session).create_key()
    (question,) = aws.asked()
    assert question["principal"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/bound/one"
    assert question["context"]["aws:PrincipalArn"] == made["Role"]["Arn"]
    assert question["permission_boundaries"] == [OWN]
    assert question["session_policy"] == OWN


def test_an_encrypted_object_asks_for_its_key_through_s3(aws, bucket):
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3 = aws.client("s3")
    s3.put_object(Bucket=bucket, Key="o", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    aws.asked()
    s3.get_object(Bucket=bucket, Key="o")
    first, second = aws.asked()
    assert first["action"] == "s3:GetObject"
    assert (second["action"], second["resource"]) == ("kms:Decrypt", key)
    assert second["context"]["kms:ViaService"] == f"s3.{REGION}.amazonaws.com"
    assert second["resource_policy"]["Statement"]

    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/o")
    asked = [question["action"] for question in aws.asked()]
    assert asked[:3] == ["s3:PutObject", "s3:GetObject", "kms:Decrypt"]
    aws.deny("kms:Decrypt")
    with refused("AccessDenied"):
        s3.get_object(Bucket=bucket, Key="o")


def test_a_key_is_found_by_every_name_and_by_what_it_encrypted(aws):
    kms = aws.client("kms")
    key, other = (kms.create_key()["KeyMetadata"] for _ in range(2))
    kms.create_alias(AliasName="alias/one", TargetKeyId=key["KeyId"])
    aws.asked()
    for name in (key["KeyId"], key["Arn"], "alias/one", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/one"):
        sealed = kms.encrypt(KeyId=name, Plaintext=b"x", EncryptionContext={"a:b": "c"})["CiphertextBlob"]
    kms.decrypt(CiphertextBlob=sealed, EncryptionContext={"a:b": "c"})
    questions = aws.asked()
    assert {question["resource"] for question in questions} == {key["Arn"]}
    assert questions[-1]["action"] == "kms:Decrypt"
    assert questions[-1]["context"]["kms:EncryptionContext:a:b"] == "c"

    kms.re_encrypt(CiphertextBlob=sealed, SourceEncryptionContext={"a:b": "c"}, DestinationKeyId=other["KeyId"])
    source, destination = aws.asked()
    assert (source["action"], source["resource"]) == ("kms:ReEncryptFrom", key["Arn"])
    assert (destination["action"], destination["resource"]) == ("kms:ReEncryptTo", other["Arn"])


def test_a_refusal_is_told_as_the_service_tells_it_and_changes_nothing(aws, bucket):
    aws.deny("kms:CreateKey", "s3:PutObject", "s3:PutBucketPublicAccessBlock")
    kms, s3 = aws.client("kms"), aws.client("s3")
    before = len(kms.list_keys()["Keys"])
    with refused("AccessDeniedException"):
        kms.create_key()
    with refused("AccessDenied"):
        s3.put_object(Bucket=bucket, Key="o", Body=b"")
    with refused("AccessDenied"):
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    assert len(kms.list_keys()["Keys"]) == before
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_of_other_services_the_root_user_may_do_all_and_others_are_asked_about(aws):
    bob = user(aws, "bob")
    aws.deny("ec2:DescribeVpcs")
    aws.client("ec2").describe_vpcs()
    assert aws.asked() == []
    with refused("AccessDenied"):
        aws.client("ec2", bob).describe_vpcs()
    assert [question["resource"] for question in aws.asked()] == ["*"]


def test_who_does_not_sign_or_signs_wrongly_is_refused_before_anything_is_asked(aws):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://127.0.0.1:{aws.port}/", timeout=30)
    assert error.value.code == 403
    with refused("SignatureDoesNotMatch"):
        aws.client("s3", (ROOT[0], "wrong", None)).list_buckets()
    somebody = ("AKIASOMEBODYELSE0000", "secret", None)
    with refused("UnrecognizedClientException"):
        aws.client("kms", somebody).list_keys()
    with refused("InvalidClientTokenId"):
        aws.client("iam", somebody).list_users()
    with refused("InvalidSignatureException"):
        aws.client("kms", (ROOT[0], "wrong", None)).list_keys()
    assert aws.asked() == []


def test_without_an_answer_nothing_is_let_through_and_the_next_request_is_asked_anew(aws, bucket):
    with refused("500"):
        aws.client("s3").get_bucket_acl(Bucket=bucket)  # an answer that says that it cannot decide
    (aws.folder / "broken").write_text("")
    with refused("500"):
        aws.client("kms").create_key()
    (aws.folder / "broken").unlink()
    aws.client("kms").create_key()


def test_an_authorizer_that_cannot_be_started_or_does_not_answer_is_named():
    question = {"action": "s3:GetObject", "resource": "*"}
    with pytest.raises(LabError, match="cannot start the authorizer /nowhere"):
        Authorizer(["/nowhere"]).ask(question)
    with pytest.raises(LabError, match="try it by hand: true"):
        Authorizer(["true"]).ask(question)


def test_an_authorizer_that_gives_no_answer_and_stays_is_not_asked_again(tmp_path):
    program, silent = tmp_path / "program", tmp_path / "silent"
    program.write_text(f"[ -e {silent} ] && exec >&- sleep 600; while read q; do echo '{json.dumps(ALLOWED)}'; done")
    silent.touch()
    question = {"action": "s3:GetObject", "resource": "*"}
    authorizer = Authorizer(["sh", str(program)])
    with pytest.raises(LabError, match="try it by hand"):
        authorizer.ask(question)
    silent.unlink()
    assert authorizer.ask(question).allowed
    authorizer.close()


def test_a_lab_remembers_its_authorizer_until_it_is_told_none(tmp_path):
    lab = Lab(tmp_path / "lab")
    lab.create()
    lab.allocate_ports(["moto", "openbao"])
    moto = next(service for service in SERVICES if service.name == "moto")
    remember_authorizer(lab, "node decide.mjs")
    assert "--authorizer=node decide.mjs" in moto.command(lab, {})
    assert set(moto.environment(lab)) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    remember_authorizer(lab, "none")
    assert not any("authorizer" in part for part in moto.command(lab, {}))
