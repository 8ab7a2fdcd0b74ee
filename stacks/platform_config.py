"""The one typed description of a platform, read from the stack's configuration; the same program serves them all."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from falaj.components import (
    CapacityType,
    Classification,
    FileSystemKind,
    ImageScanning,
    PipelineStage,
    RegionGuardMode,
    StoreKind,
    Upstream,
)

NAMESPACE = "falaj"
Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$")]


class Environment(StrEnum):
    """Where the platform runs in the life of a change."""

    LOCAL = "local"
    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


class Target(StrEnum):
    """What stands behind the providers: the lab on this machine, or AWS."""

    LAB = "lab"
    AWS = "aws"


class Section(BaseModel):
    """A part of the configuration: keys in camelCase as in Pulumi's files, nothing unknown, nothing changed later."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class RegimeConfig(Section):
    """The residency rules that hold."""

    name: Name = "uae-restricted"
    home_region: str
    account_id: str
    organization_id: str | None = None


class NetworkConfig(Section):
    """The private network."""

    cidr: str
    zones: list[str]
    reserved_cidrs: list[str] = []
    allowed_domains: list[str] = []
    placement_zone: str | None = None
    protected: bool = False
    flow_log_days: int | None = None


class ClusterConfig(Section):
    """The Kubernetes cluster."""

    version: str
    log_days: int = 365
    administrators: list[str] = []


class StoreConfig(Section):
    """A store for one purpose."""

    purpose: Name
    kind: StoreKind = StoreKind.DATASET
    classification: Classification = Classification.RESTRICTED
    noncurrent_days: int | None = None
    expire_days: int | None = None
    lock_days: int | None = None


class FileSystemConfig(Section):
    """A file system that nodes share; ``home`` has a folder for each tenant with a ``uid``."""

    name: Name
    kind: FileSystemKind
    classification: Classification = Classification.RESTRICTED
    store: Name | None = None
    capacity_gib: int | None = None
    throughput_per_tib: int | None = None
    cold_after_days: int | None = None


class RegistryConfig(Section):
    """The registry of the account's images."""

    repositories: list[str]
    mirrors: list[Upstream] = []
    scanning: ImageScanning = ImageScanning.ON_PUSH


class RecordsConfig(Section):
    """The audit records, and the detectors whose findings end among them."""

    classification: Classification = Classification.RESTRICTED
    days: int | None = None
    insights: bool = False
    organization: bool = False
    config_role: bool = True
    detectors: bool = True


class GuardConfig(Section):
    """What keeps identities to the home region."""

    mode: RegionGuardMode = RegionGuardMode.PERMISSION_BOUNDARY
    targets: list[str] = []
    exempt_principals: list[str] = []
    deployers: list[str] = []


class BudgetConfig(Section):
    """What may be spent in a month, and who hears of it."""

    monthly_usd: int = Field(ge=1)
    emails: list[str] = Field(min_length=1)


class PoolConfig(Section):
    """A pool of nodes, with GPUs unless it says otherwise."""

    name: Name
    instance_types: list[str] = Field(min_length=1)
    gpu: bool = True
    min: int = Field(default=0, ge=0)
    max: int = Field(ge=1)
    nodes: int = Field(default=0, ge=0, validate_default=True)
    capacity_type: CapacityType = CapacityType.ON_DEMAND

    @field_validator("max")
    @classmethod
    def _max_holds_min(cls, value: int, info: ValidationInfo) -> int:
        low = info.data.get("min", 0)
        if value < low:
            raise ValueError(f"must be >= min (got {value} < {low})")
        return value

    @field_validator("nodes")
    @classmethod
    def _nodes_within(cls, value: int, info: ValidationInfo) -> int:
        low, high = info.data.get("min", 0), info.data.get("max", value)
        if not low <= value <= high:
            raise ValueError(f"must be from min to max (got {value}, not {low} to {high})")
        return value


class TenantConfig(Section):
    """A team with its share."""

    name: Name
    owner: str
    cost_centre: str
    classification: Classification = Classification.RESTRICTED
    gpus: int = Field(ge=0)
    cpus: int = Field(default=64, ge=1)
    memory: str = "256Gi"
    service_accounts: list[Name] = ["workload"]
    stages: dict[PipelineStage, list[Name]] = {}
    data: list[Classification] = []
    uid: int | None = Field(default=None, ge=1)
    budget: BudgetConfig | None = None


