"""The endpoints' policies: our identities, our resources, the home region."""

import pytest
from component_samples import REGIME

from falaj.components.network_endpoints import ENDPOINTS, endpoint_policy, s3_endpoint_policy

ORGANIZATION = {**REGIME, "organization_id": "o-a1b2c3d4e5"}
US = {"aws:PrincipalAccount": "123456789012", "aws:RequestedRegion": "me-central-1"}


@pytest.mark.parametrize("service", ENDPOINTS)
def test_whoever_passes_an_endpoint_is_ours_and_stays_in_the_home_region(service):
    for regime, members in ((REGIME, {}), (ORGANIZATION, {"aws:PrincipalOrgID": "o-a1b2c3d4e5"})):
        for statement in endpoint_policy(regime, service)["Statement"]:
            assert statement["Effect"] == "Allow"
            assert (US | members).items() <= statement["Condition"]["StringEquals"].items()


@pytest.mark.parametrize("service", ENDPOINTS)
def test_no_endpoint_leads_to_a_strangers_resource_but_to_what_aws_offers_by_name(service):
    for regime, bound in (
        (REGIME, ("aws:ResourceAccount", "123456789012")),
        (ORGANIZATION, ("aws:ResourceOrgID", "o-a1b2c3d4e5")),
    ):
        own, *theirs = endpoint_policy(regime, service)["Statement"]
        assert bound in own["Condition"]["StringEquals"].items()
        for statement in theirs:
            resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            assert all(resource.startswith("arn:aws:") and resource != "*" for resource in resources)
            assert "*" not in "".join(statement["Action"])


def test_the_images_of_add_ons_come_from_the_regions_account_of_aws():
    _, images = endpoint_policy(REGIME, "ecr.dkr")["Statement"]
    assert images["Resource"] == "arn:aws:ecr:me-central-1:759879836304:repository/*"
    _, images = endpoint_policy({**REGIME, "home_region": "eu-central-1"}, "ecr.api")["Statement"]
    assert images["Resource"] == "arn:aws:ecr:eu-central-1:602401143452:repository/*"


def test_the_s3_endpoint_is_no_way_out_to_a_strangers_bucket():
    own, layers = s3_endpoint_policy(REGIME)["Statement"]
    assert own["Condition"]["StringEquals"] == {**US, "aws:ResourceAccount": "123456789012"}
    assert layers["Action"] == "s3:GetObject"
    assert layers["Resource"] == "arn:aws:s3:::prod-me-central-1-starport-layer-bucket/*"
