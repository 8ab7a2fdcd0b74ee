"""Policy documents are understood as AWS understands them, not matched as text."""

import json
from typing import Any

import pytest

from falaj.policies.documents import Document, Statement, statements
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


def read(*statements: dict[str, Any], version: Any = "2012-10-17") -> Document:
    given = [{"Effect": "Allow", "Action": "*", "Resource": "*"} | each for each in statements]
    return Document.read(View({"Version": version, "Statement": given}, "policy"))


OBJECT = "arn:aws:s3:::data/red/1"


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([{"Action": "s3:GetObject"}], True),
        ([{"Action": "S3:getobject"}], True),
        ([{"Action": ["s3:Put*", "s3:Get?bject"]}], True),
        ([{"Action": "s3:Put*"}], False),
        ([{"Resource": "arn:aws:s3:::data/*"}], True),
        ([{"Resource": "arn:aws:s3:::DATA/*"}], False),
        ([{"Resource": ["arn:aws:s3:::data", "arn:aws:s3:::data/blue/*"]}], False),
        ([{}, {"Effect": "Deny", "Action": "s3:Get*"}], False),
        ([{}, {"Effect": "Deny", "Resource": "arn:aws:s3:::data/blue/*"}], True),
        ([{"Action": UNKNOWN}], None),
        ([{"Effect": UNKNOWN}], None),
        ([{}, {"Effect": "Deny", "Resource": UNKNOWN}], None),
        ([{"Action": UNKNOWN}, {"Effect": "Deny"}], False),
        ([{"Condition": {"Bool": {"aws:SecureTransport": "true"}}}], None),
        ([{}, {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}], None),
        ([], False),
    ],
    ids=str,
)
def test_a_denial_wins_and_what_is_not_known_decides_only_where_it_could(
    statements: list[dict[str, Any]], allowed: bool | None
) -> None:
    assert read(*statements).allows("s3:GetObject", OBJECT).truth is allowed


@pytest.mark.parametrize(
    ("left_out", "allowed"),
    [({"NotAction": "s3:*"}, False), ({"NotAction": "iam:*"}, True), ({"NotAction": UNKNOWN}, None)],
    ids=str,
)
def test_what_is_left_out_is_not_granted_and_all_else_is(left_out: dict[str, Any], allowed: bool | None) -> None:
    statement = {"Effect": "Allow", "Resource": "*"} | left_out
    assert Document.read(View({"Statement": statement})).allows("s3:GetObject", OBJECT).truth is allowed


def test_resources_that_are_left_out_are_not_granted() -> None:
    statement = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::data/*"}
    document = Document.read(View({"Statement": statement}))
    assert document.allows("s3:GetObject", OBJECT).truth is False
    assert document.allows("s3:GetObject", "arn:aws:s3:::other/1").truth is True


def test_a_statement_that_names_and_leaves_out_at_once_is_undecided() -> None:
    assert read({"NotAction": "iam:*"}).allows("s3:GetObject", OBJECT).truth is None


def test_a_variable_matches_what_the_request_says_and_is_undecided_without_one() -> None:
    document = read({"Resource": "arn:aws:s3:::data/${aws:PrincipalTag/team}/*"})
    assert document.allows("s3:GetObject", OBJECT).truth is None
    assert document.allows("s3:GetObject", "arn:aws:s3:::other/1").truth is False
    assert document.allows("s3:GetObject", OBJECT, {"aws:principaltag/team": "red"}).truth is True
    assert document.allows("s3:GetObject", OBJECT, {"aws:principaltag/team": "*"}).truth is False
    assert document.allows("s3:GetObject", OBJECT, {}).truth is False


def test_variables_have_defaults_escapes_and_need_the_current_version() -> None:
    default = {"Resource": "arn:aws:s3:::data/${aws:PrincipalTag/team, 'red'}/*"}
    assert read(default).allows("s3:GetObject", OBJECT, {}).truth is True
    assert read(default, version="2008-10-17").allows("s3:GetObject", OBJECT, {}).truth is False
    assert read(default, version=UNKNOWN).allows("s3:GetObject", OBJECT, {}).truth is None
    star = {"Resource": "arn:aws:s3:::data/${*}/1"}
    assert read(star).allows("s3:GetObject", OBJECT).truth is False
    assert read(star).allows("s3:GetObject", "arn:aws:s3:::data/*/1").truth is True


