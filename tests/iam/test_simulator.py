"""The judge judged: what AWS documents of IAM's evaluation, and that a question that proves nothing is refused."""

import json
import os
import subprocess

import pytest
from asked import ACCOUNT, HOME, KEY, STRANGERS, grants, role
from simulator import FULL_ACCESS, SOURCES, Document, command, installed

TRAINER = role("trainer").arn
OBJECT = "arn:aws:s3:::bucket/object"


def resource(effect: str = "Allow", action: str = "s3:GetObject", principal: str = TRAINER, **condition: object):
    statement = {"Effect": effect, "Principal": {"AWS": principal}, "Action": action, "Resource": "*"}
    policy: Document = {
        "Version": "2012-10-17",
        "Statement": [statement | ({"Condition": condition} if condition else {})],
    }
    return policy


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
@pytest.mark.parametrize(
    ("policies", "allowed"),
    [
        ({}, False),
        ({"identity_policies": [grants("s3:GetObject")]}, True),
        ({"identity_policies": [grants("s3:PutObject")]}, False),
        ({"resource_policy": resource()}, True),
        ({"resource_policy": resource(principal=role("other").arn)}, False),
        ({"identity_policies": [FULL_ACCESS], "resource_policy": resource("Deny")}, False),
        ({"identity_policies": [FULL_ACCESS], "permission_boundaries": [grants("s3:PutObject")]}, False),
        ({"identity_policies": [FULL_ACCESS], "permission_boundaries": [grants("s3:*")]}, True),
        ({"permission_boundaries": [FULL_ACCESS]}, False),
        ({"identity_policies": [FULL_ACCESS], "scps": [[FULL_ACCESS], [grants("ec2:*")]]}, False),
        ({"identity_policies": [FULL_ACCESS], "scps": [[FULL_ACCESS], [FULL_ACCESS]]}, True),
        ({"scps": [[FULL_ACCESS]]}, False),
    ],
)
def test_policies_count_together_as_aws_documents(iam, policies, allowed):
    assert iam.decide(TRAINER, "s3:GetObject", OBJECT, account=ACCOUNT, **policies).allowed is allowed


def test_another_account_s_caller_needs_a_grant_on_both_sides(iam):
    stranger = role("trainer", STRANGERS).arn
    both = {"identity_policies": [FULL_ACCESS], "resource_policy": resource(principal=stranger)}
    assert iam.decide(stranger, "s3:GetObject", OBJECT, account=ACCOUNT, **both)
    for missing in both:
        one = {name: policy for name, policy in both.items() if name != missing}
        assert not iam.decide(stranger, "s3:GetObject", OBJECT, account=ACCOUNT, **one)


def test_a_key_s_policy_alone_says_whether_iam_counts(iam):
    def decrypts(principal: str, granted: bool) -> bool:
        return iam.decide(
            TRAINER,
            "kms:Decrypt",
            KEY,
            account=ACCOUNT,
            identity_policies=[FULL_ACCESS] if granted else [],
            resource_policy=resource(action="kms:Decrypt", principal=principal),
        ).allowed

    assert decrypts(f"arn:aws:iam::{ACCOUNT}:root", granted=True)
    assert not decrypts(f"arn:aws:iam::{ACCOUNT}:root", granted=False)
    assert not decrypts(role("other").arn, granted=True)
    assert decrypts(TRAINER, granted=False)


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ({"StringNotEquals": {"aws:RequestedRegion": HOME}}, None, True),
        ({"StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}, None, True),
        ({"StringEquals": {"aws:RequestedRegion": HOME}}, None, False),
        ({"StringEqualsIfExists": {"aws:RequestedRegion": HOME}}, None, True),
        ({"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}, None, True),
        ({"Bool": {"aws:PrincipalIsAWSService": "false"}}, None, False),
        ({"Null": {"aws:RequestedRegion": "true"}}, None, True),
        ({"Null": {"aws:RequestedRegion": "false"}}, HOME, True),
        ({"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:*:*:log-group:*"}}, None, False),
    ],
)
def test_a_condition_on_what_is_not_there_holds_as_aws_documents(iam, condition, value, holds):
    context = {"aws:RequestedRegion": value} if value else {}
    decision = iam.decide(
        TRAINER,
        "kms:Decrypt",
        KEY,
        account=ACCOUNT,
        resource_policy=resource(action="kms:Decrypt", **condition),
        context=context,
    )
    assert decision.allowed is holds


@pytest.mark.parametrize(("group", "holds"), [("one", True), ("two", False)])
def test_an_encryption_context_counts(iam, group, holds):
    key, ours = "kms:EncryptionContext:aws:logs:arn", f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group"
    decision = iam.decide(
        TRAINER,
        "kms:Encrypt",
        KEY,
        account=ACCOUNT,
        resource_policy=resource(action="kms:Encrypt", ArnLike={key: f"{ours}:one*"}),
        context={key: f"{ours}:{group}"},
    )
    assert decision.allowed is holds


def test_a_question_that_would_prove_nothing_is_refused(iam):
    arguments = {"account": ACCOUNT, "identity_policies": [FULL_ACCESS]}
    with pytest.raises(AssertionError, match="has no condition key kms:ViaService"):
        iam.decide(TRAINER, "s3:GetObject", OBJECT, context={"kms:ViaService": "s3"}, **arguments)
    with pytest.raises(AssertionError, match="invalid"):
        iam.decide(TRAINER, "s3:GetObjekt", OBJECT, **arguments)
    with pytest.raises(AssertionError, match="resource"):
        iam.decide(TRAINER, "s3:GetObject", KEY, **arguments)


def test_the_simulator_is_what_the_lock_says():
    locked = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    for path, package in locked.items():
        if path:
            there = json.loads((installed() / path / "package.json").read_text())
            assert there["version"] == package["version"]
            assert package["integrity"].startswith("sha512-")
            assert "resolved" not in package  # names no registry


def test_a_killed_installation_is_done_again(tmp_path, monkeypatch):
    monkeypatch.setenv("FALAJ_CACHE", str(tmp_path))
    half = tmp_path / "iam-simulator" / "part-killed"
    half.mkdir(parents=True)
    (half / "decide.mjs").write_text("")
    done = subprocess.run(
        command(), input='{"principal": 1}\n', capture_output=True, text=True, env=os.environ, check=True
    )
    assert '"error"' in done.stdout
