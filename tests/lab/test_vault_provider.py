"""The emulated vault provider against a real OpenBao: every type through its whole life."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hvac
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pulumi.runtime.proto import provider_pb2
from vault_lab import configuration, driving

from falaj.lab.provider.journal import Journal
from falaj.lab.provider.kind import ProviderError
from falaj.lab.provider.server import InFlight, servicer
from falaj.lab.provider.testing import CheckError, Driver, Resource
from falaj.lab.provider.values import UNKNOWN, decode, encode
from falaj.lab.provider.vault import KINDS, VaultProvider
from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab

MOUNT = "vault:index/mount:Mount"
POLICY = "vault:index/policy:Policy"
KEY = "vault:transit/secretBackendKey:SecretBackendKey"
AUTH = "vault:index/authBackend:AuthBackend"
CONFIG = "vault:kubernetes/authBackendConfig:AuthBackendConfig"
ROLE = "vault:kubernetes/authBackendRole:AuthBackendRole"
AUDIT = "vault:index/audit:Audit"
KV = "vault:kv/secretBackendV2:SecretBackendV2"
PKI_ROOT = "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert"
CSR = "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest"
SIGNED = "vault:pkiSecret/secretBackendRootSignIntermediate:SecretBackendRootSignIntermediate"
SET_SIGNED = "vault:pkiSecret/secretBackendIntermediateSetSigned:SecretBackendIntermediateSetSigned"
URLS = "vault:pkiSecret/secretBackendConfigUrls:SecretBackendConfigUrls"
CRL = "vault:pkiSecret/secretBackendCrlConfig:SecretBackendCrlConfig"
ISSUERS = "vault:pkiSecret/secretBackendConfigIssuers:SecretBackendConfigIssuers"
TIDY = "vault:pkiSecret/backendConfigAutoTidy:BackendConfigAutoTidy"
PKI_ROLE = "vault:pkiSecret/secretBackendRole:SecretBackendRole"
CONNECTION = "vault:database/secretBackendConnection:SecretBackendConnection"
DATABASE_ROLE = "vault:database/secretBackendRole:SecretBackendRole"

SETTINGS = {CONFIG, KV, URLS, CRL, TIDY}
"""What exists as long as its mount does: the API cannot remove it."""

NONE = provider_pb2.DiffResponse.DIFF_NONE
READ = 'path "kv/*" {\n  capabilities = ["read"]\n}\n'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with temporary_lab(tmp_path_factory.mktemp("openbao") / "state", only=["openbao"]) as running:
        yield running


@pytest.fixture
def bao(lab: RunningLab) -> hvac.Client:
    return lab.vault()


@pytest.fixture
def driver(lab: RunningLab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    for name in ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_CACERT", "FALAJ_LAB"):
        monkeypatch.delenv(name, raising=False)
    with driving(lab) as driver:
        yield driver


@dataclass(frozen=True)
class Case:
    """One type's life: how it begins, changes in place, is replaced and drifts."""

    token: str
    inputs: dict[str, Any]
    updated: dict[str, Any]
    replaced: dict[str, Any]
    drift: Callable[[hvac.Client], object]
    drifted: frozenset[str]
    needs: tuple[tuple[str, dict[str, Any]], ...] = ()
    removed: Callable[[hvac.Client], object] | None = field(default=None)
    """Removes it behind the provider's back."""


TRANSIT = (MOUNT, {"path": "test-transit", "type": "transit"})
KUBERNETES = (AUTH, {"path": "test-kubernetes", "type": "kubernetes"})
KEY_INPUTS = {"backend": "test-transit", "name": "key", "deletionAllowed": True, "exportable": False}


