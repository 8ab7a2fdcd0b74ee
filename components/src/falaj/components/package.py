"""What the component package offers to other languages."""

from importlib.metadata import version

import pulumi

from falaj.components.cluster import Cluster
from falaj.components.data_store import DataStore
from falaj.components.gpu_node_pool import GpuNodePool
from falaj.components.network import Network
from falaj.components.node_pool import NodePool
from falaj.components.region_guard import RegionGuard
from falaj.components.residency_key import ResidencyKey
from falaj.components.secrets_vault import SecretsVault
from falaj.components.tenant import Tenant
from falaj.components.triton_service import TritonService

NAME = "falaj"
VERSION = version("falaj-components")
COMPONENTS: list[type[pulumi.ComponentResource]] = [
    Cluster,
    DataStore,
    GpuNodePool,
    Network,
    NodePool,
    RegionGuard,
    ResidencyKey,
    Tenant,
    TritonService,
    SecretsVault,
]
