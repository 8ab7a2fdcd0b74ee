"""Shares: who may say what of a pool, and that it adds up, tested without an engine."""

import pytest

from falaj.components import ConfigError
from falaj.components.queue_shares import (
    ROOT,
    Queueing,
    check_departments,
    check_lending,
    check_sums,
    check_tenants,
    downwards,
)

POOLS = ["h200", "a10g"]


def share(nominal, pool="h200", **limits):
    return {"pool": pool, "nominal": nominal, **limits}


def tenant(name, *shares, **more):
    return {"name": name, "shares": list(shares) or [share(8)], **more}


def test_who_says_little_gets_the_defaults():
    (vision,) = check_tenants("q.tenants", [tenant("vision")], [], POOLS)
    assert (vision.parent, vision.namespaces, vision.weight) == (ROOT, ("vision",), 1)
    assert vision.queueing is Queueing.BEST_EFFORT
    assert (vision.shares[0].borrowing_limit, vision.shares[0].lending_limit) == (None, None)


def test_figures_from_another_language_become_whole_numbers():
    (vision,) = check_tenants("q.tenants", [tenant("vision", share(8.0, lending_limit=2.0), weight=3.0)], [], POOLS)
    held = vision.shares[0]
    figures = (held.nominal, held.lending_limit, vision.weight)
    assert figures == (8, 2, 3)
    assert all(type(figure) is int for figure in figures)


@pytest.mark.parametrize(
    ("tenants", "message"),
    [
        ([tenant("vision"), tenant("vision")], "q.tenants.name must be named once (got 'vision')"),
        ([tenant("research")], "q.tenants.name must be another name than a cohort's (got 'research')"),
        ([tenant("falaj")], "q.tenants.name must be another name than a cohort's (got 'falaj')"),
        (
            [tenant("Vision")],
            "q.tenants.name must be lower-case letters, digits and hyphens, start with a letter, at most 63 long"
            " (got 'Vision')",
        ),
        (
            [tenant("vision", department="sales")],
            "q.tenants.vision.department must be a department: research (got 'sales')",
        ),
        (
            [tenant("vision", share(8, "b200"))],
            "q.tenants.vision.shares.pool must be one of the pools: h200, a10g (got 'b200')",
        ),
        (
            [tenant("vision", share(8), share(4))],
            "q.tenants.vision.shares.pool must be named once (got 'h200')",
        ),
        (
            [tenant("vision", share(-1))],
            "q.tenants.vision.shares.h200.nominal must be a whole number from 0 to 1000000 (got -1)",
        ),
        (
            [tenant("vision", share(8, borrowing_limit=-1))],
            "q.tenants.vision.shares.h200.borrowing_limit must be a whole number from 0 to 1000000 (got -1)",
        ),
        (
            [{"name": "vision", "shares": []}],
            "q.tenants.vision.shares must name at least one pool, with 0 for a tenant that only borrows (got [])",
        ),
        (
            [tenant("vision", namespaces=[])],
            "q.tenants.vision.namespaces must name at least one namespace, else nothing gets in (got [])",
        ),
        (
            [tenant("vision"), tenant("nlp", namespaces=["nlp", "vision"])],
            "q.tenants.namespaces must be named once (got 'vision')",
        ),
        ([tenant("vision", weight=0)], "q.tenants.vision.weight must be a whole number from 1 to 1000 (got 0)"),
        (
            [tenant("vision", queueing="LIFO")],
            "q.tenants.vision.queueing must be BestEffortFIFO or StrictFIFO (got 'LIFO')",
        ),
    ],
)
def test_a_tenant_that_cannot_be_is_refused(tenants, message):
    with pytest.raises(ConfigError) as refused:
        check_tenants("q.tenants", tenants, ["research"], POOLS)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("departments", "message"),
    [
        ([{"name": "research"}, {"name": "research"}], "q.departments.name must be named once (got 'research')"),
        (
            [{"name": "falaj"}],
            "q.departments.name must be another name: that is the cohort of all tenants (got 'falaj')",
        ),
        (
            [{"name": "research", "parent": "science"}],
            "q.departments.research.parent must be a department: research (got 'science')",
        ),
        (
            [{"name": "research", "parent": "research"}],
            "q.departments.research.parent must not lead back to research: research in research (got 'research')",
        ),
        (
            [{"name": "a", "parent": "b"}, {"name": "b", "parent": "c"}, {"name": "c", "parent": "a"}],
            "q.departments.a.parent must not lead back to a: a in b in c in a (got 'b')",
        ),
    ],
)
def test_a_department_that_cannot_be_is_refused(departments, message):
    with pytest.raises(ConfigError) as refused:
        check_departments("q.departments", departments, POOLS)
    assert str(refused.value) == message


