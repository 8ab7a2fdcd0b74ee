"""The GPUs and who has which share of them: pools of nodes, queues and tenants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from falaj.components import (
    AutoscaledPool,
    Cluster,
    DataStore,
    Department,
    GiveBack,
    GpuAutoscaler,
    GpuAutoscalerArgs,
    GpuNeeds,
    GpuNodePool,
    GpuNodePoolArgs,
    GpuOperators,
    GpuQueues,
    ImageRegistry,
    KeyRef,
    Network,
    NodePool,
    Ownership,
    QueuePool,
    QueueTenant,
    Regime,
    ResidencyKey,
    SecretsVault,
    Share,
    SlaScheduler,
    StoreAccess,
    StoreKind,
    Tenant,
    TenantAdmission,
    TenantArgs,
)
from key_plan import sealing_key
from platform_config import PlatformConfig, Target
from sharing_config import AutoscaledPoolConfig, DepartmentConfig, NeedsConfig, PoolConfig, ShareConfig, TenantConfig


@dataclass(frozen=True)
class Ground:
    """What pools and tenants stand on."""

    config: PlatformConfig
    ownership: Ownership
    regime: Regime
    cluster: Cluster
    network: Network
    vault: SecretsVault
    keys: Mapping[str, ResidencyKey]
    stores: Mapping[str, DataStore]
    registry: ImageRegistry | None
    boundary: pulumi.Output[str] | None
    """ARN of the policy that bounds the roles of tenants and of the autoscaler."""
    on_aws: pulumi.ResourceOptions
    on_cluster: pulumi.ResourceOptions


def make_pools(ground: Ground) -> dict[str, GpuNodePool | NodePool]:
    """Make the pools of nodes."""
    return {pool.name: _pool(pool, ground, ground.keys["nodes"].ref) for pool in ground.config.pools}


def make_operators(ground: Ground) -> GpuOperators | None:
    """Install the agents of GPU nodes and Kueue; the lab has its own Kueue, and nodes without agents."""
    wanted = ground.config.operators
    if wanted is None or ground.registry is None or ground.config.target is Target.LAB:
        return None
    return GpuOperators(
        "gpu-operators",
        {
            "registry": ground.registry.ref,
            "network": ground.network.ref,
            "agent": wanted.agent,
            "efa": wanted.efa,
            "time_slices": [*wanted.time_slices],
            "classification": ground.config.classification,
            "regime": ground.regime,
            "ownership": ground.ownership,
        },
        ground.on_cluster,
    )


def make_queues(
    ground: Ground, pools: Mapping[str, GpuNodePool | NodePool], operators: GpuOperators | None
) -> GpuQueues:
    """Share the pools' GPUs out, once there is Kueue; pools come into it in the order of the configuration."""
    config = ground.config
    shared: list[QueuePool] = []
    for pool in config.pools:
        made = pools[pool.name]
        if isinstance(made, GpuNodePool):
            shared.append({"name": pool.name, "pool": made.ref, "topology": [*pool.topology]})
    return GpuQueues(
        "queues",
        {
            "pools": shared,
            "tenants": [_queue(tenant) for tenant in config.tenants],
            "departments": [_department(each) for each in config.departments],
            "common": {pool.name: pool.common for pool in config.pools if pool.common},
            "ownership": ground.ownership,
        },
        pulumi.ResourceOptions.merge(
            ground.on_cluster, pulumi.ResourceOptions(depends_on=[operators] if operators else [])
        ),
    )


def make_schedulers(ground: Ground, pools: Mapping[str, GpuNodePool | NodePool], queues: GpuQueues) -> None:
    """Run what gives waiting work its priorities, and what sizes the pools by it."""
    config = ground.config
    opts = pulumi.ResourceOptions.merge(
        pulumi.ResourceOptions.merge(ground.on_cluster, ground.on_aws),
        pulumi.ResourceOptions(depends_on=[queues, *pools.values()]),
    )
    scheduler = None
    if config.scheduler:
        scheduler = SlaScheduler(
            "sla-scheduler",
            {
                "network": ground.network.ref,
                "image": config.scheduler.image,
                "rescue": config.scheduler.rescue,
                "consolidate": config.scheduler.consolidate,
                "ownership": ground.ownership,
            },
            opts,
        )
    if config.autoscaler:
        args: GpuAutoscalerArgs = {
            "cluster": ground.cluster.ref,
            "network": ground.network.ref,
            "pools": [_autoscaled(each, pools[each.name]) for each in config.autoscaler.pools],
            "image": config.autoscaler.image,
            "idle_seconds": config.autoscaler.idle_seconds,
            # The lab's node groups have no instances that could be named.
            "give_back": GiveBack.RESIZE if config.target is Target.LAB else GiveBack.TERMINATE,
            "regime": ground.regime,
            "ownership": ground.ownership,
        }
        if scheduler:
            args["namespace"] = scheduler.namespace
        if ground.boundary:
            args["permissions_boundary"] = ground.boundary
        if config.autoscaler.usd_per_hour is not None:
            args["usd_per_hour"] = config.autoscaler.usd_per_hour
        GpuAutoscaler("gpu-autoscaler", args, opts)


