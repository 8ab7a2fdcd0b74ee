"""Records and what watches: logs, trails, recorders, detectors, and who is told."""

from collections.abc import Iterator

from listing import Client, Listing, Thing, ask, listed, pages, settings, shows

_ACCOUNT = "123456789012"


def _log_groups(logs: Client) -> Iterator[Thing]:
    for item in pages(logs, "describe_log_groups", "logGroups"):
        name, arn = item["logGroupName"], item["arn"].removesuffix(":*")
        yield (
            name,
            {
                **item,
                "tags": ask(logs, "list_tags_for_resource", resourceArn=arn),
                "metricFilters": ask(logs, "describe_metric_filters", logGroupName=name),
                "subscriptions": ask(logs, "describe_subscription_filters", logGroupName=name),
            },
        )


def _publishing_destinations(guardduty: Client) -> Iterator[Thing]:
    for detector in pages(guardduty, "list_detectors", "DetectorIds"):
        for item in pages(guardduty, "list_publishing_destinations", "Destinations", DetectorId=detector):
            where = {"DetectorId": detector, "DestinationId": item["DestinationId"]}
            yield item["DestinationId"], ask(guardduty, "describe_publishing_destination", **where)


def _rules(events: Client) -> Iterator[Thing]:
    for item in pages(events, "list_rules", "Rules"):
        yield (
            item["Name"],
            {
                **item,
                "targets": ask(events, "list_targets_by_rule", Rule=item["Name"]),
                "tags": ask(events, "list_tags_for_resource", ResourceARN=item["Arn"]),
            },
        )


def _budgets(budgets: Client) -> Iterator[Thing]:
    for item in pages(budgets, "describe_budgets", "Budgets", AccountId=_ACCOUNT):
        named = {"AccountId": _ACCOUNT, "BudgetName": item["BudgetName"]}
        yield item["BudgetName"], {**item, "told": ask(budgets, "describe_notifications_for_budget", **named)}


LISTINGS = (
    Listing("budget", "budgets", _budgets, shows("budgets/budget:Budget")),
    Listing(
        "log group",
        "logs",
        _log_groups,
        shows("cloudwatch/logGroup:LogGroup"),
    ),
    Listing(
        "log resource policy",
        "logs",
        listed("describe_resource_policies", "resourcePolicies", "policyName"),
        shows("cloudwatch/logResourcePolicy:LogResourcePolicy"),
    ),
    Listing(
        "trail",
        "cloudtrail",
        listed(
            "describe_trails",
            "trailList",
            "TrailARN",
            {
                "status": ("get_trail_status", {"Name": "TrailARN"}),
                "events": ("get_event_selectors", {"TrailName": "TrailARN"}),
                "insights": ("get_insight_selectors", {"TrailName": "TrailARN"}),
                "tags": ("list_tags", {"ResourceIdList[]": "TrailARN"}),
            },
        ),
        shows("cloudtrail/trail:Trail"),
    ),
    Listing(
        "configuration recorder",
        "config",
        listed(
            "describe_configuration_recorders",
            "ConfigurationRecorders",
            "name",
            {"status": ("describe_configuration_recorder_status", {"ConfigurationRecorderNames[]": "name"})},
        ),
        shows("cfg/recorder:Recorder", "cfg/recorderStatus:RecorderStatus"),
    ),
    Listing(
        "configuration channel",
        "config",
        listed("describe_delivery_channels", "DeliveryChannels", "name"),
        shows("cfg/deliveryChannel:DeliveryChannel"),
    ),
    Listing(
        "configuration retention",
        "config",
        listed("describe_retention_configurations", "RetentionConfigurations", "Name"),
        shows("cfg/retentionConfiguration:RetentionConfiguration"),
    ),
    Listing(
        "configuration rule",
        "config",
        listed("describe_config_rules", "ConfigRules", "ConfigRuleName"),
        shows("cfg/rule:Rule"),
    ),
    Listing(
        "threat detector",
        "guardduty",
        listed("list_detectors", "DetectorIds", "id", {"described": ("get_detector", {"DetectorId": "id"})}),
        shows("guardduty/detector:Detector", "guardduty/detectorFeature:DetectorFeature"),
    ),
    Listing(
        "findings' destination",
        "guardduty",
        _publishing_destinations,
        shows("guardduty/publishingDestination:PublishingDestination"),
    ),
    Listing(
        "security hub",
        "securityhub",
        settings(hub="describe_hub"),
        shows("securityhub/account:Account"),
    ),
    Listing(
        "security standard",
        "securityhub",
        listed("get_enabled_standards", "StandardsSubscriptions", "StandardsSubscriptionArn"),
        shows("securityhub/standardsSubscription:StandardsSubscription"),
    ),
    Listing(
        "data discovery",
        "macie2",
        settings(session="get_macie_session", export="get_classification_export_configuration"),
        shows(
            "macie2/account:Account",
            "macie2/classificationExportConfiguration:ClassificationExportConfiguration",
        ),
    ),
    Listing(
        "vulnerability scanner",
        "inspector2",
        settings(account="batch_get_account_status"),
        shows("inspector2/enabler:Enabler"),
    ),
    Listing(
        "access analyzer",
        "accessanalyzer",
        listed("list_analyzers", "analyzers", "name"),
        shows("accessanalyzer/analyzer:Analyzer"),
    ),
    Listing(
        "topic",
        "sns",
        listed(
            "list_topics",
            "Topics",
            "TopicArn",
            {
                "attributes": ("get_topic_attributes", {"TopicArn": "TopicArn"}),
                "tags": ("list_tags_for_resource", {"ResourceArn": "TopicArn"}),
            },
        ),
        shows("sns/topic:Topic", "sns/topicPolicy:TopicPolicy"),
    ),
    Listing(
        "topic subscription",
        "sns",
        listed("list_subscriptions", "Subscriptions", "SubscriptionArn"),
        shows("sns/topicSubscription:TopicSubscription"),
    ),
    Listing(
        "event rule",
        "events",
        _rules,
        shows("cloudwatch/eventRule:EventRule", "cloudwatch/eventTarget:EventTarget"),
    ),
)
