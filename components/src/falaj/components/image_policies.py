"""The policies of an image registry: who pulls and pushes, what is denied to all others, and what is forgotten."""

from collections.abc import Sequence
from typing import Any

from falaj.components.documents import NO_SERVICE, allow, deny, document
from falaj.components.regime import Regime

_PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
# The lifecycle rules are tried in this order.
_FIRST, _SECOND = 1, 2


def repository_policy(regime: Regime, *, shared: bool) -> dict[str, Any]:
    """Return the policy of a repository: nobody from outside; other accounts of the organization pull if it is shared.

    Within the account IAM grants, so that nothing has to be allowed here.
    """
    outside = _deny_strangers("DenyOutside", {"Action": "ecr:*"}, _home(regime, shared=shared))
    if not shared:
        return document(outside)
    pull = {
        "Sid": "PullInsideOrganization",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": _PULL,
        "Condition": {"StringEquals": _home(regime, shared=True)},
    }
    only_pull = _deny_strangers("DenyAllButPullToOtherAccounts", {"NotAction": _PULL}, _home(regime, shared=False))
    return document(pull, outside, only_pull)


def registry_policy(regime: Regime, prefixes: Sequence[str], importers: Sequence[str]) -> dict[str, Any]:
    """Return the policy of the registry: nobody sends images to it from elsewhere; the importers fill the mirrors.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html
    """
    everything = _repositories(regime, "*")
    statements: list[dict[str, Any]] = [
        deny("DenyReplication", "ecr:ReplicateImage", everything),
        _deny_strangers(
            "DenyCreationOutsideAccount",
            {
                "Action": ["ecr:CreateRepository", "ecr:BatchImportUpstreamImage", "ecr:PutImage"],
                "Resource": everything,
            },
            _home(regime, shared=False),
        ),
    ]
    if prefixes and importers:
        imports = allow(
            ["ecr:CreateRepository", "ecr:BatchImportUpstreamImage"],
            [_repositories(regime, f"{prefix}/*") for prefix in prefixes],
        )
        statements.append({"Sid": "ImportIntoMirrors", "Principal": {"AWS": list(importers)}, **imports})
    return document(*statements)


def lifecycle_policy(keep_tagged: int, untagged_days: int) -> dict[str, Any]:
    """Return the rules by which a repository forgets: what has no tag after its days, the oldest of too many tags."""

    def rule(priority: int, description: str, selection: dict[str, Any]) -> dict[str, Any]:
        action = {"type": "expire"}
        return {"rulePriority": priority, "description": description, "selection": selection, "action": action}

    aged = {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": untagged_days}
    many = {"countType": "imageCountMoreThan", "countNumber": keep_tagged}
    return {
        "rules": [
            rule(_FIRST, "Forget what lost its tag", {"tagStatus": "untagged", **aged}),
            rule(_SECOND, "Keep the newest", {"tagStatus": "tagged", "tagPatternList": ["*"], **many}),
        ]
    }


def creation_permissions(regime: Regime, prefixes: Sequence[str], key: str) -> dict[str, Any]:
    """Return what ECR needs to make a mirrored repository with our key and tags.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-custom.html
    """
    repositories = [_repositories(regime, f"{prefix}/*") for prefix in prefixes]
    keys = allow(["kms:CreateGrant", "kms:RetireGrant", "kms:DescribeKey"], key)
    service = f"ecr.{regime['home_region']}.amazonaws.com"
    return document(
        allow(["ecr:CreateRepository", "ecr:TagResource"], repositories),
        keys | {"Condition": {"StringEquals": {"kms:ViaService": service}}},
    )


def _deny_strangers(sid: str, what: dict[str, Any], home: dict[str, str]) -> dict[str, Any]:
    """Deny it to whoever does not belong here; in a repository's policy ``what`` names no resource."""
    condition = {"StringNotEquals": home} | NO_SERVICE
    return {"Sid": sid, "Effect": "Deny", "Principal": {"AWS": "*"}, **what, "Condition": condition}


def _repositories(regime: Regime, name: str) -> str:
    return f"arn:aws:ecr:{regime['home_region']}:{regime['account_id']}:repository/{name}"


def _home(regime: Regime, *, shared: bool) -> dict[str, str]:
    """Return the condition key by which somebody belongs here, with its value."""
    if shared:
        return {"aws:PrincipalOrgID": regime["organization_id"]}  # pyright: ignore[reportTypedDictNotRequiredAccess]
    return {"aws:PrincipalAccount": regime["account_id"]}
