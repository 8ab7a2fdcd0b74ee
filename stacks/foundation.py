"""What the platform stands on: keys, network, stores, file systems, images, records, backups and budgets."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from falaj.components import (
    AuditTrail,
    AuditTrailArgs,
    Backup,
    Classification,
    ConfigError,
    CostBudget,
    DataStore,
    DataStoreArgs,
    DetectiveBaseline,
    FileSystemKind,
    ImageRegistry,
    Network,
    NetworkArgs,
    Ownership,
    Regime,
    RegionGuard,
    RegionGuardMode,
    ResidencyKey,
    ResidencyKeyArgs,
    SharedFileSystem,
    SharedFileSystemArgs,
)
from key_plan import backed_up, key_plan
from platform_config import FileSystemConfig, PlatformConfig, StoreConfig


@dataclass(frozen=True)
class Site:
    """What is the same for everything of a platform."""

    config: PlatformConfig
    ownership: Ownership
    regime: Regime
    opts: pulumi.ResourceOptions


@dataclass(frozen=True)
class Foundation:
    """What was made, by purpose, name or classification."""

    keys: Mapping[str, ResidencyKey]
    network: Network
    stores: Mapping[str, DataStore]
    file_systems: Mapping[str, SharedFileSystem]
    registry: ImageRegistry | None
    records: AuditTrail | None
    detectors: DetectiveBaseline | None
    backups: Mapping[str, Backup]
    guard: RegionGuard | None
    boundary: pulumi.Output[str] | None
    """ARN of the permission boundary that the guard is, if it is one."""
    budgets: Mapping[str, CostBudget]


def lay_foundation(site: Site) -> Foundation:
    """Make the foundation."""
    config = site.config
    keys = _keys(site)
    records = _records(site, keys)
    network = _network(site, keys["network"])
    stores = {store.purpose: _store(site, store, keys[f"bucket-{store.purpose}"]) for store in config.stores}
    guard = _guard(site)
    bounds = guard and config.guard and config.guard.mode is RegionGuardMode.PERMISSION_BOUNDARY
    return Foundation(
        keys=keys,
        network=network,
        stores=stores,
        file_systems={
            system.name: _file_system(site, system, network, stores, keys[f"files-{system.name}"])
            for system in config.file_systems
        },
        registry=_registry(site, keys),
        records=records,
        detectors=_detectors(site, records),
        backups={level.value: _backup(site, level, keys[f"backup-{level}"]) for level in backed_up(config)},
        guard=guard,
        boundary=guard.policy_arn if guard and bounds else None,
        budgets=_budgets(site),
    )


def _keys(site: Site) -> dict[str, ResidencyKey]:
    """Make the keys, each administered and used by whom the configuration names."""
    plan, named = key_plan(site.config), site.config.keys
    for purpose in named.users:
        if purpose not in plan:
            raise ConfigError("falaj:keys.users", purpose, f"must be named by the purpose of a key: {', '.join(plan)}")
    keys: dict[str, ResidencyKey] = {}
    for purpose, (used_by, classification) in plan.items():
        args: ResidencyKeyArgs = {
            "purpose": purpose,
            "used_by": [*used_by],
            "classification": classification,
            "administrators": named.administrators,
            "users": named.users.get(purpose, []),
            "regime": site.regime,
            "ownership": site.ownership,
        }
        keys[purpose] = ResidencyKey(purpose, args, site.opts)
    return keys


def _network(site: Site, key: ResidencyKey) -> Network:
    wanted = site.config.network
    args: NetworkArgs = {
        "cidr": wanted.cidr,
        "zones": wanted.zones,
        "reserved_cidrs": wanted.reserved_cidrs,
        "protected": wanted.protected,
        "classification": site.config.classification,
        "key": key.ref,
        "regime": site.regime,
        "ownership": site.ownership,
    }
    if wanted.allowed_domains:
        args["egress"] = {"allowed_domains": wanted.allowed_domains}
    if wanted.placement_zone:
        args["placement_zone"] = wanted.placement_zone
    if wanted.flow_log_days is not None:
        args["flow_log_days"] = wanted.flow_log_days
    return Network("network", args, site.opts)


def _store(site: Site, store: StoreConfig, key: ResidencyKey) -> DataStore:
    args: DataStoreArgs = {
        "purpose": store.purpose,
        "kind": store.kind,
        "classification": store.classification,
        "key": key.ref,
        "regime": site.regime,
        "ownership": site.ownership,
    }
    if store.noncurrent_days is not None:
        args["noncurrent_days"] = store.noncurrent_days
    if store.expire_days is not None:
        args["expire_days"] = store.expire_days
    if store.lock_days is not None:
        args["lock_days"] = store.lock_days
    return DataStore(store.purpose, args, site.opts)


def _file_system(
    site: Site, system: FileSystemConfig, network: Network, stores: Mapping[str, DataStore], key: ResidencyKey
) -> SharedFileSystem:
    args: SharedFileSystemArgs = {
        "kind": system.kind,
        "purpose": system.name,
        "classification": system.classification,
        "network": network.ref,
        "key": key.ref,
        "regime": site.regime,
        "ownership": site.ownership,
    }
    if system.store:
        args["store"] = stores[system.store].ref
    if system.kind is FileSystemKind.HOME:
        args["homes"] = [
            {"tenant": tenant.name, "uid": tenant.uid, "gid": tenant.uid}
            for tenant in site.config.tenants
            if tenant.uid
        ]
    if system.capacity_gib is not None:
        args["capacity_gib"] = system.capacity_gib
    if system.throughput_per_tib is not None:
        args["throughput_per_tib"] = system.throughput_per_tib
    if system.cold_after_days is not None:
        args["cold_after_days"] = system.cold_after_days
    return SharedFileSystem(system.name, args, site.opts)


def _registry(site: Site, keys: Mapping[str, ResidencyKey]) -> ImageRegistry | None:
    if site.config.registry is None:
        return None
    return ImageRegistry(
        "images",
        {
            "repositories": site.config.registry.repositories,
            "mirrors": [{"upstream": upstream} for upstream in site.config.registry.mirrors],
            "scanning": site.config.registry.scanning,
            "classification": site.config.classification,
            "key": keys["images"].ref,
            "regime": site.regime,
            "ownership": site.ownership,
        },
        site.opts,
    )


def _records(site: Site, keys: Mapping[str, ResidencyKey]) -> AuditTrail | None:
    if site.config.records is None:
        return None
    args: AuditTrailArgs = {
        "classification": site.config.records.classification,
        "insights": site.config.records.insights,
        "organization": site.config.records.organization,
        "config_role": site.config.records.config_role,
        "key": keys["records"].ref,
        "regime": site.regime,
        "ownership": site.ownership,
    }
    if site.config.records.days is not None:
        args["record_days"] = site.config.records.days
    return AuditTrail("records", args, site.opts)


def _detectors(site: Site, records: AuditTrail | None) -> DetectiveBaseline | None:
    if records is None or site.config.records is None or not site.config.records.detectors:
        return None
    return DetectiveBaseline(
        "detectors",
        {
            "records": records.ref,
            "classification": site.config.records.classification,
            "organization": site.config.records.organization,
            "regime": site.regime,
            "ownership": site.ownership,
        },
        site.opts,
    )


def _backup(site: Site, level: Classification, key: ResidencyKey) -> Backup:
    return Backup(
        f"backup-{level}",
        {"classification": level, "key": key.ref, "regime": site.regime, "ownership": site.ownership},
        site.opts,
    )


def _guard(site: Site) -> RegionGuard | None:
    if site.config.guard is None:
        return None
    return RegionGuard(
        "region-guard",
        {
            "mode": site.config.guard.mode,
            "targets": site.config.guard.targets,
            "exempt_principals": site.config.guard.exempt_principals,
            "deployers": site.config.guard.deployers,
            "classification": site.config.classification,
            "regime": site.regime,
            "ownership": site.ownership,
        },
        site.opts,
    )


def _budgets(site: Site) -> dict[str, CostBudget]:
    """Make the budget of the platform's own cost centre and those of the tenants that have one."""
    wanted = {"platform": (site.config.budget, site.ownership)}
    for tenant in site.config.tenants:
        wanted[tenant.name] = (
            tenant.budget,
            {**site.ownership, "owner": tenant.owner, "cost_centre": tenant.cost_centre},
        )
    return {
        name: CostBudget(
            f"{name}-budget",
            {"monthly_usd": budget.monthly_usd, "emails": budget.emails, "ownership": owner},
            site.opts,
        )
        for name, (budget, owner) in wanted.items()
        if budget
    }
