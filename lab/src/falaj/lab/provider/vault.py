"""The emulated `vault` provider: what it makes is real and lives in the lab's OpenBao.

Run by the pulumi CLI as `python -m falaj.lab.provider.vault ENGINE_ADDRESS`. Two things differ from the official
provider: it uses the given token itself instead of a child token, and a changed path makes a new mount instead of
moving the old one. OpenBao takes audit devices from its configuration file only: an `Audit` is looked for, not made.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import hvac
import hvac.exceptions
import requests

from falaj.lab.provider.engine import EmulatedProvider
from falaj.lab.provider.journal import Journal
from falaj.lab.provider.kind import Change, GoneError, Kind, ProviderError
from falaj.lab.provider.server import serve
from falaj.lab.provider.values import Props


@dataclass(frozen=True)
class OpenBao:
    """A client of one namespace."""

    client: hvac.Client

    def read(self, path: str) -> dict[str, Any] | None:
        """Return the data at a path, None when there is nothing."""
        answer: Any = self.client.read(path)
        return answer["data"] if answer else None

    def write(self, path: str, data: Mapping[str, Any]) -> None:
        """Write data to a path; what is None is left out."""
        self.client.write_data(path, data={key: value for key, value in data.items() if value is not None})

    def delete(self, path: str) -> None:
        """Delete what is at a path."""
        self.client.delete(path)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _taken(inputs: Props, names: Iterable[str]) -> dict[str, Any]:
    """Return inputs under the names of the API."""
    return {_snake(name): inputs.get(name) for name in names}


def _seen(data: Mapping[str, Any], names: Iterable[str]) -> Props:
    """Return what the API told under Pulumi's names."""
    return {name: data[_snake(name)] for name in names if _snake(name) in data}


def _sorted(value: Any) -> Any:
    """Return a list in an order of its own: the API keeps sets."""
    return sorted(value) if isinstance(value, list) else value


def _last(identifier: str) -> str:
    return identifier.rpartition("/")[2]


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
    described = _taken(inputs, ("type", "description", "local", "sealWrap", "externalEntropyAccess", "options"))
    config = {key: inputs.get(name) for key, name in _TUNED.items()}
    lists = _taken(inputs, (*_MOUNT_LISTS, "listingVisibility", "forceNoCache"))
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
        **_seen(found, ("accessor", "description", "externalEntropyAccess", "local", "options", "sealWrap", "type")),
        **{name: config[key] for key, name in _TUNED.items()},
        **_seen(config, (*_MOUNT_LISTS, "listingVisibility", "forceNoCache")),
    }


def _update_mount(bao: OpenBao, identifier: str, change: Change) -> None:
    wanted = change.wanted
    tuned = {key: wanted.get(name) for key, name in _TUNED.items() if change.of(name)}
    others = [n for n in (*_MOUNT_LISTS, "description", "listingVisibility", "options") if change.of(n)]
    described = {_snake(name): wanted.get(name, [] if name in _MOUNT_LISTS else "") for name in others}
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
    normalise=dict.fromkeys(_MOUNT_LISTS, _sorted),
    key=lambda inputs: inputs["path"].strip("/"),
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
    bao.write(_key_id(inputs), _taken(inputs, (*_KEY_MADE, "autoRotatePeriod")))
    return _key_id(inputs)


def _read_key(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = bao.read(identifier)
    if found is None:
        return None
    told: list[Any] = list(found.get("keys", {}).values())
    # Asymmetric versions are told with their public halves, symmetric ones by the time of their making alone.
    versions = [{k: str(v) for k, v in one.items()} if isinstance(one, dict) else {"id": str(one)} for one in told]
    backend, name = identifier.rsplit("/keys/", 1)
    return {"backend": backend, "name": name, "keys": versions, **_seen(found, _KEY_SEEN)}


def _configure_key(bao: OpenBao, identifier: str, change: Change) -> None:
    bao.write(f"{identifier}/config", _taken(change.wanted, [n for n in _KEY_CONFIGURED if change.of(n)]))


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


# Auth methods: vault:index/authBackend:AuthBackend. The identifier is the path, which is the type when none is given.


def _auth_path(inputs: Props) -> str:
    return (inputs.get("path") or inputs["type"]).strip("/")


def _create_auth(bao: OpenBao, inputs: Props) -> str:
    path = _auth_path(inputs)
    bao.write(f"sys/auth/{path}", _taken(inputs, ("type", "description", "local")))
    return path


def _read_auth(bao: OpenBao, identifier: str, known: Props) -> Props | None:
    found = (bao.read("sys/auth") or {}).get(f"{identifier}/")
    if found is None:
        return None
    tuned: Props = known.get("tune") or {}
    config = {_camel(key): value for key, value in found["config"].items()}
    observed = {"tune": {name: _as_given(config.get(name), given) for name, given in tuned.items()}} if tuned else {}
    return {"path": identifier, **_seen(found, ("accessor", "description", "local", "type")), **observed}


def _as_given(value: Any, given: Any) -> Any:
    """Return seconds in the program's own spelling (``1h``) when they mean the same."""
    if isinstance(value, int) and isinstance(given, str):
        return given if _seconds(given) == value else f"{value}s"
    return value


def _seconds(duration: str) -> int:
    units = {"h": 3600, "m": 60, "s": 1, "": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms]?)", duration))


