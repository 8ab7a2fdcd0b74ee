"""FSx for Lustre as AWS serves it: what a file system has besides what was asked, its changes, its links to buckets.

Everything is done at once, a file system has one network interface instead of one per server, and no backup is ever
taken on a schedule.
"""

import json
from typing import Any

from moto.core.utils import unix_time
from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends
from moto.fsx import urls
from moto.fsx.models import FileSystem
from moto.fsx.responses import FSxResponse
from moto.moto_api._internal import mock_random

from falaj.lab.moto_gaps.fsx_links import Links
from falaj.lab.moto_gaps.fsx_rules import (
    LUSTRE,
    check_capacity,
    check_new,
    check_throughput,
    kept,
    links_of,
    metadata_iops,
    refuse,
    system_of,
)
from falaj.lab.moto_gaps.kept import Kept


class Fsx(Links, FSxResponse):
    """The operations of FSx that are served."""

    def create_file_system(self) -> str:
        """Make a file system, with all that AWS tells of it."""
        given = json.loads(self.body)
        if given.get("FileSystemType") == LUSTRE:
            check_new(given)
        subnets = self._subnets(given.get("SubnetIds", []))
        made = json.loads(super().create_file_system())["FileSystem"]
        system = self.fsx_backend.file_systems[made["FileSystemId"]]
        interface = self._ec2.create_network_interface(
            subnets[0],
            [subnets[0].get_available_subnet_ip(system)],
            group_ids=given.get("SecurityGroupIds"),
            description=f"File system {system.file_system_id}",
        )
        system.kept = {  # pyright: ignore[reportAttributeAccessIssue]  # written down with moto's object
            "OwnerId": self.current_account,
            "CreationTime": unix_time(),
            "Lifecycle": "AVAILABLE",
            "VpcId": subnets[0].vpc_id,
            "NetworkInterfaceIds": [interface.id],
            "StorageType": given.get("StorageType", "SSD"),
        }
        if system.file_system_type == LUSTRE:
            system.lustre_configuration, kept(system)["FileSystemTypeVersion"] = _lustre(given)
        return json.dumps({"FileSystem": system.to_dict()})

    def describe_file_systems(self) -> str:
        """Tell of file systems; AWS refuses an id that it does not know."""
        for identifier in json.loads(self.body).get("FileSystemIds") or []:
            system_of(self.fsx_backend, identifier)
        return super().describe_file_systems()

    def update_file_system(self) -> str:
        """Change a Lustre file system; the change is done at once, as an administrative action."""
        given = json.loads(self.body)
        system = system_of(self.fsx_backend, given["FileSystemId"])
        changes: Kept = given.get("LustreConfiguration") or {}
        lustre: Kept = system.lustre_configuration or {}
        self._check_update(system, given, changes)
        if "MetadataConfiguration" in changes:
            wanted = lustre.get("MetadataConfiguration", {}) | changes.pop("MetadataConfiguration")
            if wanted.get("Mode") == "AUTOMATIC":
                wanted["Iops"] = metadata_iops(system.storage_capacity)
            elif wanted["Iops"] < lustre.get("MetadataConfiguration", {}).get("Iops", 0):
                raise refuse("Metadata IOPS can be increased only.")
            lustre["MetadataConfiguration"] = wanted
        lustre |= changes
        if "StorageCapacity" in given:
            system.storage_capacity = given["StorageCapacity"]
            if lustre.get("MetadataConfiguration", {}).get("Mode") == "AUTOMATIC":
                lustre["MetadataConfiguration"]["Iops"] = metadata_iops(system.storage_capacity)
        system.lustre_configuration = lustre
        done = {"AdministrativeActionType": "FILE_SYSTEM_UPDATE", "Status": "COMPLETED", "RequestTime": unix_time()}
        kept(system)["AdministrativeActions"] = [done]
        return json.dumps({"FileSystem": system.to_dict()})

    def delete_file_system(self) -> str:
        """Delete a file system with its links and its network interface, after a final backup if one is asked for."""
        given = json.loads(self.body)
        system = system_of(self.fsx_backend, given["FileSystemId"])
        links = links_of(self.fsx_backend)
        mine = [identifier for identifier, link in links.items() if link["FileSystemId"] == system.file_system_id]
        configuration: Kept = given.get("LustreConfiguration") or {}
        answer: Kept = {"FileSystemId": system.file_system_id, "Lifecycle": "DELETING"}
        if configuration.get("SkipFinalBackup", True) is False:
            if mine:
                raise refuse("Backups are not supported on a file system that is linked to a data repository.")
            tags = configuration.get("FinalBackupTags")
            backup = self.fsx_backend.create_backup(system.file_system_id, None, None, tags)
            answer["LustreResponse"] = {"FinalBackupId": backup.backup_id}
        for identifier in mine:
            del links[identifier]
        for interface in kept(system).get("NetworkInterfaceIds", []):
            self._ec2.delete_network_interface(interface)
        self.fsx_backend.tagger.delete_all_tags_for_resource(system.resource_arn)
        del self.fsx_backend.file_systems[system.file_system_id]
        return json.dumps(answer)

    @property
    def _ec2(self) -> Any:
        return ec2_backends[self.current_account][self.region]

    def _subnets(self, identifiers: list[str]) -> list[Any]:
        try:
            return [self._ec2.get_subnet(identifier) for identifier in identifiers]
        except InvalidSubnetIdError:
            raise refuse(f"No such subnet: {', '.join(identifiers)}", "InvalidNetworkSettings") from None

    def _check_update(self, system: FileSystem, given: Kept, changes: Kept) -> None:
        lustre: Kept = (system.lustre_configuration or {}) | changes
        if "PerUnitStorageThroughput" in changes:
            check_throughput(lustre)
        if "StorageCapacity" in given:
            if given["StorageCapacity"] <= system.storage_capacity:
                raise refuse("The storage capacity can be increased only.")
            check_capacity(given["StorageCapacity"], lustre)
        linked = any(link["FileSystemId"] == system.file_system_id for link in links_of(self.fsx_backend).values())
        if linked and changes.get("AutomaticBackupRetentionDays"):
            raise refuse("Backups are not supported on a file system that is linked to a data repository.")


