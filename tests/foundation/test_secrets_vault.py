"""SecretsVault on a real OpenBao, with real tokens of service accounts: who reaches what, and who does not."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import hvac
import hvac.exceptions
import postgres as postgres_server
import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from examples import Example
from pods import Pod

from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab

TEAMS = ("vision", "vision-two")
"""The second team's name begins with the first one's."""
REFUSED = hvac.exceptions.Forbidden


class Pods:
    """The pods of both teams."""

    def __init__(self, example: Example) -> None:
        self.example = example

    def of(self, team: str, account: str, stage: str) -> Pod:
        return Pod(self.example, team, account, f"{team}.{stage}")

    @cached_property
    def trainer(self) -> Pod:
        return self.of("vision", "trainer", "train")

    @cached_property
    def evaluator(self) -> Pod:
        return self.of("vision", "evaluator", "evaluate")

    @cached_property
    def server(self) -> Pod:
        return self.of("vision", "server", "serve")

    @cached_property
    def other_server(self) -> Pod:
        return self.of("vision-two", "server", "serve")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab that is an OpenBao and a cluster without nodes; the controller manager makes tokens and removes things."""
    only = ["openbao", "kube-apiserver", "kube-controller-manager"]
    with temporary_lab(tmp_path_factory.mktemp("vault") / "state", only=only) as running:
        yield running


@pytest.fixture(scope="module")
def example(lab: RunningLab) -> Example:
    """The example, up, with a secret of each team."""
    example = Example(lab, "secrets-vault")
    example.up()
    for team in TEAMS:
        for stage in ("train", "serve", "shared"):
            example.vault.write_data(f"dev-kv/data/{team}/{stage}/token", data={"data": {"value": f"{team} {stage}"}})
    return example


@pytest.fixture(scope="module")
def pods(example: Example) -> Pods:
    return Pods(example)


def test_what_openbao_holds_is_what_was_asked_for(example):
    assert example.changes() == {}
    held = example.vault
    for team in TEAMS:
        for classification in ("internal", "restricted"):
            key = held.read(f"dev-transit/keys/{team}.{classification}")["data"]
            assert (key["exportable"], key["allow_plaintext_backup"], key["deletion_allowed"]) == (False, False, False)
            assert key["auto_rotate_period"] == 30 * 24 * 3600
            assert key["min_decryption_version"] == 1
        role = held.read(f"auth/dev-kubernetes/role/{team}.train")["data"]
        assert role["bound_service_account_names"] == ["trainer"]
        assert role["bound_service_account_namespaces"] == [team]
        assert (role["audience"], role["token_policies"]) == ("vault", ["dev-train"])
        assert (role["token_ttl"], role["token_max_ttl"], role["token_no_default_policy"]) == (900, 3600, True)
    tuned = held.read("sys/auth/dev-kubernetes/tune")["data"]
    assert (tuned["default_lease_ttl"], tuned["max_lease_ttl"]) == (900, 3600)
    assert held.read("dev-kv/config")["data"]["max_versions"] == 10
    policies = [name for name in held.sys.list_acl_policies()["data"]["keys"] if name.startswith("dev-")]
    assert sorted(policies) == ["dev-evaluate", "dev-prepare", "dev-serve", "dev-train", "dev-workload"]


def test_a_token_has_its_stages_policy_alone_and_ends_in_a_quarter_of_an_hour(pods):
    assert pods.trainer.login["policies"] == ["dev-train"]
    assert pods.trainer.login["lease_duration"] == 900
    assert pods.trainer.login["metadata"]["service_account_namespace"] == "vision"


def test_secrets_are_read_by_their_own_team(pods):
    assert pods.trainer.read("dev-kv/data/vision/train/token")["data"] == {"value": "vision train"}
    assert pods.trainer.read("dev-kv/data/vision/shared/token")["data"] == {"value": "vision shared"}
    assert pods.other_server.read("dev-kv/data/vision-two/serve/token")["data"] == {"value": "vision-two serve"}


@pytest.mark.parametrize("path", ["vision-two/train/token", "vision-two/shared/token"])
def test_secrets_of_another_team_are_refused(pods, path):
    with pytest.raises(REFUSED):
        pods.trainer.read(f"dev-kv/data/{path}")


@pytest.mark.parametrize("classification", ["internal", "restricted"])
def test_a_teams_keys_are_its_own(pods, classification):
    ciphertext = pods.trainer.encrypt(f"vision.{classification}")
    assert pods.trainer.decrypt(f"vision.{classification}", ciphertext) == "weights"
    for refused in (pods.trainer, pods.server):
        with pytest.raises(REFUSED):
            refused.encrypt(f"vision-two.{classification}")
        with pytest.raises(REFUSED):
            refused.decrypt(f"vision-two.{classification}", ciphertext)
    with pytest.raises(REFUSED):
        pods.other_server.decrypt(f"vision.{classification}", ciphertext)


