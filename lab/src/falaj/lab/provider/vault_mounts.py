"""What a Vault consists of in the emulated `vault` provider: secret engines, policies, audit devices."""

import time

import hvac.exceptions

from falaj.lab.provider.kind import Change, Kind, ProviderError
from falaj.lab.provider.values import Props
from falaj.lab.provider.vault_api import OpenBao, in_order, seconds, seen, snake, taken

# Secret engines: vault:index/mount:Mount. The identifier is the path.

_TUNED = {"default_lease_ttl": "defaultLeaseTtlSeconds", "max_lease_ttl": "maxLeaseTtlSeconds"}
_MOUNT_LISTS = (
    "allowedManagedKeys",
    "allowedResponseHeaders",
    "auditNonHmacRequestKeys",
    "auditNonHmacResponseKeys",
    "delegatedAuthAccessors",
    "passthroughRequestHeaders",
)


def _create_mount(bao: OpenBao, inputs: Props) -> str:
    path = inputs["path"].strip("/")
    described = taken(inputs, ("type", "description", "local", "sealWrap", "externalEntropyAccess", "options"))
    config = {key: inputs.get(name) for key, name in _TUNED.items()}
    lists = taken(inputs, (*_MOUNT_LISTS, "listingVisibility", "forceNoCache"))
    config = {key: value for key, value in {**config, **lists}.items() if value not in (None, [])}
    bao.write(f"sys/mounts/{path}", {**described, "config": config})
    return path


def _read_mount(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    mounts = bao.read("sys/mounts") or {}
    found = mounts.get(f"{identifier}/")
    if found is None:
        return None
    config = found["config"]
    return {
        "path": identifier,
        **seen(found, ("accessor", "description", "externalEntropyAccess", "local", "options", "sealWrap", "type")),
        **{name: config[key] for key, name in _TUNED.items()},
        **seen(config, (*_MOUNT_LISTS, "listingVisibility", "forceNoCache")),
    }


def _update_mount(bao: OpenBao, identifier: str, change: Change) -> None:
    wanted = change.wanted
    tuned = {key: wanted.get(name) for key, name in _TUNED.items() if change.of(name)}
    others = [n for n in (*_MOUNT_LISTS, "description", "listingVisibility", "options") if change.of(n)]
    described = {snake(name): wanted.get(name, [] if name in _MOUNT_LISTS else "") for name in others}
    bao.write(f"sys/mounts/{identifier}/tune", {**tuned, **described})


MOUNT: Kind[OpenBao] = Kind(
    "vault:index/mount:Mount",
    create=_create_mount,
    read=_read_mount,
    update=_update_mount,
    delete=lambda bao, identifier, _: bao.delete(f"sys/mounts/{identifier}"),
    replace_on=frozenset({"path", "type", "local", "sealWrap", "externalEntropyAccess", "namespace"}),
    defaults={"local": False, "sealWrap": False, "externalEntropyAccess": False},
    computed=frozenset({"defaultLeaseTtlSeconds", "maxLeaseTtlSeconds", "options", "forceNoCache"}),
    normalise=dict.fromkeys(_MOUNT_LISTS, in_order),
    key=lambda inputs: inputs["path"].strip("/"),
)


# Settings of a key-value mount, version 2: vault:kv/secretBackendV2:SecretBackendV2. The identifier is MOUNT/config.

_KV = ("maxVersions", "casRequired")
_UPGRADE_DEADLINE = 30
"""Seconds that a new mount may take to become one that keeps versions."""


def _kv_id(inputs: Props) -> str:
    return f"{inputs['mount'].strip('/')}/config"


def _write_kv(bao: OpenBao, inputs: Props) -> str:
    after = f"{inputs.get('deleteVersionAfter') or 0}s"
    config = {"max_versions": 0, "cas_required": False, **taken(inputs, [n for n in _KV if n in inputs])}
    deadline = time.monotonic() + _UPGRADE_DEADLINE
    while True:
        try:
            bao.write(_kv_id(inputs), {**config, "delete_version_after": after})
        except hvac.exceptions.InvalidRequest as error:
            if "Upgrading from non-versioned" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return _kv_id(inputs)


def _update_kv(bao: OpenBao, _: str, change: Change) -> None:
    _write_kv(bao, change.wanted)


def _read_kv(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    mount = identifier.removesuffix("/config")
    if f"{mount}/" not in (bao.read("sys/mounts") or {}):
        return None
    found = bao.read(identifier)
    return found and {
        "mount": mount,
        "deleteVersionAfter": seconds(found["delete_version_after"]),
        **seen(found, _KV),
    }


KV_CONFIG: Kind[OpenBao] = Kind(
    "vault:kv/secretBackendV2:SecretBackendV2",
    create=_write_kv,
    read=_read_kv,
    update=_update_kv,
    # The API has no way to remove it; it goes with its mount.
    replace_on=frozenset({"mount", "namespace"}),
    key=_kv_id,
)


# Policies: vault:index/policy:Policy. The identifier is the name.


def _write_policy(bao: OpenBao, inputs: Props) -> str:
    bao.write(f"sys/policies/acl/{inputs['name']}", {"policy": inputs["policy"]})
    return inputs["name"]


def _update_policy(bao: OpenBao, _: str, change: Change) -> None:
    _write_policy(bao, change.wanted)


def _read_policy(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = bao.read(f"sys/policies/acl/{identifier}")
    return found and {"name": identifier, "policy": found["policy"]}


POLICY: Kind[OpenBao] = Kind(
    "vault:index/policy:Policy",
    create=_write_policy,
    read=_read_policy,
    update=_update_policy,
    delete=lambda bao, identifier, _: bao.delete(f"sys/policies/acl/{identifier}"),
    replace_on=frozenset({"name", "namespace"}),
    key=lambda inputs: inputs["name"],
)


# Audit devices: vault:index/audit:Audit. The identifier is the path.


def _find_audit(bao: OpenBao, inputs: Props) -> str:
    path = (inputs.get("path") or inputs["type"]).strip("/")
    found = (bao.read("sys/audit") or {}).get(f"{path}/")
    if found is None or found["type"] != inputs["type"]:
        raise ProviderError(
            f"OpenBao has no {inputs['type']} audit device at {path}, and takes new ones from its configuration file "
            f"only; the lab's own are at the paths `lab` and `lab-second`",
            certain=True,
        )
    return path


def _read_audit(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = (bao.read("sys/audit") or {}).get(f"{identifier}/")
    return found and {"path": identifier, **seen(found, ("description", "local", "options", "type"))}


AUDIT: Kind[OpenBao] = Kind(
    "vault:index/audit:Audit",
    create=_find_audit,
    read=_read_audit,
    replace_on=frozenset({"path", "type", "options", "local", "description", "namespace"}),
    computed=frozenset({"path", "description"}),
)
