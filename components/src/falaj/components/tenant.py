"""A team's own place on the platform: a namespace that is closed, bounded and answerable, and its Vault paths."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded, dns_label, quantity
from falaj.components.classification import Classification
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import TenantRef, VaultRef
from falaj.components.tenant_roles import Role, role_rules
from falaj.components.tenant_vault import check_data, check_stages, tenant_in_vault


class TenantArgs(TypedDict):
    """What may be said of a tenant."""

    ownership: Ownership
    """Who answers for the tenant and pays for it."""
    gpus: int
    """GPUs that the tenant's pods may ask for together, 0 to 100000."""
    classification: NotRequired[Classification]
    """Highest classification of the tenant's data. Default: ``restricted``."""
    namespace: NotRequired[str]
    """Namespace of the tenant, also its name in Vault. Default: the component's name."""
    cpus: NotRequired[int]
    """CPUs that the tenant's pods may ask for together. Default: 64."""
    memory: NotRequired[str]
    """Memory that the tenant's pods may ask for together. Default: ``256Gi``."""
    pods: NotRequired[int]
    """Most pods of the tenant. Default: 200."""
    service_accounts: NotRequired[list[str]]
    """Identities of work of no named stage; in Vault they reach all that is the tenant's. Default: ``["workload"]``."""
    stages: NotRequired[dict[str, list[str]]]
    """Identities by pipeline stage, a member of ``PipelineStage``; in Vault each reaches its stage's. Default: none."""
    data: NotRequired[list[str]]
    """Classifications of the tenant's data; each has a key of its own in Vault. Default: ``classification`` alone."""
    viewers: NotRequired[str]
    """Group that may look. Default: ``<namespace>-viewers``."""
    developers: NotRequired[str]
    """Group that may run work. Default: ``<namespace>-developers``."""
    operators: NotRequired[str]
    """Group that may also open a shell in pods and see secrets. Default: ``<namespace>-operators``."""
    vault: NotRequired[pulumi.Input[VaultRef]]
    """Where the tenant's keys and secrets are: ``ref`` of a ``SecretsVault``. Default: the tenant has none."""


class Tenant(pulumi.ComponentResource):
    """One namespace with Pod Security ``restricted``, no traffic but DNS, quotas, identities and roles.

    With a Vault: a transit key for each classification, certificates of its services' names, and login for its service
    accounts, bound by name, each as its stage.
    Needs the ``kubernetes`` provider, and with a Vault the ``vault`` provider, in its options.
    Serves ISO/IEC 27001:2022 A.5.15, A.8.3, A.8.18 and A.8.22.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    namespace: pulumi.Output[str]
    """Namespace of the tenant."""
    service_accounts: pulumi.Output[list[str]]
    """Names of the service accounts."""
    ref: TenantRef
    """The tenant as other components take it."""

    def __init__(self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        space = dns_label(f"{name}.namespace", args.get("namespace", name))
        plain = [dns_label(f"{name}.service_accounts", each) for each in args.get("service_accounts", ["workload"])]
        stages = check_stages(f"{name}.stages", args.get("stages", {}), plain)
        accounts = [account for of_stage in stages.values() for account in of_stage]
        data = check_data(f"{name}.data", classification, args.get("data"))
        quota = tenant_quota(
            bounded(f"{name}.gpus", args["gpus"], 0, 100_000),
            bounded(f"{name}.cpus", args.get("cpus", 64), 1, 1_000_000),
            quantity(f"{name}.memory", args.get("memory", "256Gi")),
            bounded(f"{name}.pods", args.get("pods", 200), 1, 100_000),
        )
        tags = labels(f"{name}.ownership", args["ownership"], classification)

        super().__init__("falaj:index:Tenant", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace", metadata={"name": space, "labels": tags | POD_SECURITY}, opts=child
        )
        # Everything else names the namespace by the object, so that it is made after and removed before it.
        within = namespace.metadata.name
        policies = _network_policies(name, within, tags, child)
        bounds = _bounds(name, within, quota, tags, child)
        identities = _service_accounts(name, namespace, accounts, tags, child)
        _roles(
            name,
            within,
            {
                Role.VIEWER: args.get("viewers", f"{space}-viewers"),
                Role.DEVELOPER: args.get("developers", f"{space}-developers"),
                Role.OPERATOR: args.get("operators", f"{space}-operators"),
            },
            tags,
            child,
        )
        if "vault" in args:
            tenant_in_vault(name, space, args["vault"], stages=stages, data=data, opts=child)

        # What runs in the tenant waits for its bounds: a pod never precedes its quota. Names are known at preview.
        self.namespace = pulumi.Output.all(within, *policies, *bounds, *identities).apply(lambda known: str(known[0]))
        self.service_accounts = pulumi.Output.from_input(accounts)
        self.ref = {"namespace": self.namespace, "labels": tags}
        self.register_outputs({"namespace": self.namespace, "serviceAccounts": self.service_accounts, "ref": self.ref})


POD_SECURITY = {
    f"pod-security.kubernetes.io/{mode}{suffix}": value
    for mode in ("enforce", "audit", "warn")
    for suffix, value in (("", "restricted"), ("-version", "latest"))
}
"""Labels by which the API server refuses every pod that is not restricted."""


def tenant_quota(gpus: int, cpus: int, memory: str, pods: int) -> dict[str, str]:
    """Return the tenant's share as a quota; what would leave the namespace (nodePort, loadBalancer) gets none."""
    return {
        # Kubernetes takes extended resources by request alone, since request and limit are the same there.
        "requests.nvidia.com/gpu": str(gpus),
        "requests.cpu": str(cpus),
        "requests.memory": memory,
        "limits.memory": memory,
        "pods": str(pods),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


def _network_policies(
    name: str, namespace: pulumi.Output[str], tags: dict[str, str], opts: pulumi.ResourceOptions
) -> list[pulumi.Output[str]]:
    """Close the namespace in both directions, then open name resolution."""
    deny = k8s.networking.v1.NetworkPolicy(
        f"{name}-default-deny",
        metadata={"name": "default-deny", "namespace": namespace, "labels": tags},
        spec={"pod_selector": {}, "policy_types": ["Ingress", "Egress"]},
        opts=opts,
    )
    dns = k8s.networking.v1.NetworkPolicy(
        f"{name}-allow-dns",
        metadata={"name": "allow-dns", "namespace": namespace, "labels": tags},
        spec={
            "pod_selector": {},
            "policy_types": ["Egress"],
            "egress": [
                {
                    "to": [
                        {
                            "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": "kube-system"}},
                            "pod_selector": {"match_labels": {"k8s-app": "kube-dns"}},
                        }
                    ],
                    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
                }
            ],
        },
        opts=opts,
    )
    return [deny.metadata.name, dns.metadata.name]


