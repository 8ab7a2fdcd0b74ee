"""Identities: no administrators, no long-lived credentials, no role that anyone may take."""

from falaj.policies.documents import Document, statements
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.rules.grants import IDENTITY_POLICIES, MANAGED, ROLE, documents
from falaj.policies.values import Fact, any_of

_ATTACHMENTS = (
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
)
_ADMINISTRATORS = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


@rule(
    "FJ-IAM-001",
    "No policy grants everything",
    Severity.CRITICAL,
    ("A.8.2", "A.5.15", "A.5.18"),
    IDENTITY_POLICIES,
    "Name the actions, and the resources on which they are needed.",
)
def everything(policy: Resource, _: Context) -> Checks:
    """All but some actions (NotAction) on all resources is everything too."""
    for document in documents(policy):
        for statement in document.statements:
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
        "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment",
        "aws:ssoadmin/managedPolicyAttachmentsExclusive:ManagedPolicyAttachmentsExclusive",
        "aws:rolesanywhere/profile:Profile",
        ROLE,
    ),
    "Attach a policy that names what is needed.",
)
def administrators(attachment: Resource, _: Context) -> Checks:
    """AWS's own policies of unbounded rights are known by name."""
    for key in ("policyArn", "policyArns", "managedPolicyArn", "managedPolicyArns"):
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
    (ROLE,),
    "Name the principals in assumeRolePolicy, or bound them by a condition on aws:PrincipalOrgID or aws:PrincipalArn.",
)
def trust(role: Resource, _: Context) -> Checks:
    """Who may take a role has all that the role has."""
    for statement in statements(role["assumeRolePolicy"]):
        yield never(statement.open_to_anyone(), "anyone may take the role")


@rule(
    "FJ-IAM-018",
    "There are no users of IAM",
    Severity.HIGH,
    ("A.5.16", "A.8.5", "ZT-3"),
    ("aws:iam/user:User",),
    "Let people in through IAM Identity Center or federation, and programs through roles.",
)
def users(_user: Resource, _: Context) -> Checks:
    """A user is an identity outside the directory: it outlives the person's leaving."""
    yield never(Fact(True), "an identity that no directory knows")


@rule(
    "FJ-IAM-019",
    "Rights are given to groups and roles, not to single users",
    Severity.MEDIUM,
    ("A.5.18", "A.5.15"),
    (
        "aws:iam/userPolicy:UserPolicy",
        "aws:iam/userPolicyAttachment:UserPolicyAttachment",
        "aws:iam/policyAttachment:PolicyAttachment",
    ),
    "Attach the policy to a role or a group.",
)
def single_users(attachment: Resource, _: Context) -> Checks:
    """Nobody reviews rights that are given one by one."""
    yield never(attachment["user"].is_set() | attachment["users"].is_set(), "a user has rights of their own")


@rule(
    "FJ-IAM-020",
    "Sessions of roles are short",
    Severity.MEDIUM,
    ("A.8.5", "ZT-3"),
    (ROLE, "aws:rolesanywhere/profile:Profile"),
    "Leave maxSessionDuration and durationSeconds at an hour, or set them to what the longest task needs.",
    settings={"longestSession": Setting({"type": "integer", "minimum": 900, "maximum": 43200}, 14400)},
)
def sessions(role: Resource, context: Context) -> Checks:
    """What is not set is one hour."""
    for name in ("maxSessionDuration", "durationSeconds"):
        long = role[name].test(lambda seconds: float(seconds) > context.settings["longestSession"])
        yield never(long, "a session lasts longer than is allowed")


@rule(
    "FJ-IAM-021",
    "Passwords of the account are long and not used again",
    Severity.MEDIUM,
    ("A.5.17", "A.8.5"),
    ("aws:iam/accountPasswordPolicy:AccountPasswordPolicy",),
    "Set minimumPasswordLength to 14 or more, and passwordReusePrevention to 24.",
)
def passwords(policy: Resource, _: Context) -> Checks:
    """Length counts more than signs; without a policy AWS takes eight characters."""
    yield must(policy["minimumPasswordLength"].test(lambda length: float(length) >= 14), "short passwords are taken")
    yield must(policy["passwordReusePrevention"].test(lambda count: float(count) >= 24), "passwords can be used again")


@rule(
    "FJ-IAM-022",
    "A permissions boundary is given to nobody as a policy",
    Severity.HIGH,
    ("A.8.2", "A.5.18", "ZT-6"),
    (MANAGED,),
    "Name the policy as permissionsBoundary of roles and users, and attach one that grants what they need.",
    reads=_ATTACHMENTS,
)
def boundaries(policy: Resource, context: Context) -> Checks:
    """A boundary is wide, since it grants nothing: as a policy it would grant all of it."""
    document = Document.read(policy["policy"])
    attached = any_of(_attached(attachment, policy) for attachment in context.graph.of(_ATTACHMENTS))
    if document.is_boundary().truth is not False:
        yield never(document.is_boundary() & attached, "a permissions boundary is attached as a policy")


def _attached(attachment: Resource, policy: Resource) -> Fact:
    origins = attachment.links.get("policyArn")
    if origins:
        return Fact(policy.urn in origins, "policyArn")
    known = [value for key in ("arn", "id") if isinstance(value := policy[key].value, str)]
    return attachment["policyArn"].among(known)


@rule(
    "FJ-IAM-023",
    "Providers of identities name their audience",
    Severity.HIGH,
    ("A.5.16", "A.8.5", "ZT-6"),
    ("aws:iam/openIdConnectProvider:OpenIdConnectProvider",),
    "List in clientIdLists the audience that tokens are issued for, such as sts.amazonaws.com.",
)
def audiences(provider: Resource, _: Context) -> Checks:
    """A token that was issued for somebody else must not open our account."""
    clients = provider["clientIdLists"]
    yield must(clients.is_set(), "no audience is named")
    yield never(any_of(client.equals("*") for client in clients.each()), "any audience is taken")
    yield must(
        provider["url"].test(lambda url: "://" not in url or url.startswith("https://")), "is not reached over TLS"
    )


RULES: tuple[Rule, ...] = (
    everything,
    administrators,
    long_lived,
    trust,
    users,
    single_users,
    sessions,
    passwords,
    boundaries,
    audiences,
)