class ServiceConfig(Section):
    """A model served by Triton for one tenant."""

    name: Name
    tenant: Name
    image: str
    models: str = "models"
    pool: Name | None = None
    replicas: int = Field(default=2, ge=1)
    gpus: int = Field(default=1, ge=1)
    cpus: int = Field(default=4, ge=1)
    memory: str = "16Gi"


class PlatformConfig(Section):
    """Everything that tells one environment from another."""

    environment: Environment
    target: Target
    owner: str
    cost_centre: str
    classification: Classification = Classification.RESTRICTED
    regime: RegimeConfig
    network: NetworkConfig
    cluster: ClusterConfig
    stores: list[StoreConfig]
    file_systems: list[FileSystemConfig] = []
    registry: RegistryConfig | None = None
    records: RecordsConfig | None = None
    backups: bool = False
    guard: GuardConfig | None = None
    budget: BudgetConfig | None = None
    pools: list[PoolConfig]
    tenants: list[TenantConfig]
    services: list[ServiceConfig] = []

    @field_validator("stores", "file_systems", "pools", "tenants", "services")
    @classmethod
    def _names_differ(cls, value: list[Any]) -> list[Any]:
        names = [item.purpose if isinstance(item, StoreConfig) else item.name for item in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"must differ in name (got {name} twice)")
        return value

    @field_validator("file_systems")
    @classmethod
    def _file_systems_have_their_store(
        cls, value: list[FileSystemConfig], info: ValidationInfo
    ) -> list[FileSystemConfig]:
        stores = [store.purpose for store in info.data.get("stores", [])]
        for system in value:
            if system.store is not None and "stores" in info.data:
                _among("store", system.name, system.store, stores)
        return value

    @field_validator("services")
    @classmethod
    def _services_fit(cls, value: list[ServiceConfig], info: ValidationInfo) -> list[ServiceConfig]:
        """Refuse a service whose tenant, pool or store does not exist, or whose tenant's share is too small."""
        if not {"tenants", "pools", "stores"} <= info.data.keys():
            return value  # What it would be compared with is wrong already, and said so.
        shares = {tenant.name: tenant.gpus for tenant in info.data["tenants"]}
        pools = [pool.name for pool in info.data["pools"] if pool.gpu]
        stores = [store.purpose for store in info.data["stores"]]
        for service in value:
            _among("tenant", service.name, service.tenant, list(shares))
            _among("models", service.name, service.models, stores)
            if service.pool is not None:
                _among("pool", service.name, service.pool, pools)
            shares[service.tenant] -= service.replicas * service.gpus
            if shares[service.tenant] < 0:
                raise ValueError(f"{service.name} needs {-shares[service.tenant]} GPUs more than {service.tenant} has")
        return value


def read_config(raw: Mapping[str, str]) -> PlatformConfig:
    """Return the platform that the stack's configuration describes; one line says each thing that is wrong.

    ``raw`` is Pulumi's whole configuration: full keys, and values as text, JSON where they have a structure.
    """
    prefix = f"{NAMESPACE}:"
    values = {key.removeprefix(prefix): _structure(value) for key, value in raw.items() if key.startswith(prefix)}
    try:
        return PlatformConfig.model_validate(values)
    except ValidationError as error:
        raise PlatformConfigError(error) from None


class PlatformConfigError(ValueError):
    """A configuration that is refused; the message is one line with the path of every wrong key."""

    def __init__(self, error: ValidationError) -> None:
        # What a person typed is named, but never a value of the whole configuration.
        super().__init__("; ".join(_line(each["loc"], each["type"], each["msg"]) for each in error.errors()))


def _structure(value: str) -> Any:
    if value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _line(path: Sequence[int | str], kind: str, message: str) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    said = {"extra_forbidden": "is not a known key", "missing": "is missing"}.get(kind)
    return f"{NAMESPACE}:{where} {said or message.removeprefix('Value error, ').removeprefix('Input ')}"


def _among(word: str, service: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{service}: {word} {value} is not one of {', '.join(known) or 'none'}")
