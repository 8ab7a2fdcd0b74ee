"""FSx for Lustre: what it accepts, and the file system beside a bucket that training reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded
from falaj.components.classification import Classification, reaches
from falaj.components.errors import ConfigError
from falaj.components.mounted import Mounted, security_group
from falaj.components.refs import NetworkRef, StoreRef, pick
from falaj.components.regime import RegimeRules, at_least

# https://docs.aws.amazon.com/fsx/latest/LustreGuide/limit-access-security-groups.html
_PORTS = ((988, 988), (1018, 1023))
# GiB in whose multiples a file system comes, by its throughput, when nodes reach it over EFA.
# https://docs.aws.amazon.com/fsx/latest/LustreGuide/increase-storage-capacity.html
_EFA_STEPS = {125: 38400, 250: 19200, 500: 9600, 1000: 4800}
_METADATA_IOPS = (1500, 3000, 6000, *range(12000, 192001, 12000))
_LONGEST_BACKUP = 90
_EVENTS = ["NEW", "CHANGED", "DELETED"]
_NO_STORES = {"logs": "records are not for training"}


@dataclass(frozen=True)
class Lustre:
    """What is asked of a file system for training."""

    capacity_gib: int
    throughput: int
    metadata_iops: int | None
    efa: bool
    backup_days: int
    prefix: str


def check_lustre(name: str, args: Mapping[str, Any], classification: Classification, rules: RegimeRules) -> Lustre:
    """Return what is asked, refusing what FSx would refuse and backups that are shorter than the regime's."""
    throughput = args.get("throughput_per_tib", 250)
    if throughput not in _EFA_STEPS:
        remedy = f"must be one of {', '.join(map(str, _EFA_STEPS))} megabytes per second"
        raise ConfigError(f"{name}.throughput_per_tib", throughput, remedy)
    efa = args.get("efa", False)
    capacity = check_capacity(f"{name}.capacity_gib", args.get("capacity_gib", 1200), throughput, efa=efa)
    iops = args.get("metadata_iops")
    if iops is not None and iops not in _METADATA_IOPS:
        remedy = "must be 1500, 3000, 6000 or a multiple of 12000 up to 192000"
        raise ConfigError(f"{name}.metadata_iops", iops, remedy)
    prefix = args.get("store_prefix", "")
    if prefix and "store" not in args:
        raise ConfigError(f"{name}.store_prefix", prefix, "must be left out without a store")
    if prefix and (prefix.startswith("/") or not prefix.endswith("/")):
        raise ConfigError(f"{name}.store_prefix", prefix, "must end with / and not start with it, such as vision/")
    days = _backup_days(f"{name}.backup_days", args, classification, rules)
    return Lustre(capacity, int(throughput), None if iops is None else int(iops), efa, days, prefix)


def check_capacity(field: str, gib: float, throughput: float, *, efa: bool) -> int:
    """Return a capacity that FSx offers for the throughput."""
    step = _EFA_STEPS[int(throughput)] if efa else 2400
    if gib <= 0 or (gib % step and (efa or gib != 1200)):
        remedy = f"must be a multiple of {step} GiB" + (f", with EFA at {throughput:g}" if efa else " or 1200 GiB")
        raise ConfigError(field, gib, remedy)
    return int(gib)


def _backup_days(field: str, args: Mapping[str, Any], classification: Classification, rules: RegimeRules) -> int:
    """Return the days that backups are kept: FSx takes none of what is linked to a bucket, where everything is."""
    if "store" in args:
        if "backup_days" in args:
            remedy = "must be left out with a store: FSx backs up nothing that is linked, the store is the copy"
            raise ConfigError(field, args["backup_days"], remedy)
        return 0
    least = rules.backup_days[classification]
    days = bounded(field, args.get("backup_days", least), 1, _LONGEST_BACKUP, "days")
    return at_least(field, days, least, rules.name)


