"""Regimes: data with sources, and what they refuse."""

from dataclasses import fields
from typing import get_type_hints

import pytest
from component_samples import REGIME

from falaj.components import Classification, ConfigError
from falaj.components.regime import RegimeRules, at_least, check_regime, regimes, rules_of


@pytest.mark.parametrize("name", ["uae-restricted", "uae-general", "gdpr"])
def test_every_rule_of_a_regime_is_set_and_says_where_it_comes_from(name):
    rules = regimes()[name]
    assert set(rules.sources) == {field.name for field in fields(RegimeRules)} - {"name", "title", "sources"}
    assert all(len(source) > 20 for source in rules.sources.values())
    for field, kind in get_type_hints(RegimeRules).items():
        assert isinstance(getattr(rules, field), getattr(kind, "__origin__", kind)), field


@pytest.mark.parametrize("rules", regimes().values(), ids=lambda rules: rules.name)
def test_what_is_more_sensitive_is_kept_no_shorter(rules):
    for days in (rules.log_days, rules.record_days, rules.backup_days):
        ordered = [days[level] for level in Classification]
        assert ordered == sorted(ordered)
    assert all(rules.record_days[level] >= rules.log_days[level] for level in Classification)


def test_the_uae_regimes_know_no_region_outside_the_country():
    assert {region for name in ("uae-restricted", "uae-general") for region in regimes()[name].regions} == {
        "me-central-1"
    }


def test_who_names_no_regime_gets_the_strictest():
    assert rules_of(REGIME).name == "uae-restricted"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"home_region": "eu-west-1"},
            "key.regime.home_region must be a region that uae-restricted allows: me-central-1 (got 'eu-west-1')",
        ),
        (
            {"name": "gdpr"},
            "key.regime.home_region must be a region that gdpr allows: eu-central-1, eu-north-1, eu-south-1, "
            "eu-south-2, eu-west-1, eu-west-3 (got 'me-central-1')",
        ),
        ({"name": "lax"}, "key.regime.name must be one of uae-restricted, uae-general, gdpr (got 'lax')"),
        ({"account_id": "42"}, "key.regime.account_id must be the 12 digits of an AWS account (got '42')"),
        (
            {"organization_id": "acme"},
            "key.regime.organization_id must be an organization such as o-a1b2c3d4e5 (got 'acme')",
        ),
    ],
)
def test_a_regime_that_cannot_hold_is_refused(change, message):
    with pytest.raises(ConfigError) as refused:
        check_regime("key.regime", {**REGIME, **change})
    assert str(refused.value) == message


def test_a_retention_shorter_than_the_regime_s_is_refused():
    assert at_least("logs.days", 365, 365, "gdpr") == 365
    with pytest.raises(ConfigError) as refused:
        at_least("logs.days", 364, 365, "gdpr")
    assert str(refused.value) == ("logs.days must be at least 365 days, as gdpr asks for this classification (got 364)")
