"""Alarms and budgets: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.making import simple

from falaj.policies.values import UNKNOWN

METRIC = "aws:cloudwatch/metricAlarm:MetricAlarm"
NOTIFIED = {"threshold": 80.0, "thresholdType": "PERCENTAGE", "subscriberEmailAddresses": ["finance@example.ae"]}

CASES = [
    *(
        simple(
            "FJ-ALM-001",
            type_,
            {"alarmActions": ["arn"]},
            {"alarmActions": ["arn"], "actionsEnabled": False},
            {"alarmActions": UNKNOWN},
        )
        for type_ in (METRIC, "aws:cloudwatch/compositeAlarm:CompositeAlarm")
    ),
    simple("FJ-ALM-002", METRIC, {}, {"treatMissingData": "ignore"}, {"treatMissingData": UNKNOWN}),
    simple(
        "FJ-BUD-001",
        "aws:budgets/budget:Budget",
        {"notifications": [NOTIFIED | {"threshold": 150.0}, NOTIFIED]},
        {"notifications": [NOTIFIED | {"threshold": 150.0}]},
        {"notifications": [NOTIFIED | {"threshold": UNKNOWN}]},
    ),
]
MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    ("aws:budgets/budget:Budget", ["notifications"], [], {"FJ-BUD-001"}),
    ("aws:budgets/budget:Budget", ["notifications"], [NOTIFIED | {"threshold": 200}], {"FJ-BUD-001"}),
]
