"""Gaps of Budgets."""

from typing import Any

from asking import Aws, name, refused

from falaj.lab.state import ACCOUNT

EIGHTY = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80.0}
ADDRESS = {"SubscriptionType": "EMAIL", "Address": "finance@example.com"}


def _budget(amount: str) -> dict[str, Any]:
    limit = {"Amount": amount, "Unit": "USD"}
    return {"BudgetName": name(), "BudgetLimit": limit, "TimeUnit": "MONTHLY", "BudgetType": "COST"}


def a_budget_is_changed_and_keeps_its_notifications(aws: Aws) -> bool:
    budgets, budget = aws.client("budgets"), _budget("100")
    told = [{"Notification": EIGHTY, "Subscribers": [ADDRESS]}]
    budgets.create_budget(AccountId=ACCOUNT, Budget=budget, NotificationsWithSubscribers=told)
    of = {"AccountId": ACCOUNT, "BudgetName": budget["BudgetName"]}
    budgets.update_budget(AccountId=ACCOUNT, NewBudget={**budget, "BudgetLimit": {"Amount": "200", "Unit": "USD"}})
    found = budgets.describe_budget(**of)["Budget"]
    kept = budgets.describe_notifications_for_budget(**of)["Notifications"]
    return found["BudgetLimit"]["Amount"] == "200" and len(kept) == 1


def a_notification_tells_whom_it_goes_to(aws: Aws) -> bool:
    budgets, budget = aws.client("budgets"), _budget("100")
    told = [{"Notification": EIGHTY, "Subscribers": [ADDRESS]}]
    budgets.create_budget(AccountId=ACCOUNT, Budget=budget, NotificationsWithSubscribers=told)
    of = {"AccountId": ACCOUNT, "BudgetName": budget["BudgetName"]}
    asked = {**EIGHTY, "ThresholdType": "PERCENTAGE"}
    other = {**EIGHTY, "Threshold": 90.0}
    return budgets.describe_subscribers_for_notification(**of, Notification=asked)["Subscribers"] == [
        ADDRESS
    ] and refused(
        lambda: budgets.describe_subscribers_for_notification(**of, Notification=other), "NotFoundException", ""
    )


def a_budget_has_tags_that_change(aws: Aws) -> bool:
    budgets, budget = aws.client("budgets"), _budget("100")
    arn = f"arn:aws:budgets::{ACCOUNT}:budget/{budget['BudgetName']}"
    budgets.create_budget(AccountId=ACCOUNT, Budget=budget, ResourceTags=[{"Key": "a", "Value": "1"}])
    budgets.tag_resource(ResourceARN=arn, ResourceTags=[{"Key": "b", "Value": "2"}])
    budgets.untag_resource(ResourceARN=arn, ResourceTagKeys=["a"])
    return budgets.list_tags_for_resource(ResourceARN=arn)["ResourceTags"] == [{"Key": "b", "Value": "2"}]


GAPS = [
    a_budget_is_changed_and_keeps_its_notifications,
    a_notification_tells_whom_it_goes_to,
    a_budget_has_tags_that_change,
]