def test_what_one_classifications_key_encrypts_another_ones_does_not_decrypt(pods):
    ciphertext = pods.trainer.encrypt("vision.internal")
    with pytest.raises(hvac.exceptions.InvalidRequest):
        pods.trainer.decrypt("vision.restricted", ciphertext)


def test_a_key_that_nobody_made_is_not_made_by_using_it(pods):
    with pytest.raises(REFUSED):
        pods.trainer.encrypt("vision.public")


def test_a_stage_cannot_do_what_another_may(pods):
    assert pods.evaluator.decrypt("vision.internal", pods.trainer.encrypt("vision.internal")) == "weights"
    with pytest.raises(REFUSED):
        pods.evaluator.encrypt("vision.internal")
    with pytest.raises(REFUSED):
        pods.trainer.certificate("vision", "detector.vision.svc")
    with pytest.raises(REFUSED):
        pods.trainer.read("dev-kv/data/vision/serve/token")
    with pytest.raises(REFUSED):
        pods.server.write("dev-kv/data/vision/serve/token", data={"value": "changed"})


@pytest.mark.parametrize(
    "path", ["dev-transit/keys/vision.internal", "dev-transit/export/encryption-key/vision.internal"]
)
def test_nobody_looks_at_a_key_or_takes_it_out(pods, example, path):
    with pytest.raises(REFUSED):
        pods.trainer.read(path)
    if "export" in path:
        with pytest.raises(hvac.exceptions.VaultError, match="not exportable"):
            example.vault.read(path)


@pytest.mark.parametrize(
    ("who", "role", "audience", "why"),
    [
        (("vision", "server"), "vision.train", "vault", "service account name not authorized"),
        (("vision-two", "trainer"), "vision.train", "vault", "namespace not authorized"),
        (("vision", "default"), "vision.train", "vault", "service account name not authorized"),
        (("vision", "trainer"), "vision.train", "somebody-else", "invalid audience"),
        (("vision", "trainer"), "vision.prepare", "vault", "invalid role name"),
    ],
)
def test_a_wrong_service_account_does_not_log_in(example, who, role, audience, why):
    with pytest.raises(hvac.exceptions.VaultError, match=why):
        Pod(example, *who, role, audience)


def test_a_deleted_service_accounts_token_is_worth_nothing(example):
    example.run("kubectl", "create", "serviceaccount", "evaluator-2", "--namespace", "vision")
    asked = ("kubectl", "create", "token", "evaluator-2", "--namespace", "vision", "--audience=vault")
    token = example.run(*asked).stdout.strip()
    example.vault.write_data(
        "auth/dev-kubernetes/role/short-lived",
        data={
            "bound_service_account_names": ["evaluator-2"],
            "bound_service_account_namespaces": ["vision"],
            "audience": "vault",
            "token_policies": ["dev-evaluate"],
        },
    )
    client = hvac.Client(url=example.lab.env["VAULT_ADDR"], verify=example.lab.env["VAULT_CACERT"])
    assert client.auth.kubernetes.login("short-lived", token, mount_point="dev-kubernetes")["auth"]
    example.run("kubectl", "delete", "serviceaccount", "evaluator-2", "--namespace", "vision")
    deadline = time.monotonic() + 60  # the API server remembers for seconds whom it has vouched for
    with pytest.raises(REFUSED):
        while time.monotonic() < deadline:
            client.auth.kubernetes.login("short-lived", token, mount_point="dev-kubernetes")
            time.sleep(1)
    example.vault.delete("auth/dev-kubernetes/role/short-lived")


def test_a_certificate_chains_to_the_root_and_lives_for_a_day(pods, example):
    made = pods.server.certificate("vision", "detector.vision.svc")
    leaf = x509.load_pem_x509_certificate(made["certificate"].encode())
    anchor = x509.load_pem_x509_certificate(example.outputs()["trustAnchor"].encode())
    middle = [x509.load_pem_x509_certificate(pem.encode()) for pem in made["ca_chain"]]
    verify = PolicyBuilder().store(Store([anchor]))
    verify.build_server_verifier(x509.DNSName("detector.vision.svc")).verify(leaf, middle)
    assert verify.build_client_verifier().verify(leaf, middle)
    with pytest.raises(VerificationError):
        verify.build_server_verifier(x509.DNSName("detector.vision-two.svc")).verify(leaf, middle)
    assert leaf.not_valid_after_utc - datetime.now(UTC) <= timedelta(hours=24)
    points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert points[0].full_name[0].value == "https://openbao.openbao.svc:8200/v1/dev-pki/crl"


