"""Certificate authorities by the emulated vault provider: a root, an intermediate that it signs, and what is issued."""

from collections.abc import Iterator
from dataclasses import dataclass

import hvac
import pytest
from cryptography import x509
from pulumi.runtime.proto import provider_pb2
from vault_lab import driving

from falaj.lab.provider.testing import Driver, Resource
from falaj.lab.testing import RunningLab, temporary_lab

pytestmark = pytest.mark.lab

MOUNT = "vault:index/mount:Mount"
ROOT = "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert"
CSR = "vault:pkiSecret/secretBackendIntermediateCertRequest:SecretBackendIntermediateCertRequest"
SIGNED = "vault:pkiSecret/secretBackendRootSignIntermediate:SecretBackendRootSignIntermediate"
SET_SIGNED = "vault:pkiSecret/secretBackendIntermediateSetSigned:SecretBackendIntermediateSetSigned"
ISSUERS = "vault:pkiSecret/secretBackendConfigIssuers:SecretBackendConfigIssuers"

NONE = provider_pb2.DiffResponse.DIFF_NONE
EC = {"keyType": "ec", "keyBits": 256}
ROOT_INPUTS = {"backend": "test-root", "type": "internal", "commonName": "a root", "ttl": "8760h", **EC}
CSR_INPUTS = {"backend": "test-pki", "type": "internal", "commonName": "an intermediate", **EC}


@dataclass(frozen=True)
class Authority:
    """A root and an intermediate under it."""

    root: Resource
    request: Resource
    signed: Resource
    returned: Resource
    issuers: Resource

    def all(self) -> tuple[Resource, ...]:
        return (self.root, self.request, self.signed, self.returned, self.issuers)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    with temporary_lab(tmp_path_factory.mktemp("openbao") / "state", only=["openbao"]) as running:
        yield running


@pytest.fixture
def bao(lab: RunningLab) -> hvac.Client:
    return lab.vault()


@pytest.fixture
def driver(lab: RunningLab) -> Iterator[Driver]:
    with driving(lab) as driver:
        yield driver


@pytest.fixture
def authority(driver: Driver) -> Authority:
    for path in ("test-root", "test-pki"):
        driver.create(MOUNT, path, {"path": path, "type": "pki", "maxLeaseTtlSeconds": 8760 * 3600})
    root = driver.create(ROOT, "root", ROOT_INPUTS)
    return intermediate(driver, root, "first")


def intermediate(driver: Driver, root: Resource, name: str) -> Authority:
    request = driver.create(CSR, f"{name}-request", {**CSR_INPUTS, "commonName": name})
    signed = driver.create(
        SIGNED,
        f"{name}-signed",
        {
            "backend": "test-root",
            "csr": request.outputs["csr"],
            "commonName": name,
            "ttl": "4380h",
            "format": "pem_bundle",
            "maxPathLength": 0,
            "permittedDnsDomains": ["svc"],
            "issuerRef": root.outputs["issuerId"],
        },
    )
    inputs = {"backend": "test-pki", "certificate": signed.outputs["certificateBundle"]}
    returned = driver.create(SET_SIGNED, f"{name}-set", inputs)
    chosen = {"backend": "test-pki", "default": returned.outputs["importedIssuers"][0]}
    return Authority(root, request, signed, returned, driver.create(ISSUERS, f"{name}-default", chosen))


def certificate(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def issued(bao: hvac.Client) -> list[x509.Certificate]:
    bao.write_data("test-pki/roles/any", data={"allow_any_name": True, "key_type": "ec", "key_bits": 256, "ttl": "1h"})
    made = bao.write_data("test-pki/issue/any", data={"common_name": "a.svc"})["data"]
    return [certificate(pem) for pem in (made["certificate"], *made["ca_chain"])]


def test_what_is_issued_chains_to_the_root_within_its_bounds(authority: Authority, bao: hvac.Client):
    leaf, middle, root = issued(bao)
    leaf.verify_directly_issued_by(middle)
    middle.verify_directly_issued_by(root)
    assert root == certificate(authority.root.outputs["certificate"])
    basic = middle.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (basic.ca, basic.path_length) == (True, 0)
    names = middle.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
    assert names == [x509.DNSName("svc")]


def test_nothing_of_it_changes_by_a_refresh(driver: Driver, authority: Authority):
    for made in authority.all():
        refreshed = driver.refresh(made)
        assert refreshed is not None, made.urn
        assert driver.diff(refreshed, made.inputs).changes == NONE, made.urn
        lost = {name for name, value in made.outputs.items() if refreshed.outputs.get(name) != value}
        assert lost == set(), made.urn


def test_private_keys_stay_where_they_are_made(authority: Authority):
    for made in authority.all():
        assert "PRIVATE KEY" not in str(made.outputs)


def test_a_root_and_a_request_can_only_be_made_anew(driver: Driver, authority: Authority):
    assert driver.diff(authority.root, {**ROOT_INPUTS, "commonName": "another"}).replaces
    assert driver.diff(authority.request, {**CSR_INPUTS, "commonName": "another"}).replaces


def test_a_second_intermediate_issues_once_it_is_the_default_and_the_first_stays(
    driver: Driver, authority: Authority, bao: hvac.Client
):
    second = intermediate(driver, authority.root, "second")
    _, middle, root = issued(bao)
    assert middle == certificate(second.signed.outputs["certificateBundle"])
    middle.verify_directly_issued_by(root)
    assert driver.refresh(authority.returned) is not None
    drifted = driver.refresh(authority.issuers)
    assert drifted is not None
    assert set(driver.diff(drifted, authority.issuers.inputs).detailedDiff) == {"default"}


def test_what_somebody_removed_is_gone_at_the_next_refresh(driver: Driver, authority: Authority, bao: hvac.Client):
    for path in ("test-root", "test-pki"):
        bao.sys.disable_secrets_engine(path)
    for made in authority.all():
        assert driver.refresh(made) is None, made.urn
        driver.delete(made)


def test_a_deleted_root_is_no_issuer_any_more(driver: Driver, authority: Authority):
    driver.delete(authority.root)
    assert driver.refresh(authority.root) is None
