"""A monthly budget of one cost centre, and who is told before it is spent."""

import re
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from falaj.components.checks import bounded, dns_label
from falaj.components.classification import Classification
from falaj.components.errors import ConfigError
from falaj.components.ownership import Ownership, labels

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MOST_EMAILS = 10
# https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-quotas.html
_MOST_ALERTS = 10


class CostBudgetArgs(TypedDict):
    """What may be said of a budget."""

    monthly_usd: int
    """US dollars that may be spent in a month; AWS bills in them."""
    emails: list[str]
    """Who is told, one to ten addresses."""
    ownership: Ownership
    """Whose spending is counted: everything of the account that carries this ``cost_centre`` as its tag."""
    budget_name: NotRequired[str]
    """Name of the budget. Default: ``<environment>-<cost centre>-<component's name>``."""
    forecast_percent: NotRequired[list[int]]
    """Told when the month is forecast to reach so much of the budget. Default: ``[100]``."""
    spent_percent: NotRequired[list[int]]
    """Told when so much of the budget is spent. Default: ``[50, 80, 100]``."""


class CostBudget(pulumi.ComponentResource):
    """One AWS budget over the tag of a cost centre in one account, with alerts by forecast and by spending.

    AWS counts by tag only what was activated as a cost allocation tag (``cost-centre``) in the billing account.
    Budgets is a global service: it holds figures of spending, no data of tenants.
    Serves ISO/IEC 27001:2022 A.8.6. Raises ``ConfigError`` for a value that it refuses, before any resource exists.
    """

    budget_name: pulumi.Output[str]
    """Name of the budget."""

    def __init__(self, name: str, args: CostBudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        ownership = args["ownership"]
        tags = labels(f"{name}.ownership", ownership, Classification.INTERNAL)
        amount = bounded(f"{name}.monthly_usd", args["monthly_usd"], 1, 100_000_000, "US dollars")
        emails = check_emails(f"{name}.emails", args["emails"])
        forecast = check_percents(f"{name}.forecast_percent", args.get("forecast_percent", [100]))
        spent = check_percents(f"{name}.spent_percent", args.get("spent_percent", [50, 80, 100]))
        if not 1 <= len(forecast) + len(spent) <= _MOST_ALERTS:
            raise ConfigError(f"{name}.spent_percent", spent, "and forecast_percent must be one to ten together")
        default = f"{ownership['environment']}-{ownership['cost_centre']}-{name}"
        budget_name = dns_label(f"{name}.budget_name", args.get("budget_name", default), longest=100)

        super().__init__("falaj:index:CostBudget", name, dict(args), opts)
        budget = aws.budgets.Budget(
            f"{name}-budget",
            name=budget_name,
            budget_type="COST",
            limit_amount=str(amount),
            limit_unit="USD",
            time_unit="MONTHLY",
            # Values of one filter are alternatives, so that a second tag would count more, not less.
            cost_filters=[{"name": "TagKeyValue", "values": [f"user:cost-centre${tags['cost-centre']}"]}],
            notifications=[
                {
                    "notification_type": kind,
                    "comparison_operator": "GREATER_THAN",
                    "threshold": float(percent),
                    "threshold_type": "PERCENTAGE",
                    "subscriber_email_addresses": emails,
                }
                for kind, percents in (("FORECASTED", forecast), ("ACTUAL", spent))
                for percent in percents
            ],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.budget_name = budget.name
        self.register_outputs({"budgetName": self.budget_name})


def check_emails(field: str, emails: list[str]) -> list[str]:
    """Return the addresses, refusing what is none and a budget that nobody hears of."""
    for email in emails:
        if not _EMAIL.fullmatch(email):
            raise ConfigError(field, email, "must be e-mail addresses")
    if not 1 <= len(emails) <= _MOST_EMAILS:
        raise ConfigError(field, list(emails), "must be one to ten addresses")
    return list(emails)


def check_percents(field: str, percents: list[int]) -> list[int]:
    """Return different percentages of the budget in rising order."""
    if len(set(percents)) != len(percents):
        raise ConfigError(field, list(percents), "must be different percentages")
    return sorted(bounded(field, percent, 1, 1000, "percent") for percent in percents)
