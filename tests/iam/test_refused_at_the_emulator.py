"""Refused by an AWS that enforces IAM: real requests, signed by roles and users, to what Pulumi made of our components.

The AWS is emulated: moto finds out who calls and holds the policies, the simulator decides.
"""

import json
import urllib.error
import urllib.request

import pytest
from enforced import ELSEWHERE, FULL, Enforced, refusal, session

from falaj.lab.state import ACCOUNT

pytestmark = pytest.mark.lab
BODY = b"one picture"


@pytest.fixture(scope="module")
def stored(enforced: Enforced) -> str:
    """An object that is there to be read."""
    enforced.client("s3", enforced.role("reader")).put_object(Bucket=enforced.bucket, Key="stored", Body=BODY)
    return "stored"


def test_a_role_with_grants_on_store_and_key_reads_and_writes(enforced, stored):
    s3 = enforced.client("s3", enforced.role("reader"))
    answer = s3.get_object(Bucket=enforced.bucket, Key=stored)
    assert answer["Body"].read() == BODY
    assert answer["SSEKMSKeyId"] == enforced.key
    s3.put_object(Bucket=enforced.bucket, Key="another", Body=b"")


@pytest.mark.parametrize("operation", ["get_object", "put_object", "head_object"])
def test_a_role_without_a_grant_is_refused(enforced, stored, operation):
    s3 = enforced.client("s3", enforced.role("ungranted"))
    code, _ = refusal(getattr(s3, operation), Bucket=enforced.bucket, Key=stored)
    assert code == ("403" if operation == "head_object" else "AccessDenied")  # a HEAD has no body to say it in
    with pytest.raises(AssertionError, match="let through"):
        reader = enforced.client("s3", enforced.role("reader"))
        refusal(getattr(reader, operation), Bucket=enforced.bucket, Key=stored)


@pytest.mark.parametrize(("operation", "asked"), [("get_object", "kms:Decrypt"), ("put_object", "kms:GenerateDataKey")])
def test_a_grant_on_the_store_without_one_on_its_key_is_worth_nothing(enforced, stored, operation, asked):
    s3 = enforced.client("s3", enforced.role("keyless"))
    s3.list_objects_v2(Bucket=enforced.bucket)
    code, said = refusal(getattr(s3, operation), Bucket=enforced.bucket, Key=stored)
    assert code == "AccessDenied"
    assert f"{asked} on resource: {enforced.key}" in said


@pytest.mark.parametrize("who", ["stranger", "colleague"])
def test_another_account_is_refused_at_store_and_key_whatever_it_grants_itself(enforced, stored, who):
    s3, kms = (enforced.client(service, getattr(enforced, who)) for service in ("s3", "kms"))
    code, said = refusal(s3.get_object, Bucket=enforced.bucket, Key=stored)
    assert (code, "DenyOutsideAccount" in said) == ("AccessDenied", True)
    code, said = refusal(s3.put_object, Bucket=enforced.bucket, Key="theirs", Body=b"")
    assert (code, "DenyOutsideAccount" in said) == ("AccessDenied", True)
    code, said = refusal(kms.generate_data_key, KeyId=enforced.key, KeySpec="AES_256")
    assert (code, "DenyOutsideAccount" in said) == ("AccessDeniedException", True)
    assert refusal(kms.put_key_policy, KeyId=enforced.key, PolicyName="default", Policy="{}")[0] == (
        "AccessDeniedException"
    )
    assert "DenyOutsideOrganization" in said or who == "colleague"
    kms.create_key()  # what it may in its own account


def test_another_region_is_refused_at_store_and_key(enforced, stored):
    reader = enforced.role("reader")
    code, said = refusal(enforced.client("s3", reader, ELSEWHERE).get_object, Bucket=enforced.bucket, Key=stored)
    assert (code, "DenyOutsideHomeRegion" in said) == ("AccessDenied", True)
    kms = enforced.client("kms", reader, ELSEWHERE)
    code, said = refusal(kms.encrypt, KeyId=enforced.named, Plaintext=b"root key")
    assert (code, "DenyOutsideHomeRegion" in said) == ("AccessDeniedException", True)


def test_nobody_uses_the_store_s_key_without_the_store(enforced):
    for who in ("reader", "keeper", "unguarded"):
        kms = enforced.client("kms", enforced.role(who))
        assert refusal(kms.generate_data_key, KeyId=enforced.key, KeySpec="AES_256")[0] == "AccessDeniedException"
    assert refusal(enforced.root("kms").encrypt, KeyId=enforced.key, Plaintext=b"")[0] == "AccessDeniedException"


def test_another_encryption_is_refused(enforced):
    s3 = enforced.client("s3", enforced.role("reader"))
    of = {"Bucket": enforced.bucket, "Key": "other", "Body": b""}
    code, said = refusal(s3.put_object, **of, ServerSideEncryption="AES256")
    assert (code, "DenyOtherEncryption" in said) == ("AccessDenied", True)
    code, said = refusal(s3.put_object, **of, ServerSideEncryption="aws:kms", SSEKMSKeyId=enforced.named)
    assert (code, "DenyOtherKeys" in said) == ("AccessDenied", True)
    s3.put_object(**of, ServerSideEncryption="aws:kms", SSEKMSKeyId=enforced.key)


