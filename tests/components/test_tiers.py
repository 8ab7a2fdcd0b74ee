"""Tiers: one order that Kueue can keep, said in words as well, each figure with its reason."""

from dataclasses import fields
from itertools import pairwise
from typing import get_type_hints

import pytest

from falaj.components import ConfigError
from falaj.components.tiers import Tier, TierRules, check_tiers, rules_of_tier, tiers


def test_every_tier_has_rules_of_the_right_types_and_each_figure_its_reason():
    assert set(tiers()) == set(Tier)
    for rules in tiers().values():
        assert set(rules.why) == {"priority", "preempts", "longest_wait_minutes"}
        assert all(len(reason) > 20 for reason in rules.why.values())
        for field, kind in get_type_hints(TierRules).items():
            assert isinstance(getattr(rules, field), getattr(kind, "__origin__", kind)), field
    assert {field.name for field in fields(TierRules)} >= {"priority", "band", "preempts", "longest_wait_minutes"}


def test_no_band_reaches_the_next_tier():
    assert [str(tier) for tier in tiers()] == ["scavenger", "batch", "interactive", "production"]
    for lower, higher in pairwise(tiers().values()):
        assert lower.highest < higher.priority
    assert all(rules.band > 0 for rules in tiers().values())


def test_the_data_claims_what_one_number_can_keep_and_nothing_else():
    for rules in tiers().values():
        below = {other.tier for other in tiers().values() if other.priority < rules.priority}
        assert set(rules.preempts) == below, rules.tier


def test_inference_displaces_training_by_its_tier_alone():
    assert Tier.BATCH in rules_of_tier(Tier.PRODUCTION).preempts
    assert Tier.BATCH not in rules_of_tier(Tier.BATCH).preempts
    assert rules_of_tier(Tier.SCAVENGER).preempts == ()


def test_who_may_displace_more_is_promised_a_shorter_wait():
    waits = [rules.longest_wait_minutes for rules in tiers().values()]
    assert waits == sorted(waits, reverse=True)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["batch", "urgent"],
            "vision.tiers must be among the tiers scavenger, batch, interactive, production (got 'urgent')",
        ),
        ([], "vision.tiers must name at least one tier, and each once (got [])"),
        (["batch", "batch"], "vision.tiers must name at least one tier, and each once (got ['batch', 'batch'])"),
    ],
)
def test_tiers_that_do_not_exist_are_refused(names, message):
    with pytest.raises(ConfigError) as refused:
        check_tiers("vision.tiers", names)
    assert str(refused.value) == message
    assert check_tiers("vision.tiers", ["batch"]) == [Tier.BATCH]
