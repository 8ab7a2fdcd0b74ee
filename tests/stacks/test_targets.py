"""The providers of a target."""

import pytest
from test_platform_config import raw

from platform_config import read_config
from targets import MissingVariableError, aws_arguments, make_providers

LAB = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5000", "KUBECONFIG": "/k", "VAULT_ADDR": "https://127.0.0.1:8200"}


@pytest.mark.parametrize("variable", sorted(LAB))
def test_outside_the_lab_one_line_says_how_to_get_in(variable):
    without = {name: value for name, value in LAB.items() if name != variable}
    with pytest.raises(MissingVariableError, match=f"^{variable} is not set: run inside `falaj-lab exec -- ...`$"):
        make_providers(read_config(raw()), without)


def test_on_aws_a_vault_is_needed_as_well():
    with pytest.raises(MissingVariableError, match=r"^VAULT_ADDR is not set: set it to your Vault's address"):
        make_providers(read_config(raw("prod")), {})


def test_region_account_and_tags_are_pinned_on_the_provider():
    arguments = aws_arguments(read_config(raw("prod")), None)
    assert arguments.region == "me-central-1"
    assert arguments.allowed_account_ids == ["123456789012"]
    assert arguments.default_tags.tags == {
        "owner": "ml-platform",
        "cost-centre": "cc-1002",
        "environment": "prod",
        "classification": "restricted",
        "regime": "uae-restricted",
    }


def test_on_aws_no_endpoint_is_replaced_and_nothing_is_skipped():
    arguments = aws_arguments(read_config(raw("prod")), None)
    assert arguments.endpoints is None
    assert not arguments.skip_metadata_api_check


def test_in_the_lab_every_service_is_at_the_labs_address():
    (endpoints,) = aws_arguments(read_config(raw()), "http://127.0.0.1:5000").endpoints
    for service in ("ec2", "eks", "iam", "kms", "logs", "s3", "sts"):
        assert getattr(endpoints, service) == "http://127.0.0.1:5000"