def make_tenants(ground: Ground, queues: GpuQueues) -> dict[str, Tenant]:
    """Make the tenants, within what holds for them all."""
    admission = TenantAdmission("tenant-admission", {"ownership": ground.ownership}, ground.on_cluster)
    opts = pulumi.ResourceOptions.merge(
        pulumi.ResourceOptions.merge(ground.on_cluster, ground.on_aws), pulumi.ResourceOptions(depends_on=[admission])
    )
    return {tenant.name: Tenant(tenant.name, _tenant(tenant, ground, queues), opts) for tenant in ground.config.tenants}


def _pool(pool: PoolConfig, ground: Ground, key: KeyRef) -> GpuNodePool | NodePool:
    args: GpuNodePoolArgs = {
        "min_nodes": pool.min,
        "nodes": pool.nodes,
        "capacity_type": pool.capacity_type,
        "classification": ground.config.classification,
        "cluster": ground.cluster.ref,
        "network": ground.network.ref,
        "key": key,
        "ownership": ground.ownership,
    }
    if pool.max is not None:
        args["max_nodes"] = pool.max
    if pool.instance_types:
        args["instance_types"] = pool.instance_types
    if not pool.gpu:
        return NodePool(pool.name, {**args}, ground.on_aws)  # pyright: ignore[reportArgumentType]
    args["autoscaled"], args["efa"], args["local_nvme"] = pool.autoscaled, pool.efa, pool.local_nvme
    if pool.needs:
        args["needs"] = _needs(pool.needs)
    if pool.reservation:
        args["reservation"] = {"id": pool.reservation.id, "zone": pool.reservation.zone}
    if pool.zone:
        args["zone"] = pool.zone
    if pool.image_release:
        args["image_release"] = pool.image_release
    if pool.mig_profile:
        args["mig_profile"] = pool.mig_profile
    if pool.time_slices is not None:
        args["time_slices"] = pool.time_slices
    return GpuNodePool(pool.name, args, ground.on_aws)


def _autoscaled(wanted: AutoscaledPoolConfig, pool: GpuNodePool | NodePool) -> AutoscaledPool:
    assert isinstance(pool, GpuNodePool)
    told: AutoscaledPool = {
        "pool": pool.ref,
        "gpus_per_node": wanted.gpus_per_node,
        "usd_per_node_hour": wanted.usd_per_node_hour,
        "spare_nodes": wanted.spare_nodes,
    }
    if wanted.usd_per_hour is not None:
        told["usd_per_hour"] = wanted.usd_per_hour
    return told


def _needs(needs: NeedsConfig) -> GpuNeeds:
    wanted: GpuNeeds = {"gpus": needs.gpus}
    if needs.gpu_model:
        wanted["gpu_model"] = needs.gpu_model
    if needs.gpu_memory_gb is not None:
        wanted["gpu_memory_gb"] = needs.gpu_memory_gb
    if needs.gpus_per_node is not None:
        wanted["gpus_per_node"] = needs.gpus_per_node
    return wanted


def _shares(shares: Sequence[ShareConfig]) -> list[Share]:
    made: list[Share] = []
    for share in shares:
        one: Share = {"pool": share.pool, "nominal": share.nominal}
        if share.borrowing_limit is not None:
            one["borrowing_limit"] = share.borrowing_limit
        if share.lending_limit is not None:
            one["lending_limit"] = share.lending_limit
        made.append(one)
    return made


def _department(department: DepartmentConfig) -> Department:
    made: Department = {
        "name": department.name,
        "shares": _shares(department.shares),
        "weight": department.weight,
    }
    if department.parent:
        made["parent"] = department.parent
    return made


def _queue(tenant: TenantConfig) -> QueueTenant:
    queue: QueueTenant = {
        "name": tenant.name,
        "shares": _shares(tenant.shares),
        "weight": tenant.weight,
        "queueing": tenant.queueing,
    }
    if tenant.department:
        queue["department"] = tenant.department
    return queue


def _tenant(tenant: TenantConfig, ground: Ground, queues: GpuQueues) -> TenantArgs:
    args: TenantArgs = {
        "ownership": {**ground.ownership, "owner": tenant.owner, "cost_centre": tenant.cost_centre},
        "classification": tenant.classification,
        "gpus": tenant.gpus,
        "cpus": tenant.cpus,
        "memory": tenant.memory,
        "tiers": [tier.value for tier in tenant.tiers],
        "queues": queues.ref,
        "service_accounts": [*tenant.service_accounts],
        "stages": {stage.value: [*accounts] for stage, accounts in tenant.stages.items()},
        "vault": ground.vault.ref,
    }
    if tenant.department:
        args["department"] = tenant.department
    if tenant.data:
        args["data"] = [*tenant.data]
    if ground.boundary:
        args["permissions_boundary"] = ground.boundary
    if tenant.stores:
        args["access"] = {
            "cluster": ground.cluster.ref,
            "regime": ground.regime,
            "stores": [_reached(store, tenant, ground) for store in tenant.stores],
        }
    return args


def _reached(store: str, tenant: TenantConfig, ground: Ground) -> StoreAccess:
    reached: StoreAccess = {"store": ground.stores[store].ref, "key": ground.keys[f"bucket-{store}"].ref}
    kinds = {each.purpose: each.kind for each in ground.config.stores}
    if tenant.publishes and kinds[store] is StoreKind.MODEL_ARTIFACTS:
        reached["sealing_key"] = ground.keys[sealing_key(tenant.name)].ref
    return reached
