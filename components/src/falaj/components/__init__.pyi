from .audit_trail import AuditTrail, AuditTrailArgs
from .autoscaler_rules import AutoscaledPool, GiveBack, TierGrowth
from .backup import Backup, BackupArgs
from .backup_role import BackupResource
from .capacity import CapacityType, Reservation
from .chart_values import kueue_configuration
from .classification import Classification
from .cluster import Cluster, ClusterArgs
from .cluster_access import ClusterMember
from .cluster_addons import Addon, ClusterAddon
from .cost_budget import CostBudget, CostBudgetArgs
from .data_store import DataStore, DataStoreArgs
from .detective_baseline import DetectiveBaseline, DetectiveBaselineArgs
from .detectors import Scans, Severity, Standard, Threats
from .errors import ConfigError
from .gpu_autoscaler import GpuAutoscaler, GpuAutoscalerArgs
from .gpu_needs import GpuNeeds
from .gpu_node_pool import GpuNodePool, GpuNodePoolArgs
from .gpu_operators import GpuAgent, GpuOperators, GpuOperatorsArgs, MigStrategy
from .gpu_queues import GpuQueues, GpuQueuesArgs, QueuePool, TopologyLevel
from .home_folders import HomeFolder
from .image_mirrors import ImageMirror, Upstream, mirrored
from .image_registry import ImageRegistry, ImageRegistryArgs, ImageScanning
from .karpenter_objects import DisruptionBudget
from .karpenter_pool import KarpenterPool, KarpenterPoolArgs
from .key_uses import KeyUse
from .log_deliveries import LogSource
from .network import Network, NetworkArgs
from .node_images import GpuImage
from .node_pool import NodePool, NodePoolArgs, Taint
from .ownership import Ownership
from .queue_shares import Department, Queueing, QueueTenant, Share
from .refs import (
    ClusterRef,
    FileSystemRef,
    KeyRef,
    NetworkRef,
    PoolRef,
    QueuesRef,
    RecordsRef,
    RegistryRef,
    StoreRef,
    TenantRef,
    VaultRef,
)
from .regime import Regime
from .region_guard import Reachable, RegionGuard, RegionGuardArgs, RegionGuardMode
from .residency_key import ExternalKey, KeyOrigin, ResidencyKey, ResidencyKeyArgs
from .retention import StoreKind
from .rollout_analysis import Analysis, QualityMetric
from .rollout_strategies import BlueGreen, Canary, CanaryStep, RolloutStrategy, Shadow
from .secrets_vault import SecretsVault, SecretsVaultArgs
from .serving_envoy_gateway import EnvoyGateway
from .serving_recorder import Recorder
from .serving_recorder_role import RecorderIdentity
from .serving_scaling import Autoscaler, Autoscaling
from .serving_watch import Drift
from .shared_file_system import FileSystemKind, SharedFileSystem, SharedFileSystemArgs
from .sla_scheduler import SlaScheduler, SlaSchedulerArgs
from .sweep_job import SweepJob, SweepJobArgs
from .tenant import Tenant, TenantArgs
from .tenant_access import StoreAccess, TenantAccess
from .tenant_admission import TenantAdmission, TenantAdmissionArgs
from .tenant_network import Direction, NetworkOpening
from .tiers import Tier
from .trail_events import DataEvents
from .training_job import TrainingJob, TrainingJobArgs
from .triton_service import TritonService, TritonServiceArgs
from .vault_audit import AuditBy, AuditDevice
from .vault_databases import Database, DatabaseRole
from .vault_pki import RootAuthority
from .vault_policies import PipelineStage

__all__ = [
    "Addon",
    "Analysis",
    "AuditBy",
    "AuditDevice",
    "AuditTrail",
    "AuditTrailArgs",
    "AutoscaledPool",
    "Autoscaler",
    "Autoscaling",
    "Backup",
    "BackupArgs",
    "BackupResource",
    "BlueGreen",
    "Canary",
    "CanaryStep",
    "CapacityType",
    "Classification",
    "Cluster",
    "ClusterAddon",
    "ClusterArgs",
    "ClusterMember",
    "ClusterRef",
    "ConfigError",
    "CostBudget",
    "CostBudgetArgs",
    "DataEvents",
    "DataStore",
    "DataStoreArgs",
    "Database",
    "DatabaseRole",
    "Department",
    "DetectiveBaseline",
    "DetectiveBaselineArgs",
    "Direction",
    "DisruptionBudget",
    "Drift",
    "EnvoyGateway",
    "ExternalKey",
    "FileSystemKind",
    "FileSystemRef",
    "GiveBack",
    "GpuAgent",
    "GpuAutoscaler",
    "GpuAutoscalerArgs",
    "GpuImage",
    "GpuNeeds",
    "GpuNodePool",
    "GpuNodePoolArgs",
    "GpuOperators",
    "GpuOperatorsArgs",
    "GpuQueues",
    "GpuQueuesArgs",
    "HomeFolder",
    "ImageMirror",
    "ImageRegistry",
    "ImageRegistryArgs",
    "ImageScanning",
    "KarpenterPool",
    "KarpenterPoolArgs",
    "KeyOrigin",
    "KeyRef",
    "KeyUse",
    "LogSource",
    "MigStrategy",
    "Network",
    "NetworkArgs",
    "NetworkOpening",
    "NetworkRef",
    "NodePool",
    "NodePoolArgs",
    "Ownership",
    "PipelineStage",
    "PoolRef",
    "QualityMetric",
    "QueuePool",
    "QueueTenant",
    "Queueing",
    "QueuesRef",
    "Reachable",
    "Recorder",
    "RecorderIdentity",
    "RecordsRef",
    "Regime",
    "RegionGuard",
    "RegionGuardArgs",
    "RegionGuardMode",
    "RegistryRef",
    "Reservation",
    "ResidencyKey",
    "ResidencyKeyArgs",
    "RolloutStrategy",
    "RootAuthority",
    "Scans",
    "SecretsVault",
    "SecretsVaultArgs",
    "Severity",
    "Shadow",
    "Share",
    "SharedFileSystem",
    "SharedFileSystemArgs",
    "SlaScheduler",
    "SlaSchedulerArgs",
    "Standard",
    "StoreAccess",
    "StoreKind",
    "StoreRef",
    "SweepJob",
    "SweepJobArgs",
    "Taint",
    "Tenant",
    "TenantAccess",
    "TenantAdmission",
    "TenantAdmissionArgs",
    "TenantArgs",
    "TenantRef",
    "Threats",
    "Tier",
    "TierGrowth",
    "TopologyLevel",
    "TrainingJob",
    "TrainingJobArgs",
    "TritonService",
    "TritonServiceArgs",
    "Upstream",
    "VaultRef",
    "kueue_configuration",
    "mirrored",
]
