"""Where every request to Vault is recorded, twice: Vault serves nobody while no device can write."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypedDict

import pulumi
import pulumi_vault as vault

from falaj.components.errors import ConfigError


class AuditBy(StrEnum):
    """Who sets the audit devices up."""

    CONFIG_FILE = "config-file"
    """The server's configuration, as ``vault_server.audit_stanzas`` writes it: OpenBao takes them no other way."""
    RESOURCES = "resources"
    """This component, through the API: HashiCorp Vault."""


class AuditDevice(TypedDict):
    """A file that takes the records."""

    path: str
    """Path of the device in Vault."""
    file_path: str
    """Where the records go: a file on the server, or ``stdout`` for the collector of its container's output."""


AUDIT_DEVICES: list[AuditDevice] = [
    {"path": "file", "file_path": "/vault/audit/audit.log"},
    {"path": "stdout", "file_path": "stdout"},
]
"""A file on a volume of its own, and the output of the container: one fails without the other."""


def check_devices(field: str, by: AuditBy, devices: Sequence[AuditDevice] | None) -> list[AuditDevice]:
    """Return the devices to make, refusing fewer than two, and any where the server's configuration has them."""
    if by is AuditBy.CONFIG_FILE:
        if devices is not None:
            raise ConfigError(field, devices, "must be left out unless audit is resources: the server's file has them")
        return []
    chosen = list(AUDIT_DEVICES if devices is None else devices)
    for part in ("path", "file_path"):
        values = [device[part] for device in chosen]
        if len(values) < 2 or len(set(values)) != len(values):
            raise ConfigError(f"{field}.{part}", values, "must be two or more, all different: one may fail")
    return chosen


def make_devices(name: str, devices: Sequence[AuditDevice], opts: pulumi.ResourceOptions) -> list[vault.Audit]:
    """Make the devices; values of secrets are in the records as HMAC only."""
    return [
        vault.Audit(
            f"{name}-audit-{device['path']}",
            type="file",
            path=device["path"],
            description="every request and answer, secrets as HMAC",
            options={"file_path": device["file_path"], "log_raw": "false", "mode": "0600"},
            opts=opts,
        )
        for device in devices
    ]
