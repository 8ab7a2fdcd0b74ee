"""CostBudget on HashiCorp's provider: what AWS holds, a change, drift and the end."""

import pytest
from examples import Example

from falaj.lab.state import ACCOUNT

pytestmark = pytest.mark.lab


def test_a_budget_lives_as_it_was_asked_for(bridged):
    example = Example(bridged, "cost-budget")
    example.up()
    assert example.changes() == {}
    of = {"AccountId": ACCOUNT, "BudgetName": "dev-cc-2001-vision"}
    budgets = example.aws("budgets")

    def limit() -> str:
        return budgets.describe_budget(**of)["Budget"]["BudgetLimit"]["Amount"]

    assert float(limit()) == 20_000
    told = budgets.describe_notifications_for_budget(**of)["Notifications"]
    assert sorted((each["NotificationType"], each["Threshold"]) for each in told) == [
        ("ACTUAL", 50.0),
        ("ACTUAL", 80.0),
        ("ACTUAL", 100.0),
        ("FORECASTED", 100.0),
    ]
    to = budgets.describe_subscribers_for_notification(**of, Notification=told[0])["Subscribers"]
    assert {each["Address"] for each in to} == {"finance@example.com", "vision-team@example.com"}

    assert example.changes(monthlyUsd="30000") == {"vision-budget": ("update", {"limitAmount"})}
    assert example.changes(costCentre="cc-9")["vision-budget"][0] == "replace"

    found = budgets.describe_budget(**of)["Budget"]
    raised = {"Amount": "90000", "Unit": "USD"}
    budgets.update_budget(AccountId=ACCOUNT, NewBudget={**found, "BudgetLimit": raised})
    assert example.drift()["vision-budget"][1] == {"limitAmount"}
    example.up()
    assert float(limit()) == 20_000

    example.destroy()
    assert budgets.describe_budgets(AccountId=ACCOUNT).get("Budgets", []) == []
