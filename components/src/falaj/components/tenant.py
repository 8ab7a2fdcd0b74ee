"""A team's own place on the platform: a namespace that is closed, bounded and answerable, and what it reaches."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.checks import bounded, dns_label, quantity
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import QueuesRef, TenantRef, VaultRef, pick
from falaj.components.tenant_access import TenantAccess, check_access, check_boundary, tenant_access
from falaj.components.tenant_bounds import bound_tenant, container_limits, forbidden_priorities, tenant_quota
from falaj.components.tenant_network import NetworkOpening, check_openings, network_policies
from falaj.components.tenant_roles import Role, bind_people
from falaj.components.tenant_vault import check_data, check_stages, tenant_in_vault
from falaj.components.tiers import Tier, check_tiers

TENANT = "falaj.dev/tenant"
"""Label that tells whose a namespace is; on a node, and as a taint, for whom a pool is kept."""
DEPARTMENT = "falaj.dev/department"
"""Label that tells to which department a namespace's team belongs."""
TIER = "tier.falaj.dev/"
"""Beginning of the labels that tell which tiers a namespace's work may name."""


class TenantArgs(TypedDict):
    """What may be said of a tenant."""

    ownership: Ownership
    """Who answers for the tenant and pays for it."""
    gpus: int
    """GPUs that the tenant's pods may ask for together, 0 to 100000; with queues, what is borrowed included."""
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
    largest_cpus: NotRequired[int]
    """CPUs of a container at most, which one gets as its limit that names none. Default: no maximum."""
    largest_memory: NotRequired[str]
    """Memory of a container at most, at least ``1Gi``. Default: no maximum."""
    department: NotRequired[str]
    """Department that the team belongs to; its group ``<department>-operators`` may look. Default: none."""
    tiers: NotRequired[list[str]]
    """Tiers that the tenant's work may name: members of ``Tier``. Default: ``["batch", "scavenger"]``."""
    queues: NotRequired[pulumi.Input[QueuesRef]]
    """Where the tenant's work waits for GPUs: ``ref`` of a ``GpuQueues``. Default: it does not wait in a queue."""
    openings: NotRequired[list[NetworkOpening]]
    """Connections that the tenant's pods may have. Default: none but name resolution."""
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
    access: NotRequired[TenantAccess]
    """What the tenant's service accounts reach in AWS, by stage. Default: nothing."""
    permissions_boundary: NotRequired[pulumi.Input[str]]
    """ARN of the policy that bounds its roles in AWS, as a ``RegionGuard`` makes one. Default: none."""


