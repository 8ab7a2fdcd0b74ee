"""Where things are, read from what names them."""

import pytest

from falaj.policies.residency import places
from falaj.policies.residency.places import GLOBAL, HERE


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("arn:aws:kms:me-central-1:123456789012:key/1", "me-central-1"),
        ("arn:aws-cn:sqs:cn-north-1:123456789012:queue", "cn-north-1"),
        ("arn:aws:s3:eu-west-1:123456789012:accesspoint/one", "eu-west-1"),
        ("arn:aws:s3::123456789012:accesspoint/abc.mrap", GLOBAL),
        ("arn:aws:cloudfront::123456789012:distribution/E1", GLOBAL),
    ],
)
def test_an_arn_says_where_its_resource_is(text: str, place: str) -> None:
    assert places.arn(text) == place


@pytest.mark.parametrize("text", ["arn:aws:s3:::data", "arn:aws:sns", "data", ""])
def test_a_bucket_s_arn_and_other_text_do_not(text: str) -> None:
    with pytest.raises(ValueError):
        places.arn(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("me-central-1a", "me-central-1"),
        ("me-central-1", "me-central-1"),
        ("mec1-az2", "me-central-1"),
        ("use1-az4", "us-east-1"),
        ("apne3-az1", "ap-northeast-3"),
        ("usgw1-az1", "us-gov-west-1"),
        ("us-east-1-mia-1a", "us-east-1-mia-1a"),
        ("use1-mia1-az1", "use1-mia1-az1"),
    ],
)
def test_a_zone_is_of_its_region_and_a_local_zone_is_a_place_of_its_own(text: str, place: str) -> None:
    assert places.zone(text) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("123456789012.dkr.ecr.me-central-1.amazonaws.com/app:1", "me-central-1"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws/app", "eu-west-1"),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/app@sha256:0", "us-east-1"),
        ("nginx", "docker.io"),
        ("library/nginx:1.0", "docker.io"),
        ("ghcr.io/acme/app", "ghcr.io"),
        ("localhost:5000/app", HERE),
        ("registry.registry.svc:5000/app", HERE),
        ("public.ecr.aws/nginx/nginx", "public.ecr.aws"),
    ],
)
def test_an_image_comes_from_the_host_of_its_registry(text: str, place: str) -> None:
    assert places.image(text) == place


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("https://sqs.me-central-1.amazonaws.com/1/q", "me-central-1"),
        ("https://data.s3-eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://us-east-1.s3.me-central-1.amazonaws.com", "me-central-1"),
        ("https://sts.amazonaws.com", GLOBAL),
        ("https://abc.lambda-url.eu-west-1.on.aws/", "eu-west-1"),
        ("http://collector:4317", HERE),
        ("collector.telemetry.svc.cluster.local:4317", HERE),
        ("http://10.0.0.1:80", HERE),
        ("http://[::1]:80", HERE),
        ("http://[fd00::1]/", HERE),
        ("https://user:password@otlp.example.com:4317/v1", "otlp.example.com"),
        ("8.8.8.8", "8.8.8.8"),
        ("jdbc:postgresql://db.example.com/app", "db.example.com"),
        ("unix:///run/agent.sock", HERE),
        ("https://fake.amazonaws.com.example.com/me-central-1", "fake.amazonaws.com.example.com"),
    ],
)
def test_a_url_leads_to_its_host(text: str, place: str) -> None:
    assert places.url(text) == place


@pytest.mark.parametrize("text", ["http://$(HOST_IP):4317", "s3://data/x", "", "https://", "http://{host}/"])
def test_a_url_without_a_host_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError):
        places.url(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("com.amazonaws.me-central-1.s3", "me-central-1"),
        ("com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0", "eu-west-1"),
        ("aws.sagemaker.us-east-1.notebook", "us-east-1"),
        ("com.amazonaws.s3-global.accesspoint", GLOBAL),
    ],
)
def test_the_name_of_an_endpoint_service_holds_its_region(text: str, place: str) -> None:
    assert places.endpoint_service(text) == place


def test_each_region_has_one_country() -> None:
    assert places.country("me-central-1") == "AE"
    assert places.country("eu-west-1") == "IE"
    assert places.country("otlp.example.com") == ""
    assert all(len(country) == 2 for country in places.REGIONS.values())
