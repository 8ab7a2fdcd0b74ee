"""What identities are granted: nothing that reaches every resource of a kind, or that raises rights."""

from collections.abc import Iterator, Mapping

from falaj.policies.documents import Document
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, never, rule
from falaj.policies.values import Fact, View, any_of

MANAGED = "aws:iam/policy:Policy"
ROLE = "aws:iam/role:Role"
IDENTITY_POLICIES = (
    MANAGED,
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy",
    ROLE,
)
"""Types that hold policies of identities."""
_TAGS = ("aws:resourcetag/*",)
_IAM_TAGS = (*_TAGS, "iam:resourcetag/*")

# Each makes its holder, or somebody whom the holder can be, more than it was.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
_RAISING = {
    "iam:CreatePolicyVersion": "iam:policy/",
    "iam:SetDefaultPolicyVersion": "iam:policy/",
    "iam:AttachRolePolicy": "iam:role/",
    "iam:PutRolePolicy": "iam:role/",
    "iam:UpdateAssumeRolePolicy": "iam:role/",
    "iam:DeleteRolePermissionsBoundary": "iam:role/",
    "iam:PutRolePermissionsBoundary": "iam:role/",
    "iam:AttachUserPolicy": "iam:user/",
    "iam:PutUserPolicy": "iam:user/",
    "iam:CreateAccessKey": "iam:user/",
    "iam:CreateLoginProfile": "iam:user/",
    "iam:UpdateLoginProfile": "iam:user/",
    "iam:DeleteUserPermissionsBoundary": "iam:user/",
    "iam:PutUserPermissionsBoundary": "iam:user/",
    "iam:AttachGroupPolicy": "iam:group/",
    "iam:PutGroupPolicy": "iam:group/",
    "iam:AddUserToGroup": "iam:group/",
    "sso:AttachManagedPolicyToPermissionSet": "sso:permissionSet/",
    "sso:PutInlinePolicyToPermissionSet": "sso:permissionSet/",
}
# Each runs code of the holder's choosing with the rights of whatever is already there.
_BORROWING = {
    "lambda:UpdateFunctionCode": "lambda:function:",
    "ssm:SendCommand": "ec2:instance/",
    "ssm:StartSession": "ec2:instance/",
    "ec2-instance-connect:SendSSHPublicKey": "ec2:instance/",
    "ecs:ExecuteCommand": "ecs:task/",
    "glue:UpdateJob": "glue:job/",
    "codebuild:StartBuild": "codebuild:project/",
    "cloudformation:UpdateStack": "cloudformation:stack/",
    "sagemaker:CreatePresignedNotebookInstanceUrl": "sagemaker:notebook-instance/",
}
_DECRYPTING = {"kms:Decrypt": "kms:key/", "kms:ReEncryptFrom": "kms:key/", "kms:CreateGrant": "kms:key/"}
_KEY_BOUNDS = (*_TAGS, "kms:viaservice", "kms:encryptioncontext:*", "kms:resourcealiases", "kms:requestalias")
_OBJECTS = {"s3:GetObject": "s3:{}/{}", "s3:PutObject": "s3:{}/{}", "s3:DeleteObject": "s3:{}/{}"}
_STORE_BOUNDS = (
    *_TAGS,
    "aws:resourceaccount",
    "aws:resourceorgid",
    "aws:resourceorgpaths",
    "s3:resourceaccount",
    "s3:existingobjecttag/*",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
)
_SECRETS = {
    "secretsmanager:GetSecretValue": "secretsmanager:secret:",
    "secretsmanager:BatchGetSecretValue": "secretsmanager:secret:",
    "ssm:GetParameter": "ssm:parameter/",
    "ssm:GetParameters": "ssm:parameter/",
    "ssm:GetParametersByPath": "ssm:parameter/",
}
_SECRET_BOUNDS = (*_TAGS, "secretsmanager:resourcetag/*", "secretsmanager:secretid", "ssm:resourcetag/*")
# Each makes a program of others work, with the rights that the program has.
_INVOKING = {
    "lambda:InvokeFunction": "lambda:function:",
    "lambda:InvokeFunctionUrl": "lambda:function:",
    "states:StartExecution": "states:stateMachine:",
    "states:StartSyncExecution": "states:stateMachine:",
    "ecs:RunTask": "ecs:task-definition/",
    "batch:SubmitJob": "batch:job-definition/",
    "ssm:StartAutomationExecution": "ssm:automation-definition/",
    "sagemaker:InvokeEndpoint": "sagemaker:endpoint/",
    "execute-api:Invoke": "execute-api:",
}
_SILENCING = {
    "cloudtrail:StopLogging": "cloudtrail:trail/",
    "cloudtrail:DeleteTrail": "cloudtrail:trail/",
    "cloudtrail:UpdateTrail": "cloudtrail:trail/",
    "cloudtrail:PutEventSelectors": "cloudtrail:trail/",
    "config:StopConfigurationRecorder": "config:configuration-recorder/",
    "config:DeleteConfigurationRecorder": "config:configuration-recorder/",
    "guardduty:DeleteDetector": "guardduty:detector/",
    "guardduty:UpdateDetector": "guardduty:detector/",
    "securityhub:DisableSecurityHub": "securityhub:hub/",
    "logs:DeleteLogGroup": "logs:log-group:",
    "ec2:DeleteFlowLogs": "ec2:vpc-flow-log/",
}
_SHARING = {
    "s3:PutBucketPolicy": "s3:",
    "s3:PutBucketAcl": "s3:",
    "s3:PutBucketPublicAccessBlock": "s3:",
    "kms:PutKeyPolicy": "kms:key/",
    "lambda:AddPermission": "lambda:function:",
    "ecr:SetRepositoryPolicy": "ecr:repository/",
    "secretsmanager:PutResourcePolicy": "secretsmanager:secret:",
    "sns:AddPermission": "sns:",
    "sqs:AddPermission": "sqs:",
    "ec2:ModifySnapshotAttribute": "ec2:snapshot/",
    "ec2:ModifyImageAttribute": "ec2:image/",
    "rds:ModifyDBSnapshotAttribute": "rds:snapshot:",
}
_GRAVE = ("iam", "kms", "organizations", "sts", "sso", "secretsmanager", "account", "cloudtrail")


