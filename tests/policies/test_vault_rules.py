"""Vault: what its rules look through."""

import pytest
from policies.cases.vault import AUDIT, POLICY, granting
from policies.cases.vault_engines import CERTIFICATES, CONNECTION, certificates
from policies.cases.vault_logins import JWT, KUBERNETES, METHOD, jwt
from policies.making import make, verdict

from falaj.policies.model import Verdict


@pytest.mark.parametrize(
    "path", ["auth/token/renew-self", "/auth/token/lookup-self", "sys/tools/random", "identity/oidc/token/team"]
)
def test_a_holder_may_do_with_its_own_token_what_every_holder_may(path: str) -> None:
    assert verdict("FJ-VLT-004", [make(POLICY, granting(path, "update"))]) is Verdict.PASS


@pytest.mark.parametrize("path", ["sys/mounts/x", "auth/token/create", "identity/group", "au*", "sys/+/x"])
def test_a_path_that_may_reach_what_rules_vault_fails(path: str) -> None:
    assert verdict("FJ-VLT-004", [make(POLICY, granting(path, "update"))]) is Verdict.FAIL


def test_to_read_what_rules_vault_is_no_rule_over_it() -> None:
    assert verdict("FJ-VLT-004", [make(POLICY, granting("sys/mounts", "read"))]) is Verdict.PASS


def test_a_policy_in_a_language_that_cannot_be_read_is_undetermined() -> None:
    for rule in ("FJ-VLT-001", "FJ-VLT-004"):
        assert verdict(rule, [make(POLICY, {"policy": "grant everything"})]) is Verdict.UNDETERMINED


def test_a_device_is_no_second_to_itself() -> None:
    device = make(AUDIT, {"type": "file", "path": "one"})
    assert verdict("FJ-VLT-007", [device, device]) is Verdict.FAIL


def test_the_longest_life_of_a_token_can_be_set() -> None:
    stack = [make(KUBERNETES, {"tokenMaxTtl": 3600})]
    assert verdict("FJ-VLT-012", stack) is Verdict.PASS
    assert verdict("FJ-VLT-012", stack, longestTokenSeconds=900) is Verdict.FAIL


def test_a_span_that_cannot_be_read_is_undetermined() -> None:
    assert verdict("FJ-VLT-011", [make(METHOD, {"tune": {"maxLeaseTtl": "soon"}})]) is Verdict.UNDETERMINED


@pytest.mark.parametrize("kind", ["oidc", None])
def test_a_login_by_browser_needs_no_audience(kind: str | None) -> None:
    assert verdict("FJ-VLT-013", [make(JWT, jwt(roleType=kind, boundAudiences=None))]) is Verdict.PASS


def test_a_database_of_another_kind_is_not_asked_for_a_mode_of_postgresql() -> None:
    connection = {"allowedRoles": ["one"], "mysql": {"connectionUrl": "{{username}}:{{password}}@tcp(db.example)/"}}
    assert verdict("FJ-VLT-018", [make(CONNECTION, connection)]) is Verdict.PASS


def test_a_certificate_s_life_may_be_written_as_a_span() -> None:
    assert verdict("FJ-VLT-020", [make(CERTIFICATES, certificates(maxTtl="72h"))]) is Verdict.PASS