@pytest.mark.parametrize(
    ("condition", "request_", "holds"),
    [
        ({"StringEquals": {"aws:RequestedRegion": ["a", "b"]}}, {"aws:requestedregion": "b"}, True),
        ({"StringEquals": {"aws:RequestedRegion": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"aws:RequestedRegion": "a"}}, {}, True),
        ({"StringNotEquals": {"aws:RequestedRegion": ["a", "b"]}}, {"aws:requestedregion": "b"}, False),
        ({"StringNotEquals": {"aws:RequestedRegion": "a"}}, {}, True),
        ({"StringLike": {"s3:prefix": "red/*"}}, {"s3:prefix": "red/1"}, True),
        ({"StringEquals": {"s3:prefix": "red/*"}}, {"s3:prefix": "red/1"}, False),
        ({"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}/*"}}, {"s3:prefix": "red/1"}, False),
        (
            {"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}/*"}},
            {"s3:prefix": "red/1", "aws:principaltag/team": "red"},
            True,
        ),
        (
            {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::1:role/*"}},
            {"aws:principalarn": "arn:aws:iam::1:role/a"},
            True,
        ),
        ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*"}}, {"aws:principalarn": "arn:aws:iam::1:role/a"}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": True}}, {"aws:multifactorauthpresent": "true"}, True),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}, {}, True),
        ({"Null": {"aws:MultiFactorAuthAge": "false"}}, {}, False),
        ({"Null": {"aws:MultiFactorAuthAge": "true"}}, {}, True),
        ({"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}, {"aws:multifactorauthage": "60"}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, {"aws:currenttime": "1000"}, True),
        ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}, {"aws:sourceip": "10.1.2.3"}, True),
        ({"NotIpAddress": {"aws:SourceIp": ["10.0.0.0/8"]}}, {"aws:sourceip": "10.1.2.3"}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:tagkeys": ["a", "b"]}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {"aws:tagkeys": ["a", "b"]}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, {}, False),
        ({"ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": ["a"]}}, {}, None),
        ({"NoSuchOperator": {"aws:TagKeys": ["a"]}}, {"aws:tagkeys": ["a"]}, None),
        ({"StringEquals": {"aws:RequestedRegion": UNKNOWN}}, {"aws:requestedregion": "b"}, None),
        ({"Bool": {"a:b": "true"}, "StringEquals": {"aws:RequestedRegion": UNKNOWN}}, {"a:b": "false"}, False),
    ],
    ids=str,
)
def test_conditions_hold_as_aws_documents(
    condition: dict[str, Any], request_: dict[str, Any], holds: bool | None
) -> None:
    document = read({"Condition": condition})
    assert document.allows("s3:GetObject", OBJECT, request_).truth is holds


@pytest.mark.parametrize(
    ("statements", "granted"),
    [
        ([{"Action": "kms:*"}], True),
        ([{"Resource": "arn:aws:kms:me-central-1:123456789012:key/*"}], True),
        ([{"Resource": "arn:aws:kms:*:*:key/*"}], True),
        ([{"Resource": "arn:aws:kms:*"}], True),
        ([{"Resource": "arn:aws:s3:::*"}], False),
        ([{"Resource": "arn:aws:kms:me-central-1:123456789012:key/1"}], False),
        ([{"Resource": "arn:aws:kms:me-central-1:123456789012:key/${aws:PrincipalTag/key}"}], False),
        ([{"Condition": {"StringEquals": {"kms:ViaService": "s3.me-central-1.amazonaws.com"}}}], False),
        ([{"Condition": {"StringEqualsIfExists": {"kms:ViaService": "s3.me-central-1.amazonaws.com"}}}], True),
        ([{"Condition": {"StringLike": {"kms:ViaService": "*"}}}], True),
        ([{"Condition": {"Bool": {"aws:SecureTransport": "true"}}}], True),
        ([{"Condition": UNKNOWN}], None),
        ([{}, {"Effect": "Deny", "Action": "kms:D*"}], False),
        ([{}, {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}], True),
        ([{}, {"Effect": "Deny", "Condition": {"StringNotEquals": {"kms:ViaService": "s3.amazonaws.com"}}}], False),
        ([{}, {"Effect": "Deny", "Condition": UNKNOWN}], None),
    ],
    ids=str,
)
def test_a_grant_on_every_resource_of_a_kind_is_told_from_one_that_is_bounded(
    statements: list[dict[str, Any]], granted: bool | None
) -> None:
    assert read(*statements).grants("kms:Decrypt", "kms:key/", ["kms:viaservice"]).truth is granted


ANYONE = {"Principal": "*"}
BUT_OURS = {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}


@pytest.mark.parametrize(
    ("denial", "opened"),
    [
        ({"Condition": BUT_OURS}, False),
        ({"Condition": BUT_OURS, "Action": "s3:Put*"}, True),
        ({"Condition": BUT_OURS, "Resource": "arn:aws:s3:::other/*"}, True),
        ({"Condition": BUT_OURS | {"Bool": {"aws:SecureTransport": "false"}}}, True),
        ({"Condition": {"StringNotLike": {"aws:PrincipalOrgID": "*"}}}, True),
        ({"Condition": BUT_OURS, "Principal": {"AWS": "123456789012"}}, True),
        ({"Condition": UNKNOWN}, None),
    ],
    ids=str,
)
def test_a_denial_of_strangers_closes_what_a_statement_opens(denial: dict[str, Any], opened: bool | None) -> None:
    document = read(ANYONE | {"Action": "s3:Get*"}, ANYONE | {"Effect": "Deny"} | denial)
    assert document.open_to_anyone().truth is opened


def test_a_variable_that_names_its_own_key_bounds_nobody() -> None:
    assert bounded_by("StringEquals", "aws:PrincipalAccount", "${aws:PrincipalAccount}").open_to_anyone().truth is True
    assert bounded_by("StringEquals", "aws:PrincipalAccount", "${aws:ResourceAccount}").open_to_anyone().truth is False


def test_principals_are_told_by_kind_and_account() -> None:
    named = {"AWS": ["123456789012", "arn:aws:iam::210987654321:role/a"], "Service": "ec2.amazonaws.com"}
    found = list(statement(Principal=named).principals())
    assert [(each.kind, each.account()) for each in found] == [
        ("AWS", "123456789012"),
        ("AWS", "210987654321"),
        ("Service", None),
    ]
    assert [each.is_whole_account().truth for each in found[:2]] == [True, False]
    assert statement(Principal=named).names("arn:aws:iam::123456789012:role/any").truth is True
    assert statement(Principal=named).names("arn:aws:iam::210987654321:role/b").truth is False
    assert [each.is_service().truth for each in statement(Principal=UNKNOWN).principals()] == [None]


def test_an_empty_text_is_no_policy_and_one_without_statements_says_nothing() -> None:
    assert list(statements(View("", "policy"))) == []
    assert [found.grants_every_action().truth for found in statements(View("{}", "policy"))] == [None]


def test_a_pattern_of_many_stars_takes_no_time_that_grows_without_bound() -> None:
    assert read({"Resource": "*a" * 60}).allows("s3:GetObject", "a" * 4000 + "b").truth is False
