"""Alarms and budgets: somebody is told, and in time."""

from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule
from falaj.policies.values import Fact, View, any_of

_COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"


@rule(
    "FJ-ALM-001",
    "Alarms tell somebody",
    Severity.MEDIUM,
    ("A.8.16", "A.5.24", "ZT-7"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", _COMPOSITE),
    "Set alarmActions to a topic that somebody reads, and leave actionsEnabled on.",
)
def alarms(alarm: Resource, _: Context) -> Checks:
    """An alarm that rings in a console rings for nobody."""
    yield must(alarm["alarmActions"].is_set(), "nobody is told")
    yield never(alarm["actionsEnabled"].equals(False), "nobody is told")


@rule(
    "FJ-ALM-002",
    "Alarms do not take silence for health",
    Severity.LOW,
    ("A.8.16", "ZT-7"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm",),
    "Set treatMissingData to missing or breaching; to notBreaching where the metric comes with errors only.",
)
def silence(alarm: Resource, _: Context) -> Checks:
    """Who stops the agent stops the alarm, if the last state stays."""
    yield never(alarm["treatMissingData"].equals("ignore"), "an alarm stays as it was when its metric ends")


@rule(
    "FJ-BUD-001",
    "Budgets tell somebody before the money is spent",
    Severity.MEDIUM,
    ("CE-4", "A.8.6", "A.8.16"),
    ("aws:budgets/budget:Budget",),
    "Give the budget a notification at 100 percent or less, with a subscriber.",
)
def budgets(budget: Resource, _: Context) -> Checks:
    """A budget bounds nothing: it tells."""
    notifications = budget["notifications"]
    told = any_of((_tells(each) for each in notifications.each()), notifications.path)
    yield must(told, "nobody is told in time")


def _tells(notification: View) -> Fact:
    """Return whether somebody is told of it no later than when the limit is reached."""
    heard = any_of(notification[key].is_set() for key in ("subscriberEmailAddresses", "subscriberSnsTopicArns"))
    absolute = notification["thresholdType"].equals("ABSOLUTE_VALUE")
    return heard & (absolute | notification["threshold"].test(lambda percent: percent <= 100))


RULES: tuple[Rule, ...] = (alarms, silence, budgets)
