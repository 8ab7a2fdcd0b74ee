"""Database credentials: for whom, for how long, and never by a password that somebody could read."""

import pytest
from component_samples import CLUSTER, OWNERSHIP
from pulumi.runtime import rpc

from falaj.components import ConfigError, SecretsVault

ROLE = {"tenant": "vision", "stage": "train", "member_of": ["feature_readers"]}
DATABASE = {
    "name": "features",
    "host": "features.internal",
    "database": "features",
    "username": "vault",
    "password": "a-password",
    "roles": [ROLE],
}


def args(**change):
    return {"cluster": CLUSTER, "ownership": OWNERSHIP, "databases": [{**DATABASE, **change}]}


def test_a_credential_is_a_member_of_what_holds_the_grants_for_an_hour(run, engine, providers):
    run(lambda: SecretsVault("vault", args(), providers()).ref)
    (role,) = [each for each in engine.all("SecretBackendRole") if each["backend"] == "test-database"]
    assert (role["name"], role["dbName"]) == ("vision.train.features", "features")
    assert role["creationStatements"] == [
        "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' "
        'CONNECTION LIMIT 20 IN ROLE "feature_readers";'
    ]
    assert (role["defaultTtl"], role["maxTtl"]) == (3600, 8 * 3600)


def test_the_connection_is_by_tls_and_tried_at_once(run, engine, providers):
    run(lambda: SecretsVault("vault", args(), providers()).ref)
    connection = engine.one("SecretBackendConnection")
    assert connection["allowedRoles"] == ["vision.train.features"]
    assert connection["verifyConnection"] is True
    postgresql = rpc.unwrap_rpc_secret(connection["postgresql"])
    assert postgresql["connectionUrl"] == (
        "postgresql://{{username}}:{{password}}@features.internal:5432/features?sslmode=verify-full"
    )
    assert postgresql["passwordAuthentication"] == "scram-sha-256"


def test_the_password_is_a_secret_in_the_state(run, engine, providers):
    run(lambda: SecretsVault("vault", args(), providers()).ref)
    (connection,) = [made for made in engine.made if made.typ.endswith(":SecretBackendConnection")]
    assert rpc.is_rpc_secret(connection.inputs["postgresql"])
    assert rpc.unwrap_rpc_secret(connection.inputs["postgresql"])["password"] == "a-password"


def test_plain_text_has_to_be_asked_for(run, engine, providers):
    run(lambda: SecretsVault("vault", args(allow_plain_text=True, verify=False, port=6432), providers()).ref)
    connection = engine.one("SecretBackendConnection")
    postgresql = rpc.unwrap_rpc_secret(connection["postgresql"])
    assert postgresql["connectionUrl"].endswith("@features.internal:6432/features?sslmode=disable")
    assert connection["verifyConnection"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": 0}, "vault.databases.features.port must be a whole number from 1 to 65535 (got 0)"),
        (
            {"host": "a/b?sslmode=disable"},
            "vault.databases.features.host must be letters, digits, dots, hyphens or underscores"
            " (got 'a/b?sslmode=disable')",
        ),
        (
            {"roles": [{**ROLE, "stage": "deploy"}]},
            "vault.databases.features.roles.stage must be among prepare, train, evaluate, serve, workload"
            " (got 'deploy')",
        ),
        (
            {"roles": [{**ROLE, "member_of": []}]},
            "vault.databases.features.roles.member_of must name the database's roles that hold the grants (got [])",
        ),
        (
            {"roles": [{**ROLE, "member_of": ["pg_write_all_data"]}]},
            "vault.databases.features.roles.member_of must be lower-case names of roles, none beginning with pg_"
            " (got 'pg_write_all_data')",
        ),
        (
            {"roles": [{**ROLE, "minutes": 600}]},
            "vault.databases.features.roles.minutes must not be above longest_minutes, 480 (got 600)",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: SecretsVault("vault", args(**change), providers()))
    assert str(refused.value) == message


def test_two_databases_of_one_name_are_refused(run, providers):
    twice = {"cluster": CLUSTER, "ownership": OWNERSHIP, "databases": [DATABASE, DATABASE]}
    with pytest.raises(ConfigError, match=r"vault\.databases\.name must be different names"):
        run(lambda: SecretsVault("vault", twice, providers()))
