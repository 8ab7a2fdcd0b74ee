"""What the component package offers to other languages."""

from importlib.metadata import version

import pulumi

from falaj.components.audit_trail import AuditTrail
from falaj.components.backup import Backup
from falaj.components.cluster import Cluster
from falaj.components.cost_budget import CostBudget
from falaj.components.data_store import DataStore
from falaj.components.detective_baseline import DetectiveBaseline
from falaj.components.gpu_autoscaler import GpuAutoscaler
from falaj.components.gpu_node_pool import GpuNodePool
from falaj.components.gpu_operators import GpuOperators
from falaj.components.gpu_queues import GpuQueues
from falaj.components.image_registry import ImageRegistry
from falaj.components.karpenter_pool import KarpenterPool
from falaj.components.network import Network
from falaj.components.node_pool import NodePool
from falaj.components.region_guard import RegionGuard
from falaj.components.residency_key import ResidencyKey
from falaj.components.secrets_vault import SecretsVault
from falaj.components.shared_file_system import SharedFileSystem
from falaj.components.sla_scheduler import SlaScheduler
from falaj.components.sweep_job import SweepJob
from falaj.components.tenant import Tenant
from falaj.components.tenant_admission import TenantAdmission
from falaj.components.training_job import TrainingJob
from falaj.components.triton_service import TritonService

NAME = "falaj"
VERSION = version("falaj-components")
COMPONENTS: list[type[pulumi.ComponentResource]] = [
    AuditTrail,
    Backup,
    Cluster,
    CostBudget,
    DataStore,
    DetectiveBaseline,
    GpuAutoscaler,
    GpuNodePool,
    GpuOperators,
    GpuQueues,
    ImageRegistry,
    KarpenterPool,
    Network,
    NodePool,
    RegionGuard,
    ResidencyKey,
    Tenant,
    TenantAdmission,
    TrainingJob,
    SweepJob,
    TritonService,
    SecretsVault,
    SharedFileSystem,
    SlaScheduler,
]