def authority() -> str:
    """Return a certificate in the form that the API server's is given in."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


CONFIG_INPUTS = {
    "kubernetesCaCert": authority(),
    "backend": "test-kubernetes",
    "kubernetesHost": "https://127.0.0.1:6443",
    "disableLocalCaJwt": True,
    "tokenReviewerJwt": "a-jwt",
}
ROLE_INPUTS = {
    "backend": "test-kubernetes",
    "roleName": "readers",
    "boundServiceAccountNames": ["b", "a"],
    "boundServiceAccountNamespaces": ["vision"],
    "tokenPolicies": ["test-readers"],
    "tokenTtl": 600,
    "audience": "vault",
}

KV_MOUNT = (MOUNT, {"path": "test-kv", "type": "kv", "options": {"version": "2"}})
PKI = (MOUNT, {"path": "test-pki", "type": "pki", "maxLeaseTtlSeconds": 87600 * 3600})
DATABASE = (MOUNT, {"path": "test-database", "type": "database"})
ROOT_INPUTS = {
    "backend": "test-pki",
    "type": "internal",
    "commonName": "a root",
    "keyType": "ec",
    "keyBits": 384,
    "ttl": "87600h",
    "issuerName": "root",
}
URL_INPUTS = {"backend": "test-pki", "crlDistributionPoints": ["https://vault.svc/crl"]}
CRL_INPUTS = {"backend": "test-pki", "expiry": "48h", "autoRebuild": True}
TIDY_INPUTS = {"backend": "test-pki", "enabled": True, "tidyCertStore": True, "intervalDuration": "1h"}
PKI_ROLE_INPUTS = {
    "backend": "test-pki",
    "name": "vision",
    "allowedDomains": ["vision.svc"],
    "allowSubdomains": True,
    "allowIpSans": False,
    "maxTtl": "24h",
    "keyType": "ec",
    "keyBits": 256,
    "keyUsages": ["DigitalSignature"],
}
CONNECTION_INPUTS = {
    "backend": "test-database",
    "name": "features",
    "verifyConnection": False,
    "allowedRoles": ["vision.train", "vision.serve"],
    "postgresql": {
        "connectionUrl": "postgresql://{{username}}:{{password}}@127.0.0.1:1/features",
        "username": "vault",
        "password": "a-password",
        "maxOpenConnections": 2,
    },
}
DATABASE_ROLE_INPUTS = {
    "backend": "test-database",
    "name": "vision.train",
    "dbName": "features",
    "creationStatements": ["CREATE ROLE"],
    "defaultTtl": 600,
    "maxTtl": 3600,
}

CASES = (
    Case(
        MOUNT,
        {"path": "test-kv", "type": "kv", "options": {"version": "1"}, "description": "secrets"},
        {
            "path": "test-kv",
            "type": "kv",
            "options": {"version": "1"},
            "description": "other",
            "defaultLeaseTtlSeconds": 60,
        },
        {"path": "test-other", "type": "kv", "options": {"version": "1"}, "description": "secrets"},
        lambda bao: bao.sys.tune_mount_configuration("test-kv", description="drifted"),
        frozenset({"description"}),
        removed=lambda bao: bao.sys.disable_secrets_engine("test-kv"),
    ),
    Case(
        POLICY,
        {"name": "test-readers", "policy": READ},
        {"name": "test-readers", "policy": READ.replace("kv", "other")},
        {"name": "test-others", "policy": READ},
        lambda bao: bao.sys.create_or_update_policy("test-readers", READ.replace("read", "list")),
        frozenset({"policy"}),
        removed=lambda bao: bao.sys.delete_policy("test-readers"),
    ),
    Case(
        KEY,
        KEY_INPUTS,
        {**KEY_INPUTS, "exportable": True, "autoRotatePeriod": 86400},
        {**KEY_INPUTS, "type": "rsa-2048"},
        lambda bao: bao.secrets.transit.update_key_configuration(
            "key", deletion_allowed=False, mount_point="test-transit"
        ),
        frozenset({"deletionAllowed"}),
        needs=(TRANSIT,),
        removed=lambda bao: bao.secrets.transit.delete_key("key", mount_point="test-transit"),
    ),
    Case(
        AUTH,
        {"path": "test-kubernetes", "type": "kubernetes", "description": "pods", "tune": {"maxLeaseTtl": "1h"}},
        {"path": "test-kubernetes", "type": "kubernetes", "description": "all pods", "tune": {"maxLeaseTtl": "2h"}},
        {"path": "test-elsewhere", "type": "kubernetes", "description": "pods"},
        lambda bao: bao.sys.tune_auth_method("test-kubernetes", max_lease_ttl="3h"),
        frozenset({"tune.maxLeaseTtl"}),
        removed=lambda bao: bao.sys.disable_auth_method("test-kubernetes"),
    ),
    Case(
        CONFIG,
        CONFIG_INPUTS,
        {**CONFIG_INPUTS, "kubernetesHost": "https://127.0.0.1:7443"},
        {**CONFIG_INPUTS, "backend": "test-elsewhere"},
        lambda bao: bao.write_data(
            "auth/test-kubernetes/config",
            data={
                "kubernetes_host": "https://x:1",
                "kubernetes_ca_cert": CONFIG_INPUTS["kubernetesCaCert"],
                "disable_local_ca_jwt": True,
            },
        ),
        frozenset({"kubernetesHost"}),
        needs=(KUBERNETES,),
        removed=lambda bao: bao.sys.disable_auth_method("test-kubernetes"),
    ),
    Case(
        ROLE,
        ROLE_INPUTS,
        {**{name: value for name, value in ROLE_INPUTS.items() if name != "audience"}, "tokenTtl": 60},
        {**ROLE_INPUTS, "roleName": "others"},
        lambda bao: bao.write_data("auth/test-kubernetes/role/readers", data={"token_policies": ["root-like"]}),
        frozenset({"tokenPolicies"}),
        needs=(KUBERNETES,),
        removed=lambda bao: bao.delete("auth/test-kubernetes/role/readers"),
    ),
    Case(
        KV,
        {"mount": "test-kv", "maxVersions": 5, "casRequired": True},
        {"mount": "test-kv", "maxVersions": 7, "deleteVersionAfter": 3600},
        {"mount": "test-other", "maxVersions": 5},
        lambda bao: bao.write_data("test-kv/config", data={"max_versions": 99}),
        frozenset({"maxVersions"}),
        needs=(KV_MOUNT,),
        removed=lambda bao: bao.sys.disable_secrets_engine("test-kv"),
    ),
    Case(
        URLS,
        URL_INPUTS,
        {"backend": "test-pki", "issuingCertificates": ["https://vault.svc/ca"]},
        {**URL_INPUTS, "backend": "test-other"},
        lambda bao: bao.write_data("test-pki/config/urls", data={"crl_distribution_points": ["https://other/crl"]}),
        frozenset({"crlDistributionPoints[0]"}),
        needs=(PKI,),
        removed=lambda bao: bao.sys.disable_secrets_engine("test-pki"),
    ),
    Case(
        CRL,
        CRL_INPUTS,
        {**CRL_INPUTS, "expiry": "72h"},
        {**CRL_INPUTS, "backend": "test-other"},
        lambda bao: bao.write_data("test-pki/config/crl", data={"auto_rebuild": False}),
        frozenset({"autoRebuild"}),
        needs=(PKI,),
        removed=lambda bao: bao.sys.disable_secrets_engine("test-pki"),
    ),
    Case(
        TIDY,
        TIDY_INPUTS,
        {**TIDY_INPUTS, "intervalDuration": "2h"},
        {**TIDY_INPUTS, "backend": "test-other"},
        lambda bao: bao.write_data("test-pki/config/auto-tidy", data={"enabled": False, "tidy_cert_store": True}),
        frozenset({"enabled"}),
        needs=(PKI,),
        removed=lambda bao: bao.sys.disable_secrets_engine("test-pki"),
    ),
    Case(
        PKI_ROLE,
        PKI_ROLE_INPUTS,
        {**PKI_ROLE_INPUTS, "maxTtl": "12h", "allowIpSans": True},
        {**PKI_ROLE_INPUTS, "name": "speech"},
        lambda bao: bao.write_data(
            "test-pki/roles/vision",
            data={
                "allowed_domains": "vision.svc",
                "allow_subdomains": True,
                "allow_ip_sans": True,
                "max_ttl": "24h",
                "key_type": "ec",
                "key_bits": 256,
                "key_usage": "DigitalSignature",
            },
        ),
        frozenset({"allowIpSans"}),
        needs=(PKI,),
        removed=lambda bao: bao.delete("test-pki/roles/vision"),
    ),
    Case(
        CONNECTION,
        CONNECTION_INPUTS,
        {**CONNECTION_INPUTS, "allowedRoles": ["vision.train"]},
        {**CONNECTION_INPUTS, "name": "others"},
        lambda bao: bao.write_data(
            "test-database/config/features", data={"verify_connection": False, "allowed_roles": "*"}
        ),
        frozenset({"allowedRoles"}),
        needs=(DATABASE,),
        removed=lambda bao: bao.delete("test-database/config/features"),
    ),
    Case(
        DATABASE_ROLE,
        DATABASE_ROLE_INPUTS,
        {**DATABASE_ROLE_INPUTS, "maxTtl": 7200},
        {**DATABASE_ROLE_INPUTS, "name": "vision.serve"},
        lambda bao: bao.write_data("test-database/roles/vision.train", data={"default_ttl": 6000, "max_ttl": 6000}),
        frozenset({"defaultTtl", "maxTtl"}),
        needs=(DATABASE, (CONNECTION, CONNECTION_INPUTS)),
        removed=lambda bao: bao.delete("test-database/roles/vision.train"),
    ),
)
ids = [case.token.rpartition(":")[2] for case in CASES]
each = pytest.mark.parametrize("case", CASES, ids=ids)


def begin(driver: Driver, case: Case) -> Resource:
    for number, (token, inputs) in enumerate(case.needs):
        driver.create(token, f"need-{number}", inputs)
    return driver.create(case.token, "it", case.inputs)


def test_every_type_that_is_served_has_a_case():
    made_once = {PKI_ROOT, CSR, SIGNED, SET_SIGNED, ISSUERS}  # test_vault_provider_pki.py
    assert {case.token for case in CASES} | made_once | {AUDIT} == KINDS.keys()


@each
def test_what_was_made_is_as_asked_and_needs_no_change(driver: Driver, case: Case):
    made = begin(driver, case)
    assert {name: made.outputs[name] for name in case.inputs} == case.inputs
    refreshed = driver.refresh(made)
    assert refreshed is not None
    assert driver.diff(refreshed, case.inputs).changes == NONE


@each
def test_an_update_reaches_openbao_and_stays_the_same_thing(driver: Driver, case: Case):
    made = begin(driver, case)
    found = driver.diff(made, case.updated)
    assert found.changes != NONE
    assert not found.replaces
    updated = driver.update(made, case.updated)
    assert updated.id == made.id
    refreshed = driver.refresh(updated)
    assert refreshed is not None
    assert driver.diff(refreshed, case.updated).changes == NONE
    assert driver.diff(refreshed, case.inputs).changes != NONE


@each
def test_what_cannot_change_in_place_is_replaced(driver: Driver, case: Case):
    made = begin(driver, case)
    assert driver.diff(made, case.replaced).replaces


@each
def test_a_change_behind_the_providers_back_is_seen_and_put_right(driver: Driver, case: Case, bao: hvac.Client):
    made = begin(driver, case)
    case.drift(bao)
    drifted = driver.refresh(made)
    assert drifted is not None
    assert set(driver.diff(drifted, case.inputs).detailedDiff) == case.drifted
    again = driver.refresh(driver.update(drifted, case.inputs))
    assert again is not None
    assert driver.diff(again, case.inputs).changes == NONE


@each
def test_what_somebody_removed_is_gone_at_the_next_refresh(driver: Driver, case: Case, bao: hvac.Client):
    made = begin(driver, case)
    assert case.removed is not None
    case.removed(bao)
    assert driver.refresh(made) is None
    driver.delete(made)


@each
def test_an_import_gives_inputs_that_need_no_change(driver: Driver, case: Case):
    made = begin(driver, case)
    imported = driver.import_(case.token, "it", made.id)
    assert imported is not None
    told = dict(case.inputs)
    told.pop("tokenReviewerJwt", None)  # OpenBao never tells it
    if case.token == CONNECTION:  # nor passwords, nor whether it tried the connection
        told["postgresql"] = {name: value for name, value in told["postgresql"].items() if name != "password"}
        told.pop("verifyConnection")
    if case.token == AUTH:
        told.pop("tune")  # whatever was tuned away from the defaults cannot be told from the defaults
    assert list(driver.diff(imported, told).detailedDiff) == []


@each
def test_a_deletion_leaves_nothing_and_may_be_repeated(driver: Driver, case: Case):
    made = begin(driver, case)
    driver.delete(made)
    if case.token not in SETTINGS:
        assert driver.refresh(made) is None
    driver.delete(made)


@each
def test_a_preview_makes_nothing_and_takes_unknown_inputs(driver: Driver, case: Case):
    foreseen = driver.preview(case.token, "it", dict.fromkeys(case.inputs, UNKNOWN))
    assert all(foreseen[name] is UNKNOWN for name in case.inputs)
    assert driver.import_(case.token, "it", "test-kubernetes" if case.token == AUTH else "test-nothing") is None


def test_a_transit_key_is_deleted_only_when_that_was_allowed(driver: Driver):
    driver.create(TRANSIT[0], "transit", TRANSIT[1])
    inputs = {"backend": "test-transit", "name": "key"}
    made = driver.create(KEY, "key", inputs)
    with pytest.raises(ProviderError, match="set deletionAllowed and apply that first"):
        driver.delete(made)
    driver.delete(driver.update(made, {**inputs, "deletionAllowed": True}))
    assert driver.refresh(made) is None


def test_the_audit_device_of_the_configuration_is_found_and_others_are_refused(driver: Driver, lab: RunningLab):
    options = {"file_path": str(Path(lab.root) / "logs" / "openbao-audit.log"), "mode": "0600"}
    inputs = {"type": "file", "path": "lab", "options": options}
    made = driver.create(AUDIT, "audit", inputs)
    assert driver.diff(made, inputs).changes == NONE
    driver.delete(made)
    assert driver.refresh(made) is not None
    with pytest.raises(ProviderError, match="takes new ones from its configuration file only"):
        driver.create(AUDIT, "another", {"type": "file", "path": "another", "options": {"file_path": "/dev/null"}})


def test_secret_inputs_are_secret_outputs(driver: Driver):
    driver.create(KUBERNETES[0], "kubernetes", KUBERNETES[1])
    urn = driver.urn(CONFIG, "config")
    request = provider_pb2.CreateRequest(urn=urn, properties=encode(driver.check(CONFIG, "config", CONFIG_INPUTS)))
    _, secrets = decode(driver.provider.create(request).properties)
    assert "tokenReviewerJwt" in secrets


def test_a_changed_password_reaches_openbao_which_never_tells_it(driver: Driver, lab: RunningLab):
    def writings() -> int:
        lines = (Path(lab.root) / "logs" / "openbao-audit.log").read_text().splitlines()
        requests = [record["request"] for record in map(json.loads, lines) if record["type"] == "request"]
        return sum(
            each.get("path") == "test-database/config/features" and each["operation"] in ("create", "update")
            for each in requests
        )

    driver.create(DATABASE[0], "database", DATABASE[1])
    made = driver.create(CONNECTION, "it", CONNECTION_INPUTS)
    before = writings()
    changed = {**CONNECTION_INPUTS, "postgresql": {**CONNECTION_INPUTS["postgresql"], "password": "another"}}
    assert driver.update(made, changed).outputs["postgresql"]["password"] == "another"
    assert writings() == before + 1


def test_two_spellings_of_a_duration_are_no_change(driver: Driver):
    inputs = {"path": "test-kubernetes", "type": "kubernetes", "tune": {"maxLeaseTtl": "1h"}}
    made = driver.create(AUTH, "it", inputs)
    assert driver.diff(made, {**inputs, "tune": {"maxLeaseTtl": "60m"}}).changes == NONE


def test_a_repeated_creation_after_a_crash_adopts_what_the_first_one_made(
    lab: RunningLab, tmp_path: Path, driver: Driver
):
    del driver  # it removes what is left in OpenBao

    class Crashing(VaultProvider):
        """A provider whose process ends as soon as OpenBao has done its part."""

        def _converge(self, *_: Any, **__: Any) -> Any:
            raise SystemExit

    first = Driver(Crashing(Journal(tmp_path))).configure(**configuration(lab))
    with pytest.raises(SystemExit):
        first.create(TRANSIT[0], "transit", TRANSIT[1])
    second = Driver(VaultProvider(Journal(tmp_path))).configure(**configuration(lab))
    assert second.create(TRANSIT[0], "transit", TRANSIT[1]).id == "test-transit"


@pytest.mark.parametrize(
    ("token", "inputs", "wrong"),
    [
        (MOUNT, {"type": "kv"}, "path"),
        (POLICY, {"name": "p", "policy": "", "polcy": ""}, "polcy"),
        (ROLE, {"roleName": "r", "tokenTtl": "soon"}, "tokenTtl"),
    ],
)
def test_inputs_that_the_sdk_does_not_declare_are_refused(
    driver: Driver, token: str, inputs: dict[str, Any], wrong: str
):
    with pytest.raises(CheckError) as caught:
        driver.check(token, "it", inputs)
    assert wrong in str(caught.value)


def test_the_environment_stands_in_for_the_configuration_and_no_proxy_comes_between(
    lab: RunningLab, monkeypatch: pytest.MonkeyPatch
):
    for name in ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_CACERT"):
        monkeypatch.setenv(name, lab.env[name])
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    driver = Driver(VaultProvider(Journal(None))).configure()
    made = driver.create(POLICY, "it", {"name": "test-readers", "policy": READ})
    driver.delete(made)


def test_a_server_that_the_authority_does_not_vouch_for_is_not_talked_to(
    lab: RunningLab, driver: Driver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    config = {**configuration(lab), "caCertFile": str(Path(lab.root) / "pki" / "etcd-ca.crt")}
    driver.configure(**config)
    assert "certificate" in failure(driver, POLICY, {"name": "test-readers", "policy": READ})


def test_a_server_that_does_not_answer_and_a_wrong_token_are_one_line_each(lab: RunningLab, driver: Driver):
    inputs = {"name": "test-readers", "policy": READ}
    driver.configure(**{**configuration(lab), "address": "https://127.0.0.1:1"})
    assert "OpenBao does not answer at https://127.0.0.1:1" in failure(driver, POLICY, inputs)
    driver.configure(**{**configuration(lab), "token": "wrong"})
    assert "permission denied" in failure(driver, POLICY, inputs)


def test_a_type_that_is_not_served_is_refused_by_name(driver: Driver):
    with pytest.raises(ProviderError, match="has no type vault:index/namespace:Namespace; it has"):
        driver.check("vault:index/namespace:Namespace", "it", {"path": "n"})


class AbortedError(Exception):
    """What gRPC makes of an error."""


class Context:
    """A gRPC context that keeps what it is told."""

    def abort(self, _: Any, details: str) -> None:
        raise AbortedError(details)

    def set_trailing_metadata(self, _: Any) -> None:
        pass


def failure(driver: Driver, token: str, inputs: dict[str, Any]) -> str:
    """Return the line that the engine is told when a creation fails."""
    request = provider_pb2.CreateRequest(
        urn=driver.urn(token, "it"), properties=encode(driver.check(token, "it", inputs))
    )
    with pytest.raises(AbortedError) as caught:
        servicer(driver.provider, InFlight()).Create(request, Context())
    assert "\n" not in str(caught.value)
    return str(caught.value)