def _bounds(
    name: str,
    namespace: pulumi.Output[str],
    quota: dict[str, str],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Output[str]]:
    """Bound what the namespace takes together, and what a container takes that does not say."""
    together = k8s.core.v1.ResourceQuota(
        f"{name}-quota",
        metadata={"name": "tenant", "namespace": namespace, "labels": tags},
        spec={"hard": quota},
        opts=opts,
    )
    each = k8s.core.v1.LimitRange(
        f"{name}-limits",
        metadata={"name": "tenant", "namespace": namespace, "labels": tags},
        spec={
            "limits": [
                {
                    "type": "Container",
                    "default_request": {"cpu": "100m", "memory": "256Mi"},
                    "default": {"memory": "1Gi"},
                }
            ]
        },
        opts=opts,
    )
    return [together.metadata.name, each.metadata.name]


def _service_accounts(
    name: str,
    namespace: k8s.core.v1.Namespace,
    accounts: list[str],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Output[str]]:
    """Make the identities, none of which puts a token into pods unasked; ``default``, which Kubernetes makes, too."""

    def make(account: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
        return k8s.core.v1.ServiceAccount(
            f"{name}-account-{account}",
            metadata={"name": account, "namespace": namespace.metadata.name, "labels": tags},
            automount_service_account_token=False,
            opts=opts,
        ).metadata.name

    # Kubernetes makes this one again whenever it is deleted: it goes with its namespace only.
    with_namespace = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(deleted_with=namespace))
    return [
        make("default", with_namespace),
        *(make(each, opts) for each in dict.fromkeys(accounts) if each != "default"),
    ]


def _roles(
    name: str,
    namespace: pulumi.Output[str],
    groups: dict[Role, str],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> None:
    """Bind each group of people to its role within the namespace."""
    for kind, group in groups.items():
        role = k8s.rbac.v1.Role(
            f"{name}-role-{kind}",
            metadata={"name": f"tenant-{kind}", "namespace": namespace, "labels": tags},
            rules=role_rules(kind),
            opts=opts,
        )
        k8s.rbac.v1.RoleBinding(
            f"{name}-binding-{kind}",
            metadata={"name": f"tenant-{kind}", "namespace": namespace, "labels": tags},
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
            subjects=[{"api_group": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
            opts=opts,
        )
