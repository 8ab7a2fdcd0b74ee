"""Residency: what its rules look through."""

import pytest
from policies.making import AWS_PROVIDER, DEPLOYMENT, HOME, KEY, container, make, pod, urn, verdict
from policies.placing import BUCKET, ELSEWHERE, buckets

from falaj.policies.model import Verdict
from falaj.policies.values import UNKNOWN

TRAIL = "aws:cloudtrail/trail:Trail"


def test_a_region_that_nobody_states_is_elsewhere() -> None:
    assert verdict("FJ-RES-001", [make(KEY, {}, provider={})]) is Verdict.FAIL
    assert verdict("FJ-RES-001", [make(KEY, {}, provider=None)]) is Verdict.FAIL


def test_home_regions_and_accounts_can_be_set() -> None:
    assert verdict("FJ-RES-001", [make(KEY, {"region": "me-south-1"})], homeRegions=["me-south-1"]) is Verdict.PASS
    assert verdict("FJ-RES-002", [make(AWS_PROVIDER, HOME)], allowedAccounts=["999999999999"]) is Verdict.FAIL


def test_a_regime_brings_its_home_and_a_home_that_is_set_comes_before_it() -> None:
    dublin = [make(KEY, {"region": "eu-west-1"})]
    assert verdict("FJ-RES-001", dublin, regime="gdpr") is Verdict.PASS
    assert verdict("FJ-RES-001", dublin, regime="uae-general") is Verdict.FAIL
    assert verdict("FJ-RES-001", dublin, regime="gdpr", homeRegions=["eu-central-1"]) is Verdict.FAIL


def test_hosts_outside_aws_are_at_home_where_a_person_says_so() -> None:
    vault = [make("pulumi:providers:vault", {"address": "https://vault.bank.example.ae"})]
    assert verdict("FJ-RES-004", vault) is Verdict.FAIL
    assert verdict("FJ-RES-004", vault, homeDomains=[".bank.example.ae"]) is Verdict.PASS
    assert verdict("FJ-RES-004", vault, homeDomains=["bank.example.ae"]) is Verdict.FAIL


@pytest.mark.parametrize(
    ("backend", "found"),
    [
        ("s3://states?region=me-central-1", Verdict.PASS),
        ("s3://states?region=eu-west-1&awssdk=v2", Verdict.FAIL),
        ("s3://states", Verdict.UNDETERMINED),
        ("file:///var/states", Verdict.PASS),
        ("https://api.pulumi.com", Verdict.FAIL),
        ("azblob://states", Verdict.FAIL),
        ("gs://states", Verdict.FAIL),
        ("", Verdict.NOT_APPLICABLE),
    ],
)
def test_the_state_is_where_its_backend_says(backend: str, found: Verdict) -> None:
    assert verdict("FJ-RES-006", [make(AWS_PROVIDER, HOME)], stateBackend=backend) is found


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("awskms://alias/state?region=me-central-1", Verdict.PASS),
        ("awskms:///arn:aws:kms:eu-west-1:123456789012:key/1", Verdict.FAIL),
        ("awskms://alias/state", Verdict.UNDETERMINED),
        ("hashivault://state", Verdict.PASS),
        ("gcpkms://projects/p", Verdict.FAIL),
    ],
)
def test_the_state_s_key_is_where_its_url_says(key: str, found: Verdict) -> None:
    assert verdict("FJ-RES-006", [make(AWS_PROVIDER, HOME)], secretsProvider=key) is found


def test_what_is_not_known_yet_is_judged_by_where_it_comes_from() -> None:
    """A bucket's name is unknown at a preview; which bucket it is of is not."""
    home, away = buckets()

    def trail(*origins: str) -> list:
        found = make(TRAIL, {"s3BucketName": UNKNOWN})
        links = {"s3BucketName": frozenset(origins)}
        return [type(found)(found.type, found.urn, found.name, found.properties, found.provider, links), home, away]

    assert verdict("FJ-RES-060", trail(home.urn)) is Verdict.PASS
    assert verdict("FJ-RES-060", trail(away.urn)) is Verdict.FAIL
    assert verdict("FJ-RES-060", trail(home.urn, away.urn)) is Verdict.UNDETERMINED
    assert verdict("FJ-RES-060", trail(urn(BUCKET, "unseen"))) is Verdict.UNDETERMINED
    assert verdict("FJ-RES-060", trail(home.urn, urn("pulumi:pulumi:StackReference"))) is Verdict.UNDETERMINED
    assert verdict("FJ-RES-060", trail(home.urn, urn("aws:iam/role:Role"))) is Verdict.PASS
    assert verdict("FJ-RES-060", trail()) is Verdict.UNDETERMINED


def test_a_bucket_of_another_stack_is_not_known_to_be_at_home() -> None:
    assert verdict("FJ-RES-060", [make(TRAIL, {"s3BucketName": "theirs"})]) is Verdict.UNDETERMINED


def test_a_directory_bucket_says_its_zone_in_its_name() -> None:
    location = "aws:datasync/s3Location:S3Location"
    for zone, found in (("mec1-az1", Verdict.PASS), ("use1-az4", Verdict.FAIL)):
        name = {"s3BucketArn": f"arn:aws:s3:::data--{zone}--x-s3"}
        assert verdict("FJ-RES-070", [make(location, name)]) is found


def test_a_key_s_id_or_alias_is_of_the_region_of_what_uses_it() -> None:
    queue = "aws:sqs/queue:Queue"
    assert verdict("FJ-RES-010", [make(queue, {"kmsMasterKeyId": "alias/data"})]) is Verdict.PASS
    assert verdict("FJ-RES-010", [make(queue, {"kmsMasterKeyId": "alias/data"}, provider=ELSEWHERE)]) is Verdict.FAIL
    assert verdict("FJ-RES-010", [make(queue, {"kmsMasterKeyId": "mrk-0123"})]) is Verdict.FAIL


def test_a_reviewed_provider_is_known_to_stay() -> None:
    other = [make("pulumi:providers:keycloak", {})]
    assert verdict("FJ-RES-005", other) is Verdict.UNDETERMINED
    assert verdict("FJ-RES-005", other, knownProviders=["keycloak"]) is Verdict.PASS
    assert verdict("FJ-RES-005", [make("pulumi:pulumi:Stack", {})]) is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("LOG_LEVEL", "info", Verdict.NOT_APPLICABLE),
        ("MODEL_PATH", "/models/v1.2", Verdict.NOT_APPLICABLE),
        ("NOTES", "see https://docs.example.com/a", Verdict.FAIL),
        ("COLLECTOR_HOST", "otel-collector", Verdict.NOT_APPLICABLE),
        ("COLLECTOR_HOST", "intake.example.com", Verdict.FAIL),
        ("SENTRY_DSN", "https://key@errors.example.com/1", Verdict.FAIL),
        ("QUEUE_URL", "https://sqs.me-central-1.amazonaws.com/1/q", Verdict.PASS),
        ("EXPORTER_ENDPOINT", "http://$(HOST_IP):4317", Verdict.UNDETERMINED),
        ("GREETING", UNKNOWN, Verdict.NOT_APPLICABLE),
    ],
)
def test_an_environment_is_read_by_names_and_by_urls(name: str, value: object, found: Verdict) -> None:
    one = make(DEPLOYMENT, pod(container(env=[{"name": name, "value": value}])))
    assert verdict("FJ-RES-065", [one]) is found
