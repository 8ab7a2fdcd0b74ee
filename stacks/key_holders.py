"""Who keeps keys, AWS KMS and Vault: how a key is destroyed there, and whether it comes back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import boto3
import hvac
from hvac.exceptions import InvalidPath

from falaj.components import ConfigError
from falaj.components.crypto_shred import ShreddableKey

_GONE = "gone"


@dataclass(frozen=True)
class Done:
    """What was done to a key; no action where it was as wanted already."""

    said: str
    action: str | None = None
    when: datetime | None = None
    """When the key is deleted."""


class Holder(Protocol):
    """A place that keeps keys."""

    def state(self, key: ShreddableKey) -> str:
        """Return the state of the key in a few words."""
        ...

    def destroy(self, key: ShreddableKey, days: int) -> Done:
        """Make the key useless at once, and delete it."""
        ...

    def bring_back(self, key: ShreddableKey) -> Done:
        """Make the key usable again, if that is possible at all."""
        ...

    def actor(self) -> str:
        """Return as whom all this is done."""
        ...


class Kms:
    """AWS KMS in the region of the key."""

    def __init__(self, key: ShreddableKey) -> None:
        region = key.identifier.split(":")[3]
        self._kms = boto3.client("kms", region_name=region)
        self._sts: Any = boto3.client("sts", region_name=region)  # pyright: ignore[reportUnknownMemberType]

    def state(self, key: ShreddableKey) -> str:
        """Return the state as KMS names it, and the date of a deletion that is awaited."""
        held = self._kms.describe_key(KeyId=key.identifier)["KeyMetadata"]
        date = held.get("DeletionDate")
        return f"{held.get('KeyState')}, deleted on {date:%Y-%m-%d}" if date else str(held.get("KeyState"))

    def destroy(self, key: ShreddableKey, days: int) -> Done:
        """Schedule the deletion, from when on the key is of no use; a key that awaits it keeps its date."""
        held = self._kms.describe_key(KeyId=key.identifier)["KeyMetadata"]
        if date := held.get("DeletionDate"):
            return Done(f"unreadable already, deleted on {date:%Y-%m-%d}")
        answer = self._kms.schedule_key_deletion(KeyId=key.identifier, PendingWindowInDays=days)
        date = answer["DeletionDate"]
        return Done(f"unreadable now, deleted on {date:%Y-%m-%d}; --cancel brings it back until then", "destroy", date)

    def bring_back(self, key: ShreddableKey) -> Done:
        """Cancel the deletion and enable the key."""
        state = self._kms.describe_key(KeyId=key.identifier)["KeyMetadata"].get("KeyState")
        if state == "Enabled":
            return Done("readable already")
        if state == "PendingDeletion":
            self._kms.cancel_key_deletion(KeyId=key.identifier)
            state = self._kms.describe_key(KeyId=key.identifier)["KeyMetadata"].get("KeyState")
        if state == "PendingImport":
            return Done("not deleted any more; readable when its material is imported again", "bring back")
        self._kms.enable_key(KeyId=key.identifier)
        return Done("readable again", "bring back")

    def actor(self) -> str:
        """Return the ARN of the identity."""
        return self._sts.get_caller_identity()["Arn"]


class Transit:
    """The transit engine of the Vault that the environment names (``VAULT_ADDR``, ``VAULT_TOKEN``)."""

    def __init__(self, vault: hvac.Client | None = None) -> None:
        self._vault: Any = vault or hvac.Client()

    def state(self, key: ShreddableKey) -> str:
        """Return whether the key is there, and its latest version."""
        found = self._read(key)
        return f"version {found['latest_version']}" if found else _GONE

    def destroy(self, key: ShreddableKey, days: int) -> Done:
        """Allow the key's deletion and delete it; there is no waiting period."""
        del days
        if self._read(key) is None:
            return Done("unreadable already, deleted before")
        mount, name = _split(key)
        transit = self._vault.secrets.transit
        transit.update_key_configuration(name=name, mount_point=mount, deletion_allowed=True)
        transit.delete_key(name=name, mount_point=mount)
        return Done("unreadable now and for ever", "destroy")

    def bring_back(self, key: ShreddableKey) -> Done:
        """Refuse, where the key is deleted: Vault has no way back."""
        if self._read(key) is None:
            raise ConfigError("--cancel", key.identifier, "must name a key that is still there: Vault deletes at once")
        return Done("readable already")

    def actor(self) -> str:
        """Return the name that the token goes by."""
        return "vault:" + self._vault.auth.token.lookup_self()["data"]["display_name"]

    def _read(self, key: ShreddableKey) -> dict[str, Any] | None:
        mount, name = _split(key)
        try:
            return self._vault.secrets.transit.read_key(name=name, mount_point=mount)["data"]
        except InvalidPath:
            return None


def _split(key: ShreddableKey) -> tuple[str, str]:
    mount, _, name = key.identifier.rpartition("/")
    return mount, name
