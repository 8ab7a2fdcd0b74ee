"""What rules inside a cluster: namespaces that restrict their pods and deny traffic."""

from falaj.policies.model import Checks, Context, Resource, Rule, Setting, Severity, must, never, rule
from falaj.policies.namespaced import NAMESPACE, around, lies_in, namespace_of, near, same
from falaj.policies.pods import POD_TYPES
from falaj.policies.values import Fact, all_of, any_of

_NETWORK_POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
NEEDED = (
    *(f"kubernetes:core/v1:{kind}" for kind in ("Service", "ServiceAccount", "Secret", "ConfigMap")),
    "kubernetes:core/v1:PersistentVolumeClaim",
    "kubernetes:networking.k8s.io/v1:Ingress",
    *(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("Role", "RoleBinding")),
)
"""What pods are reached by, read and may do."""
_DIRECTIONS = ("Ingress", "Egress")
_QUOTA = "kubernetes:core/v1:ResourceQuota"
_RANGE = "kubernetes:core/v1:LimitRange"
# What a tenant takes, by the names that a quota may have for it.
_TAKEN = (
    ("pods", "count/pods"),
    ("cpu", "requests.cpu", "limits.cpu"),
    ("memory", "requests.memory", "limits.memory"),
)
_TENANT_LABEL = Setting(
    {"type": "string", "description": "Label by which the namespaces of tenants are known"},
    "falaj.dev/tenant",
)


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
    graph = context.graph
    if resource.type == NAMESPACE:
        policies = near(graph, (_NETWORK_POLICY,), resource["metadata"]["name"], resource.urn)
        for direction in _DIRECTIONS:
            denied = any_of(lies_in(policy, resource) & _denies(policy, direction) for policy in policies)
            yield must(denied, f"no NetworkPolicy denies {direction} by default")
        return
    place = namespace_of(resource)
    declared = any_of(lies_in(resource, namespace) for namespace in around(graph, resource))
    by_default = place.equals("default")
    yield never(by_default & ~declared, "pods run in the namespace default")
    policies = near(graph, (_NETWORK_POLICY,), place)
    denied = all_of(
        any_of(same(place, namespace_of(policy)) & _denies(policy, direction) for policy in policies)
        for direction in _DIRECTIONS
    )
    elsewhere = Fact(None, place.path)
    yield must(
        declared | denied | by_default | elsewhere,
        "no NetworkPolicy denies its traffic; another stack declares it",
    )


@rule(
    "FJ-NSP-004",
    "What pods need lies in a namespace of its own",
    Severity.MEDIUM,
    ("A.8.22", "A.5.15", "A.8.3", "ZT-6"),
    NEEDED,
    "Set metadata.namespace to the namespace of the workload.",
    reads=(NAMESPACE,),
)
def own_namespace(resource: Resource, context: Context) -> Checks:
    """Whoever may work in the namespace default sees it all there; of pods FJ-NSP-002 says so."""
    declared = any_of(lies_in(resource, namespace) for namespace in around(context.graph, resource))
    yield never(namespace_of(resource).equals("default") & ~declared, "lies in the namespace default")


@rule(
    "FJ-NSP-003",
    "Tenants' namespaces have a quota, and bounds for containers",
    Severity.MEDIUM,
    ("CE-4", "A.8.6"),
    (NAMESPACE,),
    "Declare a ResourceQuota for pods, cpu and memory, and a LimitRange, in the namespace.",
    reads=(_QUOTA, _RANGE),
    settings={"tenantLabel": _TENANT_LABEL},
)
def tenant_bounds(namespace: Resource, context: Context) -> Checks:
    """What one tenant takes without a bound, the others do not have."""
    label = namespace["metadata"]["labels"][context.settings["tenantLabel"]]
    is_tenants = label.is_set()
    if is_tenants.truth is False:
        return
    quotas, ranges = (
        near(context.graph, (type_,), namespace["metadata"]["name"], namespace.urn) for type_ in (_QUOTA, _RANGE)
    )
    quota = any_of(lies_in(each, namespace) & _bounds_all(each) for each in quotas)
    yield must(~is_tenants | quota, "no ResourceQuota bounds its pods, cpu and memory")
    ranged = any_of(lies_in(each, namespace) & each["spec"]["limits"].is_set() for each in ranges)
    yield must(~is_tenants | ranged, "no LimitRange bounds its containers")


def _bounds_all(quota: Resource) -> Fact:
    """Return whether the quota bounds what every tenant takes, for all of its pods."""
    spec = quota["spec"]
    scoped = spec["scopes"].is_set() | spec["scopeSelector"].is_set()
    named = all_of(any_of(spec["hard"][key].is_set() for key in keys) for keys in _TAKEN)
    return named & ~scoped


def _denies(policy: Resource, direction: str) -> Fact:
    """Return whether the policy selects every pod and allows none of the direction's traffic."""
    spec = policy["spec"]
    selector = spec["podSelector"]
    every_pod = ~selector["matchLabels"].is_set() & ~selector["matchExpressions"].is_set()
    return every_pod & spec["policyTypes"].contains(direction) & ~spec[direction.lower()].is_set()


RULES: tuple[Rule, ...] = (pod_security, default_deny, tenant_bounds, own_namespace)
