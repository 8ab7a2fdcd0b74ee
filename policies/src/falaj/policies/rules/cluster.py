"""What rules inside a cluster: namespaces that restrict their pods and deny traffic, rights that are named."""

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.rules.workloads import POD_TYPES
from falaj.policies.values import UNKNOWN, Fact, View, all_of, any_of

NAMESPACE = "kubernetes:core/v1:Namespace"
_NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
_RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
_DIRECTIONS = ("Ingress", "Egress")
# Groups to which everyone belongs, or everyone inside; and the one that no rule binds.
_EVERYONE = ("system:masters", "system:authenticated", "system:unauthenticated", "system:serviceaccounts")


@rule(
    "FJ-NSP-001",
    "Namespaces enforce the restricted Pod Security Standard",
    Severity.HIGH,
    ("A.8.18", "A.8.2"),
    (NAMESPACE,),
    "Label the namespace with pod-security.kubernetes.io/enforce=restricted.",
)
def pod_security(namespace: Resource, _: Context) -> Checks:
    """The API server then refuses what these rules never saw."""
    label = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    yield must(label.equals("restricted"), "is not restricted")


@rule(
    "FJ-NSP-002",
    "Namespaces deny the traffic that no policy allows",
    Severity.HIGH,
    ("A.8.22", "A.8.12", "A.8.20"),
    (NAMESPACE, *POD_TYPES),
    "Declare a NetworkPolicy with an empty podSelector, policyTypes Ingress and Egress, and no rules.",
    reads=(NAMESPACE, _NETWORK_POLICY),
)
def default_deny(resource: Resource, context: Context) -> Checks:
    """Pods are judged by their namespace; where another stack declares it, that stack knows."""
    policies = list(context.graph.of((_NETWORK_POLICY,)))
    if resource.type == NAMESPACE:
        for direction in _DIRECTIONS:
            denied = any_of(_lies_in(policy, resource) & _denies(policy, direction) for policy in policies)
            yield must(denied, f"no NetworkPolicy denies {direction} by default")
        return
    place = _namespace(resource)
    declared = any_of(_lies_in(resource, namespace) for namespace in context.graph.of((NAMESPACE,)))
    by_default = place.equals("default")
    yield never(by_default & ~declared, "pods run in the namespace default")
    denied = all_of(
        any_of(_same(place, _namespace(policy)) & _denies(policy, direction) for policy in policies)
        for direction in _DIRECTIONS
    )
    elsewhere = Fact(None, place.path)
    yield must(
        declared | denied | by_default | elsewhere,
        "no NetworkPolicy denies its traffic; another stack declares it",
    )


@rule(
    "FJ-RBC-001",
    "Roles name their verbs",
    Severity.HIGH,
    ("A.8.3", "A.5.15", "A.5.18"),
    (f"{_RBAC}:Role", f"{_RBAC}:ClusterRole"),
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
    ("A.8.2", "A.5.3", "A.5.18"),
    (f"{_RBAC}:RoleBinding", f"{_RBAC}:ClusterRoleBinding"),
    "Bind a role that names its rights to named users, groups or service accounts.",
)
def bindings(binding: Resource, _: Context) -> Checks:
    """Everybody includes every service account, and so every pod."""
    yield never(binding["roleRef"]["name"].equals("cluster-admin"), "is the role that may do everything")
    for subject in binding["subjects"].each():
        yield never(subject["name"].among(_EVERYONE), "is everybody")


def _namespace(resource: Resource) -> View:
    """Return the name of the namespace that the object lies in: its own word, its provider's, or Kubernetes's."""
    own = resource["metadata"]["namespace"]
    if own.value is None:
        own = own.replaced(resource.provider["namespace"].value)
    return own.replaced("default") if own.value is None else own


def _lies_in(resource: Resource, namespace: Resource) -> Fact:
    """Return whether the object lies in the namespace; before names are known, what they come from tells."""
    place = _namespace(resource)
    if namespace.urn in resource.links.get("metadata", ()):
        if place.value is UNKNOWN:
            return Fact(True, place.path)
        if place.value == "default":
            # At preview the Kubernetes provider puts "default" in place of a namespace that is not known yet.
            return Fact(None, place.path)
    return _same(place, namespace["metadata"]["name"])


def _same(one: View, other: View) -> Fact:
    return Fact(None, other.path) if other.value is UNKNOWN else one.equals(other.value)


def _denies(policy: Resource, direction: str) -> Fact:
    """Return whether the policy selects every pod and allows none of the direction's traffic."""
    spec = policy["spec"]
    selector = spec["podSelector"]
    every_pod = ~selector["matchLabels"].is_set() & ~selector["matchExpressions"].is_set()
    return every_pod & spec["policyTypes"].contains(direction) & ~spec[direction.lower()].is_set()


RULES: tuple[Rule, ...] = (pod_security, default_deny, verbs, bindings)
