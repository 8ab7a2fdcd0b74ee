"""A file system that many nodes mount: for training, beside a bucket and fast, or for home folders."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NotRequired, TypedDict

import pulumi

from falaj.components.checks import dns_label
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.home_folders import HomeFolder, Homes, check_homes, make_homes
from falaj.components.lustre import Lustre, check_lustre, check_store, make_lustre
from falaj.components.ownership import Ownership, labels
from falaj.components.refs import FileSystemRef, KeyRef, NetworkRef, StoreRef, by_name, key_arn, pick
from falaj.components.regime import Regime, check_regime, rules_of


class FileSystemKind(StrEnum):
    """What a file system is for."""

    TRAINING = "training"
    """FSx for Lustre in one zone, linked to a bucket: what GPUs read while they train."""
    HOME = "home"
    """EFS in all zones: home folders, one access point per tenant."""


class SharedFileSystemArgs(TypedDict):
    """What may be said of a shared file system."""

    kind: FileSystemKind
    """What the file system is for."""
    purpose: str
    """What it holds, for example ``homes``; part of its name."""
    network: pulumi.Input[NetworkRef]
    """Where it lies: ``ref`` of a ``Network``."""
    key: pulumi.Input[KeyRef]
    """Key of the files: ``ref`` of a ``ResidencyKey`` used by FSx for training, by EFS for homes."""
    regime: Regime
    """Home region and account."""
    ownership: Ownership
    """Who answers for the file system and pays for it."""
    classification: NotRequired[Classification]
    """Classification of the files. Default: ``restricted``."""
    clients: NotRequired[list[pulumi.Input[str]]]
    """Ids of the security groups that may mount it. Default: the network's EFA group; its addresses for ``home``."""
    zones: NotRequired[list[str]]
    """Zones where it is mounted; ``training`` has one. Default: the network's; for ``training`` its placement zone."""
    store: NotRequired[pulumi.Input[StoreRef]]
    """Training: bucket that the files are those of, both ways: ``ref`` of a ``DataStore``. Default: none."""
    store_prefix: NotRequired[str]
    """Training: part of the bucket, for example ``vision/``. Default: the whole bucket."""
    capacity_gib: NotRequired[int]
    """Training: size in GiB, 1200 or a multiple of 2400; with EFA larger steps. Default: 1200."""
    throughput_per_tib: NotRequired[int]
    """Training: megabytes per second for each TiB: 125, 250, 500 or 1000. Default: 250."""
    metadata_iops: NotRequired[int]
    """Training: metadata operations per second, 1500 to 192000. Default: by the capacity."""
    efa: NotRequired[bool]
    """Training: whether nodes reach it over EFA, and GPUs directly. Default: false."""
    backup_days: NotRequired[int]
    """Training: days that daily backups are kept; none with a ``store``, which is the copy. Default: the regime's."""
    homes: NotRequired[list[HomeFolder]]
    """Home: the tenants' folders. Default: none."""
    cold_after_days: NotRequired[int]
    """Home: days after which an unused file moves to cheaper storage. Default: 30."""


_OF_TRAINING = ("store", "store_prefix", "capacity_gib", "throughput_per_tib", "metadata_iops", "efa", "backup_days")
_OF_HOME = ("homes", "cold_after_days")


