"""Database credentials in the emulated `vault` provider: connections to PostgreSQL, and roles."""

from collections.abc import Iterable, Mapping
from typing import Any

from falaj.lab.provider.kind import Change, Kind
from falaj.lab.provider.values import Props
from falaj.lab.provider.vault_api import OpenBao, in_order, last, seconds, seen, taken

# Connections: vault:database/secretBackendConnection:SecretBackendConnection. The identifier is BACKEND/config/NAME.

_PLUGIN = "postgresql-database-plugin"
_COMMON = ("allowedRoles", "passwordPolicy", "verifyConnection")
_POSTGRESQL = (
    "connectionUrl",
    "disableEscaping",
    "maxConnectionLifetime",
    "maxIdleConnections",
    "maxOpenConnections",
    "password",
    "passwordAuthentication",
    "privateKey",
    "tlsCa",
    "tlsCertificate",
    "username",
    "usernameTemplate",
)


def _only_postgresql(inputs: Props) -> Iterable[tuple[str, str]]:
    """Refuse what is not enacted: a connection that exists in the state only would give no credentials."""
    served = {"backend", "name", "namespace", "pluginName", "postgresql", "rootRotationStatements", *_COMMON}
    for name in sorted(inputs.keys() - served):
        if not name.startswith("__"):
            yield name, "the lab's vault provider connects to PostgreSQL only, and does not know this"
    if "postgresql" not in inputs:
        yield "postgresql", "the lab's vault provider connects to PostgreSQL only: this is needed"


def _connection_id(inputs: Props) -> str:
    return f"{inputs['backend'].strip('/')}/config/{inputs['name']}"


def _write_connection(bao: OpenBao, inputs: Props) -> str:
    rotation = {"root_rotation_statements": inputs.get("rootRotationStatements")}
    common = {"plugin_name": inputs.get("pluginName") or _PLUGIN, **taken(inputs, _COMMON), **rotation}
    bao.write(_connection_id(inputs), {**common, **taken(inputs["postgresql"], _POSTGRESQL)})
    return _connection_id(inputs)


def _update_connection(bao: OpenBao, _: str, change: Change) -> None:
    # The API keeps what it is not told.
    _write_connection(bao, {"allowedRoles": [], "passwordPolicy": "", "rootRotationStatements": [], **change.wanted})


def _read_connection(bao: OpenBao, identifier: str, known: Props) -> Props | None:
    found = bao.read(identifier)
    if found is None:
        return None
    backend, name = identifier.rsplit("/config/", 1)
    given: Mapping[str, Any] = known.get("postgresql") or {}
    # Numbers are kept as text.
    details = {
        n: seconds(v) if n.startswith("max") else v for n, v in seen(found["connection_details"], _POSTGRESQL).items()
    }
    return {
        "backend": backend,
        "name": name,
        "pluginName": found["plugin_name"],
        "rootRotationStatements": found.get("root_credentials_rotate_statements") or [],
        # The password is never told: it counts as it was given.
        "postgresql": {**given, **details},
        **seen(found, ("allowedRoles", "passwordPolicy")),
    }


CONNECTION: Kind[OpenBao] = Kind(
    "vault:database/secretBackendConnection:SecretBackendConnection",
    create=_write_connection,
    read=_read_connection,
    update=_update_connection,
    delete=lambda bao, identifier, _: bao.delete(identifier),
    replace_on=frozenset({"backend", "name", "namespace"}),
    defaults={"verifyConnection": True},
    computed=frozenset({"pluginName"}),
    normalise={"allowedRoles": in_order},
    check=_only_postgresql,
    write_only=frozenset({"postgresql"}),
    key=_connection_id,
)


# Roles: vault:database/secretBackendRole:SecretBackendRole. The identifier is BACKEND/roles/NAME.

_STATEMENTS = ("creationStatements", "renewStatements", "revocationStatements", "rollbackStatements")
_ROLE = (*_STATEMENTS, "credentialType", "dbName", "defaultTtl", "maxTtl")


def _role_id(inputs: Props) -> str:
    return f"{inputs['backend'].strip('/')}/roles/{inputs['name']}"


def _write_role(bao: OpenBao, inputs: Props) -> str:
    bao.write(_role_id(inputs), taken(inputs, _ROLE))
    return _role_id(inputs)


def _update_role(bao: OpenBao, _: str, change: Change) -> None:
    empty: Props = {**{name: [] for name in _STATEMENTS}, "defaultTtl": 0, "maxTtl": 0}
    _write_role(bao, {**empty, **change.wanted})


def _read_role(bao: OpenBao, identifier: str, _: Props) -> Props | None:
    found = bao.read(identifier)
    backend = identifier.rsplit("/roles/", 1)[0]
    return found and {"backend": backend, "name": last(identifier), **seen(found, _ROLE)}


DATABASE_ROLE: Kind[OpenBao] = Kind(
    "vault:database/secretBackendRole:SecretBackendRole",
    create=_write_role,
    read=_read_role,
    update=_update_role,
    delete=lambda bao, identifier, _: bao.delete(identifier),
    replace_on=frozenset({"backend", "name", "namespace"}),
    computed=frozenset({"credentialType"}),
    key=_role_id,
)
