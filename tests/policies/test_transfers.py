"""The transfer register: what an entry allows, and which entries are refused."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from policies.making import BY_ID, KEY, NO_REPLICA, make, urn

from falaj.policies.errors import RefusedError
from falaj.policies.model import Context, Graph, Judgement, Resource, Verdict, judge
from falaj.policies.residency.transfers import Register, Transfer, read_entries, read_transfers, regimes
from falaj.policies.values import UNKNOWN

CDN = "aws:cloudfront/distribution:Distribution"
ENTRY: dict[str, Any] = {
    "id": "T-1",
    "resource": f"urn:pulumi:test::*::{CDN}::*",
    "rules": ["FJ-RES-040"],
    "destinations": ["global"],
    "basis": "approval",
    "article": "Letter 12 of the authority",
    "owner": "dpo@example.ae",
    "classification": "public",
    "expires": datetime.date(2027, 1, 31),
}
FILE = """
[[transfers]]
id = "T-1"
resource = "urn:pulumi:test::*"
rules = ["FJ-RES-040"]
destinations = ["global", "IE", "eu-west-1", ".example.com"]
basis = "exception"
article = "Ministerial Decision 51/2021, article 2"
owner = "dpo@example.ae"
classification = "confidential"
expires = 2027-01-31
"""


def judged(leaving: Resource, rule: str = "FJ-RES-040", *, day: str = "2026-12-01", **changes: Any) -> Judgement:
    settings = {"transfers": [ENTRY | {"rules": [rule]} | changes], "today": day}
    return judge(BY_ID[rule], leaving, Context(settings, Graph([leaving])))


def test_a_registered_transfer_passes_and_says_by_which_entry() -> None:
    found = judged(make(CDN, {}))
    assert found.verdict is Verdict.PASS
    assert found.notes == (
        "leaves by transfer T-1 of the register, until 2027-01-31 by dpo@example.ae: Letter 12 of the authority",
    )


def test_the_last_day_counts_and_the_day_after_fails() -> None:
    assert judged(make(CDN, {}), day="2027-01-31").verdict is Verdict.PASS
    late = judged(make(CDN, {}), day="2027-02-01")
    assert late.verdict is Verdict.FAIL
    assert "the entry T-1 in the register has expired" in late.failures[0]


def test_without_a_day_nobody_knows_whether_an_entry_holds() -> None:
    assert judged(make(CDN, {}), day="").verdict is Verdict.UNDETERMINED


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": "urn:pulumi:test::*::another"},
        {"rules": ["FJ-RES-001"]},
        {"destinations": ["eu-west-1"]},
    ],
)
def test_an_entry_is_for_its_resource_rule_and_destination_only(changes: dict[str, Any]) -> None:
    assert judged(make(CDN, {}), **changes).verdict is Verdict.FAIL


@pytest.mark.parametrize(("named", "verdict"), [("eu-west-1", "pass"), ("IE", "pass"), ("DE", "fail")])
def test_a_destination_is_a_region_or_a_country(named: str, verdict: str) -> None:
    away = make(KEY, {"region": "eu-west-1"})
    assert judged(away, "FJ-RES-001", resource=urn(KEY), destinations=[named]).verdict == verdict


@pytest.mark.parametrize(
    ("named", "verdict"), [("otlp.example.com", "pass"), (".example.com", "pass"), ("example.com", "fail")]
)
def test_a_destination_may_be_a_host(named: str, verdict: str) -> None:
    type_ = "aws:cloudwatch/eventApiDestination:EventApiDestination"
    receiver = make(type_, {"invocationEndpoint": "https://otlp.example.com/v1"})
    assert judged(receiver, "FJ-RES-063", resource=urn(type_), destinations=[named]).verdict == verdict


@pytest.mark.parametrize(
    ("properties", "named", "verdict"),
    [
        ({"region": "eu-west-1"}, "IE", "pass"),
        ({"region": "eu-west-1"}, "DE", "fail"),
        ({"primaryKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/mrk-1"}, "eu-west-1", "pass"),
        ({"primaryKeyArn": UNKNOWN}, "eu-west-1", "fail"),
    ],
)
def test_a_copy_of_a_key_is_registered_by_the_region_that_has_the_other(
    properties: dict[str, Any], named: str, verdict: str
) -> None:
    copy = make(NO_REPLICA, properties)
    assert judged(copy, "FJ-KMS-002", resource=urn(NO_REPLICA), destinations=[named]).verdict == verdict


def test_a_key_that_may_be_copied_anywhere_is_registered_as_global() -> None:
    key = make(KEY, {"multiRegion": True})
    assert judged(key, "FJ-KMS-002", resource=urn(KEY)).verdict is Verdict.PASS
    assert judged(key, "FJ-KMS-002", resource=urn(KEY), destinations=["eu-west-1"]).verdict is Verdict.FAIL


def test_a_distribution_that_the_register_lets_be_needs_a_web_firewall() -> None:
    """Another is refused itself, and is not asked for what would be refused as well."""

    def verdict(properties: dict[str, Any], *entries: dict[str, Any]) -> Verdict:
        cdn = make(CDN, properties)
        settings = {"transfers": list(entries), "today": "2026-12-01"}
        return judge(BY_ID["FJ-WAF-001"], cdn, Context(settings, Graph([cdn]))).verdict

    assert verdict({}) is Verdict.NOT_APPLICABLE
    assert verdict({}, ENTRY) is Verdict.FAIL
    assert verdict({"webAclId": "arn"}, ENTRY) is Verdict.PASS


def test_a_transfer_that_is_not_known_yet_is_not_registered() -> None:
    away = make(KEY, {"region": UNKNOWN})
    assert judged(away, "FJ-RES-001", resource=urn(KEY), destinations=["IE"]).verdict is Verdict.UNDETERMINED


def test_a_register_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "transfers.toml"
    path.write_text(FILE)
    (entry,) = read_transfers(path, BY_ID)
    assert entry.expires == datetime.date(2027, 1, 31)
    assert entry.destinations == ("global", "IE", "eu-west-1", ".example.com")


@pytest.mark.parametrize(
    ("line", "new", "told"),
    [
        ('id = "T-1"', "", "must have id"),
        ('id = "T-1"', 'id = "T-1"\ncolour = "red"', "must have id"),
        ('id = "T-1"', "id = 1", "id must be text"),
        ('owner = "dpo@example.ae"', 'owner = " "', "owner must be text"),
        ('rules = ["FJ-RES-040"]', 'rules = ["FJ-RES-999"]', "rules must be ids of rules"),
        ('rules = ["FJ-RES-040"]', "rules = []", "rules must be a list of texts"),
        ('"eu-west-1"', '"moon"', "destinations must be regions"),
        ('basis = "exception"', 'basis = "consent"', "basis must be one that uae-restricted knows"),
        ('classification = "confidential"', 'classification = "secret"', "classification must be"),
        ("expires = 2027-01-31", 'expires = "never"', "expires must be a day"),
        ("expires = 2027-01-31", "expires = 2027-01-31T00:00:00Z", "expires must be a day"),
        ('resource = "urn:pulumi:test::*"', 'resource = "*"', "resource must be a URN"),
        ("[[transfers]]", "[transfers]", "must have a list"),
        ("[[transfers]]", "[[transfer]]", "must have a list"),
        ("[[transfers]]", "[[", "must be TOML"),
    ],
)
def test_an_entry_with_a_mistake_is_refused_in_one_line(tmp_path: Path, line: str, new: str, told: str) -> None:
    path = tmp_path / "transfers.toml"
    path.write_text(FILE.replace(line, new))
    with pytest.raises(RefusedError, match=told) as caught:
        read_transfers(path, BY_ID)
    assert "\n" not in str(caught.value)


def test_an_id_stands_once() -> None:
    with pytest.raises(RefusedError, match="must stand once"):
        read_entries([ENTRY, ENTRY])


def test_expired_and_unused_entries_are_told() -> None:
    old, used, unused = (
        Transfer(
            id,
            "urn:pulumi:*",
            ("FJ-RES-040",),
            ("global",),
            "approval",
            "Letter",
            "owner",
            "public",
            datetime.date(year, 1, 1),
        )
        for id, year in (("T-1", 2025), ("T-2", 2028), ("T-3", 2028))
    )
    register = Register((old, used, unused), datetime.date(2026, 1, 1))
    assert register.expired == [old]
    assert register.unused([f"type: {used}"]) == [unused]


def test_every_regime_says_what_it_answers() -> None:
    for regime in regimes().values():
        assert regime.home and regime.source and regime.bases
        assert all(text.endswith(".") for text in (regime.source, *regime.bases.values()))
