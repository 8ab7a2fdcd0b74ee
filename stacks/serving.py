"""The models that are served: of a tenant's folder of a store, or published ones with all that proves them."""

from collections.abc import Mapping
from typing import cast

import pulumi

from falaj.components import (
    ConfigError,
    Drift,
    GpuNodePool,
    NodePool,
    Recorder,
    RecorderIdentity,
    Tenant,
    TritonService,
    TritonServiceArgs,
)
from falaj.components.network_plan import NetworkPlan, plan_network
from key_plan import sealing_key
from serving_config import DriftConfig, RecorderConfig, ServiceConfig
from sharing import Ground


def make_services(
    ground: Ground, pools: Mapping[str, GpuNodePool | NodePool], tenants: Mapping[str, Tenant]
) -> dict[str, TritonService]:
    """Make the services; pods wait for nodes, so the wait for them begins when the nodes are there."""
    services: dict[str, TritonService] = {}
    for service in ground.config.services:
        tenant = tenants[service.tenant]
        # EKS gives an identity only to pods that are made after it.
        after = pulumi.ResourceOptions(depends_on=[*pools.values(), tenant])
        opts = pulumi.ResourceOptions.merge(pulumi.ResourceOptions.merge(ground.on_cluster, ground.on_aws), after)
        try:
            services[service.name] = TritonService(service.name, _service(service, tenant, ground), opts)
        except ConfigError as error:
            raise ConfigError(f"falaj:services {service.path(error.field)}", error.value, error.remedy) from None
    return services


def _service(service: ServiceConfig, tenant: Tenant, ground: Ground) -> TritonServiceArgs:
    network, store = ground.config.network, ground.stores[service.models]
    plan = plan_network("falaj:network", network.cidr, network.zones, network.reserved_cidrs)
    args = cast(TritonServiceArgs, {"tenant": tenant.ref, "storage_cidrs": network.storage_cidrs, **service.plain()})
    if service.published:
        args["store"] = store.ref
        args["sealing_key"] = ground.keys[sealing_key(service.tenant)].arn
        # KMS is asked by an endpoint, in the isolated subnets.
        args["storage_cidrs"] = [*network.storage_cidrs, *(zone.isolated for zone in plan.zones)]
    else:
        # Each tenant has its own folder of the bucket.
        args["model_repository"] = pulumi.Output.concat("s3://", store.bucket, "/", tenant.namespace)
    if service.recorded:
        args["recorder"] = _recorder(service.recorder or RecorderConfig(), service.models, plan, ground)
    if service.drift:
        args["drift"] = _drift(service.drift, ground)
    return args


def _recorder(recorder: RecorderConfig, models: str, plan: NetworkPlan, ground: Ground) -> Recorder:
    identity: RecorderIdentity = {
        "cluster": ground.cluster.ref,
        "regime": ground.regime,
        "key": ground.keys[f"bucket-{models}"].ref,
    }
    if ground.boundary:
        identity["boundary"] = ground.boundary
    made: Recorder = {
        # EKS has the API server's addresses in the subnets that the cluster was given.
        "api_server_cidrs": recorder.api_server_cidrs or [zone.private for zone in plan.zones],
        "identity": identity,
    }
    if recorder.every_seconds is not None:
        made["every_seconds"] = recorder.every_seconds
    return made


def _drift(drift: DriftConfig, ground: Ground) -> Drift:
    watched = cast(Drift, drift.model_dump(exclude={"samples"}, exclude_none=True))
    if drift.samples:
        watched["samples"] = ground.stores[drift.samples].ref
    return watched