class SharedFileSystem(pulumi.ComponentResource):
    """One file system with a customer key, that only named clients reach and that is not copied elsewhere.

    Serves ISO/IEC 27001:2022 A.8.3, A.8.10, A.8.13, A.8.20, A.8.22 and A.8.24.
    Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    file_system_id: pulumi.Output[str]
    """Id of the file system."""
    arn: pulumi.Output[str]
    """ARN of the file system."""
    dns_name: pulumi.Output[str]
    """Name by which it is mounted."""
    security_group_id: pulumi.Output[str]
    """Id of the security group of its network interfaces."""
    access_points: pulumi.Output[dict[str, str]]
    """Ids of the access points of the home folders, by tenant."""
    ref: FileSystemRef
    """The file system as other components take it."""

    def __init__(self, name: str, args: SharedFileSystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        regime, ownership = args["regime"], args["ownership"]
        classification = Classification(args.get("classification", Classification.RESTRICTED))
        check_regime(f"{name}.regime", regime)
        kind = _kind(name, args)
        purpose = dns_label(f"{name}.purpose", args["purpose"])
        zones = _zones(f"{name}.zones", args, kind, regime)
        asked = _asked(name, args, kind, classification)
        key = key_arn(f"{name}.key", args["key"], classification)
        tags = labels(f"{name}.ownership", ownership, classification) | {
            "purpose": purpose,
            "kind": kind.value,
            "Name": f"{ownership['environment']}-{purpose}",
        }
        bucket = check_store(f"{name}.store", args["store"], classification) if "store" in args else None

        super().__init__("falaj:index:SharedFileSystem", name, dict(args), opts)
        child = pulumi.ResourceOptions(parent=self)
        network, clients = args["network"], args.get("clients")
        if isinstance(asked, Lustre):
            subnet = _subnets(network, zones)[0] if zones else pick(network, "placement_subnet_id")
            made = make_lustre(name, asked, network, subnet, bucket, clients=clients, key=key, tags=tags, opts=child)
        else:
            subnets = dict(zip(zones, _subnets(network, zones), strict=True))
            made = make_homes(
                name, asked, network, subnets, clients=clients, key=key, regime=regime, tags=tags, opts=child
            )

        self.file_system_id = made.identifier
        self.arn = made.arn
        self.dns_name = made.dns_name
        self.security_group_id = made.security_group_id
        self.access_points = by_name(made.access_points)
        self.ref = {
            "file_system_id": made.identifier,
            "dns_name": made.dns_name,
            "mount_name": made.mount_name,
            "security_group_id": made.security_group_id,
            "access_points": self.access_points,
            "kind": kind.value,
            "classification": classification.value,
        }
        self.register_outputs(
            {
                "fileSystemId": self.file_system_id,
                "arn": self.arn,
                "dnsName": self.dns_name,
                "securityGroupId": self.security_group_id,
                "accessPoints": self.access_points,
                "ref": self.ref,
            }
        )


def _kind(name: str, args: SharedFileSystemArgs) -> FileSystemKind:
    """Return the kind, refusing arguments that are of the other."""
    if args["kind"] not in set(FileSystemKind):
        raise ConfigError(f"{name}.kind", args["kind"], f"must be one of {', '.join(FileSystemKind)}")
    kind, given = FileSystemKind(args["kind"]), {**args}
    for argument in _OF_HOME if kind is FileSystemKind.TRAINING else _OF_TRAINING:
        if argument in given:
            raise ConfigError(f"{name}.{argument}", given[argument], f"must be left out for {kind.value}")
    return kind


def _asked(
    name: str, args: SharedFileSystemArgs, kind: FileSystemKind, classification: Classification
) -> Lustre | Homes:
    """Return what is asked of the kind, checked."""
    given: Mapping[str, Any] = {**args}
    rules = rules_of(args["regime"])
    if kind is FileSystemKind.TRAINING:
        return check_lustre(name, given, classification, rules)
    return check_homes(name, given, classification, rules)


def _zones(field: str, args: SharedFileSystemArgs, kind: FileSystemKind, regime: Regime) -> list[str]:
    """Return the zones; none for training where the network's placement decides."""
    network: Any = args["network"]
    known = network["zones"] if isinstance(network, Mapping) and isinstance(network["zones"], Sequence) else None
    default = [] if kind is FileSystemKind.TRAINING else known
    zones = args.get("zones", default)
    if zones is None:
        raise ConfigError(field, None, "must name the zones, since those of the network are not known yet")
    if kind is FileSystemKind.TRAINING and "zones" in args and len(zones) != 1:
        raise ConfigError(field, list(zones), "must be the one zone where training runs")
    if kind is FileSystemKind.HOME and (not zones or len(set(zones)) != len(zones)):
        raise ConfigError(field, list(zones), "must be different zones, at least one")
    for zone in zones:
        if known is not None and zone not in known:
            raise ConfigError(field, zone, f"must be zones of the network: {', '.join(known)}")
        if zone[:-1] != regime["home_region"]:
            raise ConfigError(field, zone, f"must be zones of the home region, such as {regime['home_region']}a")
    return list(zones)


def _subnets(network: pulumi.Input[NetworkRef], zones: Sequence[str]) -> list[pulumi.Output[str]]:
    """Return the isolated subnet of each zone."""
    found = pulumi.Output.all(pick(network, "zones"), pick(network, "isolated_subnet_ids"))

    def of(zone: str) -> pulumi.Output[str]:
        return found.apply(lambda known: str(known[1][list(known[0]).index(zone)]))

    return [of(zone) for zone in zones]
