"""CostBudget: what it counts, whom it tells, and what it refuses."""

import pytest
from component_samples import OWNERSHIP

from falaj.components import ConfigError, CostBudget

ARGS = {"monthly_usd": 5000, "emails": ["finance@example.com"], "ownership": OWNERSHIP}


def test_it_counts_what_carries_the_cost_centre(run, engine, providers):
    assert run(lambda: CostBudget("vision", ARGS, providers()).budget_name) == "test-cc-1-vision"
    budget = engine.one("Budget")
    assert (budget["limitAmount"], budget["limitUnit"], budget["timeUnit"]) == ("5000", "USD", "MONTHLY")
    assert budget["costFilters"] == [{"name": "TagKeyValue", "values": ["user:cost-centre$cc-1"]}]


def test_somebody_is_told_before_it_is_spent(run, engine, providers):
    run(lambda: CostBudget("vision", {**ARGS, "spent_percent": [90, 50]}, providers()).budget_name)
    told = [(each["notificationType"], each["threshold"]) for each in engine.one("Budget")["notifications"]]
    assert told == [("FORECASTED", 100.0), ("ACTUAL", 50.0), ("ACTUAL", 90.0)]
    assert all(
        each["subscriberEmailAddresses"] == ["finance@example.com"] for each in engine.one("Budget")["notifications"]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"monthly_usd": 0},
            "vision.monthly_usd must be a whole number from 1 to 100000000 US dollars (got 0)",
        ),
        ({"emails": []}, "vision.emails must be one to ten addresses (got [])"),
        ({"emails": ["finance"]}, "vision.emails must be e-mail addresses (got 'finance')"),
        ({"spent_percent": [80, 80]}, "vision.spent_percent must be different percentages (got [80, 80])"),
        (
            {"spent_percent": [], "forecast_percent": []},
            "vision.spent_percent and forecast_percent must be one to ten together (got [])",
        ),
    ],
)
def test_a_budget_that_tells_nobody_or_nothing_is_refused(run, providers, change, message):
    with pytest.raises(ConfigError) as refused:
        run(lambda: CostBudget("vision", {**ARGS, **change}, providers()))
    assert str(refused.value) == message
