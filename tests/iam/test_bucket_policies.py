"""Who reaches a store's objects, decided on the policies that `bucket_policy` writes.

The policy denies and, but for deliveries, grants nothing: IAM grants. Each refusal differs from what is let through in
one thing.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from asked import (
    ACCOUNT,
    COLLEAGUES,
    ELSEWHERE,
    HOME,
    KEY,
    ORGANIZATION,
    OTHER_KEY,
    OTHERS,
    REGIME,
    STRANGERS,
    Who,
    grants,
    request,
    role,
    service,
)
from simulator import FULL_ACCESS, Decision, Document, Simulator

from falaj.components import LogSource
from falaj.components.bucket_policy import bucket_policy
from falaj.components.retention import LockMode, Retention, StoreKind

BUCKET = "arn:aws:s3:::dev-datasets"
OBJECT = f"{BUCKET}/images/one.png"
DATASET = Retention(StoreKind.DATASET, noncurrent_days=90)
LOCKED = Retention(StoreKind.MODEL_ARTIFACTS, noncurrent_days=90, lock_mode=LockMode.COMPLIANCE, lock_days=365)
RECORDS = Retention(StoreKind.LOGS, noncurrent_days=90, undeletable=True)
POLICY = bucket_policy(BUCKET, KEY, REGIME, DATASET)
TRAINER = role("trainer")
ALGORITHM, NAMED_KEY = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"


def asks(
    iam: Simulator,
    who: Who,
    action: str,
    context: Mapping[str, str] | None = None,
    *,
    resource: str = OBJECT,
    policy: Document = POLICY,
    granted: Document | None = FULL_ACCESS,
) -> Decision:
    """Decide a request to S3."""
    return iam.decide(
        who.arn,
        action,
        resource,
        account=ACCOUNT,
        identity_policies=[granted] if granted and who.arn.startswith("arn:") else [],
        resource_policy=policy,
        context={**who.context, **(request() if context is None else context)},
    )


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"])
def test_a_role_with_a_grant_works_with_objects_and_one_without_is_refused(iam, action):
    assert asks(iam, TRAINER, action)
    assert not asks(iam, TRAINER, action, granted=None)
    assert not asks(iam, TRAINER, action, granted=grants("s3:*", resource="arn:aws:s3:::dev-models/*"))


@pytest.mark.parametrize(
    ("who", "context", "by"),
    [
        (TRAINER, request() | {"aws:SecureTransport": "false"}, "DenyPlaintext"),
        (TRAINER, request(tls="1.1"), "DenyOldTls"),
        (TRAINER, request(ELSEWHERE), "DenyOutsideHomeRegion"),
        (role("trainer", COLLEAGUES), request(), "DenyOutsideAccount"),
        (role("trainer", STRANGERS, OTHERS), request(), "DenyOutsideAccount"),
        (role("trainer", organization=OTHERS), request(), "DenyOutsideOrganization"),
        (role("trainer", organization=None), request(), "DenyOutsideOrganization"),
    ],
    ids=["plain HTTP", "old TLS", "another region", "a colleague", "a stranger", "another organization", "none"],
)
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:PutBucketPolicy"])
def test_nobody_comes_in_plain_from_elsewhere_or_for_others(iam, who, context, by, action):
    resource = OBJECT if action.endswith("Object") else BUCKET
    assert asks(iam, TRAINER, action, resource=resource)

    decision = asks(iam, who, action, context, resource=resource)
    assert not decision
    assert f"resource:{by}" in decision.denied_by


def test_a_stranger_is_refused_even_where_a_careless_statement_would_let_them_in(iam):
    stranger = role("trainer", STRANGERS, OTHERS)
    allow = {"Effect": "Allow", "Principal": {"AWS": stranger.arn}, "Action": "s3:GetObject", "Resource": OBJECT}
    careless = {**POLICY, "Statement": [*POLICY["Statement"], allow]}
    alone = {**POLICY, "Statement": [allow]}
    assert asks(iam, stranger, "s3:GetObject", policy=alone)
    assert not asks(iam, stranger, "s3:GetObject", policy=careless)


def test_nobody_reads_without_a_name(iam):
    world = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": OBJECT}
    anonymous: Any = {"type": "Anonymous"}

    def reads(*statements: Document) -> bool:
        policy = {**POLICY, "Statement": [*statements, world]}
        return iam.decide(
            anonymous, "s3:GetObject", OBJECT, account=ACCOUNT, resource_policy=policy, context=request()
        ).allowed

    assert reads()
    assert not reads(*POLICY["Statement"])


@pytest.mark.parametrize(
    ("headers", "by"),
    [
        ({ALGORITHM: "AES256"}, ("resource:DenyOtherEncryption",)),
        ({ALGORITHM: "aws:kms", NAMED_KEY: OTHER_KEY}, ("resource:DenyOtherKeys",)),
        ({}, ()),
        ({ALGORITHM: "aws:kms", NAMED_KEY: KEY}, ()),
    ],
    ids=["another algorithm", "another key", "the default", "the key"],
)
def test_objects_are_written_under_the_key_of_the_store_alone(iam, headers, by):
    decision = asks(iam, TRAINER, "s3:PutObject", request(**headers))
    assert decision.denied_by == by
    assert decision.allowed is not bool(by)


def test_locks_of_models_are_neither_shortened_nor_weakened(iam):
    policy = bucket_policy(BUCKET, KEY, REGIME, LOCKED)

    def locks(mode: str, days: int) -> Decision:
        context = {"s3:object-lock-mode": mode, "s3:object-lock-remaining-retention-days": str(days)}
        return asks(iam, TRAINER, "s3:PutObjectRetention", request(**context), policy=policy)

    assert locks("COMPLIANCE", 365)
    assert locks("COMPLIANCE", 364).denied_by == ("resource:DenyShorterLocks",)
    assert locks("GOVERNANCE", 365).denied_by == ("resource:DenyOtherLockModes",)


@pytest.mark.parametrize("action", ["s3:DeleteObject", "s3:DeleteObjectVersion"])
def test_records_without_locks_are_deleted_by_nobody(iam, action):
    assert asks(iam, TRAINER, action)
    denied = asks(iam, TRAINER, action, policy=bucket_policy(BUCKET, KEY, REGIME, RECORDS)).denied_by
    assert denied == ("resource:DenyDeletion",)


_LOGS = f"arn:aws:logs:{HOME}:{ACCOUNT}:delivery"
DELIVERIES = {
    LogSource.CLOUDTRAIL: ("cloudtrail", f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/a", f"AWSLogs/{ACCOUNT}/a"),
    LogSource.CONFIG: ("config", "", f"AWSLogs/{ACCOUNT}/Config/a"),
    LogSource.GUARDDUTY: ("guardduty", f"arn:aws:guardduty:{HOME}:{ACCOUNT}:detector/a", "findings/a"),
    LogSource.MACIE: ("macie", f"arn:aws:macie2:{HOME}:{ACCOUNT}:classification-job/a", "results/a"),
    LogSource.FLOW_LOGS: ("delivery.logs", _LOGS, f"AWSLogs/{ACCOUNT}/a"),
    LogSource.RESOLVER_QUERIES: ("delivery.logs", _LOGS, f"AWSLogs/{ACCOUNT}/a"),
    LogSource.NETWORK_FIREWALL: ("delivery.logs", _LOGS, f"AWSLogs/{ACCOUNT}/a"),
    LogSource.NETWORK_LOAD_BALANCER: ("delivery.logs", _LOGS, f"AWSLogs/{ACCOUNT}/a"),
}
OWNED = request() | {"s3:x-amz-acl": "bucket-owner-full-control"}


@pytest.mark.parametrize("source", list(LogSource))
def test_a_service_delivers_records_of_our_account_only(iam, source):
    name, arn, path = DELIVERIES[source]
    policy = bucket_policy(BUCKET, KEY, REGIME, RECORDS, [source])
    delivering = service(f"{name}.amazonaws.com", arn=arn)

    def delivers(who: Who, resource: str = f"{BUCKET}/{path}", context: Mapping[str, str] = OWNED) -> Decision:
        return asks(iam, who, "s3:PutObject", context, resource=resource, policy=policy)

    # Each looks first whether the bucket is the right one.
    looks = "s3:GetBucketLocation" if name in {"guardduty", "macie"} else "s3:GetBucketAcl"
    assert delivers(delivering)
    assert asks(iam, delivering, looks, resource=BUCKET, policy=policy)

    assert not asks(iam, service("lambda.amazonaws.com", arn=arn), looks, resource=BUCKET, policy=policy)
    assert not delivers(service("lambda.amazonaws.com", arn=arn))
    assert not delivers(service(f"{name}.amazonaws.com", STRANGERS, OTHERS, arn))
    assert not delivers(service(f"{name}.amazonaws.com", COLLEAGUES, arn=arn))
    assert not delivers(service(f"{name}.amazonaws.com", STRANGERS, OTHERS, arn.replace(ACCOUNT, STRANGERS)))
    assert not delivers(delivering, context=OWNED | {"aws:SecureTransport": "false"})
    if arn:
        assert not delivers(service(f"{name}.amazonaws.com", arn=arn.replace(HOME, ELSEWHERE)))
    if path.startswith("AWSLogs"):
        assert not delivers(delivering, resource=f"{BUCKET}/{path.replace(ACCOUNT, STRANGERS)}")
        assert not delivers(delivering, context=request())  # the object would belong to the service
    assert not asks(iam, delivering, "s3:GetObject", resource=f"{BUCKET}/{path}", policy=policy)
    without = bucket_policy(BUCKET, KEY, REGIME, RECORDS)
    assert not asks(iam, delivering, "s3:PutObject", OWNED, resource=f"{BUCKET}/{path}", policy=without)


def test_a_service_that_works_for_others_is_refused_even_where_a_careless_statement_lets_it_in(iam):
    allow = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject"}
    careless = {**POLICY, "Statement": [*POLICY["Statement"], allow | {"Resource": f"{BUCKET}/*"}]}
    ours, theirs = service("cloudtrail.amazonaws.com"), service("cloudtrail.amazonaws.com", STRANGERS, OTHERS)
    assert asks(iam, ours, "s3:PutObject", policy=careless)
    assert asks(iam, theirs, "s3:PutObject", policy=careless).denied_by == ("resource:DenyServicesOfOthers",)


def test_the_organization_s_trail_delivers_what_its_other_accounts_did(iam):
    policy = bucket_policy(BUCKET, KEY, REGIME, RECORDS, [LogSource.CLOUDTRAIL])
    trail = service("cloudtrail.amazonaws.com", arn=f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/a")

    def delivers(folder: str) -> Decision:
        resource = f"{BUCKET}/AWSLogs/{folder}/{COLLEAGUES}/CloudTrail/a"
        return asks(iam, trail, "s3:PutObject", OWNED, resource=resource, policy=policy)

    assert delivers(ORGANIZATION)
    assert not delivers(OTHERS)