def documents(policy: Resource) -> Iterator[Document]:
    """Yield the documents of a resource that grant identities something."""
    views: list[View] = [policy["policy"], policy["inlinePolicy"]]
    if policy.type == ROLE:
        views = [inline["policy"] for inline in policy["inlinePolicies"].each()]
    yield from (Document.read(view) for view in views if view.value is not None)


def grants(document: Document, actions: Mapping[str, str], bounds: tuple[str, ...]) -> Fact:
    """Return whether one of the actions is granted on every resource of its kind; a boundary grants nothing."""
    granted = any_of((document.grants(action, kind, bounds) for action, kind in actions.items()), document.view.path)
    return granted.and_then(lambda: ~document.is_boundary())


def _bounded(  # noqa: PLR0917 - reads as a row of a table
    id: str,
    title: str,
    severity: Severity,
    controls: tuple[str, ...],
    actions: Mapping[str, str],
    bounds: tuple[str, ...],
    remediation: str,
    message: str,
) -> Rule:
    """Make a rule that lets no policy grant the actions on everything."""

    def check(policy: Resource, _: Context) -> Checks:
        for document in documents(policy):
            yield never(grants(document, actions, bounds), message)

    return rule(id, title, severity, controls, IDENTITY_POLICIES, remediation)(check)


passing = _bounded(
    "FJ-IAM-005",
    "No policy hands every role to a service",
    Severity.HIGH,
    ("A.8.2", "A.5.18", "ZT-6"),
    {"iam:PassRole": "iam:role/"},
    (*_IAM_TAGS, "iam:associatedresourcearn"),
    "Name the roles that iam:PassRole hands over; a condition on the service alone leaves every role of the account.",
    "every role of the account can be passed to a service",
)
raising = _bounded(
    "FJ-IAM-006",
    "Nobody raises their own rights",
    Severity.CRITICAL,
    ("A.8.2", "A.5.3", "A.5.18", "ZT-6"),
    _RAISING,
    (*_IAM_TAGS, "iam:permissionsboundary", "iam:policyarn"),
    "Name the identities and policies, or bound the action by a condition on iam:PermissionsBoundary or iam:PolicyARN.",
    "whoever has this policy can give themselves any right",
)
borrowing = _bounded(
    "FJ-IAM-007",
    "Nobody runs code with the rights of every machine and function",
    Severity.HIGH,
    ("A.8.2", "A.5.18", "ZT-6"),
    _BORROWING,
    (*_IAM_TAGS, "ssm:resourcetag/*", "ecs:cluster", "cloudformation:rolearn"),
    "Name the machines, functions and projects, or bound them by a condition on aws:ResourceTag.",
    "whoever has this policy can act as every machine, function or project of a kind",
)
decrypting = _bounded(
    "FJ-IAM-008",
    "No policy decrypts with every key",
    Severity.HIGH,
    ("A.8.24", "A.8.3", "ZT-6"),
    _DECRYPTING,
    _KEY_BOUNDS,
    "Name the keys, or bound their use by a condition on kms:ViaService, kms:ResourceAliases or aws:ResourceTag.",
    "every key of the account can be used to decrypt",
)
storing = _bounded(
    "FJ-IAM-009",
    "No policy reads or writes every store, of whichever account",
    Severity.HIGH,
    ("A.8.12", "A.8.3", "ZT-6"),
    _OBJECTS,
    _STORE_BOUNDS,
    "Name the buckets, or bound them by a condition on aws:ResourceAccount: a stranger's bucket is a way out for data.",
    "objects of every bucket can be read or written, those of other accounts too",
)
assuming = _bounded(
    "FJ-IAM-010",
    "No policy takes every role",
    Severity.HIGH,
    ("A.8.2", "A.5.18", "ZT-6"),
    {"sts:AssumeRole": "iam:role/"},
    _IAM_TAGS,
    "Name the roles that sts:AssumeRole takes.",
    "every role that trusts the account can be taken",
)
secrets = _bounded(
    "FJ-IAM-011",
    "No policy reads every secret",
    Severity.HIGH,
    ("A.5.17", "A.8.3", "ZT-6"),
    _SECRETS,
    _SECRET_BOUNDS,
    "Name the secrets and parameters, or bound them by a condition on aws:ResourceTag.",
    "every secret or parameter can be read",
)
invoking = _bounded(
    "FJ-IAM-024",
    "No policy calls every program",
    Severity.HIGH,
    ("A.8.3", "A.5.15", "A.8.2", "ZT-6"),
    _INVOKING,
    (*_TAGS, "ecs:cluster"),
    "Name the functions, state machines, tasks and APIs, or bound them by a condition on aws:ResourceTag.",
    "every function, workflow or API of the account can be called",
)
silencing = _bounded(
    "FJ-IAM-014",
    "Nobody turns the records off",
    Severity.HIGH,
    ("A.8.15", "A.5.28", "A.8.16", "ZT-7"),
    _SILENCING,
    (*_TAGS, "aws:principalarn"),
    "Leave the action out, or name the trail, recorder, detector or log group that the holder looks after.",
    "records or detectors can be stopped or deleted",
)
sharing = _bounded(
    "FJ-IAM-015",
    "Nobody opens every resource to others",
    Severity.HIGH,
    ("A.8.12", "A.5.15", "ZT-6"),
    _SHARING,
    _TAGS,
    "Name the resources whose policies and permissions the holder looks after.",
    "every resource of a kind can be shared with anyone",
)