def test_a_department_that_leads_into_a_circle_of_others_is_refused_by_one_of_those():
    circle = [{"name": "a", "parent": "b"}, {"name": "b", "parent": "c"}, {"name": "c", "parent": "b"}]
    with pytest.raises(ConfigError, match=r"q\.departments\.b\.parent must not lead back to b: b in c in b"):
        check_departments("q.departments", circle, POOLS)


def test_departments_come_after_what_they_are_part_of():
    made = check_departments(
        "q.departments",
        [{"name": "team", "parent": "lab"}, {"name": "lab", "parent": "research"}, {"name": "research"}],
        POOLS,
    )
    assert [each.name for each in downwards(made)] == ["research", "lab", "team"]
    assert {each.name: each.parent for each in made} == {"team": "lab", "lab": "research", "research": ROOT}


def lending(tenants, departments):
    checked = check_departments("q.departments", departments, POOLS)
    members = check_tenants("q.tenants", tenants, [each.name for each in checked], POOLS)
    check_lending("q", members, checked)


def test_nobody_lends_more_than_there_is():
    lending([tenant("vision", share(8, lending_limit=8))], [])
    with pytest.raises(ConfigError) as refused:
        lending([tenant("vision", share(8, lending_limit=9))], [])
    assert str(refused.value) == (
        "q.tenants.vision.shares.h200.lending_limit must be at most what vision has of the pool, 8 (got 9)"
    )


def test_a_department_lends_what_its_tenants_and_their_parts_have_together():
    parts = [
        {"name": "research", "shares": [share(2, lending_limit=14)]},
        {"name": "lab", "parent": "research", "shares": [share(4)]},
    ]
    lending([tenant("vision", share(8), department="lab")], parts)
    parts[0]["shares"][0]["lending_limit"] = 15
    with pytest.raises(ConfigError, match=r"lending_limit must be at most what research has of the pool, 14"):
        lending([tenant("vision", share(8), department="lab")], parts)


def members(*tenants):
    return check_tenants("q.tenants", list(tenants), [], POOLS)


def test_shares_above_the_pool_are_refused_with_the_sum_the_size_and_who_has_what():
    shared = members(tenant("vision", share(64)), tenant("nlp", share(40)), tenant("guest", share(0)))
    check_sums("q", "h200", 128, shared, common=24)
    with pytest.raises(ConfigError) as refused:
        check_sums("q", "h200", 128, shared, common=32)
    assert str(refused.value) == (
        "q.tenants must share out at most what pool h200 has at its largest, 128: vision 64, nlp 40, common 32"
        " (got 136)"
    )
    assert (refused.value.field, refused.value.value) == ("q.tenants", 136)


def test_a_borrowing_limit_that_is_taken_for_the_total_is_refused():
    check_sums("q", "h200", 16, members(tenant("vision", share(8, borrowing_limit=8))), 0)
    check_sums("q", "h200", 16, members(tenant("vision", share(8, borrowing_limit=0))), 0)
    with pytest.raises(ConfigError) as refused:
        check_sums("q", "h200", 16, members(tenant("vision", share(8, borrowing_limit=12))), 0)
    assert str(refused.value) == (
        "q.tenants.vision.shares.h200.borrowing_limit must be at most 8, as it comes on top of 8 of the 16 in pool h200"
        " (got 12)"
    )


def test_a_pool_in_which_nobody_has_a_share_needs_no_check():
    check_sums("q", "a10g", 0, members(tenant("vision")), 0)
