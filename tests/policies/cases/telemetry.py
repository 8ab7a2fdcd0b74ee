"""Logs, metrics and events: what passes, what fails, and what cannot be decided."""

from policies.making import FLOW_LOG
from policies.placing import arn, in_bucket, named_by_arn, placed, regional

from falaj.policies.values import UNKNOWN

_FIREHOSE = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
_TRAIL = "aws:cloudtrail/trail:Trail"
_CHANNEL = "aws:cfg/deliveryChannel:DeliveryChannel"
_SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
_TO_BUCKET = "arn:aws:s3:::{}"
CASES = [
    named_by_arn(
        "FJ-RES-060", "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter", "destinationArn", "firehose"
    ),
    named_by_arn("FJ-RES-060", "aws:cloudwatch/logDestination:LogDestination", "targetArn", "kinesis"),
    in_bucket(
        "FJ-RES-060",
        "aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination",
        "deliveryDestinationConfiguration.destinationResourceArn",
        form=_TO_BUCKET,
    ),
    in_bucket("FJ-RES-060", FLOW_LOG, "logDestination", form=_TO_BUCKET),
    named_by_arn("FJ-RES-060", FLOW_LOG, "logDestination", "logs"),
    named_by_arn("FJ-RES-060", "aws:route53/resolverQueryLogConfig:ResolverQueryLogConfig", "destinationArn", "logs"),
    in_bucket("FJ-RES-060", _TRAIL, "s3BucketName"),
    named_by_arn("FJ-RES-060", _TRAIL, "cloudWatchLogsGroupArn", "logs"),
    in_bucket("FJ-RES-060", _CHANNEL, "s3BucketName"),
    named_by_arn("FJ-RES-060", _CHANNEL, "snsTopicArn", "sns"),
    in_bucket(
        "FJ-RES-060",
        "aws:guardduty/publishingDestination:PublishingDestination",
        "destinationArn",
        form=_TO_BUCKET,
    ),
    in_bucket(
        "FJ-RES-060",
        "aws:networkfirewall/loggingConfiguration:LoggingConfiguration",
        "loggingConfiguration.logDestinationConfigs.logDestination.bucketName",
    ),
    placed(
        "FJ-RES-060",
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        "logDestinationConfigs",
        [arn("firehose", "me-central-1")],
        [arn("firehose", "eu-west-1")],
        unknown=[UNKNOWN],
    ),
    in_bucket("FJ-RES-060", "aws:s3/bucketLogging:BucketLogging", "targetBucket"),
    regional("FJ-RES-060", "aws:ssm/resourceDataSync:ResourceDataSync", "s3Destination.region"),
    *(
        placed("FJ-RES-061", _FIREHOSE, path, "https://collector.internal", "https://intake.example.com/v1")
        for path in (
            "httpEndpointConfiguration.url",
            "splunkConfiguration.hecEndpoint",
            "snowflakeConfiguration.accountUrl",
        )
    ),
    placed(
        "FJ-RES-061",
        _FIREHOSE,
        "redshiftConfiguration.clusterJdbcurl",
        "jdbc:redshift://c.abc.me-central-1.redshift.amazonaws.com:5439/logs",
        "jdbc:redshift://c.abc.eu-west-1.redshift.amazonaws.com:5439/logs",
    ),
    in_bucket("FJ-RES-061", _FIREHOSE, "extendedS3Configuration.bucketArn", form=_TO_BUCKET),
    named_by_arn("FJ-RES-061", _FIREHOSE, "opensearchConfiguration.domainArn", "es"),
    named_by_arn("FJ-RES-061", "aws:cloudwatch/metricStream:MetricStream", "firehoseArn", "firehose"),
    named_by_arn("FJ-RES-061", "aws:amp/scraper:Scraper", "destination.amp.workspaceArn", "aps"),
    named_by_arn("FJ-RES-062", "aws:oam/link:Link", "sinkIdentifier", "oam"),
    *(
        regional("FJ-RES-062", type_, path)
        for type_, path in (
            ("aws:cfg/aggregateAuthorization:AggregateAuthorization", "authorizedAwsRegion"),
            ("aws:securityhub/findingAggregator:FindingAggregator", "specifiedRegions"),
            ("aws:securityhub/aggregatorV2:AggregatorV2", "linkedRegions"),
            ("aws:cfg/configurationAggregator:ConfigurationAggregator", "accountAggregationSource.regions"),
            ("aws:cfg/configurationAggregator:ConfigurationAggregator", "organizationAggregationSource.regions"),
            ("aws:notifications/notificationHub:NotificationHub", "notificationHubRegion"),
            ("aws:ssmincidents/replicationSet:ReplicationSet", "regions.name"),
            ("aws:route53/healthCheck:HealthCheck", "cloudwatchAlarmRegion"),
            ("aws:cur/reportDefinition:ReportDefinition", "s3Region"),
        )
    ),
    named_by_arn("FJ-RES-063", "aws:cloudwatch/eventTarget:EventTarget", "arn", "events"),
    placed(
        "FJ-RES-063",
        "aws:cloudwatch/eventApiDestination:EventApiDestination",
        "invocationEndpoint",
        "https://api.execute-api.me-central-1.amazonaws.com/hook",
        "https://hooks.example.com/hook",
    ),
    regional(
        "FJ-RES-063", "aws:cloudwatch/eventEndpoint:EventEndpoint", "routingConfig.failoverConfig.secondary.route"
    ),
    named_by_arn("FJ-RES-063", "aws:pipes/pipe:Pipe", "target", "sqs"),
    named_by_arn("FJ-RES-063", "aws:scheduler/schedule:Schedule", "target.arn", "sqs"),
    named_by_arn("FJ-RES-064", _SUBSCRIPTION, "endpoint", "sqs", protocol="sqs"),
    placed(
        "FJ-RES-064",
        _SUBSCRIPTION,
        "endpoint",
        "https://api.execute-api.me-central-1.amazonaws.com/hook",
        "https://hooks.example.com/hook",
        protocol="https",
    ),
    placed("FJ-RES-064", _SUBSCRIPTION, "protocol", "sqs", "email", endpoint=arn("sqs", "me-central-1")),
]
MUTATIONS = [
    ("FlowLog", ["logDestination"], arn("logs", "eu-west-1", "log-group:flows"), {"FJ-RES-060"}),
    ("ResolverQueryLogConfig", ["destinationArn"], arn("logs", "eu-west-1", "log-group:names"), {"FJ-RES-060"}),
    ("Trail", ["cloudWatchLogsGroupArn"], arn("logs", "us-east-1", "log-group:trail:*"), {"FJ-RES-060"}),
    ("DeliveryChannel", ["snsTopicArn"], arn("sns", "eu-west-1", "changes"), {"FJ-RES-060"}),
    ("PublishingDestination", ["destinationArn"], arn("s3", "eu-west-1", "accesspoint/findings"), {"FJ-RES-060"}),
    ("EventTarget", ["arn"], arn("events", "eu-west-1", "event-bus/default"), {"FJ-RES-063"}),
]