def check_store(field: str, store: pulumi.Input[StoreRef], classification: Classification) -> pulumi.Output[str]:
    """Return the bucket's name, refusing a store whose data is classified higher than the file system: its clients
    would reach what they are not cleared for."""

    def check(known: Mapping[str, Any]) -> None:
        if not reaches(classification, Classification(known["classification"])):
            remedy = f"must be a store classified {classification.value} or lower, as the file system is"
            raise ConfigError(field, known["classification"], remedy)
        if known["kind"] in _NO_STORES:
            raise ConfigError(field, known["kind"], f"must be a store of another kind: {_NO_STORES[known['kind']]}")

    def checked(known: Mapping[str, Any]) -> str:
        check(known)
        return str(known["bucket"])

    if isinstance(store, Mapping) and isinstance(store["classification"], str) and isinstance(store["kind"], str):
        check({**store})
    members = ("bucket", "classification", "kind")
    return pulumi.Output.all(**{each: pick(store, each) for each in members}).apply(checked)


def make_lustre(
    name: str,
    asked: Lustre,
    network: pulumi.Input[NetworkRef],
    subnet: pulumi.Output[str],
    bucket: pulumi.Output[str] | None,
    *,
    clients: Sequence[pulumi.Input[str]] | None,
    key: pulumi.Output[str],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> Mounted:
    """Make the file system, its security group and its link to the bucket."""
    efa_group = pick(network, "efa_security_group_id")
    reaching = [efa_group] if clients is None else list(clients)
    group = security_group(name, "Lustre", pick(network, "vpc_id"), tags, opts)
    opened = _open(name, group, reaching, tags, opts)
    system = aws.fsx.LustreFileSystem(
        f"{name}-lustre",
        deployment_type="PERSISTENT_2",
        file_system_type_version="2.15",
        storage_type="SSD",
        storage_capacity=asked.capacity_gib,
        per_unit_storage_throughput=asked.throughput,
        metadata_configuration=(
            {"mode": "AUTOMATIC"}
            if asked.metadata_iops is None
            else {"mode": "USER_PROVISIONED", "iops": asked.metadata_iops}
        ),
        efa_enabled=asked.efa,
        data_compression_type="LZ4",
        kms_key_id=key,
        subnet_ids=subnet,
        # EFA wants all traffic with its nodes, both ways, which the network's group for it has.
        security_group_ids=[group.id, *([efa_group] if asked.efa else [])],
        automatic_backup_retention_days=asked.backup_days,
        copy_tags_to_backups=True,
        skip_final_backup=bucket is not None,
        final_backup_tags=None if bucket is not None else tags,
        tags=tags,
        # FSx looks whether clients can reach it.
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=opened)),
    )
    if bucket is not None:
        aws.fsx.DataRepositoryAssociation(
            f"{name}-link",
            file_system_id=system.id,
            file_system_path="/",
            data_repository_path=pulumi.Output.concat("s3://", bucket, asked.prefix and f"/{asked.prefix}"),
            batch_import_meta_data_on_create=True,
            delete_data_in_filesystem=False,
            s3={"auto_import_policy": {"events": _EVENTS}, "auto_export_policy": {"events": _EVENTS}},
            tags=tags,
            opts=opts,
        )
    return Mounted(system.id, system.arn, system.dns_name, system.mount_name, group.id, {})


def _open(
    name: str,
    group: aws.ec2.SecurityGroup,
    clients: Sequence[pulumi.Input[str]],
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Open Lustre's ports among the servers and between them and each client: both ends open connections."""
    rules: list[pulumi.Resource] = []

    def way(label: str, holder: pulumi.Input[str], other: pulumi.Input[str]) -> None:
        for low, high in _PORTS:
            for kind, word in ((aws.vpc.SecurityGroupIngressRule, "in"), (aws.vpc.SecurityGroupEgressRule, "out")):
                rule = kind(
                    f"{name}-{label}-{word}-{low}",
                    security_group_id=holder,
                    referenced_security_group_id=other,
                    description="Lustre",
                    ip_protocol="tcp",
                    from_port=low,
                    to_port=high,
                    tags=tags,
                    opts=opts,
                )
                rules.append(rule)

    way("servers", group.id, group.id)
    for number, client in enumerate(clients):
        way(f"client-{number}", group.id, client)
        way(f"client-{number}-back", client, group.id)
    return rules
