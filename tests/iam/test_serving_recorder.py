"""What a service's recorder reaches in AWS, decided on the document that the component writes."""

import pytest
from asked import ACCOUNT, ELSEWHERE, HOME, KEY, OTHER_KEY, REGIME, request, role

from falaj.components.key_policy import key_policy
from falaj.components.key_uses import KeyUse
from falaj.components.serving_recorder_role import log_permissions

BUCKET = "arn:aws:s3:::prod-models"
LOG = "vision/detector/audit/"
EVENT = f"{BUCKET}/{LOG}0000000007.json"
ROLE = role("detector-recorder-identity")
FREE = {"s3:if-none-match": "*"}
"""What a write on the condition that nothing is there yet says of itself."""


@pytest.fixture
def does(iam):
    def decide(action: str, resource: str, **context: str):
        return iam.decide(
            ROLE.arn,
            action,
            resource,
            account=ACCOUNT,
            identity_policies=[log_permissions(REGIME, BUCKET, KEY, LOG)],
            resource_policy=key_policy(REGIME, [KeyUse.S3]) if action.startswith("kms:") else None,
            context=ROLE.context | context,
        )

    return decide


def test_events_are_added_where_none_is_and_written_over_nowhere(does):
    assert does("s3:PutObject", EVENT, **request(), **FREE)
    assert not does("s3:PutObject", EVENT, **request())
    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectRetention"):
        assert not does(action, EVENT, **request())


@pytest.mark.parametrize(
    "other", ["vision/detector/4/manifest.sealed", "vision/detector-two/audit/0000000001.json", "speech/x/audit/1.json"]
)
def test_nothing_but_the_log_of_the_one_model_is_read_or_written(does, other):
    assert does("s3:GetObject", EVENT, **request())
    assert not does("s3:GetObject", f"{BUCKET}/{other}", **request())
    assert not does("s3:PutObject", f"{BUCKET}/{other}", **request(), **FREE)


def test_the_log_is_listed_and_nothing_else_is(does):
    assert does("s3:ListBucket", BUCKET, **request(), **{"s3:prefix": LOG})
    for prefix in ("vision/detector/", "vision/", ""):
        assert not does("s3:ListBucket", BUCKET, **request(), **{"s3:prefix": prefix})


def test_the_store_s_key_is_used_through_s3_alone_and_opens_no_model(does):
    through = {"kms:ViaService": f"s3.{HOME}.amazonaws.com", "aws:RequestedRegion": HOME}
    of_bucket = {"kms:EncryptionContext:aws:s3:arn": BUCKET}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert does(action, KEY, **through, **of_bucket)
        assert not does(action, KEY, **{**through, "kms:ViaService": f"s3.{ELSEWHERE}.amazonaws.com"}, **of_bucket)
        assert not does(action, OTHER_KEY, **through, **of_bucket)
        # A model's seal names tenant, model and version, and is opened by the key itself.
        assert not does(action, KEY, **{"aws:RequestedRegion": HOME, "kms:EncryptionContext:falaj:model": "detector"})
