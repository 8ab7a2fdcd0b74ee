"""The one typed description of a platform, read from the stack's configuration; the same program serves them all."""

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from falaj.components import (
    Addon,
    Classification,
    FileSystemKind,
    ImageScanning,
    RegionGuardMode,
    StoreKind,
    Upstream,
)
from falaj.components.triton_checks import check_ranges
from section import Name, Section
from serving_config import ServiceConfig
from sharing_config import (
    AutoscalerConfig,
    BudgetConfig,
    DepartmentConfig,
    OperatorsConfig,
    PoolConfig,
    SchedulerConfig,
    TenantConfig,
)

NAMESPACE = "falaj"


def _principal(value: str) -> str:
    if not re.fullmatch(r"arn:aws:iam::\d{12}:(role|user)/[\w+=,.@/-]+", value):
        raise ValueError(f"must be the ARN of an IAM role or user, without a wildcard (got {value})")
    return value


Principal = Annotated[str, AfterValidator(_principal)]


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


class RegimeConfig(Section):
    """The residency rules that hold."""

    name: Name = "uae-restricted"
    home_region: str
    account_id: str
    organization_id: str | None = None


class KeysConfig(Section):
    """Who administers the platform's keys, and who uses which: ARNs of roles that exist already.

    Users are named by the key's purpose, as in the output ``keyArns``. A purpose that is not named is used by whom IAM
    of the account grants it, as the platform does for the roles that it makes for pods, nodes and services.
    """

    administrators: list[Principal] = []
    users: dict[Name, Annotated[list[Principal], Field(min_length=1)]] = {}

    @field_validator("users")
    @classmethod
    def _nobody_is_both(cls, value: dict[str, list[str]], info: ValidationInfo) -> dict[str, list[str]]:
        for purpose, users in value.items():
            for user in users:
                if user in info.data.get("administrators", []):
                    remedy = "must be others than the administrators: who could use the key could also change who may"
                    raise ValueError(f"{purpose} {remedy} (got {user})")
        return value


class NetworkConfig(Section):
    """The private network."""

    cidr: str
    zones: list[str]
    reserved_cidrs: list[str] = []
    # Of S3 in the home region: a gateway endpoint leads there, but network policies of pods have to name addresses.
    storage_cidrs: list[str] = []
    allowed_domains: list[str] = []
    placement_zone: str | None = None
    protected: bool = False
    flow_log_days: int | None = None

    @field_validator("storage_cidrs")
    @classmethod
    def _storage_is_not_everywhere(cls, value: list[str]) -> list[str]:
        return check_ranges("ranges", value)


class MemberConfig(Section):
    """An IAM role as a member of Kubernetes groups, for example of a tenant's."""

    principal: str
    groups: list[str] = Field(min_length=1)


class AddonConfig(Section):
    """An add-on besides those that every cluster has, or another version of one."""

    name: Addon
    version: str | None = None


class ClusterConfig(Section):
    """The Kubernetes cluster."""

    version: str
    protected: bool = True
    log_days: int = 365
    administrators: list[str] = []
    members: list[MemberConfig] = []
    addons: list[AddonConfig] = []


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


class PlatformConfig(Section):
    """Everything that tells one environment from another."""

    environment: Environment
    target: Target
    owner: str
    cost_centre: str
    classification: Classification = Classification.RESTRICTED
    regime: RegimeConfig
    keys: KeysConfig = Field(default=KeysConfig(), validate_default=True)
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
    departments: list[DepartmentConfig] = []
    operators: OperatorsConfig | None = None
    scheduler: SchedulerConfig | None = None
    autoscaler: AutoscalerConfig | None = None
    tenants: list[TenantConfig]
    services: list[ServiceConfig] = []

    @field_validator("keys")
    @classmethod
    def _keys_have_administrators_of_the_account(cls, value: KeysConfig, info: ValidationInfo) -> KeysConfig:
        """Refuse principals of another account, and no administrators where people's data is."""
        environment, regime = info.data.get("environment"), info.data.get("regime")
        if environment in (Environment.STAGING, Environment.PROD) and not value.administrators:
            remedy = f"must name who administers keys in {environment}, the role that runs Pulumi among them"
            raise ValueError(f"administrators {remedy} (got none)")
        for name in [*value.administrators, *(user for users in value.users.values() for user in users)]:
            if regime and name.split(":")[4] != regime.account_id:
                raise ValueError(f"must be of the account {regime.account_id}, which alone uses the keys (got {name})")
        return value

    @field_validator("stores", "file_systems", "pools", "departments", "tenants", "services")
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

    @field_validator("autoscaler")
    @classmethod
    def _autoscaled_pools_leave_their_size_to_it(
        cls, value: AutoscalerConfig | None, info: ValidationInfo
    ) -> AutoscalerConfig | None:
        left = [pool.name for pool in info.data.get("pools", []) if pool.autoscaled]
        for pool in value.pools if value and "pools" in info.data else []:
            _among("pools", "autoscaler", pool.name, left)
        return value

    @field_validator("services")
    @classmethod
    def _services_fit(cls, value: list[ServiceConfig], info: ValidationInfo) -> list[ServiceConfig]:
        """Refuse a service whose tenant, pool or store does not exist, or whose tenant's share is too small."""
        if not {"tenants", "pools", "stores", "network"} <= info.data.keys():
            return value  # What it would be compared with is wrong already, and said so.
        tenants = {tenant.name: tenant for tenant in info.data["tenants"]}
        left = {tenant.name: tenant.gpus for tenant in info.data["tenants"]}
        pools = {pool.name: pool.gpu for pool in info.data["pools"]}
        stores = {store.purpose: store.kind for store in info.data["stores"]}
        for service in value:
            _among("tenant", service.name, service.tenant, list(tenants))
            tenant = tenants[service.tenant]
            _among("models", service.name, service.models, list(stores))
            _among("serviceAccount", service.name, service.service_account, tenant.accounts)
            fitting = [name for name, gpu in pools.items() if gpu or not service.gpus]
            _among("pool", service.name, service.pool, fitting)
            if service.published is not None:
                _published_fits(service, tenant, stores, info.data["network"])
            if service.drift is not None:
                _among("drift.samples", service.name, service.drift.samples, tenant.stores)
                _among("drift.serviceAccount", service.name, service.drift.service_account, tenant.accounts)
            left[service.tenant] -= service.most_gpus
            if left[service.tenant] < 0:
                raise ValueError(f"{service.name} needs {-left[service.tenant]} GPUs more than {service.tenant} has")
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


def _published_fits(
    service: ServiceConfig, tenant: TenantConfig, stores: Mapping[str, StoreKind], network: NetworkConfig
) -> None:
    """Refuse a published model that its pods could not fetch, or from a store in which versions are not locked."""
    locked = [name for name in tenant.stores if stores.get(name) is StoreKind.MODEL_ARTIFACTS]
    if service.models not in locked:
        remedy = f"must be a store of the kind {StoreKind.MODEL_ARTIFACTS} among the stores of {tenant.name}"
        raise ValueError(f"{service.name}: models {remedy}: {', '.join(locked) or 'none'} (got {service.models})")
    if not tenant.publishes:
        raise ValueError(f"{service.name}: published needs publishes: true of {tenant.name}, whose key seals them")
    if not network.storage_cidrs:
        raise ValueError(f"{service.name}: published needs falaj:network.storageCidrs, the addresses of S3 (got none)")


def _among(word: str, service: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise ValueError(f"{service}: {word} {value} is not one of {', '.join(known) or 'none'}")
