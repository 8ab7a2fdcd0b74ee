"""Who calls the emulated AWS, and the policies that bind them: identity, boundary, session, organization."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.credentials import Credentials
from moto.iam.access_control import AssumedRoleAccessKey, IAMPolicy, IAMRequestBase
from moto.iam.models import Role, iam_backends
from moto.organizations.models import OrganizationsBackend, organizations_backends
from moto.sts.models import sts_backends

Document = dict[str, Any]
FULL_ACCESS: Document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class RootAccessKey:
    """The root user of an account: IAM allows it everything, but the policies of buckets and keys bind it too."""

    def __init__(self, account_id: str, credentials: Credentials):
        self.arn = f"arn:aws:iam::{account_id}:root"
        self._credentials = credentials

    def create_credentials(self) -> Credentials:
        """Return what the request must be signed with."""
        return self._credentials


@dataclass(frozen=True)
class Caller:
    """Whoever signed a request."""

    account: str
    arn: str
    """As in policies' ``Principal``: of a user, a role's session or the root user."""
    context: Mapping[str, str]
    """The condition keys that describe the caller."""
    identity_policies: list[Document]
    permission_boundaries: list[Document] = field(default_factory=list[Document])
    session_policy: Document | None = None

    @property
    def is_root(self) -> bool:
        """Whether this is the account's root user."""
        return self.arn.endswith(":root")


def caller_of(request: IAMRequestBase) -> Caller:
    """Return who signed the request."""
    key: Any = request._access_key  # pyright: ignore[reportPrivateUsage]  # moto has no public place for it
    account = request.account_id
    if isinstance(key, RootAccessKey):
        return Caller(account, key.arn, _described(account, key.arn, "Account", []), [FULL_ACCESS])
    policies = [_parsed(policy) for policy in key.collect_policies()]
    if isinstance(key, AssumedRoleAccessKey):
        named = key.create_credentials().access_key
        session = next(one for one in sts_backends[account]["aws"].assumed_roles if one.access_key_id == named)
        role = iam_backends[account]["aws"].get_role_by_arn(session.role_arn)
        return Caller(
            account,
            key.arn,
            _described(account, role.arn, "AssumedRole", role.tags),
            policies,
            _boundaries(account, role),
            json.loads(session.policy) if session.policy else None,
        )
    tags = iam_backends[account]["aws"].tagger.list_tags_for_resource(key.arn)["Tags"]
    return Caller(account, key.arn, _described(account, key.arn, "User", tags), policies)


def organization_of(account: str) -> str | None:
    """Return the id of the organization that the account is a member of."""
    found = _organization(account)
    return found.org.id if found and found.org else None


def scps_of(account: str) -> list[list[Document]]:
    """Return the service control policies that bind the account: a list for each level, from the root down."""
    organization = _organization(account)
    if organization is None or organization.org is None or organization.org.master_account_id == account:
        return []  # AWS does not bind the management account
    levels: list[Any] = [next(member for member in organization.accounts if member.id == account)]
    while parent := next((unit for unit in organization.ou if unit.id == levels[0].parent_id), None):
        levels.insert(0, parent)
        if parent.type == "ROOT":
            break
    attached = [
        [json.loads(policy.content) for policy in level.attached_policies if policy.type == "SERVICE_CONTROL_POLICY"]
        for level in levels
    ]
    # Organizations attaches FullAWSAccess at every level; moto at none below the root.
    return [policies if FULL_ACCESS in policies else [FULL_ACCESS, *policies] for policies in attached]


def _organization(account: str) -> OrganizationsBackend | None:
    backends = [partitions["aws"] for partitions in organizations_backends.values() if "aws" in partitions]
    return next((one for one in backends if any(member.id == account for member in one.accounts)), None)


def _described(account: str, arn: str, kind: str, tags: list[dict[str, str]]) -> dict[str, str]:
    organization = organization_of(account)
    return {
        "aws:PrincipalArn": arn,
        "aws:PrincipalAccount": account,
        "aws:PrincipalType": kind,
        "aws:PrincipalIsAWSService": "false",
        "aws:ViaAWSService": "false",
        **({"aws:PrincipalOrgID": organization} if organization else {}),
        **{f"aws:PrincipalTag/{tag['Key']}": tag["Value"] for tag in tags},
    }


def _boundaries(account: str, role: Role) -> list[Document]:
    arn = role.permissions_boundary_arn
    return [_parsed(iam_backends[account]["aws"].get_policy(arn))] if arn else []


def _parsed(policy: Any) -> Document:
    """Return the document of a policy in any of the forms in which moto keeps them."""
    return IAMPolicy(policy)._policy_json  # pyright: ignore[reportPrivateUsage]  # moto has no public place for it