def _in_seconds(tune: Props) -> Props:
    """Return a tuning in which ``60m`` and ``1h`` are equal."""
    return {n: _seconds(v) if n.endswith("Ttl") and isinstance(v, str) else v for n, v in tune.items()}


def _tune_auth(bao: OpenBao, identifier: str, change: Change) -> None:
    tuned: Props = change.wanted.get("tune") or {}
    described = {"description": change.wanted.get("description") or ""}
    bao.write(f"sys/auth/{identifier}/tune", {**_taken(tuned, tuned), **described})


AUTH: Kind[OpenBao] = Kind(
    "vault:index/authBackend:AuthBackend",
    create=_create_auth,
    read=_read_auth,
    update=_tune_auth,
    delete=lambda bao, identifier, _: bao.delete(f"sys/auth/{identifier}"),
    replace_on=frozenset({"path", "type", "local", "namespace"}),
    defaults={"local": False},
    computed=frozenset({"path"}),
    normalise={"tune": _in_seconds},
    key=_auth_path,
)


# Kubernetes auth: its configuration and its roles. The identifiers are their paths.

_CONFIG = (
    "disableIssValidation",
    "disableLocalCaJwt",
    "issuer",
    "kubernetesCaCert",
    "kubernetesHost",
    "pemKeys",
    "useAnnotationsAsAliasMetadata",
)


def _write_config(bao: OpenBao, inputs: Props) -> str:
    identifier = f"auth/{inputs['backend'].strip('/')}/config"
    bao.write(identifier, _taken(inputs, (*_CONFIG, "tokenReviewerJwt")))
    return identifier


def _update_config(bao: OpenBao, _: str, change: Change) -> None:
    _write_config(bao, change.wanted)


