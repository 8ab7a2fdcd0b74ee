"""RegionGuard on HashiCorp's provider: the boundary and the service control policy that AWS holds, and their end."""

import json

import pytest
from botocore.exceptions import ClientError
from examples import Example
from organizations import organization_of

from falaj.components import RegionGuardMode
from falaj.components.region_guard import guard_policy
from falaj.lab.state import ACCOUNT, REGION

pytestmark = pytest.mark.lab
ARN = f"arn:aws:iam::{ACCOUNT}:policy/dev-region-guard"
REGIME = {"home_region": REGION, "account_id": ACCOUNT}
TO = {
    "exempt": [f"arn:aws:iam::{ACCOUNT}:role/break-glass"],
    "deployers": [f"arn:aws:iam::{ACCOUNT}:role/platform-deployer"],
}


def boundary(iam) -> dict:
    """Return the document of the boundary that is in force."""
    version = iam.get_policy(PolicyArn=ARN)["Policy"]["DefaultVersionId"]
    return iam.get_policy_version(PolicyArn=ARN, VersionId=version)["PolicyVersion"]["Document"]


def unit(example) -> str:
    """Return the id of a new unit, in an organization that takes service control policies."""
    organization_of(example)
    organizations = example.aws("organizations")
    (root,) = organizations.list_roots()["Roots"]
    if not root["PolicyTypes"]:
        organizations.enable_policy_type(RootId=root["Id"], PolicyType="SERVICE_CONTROL_POLICY")
    made = organizations.create_organizational_unit(ParentId=root["Id"], Name="workloads")
    return made["OrganizationalUnit"]["Id"]


def test_a_role_carries_the_guard_as_its_boundary_and_then_a_unit_carries_it(bridged):
    example = Example(bridged, "region-guard")
    example.up()
    assert example.changes() == {}
    iam, organizations = example.aws("iam"), example.aws("organizations")
    wanted = guard_policy(RegionGuardMode.PERMISSION_BOUNDARY, REGIME, "dev-region-guard", **TO)
    assert boundary(iam) == wanted
    carried = iam.get_role(RoleName="vision-developer")["Role"]["PermissionsBoundary"]
    assert carried["PermissionsBoundaryArn"] == ARN

    assert example.changes(chat="true")["guard-boundary"] == ("update", {"policy"})
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    opened = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.create_policy_version(PolicyArn=ARN, PolicyDocument=opened, SetAsDefault=True)
    assert example.drift()["guard-boundary"][1] == {"policy"}
    example.up()
    assert boundary(iam) == wanted

    target = unit(example)
    example.up(target=target)
    (attached,) = [
        each
        for each in organizations.list_policies_for_target(TargetId=target, Filter="SERVICE_CONTROL_POLICY")["Policies"]
        if not each["AwsManaged"]
    ]
    content = json.loads(organizations.describe_policy(PolicyId=attached["Id"])["Policy"]["Content"])
    assert content == guard_policy(RegionGuardMode.SERVICE_CONTROL_POLICY, REGIME, "dev-region-guard", **TO)
    assert "PermissionsBoundary" not in iam.get_role(RoleName="vision-developer")["Role"]
    another = unit_beside(organizations, target)
    moved = example.changes(target=another)
    assert [moved[f"guard-on-{each}"][0] for each in (another, target)] == ["create", "delete"]
    organizations.detach_policy(PolicyId=attached["Id"], TargetId=target)
    assert example.drift()[f"guard-on-{target}"][0] == "delete"
    example.up(target=target)
    assert attached["Id"] in policies_of(organizations, target)

    example.destroy()
    assert attached["Id"] not in policies_of(organizations, target)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_policy(PolicyArn=ARN)


def unit_beside(organizations, target: str) -> str:
    (parent,) = organizations.list_parents(ChildId=target)["Parents"]
    made = organizations.create_organizational_unit(ParentId=parent["Id"], Name="others")
    return made["OrganizationalUnit"]["Id"]


def policies_of(organizations, target: str) -> set[str]:
    found = organizations.list_policies_for_target(TargetId=target, Filter="SERVICE_CONTROL_POLICY")["Policies"]
    return {each["Id"] for each in found}