def test_a_team_is_certified_for_its_own_services_only(pods):
    assert pods.server.certificate("vision", "canary.vision.svc.cluster.local")
    with pytest.raises(REFUSED):
        pods.server.certificate("vision-two", "detector.vision-two.svc")
    for name in ("detector.vision-two.svc", "*.vision.svc", "vision.svc", "example.com", "localhost"):
        with pytest.raises(hvac.exceptions.InvalidRequest):
            pods.server.certificate("vision", name)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="IP Subject Alternative Names are not allowed"):
        pods.server.certificate("vision", "detector.vision.svc", ip_sans="10.0.0.1")


def test_a_certificate_lives_no_longer_whatever_is_asked_for(pods):
    made = pods.server.certificate("vision", "detector.vision.svc", ttl="720h")
    leaf = x509.load_pem_x509_certificate(made["certificate"].encode())
    assert leaf.not_valid_after_utc - datetime.now(UTC) <= timedelta(hours=24)


def test_a_revoked_certificate_is_on_the_list(pods, example):
    made = pods.server.certificate("vision", "leaked.vision.svc")
    example.vault.write_data("dev-pki/revoke", data={"serial_number": made["serial_number"]})
    example.vault.read("dev-pki/crl/rotate")
    revoked = x509.load_pem_x509_crl(example.vault.read("dev-pki/cert/crl")["data"]["certificate"].encode())
    assert revoked.get_revoked_certificate_by_serial_number(int(made["serial_number"].replace(":", ""), 16))


def test_a_rotated_key_still_decrypts_and_encrypts_by_its_new_version(pods, example):
    before = pods.trainer.encrypt("vision.restricted")
    example.vault.write_data("dev-transit/keys/vision.restricted/rotate")
    assert pods.trainer.decrypt("vision.restricted", before) == "weights"
    after = pods.trainer.encrypt("vision.restricted")
    assert int(after.split(":")[1][1:]) == int(before.split(":")[1][1:]) + 1
    rewrapped = pods.trainer.write("dev-transit/rewrap/vision.restricted", ciphertext=before)["ciphertext"]
    assert rewrapped.split(":")[1] == after.split(":")[1]


def test_two_audit_devices_recorded_every_request_with_hashed_values(pods, example):
    pods.server.read("dev-kv/data/vision/serve/token")
    logs = Path(example.lab.root) / "logs"
    for log in ("openbao-audit.log", "openbao-audit-second.log"):
        text = (logs / log).read_text()
        assert "vision serve" not in text
        assert pods.server.login["client_token"] not in text
        records = [json.loads(line) for line in text.splitlines()]
        answers = [
            record
            for record in records
            if record["type"] == "response" and record["request"].get("path") == "dev-kv/data/vision/serve/token"
        ]
        read = [each for each in answers if each["request"]["operation"] == "read" and not each.get("error")][-1]
        assert read["auth"]["metadata"]["service_account_name"] == "server"
        assert read["response"]["data"]["data"]["value"].startswith("hmac-sha256:")
        refused = [record for record in records if "permission denied" in record.get("error", "")]
        assert "dev-kv/data/vision-two/train/token" in {record["request"].get("path") for record in refused}


@pytest.fixture(scope="module")
def postgres() -> Iterator[postgres_server.Postgres]:
    """A database of features that a group may read, and a role by which Vault makes members of it."""
    with postgres_server.serving() as server:
        server.ask("CREATE ROLE vault LOGIN CREATEROLE PASSWORD 'vaults-own'")
        server.ask("CREATE ROLE feature_readers")
        server.ask("GRANT feature_readers TO vault WITH ADMIN OPTION")
        server.ask("CREATE DATABASE features")
        server.ask("CREATE TABLE ages AS SELECT 42 AS age", database="features")
        server.ask("GRANT SELECT ON ages TO feature_readers", database="features")
        yield server


