"""An AWS with IAM enforced: what is in it, and clients of those who are let in and those who are not."""

import json
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from examples import Example

from falaj.lab.state import ACCOUNT, REGION
from falaj.lab.testing import RunningLab

ELSEWHERE = "eu-west-1"
STRANGER = "999999999999"
"""An account outside the organization."""
FULL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Enforced:
    """The lab, with an organization of two accounts, what the program made, and who may be asked to call."""

    def __init__(self, lab: RunningLab) -> None:
        self._env = lab.env
        self.endpoint = lab.env["AWS_ENDPOINT_URL"]
        organizations = self.root("organizations")
        organization = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
        made = organizations.create_account(AccountName="team", Email="team@example.com")["CreateAccountStatus"]
        self.member: str = made["AccountId"]
        identifier, secret, _ = self.user(ACCOUNT, FULL, name="deployer")
        deployer: Any = SimpleNamespace(
            env={**lab.env, "AWS_ACCESS_KEY_ID": identifier, "AWS_SECRET_ACCESS_KEY": secret}
        )
        program = Example(deployer, str(Path(__file__).with_name("program")))
        program.run("pulumi", "stack", "select", "--create", "test", "--non-interactive")
        for name, value in {"organization": organization, "member": self.member}.items():
            program.run("pulumi", "config", "set", "--stack", "test", name, value)
        program.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs")
        self.bucket, self.key, self.named = (program.outputs()[name] for name in ("bucket", "key", "named"))

    def root(self, service: str, *, account: str = ACCOUNT, region: str = REGION) -> Any:
        """Return a client of an account's root user, whom the lab itself is."""
        credentials = (self._env["AWS_ACCESS_KEY_ID"], self._env["AWS_SECRET_ACCESS_KEY"], None)
        client = self.client(service, credentials, region)
        client.meta.events.register("before-sign", _in_account(account))
        return client

    def client(self, service: str, credentials: tuple[str, str, str | None], region: str = REGION) -> Any:
        """Return a client with these credentials."""
        identifier, secret, token = credentials
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=identifier,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def role(self, name: str) -> tuple[str, str, str | None]:
        """Return the credentials of a session of one of the program's roles."""
        return session(self.root("sts"), f"arn:aws:iam::{ACCOUNT}:role/{name}")

    @cached_property
    def stranger(self) -> tuple[str, str, str | None]:
        """A user to whom another account, outside the organization, grants everything."""
        return self.user(STRANGER, FULL, name="stranger")

    @cached_property
    def colleague(self) -> tuple[str, str, str | None]:
        """A user to whom another account of the organization grants everything."""
        return self.user(self.member, FULL, name="colleague")

    def user(
        self, account: str, policy: dict[str, Any] | None = None, *, name: str, team: str = ""
    ) -> tuple[str, str, str | None]:
        """Make a user in an account and return their credentials."""
        iam = self.root("iam", account=account)
        iam.create_user(UserName=name, Tags=[{"Key": "team", "Value": team}] if team else [])
        if policy:
            iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"], None


def session(sts: Any, role: str) -> tuple[str, str, str | None]:
    """Return the credentials of a session of a role."""
    made = sts.assume_role(RoleArn=role, RoleSessionName="proof")["Credentials"]
    return made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """Return the error code of a call that must be refused, and what is said."""
    try:
        call(**arguments)
    except ClientError as error:
        answer = error.response.get("Error", {})
        return str(answer.get("Code")), str(answer.get("Message"))
    raise AssertionError("the call was let through")


def _in_account(account: str) -> Any:
    def name(request: Any, **_: Any) -> None:
        request.headers["x-moto-account-id"] = account

    return name
