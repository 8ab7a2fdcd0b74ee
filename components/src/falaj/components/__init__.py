"""Pulumi components of a sovereign MLOps platform: keys, stores, network, cluster, GPU pools, tenants, serving."""

from falaj.components.audit_trail import AuditTrail, AuditTrailArgs
from falaj.components.autoscaler_rules import AutoscaledPool, GiveBack, TierGrowth
from falaj.components.backup import Backup, BackupArgs
from falaj.components.backup_role import BackupResource
from falaj.components.capacity import CapacityType, Reservation
from falaj.components.chart_values import kueue_configuration
from falaj.components.classification import Classification
from falaj.components.cluster import Cluster, ClusterArgs
from falaj.components.cluster_access import ClusterMember
from falaj.components.cluster_addons import Addon, ClusterAddon
from falaj.components.cost_budget import CostBudget, CostBudgetArgs
from falaj.components.data_store import DataStore, DataStoreArgs
from falaj.components.detective_baseline import DetectiveBaseline, DetectiveBaselineArgs
from falaj.components.detectors import Scans, Severity, Standard, Threats
from falaj.components.errors import ConfigError
from falaj.components.gpu_autoscaler import GpuAutoscaler, GpuAutoscalerArgs
from falaj.components.gpu_needs import GpuNeeds
from falaj.components.gpu_node_pool import GpuNodePool, GpuNodePoolArgs
from falaj.components.gpu_operators import GpuAgent, GpuOperators, GpuOperatorsArgs, MigStrategy
from falaj.components.gpu_queues import GpuQueues, GpuQueuesArgs, QueuePool, TopologyLevel
from falaj.components.home_folders import HomeFolder
from falaj.components.image_mirrors import ImageMirror, Upstream, mirrored
from falaj.components.image_registry import ImageRegistry, ImageRegistryArgs, ImageScanning
from falaj.components.karpenter_objects import DisruptionBudget
from falaj.components.karpenter_pool import KarpenterPool, KarpenterPoolArgs
from falaj.components.key_uses import KeyUse
from falaj.components.log_deliveries import LogSource
from falaj.components.network import Network, NetworkArgs
from falaj.components.node_images import GpuImage
from falaj.components.node_pool import NodePool, NodePoolArgs, Taint
from falaj.components.ownership import Ownership
from falaj.components.queue_shares import Department, Queueing, QueueTenant, Share
from falaj.components.refs import (
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
from falaj.components.regime import Regime
from falaj.components.region_guard import Reachable, RegionGuard, RegionGuardArgs, RegionGuardMode
from falaj.components.residency_key import ExternalKey, KeyOrigin, ResidencyKey, ResidencyKeyArgs
from falaj.components.retention import StoreKind
from falaj.components.rollout_analysis import Analysis, QualityMetric
from falaj.components.rollout_strategies import BlueGreen, Canary, CanaryStep, RolloutStrategy, Shadow
from falaj.components.secrets_vault import SecretsVault, SecretsVaultArgs
from falaj.components.serving_envoy_gateway import EnvoyGateway
from falaj.components.serving_recorder import Recorder
from falaj.components.serving_recorder_role import RecorderIdentity
from falaj.components.serving_scaling import Autoscaler, Autoscaling
from falaj.components.serving_watch import Drift
from falaj.components.shared_file_system import FileSystemKind, SharedFileSystem, SharedFileSystemArgs
from falaj.components.sla_scheduler import SlaScheduler, SlaSchedulerArgs
from falaj.components.sweep_job import SweepJob, SweepJobArgs
from falaj.components.tenant import Tenant, TenantArgs
from falaj.components.tenant_access import StoreAccess, TenantAccess
from falaj.components.tenant_admission import TenantAdmission, TenantAdmissionArgs
from falaj.components.tenant_network import Direction, NetworkOpening
from falaj.components.tiers import Tier
from falaj.components.trail_events import DataEvents
from falaj.components.training_job import TrainingJob, TrainingJobArgs
from falaj.components.triton_service import TritonService, TritonServiceArgs
from falaj.components.vault_audit import AuditBy, AuditDevice
from falaj.components.vault_databases import Database, DatabaseRole
from falaj.components.vault_pki import RootAuthority
from falaj.components.vault_policies import PipelineStage

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
