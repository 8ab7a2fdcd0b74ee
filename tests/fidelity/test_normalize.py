"""Names in the place of what is drawn at random."""

import datetime
import json
from typing import Any

import pytest
from normalize import Names

KEY = "6bdec7e6-9b5f-427f-b454-4fa446146af8"


def resource(kind: str, name: str, identity: str, **outputs: Any) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:s::p::x${kind}::{name}", "type": kind, "id": identity, "outputs": outputs}


def names() -> Names:
    return Names(
        [
            resource("aws:kms/key:Key", "nodes-key", KEY, arn=f"arn:aws:kms:r:123456789012:key/{KEY}"),
            resource("aws:iam/role:Role", "gpu-role", "gpu-role-d4b6d0f", uniqueId="AROA4VTZJ7QDGFLF2WX3"),
            resource("aws:ec2/vpc:Vpc", "vpc", "vpc-0a1b2c3d4e5f60718", mainRouteTableId="rtb-00112233445566778"),
        ]
    )


def test_an_identifier_is_named_wherever_it_stands() -> None:
    assert names().value(KEY) == "<nodes-key>"
    assert names().value(f"arn:aws:kms:r:123456789012:key/{KEY}") == "arn:aws:kms:r:123456789012:key/<nodes-key>"
    assert names().value({KEY: [f"a {KEY}"]}) == {"<nodes-key>": ["a <nodes-key>"]}


def test_a_generated_name_keeps_its_form() -> None:
    assert names().value("gpu-role-d4b6d0f") == "<gpu-role>-#######"


def test_what_a_resource_tells_of_itself_is_named_by_where_it_tells_it() -> None:
    assert names().value("AROA4VTZJ7QDGFLF2WX3") == "<gpu-role.uniqueId>"
    assert names().value("rtb-00112233445566778") == "<vpc.mainRouteTableId>"


def test_what_several_resources_tell_alike_has_one_name_in_whatever_order_they_come() -> None:
    pools = [resource("aws:eks/nodeGroup:NodeGroup", name, name, release="1.35.2-20261101") for name in ("b", "a")]
    assert Names(pools).value("1.35.2-20261101") == "<a.release>"
    assert Names(pools[::-1]).value("1.35.2-20261101") == "<a.release>"


@pytest.mark.parametrize(
    "fixed", ["123456789012", "alias/local/nodes", "10.20.0.0/16", "ENCRYPT_DECRYPT", "falaj-local"]
)
def test_what_is_the_same_everywhere_stays(fixed: str) -> None:
    assert names().value(fixed) == fixed


def test_what_belongs_to_no_resource_is_masked_by_its_kind() -> None:
    assert names().value("eni-0123456789abcdef0 in http://127.0.0.1:4566") == "<eni> in http://<lab>"


def test_one_identifier_inside_another_is_not_mistaken_for_it() -> None:
    some = Names(
        [
            resource("aws:s3/bucket:Bucket", "short", "data-1234567"),
            resource("aws:s3/bucket:Bucket", "long", "data-1234567-more"),
        ]
    )
    assert some.value("data-1234567-more/data-1234567") == "<long>/<short>"


def test_a_document_is_compared_as_one_whatever_its_spelling() -> None:
    one = json.dumps({"Statement": [{"Sid": "a", "Action": ["x", "y"]}, {"Sid": "b"}]})
    other = json.dumps({"Statement": [{"Sid": "b"}, {"Action": ["y", "x"], "Sid": "a"}]}, indent=2)
    assert Names().value(one) == Names().value(other)


def test_moments_and_the_bridges_own_notes_are_left_out() -> None:
    moment = datetime.datetime.now(datetime.UTC)
    assert Names().value({"a": 1, "When": moment, "__meta": "{}", "ResponseMetadata": {}}) == {"a": 1}


def test_a_secret_is_compared_by_what_it_holds() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"open"'}
    assert Names().value({"a": secret}) == {"a": "open"}
