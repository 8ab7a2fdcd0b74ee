"""States and previews are read alike, and what is no such file is refused in one line, whatever it holds."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.runtime import rpc

from falaj.policies.engine import Stack
from falaj.policies.errors import PolicyError, RefusedError
from falaj.policies.reading import read_preview, read_state
from falaj.policies.values import UNKNOWN

AWS = "urn:pulumi:prod::shop::pulumi:providers:aws::aws"
KEY = "urn:pulumi:prod::shop::aws:kms/key:Key::data"
LOG = "urn:pulumi:prod::shop::aws:cloudwatch/logGroup:LogGroup::log"
READ = "urn:pulumi:prod::shop::aws:ec2/vpc:Vpc::shared"
RESOURCES: list[dict[str, Any]] = [
    {
        "urn": AWS,
        "type": "pulumi:providers:aws",
        "custom": True,
        "id": "1",
        "inputs": {"region": "me-central-1", "allowedAccountIds": '["1"]'},
    },
    {
        "urn": KEY,
        "type": "aws:kms/key:Key",
        "custom": True,
        "provider": f"{AWS}::1",
        "inputs": {"multiRegion": False},
        "outputs": {"multiRegion": False, "arn": "arn"},
    },
    {
        "urn": LOG,
        "type": "aws:cloudwatch/logGroup:LogGroup",
        "provider": f"{AWS}::1",
        "inputs": {"kmsKeyId": rpc.UNKNOWN},
        "outputs": {"kmsKeyId": rpc.UNKNOWN},
        "propertyDependencies": {"kmsKeyId": [KEY], "name": None},
    },
    {"urn": READ, "type": "aws:ec2/vpc:Vpc", "external": True, "provider": f"{AWS}::1", "outputs": {"id": "vpc-1"}},
]
STATE = {"version": 3, "deployment": {"manifest": {}, "resources": RESOURCES}}
PREVIEW = {"steps": [{"op": "create", "urn": each["urn"], "newState": each} for each in RESOURCES]}


def written(folder: Path, content: Any) -> Path:
    path = folder / "given.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def check_all(stack: Stack) -> None:
    assert stack.name == "prod"
    assert [each.urn for each in stack.declared] == [AWS, KEY, LOG]
    assert [each.urn for each in stack.known] == [AWS, KEY, LOG], "what is only read is not judged"
    provider, key, log = stack.declared
    assert provider.properties.value == {"region": "me-central-1", "allowedAccountIds": ["1"]}
    assert provider.provider.value is None
    assert key.properties.value == {"multiRegion": False}
    assert key.provider["region"].value == "me-central-1"
    assert stack.known[1]["arn"].value == "arn"
    assert log.properties.value == {"kmsKeyId": UNKNOWN}
    assert log.links == {"kmsKeyId": frozenset({KEY})}
    assert log.name == "log"


def test_a_state_is_read_with_what_was_declared_and_what_is_known(tmp_path: Path) -> None:
    stack, source = read_state(written(tmp_path, STATE))
    check_all(stack)
    assert source.kind == "state"
    assert len(source.digest) == 64


def test_a_preview_is_read_like_a_state(tmp_path: Path) -> None:
    check_all(read_preview(written(tmp_path, PREVIEW))[0])


def test_a_streamed_preview_is_read_like_a_state(tmp_path: Path) -> None:
    events = [{"resourcePreEvent": {"metadata": {"op": "create", "new": each}}} for each in RESOURCES]
    lines = [{"sequence": 0, "preludeEvent": {"config": {}}}, *events, {"summaryEvent": {}}]
    stream = "\n".join(json.dumps(line) for line in lines).encode()
    check_all(read_preview(written(tmp_path, stream))[0])


def test_a_stream_tells_what_is_known_of_a_resource_in_a_later_event(tmp_path: Path) -> None:
    before = {**RESOURCES[1], "outputs": {}}
    events = [
        {"resourcePreEvent": {"metadata": {"op": "create", "new": before}}},
        {"resOutputsEvent": {"metadata": {"op": "create", "new": RESOURCES[1]}}},
        {"summaryEvent": {}},
    ]
    stack, _ = read_preview(written(tmp_path, "\n".join(map(json.dumps, events)).encode()))
    assert [each["arn"].value for each in stack.known] == ["arn"]


def test_of_what_stays_the_old_state_tells_what_is_known(tmp_path: Path) -> None:
    new = {key: value for key, value in RESOURCES[1].items() if key != "outputs"}
    steps = [{"op": "same", "newState": new, "oldState": RESOURCES[1]}]
    stack, _ = read_preview(written(tmp_path, {"steps": steps, "changeSummary": {"same": 1}}))
    assert [each["arn"].value for each in stack.known] == ["arn"]


def test_of_a_default_provider_only_the_stack_s_configuration_is_known(tmp_path: Path) -> None:
    urn = f"{AWS.rpartition('::')[0]}::default_7_51_1"
    key = {**RESOURCES[1], "provider": f"{urn}::{rpc.UNKNOWN}"}
    config = {"aws:region": "me-central-1", "aws:allowedAccountIds": '["1"]', "shop:region": "eu-west-1"}
    plain = {"config": config, "steps": [{"op": "create", "newState": key}]}
    events = [
        {"preludeEvent": {"config": config}},
        {"resourcePreEvent": {"metadata": {"op": "create", "new": key}}},
        {"summaryEvent": {}},
    ]
    for content in (plain, "\n".join(map(json.dumps, events)).encode()):
        stack, _ = read_preview(written(tmp_path, content))
        made, provider = stack.declared
        assert (provider.urn, provider.type) == (urn, "pulumi:providers:aws")
        for view in (provider.properties, made.provider):
            assert view["region"].value == "me-central-1"
            assert view["allowedAccountIds"].value == ["1"]
            assert view["httpProxy"].value is UNKNOWN


PARTIAL: list[tuple[Any, str]] = [
    ({"steps": [], "changeSummary": {"create": 1, "same": 17}}, "--show-sames"),
    ({"steps": [], "diagnostics": [{"severity": "error", "message": "error: boom"}]}, "that came to its end"),
    (b'{"preludeEvent": {}}\n{"resourcePreEvent": {}}\n', "it was cut off"),
    (b'{"summaryEvent": {"resourceChanges": {"same": 1}}}\n{"cancelEvent": {}}\n', "--show-sames"),
    (
        b'{"diagnosticEvent": {"severity": "error", "message": "boom"}}\n{"summaryEvent": {}}\n',
        "that came to its end",
    ),
]


@pytest.mark.parametrize(("content", "expected"), PARTIAL)
def test_a_preview_that_does_not_tell_of_every_resource_is_refused(tmp_path: Path, content: Any, expected: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_preview(written(tmp_path, content))
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_preview_that_the_policies_refused_tells_of_every_resource(tmp_path: Path) -> None:
    refused = {**PREVIEW, "diagnostics": [{"severity": "error", "message": "error: preview failed\n"}]}
    check_all(read_preview(written(tmp_path, refused))[0])


def test_what_goes_is_not_judged_and_what_is_replaced_is_judged_as_it_will_be(tmp_path: Path) -> None:
    old, new = {**RESOURCES[1], "inputs": {"multiRegion": True}}, RESOURCES[1]
    steps = [
        {"op": "create-replacement", "newState": new},
        {"op": "delete-replaced", "newState": old, "oldState": old},
        {"op": "delete", "oldState": RESOURCES[2], "newState": RESOURCES[2]},
    ]
    stack, _ = read_preview(written(tmp_path, {"steps": steps}))
    assert [(each.urn, each["multiRegion"].value) for each in stack.declared] == [(KEY, False)]
    pending = {**RESOURCES[1], "delete": True}
    stack, _ = read_state(written(tmp_path, {"version": 3, "deployment": {"resources": [pending]}}))
    assert stack.declared == ()


def test_a_provider_that_the_file_does_not_hold_is_unknown(tmp_path: Path) -> None:
    stack, _ = read_state(written(tmp_path, {"version": 3, "deployment": {"resources": [RESOURCES[1]]}}))
    assert stack.declared[0].provider["region"].value is UNKNOWN


HOSTILE = [
    (b"", "must be JSON"),
    (json.dumps(STATE).encode()[:-40], "must be JSON"),
    (b"\xff\xfe\x00", "must be text in UTF-8"),
    (b"[" * 100_000, "must not be nested that deep"),
    (b'{"version": 3, "deployment": {"resources": [' + b'{"a":' * 50_000, "must not be nested that deep"),
    ([], "must be a state"),
    ({"version": 3}, "must be a state"),
    ({"version": 2, "deployment": {}}, "version must be one of (3, 4)"),
    ({"version": 99, "deployment": {}}, "version must be one of (3, 4)"),
    ({"version": 3, "deployment": {"resources": {}}}, "deployment.resources must be a list"),
    ({"version": 3, "deployment": {"resources": [None]}}, "resource 0 must be an object"),
    ({"version": 3, "deployment": {"resources": [{"urn": KEY}]}}, "resource 0: type must be text"),
    ({"version": 3, "deployment": {"resources": [{"urn": [], "type": "a"}]}}, "resource 0: urn must be text"),
    ({"version": 3, "deployment": {"resources": [{"urn": KEY, "type": "a", "inputs": []}]}}, ""),
    (
        {"version": 3, "deployment": {"resources": [{"urn": KEY, "type": "a", "inputs": "x"}]}},
        "inputs must be an object",
    ),
    ({"version": 3, "deployment": {"resources": [{"urn": KEY, "type": "a", "provider": 7}]}}, "provider must be text"),
]


@pytest.mark.parametrize(("content", "expected"), [each for each in HOSTILE if each[1]])
def test_a_file_that_is_no_state_is_refused_in_one_line(tmp_path: Path, content: Any, expected: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_state(written(tmp_path, content))
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


def test_a_value_nested_as_deep_as_json_allows_does_not_break_the_reader(tmp_path: Path) -> None:
    deep: Any = "end"
    for _ in range(400):
        deep = {"a": [deep]}
    resource = {**RESOURCES[1], "inputs": {"policy": deep}}
    try:
        stack, _ = read_state(written(tmp_path, {"version": 3, "deployment": {"resources": [resource]}}))
    except RefusedError as error:
        assert "nested" in str(error)
    else:
        assert stack.declared[0]["policy"].value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "version",
                    "deployment",
                    "resources",
                    "urn",
                    "type",
                    "inputs",
                    "outputs",
                    "provider",
                    "steps",
                    "newState",
                    "op",
                    "x",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=300)
@given(value=JSON, wrapped=st.sampled_from(["plain", "resources", "steps", "event"]))
def test_whatever_json_a_file_holds_it_is_read_or_refused(tmp_path_factory: Any, value: Any, wrapped: str) -> None:
    given_ = {
        "plain": value,
        "resources": {"version": 3, "deployment": {"resources": [value]}},
        "steps": {"steps": [{"op": "create", "newState": value}]},
        "event": {"resourcePreEvent": {"metadata": {"op": "create", "new": value}}},
    }[wrapped]
    folder = tmp_path_factory.mktemp("fuzz")
    for read in (read_state, read_preview):
        try:
            stack, _ = read(written(folder, given_))
        except PolicyError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert isinstance(stack, Stack)


@settings(max_examples=200)
@given(content=st.binary(max_size=200))
def test_whatever_bytes_a_file_holds_it_is_read_or_refused(tmp_path_factory: Any, content: bytes) -> None:
    for read in (read_state, read_preview):
        with pytest.raises(PolicyError):
            read(written(tmp_path_factory.mktemp("fuzz"), content))
