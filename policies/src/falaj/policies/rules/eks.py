"""Clusters: private, encrypted, logged, of a version that is cared for, and administered by named roles."""

import json
import re
from typing import Any, cast

from falaj.policies.kubernetes_support import in_standard_support
from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.residency.crossings import TODAY

CLUSTER = "aws:eks/cluster:Cluster"
_ADDON = "aws:eks/addon:Addon"
_ACCESS_ENTRY = "aws:eks/accessEntry:AccessEntry"
_POLICY_ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
_ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[^*?]+")
_LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


@rule(
    "FJ-EKS-001",
    "Cluster endpoints are private",
    Severity.CRITICAL,
    ("A.8.20", "A.8.22"),
    (CLUSTER,),
    "Set vpcConfig.endpointPrivateAccess to true and vpcConfig.endpointPublicAccess to false; AWS's default is public.",
)
def private_endpoint(cluster: Resource, _: Context) -> Checks:
    """A public endpoint is AWS's default."""
    config = cluster["vpcConfig"]
    yield must(config["endpointPrivateAccess"].is_true(), "the API server has no private endpoint")
    yield must(config["endpointPublicAccess"].equals(False), "the API server has a public endpoint")


@rule(
    "FJ-EKS-002",
    "Clusters log everything",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    (CLUSTER,),
    "Set enabledClusterLogTypes to api, audit, authenticator, controllerManager and scheduler.",
)
def log_types(cluster: Resource, _: Context) -> Checks:
    """Each type tells what no other tells."""
    for type_ in _LOG_TYPES:
        yield must(cluster["enabledClusterLogTypes"].contains(type_), f"the log {type_} is off")


@rule(
    "FJ-EKS-003",
    "Clusters encrypt their secrets with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.17"),
    (CLUSTER,),
    'Set encryptionConfig with resources ["secrets"] and provider.keyArn.',
)
def secrets_encryption(cluster: Resource, _: Context) -> Checks:
    """The key is the organisation's to revoke."""
    config = cluster["encryptionConfig"]
    yield must(config["resources"].contains("secrets"), "secrets are not encrypted with a customer key")
    yield must(config["provider"]["keyArn"].is_set(), "no customer key is named")


@rule(
    "FJ-EKS-004",
    "Clusters know their users by access entries",
    Severity.HIGH,
    ("A.8.5", "A.5.16", "A.8.2"),
    (CLUSTER,),
    "Set accessConfig.authenticationMode to API and bootstrapClusterCreatorAdminPermissions to false.",
)
def authentication_mode(cluster: Resource, _: Context) -> Checks:
    """The aws-auth config map escapes every review, and the creator's hidden rights every list."""
    config = cluster["accessConfig"]
    yield must(config["authenticationMode"].equals("API"), "users may come from a config map inside the cluster")
    creator = config["bootstrapClusterCreatorAdminPermissions"]
    yield must(creator.equals(False), "whoever creates the cluster administers it without an entry")


@rule(
    "FJ-EKS-006",
    "Clusters run a version in standard support, and are updated before it ends",
    Severity.HIGH,
    ("A.8.8", "A.8.9", "CE-4", "ZT-5"),
    (CLUSTER,),
    "Set version to one in standard support, and upgradePolicy.supportType to STANDARD.",
    settings={
        "minimumVersion": Setting(
            {
                "type": "string",
                "pattern": r"^1\.\d+$",
                "description": "Oldest version of Kubernetes that may run, in place of what AWS supports on the day",
            },
            "",
        ),
        "today": TODAY,
    },
)
def version(cluster: Resource, context: Context) -> Checks:
    """Extended support costs six times as much and fixes the worst only; it is AWS's default when a version ends.

    Which versions AWS supports on the day of the run is in ``kubernetes_support.toml``, unless the setting says.
    """
    oldest, today = context.settings["minimumVersion"], context.settings["today"]
    yield must(cluster["version"].is_set(), "nobody says which version runs")
    old = cluster["version"].test(
        lambda text: _number(text) < _number(oldest) if oldest else not in_standard_support(text, today)
    )
    yield never(old, "the version is out of standard support")
    yield must(cluster["upgradePolicy"]["supportType"].equals("STANDARD"), "stays on versions that support has left")


