"""The organization: guards that hold every account, shares that stay inside, sessions that end."""

import re
from typing import Any

from falaj.policies.documents import Document, Statement
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.residency.crossings import SETTINGS, homes_of
from falaj.policies.rules.grants import MANAGED
from falaj.policies.values import Fact, View, any_of

_ORGANIZATION = "aws:organizations/organization:Organization"
_POLICY = "aws:organizations/policy:Policy"
_ATTACHMENT = "aws:organizations/policyAttachment:PolicyAttachment"
_EVERYTHING = "p-FullAWSAccess"
_REGION = "aws:requestedregion"
# Actions of services whose only endpoint lies in another region: without them an account cannot be looked after.
# https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_examples_general.html
_GLOBAL = ("iam:GetRole", "organizations:DescribeOrganization", "route53:ListHostedZones", "support:DescribeCases")
_SPAN = re.compile(r"PT(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?")


@rule(
    "FJ-ORG-001",
    "The organization can bind its accounts",
    Severity.HIGH,
    ("A.5.15", "A.5.23", "ZT-4"),
    (_ORGANIZATION,),
    "Leave featureSet at ALL and name SERVICE_CONTROL_POLICY in enabledPolicyTypes.",
)
def policy_types(organization: Resource, _: Context) -> Checks:
    """With consolidated billing alone there are no guards."""
    features = organization["featureSet"]
    yield never(features.is_set() & ~features.equals("ALL"), "the organization shares bills only")
    enabled = organization["enabledPolicyTypes"].contains("SERVICE_CONTROL_POLICY")
    yield must(enabled, "service control policies are not enabled")


@rule(
    "FJ-ORG-002",
    "Denials of regions leave the global services reachable",
    Severity.HIGH,
    ("A.5.23", "RES-1", "ZT-4"),
    (_POLICY, MANAGED),
    "Name the actions of global services, such as iam:*, organizations:*, route53:* and support:*, in NotAction.",
)
def global_services(policy: Resource, _: Context) -> Checks:
    """Their endpoints are abroad: who denies them locks the account's administrators out."""
    for statement, regional in _region_denials(policy):
        everything = any_of(statement.acts(action) & statement.on_every(_kind(action)) for action in _GLOBAL)
        yield never(regional & everything, "a global service is denied too")


@rule(
    "FJ-ORG-003",
    "Denials of regions spare the home regions alone",
    Severity.CRITICAL,
    ("RES-1", "A.5.23", "ZT-4"),
    (_POLICY, MANAGED),
    "Name the regime's home regions for aws:RequestedRegion, and nothing else.",
    settings={name: SETTINGS[name] for name in ("regime", "homeRegions", "homeDomains")},
)
def spared_regions(policy: Resource, context: Context) -> Checks:
    """A guard that names one more region guards nothing there."""
    home = homes_of(context).regions
    for statement, regional in _region_denials(policy):
        abroad = any_of(~region.among(home) for region in statement.condition.values_of(_REGION))
        yield never(regional & abroad, "a region that is not home is spared")


@rule(
    "FJ-ORG-004",
    "What may do everything is guarded as well",
    Severity.HIGH,
    ("A.8.2", "A.5.15", "ZT-4"),
    (_ATTACHMENT,),
    "Attach a further policy that denies to every target that has FullAWSAccess.",
    reads=(_ATTACHMENT,),
)
def guarded(attachment: Resource, context: Context) -> Checks:
    """FullAWSAccess alone is as good as no service control policy."""
    full = attachment["policyId"].equals(_EVERYTHING)
    if full.truth is False:
        return
    target = attachment["targetId"]
    others = any_of(
        ~other["policyId"].equals(_EVERYTHING) & _same(other["targetId"], target)
        for other in context.graph.of((_ATTACHMENT,))
        if other.urn != attachment.urn
    )
    yield never(full & ~others, "nothing but FullAWSAccess binds the target")


