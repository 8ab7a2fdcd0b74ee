"""Certificates between services: whose key is where, what is signed, and what an external root changes."""

import pytest
from component_samples import CLUSTER, OWNERSHIP

from falaj.components import SecretsVault

ARGS = {"cluster": CLUSTER, "ownership": OWNERSHIP, "address": "https://vault.example:8200"}


@pytest.fixture
def made(run, engine, providers):
    run(lambda: SecretsVault("vault", ARGS, providers()).ref)
    return engine


def test_both_private_keys_are_made_in_vault_and_stay_there(made):
    for kind in ("SecretBackendRootCert", "SecretBackendIntermediateCertRequest"):
        inputs = made.one(kind)
        assert (inputs["type"], inputs["keyType"]) == ("internal", "ec")


def test_the_intermediate_has_no_authority_below_it_and_no_names_outside_the_services_domains(made):
    signed = made.one("SecretBackendRootSignIntermediate")
    assert signed["issuerRef"] == "ROOT"
    assert signed["csr"] == "REQUEST"
    assert signed["maxPathLength"] == 0
    assert signed["permittedDnsDomains"] == ["svc", "svc.cluster.local"]
    assert made.one("SecretBackendIntermediateSetSigned")["certificate"] == "CHAIN"
    assert made.one("SecretBackendConfigIssuers")["default"] == "INTERMEDIATE"


def test_nothing_in_the_issuing_mount_outlives_a_day_and_the_root_ends_after_the_intermediate(made):
    mounts = {mount["path"]: mount for mount in made.all("Mount")}
    assert mounts["test-pki"]["maxLeaseTtlSeconds"] == 24 * 3600
    assert mounts["test-pki-root"]["maxLeaseTtlSeconds"] == 10 * 365 * 24 * 3600
    assert made.one("SecretBackendRootCert")["ttl"] == str(10 * 365 * 24 * 3600)
    assert made.one("SecretBackendRootSignIntermediate")["ttl"] == str(3 * 365 * 24 * 3600)


def test_certificates_say_where_their_issuer_and_its_revocations_are(made):
    urls = {each["backend"]: each for each in made.all("SecretBackendConfigUrls")}
    assert urls["test-pki"]["crlDistributionPoints"] == ["https://vault.example:8200/v1/test-pki/crl"]
    assert urls["test-pki-root"]["issuingCertificates"] == ["https://vault.example:8200/v1/test-pki-root/ca"]
    assert all(each["autoRebuild"] for each in made.all("SecretBackendCrlConfig"))
    assert made.one("BackendConfigAutoTidy")["tidyCertStore"] is True


def test_an_external_root_gets_a_request_and_vault_has_none_of_its_own(run, engine, providers):
    args = {**ARGS, "root": "external"}
    told = run(lambda: [(v := SecretsVault("vault", args, providers())).pki_request, v.trust_anchor])
    assert told == ["REQUEST", ""]
    assert not engine.all("SecretBackendRootCert")
    assert not engine.all("SecretBackendIntermediateSetSigned")
    assert [mount["path"] for mount in engine.all("Mount") if mount["type"] == "pki"] == ["test-pki"]


def test_what_an_external_root_signed_is_what_issues(run, engine, providers):
    args = {**ARGS, "root": "external", "signed_intermediate": "SIGNED ELSEWHERE"}
    run(lambda: SecretsVault("vault", args, providers()).ref)
    assert engine.one("SecretBackendIntermediateSetSigned")["certificate"] == "SIGNED ELSEWHERE"
    assert engine.one("SecretBackendConfigIssuers")["default"] == "INTERMEDIATE"


def test_the_internal_roots_certificate_is_what_services_trust(run, providers):
    assert run(lambda: SecretsVault("vault", ARGS, providers()).trust_anchor) == "ROOT CERTIFICATE"
