"""What each stage may do in Vault: within its tenant, and nothing that is another stage's."""

import pytest

from falaj.components import PipelineStage
from falaj.components.vault_policies import key_name, login_role, stage_policy
from falaj.policies import hcl

MOUNTS = {"transit": "test-transit", "kv": "test-kv", "pki": "test-pki", "database": "test-database"}
TENANT = "{{identity.entity.aliases.auth_kubernetes_1.metadata.service_account_namespace}}"


def granted(stage: PipelineStage) -> dict[str, set[str]]:
    text = stage_policy(stage, "auth_kubernetes_1", MOUNTS)
    return {grant.path: set(grant.capabilities) for grant in hcl.grants(text)}


@pytest.mark.parametrize("stage", list(PipelineStage))
def test_every_path_names_the_tenant_or_the_token_itself(stage):
    for path in granted(stage):
        own_token = path in ("auth/token/renew-self", "auth/token/revoke-self")
        assert own_token or TENANT in path, path


@pytest.mark.parametrize("stage", list(PipelineStage))
def test_what_follows_the_tenants_name_ends_it(stage):
    for path in granted(stage):
        rest = path.partition(TENANT)[2]
        assert rest[:1] in ("", ".", "/"), path


@pytest.mark.parametrize("stage", list(PipelineStage))
def test_no_stage_administers_a_key_or_signs_for_itself(stage):
    for path, capabilities in granted(stage).items():
        assert "sudo" not in capabilities
        assert not {"/keys/", "/config", "/roles/", "/sign/", "/root/"} & set(path.split(TENANT))


def test_only_those_who_make_data_encrypt():
    can = {stage for stage in PipelineStage if f"test-transit/encrypt/{TENANT}.*" in granted(stage)}
    assert can == {PipelineStage.PREPARE, PipelineStage.TRAIN, PipelineStage.WORKLOAD}
    assert all(f"test-transit/decrypt/{TENANT}.*" in granted(stage) for stage in PipelineStage)


def test_only_what_answers_requests_has_certificates():
    can = {stage for stage in PipelineStage if f"test-pki/issue/{TENANT}" in granted(stage)}
    assert can == {PipelineStage.SERVE, PipelineStage.WORKLOAD}


def test_a_stage_reads_its_own_secrets_and_the_teams_shared_ones():
    secrets = {path: can for path, can in granted(PipelineStage.TRAIN).items() if path.startswith("test-kv/")}
    assert secrets == {f"test-kv/data/{TENANT}/train/*": {"read"}, f"test-kv/data/{TENANT}/shared/*": {"read"}}


def test_a_stage_takes_its_own_database_credentials():
    assert f"test-database/creds/{TENANT}.serve.*" in granted(PipelineStage.SERVE)
    assert not [path for path in granted(PipelineStage.TRAIN) if path.startswith("test-database/")]


def test_a_key_and_a_login_are_named_after_tenant_and_classification_or_stage():
    assert key_name("vision", "restricted") == "vision.restricted"
    assert login_role("vision", PipelineStage.TRAIN) == "vision.train"
    assert login_role("vision", PipelineStage.WORKLOAD) == "vision"
