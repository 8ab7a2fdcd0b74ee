"""How the server is set up for production: sealed by a KMS key as a role of its own, audited twice."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path

import pulumi
import pytest
from component_samples import CLUSTER, KEY, OWNERSHIP, REGIME

from falaj.components import ConfigError, KeyUse, ResidencyKey
from falaj.components.vault_server import audit_stanzas, helm_values, plugin_stanza, seal_stanza, vault_identity
from falaj.lab.tools import ensure

PAGE = Path(__file__).parents[2] / "docs" / "components" / "secrets-vault.md"
DIGEST = "0123456789abcdef" * 4
IMAGE = f"123456789012.dkr.ecr.me-central-1.amazonaws.com/openbao/openbao:2.7.2@sha256:{DIGEST}"
ROLE = "arn:aws:iam::123456789012:role/test-vault"


def values(**changes):
    return helm_values(KEY, "me-central-1", **{"image": IMAGE, "plugin_sha256": DIGEST, **changes})


def test_the_seal_is_the_key_in_its_region_and_holds_no_credentials(run):
    assert run(lambda: seal_stanza(KEY, "me-central-1")) == (
        'seal "awskms" {\n  region = "me-central-1"\n  kms_key_id = "arn:aws:kms:me-central-1:123456789012:key/1"\n}\n'
    )


def test_a_key_for_less_than_restricted_data_does_not_seal(run):
    with pytest.raises(ConfigError, match="must be a key classified restricted or higher"):
        run(lambda: seal_stanza({**KEY, "classification": "internal"}, "me-central-1"))


def test_the_server_s_role_is_for_its_own_service_account_by_pod_identity(run, engine, providers):
    made = run(lambda: vault_identity("vault", CLUSTER, REGIME, OWNERSHIP, providers()).role_arn)
    role, association = engine.one("Role"), engine.one("PodIdentityAssociation")
    assert (made, role["name"]) == (ROLE, "test-vault")
    (trust,) = json.loads(role["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": "123456789012",
        "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:me-central-1:123456789012:cluster/falaj-test",
        "aws:RequestTag/kubernetes-namespace": "openbao",
        "aws:RequestTag/kubernetes-service-account": ["openbao"],
    }
    assert (association["clusterName"], association["namespace"], association["serviceAccount"]) == (
        "falaj-test",
        "openbao",
        "openbao",
    )


def test_the_role_may_use_the_seal_s_key_and_nothing_else(run, engine, providers):
    def program():
        identity = vault_identity("vault", CLUSTER, REGIME, OWNERSHIP, providers())
        seal = {"purpose": "seal", "used_by": [KeyUse.VAULT_SEAL], "users": [identity.role_arn]}
        return ResidencyKey("seal", {**seal, "regime": REGIME, "ownership": OWNERSHIP}, providers()).arn

    run(program)
    (use,) = [
        each for each in json.loads(engine.one("Key")["policy"])["Statement"] if each["Principal"] == {"AWS": [ROLE]}
    ]
    assert use["Action"] == ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]
    assert not engine.all("RolePolicy") + engine.all("RolePolicyAttachment")


def test_the_charts_values_have_the_seal_its_plugin_two_audit_devices_and_the_role_s_service_account(run):
    server = run(values)["server"]
    config = server["ha"]["raft"]["config"]
    assert f'plugin "kms" "awskms" {{\n  command = "openbao-plugin-kms-aws"\n  sha256sum = "{DIGEST}"\n}}' in config
    assert 'seal "awskms"' in config
    assert config.count('audit "file"') == audit_stanzas().count('audit "file"') == 2
    assert server["serviceAccount"] == {"create": True, "name": "openbao"}
    assert server["image"] == {
        "registry": "123456789012.dkr.ecr.me-central-1.amazonaws.com",
        "repository": "openbao/openbao",
        "tag": f"2.7.2@sha256:{DIGEST}",
    }
    assert server["auditStorage"] == {"enabled": True, "mountPath": "/vault/audit"}


def test_each_server_finds_the_others_and_knows_them_by_the_service_s_certificate(run):
    config = run(lambda: values(replicas=5))["server"]["ha"]["raft"]["config"]
    found = re.findall(r'leader_api_addr = "(.*)"\n.*\n    leader_tls_servername = "openbao.openbao.svc"', config)
    assert found == [f"https://openbao-{number}.openbao-internal:8200" for number in range(5)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"image": "openbao/openbao:2.7.2"},
            "image must be named by tag and digest, registry/repository:2.7.2@sha256:<64 digits>"
            " (got 'openbao/openbao:2.7.2')",
        ),
        (
            {"plugin_sha256": "latest"},
            "plugin_sha256 must be the 64 hexadecimal digits that the plugin's release tells (got 'latest')",
        ),
        ({"replicas": 0}, "replicas must be a whole number from 1 to 7 (got 0)"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_remedy(run, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: values(**change))
    assert str(refused.value) == message


def test_the_page_s_recipe_is_a_program_that_runs(run, engine, providers):
    (recipe,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.S)
    names = {
        **{"pulumi": pulumi, "regime": REGIME, "ownership": OWNERSHIP},
        **{"image": IMAGE, "plugin_sha256": DIGEST, "registry": "registry.example"},
    }

    def program():
        options = providers()
        names["on_aws"] = names["on_cluster"] = options
        names["cluster"] = type("Cluster", (), {"ref": CLUSTER})
        exec(compile(recipe, str(PAGE), "exec"), names)  # noqa: S102 - the page is ours
        return names["openbao"].urn

    run(program)
    assert json.loads(engine.one("Key")["policy"])["Statement"][1]["Principal"] == {"AWS": [ROLE]}
    release = engine.one("Release")
    assert (release["name"], release["namespace"]) == ("openbao", "openbao")
    assert 'seal "awskms"' in release["values"]["server"]["ha"]["raft"]["config"]


@pytest.fixture(scope="module")
def bao():
    """Run the lab's OpenBao."""
    program = ensure(["bao"])["bao"].path

    def run_bao(*command, **variables):
        return subprocess.run(
            [program, *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": os.environ["PATH"], **variables},
        )

    return run_bao


@pytest.mark.lab
def test_openbao_takes_the_configuration_and_would_refuse_a_word_that_it_does_not_know(run, bao, tmp_path):
    config = tmp_path / "server.hcl"
    wanted = run(values)["server"]["ha"]["raft"]["config"]
    config.write_text(wanted)
    assert bao("operator", "validate-config", f"-config={config}").returncode == 0
    for word in ("tls_cert_file", "plugin_directory", "sha256sum", "options"):
        config.write_text(wanted.replace(word, "another"))
        assert "another" in bao("operator", "validate-config", f"-config={config}").stdout, word


@pytest.mark.lab
def test_openbao_hands_the_seal_s_plugin_what_pod_identity_puts_into_the_pod(run, bao, tmp_path):
    plugins, config, seen = tmp_path / "plugins", tmp_path / "server.hcl", tmp_path / "seen"
    plugins.mkdir()
    # Not the plugin, which is of OpenBao's own: it tells what it was started with, and ends.
    stub = plugins / "openbao-plugin-kms-aws"
    stub.write_text(f"#!/bin/sh\nenv >{seen}\nexit 1\n")
    stub.chmod(0o700)
    plugin = plugin_stanza(hashlib.sha256(stub.read_bytes()).hexdigest()).replace("/openbao/plugins", str(plugins))
    seal, bare = run(lambda: seal_stanza(KEY, "me-central-1")), 'storage "inmem" {}\n'
    given = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/token",
    }

    config.write_text(bare + seal)
    without = bao("server", f"-config={config}", **given)
    assert "unknown wrapper: awskms" in without.stdout + without.stderr
    config.write_text(bare + plugin + seal)
    assert bao("server", f"-config={config}", **given).returncode != 0
    told = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    assert given.items() <= told.items()
