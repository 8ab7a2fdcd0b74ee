"""Which keys a platform has: one for each purpose, so that losing or destroying one touches nothing else."""

from falaj.components import Classification, FileSystemKind, KeyUse, StoreKind
from platform_config import PlatformConfig

_BACKED_UP = (StoreKind.DATASET, StoreKind.MODEL_ARTIFACTS)


def key_plan(config: PlatformConfig) -> dict[str, tuple[list[KeyUse], Classification]]:
    """Return by purpose what works with the key, and the highest classification of what it protects."""
    linked = {system.store for system in config.file_systems}
    firewall = [KeyUse.NETWORK_FIREWALL] if config.network.allowed_domains else []
    plan: dict[str, tuple[list[KeyUse], Classification]] = {
        "network": ([KeyUse.LOGS, *firewall], config.classification),
        "cluster": ([KeyUse.EKS, KeyUse.LOGS], config.classification),
        "nodes": ([KeyUse.EBS], config.classification),
    }
    for store in config.stores:
        # A file system reads and writes the objects of the bucket that it is linked to.
        linked_by = [KeyUse.FSX] if store.purpose in linked else []
        plan[f"bucket-{store.purpose}"] = ([KeyUse.S3, *linked_by], store.classification)
    for system in config.file_systems:
        of_kind = KeyUse.EFS if system.kind is FileSystemKind.HOME else KeyUse.FSX
        plan[f"files-{system.name}"] = ([of_kind], system.classification)
    for tenant in config.tenants:
        if tenant.publishes:
            plan[sealing_key(tenant.name)] = ([KeyUse.SEALED_MODELS], tenant.classification)
    if config.registry:
        plan["images"] = ([KeyUse.ECR], config.classification)
    if config.records:
        told = [KeyUse.GUARDDUTY, KeyUse.SNS, KeyUse.MACIE] if config.records.detectors else []
        of_records = [KeyUse.S3, KeyUse.CLOUDTRAIL, KeyUse.CONFIG, KeyUse.LOGS, *told]
        plan["records"] = (of_records, config.records.classification)
    for level in backed_up(config):
        plan[f"backup-{level}"] = ([KeyUse.BACKUP], level)
    return plan


def sealing_key(tenant: str) -> str:
    """Return the purpose of the key that seals and opens a tenant's published models."""
    return f"sealing-{tenant}"


def backed_up(config: PlatformConfig) -> list[Classification]:
    """Return the classifications of what backups take in, each of which has a vault and a key of its own."""
    if not config.backups:
        return []
    levels = {store.classification for store in config.stores if store.kind in _BACKED_UP}
    levels |= {system.classification for system in config.file_systems if system.kind is FileSystemKind.HOME}
    return [level for level in Classification if level in levels]
