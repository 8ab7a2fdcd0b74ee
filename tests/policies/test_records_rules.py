"""Records and inventory: what their rules look through."""

from policies.making import KEY, make, verdict

from falaj.policies.model import Verdict


def test_default_tags_of_the_provider_count() -> None:
    tags = {"defaultTags": {"tags": {"owner": "team", "classification": "internal"}}}
    assert verdict("FJ-INV-001", [make(KEY, {}, provider=tags)]) is Verdict.PASS


def test_how_long_logs_are_kept_depends_on_their_classification() -> None:
    group = "aws:cloudwatch/logGroup:LogGroup"
    month = {"retentionInDays": 30.0}
    assert verdict("FJ-LOG-002", [make(group, month)]) is Verdict.FAIL
    assert verdict("FJ-LOG-002", [make(group, month | {"tags": {"classification": "internal"}})]) is Verdict.PASS
    default = {"defaultTags": {"tags": {"classification": "public"}}}
    assert verdict("FJ-LOG-002", [make(group, month, provider=default)]) is Verdict.PASS
    restricted = month | {"tags": {"classification": "restricted"}}
    assert verdict("FJ-LOG-002", [make(group, restricted, provider=default)]) is Verdict.FAIL
    assert verdict("FJ-LOG-002", [make(group, restricted)], retentionDays=14) is Verdict.PASS