@rule(
    "FJ-IAM-012",
    "Actions of grave services are named",
    Severity.MEDIUM,
    ("A.8.2", "A.5.18", "ZT-6"),
    IDENTITY_POLICIES,
    "Name the actions instead of a wildcard over all of a service that guards keys, identities, secrets or records.",
)
def named_actions(policy: Resource, _: Context) -> Checks:
    """A wildcard also grants what AWS adds to the service later."""
    for document in documents(policy):
        granted = any_of(document.grants(f"{service}:0any0", f"{service}:", somewhere=True) for service in _GRAVE)
        yield never(granted & ~document.is_boundary(), "all actions of a grave service are granted")


@rule(
    "FJ-IAM-013",
    "Grants say what they allow, not what they leave out",
    Severity.MEDIUM,
    ("A.5.15", "A.8.2", "ZT-6"),
    IDENTITY_POLICIES,
    "Write Action and Resource in place of NotAction and NotResource; those belong into denials.",
)
def positive(policy: Resource, _: Context) -> Checks:
    """What is left out today says nothing about what AWS adds tomorrow."""
    for document in documents(policy):
        for statement in document.statements:
            for name in ("NotAction", "NotResource"):
                yield never(statement.view[name].is_set() & statement.allows(), "grants all but what it names")


@rule(
    "FJ-IAM-016",
    "Policies with variables are of the version that knows them",
    Severity.MEDIUM,
    ("A.5.15", "ZT-4"),
    IDENTITY_POLICIES,
    'Set "Version": "2012-10-17"; in documents of another version a variable is plain text and matches nothing.',
)
def variables(policy: Resource, _: Context) -> Checks:
    """A denial that matches nothing denies nothing."""
    for document in documents(policy):
        for statement in document.statements:
            yield never(statement.has_variables() & ~statement.current, "a variable is taken for plain text")


@rule(
    "FJ-IAM-017",
    "Who makes identities makes bounded ones",
    Severity.HIGH,
    ("A.8.2", "A.5.3", "A.5.16", "ZT-6"),
    IDENTITY_POLICIES,
    "Allow iam:CreateRole and iam:CreateUser on a condition that names the iam:PermissionsBoundary.",
)
def bounded_identities(policy: Resource, _: Context) -> Checks:
    """Whoever makes a role without a boundary can make it mightier than they are."""
    for document in documents(policy):
        made = any_of(
            document.grants(action, kind, ("iam:permissionsboundary",), somewhere=True)
            for action, kind in {"iam:CreateRole": "iam:role/", "iam:CreateUser": "iam:user/"}.items()
        )
        yield never(made & ~document.is_boundary(), "identities can be made without a permissions boundary")


RULES: tuple[Rule, ...] = (
    passing,
    raising,
    borrowing,
    decrypting,
    storing,
    assuming,
    secrets,
    invoking,
    named_actions,
    positive,
    silencing,
    sharing,
    variables,
    bounded_identities,
)
