"""EFS: throughput, backups, policy and protection of a file system can be changed; moto has no operation for these.

Nobody takes the backups that a backup policy asks for.
"""

import json
from typing import Any

from moto.efs import urls
from moto.efs.exceptions import EFSError
from moto.efs.models import FileSystem
from moto.efs.responses import EFSResponse

Answer = tuple[str, dict[str, str | int]]
MODES = {"bursting", "provisioned", "elastic"}
STATUSES = {"ENABLED", "DISABLED"}


class Efs(EFSResponse):
    """The operations of EFS that are served."""

    @property
    def _system(self) -> FileSystem:
        """The file system that the path names."""
        _, found = self.efs_backend.describe_file_systems(file_system_id=self._get_param("FileSystemId"))
        return found[0]

    def update_file_system(self) -> Answer:
        """Change how throughput is given."""
        system = self._system
        mode = self._get_param("ThroughputMode") or system.throughput_mode
        provisioned = self._get_param("ProvisionedThroughputInMibps")
        if mode not in MODES:
            raise EFSError("BadRequest", f"Unknown throughput mode {mode}.")
        if (mode == "provisioned") != (provisioned is not None):
            raise EFSError("BadRequest", "ProvisionedThroughputInMibps goes with the throughput mode provisioned only.")
        system.throughput_mode = mode
        system.provisioned_throughput_in_mibps = provisioned
        return _answer(system.info_json(), 202)

    def update_file_system_protection(self) -> Answer:
        """Change whether the file system may become the copy of another."""
        wanted = self._get_param("ReplicationOverwriteProtection")
        if wanted not in STATUSES:
            raise EFSError("BadRequest", f"ReplicationOverwriteProtection cannot be {wanted}.")
        self._system._protection = wanted  # pyright: ignore  # written down with moto's object, which tells _names of none
        return _answer({"ReplicationOverwriteProtection": wanted})

    def put_backup_policy(self) -> Answer:
        """Switch the automatic backups on or off."""
        policy: dict[str, Any] = self._get_param("BackupPolicy") or {}
        if policy.get("Status") not in STATUSES:
            raise EFSError("ValidationException", f"A backup policy cannot be set to {policy.get('Status')}.")
        self._system._backup_status = policy["Status"]  # pyright: ignore  # as above
        return _answer({"BackupPolicy": policy})

    def put_file_system_policy(self) -> Answer:
        """Keep a policy, if it is one."""
        _ = self._system
        try:
            statements = json.loads(self._get_param("Policy"))["Statement"]
        except (ValueError, KeyError, TypeError):
            statements = None
        if not statements:
            raise EFSError("InvalidPolicyException", "Policy is not a policy document.")
        return super().put_file_system_policy()

    def describe_file_system_policy(self) -> Answer:
        """Tell the policy; AWS answers for an unknown file system too."""
        _ = self._system
        return super().describe_file_system_policy()

    def delete_file_system_policy(self) -> Answer:
        """Forget the policy."""
        self._system.file_system_policy = None
        return _answer({})


def _answer(content: dict[str, Any], status: int = 200) -> Answer:
    return json.dumps(content), {"status": status, "Content-Type": "application/json"}


def serve() -> None:
    """Let moto's server answer EFS's requests so."""
    told = FileSystem.info_json
    policy: Any = FileSystem.backup_policy  # a property

    def info_json(self: FileSystem) -> dict[str, Any]:
        protection = vars(self).get("_protection", "ENABLED")
        return told(self) | {"FileSystemProtection": {"ReplicationOverwriteProtection": protection}}

    def backup_policy(self: FileSystem) -> dict[str, str] | None:
        status = vars(self).get("_backup_status")
        return {"Status": status} if status else policy.fget(self)

    FileSystem.info_json = info_json
    kind: Any = FileSystem
    kind.backup_policy = property(backup_policy)
    dispatch = Efs.dispatch
    protection = "/2015-02-01/file-systems/<file_system_id>/protection"
    urls.url_paths.update(dict.fromkeys([*urls.url_paths, protection], dispatch))
