"""The organization: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import Case, document, make, simple

from falaj.policies.values import UNKNOWN

_ORGANIZATION = "aws:organizations/organization:Organization"
_POLICY = "aws:organizations/policy:Policy"
_MANAGED = "aws:iam/policy:Policy"
_ATTACHMENT = "aws:organizations/policyAttachment:PolicyAttachment"
_SHARE = "aws:ram/resourceShare:ResourceShare"
_PERMISSIONS = "aws:ssoadmin/permissionSet:PermissionSet"
_FEATURES = "aws:iam/organizationsFeatures:OrganizationsFeatures"
_GLOBAL = ["iam:*", "organizations:*", "route53:*", "support:*", "sts:*"]


def denial(region: Any = "me-central-1", **parts: Any) -> dict[str, Any]:
    condition = {"StringNotEquals": {"aws:RequestedRegion": region}}
    what = parts or {"NotAction": _GLOBAL}
    return {"Effect": "Deny", "Resource": "*", "Condition": condition} | what


def guards(rule: str, type_: str, good: dict[str, Any], bad: dict[str, Any]) -> Case:
    name = "policy" if type_ == _MANAGED else "content"
    return simple(rule, type_, *({name: given} for given in (document(good), document(bad), UNKNOWN)))


def attachments(*policies: Any) -> list[Any]:
    return [
        make(_ATTACHMENT, {"policyId": policy, "targetId": "ou-ab12-cdef3456"}, name=f"attachment-{number}")
        for number, policy in enumerate(policies)
    ]


def organization(content: Any) -> list[Any]:
    return [make(_ORGANIZATION, {}), make(_POLICY, {"content": content}, name="guard")]


_LEAVING = {"Effect": "Deny", "Action": "organizations:LeaveOrganization", "Resource": "*"}
_BOUND = {"enabledPolicyTypes": ["SERVICE_CONTROL_POLICY"]}

CASES = [
    simple(
        "FJ-ORG-001", _ORGANIZATION, _BOUND, {"enabledPolicyTypes": ["TAG_POLICY"]}, _BOUND | {"featureSet": UNKNOWN}
    ),
    *(guards("FJ-ORG-002", type_, denial(), denial(NotAction=["iam:*"])) for type_ in (_POLICY, _MANAGED)),
    *(guards("FJ-ORG-003", type_, denial(), denial(["me-central-1", "us-east-1"])) for type_ in (_POLICY, _MANAGED)),
    Case(
        "FJ-ORG-004",
        attachments("p-FullAWSAccess", "p-ab12cd34"),
        attachments("p-FullAWSAccess"),
        attachments("p-FullAWSAccess", UNKNOWN),
    ),
    simple(
        "FJ-ORG-005",
        _SHARE,
        {"allowExternalPrincipals": False},
        {"allowExternalPrincipals": True},
        {"allowExternalPrincipals": UNKNOWN},
    ),
    simple(
        "FJ-ORG-006",
        _PERMISSIONS,
        {"sessionDuration": "PT4H"},
        {"sessionDuration": "PT4H1M"},
        {"sessionDuration": UNKNOWN},
    ),
    Case(
        "FJ-ORG-007",
        organization(document(_LEAVING)),
        organization(document(_LEAVING | {"Action": "organizations:CloseAccount"})),
        organization(UNKNOWN),
    ),
    simple(
        "FJ-ORG-008",
        _FEATURES,
        {"enabledFeatures": ["RootSessions", "RootCredentialsManagement"]},
        {"enabledFeatures": ["RootSessions"]},
        {"enabledFeatures": UNKNOWN},
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (_MANAGED, ["policy"], document(denial(NotAction=["iam:*"])), {"FJ-ORG-002"}),
    (_MANAGED, ["policy"], document(denial("eu-west-1")), {"FJ-ORG-003"}),
]