class Tenant(pulumi.ComponentResource):
    """One namespace with Pod Security ``restricted``, no traffic but DNS, quotas, identities and roles.

    With queues: a place to wait for GPUs, which its work uses unasked. With a Vault: a transit key for each
    classification, certificates of its services' names, and login for its service accounts, bound by name, each as its
    stage. With access: its folder of named stores, for the service accounts of each stage.
    What its people may do is also bounded for all tenants at once, by one ``TenantAdmission`` of the cluster.
    Needs the ``kubernetes`` provider in its options, with a Vault the ``vault`` provider, with access the ``aws`` one.
    Serves ISO/IEC 27001:2022 A.5.15, A.5.18, A.8.3, A.8.18 and A.8.22.
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
        limits = container_limits(name, args.get("largest_cpus"), args.get("largest_memory"))
        tiers = check_tiers(f"{name}.tiers", args.get("tiers", [Tier.BATCH.value, Tier.SCAVENGER.value]))
        department = dns_label(f"{name}.department", args["department"]) if "department" in args else None
        openings = check_openings(f"{name}.openings", args.get("openings", []))
        if "access" in args:
            check_access(f"{name}.access", args["access"], list(stages), classification)
        boundary = None
        if "permissions_boundary" in args:
            boundary = check_boundary(f"{name}.permissions_boundary", args["permissions_boundary"])
        queue = queue_of(name, space, args["queues"]) if "queues" in args else None
        tags = labels(f"{name}.ownership", args["ownership"], classification)

        super().__init__("falaj:index:Tenant", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": space, "labels": tags | POD_SECURITY | namespace_labels(space, department, tiers)},
            opts=child,
        )
        # Everything else names the namespace by the object, so that it is made after and removed before it.
        within = namespace.metadata.name
        before_work = [
            *network_policies(name, within, openings, pod_identity="access" in args, tags=tags, opts=child),
            *bound_tenant(
                name,
                within,
                quota=quota,
                limits=limits,
                forbidden=forbidden_priorities(tiers),
                tags=tags,
                opts=child,
            ),
            *_service_accounts(name, namespace, accounts, tags, child),
        ]
        if queue is not None:
            before_work.append(_local_queue(name, within, queue, tags, child))
        groups = {role: args.get(f"{role}s", f"{space}-{role}s") for role in Role}
        bind_people(name, within, groups, department, tags=tags, opts=child)
        if "vault" in args:
            tenant_in_vault(name, space, args["vault"], stages=stages, data=data, opts=child)
        if "access" in args:
            tenant_access(
                name,
                space,
                args["access"],
                stages=stages,
                classification=classification,
                boundary=boundary,
                tags=tags,
                opts=child,
            )

        # What runs in the tenant waits for its bounds: a pod never precedes its quota. Names are known at preview.
        self.namespace = pulumi.Output.all(within, *before_work).apply(lambda known: str(known[0]))
        self.service_accounts = pulumi.Output.from_input(accounts)
        self.ref = {"namespace": self.namespace, "labels": tags}
        self.register_outputs({"namespace": self.namespace, "serviceAccounts": self.service_accounts, "ref": self.ref})


POD_SECURITY = {
    f"pod-security.kubernetes.io/{mode}{suffix}": value
    for mode in ("enforce", "audit", "warn")
    for suffix, value in (("", "restricted"), ("-version", "latest"))
}
"""Labels by which the API server refuses every pod that is not restricted."""
LOCAL_QUEUE = "default"
"""The name by which Kueue finds the queue of work that names none."""


def namespace_labels(tenant: str, department: str | None, tiers: list[Tier]) -> dict[str, str]:
    """Return the labels by which queues and admission know whose a namespace is and what its work may name."""
    known = {TENANT: tenant, **{f"{TIER}{tier}": "allowed" for tier in tiers}}
    return known | ({DEPARTMENT: department} if department else {})


def queue_of(name: str, tenant: str, ref: pulumi.Input[QueuesRef]) -> pulumi.Output[str]:
    """Return the tenant's ClusterQueue, refusing queues that have none for it: at once if they are known."""

    def found(queues: Mapping[str, str]) -> str:
        if tenant not in queues:
            remedy = f"must have a queue for {tenant}: name the tenant with its share there"
            raise ConfigError(f"{name}.queues", sorted(queues), remedy)
        return queues[tenant]

    plain: Any = ref["queues"] if isinstance(ref, Mapping) else None
    if isinstance(plain, Mapping):
        found(plain)
    return pick(ref, "queues").apply(found)


def _local_queue(
    name: str,
    namespace: pulumi.Output[str],
    queue: pulumi.Output[str],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    # Kueue lets no queue change its ClusterQueue, and the name is the one that work without a queue finds.
    anew = pulumi.ResourceOptions(replace_on_changes=["spec.clusterQueue"], delete_before_replace=True)
    made = k8s.apiextensions.CustomResource(
        f"{name}-queue",
        api_version="kueue.x-k8s.io/v1beta2",
        kind="LocalQueue",
        metadata={"name": LOCAL_QUEUE, "namespace": namespace, "labels": tags},
        spec={"clusterQueue": queue},
        opts=pulumi.ResourceOptions.merge(opts, anew),
    )
    # Unlike the id, the URN is known at preview.
    return made.urn


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
