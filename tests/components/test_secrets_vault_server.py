"""How the server is set up for production: sealed by a KMS key, audited twice."""

import pytest
from component_samples import KEY

from falaj.components import ConfigError
from falaj.components.vault_server import audit_stanzas, helm_values, seal_stanza


def test_the_seal_is_the_key_in_its_region_and_holds_no_credentials(run):
    assert run(lambda: seal_stanza(KEY, "me-central-1")) == (
        'seal "awskms" {\n  region = "me-central-1"\n  kms_key_id = "arn:aws:kms:me-central-1:123456789012:key/1"\n}\n'
    )


def test_a_key_for_less_than_restricted_data_does_not_seal(run):
    with pytest.raises(ConfigError, match="must be a key classified restricted or higher"):
        run(lambda: seal_stanza({**KEY, "classification": "internal"}, "me-central-1"))


def test_the_charts_values_have_the_seal_two_audit_devices_and_the_pods_role(run):
    values = run(lambda: helm_values(KEY, "me-central-1", "arn:aws:iam::123456789012:role/vault"))
    config = values["server"]["ha"]["raft"]["config"]
    assert 'seal "awskms"' in config
    assert config.count('audit "file"') == audit_stanzas().count('audit "file"') == 2
    annotations = values["server"]["serviceAccount"]["annotations"]
    assert annotations == {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/vault"}
    assert values["server"]["auditStorage"] == {"enabled": True, "mountPath": "/vault/audit"}