@rule(
    "FJ-ORG-005",
    "Shares stay inside the organization",
    Severity.HIGH,
    ("A.8.12", "A.5.14", "ZT-6"),
    ("aws:ram/resourceShare:ResourceShare",),
    "Set allowExternalPrincipals to false.",
    fix={"allowExternalPrincipals": False},
)
def shares(share: Resource, _: Context) -> Checks:
    """AWS itself lets anyone be invited unless it is told not to; the provider tells it so by default."""
    yield never(share["allowExternalPrincipals"].is_true(), "accounts of strangers can be invited")


@rule(
    "FJ-ORG-006",
    "Sessions of people are short",
    Severity.MEDIUM,
    ("A.8.5", "ZT-3"),
    ("aws:ssoadmin/permissionSet:PermissionSet",),
    "Leave sessionDuration at PT1H, or set it to what a task needs.",
    settings={"longestSession": Setting({"type": "integer", "minimum": 3600, "maximum": 43200}, 14400)},
)
def people(permissions: Resource, context: Context) -> Checks:
    """What is not set is one hour."""
    long = permissions["sessionDuration"].test(lambda span: _seconds(span) > context.settings["longestSession"])
    yield never(long, "a session lasts longer than is allowed")


@rule(
    "FJ-ORG-007",
    "Accounts cannot leave the organization",
    Severity.MEDIUM,
    ("A.5.23", "A.5.3", "ZT-4"),
    (_ORGANIZATION,),
    "Deny organizations:LeaveOrganization by a service control policy.",
    reads=(_POLICY,),
)
def leaving(organization: Resource, context: Context) -> Checks:
    """Whoever leaves takes the account out of every guard."""
    denied = any_of(
        _denies_all(statement, "organizations:LeaveOrganization")
        for policy in context.graph.of((_POLICY,))
        for statement in Document.read(policy["content"]).statements
    )
    yield must(denied, "no policy of the stack denies leaving")


@rule(
    "FJ-ORG-008",
    "Member accounts have no root users of their own",
    Severity.HIGH,
    ("A.8.2", "A.5.17", "ZT-3"),
    ("aws:iam/organizationsFeatures:OrganizationsFeatures",),
    "Enable RootCredentialsManagement, and delete the root users' passwords and keys.",
)
def root_users(features: Resource, _: Context) -> Checks:
    """A root user that nobody needs is a credential that nobody watches."""
    enabled = features["enabledFeatures"].contains("RootCredentialsManagement")
    yield must(enabled, "root users of member accounts are not managed in one place")


def _region_denials(policy: Resource) -> list[tuple[Statement, Fact]]:
    """Return the denials that compare the region, each with whether it does so to spare some."""
    found: list[tuple[Statement, Fact]] = []
    for view in (policy["content"], policy["policy"]):
        for statement in Document.read(view).statements:
            regional = any_of(
                Fact(None if not operation else "not" in operation, values.path)
                for operation, values in statement.condition.comparisons(_REGION)
            )
            regional = regional & ~statement.allows()
            if regional.truth is not False:
                found.append((statement, regional))
    return found


def _denies_all(statement: Statement, action: str) -> Fact:
    """Return whether it denies an action to all but principals that it names."""
    exempt = statement.condition.spares_only(("aws:principalarn",))
    reach = statement.on_every(_kind(action))
    return ~statement.allows() & statement.acts(action) & reach & (~statement.conditional() | exempt)


def _kind(action: str) -> str:
    return f"{action.partition(':')[0]}:"


def _same(one: View, other: View) -> Fact:
    return one.test(lambda value: value == other.value) & other.is_set()


def _seconds(span: Any) -> int:
    found = _SPAN.fullmatch(str(span))
    if not found:
        raise ValueError("not a duration")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


RULES: tuple[Rule, ...] = (
    policy_types,
    global_services,
    spared_regions,
    guarded,
    shares,
    people,
    leaving,
    root_users,
)
