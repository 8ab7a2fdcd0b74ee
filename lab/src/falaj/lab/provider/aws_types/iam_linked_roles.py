"""IAM roles that are linked to a service of AWS, which alone may use them."""

from typing import Any

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Call, Put, as_pairs, resource, tag_change
from falaj.lab.provider.kind import Change
from falaj.lab.provider.values import Props


def _name(identifier: str) -> str:
    """Return the name of a role; its ARN identifies it here: …:role/aws-service-role/SERVICE/NAME."""
    return identifier.rpartition("/")[2]


def _read(aws: Aws, identifier: str, known: Props) -> Props:
    del known
    role: Any = aws.call("iam.get_role", RoleName=_name(identifier))["Role"]
    return {
        "arn": role["Arn"],
        "name": role["RoleName"],
        "path": role["Path"],
        "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": role.get("Description"),
        "awsServiceName": role["Path"].strip("/").rpartition("/")[2],
        "customSuffix": role["RoleName"].partition("_")[2] or None,
        "tags": role.get("Tags"),
    }


def _describe(aws: Aws, identifier: str, change: Change) -> None:
    aws.call("iam.update_role", RoleName=_name(identifier), Description=change.wanted.get("description") or "")


def _tags(aws: Aws, identifier: str, change: Change) -> None:
    added, removed = tag_change(change)
    if added:
        aws.call("iam.tag_role", RoleName=_name(identifier), Tags=as_pairs(added))
    if removed:
        aws.call("iam.untag_role", RoleName=_name(identifier), TagKeys=removed)


def _delete(aws: Aws, identifier: str, state: Props) -> None:
    del state
    aws.call("iam.delete_service_linked_role", RoleName=_name(identifier))


LINKED_ROLE = resource(
    "aws:iam/serviceLinkedRole:ServiceLinkedRole",
    create=Call(
        "iam.create_service_linked_role",
        {"AWSServiceName": "@awsServiceName", "CustomSuffix": "@customSuffix", "Description": "@description"},
        "Role.Arn",
    ),
    read=_read,
    update=[Put("description", _describe), Put("tags", _tags)],
    delete=_delete,
)

KINDS = [LINKED_ROLE]
