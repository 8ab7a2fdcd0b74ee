"""Facts about them are true, false or undecided."""

import ipaddress
import itertools

import pytest

from falaj.policies.values import UNKNOWN, Fact, View, all_of, any_of

TRUE, FALSE, OPEN = Fact(True, "a"), Fact(False, "b"), Fact(None, "c")


def test_facts_follow_kleene_s_logic() -> None:
    assert [(a & b).truth for a, b in itertools.product((TRUE, FALSE, OPEN), repeat=2)] == [
        *(True, False, None),
        *(False, False, False),
        *(None, False, None),
    ]
    assert [(a | b).truth for a, b in itertools.product((TRUE, FALSE, OPEN), repeat=2)] == [
        *(True, True, True),
        *(True, False, None),
        *(True, None, None),
    ]
    assert [(~fact).truth for fact in (TRUE, FALSE, OPEN)] == [False, True, None]


def test_a_combined_fact_names_the_property_that_decided() -> None:
    assert (TRUE & FALSE & OPEN).at == "b"
    assert (FALSE | OPEN).at == "c"


def test_a_fact_is_never_taken_for_a_plain_truth() -> None:
    with pytest.raises(TypeError, match="undecided"):
        bool(OPEN)


def test_no_facts_hold_vacuously() -> None:
    assert any_of([]).truth is False
    assert all_of([]).truth is True
    assert all_of([TRUE, OPEN]).truth is None


def test_below_an_unknown_everything_is_unknown_and_below_nothing_is_nothing() -> None:
    view = View({"known": {"key": 1}, "open": UNKNOWN})
    assert view["known"]["key"].equals(1) == Fact(True, "known.key")
    assert view["open"]["a"]["b"].equals(1) == Fact(None, "open.a.b")
    assert view["missing"]["a"].equals(1) == Fact(False, "missing.a")
    assert [element.path for element in view["open"].each()] == ["open"]
    assert list(view["missing"].each()) == []


def test_a_value_of_another_shape_is_unknown_rather_than_absent() -> None:
    assert View({"securityContext": "text"})["securityContext"]["privileged"].is_true().truth is None


def test_a_value_that_a_rule_cannot_read_is_undecided() -> None:
    assert View({"retentionInDays": "for ever"})["retentionInDays"].test(lambda days: days > 0).truth is None
    assert View("10.0.0.0/99").test(lambda block: ipaddress.ip_network(block).prefixlen < 8).truth is None


def test_a_switch_is_read_in_every_spelling_that_aws_takes() -> None:
    assert [View(value).is_true().truth for value in (True, "true", "1", "TRUE", False, "false", "0", None)] == [
        *(True, True, True, True),
        *(False, False, False, False),
    ]


def test_lists_and_single_values_read_alike() -> None:
    assert [view.path for view in View(["a", "b"], "it").each()] == ["it[0]", "it[1]"]
    assert View(["a", UNKNOWN]).contains("a").truth is True
    assert View(["b", UNKNOWN]).contains("a").truth is None
    assert View("a").contains("a").truth is True


def test_empty_values_are_not_set() -> None:
    assert [View(value).is_set().truth for value in (None, "", [], {}, UNKNOWN, 0, False, "x")] == [
        *(False, False, False, False, None),
        *(True, True, True),
    ]


def test_nothing_is_known_to_differ_from_what_is_not_known() -> None:
    assert View("a").equals(UNKNOWN).truth is None
    assert View(None).equals(UNKNOWN).truth is False
    assert View("a").among(["b", UNKNOWN]).truth is None
    assert View("a").among(["a", UNKNOWN]).truth is True
    assert View("a").among(["b"]).truth is False
