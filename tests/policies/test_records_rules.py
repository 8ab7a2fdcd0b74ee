"""Records and inventory: what their rules look through."""

from policies.making import KEY, make, verdict

from falaj.policies.model import Verdict


def test_default_tags_of_the_provider_count() -> None:
    tags = {"defaultTags": {"tags": {"owner": "team", "classification": "internal"}}}
    assert verdict("FJ-INV-001", [make(KEY, {}, provider=tags)]) is Verdict.PASS
