"""What a component hands to another: typed values that travel between languages, where component objects cannot."""

from collections.abc import Mapping
from typing import Any, TypedDict

import pulumi

from falaj.components.classification import Classification, check_key_covers


class KeyRef(TypedDict):
    """A ``ResidencyKey`` as another component takes it."""

    arn: pulumi.Input[str]
    """ARN of the key."""
    classification: pulumi.Input[str]
    """Highest classification of the data it may protect."""


class StoreRef(TypedDict):
    """A ``DataStore`` as another component takes it."""

    bucket: pulumi.Input[str]
    """Name of the bucket."""
    arn: pulumi.Input[str]
    """ARN of the bucket."""
    classification: pulumi.Input[str]
    """Classification of the data that it holds."""
    kind: pulumi.Input[str]
    """What it is for: a member of ``StoreKind``."""


class RecordsRef(TypedDict):
    """The records of an ``AuditTrail`` as another component takes them."""

    bucket_arn: pulumi.Input[str]
    """ARN of the store in which records end."""
    key_arn: pulumi.Input[str]
    """ARN of the key of the records."""
    classification: pulumi.Input[str]
    """Classification of the records."""
    record_days: pulumi.Input[int]
    """Days that records are kept."""


class NetworkRef(TypedDict):
    """A ``Network`` as another component takes it."""

    vpc_id: pulumi.Input[str]
    """Id of the VPC."""
    subnet_ids: pulumi.Input[list[str]]
    """Ids of the private subnets, one per zone."""
    isolated_subnet_ids: pulumi.Input[list[str]]
    """Ids of the isolated subnets, one per zone: for storage and endpoints."""
    cidr: pulumi.Input[str]
    """Address range of the VPC."""
    zones: pulumi.Input[list[str]]
    """Zones of the network."""
    efa_security_group_id: pulumi.Input[str]
    """Id of the security group of nodes that train together over EFA."""
    placement_group: pulumi.Input[str]
    """Name of the placement group of those nodes."""
    placement_zone: pulumi.Input[str]
    """Zone of those nodes."""
    placement_subnet_id: pulumi.Input[str]
    """Id of the private subnet of those nodes, all in one zone."""


class ClusterRef(TypedDict):
    """A ``Cluster`` as another component takes it."""

    cluster_name: pulumi.Input[str]
    """Name of the EKS cluster."""
    version: pulumi.Input[str]
    """Kubernetes version, for example ``1.35``."""
    endpoint: pulumi.Input[str]
    """URL of the Kubernetes API server."""
    certificate_authority: pulumi.Input[str]
    """Certificate authority of the API server, PEM."""
    security_group_id: pulumi.Input[str]
    """Id of the security group that EKS made for the cluster, without which no node joins it."""


class PoolRef(TypedDict):
    """A ``GpuNodePool`` as another component takes it."""

    pool_name: pulumi.Input[str]
    """Name of the pool."""
    node_labels: pulumi.Input[dict[str, str]]
    """Labels that select this pool's nodes and no others."""
    resource: pulumi.Input[str]
    """What a pod asks for: ``nvidia.com/gpu``, or what a partition or a slice of a GPU is called."""
    max_gpus: pulumi.Input[int]
    """How many of ``resource`` the pool has when it is at its largest."""
    gpu_model: pulumi.Input[str]
    """Model of the GPUs, for example ``H200``."""


class VaultRef(TypedDict):
    """A ``SecretsVault`` as another component takes it."""

    kubernetes_path: pulumi.Input[str]
    """Path of the Kubernetes auth backend."""
    transit_path: pulumi.Input[str]
    """Path of the transit mount."""
    kv_path: pulumi.Input[str]
    """Path of the key-value mount, version 2."""
    pki_path: pulumi.Input[str]
    """Path of the mount that issues certificates."""
    policies: pulumi.Input[dict[str, str]]
    """Names of the policies, by stage: members of ``PipelineStage``."""
    service_domains: pulumi.Input[list[str]]
    """Domains of services: a tenant's are ``<service>.<tenant>.<domain>``."""
    certificate_hours: pulumi.Input[int]
    """Hours that a certificate lives."""
    rotation_days: pulumi.Input[int]
    """Days after which transit keys are rotated."""
    token_minutes: pulumi.Input[int]
    """Minutes that a token lives unless it is renewed."""
    token_longest_minutes: pulumi.Input[int]
    """Minutes after which a token ends whatever is renewed."""


class TenantRef(TypedDict):
    """A ``Tenant`` as another component takes it."""

    namespace: pulumi.Input[str]
    """Namespace of the tenant."""
    labels: pulumi.Input[dict[str, str]]
    """Owner, cost centre, environment and classification, as labels."""


class QueuesRef(TypedDict):
    """The queues of a ``GpuQueues`` as another component takes them."""

    queues: pulumi.Input[dict[str, str]]
    """Name of the ClusterQueue of each tenant, by tenant."""
    departments: pulumi.Input[dict[str, str]]
    """Department of each tenant that has one, by tenant."""
    tiers: pulumi.Input[list[str]]
    """Tiers that work may name: members of ``Tier``."""


class FileSystemRef(TypedDict):
    """A ``SharedFileSystem`` as another component takes it."""

    file_system_id: pulumi.Input[str]
    """Id of the file system."""
    dns_name: pulumi.Input[str]
    """Name by which it is mounted."""
    mount_name: pulumi.Input[str]
    """What of it is mounted: Lustre's own name for it, or the path ``/``."""
    security_group_id: pulumi.Input[str]
    """Id of the security group of its network interfaces."""
    access_points: pulumi.Input[dict[str, str]]
    """Ids of the access points of home folders, by tenant."""
    kind: pulumi.Input[str]
    """What it is for: a member of ``FileSystemKind``."""
    classification: pulumi.Input[str]
    """Highest classification of the files."""


class RegistryRef(TypedDict):
    """An ``ImageRegistry`` as another component takes it."""

    registry: pulumi.Input[str]
    """Host name of the registry."""
    prefixes: pulumi.Input[dict[str, str]]
    """Under which prefix each mirrored registry is, by its host."""


def pick(ref: pulumi.Input[Mapping[str, Any]], member: str) -> pulumi.Output[Any]:
    """Return one member of a reference, whether the reference is a plain dict or still an output."""
    if isinstance(ref, Mapping):
        return pulumi.Output.from_input(ref[member])
    return pulumi.Output.from_input(ref).apply(lambda known: known[member])


def by_name(values: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[dict[str, str]]:
    """Return the values when they are known, none of them included."""
    names = list(values)
    return pulumi.Output.all(*values.values()).apply(lambda known: dict(zip(names, known, strict=True)))


def key_arn(field: str, key: pulumi.Input[KeyRef], data: Classification) -> pulumi.Output[str]:
    """Return the key's ARN, refusing a key below the data's classification: at once if known, else when it is."""
    if isinstance(key, Mapping) and isinstance(key["classification"], str):
        check_key_covers(field, data, Classification(key["classification"]))

    def checked(known: list[str]) -> str:
        arn, classification = known
        check_key_covers(field, data, Classification(classification))
        return arn

    return pulumi.Output.all(pick(key, "arn"), pick(key, "classification")).apply(checked)
