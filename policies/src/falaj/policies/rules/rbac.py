"""Rights inside a cluster: named, no way to more of them, and none that opens every secret or pod."""

from collections.abc import Iterable

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.namespaced import namespace_of, same
from falaj.policies.values import Fact, View, any_of

_GROUP = "kubernetes:rbac.authorization.k8s.io/v1"
_CLUSTER_ROLE = f"{_GROUP}:ClusterRole"
_ROLES = (f"{_GROUP}:Role", _CLUSTER_ROLE)
_BINDINGS = (f"{_GROUP}:RoleBinding", f"{_GROUP}:ClusterRoleBinding")
# Groups to which everyone belongs, or everyone inside; and the one that no rule binds.
_EVERYONE = (
    "system:masters",
    "system:authenticated",
    "system:unauthenticated",
    "system:anonymous",
    "system:serviceaccounts",
)
_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch", "delete", "deletecollection")
_PLATFORM_NAMESPACES = Setting(
    {
        "type": "array",
        "items": {"type": "string"},
        "description": "Namespaces of controllers that work in others' namespaces",
    },
    ("kube-system", "falaj-system"),
)


def _grants(entry: View, resources: Iterable[str], verbs: Iterable[str]) -> Fact:
    """Return whether a rule of a role grants one of the verbs on one of the resources, on all objects of the kind.

    Wildcards are left to the rules that refuse them.
    """
    wanted, actions = list(resources), list(verbs)
    named = any_of((each.among(wanted) for each in entry["resources"].each()), entry["resources"].path)
    does = any_of((each.among(actions) for each in entry["verbs"].each()), entry["verbs"].path)
    return named & does & ~entry["resourceNames"].is_set()


@rule(
    "FJ-RBC-001",
    "Roles name their verbs",
    Severity.HIGH,
    ("A.8.3", "A.5.15", "A.5.18", "ZT-4"),
    _ROLES,
    "List the verbs that are needed.",
)
def verbs(role: Resource, _: Context) -> Checks:
    """A wildcard also grants the verbs of later versions."""
    for entry in role["rules"].each():
        yield never(entry["verbs"].contains("*"), "every verb is granted")


@rule(
    "FJ-RBC-002",
    "Nobody is bound to cluster-admin, and nothing to everybody",
    Severity.CRITICAL,
    ("A.8.2", "A.5.3", "A.5.18", "ZT-6"),
    _BINDINGS,
    "Bind a role that names its rights to named users, groups or service accounts.",
)
def bindings(binding: Resource, _: Context) -> Checks:
    """Everybody includes every service account, and so every pod."""
    yield never(binding["roleRef"]["name"].equals("cluster-admin"), "is the role that may do everything")
    for subject in binding["subjects"].each():
        yield never(subject["name"].among(_EVERYONE), "is everybody")


@rule(
    "FJ-RBC-003",
    "Roles name their resources",
    Severity.HIGH,
    ("A.8.3", "A.5.15", "A.5.18", "ZT-4"),
    _ROLES,
    "List the API groups, resources and paths that are needed.",
)
def named_resources(role: Resource, _: Context) -> Checks:
    """A wildcard also grants the kinds that are installed tomorrow, secrets among them."""
    for entry in role["rules"].each():
        for key in ("apiGroups", "resources", "nonResourceURLs"):
            yield never(entry[key].contains("*"), "everything is granted")
        every_sub = any_of(
            (each.test(lambda text: str(text).startswith("*/")) for each in entry["resources"].each()),
            entry["resources"].path,
        )
        yield never(every_sub, "a part of everything is granted")


@rule(
    "FJ-RBC-004",
    "Nobody can take more rights, or another's name",
    Severity.CRITICAL,
    ("A.8.2", "A.5.18", "A.5.3", "ZT-6"),
    _ROLES,
    "Remove escalate, bind and impersonate, or name what they are for in resourceNames.",
)
def raises_rights(role: Resource, _: Context) -> Checks:
    """These verbs switch off the API server's own check that nobody grants more than they have."""
    for entry in role["rules"].each():
        raised = any_of(each.among(("escalate", "bind", "impersonate")) for each in entry["verbs"].each())
        yield never(raised & ~entry["resourceNames"].is_set(), "rights can be raised without a bound")


@rule(
    "FJ-RBC-005",
    "No role reads every secret of the cluster",
    Severity.HIGH,
    ("A.5.17", "A.8.3", "A.5.15", "ZT-6"),
    (_CLUSTER_ROLE,),
    "Grant secrets by a Role in their namespace, or name them in resourceNames.",
)
def reads_secrets(role: Resource, _: Context) -> Checks:
    """Among them are the tokens and certificates of everyone else."""
    for entry in role["rules"].each():
        yield never(_grants(entry, ("secrets",), _READ), "every secret can be read")


