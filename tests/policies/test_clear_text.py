"""Secrets are found by their names and by their looks, and what only speaks of secrets is not taken for one."""

import pytest

from falaj.policies.clear_text import assigns_secret, is_literal, is_secret_flag, looks_secret, names_secret


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "apiKey", "api-key", "client.secret", "HF_TOKEN", "passphrase", "REDIS_PWD", "DB_PASS"]
)
def test_names_of_secrets_are_known_in_every_spelling(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "TOKENIZERS_PARALLELISM",
        "max-tokens",
        "MAX_TOKENS",
        "tokenFile",
        "secretName",
        "passwordPolicy",
        "token_url",
        "PWD",
        "bypass",
    ],
)
def test_names_that_only_speak_of_secrets_are_not(name: str) -> None:
    assert not names_secret(name)


@pytest.mark.parametrize(
    "value", ["AKIA" + "A" * 16, "hvs." + "a" * 24, "glpat-" + "a" * 20, "hf_" + "a" * 34, "https://one:word@host/"]
)
def test_credentials_are_known_by_their_looks(value: str) -> None:
    assert looks_secret(value)


@pytest.mark.parametrize("value", ["https://host/", "postgres://$(USER):$(PASSWORD)@db/x", "one@example.com", "sk"])
def test_addresses_and_references_do_not_look_like_credentials(value: str) -> None:
    assert not looks_secret(value)


@pytest.mark.parametrize("value", ["$(PASSWORD)", "${PASSWORD}", "{{ .password }}", "<password>", "false", "", "****"])
def test_references_templates_and_switches_hold_nothing(value: str) -> None:
    assert not is_literal(value)


@pytest.mark.parametrize(
    "text",
    [
        "password: hunter2",
        "PASSWORD=hunter2 serve",
        '{"db": {"password":"hunter2"}}',
        "--api-key=hunter2",
        "secret = 'x'",
    ],
)
def test_an_assignment_is_found_in_any_format(text: str) -> None:
    assert assigns_secret(text)


@pytest.mark.parametrize(
    "text",
    [
        "--max-tokens=4096",
        "password: ${DB_PASSWORD}",
        "passwordSecretRef:\n  name: db",
        "--token-file=/var/run/token",
        "secretName: db",
    ],
)
def test_a_text_that_says_where_a_secret_is_assigns_none(text: str) -> None:
    assert not assigns_secret(text)


def test_a_flag_that_takes_a_secret_is_told_from_one_that_takes_a_file() -> None:
    assert is_secret_flag("--db-password")
    assert not is_secret_flag("--db-password-file")
    assert not is_secret_flag("password")
