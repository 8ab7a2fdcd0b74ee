"""Vault policies are read as Vault reads them, as far as rules need."""

import pytest

from falaj.policies.hcl import Grant, UnreadableError, grants

POLICY = """
# What the workload reads.
path "team/data/*" {
  capabilities = ["read", "list"]  // no more
}
path "transit/encrypt/team" { capabilities = ["update"] allowed_parameters = { "plaintext" = [] "sudo" = ["x"] } }
/* path "*" { capabilities = ["sudo"] } */
path "old" { policy = "sudo" }
path "quoted \\"}" { "capabilities" = ["deny",] }
"""


def test_paths_and_capabilities_are_read_and_comments_are_not() -> None:
    assert grants(POLICY) == [
        Grant("team/data/*", ("read", "list")),
        Grant("transit/encrypt/team", ("update",)),
        Grant("old", ("sudo",)),
        Grant('quoted \\"}', ("deny",)),
    ]


def test_a_policy_in_json_is_read_alike() -> None:
    assert grants('{"path": {"a/*": {"capabilities": ["sudo"]}, "b": {}}}') == [Grant("a/*", ("sudo",)), Grant("b", ())]


@pytest.mark.parametrize(
    "text", ['path "a" {', 'path "a"', "word", '"a" { }', 'path "a" { } }', "{", '{"path": 1}', "<"]
)
def test_text_that_is_no_policy_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        grants(text)
    assert text not in str(refused.value) or len(text) == 1
