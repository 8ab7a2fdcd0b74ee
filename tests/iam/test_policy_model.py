"""The policy packs' model of documents decides as the simulator does, on documents that Hypothesis makes up."""

from typing import Any

from asked import ACCOUNT, HOME, ORGANIZATION, STRANGERS, role
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator import FULL_ACCESS, Simulator

from falaj.policies.documents import Document
from falaj.policies.values import View

TRAINER, STRANGER = role("trainer").arn, role("trainer", STRANGERS).arn
OBJECTS = [f"arn:aws:s3:::bucket/{name}" for name in ("red/1", "red/22", "blue/1", "red")]
ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


def some(*values: Any) -> st.SearchStrategy[Any]:
    """Return one of the values, or a list of some."""
    return st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)


def either(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return what an element names, or what its opposite leaves out."""
    return st.sampled_from([name, name, f"Not{name}"]).flatmap(lambda key: st.fixed_dictionaries({key: values}))


actions = either(
    "Action",
    some("*", "s3:*", "S3:getobject", "s3:Get*", "s3:?etObject", "s3:Put*", "s3:PutObject", "s3:DeleteObject", "kms:*"),
)
resources = either(
    "Resource",
    some(
        "*",
        "arn:aws:s3:::*",
        "arn:aws:s3:::bucket/*",
        "arn:aws:s3:::bucket/red/*",
        "arn:aws:s3:::b*t/red/?",
        "arn:aws:s3:::BUCKET/*",
        "arn:aws:s3:::bucket/${aws:PrincipalTag/team}/*",
        "arn:aws:s3:::bucket/${aws:PrincipalTag/team}",
        "arn:aws:s3:::bucket/${aws:PrincipalTag/role, 'red'}/1",
    ),
)
STRINGS = ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"]
ARNS = ["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"]
NUMBERS = ["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"]
DATES = ["DateLessThan", "DateGreaterThanEquals"]


def condition(operators: list[str], key: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a condition on one key, by any of the operators, with and without ``IfExists``.

    What ``ForAnyValue`` and ``IfExists`` mean together is undecided: AWS does not document it.
    """
    lenient = [f"{name}IfExists" for name in operators if not name.startswith("ForAnyValue")]
    names = st.sampled_from([*operators, *lenient])
    return names.flatmap(lambda name: st.fixed_dictionaries({name: st.fixed_dictionaries({key: values})}))


several = [f"{kind}:{name}" for kind in ("ForAnyValue", "ForAllValues") for name in STRINGS]
conditions = st.one_of(
    condition(STRINGS, "aws:RequestedRegion", some(HOME, "eu-*", "eu-west-1", HOME.upper())),
    condition(STRINGS, "aws:PrincipalTag/team", some("red", "r*", "${aws:PrincipalTag/team}", "${aws:PrincipalOrgID}")),
    condition(several, "aws:CalledVia", some("athena.amazonaws.com", "*.amazonaws.com", "kms.amazonaws.com")),
    condition(ARNS, "aws:PrincipalArn", some(TRAINER, STRANGER, f"arn:aws:iam::{ACCOUNT}:role/*", "arn:aws:iam::*:*")),
    condition(NUMBERS, "aws:MultiFactorAuthAge", some("60", "3600", "0")),
    condition(DATES, "aws:CurrentTime", some("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")),
    condition(["Bool"], "aws:SecureTransport", st.sampled_from(["true", "false"])),
    condition(["IpAddress", "NotIpAddress"], "aws:SourceIp", some("10.0.0.0/8", "192.0.2.7", "10.1.0.0/16")),
    st.sampled_from(["true", "false"]).map(lambda text: {"Null": {"aws:MultiFactorAuthAge": text}}),
)


@st.composite
def made_statements(draw: st.DrawFn) -> dict[str, Any]:
    """Make a statement with up to two operators in its condition."""
    statement = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])), **draw(actions), **draw(resources)}
    found = draw(st.lists(conditions, max_size=2))
    return statement | ({"Condition": {key: value for each in found for key, value in each.items()}} if found else {})


statements = made_statements()


def documents(made: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return documents of the current version: in an older one the simulator takes variables, which IAM does not."""
    return st.lists(made, min_size=1, max_size=3).map(lambda found: {"Version": "2012-10-17", "Statement": found})


requests = st.fixed_dictionaries(
    {
        "aws:CurrentTime": st.just("2026-06-01T00:00:00Z"),
        "aws:SecureTransport": st.sampled_from(["true", "false"]),
        "aws:RequestedRegion": st.sampled_from([HOME, "eu-west-1"]),
        "aws:PrincipalOrgID": st.just(ORGANIZATION),
    },
    optional={
        "aws:PrincipalTag/team": st.sampled_from(["red", "blue", ORGANIZATION]),
        "aws:SourceIp": st.sampled_from(["10.1.2.3", "192.0.2.7"]),
        "aws:MultiFactorAuthAge": st.sampled_from(["0", "60", "7200"]),
        "aws:CalledVia": st.lists(
            st.sampled_from(["athena.amazonaws.com", "kms.amazonaws.com"]), min_size=1, max_size=2, unique=True
        ),
    },
)
ask = settings(max_examples=200, derandomize=True, database=None)


def allowed(
    document: dict[str, Any], action: str, resource: str, principal: str, request: dict[str, Any]
) -> bool | None:
    in_small_letters = {key.lower(): value for key, value in request.items()}
    return Document.read(View(document)).allows(action, resource, in_small_letters, principal).truth


@ask
@given(documents(statements), st.sampled_from(ACTIONS), st.sampled_from(OBJECTS), requests)
def test_an_identity_s_policy_is_read_as_the_simulator_reads_it(
    iam: Simulator, document: dict[str, Any], action: str, resource: str, request_: dict[str, Any]
) -> None:
    request_ = {**request_, "aws:PrincipalArn": TRAINER}
    decision = iam.decide(TRAINER, action, resource, account=ACCOUNT, identity_policies=[document], context=request_)
    assert allowed(document, action, resource, TRAINER, request_) is decision.allowed, decision.because


callers = st.sampled_from(
    [
        "*",
        {"AWS": "*"},
        {"AWS": STRANGERS},
        {"AWS": [TRAINER, f"arn:aws:iam::{STRANGERS}:root"]},
        {"AWS": [STRANGER]},
        {"AWS": TRAINER},
        {"AWS": ACCOUNT},
        {"Service": "ec2.amazonaws.com"},
    ]
)


@st.composite
def made_addressed(draw: st.DrawFn) -> dict[str, Any]:
    """Make a statement that names principals."""
    return draw(statements) | {"Principal": draw(callers)}


addressed = made_addressed()


@ask
@given(documents(addressed), st.sampled_from(ACTIONS), st.sampled_from(OBJECTS), requests)
def test_a_resource_s_policy_is_read_as_the_simulator_reads_it(
    iam: Simulator, document: dict[str, Any], action: str, resource: str, request_: dict[str, Any]
) -> None:
    request_ = {**request_, "aws:PrincipalArn": STRANGER}
    decision = iam.decide(
        STRANGER,
        action,
        resource,
        account=ACCOUNT,
        identity_policies=[FULL_ACCESS],
        resource_policy=document,
        context=request_,
    )
    assert allowed(document, action, resource, STRANGER, request_) is decision.allowed, decision.because
