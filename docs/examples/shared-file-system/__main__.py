"""What GPUs read while they train, linked to the bucket of the datasets, and the home folders of two tenants."""

import pulumi
from network import home_network

from falaj.components import (
    DataStore,
    FileSystemKind,
    KeyUse,
    Ownership,
    Regime,
    ResidencyKey,
    SharedFileSystem,
)

config = pulumi.Config()
regime: Regime = {"home_region": "me-central-1", "account_id": "123456789012"}
ownership: Ownership = {"owner": "ml-platform", "cost_centre": "cc-1000", "environment": "dev"}
network = home_network(regime, ownership)


def key(purpose: str, *uses: KeyUse) -> ResidencyKey:
    """Make the key of one purpose."""
    return ResidencyKey(purpose, {"purpose": purpose, "used_by": [*uses], "regime": regime, "ownership": ownership})


datasets = key("datasets", KeyUse.S3, KeyUse.FSX)
store = DataStore("datasets", {"purpose": "datasets", "key": datasets.ref, "regime": regime, "ownership": ownership})
training = SharedFileSystem(
    "training",
    {
        "kind": FileSystemKind.TRAINING,
        "purpose": "datasets",
        "network": network,
        "key": datasets.ref,
        "regime": regime,
        "ownership": ownership,
        "store": store.ref,
        "capacity_gib": config.get_int("capacityGib") or 2400,
    },
)
homes = SharedFileSystem(
    "homes",
    {
        "kind": FileSystemKind.HOME,
        "purpose": "homes",
        "network": network,
        "key": key("homes", KeyUse.EFS).ref,
        "regime": regime,
        "ownership": ownership,
        "homes": [
            {"tenant": "vision", "uid": config.get_int("visionUid") or 20001, "gid": 20001},
            {"tenant": "speech", "uid": 20002, "gid": 20002},
        ],
        "cold_after_days": config.get_int("coldAfterDays") or 30,
    },
)

pulumi.export("mount", pulumi.Output.concat(training.dns_name, "@tcp:/", training.ref["mount_name"]))
pulumi.export("homes", {"fileSystem": homes.file_system_id, "accessPoints": homes.access_points})
