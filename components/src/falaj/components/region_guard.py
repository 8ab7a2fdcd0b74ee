"""A policy that denies every region but the home region, and whatever would take the foundation's protection away."""

import functools
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import dns_label, principals
from falaj.components.classification import Classification
from falaj.components.documents import document
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels
from falaj.components.regime import Regime, check_regime

_TARGET = re.compile(r"r-[a-z0-9]{4,32}|ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}|\d{12}")
_SERVICE = re.compile(r"[a-z][a-z0-9-]*")
_ACTION = re.compile(r"[a-z0-9-]+:([A-Za-z]+\*?|\*)")


class RegionGuardMode(StrEnum):
    """Where the policy takes effect."""

    SERVICE_CONTROL_POLICY = "service-control-policy"
    """On every identity of the accounts below its targets; made in the organization's management account."""
    PERMISSION_BOUNDARY = "permission-boundary"
    """On the roles that carry it, and on those that they make; where no policy of an organization does it."""


# https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
LONGEST = {RegionGuardMode.SERVICE_CONTROL_POLICY: 5120, RegionGuardMode.PERMISSION_BOUNDARY: 6144}
"""Characters that AWS takes of each kind of policy."""


class Reachable(TypedDict):
    """Actions that must stay reachable outside the home region, and why."""

    actions: list[str]
    """IAM actions, for example ``chatbot:Describe*``."""
    why: str
    """What would stand still without them; an entry without a reason is refused."""


@dataclass(frozen=True)
class GlobalService:
    """A service whose endpoint lies abroad, the actions that stay reachable, why, and where that is told."""

    service: str
    actions: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True)
class Protection:
    """Actions that are denied in every region, why, and where that is told."""

    sid: str
    actions: tuple[str, ...]
    why: str
    source: str
    deployers: bool = False
    """Whether those who deploy the foundation may do it."""
    condition: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    resources: tuple[str, ...] = ("*",)
    """ARNs of what is protected, with wildcards."""


class RegionGuardArgs(TypedDict):
    """What may be said of a region guard."""

    mode: RegionGuardMode
    """Where the policy takes effect: a member of ``RegionGuardMode``."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the policy."""
    classification: NotRequired[Classification]
    """Classification of the data that it guards; a tag. Default: ``restricted``."""
    targets: NotRequired[list[str]]
    """Ids of the root, organizational units or accounts that a service control policy is attached to. Default: none."""
    exempt_principals: NotRequired[list[str]]
    """ARNs of the roles that the policy does not bind, to break the glass. Default: none."""
    deployers: NotRequired[list[str]]
    """ARNs of the roles that may change records and detectors; bound in all else. Default: none."""
    also_reachable: NotRequired[list[Reachable]]
    """Further actions that stay reachable outside the home region, each with its reason. Default: none."""
    also_services: NotRequired[list[str]]
    """Further services that a permission boundary lets through, for example ``sagemaker``. Default: none."""