def _lustre(given: Kept) -> tuple[Kept, str]:
    """Return the configuration with the defaults that AWS gives, and the version of Lustre."""
    asked: Kept = given["LustreConfiguration"]
    kind = asked.get("DeploymentType", "SCRATCH_1")
    own = kind != "SCRATCH_1"
    configuration: Kept = {
        "DeploymentType": kind,
        "MountName": mock_random.get_random_hex(8) if own else "fsx",
        "WeeklyMaintenanceStartTime": "1:03:00",
        "CopyTagsToBackups": False,
        "DataCompressionType": "NONE",
        "EfaEnabled": False,
        **asked,
        "LogConfiguration": asked.get("LogConfiguration") or {"Level": "DISABLED"},
    }
    if kind.startswith("PERSISTENT"):
        configuration.setdefault("AutomaticBackupRetentionDays", 0)
    if configuration.get("AutomaticBackupRetentionDays"):
        configuration.setdefault("DailyAutomaticBackupStartTime", "04:00")
    metadata = configuration.get("MetadataConfiguration")
    if metadata and metadata["Mode"] == "AUTOMATIC":
        configuration["MetadataConfiguration"] = metadata | {"Iops": metadata_iops(given["StorageCapacity"])}
    default = "2.10" if kind != "PERSISTENT_2" else "2.15" if metadata else "2.12"
    return configuration, given.get("FileSystemTypeVersion", default)


def serve() -> None:
    """Let moto's server answer FSx's requests so."""
    told = FileSystem.to_dict

    def to_dict(self: FileSystem) -> Kept:
        return told(self) | kept(self)

    FileSystem.to_dict = to_dict
    urls.url_paths["{0}/$"] = Fsx.dispatch
