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


def test_json_is_read_as_hcl_reads_it() -> None:
    listed = '{"path": [{"a": [{"capabilities": "sudo"}, {"policy": "write"}]}]}'
    assert grants(listed) == [Grant("a", ("sudo",)), Grant("a", ("write",))]


@pytest.mark.parametrize(
    ("path", "place", "expected"),
    [
        ("sys/policies/x", "sys/", True),
        ("/sys/policies/x", "sys/", True),
        ("sys*", "sys/", True),
        ("s*", "sys/", True),
        ("+/policies", "sys/", True),
        ("sys/+/x", "sys/", True),
        ("system/x", "sys/", False),
        ("system*", "sys/", False),
        ("secret/sys/x", "sys/", False),
        ("sys/storage/raft/snapshot", "sys/storage/raft/snapshot", True),
        ("sys/storage/raft/snapshots", "sys/storage/raft/snapshot", False),
    ],
)
def test_a_path_may_reach_what_its_wildcards_leave_open(path: str, place: str, expected: bool) -> None:
    assert Grant(path, ("read",)).may_reach(place) is expected


def test_a_grant_writes_unless_it_is_denied() -> None:
    assert Grant("a", ("read", "update")).writes
    assert not Grant("a", ("read", "list")).writes
    assert not Grant("a", ("update", "deny")).writes


@pytest.mark.parametrize(
    "text",
    [
        '{"path": {"a": {"capabilities": [1]}}}',
        'path "a" {',
        'path "a"',
        "word",
        '"a" { }',
        'path "a" { } }',
        "{",
        '{"path": 1}',
        "<",
    ],
)
def test_text_that_is_no_policy_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        grants(text)
    assert text not in str(refused.value) or len(text) == 1