def _read_config(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = bao.read(identifier)
    return found and {"backend": identifier.split("/", 1)[1].rpartition("/")[0], **_seen(found, _CONFIG)}


CONFIG: Kind[OpenBao] = Kind(
    "vault:kubernetes/authBackendConfig:AuthBackendConfig",
    create=_write_config,
    read=_read_config,
    update=_update_config,
    # The API has no way to remove it; it goes with its auth method.
    replace_on=frozenset({"backend", "namespace"}),
    defaults={"backend": "kubernetes"},
    computed=frozenset({"disableIssValidation", "disableLocalCaJwt", "issuer", "kubernetesCaCert"}),
    secret_outputs=frozenset({"tokenReviewerJwt", "tokenReviewerJwtWo"}),
    key=lambda inputs: f"auth/{inputs['backend'].strip('/')}/config",
)

_ROLE_LISTS = ("boundServiceAccountNames", "boundServiceAccountNamespaces", "tokenBoundCidrs", "tokenPolicies")
_ROLE = (
    *_ROLE_LISTS,
    "aliasNameSource",
    "audience",
    "tokenExplicitMaxTtl",
    "tokenMaxTtl",
    "tokenNoDefaultPolicy",
    "tokenNumUses",
    "tokenPeriod",
    "tokenTtl",
    "tokenType",
)


def _role_id(inputs: Props) -> str:
    return f"auth/{inputs['backend'].strip('/')}/role/{inputs['roleName']}"


def _write_role(bao: OpenBao, inputs: Props) -> str:
    bao.write(_role_id(inputs), _taken(inputs, _ROLE))
    return _role_id(inputs)


def _update_role(bao: OpenBao, identifier: str, change: Change) -> None:
    # An input that was left out is reset: the API would keep what it is not told.
    empty: Props = {name: [] if name in _ROLE_LISTS else 0 for name in _ROLE if "Ttl" in name or name in _ROLE_LISTS}
    bao.write(identifier, _taken({**empty, "audience": "", **change.wanted}, _ROLE))


def _read_role(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = bao.read(identifier)
    backend = identifier.removeprefix("auth/").rpartition("/role/")[0]
    return found and {"backend": backend, "roleName": _last(identifier), **_seen(found, _ROLE)}


ROLE: Kind[OpenBao] = Kind(
    "vault:kubernetes/authBackendRole:AuthBackendRole",
    create=_write_role,
    read=_read_role,
    update=_update_role,
    delete=lambda bao, identifier, _: bao.delete(identifier),
    replace_on=frozenset({"backend", "roleName", "namespace"}),
    defaults={"backend": "kubernetes"},
    computed=frozenset({"aliasNameSource", "tokenType"}),
    normalise=dict.fromkeys(_ROLE_LISTS, _sorted),
    key=_role_id,
)


# Audit devices: vault:index/audit:Audit. The identifier is the path.


def _find_audit(bao: OpenBao, inputs: Props) -> str:
    path = (inputs.get("path") or inputs["type"]).strip("/")
    found = (bao.read("sys/audit") or {}).get(f"{path}/")
    if found is None or found["type"] != inputs["type"]:
        raise ProviderError(
            f"OpenBao has no {inputs['type']} audit device at {path}, and takes new ones from its configuration file "
            f"only; the lab's own is at path `lab`",
            certain=True,
        )
    return path


def _read_audit(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = (bao.read("sys/audit") or {}).get(f"{identifier}/")
    return found and {"path": identifier, **_seen(found, ("description", "local", "options", "type"))}


AUDIT: Kind[OpenBao] = Kind(
    "vault:index/audit:Audit",
    create=_find_audit,
    read=_read_audit,
    replace_on=frozenset({"path", "type", "options", "local", "description", "namespace"}),
    computed=frozenset({"path", "description"}),
)

KINDS: Mapping[str, Kind[OpenBao]] = {kind.token: kind for kind in (MOUNT, POLICY, KEY, AUTH, CONFIG, ROLE, AUDIT)}
"""The types that are enacted in OpenBao; the provider knows no others."""


class VaultProvider(EmulatedProvider[OpenBao]):
    """Reads the official provider's configuration, else the environment as the official one does."""

    name = "vault"
    sdk = "pulumi_vault"
    functions: Mapping[str, Any] = {}

    def __init__(self, journal: Journal | None = None) -> None:
        super().__init__(journal)
        self.config: Props = {}

    def kind(self, token: str) -> Kind[OpenBao]:
        """Return the kind of an enacted type; unlike AWS types, others are refused: OpenBao is real."""
        if token not in KINDS:
            known = ", ".join(sorted(token.rpartition(":")[2] for token in KINDS))
            raise ProviderError(f"the lab's vault provider has no type {token}; it has {known}")
        return KINDS[token]

    def configure(self, config: Props) -> None:
        """Take address, token and certificate authority."""
        given = {
            "address": config.get("address") or os.environ.get("VAULT_ADDR"),
            "token": config.get("token") or os.environ.get("VAULT_TOKEN"),
        }
        for name, value in given.items():
            if not value:
                raise ProviderError(f"the vault provider has no {name}: give it, or run inside `falaj-lab exec`")
        self.config = {**config, **given}

    def session(self, inputs: Props, timeout: float = 0, token: str = "") -> OpenBao:
        """Return a client of the resource's namespace, over TLS that the given authority vouches for."""
        del token  # what OpenBao holds is found by its path
        http = requests.Session()
        http.verify = self.config.get("caCertFile") or os.environ.get("VAULT_CACERT") or True
        # As the official provider: what is on this machine is never asked through a proxy.
        http.trust_env = urlsplit(self.config["address"]).hostname not in {"127.0.0.1", "::1", "localhost"}
        return OpenBao(
            hvac.Client(
                url=self.config["address"],
                token=self.config["token"],
                namespace=inputs.get("namespace") or self.config.get("namespace"),
                timeout=int(timeout) or 30,
                session=http,
            )
        )

    def explain(self, error: Exception) -> ProviderError | None:
        """Return OpenBao's refusals and failures to reach it as one line."""
        if isinstance(error, hvac.exceptions.InvalidPath):
            return GoneError(str(error))
        if isinstance(error, hvac.exceptions.VaultError):
            refused = (hvac.exceptions.InvalidRequest, hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized)
            return ProviderError(f"OpenBao refused: {error}", certain=isinstance(error, refused))
        if isinstance(error, requests.RequestException):
            return ProviderError(f"OpenBao does not answer at {self.config.get('address')}: {error}")
        return None


if __name__ == "__main__":
    serve(VaultProvider())
