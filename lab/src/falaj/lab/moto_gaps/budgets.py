"""Budgets: changing a budget, its tags and whom a notification goes to. moto has none of the three."""

import json
from typing import Any

from moto.budgets import urls
from moto.budgets.exceptions import NotFoundException
from moto.budgets.models import Budget, Notification
from moto.budgets.responses import BudgetsResponse

from falaj.lab.moto_gaps.kept import kept


class Budgets(BudgetsResponse):
    """The operations of Budgets: moto's, and what it lacks."""

    def create_budget(self) -> str:
        """Keep a new budget's tags, which moto drops."""
        answer = super().create_budget()
        given: list[dict[str, str]] = self._get_param("ResourceTags") or []
        _tags(self._named(self._get_param("Budget")["BudgetName"])).update({tag["Key"]: tag["Value"] for tag in given})
        return answer

    def update_budget(self) -> str:
        """Replace what a budget says; its notifications stay."""
        new: dict[str, Any] = self._get_param("NewBudget")
        budget: Any = self._named(new["BudgetName"])
        made: Any = Budget(new, [])
        budget.budget = {**made.budget, "TimePeriod": new.get("TimePeriod", budget.budget["TimePeriod"])}
        return json.dumps({})

    def describe_subscribers_for_notification(self) -> str:
        """Tell whom a notification goes to."""
        wanted: dict[str, Any] = self._get_param("Notification")
        notifications: list[Any] = self._named(self._get_param("BudgetName")).notifications
        for notification in notifications:
            assert isinstance(notification, Notification)
            if _same(notification.details, wanted):
                return json.dumps({"Subscribers": notification.subscribers})
        raise NotFoundException("Unable to get subscribers - the notification doesn't exist.")

    def list_tags_for_resource(self) -> str:
        """Tell a budget's tags."""
        return json.dumps({"ResourceTags": [{"Key": k, "Value": v} for k, v in _tags(self._by_arn()).items()]})

    def tag_resource(self) -> str:
        """Give a budget tags."""
        given: list[dict[str, str]] = self._get_param("ResourceTags")
        _tags(self._by_arn()).update({tag["Key"]: tag["Value"] for tag in given})
        return json.dumps({})

    def untag_resource(self) -> str:
        """Take tags from a budget."""
        for key in self._get_param("ResourceTagKeys"):
            _tags(self._by_arn()).pop(key, None)
        return json.dumps({})

    def _by_arn(self) -> Budget:
        return self._named(self._get_param("ResourceARN").rpartition("/")[2])

    def _named(self, name: str) -> Budget:
        budgets = self.backend.budgets[self.current_account]
        if name not in budgets:
            raise NotFoundException(f"Unable to get budget: {name} - the budget doesn't exist.")
        return budgets[name]


def serve() -> None:
    """Let moto's server answer Budgets' requests so."""
    urls.url_paths.update(dict.fromkeys(urls.url_paths, Budgets.dispatch))


def _tags(budget: Budget) -> dict[str, str]:
    """Return a budget's tags."""
    return kept(budget, "tags")


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Say whether two notifications are one: a threshold is a percentage where it does not say otherwise."""
    usual = {"ThresholdType": "PERCENTAGE"}
    return {**usual, **one, "NotificationState": ""} == {**usual, **other, "NotificationState": ""}
