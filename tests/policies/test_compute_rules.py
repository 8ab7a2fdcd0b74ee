"""Machines: what their rules look through."""

import base64

import pytest
from policies.making import INSTANCE, TEMPLATE, make, verdict

from falaj.policies.model import Verdict


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("#!/bin/sh\nexport API_KEY=4f9d2c\n", Verdict.FAIL),
        ("curl https://bob:hunter2@example.ae/setup", Verdict.FAIL),
        ("#!/bin/sh\nexport API_KEY=$(aws secretsmanager get-secret-value --secret-id key)\n", Verdict.PASS),
        ("#!/bin/sh\nexport SECRET_ARN=arn:aws:secretsmanager:me-central-1:123456789012:secret:x\n", Verdict.PASS),
        ("#!/bin/sh\necho hello\n", Verdict.PASS),
    ],
)
def test_user_data_is_read_plain_and_coded(script: str, expected: Verdict) -> None:
    coded = base64.b64encode(script.encode()).decode()
    assert verdict("FJ-EC2-005", [make(INSTANCE, {"userData": script})]) is expected
    assert verdict("FJ-EC2-005", [make(INSTANCE, {"userDataBase64": coded})]) is expected
    assert verdict("FJ-EC2-005", [make(TEMPLATE, {"userData": coded})]) is expected


def test_user_data_that_is_not_base64_where_it_must_be_is_not_passed() -> None:
    assert verdict("FJ-EC2-005", [make(TEMPLATE, {"userData": "#!/bin/sh"})]) is Verdict.UNDETERMINED


def test_spot_capacity_ends_anyhow() -> None:
    assert verdict("FJ-EC2-007", [make(INSTANCE, {"instanceMarketOptions": {"marketType": "spot"}})]) is Verdict.PASS
    assert verdict("FJ-EC2-007", [make(INSTANCE, {"instanceType": "m6i.large"})]) is Verdict.FAIL


def test_mappings_without_a_disk_are_passed_over() -> None:
    local = {"deviceName": "/dev/sdb", "virtualName": "ephemeral0"}
    assert verdict("FJ-EC2-003", [make(TEMPLATE, {"blockDeviceMappings": [local]})]) is Verdict.NOT_APPLICABLE