def test_users_use_and_administrators_administer_and_neither_does_the_other_s(enforced):
    user, keeper, other = (enforced.client("kms", enforced.role(name)) for name in ("reader", "keeper", "unguarded"))
    sealed = user.encrypt(KeyId=enforced.named, Plaintext=b"root key")["CiphertextBlob"]
    assert user.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"root key"
    for kms in (keeper, other, enforced.root("kms")):
        assert refusal(kms.encrypt, KeyId=enforced.named, Plaintext=b"")[0] == "AccessDeniedException"
        assert refusal(kms.decrypt, CiphertextBlob=sealed)[0] == "AccessDeniedException"

    keeper.disable_key(KeyId=enforced.named)
    keeper.enable_key(KeyId=enforced.named)
    for kms in (user, other, enforced.root("kms")):
        assert refusal(kms.disable_key, KeyId=enforced.named)[0] == "AccessDeniedException"
        assert refusal(kms.schedule_key_deletion, KeyId=enforced.named)[0] == "AccessDeniedException"


def test_not_even_an_administrator_copies_a_key(enforced):
    keeper = enforced.client("kms", enforced.role("keeper"))
    code, said = refusal(keeper.replicate_key, KeyId=enforced.named, ReplicaRegion=ELSEWHERE)
    assert (code, "DenyCopies" in said) == ("AccessDeniedException", True)


def test_a_boundary_holds_a_role_to_the_home_region(enforced):
    guarded, unguarded = enforced.role("guarded"), enforced.role("unguarded")
    for service, operation in (("kms", "create_key"), ("ec2", "describe_vpcs")):
        getattr(enforced.client(service, guarded), operation)()
        getattr(enforced.client(service, unguarded, ELSEWHERE), operation)()
        code, _ = refusal(getattr(enforced.client(service, guarded, ELSEWHERE), operation))
        assert code == ("AccessDeniedException" if service == "kms" else "AccessDenied")
    enforced.client("s3", guarded, ELSEWHERE).list_buckets()  # stays reachable


def test_a_service_control_policy_holds_an_account_of_the_organization_to_the_home_region(enforced):
    enforced.client("kms", enforced.colleague).create_key()
    code, said = refusal(enforced.client("kms", enforced.colleague, ELSEWHERE).create_key)
    assert (code, "scp:HomeRegionOnly" in said) == ("AccessDeniedException", True)
    enforced.client("iam", enforced.colleague, "us-east-1").list_roles()  # stays reachable
    enforced.client("kms", enforced.stranger, ELSEWHERE).create_key()  # whom it does not bind


def test_a_role_is_assumed_by_its_team_with_a_grant_and_by_nobody_else(enforced):
    assume = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    reader = f"arn:aws:iam::{ACCOUNT}:role/reader"
    teammate = enforced.user(ACCOUNT, assume, name="teammate", team="vision")
    session(enforced.client("sts", teammate), reader)
    others = [
        enforced.user(ACCOUNT, assume, name="of-another-team", team="speech"),
        enforced.user(ACCOUNT, name="without-a-grant", team="vision"),
        enforced.stranger,
    ]
    for who in others:
        call = enforced.client("sts", who).assume_role
        assert refusal(call, RoleArn=reader, RoleSessionName="proof")[0] == "AccessDenied"


def test_a_wrong_signature_and_an_unknown_key_are_refused(enforced, stored):
    identifier, _, token = enforced.role("reader")
    of = {"Bucket": enforced.bucket, "Key": stored}
    assert refusal(enforced.client("s3", (identifier, "wrong", token)).get_object, **of)[0] == "SignatureDoesNotMatch"
    assert refusal(enforced.client("s3", (identifier, "wrong", "token")).get_object, **of)[0] == "InvalidToken"
    unknown = ("AKIAUNKNOWNUNKNOWN00", "secret", None)
    assert refusal(enforced.client("s3", unknown).get_object, **of)[0] == "InvalidAccessKeyId"


def test_nobody_reads_without_a_name(enforced, stored):
    address = f"{enforced.endpoint}/{enforced.bucket}/{stored}"
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=30)
    assert error.value.code == 403


def test_a_policy_that_is_loosened_lets_through_what_was_refused(enforced, stored):
    s3 = enforced.root("s3")
    strict = s3.get_bucket_policy(Bucket=enforced.bucket)["Policy"]
    allow = {**FULL["Statement"][0], "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/ungranted"}}
    loose = {**FULL, "Statement": [{**allow, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{enforced.bucket}"}]}
    ungranted = enforced.client("s3", enforced.role("ungranted"))
    assert refusal(ungranted.list_objects_v2, Bucket=enforced.bucket)[0] == "AccessDenied"
    s3.put_bucket_policy(Bucket=enforced.bucket, Policy=json.dumps(loose))
    try:
        ungranted.list_objects_v2(Bucket=enforced.bucket)
    finally:
        s3.put_bucket_policy(Bucket=enforced.bucket, Policy=strict)
