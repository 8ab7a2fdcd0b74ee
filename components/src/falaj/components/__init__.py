"""Pulumi components of a sovereign MLOps platform: keys, stores, network, cluster, GPU pools, tenants, serving."""

from falaj.components.classification import Classification
from falaj.components.cluster import Cluster, ClusterArgs
from falaj.components.cost_budget import CostBudget, CostBudgetArgs
from falaj.components.data_store import DataStore, DataStoreArgs
from falaj.components.errors import ConfigError
from falaj.components.gpu_node_pool import GpuNodePool, GpuNodePoolArgs
from falaj.components.key_uses import KeyUse
from falaj.components.log_deliveries import LogSource
from falaj.components.network import Network, NetworkArgs
from falaj.components.node_pool import CapacityType, NodePool, NodePoolArgs, Taint
from falaj.components.ownership import Ownership
from falaj.components.refs import ClusterRef, KeyRef, NetworkRef, StoreRef, TenantRef, VaultRef
from falaj.components.regime import Regime
from falaj.components.region_guard import Reachable, RegionGuard, RegionGuardArgs, RegionGuardMode
from falaj.components.residency_key import ExternalKey, KeyOrigin, ResidencyKey, ResidencyKeyArgs
from falaj.components.retention import StoreKind
from falaj.components.secrets_vault import SecretsVault, SecretsVaultArgs
from falaj.components.tenant import Tenant, TenantArgs
from falaj.components.triton_service import TritonService, TritonServiceArgs

__all__ = [
    "CapacityType",
    "Classification",
    "Cluster",
    "ClusterArgs",
    "ClusterRef",
    "ConfigError",
    "CostBudget",
    "CostBudgetArgs",
    "DataStore",
    "DataStoreArgs",
    "ExternalKey",
    "GpuNodePool",
    "GpuNodePoolArgs",
    "KeyOrigin",
    "KeyRef",
    "KeyUse",
    "LogSource",
    "Network",
    "NetworkArgs",
    "NetworkRef",
    "NodePool",
    "NodePoolArgs",
    "Ownership",
    "Reachable",
    "Regime",
    "RegionGuard",
    "RegionGuardArgs",
    "RegionGuardMode",
    "ResidencyKey",
    "ResidencyKeyArgs",
    "SecretsVault",
    "SecretsVaultArgs",
    "StoreKind",
    "StoreRef",
    "Taint",
    "Tenant",
    "TenantArgs",
    "TenantRef",
    "TritonService",
    "TritonServiceArgs",
    "VaultRef",
]
