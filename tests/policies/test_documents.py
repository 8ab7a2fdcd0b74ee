"""Policy documents are understood as AWS understands them, not matched as text."""

import json
from typing import Any

import pytest

from falaj.policies.documents import Statement, statements
from falaj.policies.values import UNKNOWN, View


def statement(**parts: Any) -> Statement:
    return Statement(View({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"} | parts, "policy"))


def bounded_by(operator: str, key: str, value: Any) -> Statement:
    return statement(Principal="*", Condition={operator: {key: value}})


@pytest.mark.parametrize(
    "principal",
    ["*", {"AWS": "*"}, {"AWS": ["arn:aws:iam::123456789012:root", "*"]}, {"Federated": "*"}],
)
def test_a_wildcard_principal_is_anyone(principal: Any) -> None:
    assert statement(Principal=principal).open_to_anyone().truth is True


@pytest.mark.parametrize(
    "principal", [{"AWS": "arn:aws:iam::123456789012:root"}, {"Service": "ec2.amazonaws.com"}, {"AWS": "123456789012"}]
)
def test_a_named_principal_is_not_anyone(principal: Any) -> None:
    assert statement(Principal=principal).open_to_anyone().truth is False


def test_allowing_everyone_but_some_is_anyone() -> None:
    but_one = {"NotPrincipal": {"AWS": "arn:aws:iam::123456789012:user/one"}}
    assert statement(**but_one).open_to_anyone().truth is True
    assert statement(**but_one, Effect="Deny").open_to_anyone().truth is False


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("StringEquals", "aws:PrincipalAccount", "123456789012"),
        ("stringequals", "AWS:PRINCIPALORGID", ["o-1", "o-2"]),
        ("ArnLike", "aws:SourceArn", "arn:aws:s3:::data"),
        ("StringLike", "aws:PrincipalArn", "arn:aws:iam::123456789012:role/*"),
        ("ForAnyValue:StringEquals", "aws:PrincipalOrgPaths", "o-1/r-1/ou-1/"),
    ],
)
def test_a_condition_that_names_the_caller_bounds(operator: str, key: str, value: Any) -> None:
    assert bounded_by(operator, key, value).open_to_anyone().truth is False


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("StringNotEquals", "aws:PrincipalAccount", "123456789012"),
        ("StringEqualsIfExists", "aws:PrincipalAccount", "123456789012"),
        ("ForAllValues:StringEquals", "aws:PrincipalOrgPaths", "o-1/r-1/ou-1/"),
        ("StringLike", "aws:PrincipalArn", "*"),
        ("StringLike", "aws:PrincipalArn", "arn:aws:iam::*:role/admin"),
        ("StringEquals", "aws:UserAgent", "ours"),
        ("Bool", "aws:SecureTransport", "true"),
        ("StringLike", "aws:PrincipalOrgID", ["o-1", "*"]),
    ],
)
def test_a_condition_that_anyone_can_meet_does_not_bound(operator: str, key: str, value: Any) -> None:
    assert bounded_by(operator, key, value).open_to_anyone().truth is True


def test_an_unknown_condition_leaves_a_wildcard_undecided_and_a_named_principal_decided() -> None:
    assert statement(Principal="*", Condition=UNKNOWN).open_to_anyone().truth is None
    assert statement(Principal={"AWS": "123456789012"}, Condition=UNKNOWN).open_to_anyone().truth is False


def test_allowing_all_actions_but_some_is_every_action() -> None:
    assert Statement(View({"Effect": "Allow", "NotAction": "iam:*"})).grants_every_action().truth is True
    assert statement(Action=["s3:*", "*:*"]).grants_every_action().truth is True
    assert statement(Action="s3:*").grants_every_action().truth is False
    assert statement(Effect="Deny", Action="*").grants_every_action().truth is False


def test_text_and_objects_are_read_alike() -> None:
    document = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}}
    for given in (document, json.dumps(document)):
        assert [found.open_to_anyone().truth for found in statements(View(given, "policy"))] == [True]


@pytest.mark.parametrize(
    "text",
    ["not json", "[" * 100_000, '{"Statement": [{"Effect": "Deny", "Effect": "Allow", "Principal": "*"}]}', '"text"'],
    ids=["no JSON", "too deep", "a name twice", "no object"],
)
def test_text_that_is_no_document_is_undecided(text: str) -> None:
    assert [found.open_to_anyone().truth for found in statements(View(text, "policy"))] == [None]


DENIAL = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def test_a_denial_without_tls_is_recognised() -> None:
    assert Statement(View(DENIAL)).denies_plaintext().truth is True
    assert Statement(View(DENIAL | {"Resource": "*", "Action": "*"})).denies_plaintext().truth is True


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {"Action": "s3:PutObject"},
        {"Resource": "arn:aws:s3:::data/*"},
        {"Resource": "arn:aws:s3:::data"},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:PrincipalAccount": "1"}}},
        {"Condition": None},
    ],
    ids=str,
)
def test_a_denial_that_leaves_a_way_without_tls_is_none(change: dict[str, Any]) -> None:
    assert Statement(View(DENIAL | change)).denies_plaintext().truth is False
