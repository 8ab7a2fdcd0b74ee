"""File systems and copies of disks: what passes, what fails, and what cannot be decided."""

from collections.abc import Mapping
from typing import Any

from policies.making import BUCKET, Case, allow, document, make, simple, urn

from falaj.policies.rules.storage import emptied, file_system_keys, shared_copies
from falaj.policies.values import UNKNOWN

KEY_ARN = "arn:aws:kms:me-central-1:123456789012:key/1"
EFS = "aws:efs/fileSystem:FileSystem"
EFS_POLICY = "aws:efs/fileSystemPolicy:FileSystemPolicy"
ACCESS_POINT = "aws:efs/accessPoint:AccessPoint"
NO_PLAIN_MOUNTS = {
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def nested(paths: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties of values by dotted path."""
    made: dict[str, Any] = {}
    for path, value in paths.items():
        *parents, last = path.split(".")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return made


def varied(rule: str, type_: str, good: Mapping[str, Any], path: str, bad: Any) -> Case:
    """Make a sound resource, one with a bad value (``None`` for none) at a path, and one with an unknown there."""
    return simple(rule, type_, *(nested({**good, path: value}) for value in (good[path], bad, UNKNOWN)))


def each(rule: str, rows: Mapping[str, tuple[Mapping[str, Any], str, Any]]) -> list[Case]:
    """Make such a case for each type."""
    return [varied(rule, type_, *row) for type_, row in rows.items()]


def companion(type_: str, link: str, properties: Mapping[str, Any], of: str, origin: str = "it") -> Any:
    """Make a companion as at preview: the id that it refers to is unknown, where it comes from is not."""
    return make(type_, {link: UNKNOWN, **properties}, name="companion", **{link: urn(of, origin)})


def mounts(policy: Any) -> list[Any]:
    return [make(EFS, {}), companion(EFS_POLICY, "fileSystemId", {"policy": policy}, EFS)]


def shared(type_: str, account: Any) -> dict[str, Any]:
    return {"sharedAccounts": [account]} if "rds" in type_ else {"accountId": account}


CASES = [
    *(
        varied(
            "FJ-STO-001",
            type_,
            {"encrypted": True, "kmsKeyId": KEY_ARN} if "efs" in type_ else {"kmsKeyId": KEY_ARN},
            "kmsKeyId",
            None,
        )
        for type_ in file_system_keys.types
    ),
    *(
        Case(
            "FJ-STO-002",
            *([make(type_, shared(type_, account))] for account in ("123456789012", "210987654321", UNKNOWN)),
            settings={"allowedAccounts": ["123456789012"]},
        )
        for type_ in shared_copies.types
    ),
    *(
        varied("FJ-STO-003", type_, {key: False}, key, True)
        for type_ in emptied.types
        for key in ("forceDelete" if "ecr" in type_ else "forceDestroy",)
    ),
    Case(
        "FJ-EFS-001",
        mounts(document(NO_PLAIN_MOUNTS)),
        mounts(document(NO_PLAIN_MOUNTS | {"Condition": {}})),
        mounts(UNKNOWN),
    ),
    Case(
        "FJ-EFS-001",
        mounts(document(allow("*"), NO_PLAIN_MOUNTS | {"Action": ["elasticfilesystem:ClientMount"]})),
        mounts(document(allow("*"))),
        [make(EFS, {}), make(EFS_POLICY, {"fileSystemId": UNKNOWN, "policy": document(NO_PLAIN_MOUNTS)})],
    ),
    varied(
        "FJ-EFS-002",
        ACCESS_POINT,
        {"rootDirectory.path": "/team", "posixUser.uid": 1000.0, "posixUser.gid": 1000.0},
        "rootDirectory.path",
        "/",
    ),
    varied(
        "FJ-EFS-002",
        ACCESS_POINT,
        {"rootDirectory.path": "/team", "posixUser.uid": 1000.0, "posixUser.gid": 1000.0},
        "posixUser.uid",
        0.0,
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("aws:efs/fileSystem:FileSystem", ["kmsKeyId"], None, {"FJ-STO-001"}),
    ("aws:efs/fileSystem:FileSystem", ["encrypted"], False, {"FJ-STO-001"}),
    ("LustreFileSystem", ["kmsKeyId"], None, {"FJ-STO-001"}),
    (BUCKET, ["forceDestroy"], True, {"FJ-STO-003"}),
    ("aws:backup/vault:Vault", ["forceDestroy"], True, {"FJ-STO-003"}),
    ("aws:ecr/repository:Repository", ["forceDelete"], True, {"FJ-STO-003"}),
    ("FileSystemPolicy", ["fileSystemId"], "another", {"FJ-EFS-001"}),
    ("aws:efs/accessPoint:AccessPoint", ["rootDirectory", "path"], "/", {"FJ-EFS-002"}),
    ("aws:efs/accessPoint:AccessPoint", ["posixUser", "uid"], 0, {"FJ-EFS-002"}),
    ("aws:efs/accessPoint:AccessPoint", ["posixUser"], None, {"FJ-EFS-002"}),
]
