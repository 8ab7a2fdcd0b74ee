"""What the component package offers to other languages."""

from importlib.metadata import version

import pulumi

from falaj.components.cluster import Cluster
from falaj.components.encrypted_bucket import EncryptedBucket
from falaj.components.gpu_node_pool import GpuNodePool
from falaj.components.network import Network
from falaj.components.node_pool import NodePool
from falaj.components.residency_key import ResidencyKey
from falaj.components.tenant import Tenant
from falaj.components.triton_service import TritonService
from falaj.components.vault import Vault

NAME = "falaj"
VERSION = version("falaj-components")
COMPONENTS: list[type[pulumi.ComponentResource]] = [
    Cluster,
    EncryptedBucket,
    GpuNodePool,
    Network,
    NodePool,
    ResidencyKey,
    Tenant,
    TritonService,
    Vault,
]
