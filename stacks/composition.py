"""One platform, composed of the components as its configuration says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from falaj.components import (
    Cluster,
    ClusterAddon,
    ClusterArgs,
    GpuNodePool,
    GpuQueues,
    KeyRef,
    Network,
    NodePool,
    Ownership,
    Regime,
    SecretsVault,
    Tenant,
    TritonService,
)
from foundation import Foundation, Site, lay_foundation
from platform_config import AddonConfig, PlatformConfig
from serving import make_services
from sharing import Ground, make_operators, make_pools, make_queues, make_schedulers, make_tenants
from targets import Providers


@dataclass(frozen=True)
class Platform:
    """What was made."""

    foundation: Foundation
    cluster: Cluster
    vault: SecretsVault
    pools: Mapping[str, GpuNodePool | NodePool]
    queues: GpuQueues
    tenants: Mapping[str, Tenant]
    services: Mapping[str, TritonService]

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs: what other stacks and people need to find things."""
        made = self.foundation
        outputs = {
            "clusterName": self.cluster.cluster_name,
            "vpcId": made.network.vpc_id,
            "subnetIds": made.network.subnet_ids,
            "isolatedSubnetIds": made.network.isolated_subnet_ids,
            "keyArns": {name: key.arn for name, key in made.keys.items()},
            "bucketNames": {name: store.bucket for name, store in made.stores.items()},
            "fileSystems": {name: system.file_system_id for name, system in made.file_systems.items()},
            "backupVaults": {name: backup.vault_name for name, backup in made.backups.items()},
            "pools": {name: pool.pool_name for name, pool in self.pools.items()},
            "queues": self.queues.queues,
            "unassignedGpus": self.queues.unassigned,
            "tenants": {name: tenant.namespace for name, tenant in self.tenants.items()},
            "services": {name: service.url for name, service in self.services.items()},
            "vaultPaths": {
                "kubernetes": self.vault.kubernetes_path,
                "transit": self.vault.transit_path,
                "kv": self.vault.kv_path,
                "pki": self.vault.pki_path,
            },
        }
        if made.registry:
            outputs["registry"] = made.registry.registry
        if made.records:
            outputs["recordsBucket"] = made.records.bucket
        if made.boundary:
            outputs["boundaryArn"] = made.boundary
        return outputs


def compose(config: PlatformConfig, providers: Providers) -> Platform:
    """Make the platform: keys and network first, then the cluster, then what runs on it."""
    ownership: Ownership = {
        "owner": config.owner,
        "cost_centre": config.cost_centre,
        "environment": config.environment.value,
    }
    regime: Regime = {
        "name": config.regime.name,
        "home_region": config.regime.home_region,
        "account_id": config.regime.account_id,
    }
    if config.regime.organization_id:
        regime["organization_id"] = config.regime.organization_id
    on_aws = pulumi.ResourceOptions(providers=[providers.aws])
    foundation = lay_foundation(Site(config, ownership, regime, on_aws))
    keys, network = foundation.keys, foundation.network
    cluster = _cluster(config, network, keys["cluster"].ref, ownership=ownership, regime=regime, providers=providers)
    on_cluster = pulumi.ResourceOptions(providers=[cluster.provider, providers.vault])
    vault = SecretsVault("vault", {"cluster": cluster.ref, "ownership": ownership}, on_cluster)
    ground = Ground(
        config,
        ownership,
        regime,
        cluster,
        network,
        vault,
        keys,
        foundation.stores,
        foundation.registry,
        foundation.boundary,
        on_aws=on_aws,
        on_cluster=on_cluster,
    )
    pools = make_pools(ground)
    queues = make_queues(ground, pools, make_operators(ground))
    make_schedulers(ground, pools, queues)
    tenants = make_tenants(ground, queues)
    services = make_services(ground, pools, tenants)
    return Platform(foundation, cluster, vault, pools, queues, tenants, services)


def _cluster(
    config: PlatformConfig,
    network: Network,
    key: KeyRef,
    *,
    ownership: Ownership,
    regime: Regime,
    providers: Providers,
) -> Cluster:
    args: ClusterArgs = {
        "cluster_name": f"falaj-{config.environment}",
        "version": config.cluster.version,
        "protected": config.cluster.protected,
        "log_days": config.cluster.log_days,
        "administrators": config.cluster.administrators,
        "members": [{"principal": each.principal, "groups": each.groups} for each in config.cluster.members],
        "addons": [_addon(each) for each in config.cluster.addons],
        "classification": config.classification,
        "network": network.ref,
        "key": key,
        "regime": regime,
        "ownership": ownership,
    }
    if providers.kubeconfig_path:
        args["kubeconfig_path"] = providers.kubeconfig_path
    return Cluster("cluster", args, pulumi.ResourceOptions(providers=[providers.aws]))


def _addon(addon: AddonConfig) -> ClusterAddon:
    return {"name": addon.name, "version": addon.version} if addon.version else {"name": addon.name}
