"""Who may take a role: our own accounts, known providers of identities, and services that work for us."""

from collections.abc import Callable, Iterator
from typing import Any

from falaj.policies.documents import Document, Statement
from falaj.policies.documents.patterns import matches
from falaj.policies.documents.principals import Principal
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.rules.grants import ROLE
from falaj.policies.values import UNKNOWN, Fact, any_of

_OWN = {"ownAccounts": Setting({"type": "array", "items": {"type": "string", "pattern": "^[0-9]{12}$"}}, [])}
_AGREED = ("sts:externalid", "aws:principalorgid", "aws:principalorgpaths")
_SOURCE = ("aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths")
_PODS = "pods.eks.amazonaws.com"
# Services that say for which account or resource they take a role, by their own documentation of the confused deputy.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
_TELLING = (
    "backup.amazonaws.com",
    "bedrock.amazonaws.com",
    "codebuild.amazonaws.com",
    "config.amazonaws.com",
    "datasync.amazonaws.com",
    "ecs-tasks.amazonaws.com",
    "eks.amazonaws.com",
    "events.amazonaws.com",
    "export.rds.amazonaws.com",
    "logs.*amazonaws.com",
    "monitoring.rds.amazonaws.com",
    "pipes.amazonaws.com",
    _PODS,
    "sagemaker.amazonaws.com",
    "scheduler.amazonaws.com",
    "ssm.amazonaws.com",
    "states.amazonaws.com",
    "transfer.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
)
# What has to stand before the first wildcard of a token's subject, by the beginning of the subject.
_OWNERS: dict[str, Callable[[str], bool]] = {
    "repo:": lambda known: "/" in known,
    "project_path:": lambda known: "/" in known,
    "system:serviceaccount:": lambda known: known.count(":") > 2,
}


@rule(
    "FJ-TRU-001",
    "Other accounts come in by an agreed id, or as our organization's",
    Severity.HIGH,
    ("A.5.15", "A.5.23", "A.8.31", "ZT-6"),
    (ROLE,),
    "Add a condition on sts:ExternalId or aws:PrincipalOrgID. Ours are the provider's allowedAccountIds "
    "and those in the setting ownAccounts.",
    settings=_OWN,
)
def other_accounts(role: Resource, context: Context) -> Checks:
    """Without an id that both sides know, whoever serves many customers can be made to act for another one."""
    for statement, principal in _callers(role):
        foreign = _foreign(principal, role, context)
        yield never(foreign & ~statement.condition.demands(_AGREED), "another account may take the role, unasked")


@rule(
    "FJ-TRU-002",
    "Other accounts are trusted role by role",
    Severity.MEDIUM,
    ("A.5.15", "A.5.18", "ZT-6"),
    (ROLE,),
    "Name the roles of the other account in place of its root, or add a condition on aws:PrincipalArn.",
    settings=_OWN,
)
def whole_accounts(role: Resource, context: Context) -> Checks:
    """The root of an account stands for every identity that its administrators ever make."""
    for statement, principal in _callers(role):
        whole = _foreign(principal, role, context) & principal.is_whole_account()
        named = statement.condition.demands(("aws:principalarn",))
        yield never(whole & ~named, "everybody in another account may take the role")


@rule(
    "FJ-TRU-003",
    "Tokens are taken for their audience and subject alone",
    Severity.CRITICAL,
    ("A.5.16", "A.8.5", "ZT-3", "ZT-6"),
    (ROLE,),
    "Add conditions StringEquals on the provider's :aud and :sub.",
)
def tokens(role: Resource, _: Context) -> Checks:
    """A provider such as a forge's issues tokens to everyone who has an account there."""
    for statement, principal in _callers(role):
        web = principal.is_federated() & statement.acts("sts:AssumeRoleWithWebIdentity")
        yield never(web & ~statement.condition.demands(("*:aud",)), "tokens for any audience are taken")
        subject = statement.condition.demands(("*:sub", "cognito-identity.amazonaws.com:amr"))
        yield never(web & ~subject, "tokens of any subject are taken")


@rule(
    "FJ-TRU-004",
    "The subject of a token names its owner",
    Severity.CRITICAL,
    ("A.5.16", "A.8.5", "ZT-6"),
    (ROLE,),
    "Name the organization and repository, or the namespace and service account, before any wildcard.",
)
def subjects(role: Resource, _: Context) -> Checks:
    """``repo:*`` is every repository of the world."""
    for statement, principal in _callers(role):
        web = principal.is_federated() & statement.acts("sts:AssumeRoleWithWebIdentity")
        broad = any_of(value.test(_is_anyones) for value in statement.condition.values_of("*:sub"))
        yield never(web & broad, "a stranger's token has such a subject too")


