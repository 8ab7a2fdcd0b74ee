"""A team's monthly budget: finance hears of it when half is spent, and when the month is forecast to go over."""

import pulumi

from falaj.components import CostBudget

config = pulumi.Config()
budget = CostBudget(
    "vision",
    {
        "monthly_usd": config.get_int("monthlyUsd") or 20_000,
        "emails": ["finance@example.com", "vision-team@example.com"],
        "ownership": {
            "owner": "vision-team",
            "cost_centre": config.get("costCentre") or "cc-2001",
            "environment": "dev",
        },
    },
)
pulumi.export("budget", budget.budget_name)
