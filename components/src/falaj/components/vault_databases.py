"""Database credentials that live for an hour: Vault makes a PostgreSQL role for whoever asks, and drops it again."""

import re
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_vault as vault

from falaj.components.checks import bounded, dns_label
from falaj.components.errors import ConfigError
from falaj.components.vault_policies import PipelineStage

_MINUTE = 60
_HASHED = "scram-sha-256"
_GROUP = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_HOST = re.compile(r"[A-Za-z0-9.-]+")


class DatabaseRole(TypedDict):
    """Credentials that one stage of one tenant may take."""

    tenant: str
    """Namespace of the tenant."""
    stage: str
    """Stage whose service accounts take them: a member of ``PipelineStage``."""
    member_of: list[str]
    """Roles of the database that hold the grants; each credential is a member of them and owns nothing."""
    minutes: NotRequired[int]
    """Minutes that a credential lives unless it is renewed, 5 to 1440. Default: 60."""
    longest_minutes: NotRequired[int]
    """Minutes after which it ends whatever is renewed, 5 to 1440. Default: 480."""


class Database(TypedDict):
    """A PostgreSQL database in which Vault makes credentials."""

    name: str
    """What it is called in Vault; part of the roles' names."""
    host: str
    """Host by which Vault reaches it."""
    database: str
    """Name of the database."""
    username: str
    """Role by which Vault logs in; it may create roles and has the roles in ``member_of`` with admin option."""
    password: pulumi.Input[str]
    """Its password; kept as a secret in the state and never told by Vault again."""
    roles: list[DatabaseRole]
    """Who may take which credentials."""
    port: NotRequired[int]
    """Port. Default: 5432."""
    tls_ca: NotRequired[pulumi.Input[str]]
    """Authority that the database's certificate chains to, PEM. Default: the authorities that Vault's host trusts."""
    allow_plain_text: NotRequired[bool]
    """Whether to talk to it without TLS. Default: false."""
    verify: NotRequired[bool]
    """Whether Vault logs in once when the connection is made or changed. Default: true."""


def check_databases(field: str, databases: Sequence[Database]) -> list[Database]:
    """Return the databases, refusing what no database would take or Vault would give too freely."""
    names = [dns_label(f"{field}.name", each["name"]) for each in databases]
    if len(set(names)) != len(names):
        raise ConfigError(f"{field}.name", names, "must be different names")
    for each in databases:
        at = f"{field}.{each['name']}"
        for part in ("host", "database"):
            if not _HOST.fullmatch(each[part].replace("_", "")):
                raise ConfigError(f"{at}.{part}", each[part], "must be letters, digits, dots, hyphens or underscores")
        bounded(f"{at}.port", each.get("port", 5432), 1, 65535)
        for role in each["roles"]:
            _check_role(f"{at}.roles", role)
    return list(databases)


def _check_role(field: str, role: DatabaseRole) -> None:
    dns_label(f"{field}.tenant", role["tenant"])
    if role["stage"] not in set(PipelineStage):
        raise ConfigError(f"{field}.stage", role["stage"], f"must be among {', '.join(PipelineStage)}")
    if not role["member_of"]:
        raise ConfigError(f"{field}.member_of", [], "must name the database's roles that hold the grants")
    for group in role["member_of"]:
        # PostgreSQL's own roles reach every table, the server's files and its programs.
        if not _GROUP.fullmatch(group) or group.startswith("pg_"):
            raise ConfigError(f"{field}.member_of", group, "must be lower-case names of roles, none beginning with pg_")
    lives, longest = role_minutes(field, role)
    if lives > longest:
        raise ConfigError(f"{field}.minutes", lives, f"must not be above longest_minutes, {longest}")


def role_minutes(field: str, role: DatabaseRole) -> tuple[int, int]:
    """Return for how many minutes a credential lives, and at most."""
    return (
        bounded(f"{field}.minutes", role.get("minutes", 60), 5, 1440, "minutes"),
        bounded(f"{field}.longest_minutes", role.get("longest_minutes", 480), 5, 1440, "minutes"),
    )


def role_name(database: str, role: DatabaseRole) -> str:
    """Return the role's name in Vault, by which the policies of its tenant and stage reach it."""
    return f"{role['tenant']}.{role['stage']}.{database}"


def creation_statements(member_of: Sequence[str]) -> list[str]:
    """Return the SQL that makes a credential: it may log in until it ends, and has the groups' grants."""
    groups = ", ".join(f'"{group}"' for group in member_of)
    return [
        "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' "
        f"CONNECTION LIMIT 20 IN ROLE {groups};"
    ]


def make_databases(
    name: str, databases: Sequence[Database], mount: vault.Mount, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Make the connections and their roles."""
    within = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(deleted_with=mount))
    made: list[pulumi.Resource] = []
    for database in databases:
        connection = _connection(name, database, mount, within)
        made += [_role(name, database["name"], role, connection, within) for role in database["roles"]]
    return made


def _connection(
    name: str, database: Database, mount: vault.Mount, opts: pulumi.ResourceOptions
) -> vault.database.SecretBackendConnection:
    mode = "disable" if database.get("allow_plain_text") else "verify-full"
    place = f"{database['host']}:{int(database.get('port', 5432))}/{database['database']}"
    postgresql = vault.database.SecretBackendConnectionPostgresqlArgs(
        connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@{place}?sslmode={mode}",
        username=database["username"],
        password=pulumi.Output.secret(database["password"]),
        # The database is given a hash that Vault makes, and never sees a credential's password.
        password_authentication=_HASHED,
        max_open_connections=4,
        tls_ca=database.get("tls_ca"),
    )
    return vault.database.SecretBackendConnection(
        f"{name}-database-{database['name']}",
        backend=mount.path,
        name=database["name"],
        allowed_roles=[role_name(database["name"], role) for role in database["roles"]],
        postgresql=postgresql,
        verify_connection=database.get("verify", True),
        opts=opts,
    )


def _role(
    name: str,
    database: str,
    role: DatabaseRole,
    connection: vault.database.SecretBackendConnection,
    opts: pulumi.ResourceOptions,
) -> vault.database.SecretBackendRole:
    minutes, longest = role_minutes(f"{name}.databases.{database}.roles", role)
    return vault.database.SecretBackendRole(
        f"{name}-database-{role_name(database, role)}",
        backend=connection.backend,
        name=role_name(database, role),
        db_name=connection.name,
        creation_statements=creation_statements(role["member_of"]),
        revocation_statements=['DROP ROLE IF EXISTS "{{name}}";'],
        default_ttl=minutes * _MINUTE,
        max_ttl=longest * _MINUTE,
        opts=opts,
    )
