"""Identities: no unbounded rights, no long-lived credentials, no role that anyone may take."""

from falaj.policies.documents import statements
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, never, rule
from falaj.policies.values import Fact, View

_ROLE = "aws:iam/role:Role"
_ADMINISTRATORS = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


@rule(
    "FJ-IAM-001",
    "No policy grants everything",
    Severity.CRITICAL,
    ("A.8.2", "A.5.15", "A.5.18"),
    (
        "aws:iam/policy:Policy",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/userPolicy:UserPolicy",
        "aws:iam/groupPolicy:GroupPolicy",
        _ROLE,
    ),
    "Name the actions, and the resources on which they are needed.",
)
def everything(policy: Resource, _: Context) -> Checks:
    """All but some actions (NotAction) on all resources is everything too."""
    documents: list[View] = [policy["policy"]]
    if policy.type == _ROLE:
        documents = [inline["policy"] for inline in policy["inlinePolicies"].each()]
    for document in documents:
        for statement in statements(document):
            granted = statement.grants_every_action() & statement.grants_every_resource()
            yield never(granted, "every action is granted on every resource")


@rule(
    "FJ-IAM-002",
    "Nobody is made administrator of the account",
    Severity.CRITICAL,
    ("A.8.2", "A.5.3", "A.5.18"),
    (
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:iam/userPolicyAttachment:UserPolicyAttachment",
        "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
        "aws:iam/policyAttachment:PolicyAttachment",
        "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive",
        "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive",
        "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive",
        _ROLE,
    ),
    "Attach a policy that names what is needed.",
)
def administrators(attachment: Resource, _: Context) -> Checks:
    """AWS's own policies of unbounded rights are known by name."""
    for key in ("policyArn", "policyArns", "managedPolicyArns"):
        for arn in attachment[key].each():
            administrator = arn.test(lambda text: str(text).rpartition("/")[2] in _ADMINISTRATORS)
            yield never(administrator, "an administrator's policy is attached")


@rule(
    "FJ-IAM-003",
    "There are no long-lived credentials",
    Severity.HIGH,
    ("A.5.17", "A.5.16", "ZT-3"),
    ("aws:iam/accessKey:AccessKey", "aws:iam/userLoginProfile:UserLoginProfile"),
    "Use roles: pod identity inside the cluster, federation for people and pipelines.",
)
def long_lived(_credential: Resource, _: Context) -> Checks:
    """Keys and passwords of IAM users do not end by themselves."""
    yield never(Fact(True), "a credential that does not expire")


@rule(
    "FJ-IAM-004",
    "Roles are taken by named callers",
    Severity.CRITICAL,
    ("A.5.15", "A.5.16", "ZT-6"),
    (_ROLE,),
    "Name the principals in assumeRolePolicy, or bound them by a condition on aws:PrincipalOrgID or aws:PrincipalArn.",
)
def trust(role: Resource, _: Context) -> Checks:
    """Who may take a role has all that the role has."""
    for statement in statements(role["assumeRolePolicy"]):
        yield never(statement.open_to_anyone(), "anyone may take the role")


RULES: tuple[Rule, ...] = (everything, administrators, long_lived, trust)