class RegionGuard(pulumi.ComponentResource):
    """One policy that holds an account, or what lies below a unit, to the home region.

    Serves ISO/IEC 27001:2022 A.5.23, A.5.28, A.8.12 and the regime's residency rules.
    Raises ``ConfigError`` for a value that it refuses, and for a policy longer than AWS takes.
    """

    policy_id: pulumi.Output[str]
    """Id of the service control policy, or ARN of the permission boundary."""
    policy_arn: pulumi.Output[str]
    """ARN of the policy."""
    document: pulumi.Output[str]
    """The policy's document, JSON."""

    def __init__(self, name: str, args: RegionGuardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership = args["regime"], args["ownership"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        mode = check_mode(f"{name}.mode", args["mode"])
        targets = check_targets(f"{name}.targets", args.get("targets", []), mode)
        policy_name = dns_label(f"{name}.ownership.environment", ownership["environment"]) + "-region-guard"
        guard = guard_policy(
            mode,
            regime,
            policy_name,
            exempt=principals(f"{name}.exempt_principals", args.get("exempt_principals", [])),
            deployers=principals(f"{name}.deployers", args.get("deployers", [])),
            also_reachable=check_reachable(f"{name}.also_reachable", args.get("also_reachable", [])),
            also_services=check_services(f"{name}.also_services", args.get("also_services", []), mode),
        )
        text = check_length(f"{name}.also_reachable", guard, mode)
        tags = labels(f"{name}.ownership", ownership, classification)

        super().__init__("falaj:index:RegionGuard", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        described = f"Nothing outside {regime['home_region']}, and nobody takes the records and detectors away"
        if mode == RegionGuardMode.PERMISSION_BOUNDARY:
            boundary = aws.iam.Policy(
                f"{name}-boundary", name=policy_name, description=described, policy=text, tags=tags, opts=child
            )
            self.policy_id = self.policy_arn = boundary.arn
        else:
            policy = aws.organizations.Policy(
                f"{name}-policy",
                name=policy_name,
                description=described,
                type="SERVICE_CONTROL_POLICY",
                content=text,
                tags=tags,
                opts=child,
            )
            for target in targets:
                aws.organizations.PolicyAttachment(
                    f"{name}-on-{target}", policy_id=policy.id, target_id=target, opts=child
                )
            self.policy_id, self.policy_arn = policy.id, policy.arn

        self.document = pulumi.Output.from_input(text)
        self.register_outputs({"policyId": self.policy_id, "policyArn": self.policy_arn, "document": self.document})


def check_mode(field: str, mode: str) -> RegionGuardMode:
    """Return the mode, refusing an unknown one."""
    if mode not in set(RegionGuardMode):
        raise ConfigError(field, mode, f"must be one of {', '.join(RegionGuardMode)}")
    return RegionGuardMode(mode)


def check_targets(field: str, targets: Sequence[str], mode: RegionGuardMode) -> list[str]:
    """Return the targets: a service control policy without any guards nothing, a boundary is carried by roles."""
    if mode == RegionGuardMode.PERMISSION_BOUNDARY and targets:
        raise ConfigError(field, list(targets), "must be left out with a permission boundary, which roles carry")
    if mode == RegionGuardMode.SERVICE_CONTROL_POLICY and not targets:
        raise ConfigError(field, [], "must name what the policy is attached to, such as ou-ab12-cdef3456")
    for target in targets:
        if not _TARGET.fullmatch(target):
            remedy = "must be the id of a root, organizational unit or account, such as ou-ab12-cdef3456"
            raise ConfigError(field, target, remedy)
    return list(dict.fromkeys(targets))


def check_reachable(field: str, entries: Sequence[Reachable]) -> list[str]:
    """Return the actions of the entries, refusing one without a reason and a pattern that opens every service."""
    for entry in entries:
        if not entry["why"].strip():
            raise ConfigError(f"{field}.why", entry["why"], "must say what would stand still without the actions")
        for action in entry["actions"]:
            if not _ACTION.fullmatch(action):
                remedy = "must be actions of one service, such as chatbot:Describe*"
                raise ConfigError(f"{field}.actions", action, remedy)
    return [action for entry in entries for action in entry["actions"]]


def check_services(field: str, services: Sequence[str], mode: RegionGuardMode) -> list[str]:
    """Return the services by their prefix in IAM; a service control policy lets all through that it does not deny."""
    if mode == RegionGuardMode.SERVICE_CONTROL_POLICY and services:
        raise ConfigError(field, list(services), "must be left out with a service control policy, which only denies")
    for service in services:
        if not _SERVICE.fullmatch(service):
            raise ConfigError(field, service, "must be a service as IAM writes it before the colon, such as sagemaker")
    return list(services)


def check_length(field: str, policy: dict[str, Any], mode: RegionGuardMode) -> str:
    """Return the policy as compact JSON, refusing one that AWS would not take."""
    text = json.dumps(policy, separators=(",", ":"))
    if len(text) > LONGEST[mode]:
        remedy = f"must leave the policy within the {LONGEST[mode]} characters of a {mode}: list fewer actions or roles"
        raise ConfigError(field, f"{len(text)} characters", remedy)
    return text


def guard_policy(
    mode: RegionGuardMode,
    regime: Regime,
    policy_name: str,
    *,
    exempt: Sequence[str] = (),
    deployers: Sequence[str] = (),
    also_reachable: Sequence[str] = (),
    also_services: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the whole policy: a boundary has to allow what it does not deny, a service control policy only denies."""
    denials = [deny_regions(regime["home_region"], exempt, also_reachable)]
    denials += [deny(each, [*exempt, *deployers] if each.deployers else exempt) for each in protections()]
    if mode == RegionGuardMode.SERVICE_CONTROL_POLICY:
        return document(*denials)
    allowed = [f"{service}:*" for service in sorted({*_data()["services"], *also_services})]
    passage = {"Sid": "LetThrough", "Effect": "Allow", "Action": allowed, "Resource": "*"}
    arn = f"arn:aws:iam::{regime['account_id']}:policy/{policy_name}"
    return document(passage, *denials, *keep_boundary(arn, exempt, deployers))


def deny_regions(home: str, exempt: Sequence[str] = (), also_reachable: Sequence[str] = ()) -> dict[str, Any]:
    """Return the denial of every region but ``home``, with the global services' actions left out."""
    reachable = {action for service in global_services() for action in service.actions}
    return {
        "Sid": "HomeRegionOnly",
        "Effect": "Deny",
        "NotAction": sorted(reachable | set(also_reachable)),
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": home}, **_but(exempt)},
    }


def deny(protection: Protection, exempt: Sequence[str] = ()) -> dict[str, Any]:
    """Return the denial of what a protection names, to all but the exempt."""
    condition = {**protection.condition, **_but(exempt)}
    return _denial(protection.sid, protection.actions, condition, protection.resources)


def keep_boundary(arn: str, exempt: Sequence[str], deployers: Sequence[str]) -> list[dict[str, Any]]:
    """Return the denials that keep a boundary on: no identity without it, none that drops it, none that edits it.

    Without these a bounded role would make itself an unbounded one.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    """
    making = ("iam:CreateRole", "iam:CreateUser", "iam:PutRolePermissionsBoundary", "iam:PutUserPermissionsBoundary")
    dropping = ("iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary")
    editing = ("iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion")

    unbounded = {"StringNotEquals": {"iam:PermissionsBoundary": arn}}
    return [
        _denial("BoundaryOnNewIdentities", making, {**unbounded, **_but(exempt)}),
        _denial("BoundaryStaysOn", dropping, _but(exempt)),
        _denial("BoundaryStaysAsItIs", editing, _but([*exempt, *deployers]), (arn,)),
    ]


@functools.cache
def global_services() -> tuple[GlobalService, ...]:
    """Return what stays reachable outside the home region, as ``region_guard.toml`` has it."""
    return tuple(GlobalService(**_frozen(entry)) for entry in _data()["reachable"])


@functools.cache
def protections() -> tuple[Protection, ...]:
    """Return what is denied in every region, as ``region_guard.toml`` has it."""
    return tuple(Protection(**_frozen(entry)) for entry in _data()["protected"])


def _denial(
    sid: str, actions: Sequence[str], condition: dict[str, Any], resources: Sequence[str] = ("*",)
) -> dict[str, Any]:
    """Return a statement of an identity's policy that denies its holder the actions."""
    resource = resources[0] if len(resources) == 1 else list(resources)
    denial = {"Sid": sid, "Effect": "Deny", "Action": list(actions), "Resource": resource}
    return denial | ({"Condition": condition} if condition else {})


def _but(exempt: Sequence[str]) -> dict[str, Any]:
    """Return the condition that leaves the principals out, a role whatever its session is called."""
    return {"ArnNotLike": {"aws:PrincipalArn": list(exempt)}} if exempt else {}


def _data() -> dict[str, list[Any]]:
    return tomllib.loads(resources.files("falaj.components").joinpath("region_guard.toml").read_text())


def _frozen(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
