"""Transit keys in the emulated `vault` provider."""

from typing import Any

from falaj.lab.provider.kind import Change, GoneError, Kind, ProviderError
from falaj.lab.provider.values import Props
from falaj.lab.provider.vault_api import OpenBao, seen, taken

# Transit keys: vault:transit/secretBackendKey:SecretBackendKey. The identifier is BACKEND/keys/NAME.

_KEY_MADE = ("type", "derived", "convergentEncryption", "keySize", "exportable", "allowPlaintextBackup")
_KEY_CONFIGURED = (
    "minDecryptionVersion",
    "minEncryptionVersion",
    "deletionAllowed",
    "exportable",
    "allowPlaintextBackup",
    "autoRotatePeriod",
)
_KEY_SEEN = (
    *_KEY_MADE,
    *_KEY_CONFIGURED,
    "latestVersion",
    "minAvailableVersion",
    "supportsDecryption",
    "supportsDerivation",
    "supportsEncryption",
    "supportsSigning",
)


def _key_id(inputs: Props) -> str:
    return f"{inputs['backend'].strip('/')}/keys/{inputs['name']}"


def _create_key(bao: OpenBao, inputs: Props) -> str:
    bao.write(_key_id(inputs), taken(inputs, (*_KEY_MADE, "autoRotatePeriod")))
    return _key_id(inputs)


def _read_key(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = bao.read(identifier)
    if found is None:
        return None
    told: list[Any] = list(found.get("keys", {}).values())
    # Asymmetric versions are told with their public halves, symmetric ones by the time of their making alone.
    versions = [{k: str(v) for k, v in one.items()} if isinstance(one, dict) else {"id": str(one)} for one in told]
    backend, name = identifier.rsplit("/keys/", 1)
    return {"backend": backend, "name": name, "keys": versions, **seen(found, _KEY_SEEN)}


def _configure_key(bao: OpenBao, identifier: str, change: Change) -> None:
    bao.write(f"{identifier}/config", taken(change.wanted, [n for n in _KEY_CONFIGURED if change.of(n)]))


def _delete_key(bao: OpenBao, identifier: str, state: Props) -> None:
    found = bao.read(identifier)
    if found is None:
        raise GoneError
    if not found["deletion_allowed"]:
        raise ProviderError(
            f"the key {identifier} may not be deleted: set deletionAllowed and apply that first, or keep the key with "
            f"retainOnDelete",
            certain=True,
        )
    bao.delete(identifier)


KEY: Kind[OpenBao] = Kind(
    "vault:transit/secretBackendKey:SecretBackendKey",
    create=_create_key,
    read=_read_key,
    update=_configure_key,
    delete=_delete_key,
    replace_on=frozenset({"backend", "name", "type", "derived", "convergentEncryption", "keySize", "namespace"}),
    defaults={
        "type": "aes256-gcm96",
        "allowPlaintextBackup": False,
        "deletionAllowed": False,
        "derived": False,
        "exportable": False,
    },
    computed=frozenset({"autoRotatePeriod", "minDecryptionVersion", "minEncryptionVersion"}),
    volatile=frozenset({"keys", "latestVersion", "minAvailableVersion"}),
    key=_key_id,
)