def test_database_credentials_are_for_one_stage_of_one_team_and_end_with_their_lease(pods, example, postgres):
    config = {"databaseHost": "127.0.0.1", "databasePort": str(postgres.port), "databasePlainText": "true"}
    example.advisory = ("FJ-VLT-018",)  # the database here has no TLS
    example.up(**config, databasePassword="vaults-own")
    assert example.changes(**config, databasePassword="vaults-own") == {}

    told = pods.server.client.read("dev-database/creds/vision.serve.features")
    user, password = told["data"]["username"], told["data"]["password"]
    assert told["lease_duration"] == 3600
    assert postgres.ask("SELECT age FROM ages", user, password, "features") == "42"
    with pytest.raises(AssertionError, match="permission denied for table ages"):
        postgres.ask("DELETE FROM ages", user, password, "features")
    soon = "SELECT rolvaliduntil < now() + interval '2 hours' FROM pg_roles WHERE rolname = current_user"
    assert postgres.ask(soon, user, password) == "t"
    for refused in (pods.trainer, pods.other_server):
        with pytest.raises(REFUSED):
            refused.read("dev-database/creds/vision.serve.features")

    connection = example.vault.read("dev-database/config/features")["data"]
    assert "vaults-own" not in json.dumps(connection)
    assert connection["allowed_roles"] == ["vision.serve.features"]

    example.vault.sys.revoke_lease(told["lease_id"])
    with pytest.raises(AssertionError, match="authentication failed"):
        postgres.ask("SELECT age FROM ages", user, password, "features")
    assert user not in postgres.ask("SELECT rolname FROM pg_roles").splitlines()

    with pytest.raises(AssertionError, match="vault-database-features"):
        example.up(**config, databasePassword="another-one")
    example.up()


def test_a_change_is_an_update_or_a_replacement_as_vault_can_make_it(example):
    changes = example.changes(kvVersions="5", rootYears="8")
    assert changes["vault-kv-settings"] == ("update", {"maxVersions"})
    assert changes["vault-pki-root"] == ("update", {"defaultLeaseTtlSeconds", "maxLeaseTtlSeconds"})
    assert changes["vault-pki-root-certificate"][0] == "replace"
    assert changes["vault-pki-signed"][0] == "replace"
    assert "vault-pki-request" not in changes


def test_a_new_root_issues_and_what_the_old_one_stands_behind_still_verifies(pods, example):
    def chain(made: dict) -> list[x509.Certificate]:
        return [x509.load_pem_x509_certificate(pem.encode()) for pem in made["ca_chain"]]

    old = example.outputs()["trustAnchor"]
    made = pods.server.certificate("vision", "detector.vision.svc")
    example.up(rootYears="8")
    new = example.outputs()["trustAnchor"]
    assert new != old
    again = pods.server.certificate("vision", "detector.vision.svc")
    for anchor, each in ((old, made), (new, again)):
        leaf = x509.load_pem_x509_certificate(each["certificate"].encode())
        store = Store([x509.load_pem_x509_certificate(anchor.encode())])
        verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName("detector.vision.svc"))
        verifier.verify(leaf, chain(each))
    assert example.changes(rootYears="8") == {}


def test_drift_is_seen_and_mended(example):
    held = example.vault
    held.write_data("dev-kv/config", data={"max_versions": 99})
    role = held.read("dev-pki/roles/vision")["data"]
    held.write_data("dev-pki/roles/vision", data={**role, "allow_any_name": True})
    held.sys.create_or_update_policy("dev-evaluate", 'path "dev-kv/*" { capabilities = ["read"] }')
    held.write_data("auth/dev-kubernetes/role/vision.train", data={"token_ttl": 3600})
    found = example.drift()
    assert found["vault-kv-settings"][1] == {"maxVersions"}
    assert found["vision-certificates"][1] == {"allowAnyName"}
    assert found["vault-policy-evaluate"][1] == {"policy"}
    assert found["vision-vault-login-train"][1] == {"tokenTtl"}
    example.up(rootYears="8")
    assert held.read("dev-kv/config")["data"]["max_versions"] == 10
    assert held.read("dev-pki/roles/vision")["data"]["allow_any_name"] is False
    assert "identity.entity" in held.read("sys/policies/acl/dev-evaluate")["data"]["policy"]
    assert held.read("auth/dev-kubernetes/role/vision.train")["data"]["token_ttl"] == 900


def test_destroying_leaves_nothing(example):
    example.destroy()
    held = example.vault
    assert not [path for path in held.sys.list_mounted_secrets_engines()["data"] if path.startswith("dev-")]
    assert not [path for path in held.sys.list_auth_methods()["data"] if path.startswith("dev-")]
    assert not [name for name in held.sys.list_acl_policies()["data"]["keys"] if name.startswith("dev-")]
    namespaces = example.run("kubectl", "get", "namespaces", "-o", "name").stdout.split()
    assert not {f"namespace/{team}" for team in (*TEAMS, "vault-login")} & set(namespaces)