@rule(
    "FJ-RBC-006",
    "No role opens every pod or node of the cluster",
    Severity.HIGH,
    ("A.8.18", "A.8.2", "A.8.3", "ZT-6"),
    (_CLUSTER_ROLE,),
    "Grant exec, attach and port-forward by a Role in a namespace; grant nodes/proxy to nobody.",
)
def opens_pods(role: Resource, _: Context) -> Checks:
    """The proxy of a node reaches its kubelet, which runs commands in every pod and keeps no audit of it."""
    shells = ("pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "pods/ephemeralcontainers")
    for entry in role["rules"].each():
        yield never(_grants(entry, shells, ("create", "get", "update", "patch")), "every pod can be entered")
        yield never(_grants(entry, ("nodes/proxy",), (*_READ, *_WRITE)), "every kubelet can be asked anything")


@rule(
    "FJ-RBC-007",
    "No role changes what guards the cluster",
    Severity.HIGH,
    ("A.8.2", "A.5.3", "A.8.32", "ZT-5"),
    (_CLUSTER_ROLE,),
    "Remove the rights to write admission webhooks and policies, or name the objects in resourceNames.",
)
def changes_guards(role: Resource, _: Context) -> Checks:
    """Who changes a webhook sees, and changes, whatever passes the API server."""
    guards = (
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    )
    for entry in role["rules"].each():
        yield never(_grants(entry, guards, _WRITE), "admission can be changed")


@rule(
    "FJ-RBC-008",
    "Nobody issues identities to themselves",
    Severity.HIGH,
    ("A.5.16", "A.5.17", "A.8.2", "ZT-3", "ZT-6"),
    _ROLES,
    "Remove the rights to make tokens and approve certificates, or name accounts in resourceNames.",
)
def issues_identities(role: Resource, _: Context) -> Checks:
    """A token of any account, or a certificate of any name, is that account's rights."""
    for entry in role["rules"].each():
        yield never(_grants(entry, ("serviceaccounts/token",), ("create",)), "tokens of every account can be made")
        approves = _grants(entry, ("certificatesigningrequests/approval",), ("update", "patch"))
        signs = _grants(entry, ("signers",), ("approve", "sign"))
        yield never(approves | signs, "certificates of every name can be approved")


@rule(
    "FJ-RBC-009",
    "Nobody makes volumes of a node's disk",
    Severity.HIGH,
    ("A.8.18", "A.8.3"),
    (_CLUSTER_ROLE,),
    "Remove create and update of persistentvolumes; volumes are made by a storage driver.",
)
def makes_volumes(role: Resource, _: Context) -> Checks:
    """A volume may be any folder of a node, past what its namespace's standard forbids pods."""
    for entry in role["rules"].each():
        yield never(_grants(entry, ("persistentvolumes",), ("create", "update", "patch")), "any volume can be made")


@rule(
    "FJ-RBC-010",
    "Rights in a namespace are for those who live there",
    Severity.HIGH,
    ("A.5.15", "A.8.3", "A.8.22", "ZT-6"),
    (f"{_GROUP}:RoleBinding",),
    "Bind service accounts of the same namespace; name namespaces of shared controllers in the setting.",
    settings={"platformNamespaces": _PLATFORM_NAMESPACES},
)
def across_namespaces(binding: Resource, context: Context) -> Checks:
    """One tenant's pod must not act in another's namespace."""
    place = namespace_of(binding)
    for subject in binding["subjects"].each():
        lives = subject["namespace"]
        here = same(lives, place) | lives.among(context.settings["platformNamespaces"])
        yield must(~subject["kind"].equals("ServiceAccount") | here, "the account is of another namespace")


@rule(
    "FJ-RBC-011",
    "The account that every pod gets has no rights",
    Severity.HIGH,
    ("A.5.15", "A.5.16", "ZT-6"),
    _BINDINGS,
    "Bind an account of the workload's own.",
)
def default_account(binding: Resource, _: Context) -> Checks:
    """Pods that name no account run as default: its rights are everybody's in the namespace."""
    for subject in binding["subjects"].each():
        is_default = subject["kind"].equals("ServiceAccount") & subject["name"].equals("default")
        yield never(is_default, "is the account of every pod that names none")


RULES: tuple[Rule, ...] = (
    verbs,
    bindings,
    named_resources,
    raises_rights,
    reads_secrets,
    opens_pods,
    changes_guards,
    issues_identities,
    makes_volumes,
    across_namespaces,
    default_account,
)
