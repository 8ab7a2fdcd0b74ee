"""What the engine sends and what the CLI writes become the same plain values, with unknowns marked."""

import json
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import rpc

from falaj.policies.decoding import from_json, from_struct, provider_values
from falaj.policies.values import UNKNOWN

MARK = "4dabf18193072939515e22adb298388d"
SECRET = {MARK: "1b47061264138c4ac30d75fd1eb44270"}
OUTPUT = {MARK: "d0e6a833031e9bbcd3f4e8bde6ca49a4"}
REFERENCE = {MARK: "5cf8f73096256a8f31e491e813e4eb8e"}
TEXT_ASSET = {MARK: "c44067f5952c0a294b673a41bacd8c17", "text": "hello"}

VALUES: list[tuple[Any, Any]] = [
    (
        {"name": "data", "list": [1.0, {"deep": True}], "nothing": None},
        {"name": "data", "list": [1.0, {"deep": True}], "nothing": None},
    ),
    ({"unknown": rpc.UNKNOWN, "list": ["a", rpc.UNKNOWN]}, {"unknown": UNKNOWN, "list": ["a", UNKNOWN]}),
    ({"secret": SECRET | {"value": ["a", rpc.UNKNOWN]}}, {"secret": ["a", UNKNOWN]}),
    ({"secret": SECRET | {"plaintext": json.dumps({"a": 1.0})}}, {"secret": {"a": 1.0}}),
    ({"secret": SECRET | {"ciphertext": "v1:unreadable"}}, {"secret": UNKNOWN}),
    ({"secret": "[secret]"}, {"secret": UNKNOWN}),
    ({"output": OUTPUT | {"value": "a"}, "later": OUTPUT}, {"output": "a", "later": UNKNOWN}),
    ({"resource": REFERENCE | {"urn": "urn:pulumi:a", "id": "i-1"}}, {"resource": "i-1"}),
    ({"component": REFERENCE | {"urn": "urn:pulumi:a"}}, {"component": "urn:pulumi:a"}),
    ({"asset": TEXT_ASSET}, {"asset": {"text": "hello"}}),
]


@pytest.mark.parametrize(("sent", "expected"), VALUES)
def test_a_message_and_a_file_are_read_alike(sent: Any, expected: Any) -> None:
    message = Struct()
    message.update(sent)
    assert from_struct(message) == expected
    assert from_json(sent) == expected


def test_every_kind_of_unknown_is_known_as_one() -> None:
    from pulumi_policy import proxy

    kinds = [value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_") and name.endswith("_VALUE")]
    assert len(kinds) == 7
    assert from_json(kinds) == [UNKNOWN] * 7


def test_a_provider_s_configuration_is_read_out_of_its_json() -> None:
    given = {
        "region": "me-central-1",
        "allowedAccountIds": json.dumps(["123456789012", rpc.UNKNOWN]),
        "skipMetadataApiCheck": "true",
        "token": "{not json",
        "profile": rpc.UNKNOWN,
    }
    assert provider_values(given) == {
        "region": "me-central-1",
        "allowedAccountIds": ["123456789012", UNKNOWN],
        "skipMetadataApiCheck": True,
        "token": "{not json",
        "profile": UNKNOWN,
    }


def test_an_account_that_was_configured_as_a_number_is_read_with_all_its_digits() -> None:
    assert provider_values({"allowedAccountIds": "[12345678901, 123456789012]"}) == {
        "allowedAccountIds": ["012345678901", "123456789012"]
    }