@rule(
    "FJ-EKS-007",
    "Administrators of a cluster are named roles",
    Severity.CRITICAL,
    ("A.8.2", "A.5.15", "A.5.16", "ZT-6"),
    (_POLICY_ASSOCIATION, _ACCESS_ENTRY),
    "Associate AmazonEKSClusterAdminPolicy and AmazonEKSAdminPolicy with roles that few may take.",
)
def administrators(entry: Resource, _: Context) -> Checks:
    """The account's root stands for all its users; a user's keys have no end."""
    if entry.type == _ACCESS_ENTRY:
        yield never(entry["principalArn"].test(_is_root), "the account's root stands for everyone in it")
        for group in entry["kubernetesGroups"].each():
            yield never(group.test(_is_of_kubernetes), "a group of Kubernetes' own, which no binding limits")
        return
    administers = entry["policyArn"].test(_administers) & ~entry["accessScope"]["type"].equals("namespace")
    role = entry["principalArn"].test(lambda arn: bool(_ROLE.fullmatch(arn)))
    yield never(administers & ~role, "the administrator is not a named role")


@rule(
    "FJ-EKS-008",
    "Add-ons are pinned",
    Severity.MEDIUM,
    ("A.8.9", "A.8.32", "A.5.21", "ZT-5"),
    (_ADDON,),
    "Set addonVersion to what `aws eks describe-addon-versions` names for the cluster's version.",
)
def addons(addon: Resource, _: Context) -> Checks:
    """Without a version AWS takes its default of the day, which no review has seen."""
    yield must(addon["addonVersion"].is_set(), "nobody says which version runs")


@rule(
    "FJ-EKS-009",
    "Network policies are enforced",
    Severity.HIGH,
    ("A.8.22", "A.8.20", "ZT-2", "ZT-6"),
    (_ADDON,),
    'Give the add-on vpc-cni the configurationValues {"enableNetworkPolicy": "true"}.',
)
def network_policies(addon: Resource, _: Context) -> Checks:
    """The API server takes network policies whether or not anything enforces them."""
    is_network = addon["addonName"].equals("vpc-cni")
    if is_network.truth is not False:
        enforces = addon["configurationValues"].test(_enforces_policies)
        yield must(~is_network | enforces, "network policies are taken and not enforced")


@rule(
    "FJ-EKS-014",
    "Pods get an AWS identity by a service account of their own",
    Severity.HIGH,
    ("A.5.16", "A.8.2", "A.8.3", "ZT-4", "ZT-6"),
    ("aws:eks/podIdentityAssociation:PodIdentityAssociation",),
    "Name a service account for the program, and leave session tags on.",
)
def pod_identities(association: Resource, _: Context) -> Checks:
    """Every pod that names none runs as default; session tags tell policies of AWS which pod asks."""
    yield never(association["serviceAccount"].equals("default"), "every pod of the namespace gets the identity")
    yield never(association["disableSessionTags"].is_true(), "policies cannot tell pods apart")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _enforces_policies(values: str) -> bool:
    # EKS takes YAML too: what is not JSON is left undecided.
    given = json.loads(values)
    return isinstance(given, dict) and str(cast("dict[str, Any]", given).get("enableNetworkPolicy")).lower() == "true"


def _administers(arn: str) -> bool:
    return arn.endswith(("/AmazonEKSClusterAdminPolicy", "/AmazonEKSAdminPolicy"))


def _is_root(arn: str) -> bool:
    return arn.endswith(":root")


def _is_of_kubernetes(group: str) -> bool:
    return group.startswith("system:")


RULES: tuple[Rule, ...] = (
    private_endpoint,
    log_types,
    secrets_encryption,
    authentication_mode,
    version,
    administrators,
    addons,
    network_policies,
    pod_identities,
)