@rule(
    "FJ-TRU-005",
    "Assertions of SAML are taken for their audience alone",
    Severity.HIGH,
    ("A.5.16", "A.8.5", "ZT-6"),
    (ROLE,),
    "Add a condition StringEquals on SAML:aud with https://signin.aws.amazon.com/saml.",
)
def assertions(role: Resource, _: Context) -> Checks:
    """An assertion that was issued for another service must not open our account."""
    for statement, principal in _callers(role):
        saml = principal.is_federated() & statement.acts("sts:AssumeRoleWithSAML")
        audience = statement.condition.demands(("saml:aud", "saml:recipient"))
        yield never(saml & ~audience, "assertions for any audience are taken")


@rule(
    "FJ-TRU-006",
    "Services take roles for our account alone",
    Severity.MEDIUM,
    ("A.5.15", "A.5.23", "ZT-6"),
    (ROLE,),
    "Add a condition on aws:SourceAccount or aws:SourceArn.",
)
def deputies(role: Resource, _: Context) -> Checks:
    """A service works for every customer of AWS; these say for whom, others cannot be asked."""
    for statement, principal in _callers(role):
        telling = principal.is_service() & principal.view.test(_tells_source)
        yield never(telling & ~statement.condition.demands(_SOURCE), "the service may take the role for anyone")


@rule(
    "FJ-TRU-007",
    "Roles of pods belong to one cluster",
    Severity.HIGH,
    ("A.8.31", "A.5.16", "ZT-6"),
    (ROLE,),
    "Add a condition on aws:SourceArn, or on aws:RequestTag/eks-cluster-arn, that names the cluster.",
)
def pods(role: Resource, _: Context) -> Checks:
    """Whoever may associate pods in another cluster of the account would else have this role there too."""
    keys = ("aws:sourcearn", "aws:requesttag/eks-cluster-arn", "aws:requesttag/eks-cluster-name")
    for statement, principal in _callers(role):
        of_pods = principal.is_service() & principal.view.equals(_PODS)
        wild = any_of(
            value.test(lambda text: "*" in str(text)) for key in keys for value in statement.condition.values_of(key)
        )
        yield never(of_pods & (~statement.condition.demands(keys) | wild), "pods of any cluster may have the role")


@rule(
    "FJ-TRU-008",
    "People take roles with a second factor",
    Severity.HIGH,
    ("A.8.5", "A.5.17", "ZT-3"),
    (ROLE,),
    "Add a condition Bool on aws:MultiFactorAuthPresent, or let people in through IAM Identity Center.",
)
def second_factor(role: Resource, _: Context) -> Checks:
    """Only a user of IAM can be seen to be a person, or to have a person's key."""
    for statement, principal in _callers(role):
        person = Fact(principal.kind == "AWS" or (None if not principal.kind else False), principal.view.path)
        user = person & principal.view.test(lambda arn: ":user/" in str(arn))
        if user.truth is not False:
            factor = statement.condition.demands_true("aws:multifactorauthpresent")
            yield must(~user | factor, "a user may take the role with a key alone")


def _callers(role: Resource) -> Iterator[tuple[Statement, Principal]]:
    """Yield whom each statement of the trust policy lets in."""
    for statement in Document.read(role["assumeRolePolicy"]).statements:
        if statement.allows().truth is not False:
            yield from ((statement, principal) for principal in statement.principals())


def _foreign(principal: Principal, role: Resource, context: Context) -> Fact:
    """Return whether a principal belongs to another account; where ours are not known, nobody can say."""
    path = principal.view.path
    if not principal.kind or (principal.kind == "AWS" and principal.view.value is UNKNOWN):
        return Fact(None, path)
    account = principal.account()
    if account is None:
        return Fact(False, path)
    allowed: list[Any] = [each.value for each in role.provider["allowedAccountIds"].each()]
    own = [*allowed, *context.settings["ownAccounts"]]
    if account in own:
        return Fact(False, path)
    return Fact(None if UNKNOWN in own or not own else True, path)


def _tells_source(service: Any) -> bool:
    return any(matches(pattern, str(service)) for pattern in _TELLING)


def _is_anyones(subject: Any) -> bool:
    """Return whether what stands before the first wildcard says too little about whose the token is."""
    text = str(subject)
    known = text.replace("?", "*").partition("*")[0]
    if known == text:
        return False
    for beginning, owned in _OWNERS.items():
        if known.startswith(beginning):
            return not owned(known)
    return not known or any(beginning.startswith(known) for beginning in _OWNERS)


RULES: tuple[Rule, ...] = (
    other_accounts,
    whole_accounts,
    tokens,
    subjects,
    assertions,
    deputies,
    pods,
    second_factor,
)
