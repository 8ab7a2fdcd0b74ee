"""Logs, metrics and events: every sink, stream, bus and exporter is in the home region."""

from collections.abc import Iterator, Mapping

from falaj.policies.model import Context, Resource, Rule, Severity
from falaj.policies.residency.crossings import (
    ARN,
    BUCKETS,
    REGION,
    URL,
    Crossing,
    Way,
    bucket,
    follow,
    reference,
    residency_rule,
    sink,
)
from falaj.policies.residency.places import GLOBAL

_Ways = Mapping[str, tuple[Way, ...]]
_FIREHOSE = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
_SINKS = (
    *BUCKETS,
    _FIREHOSE,
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:kinesis/stream:Stream",
    "aws:lambda/function:Function",
    "aws:cloudwatch/logDestination:LogDestination",
)

LOGS: _Ways = {
    "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter": (Way("destinationArn", sink, _SINKS),),
    "aws:cloudwatch/logDestination:LogDestination": (Way("targetArn", sink, _SINKS),),
    "aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination": (
        Way("deliveryDestinationConfiguration.destinationResourceArn", sink, _SINKS),
    ),
    "aws:ec2/flowLog:FlowLog": (Way("logDestination", sink, _SINKS),),
    "aws:route53/resolverQueryLogConfig:ResolverQueryLogConfig": (Way("destinationArn", sink, _SINKS),),
    "aws:cloudtrail/trail:Trail": (Way("s3BucketName", bucket, BUCKETS), Way("cloudWatchLogsGroupArn", sink, _SINKS)),
    "aws:cfg/deliveryChannel:DeliveryChannel": (Way("s3BucketName", bucket, BUCKETS), Way("snsTopicArn", reference)),
    "aws:guardduty/publishingDestination:PublishingDestination": (Way("destinationArn", sink, BUCKETS),),
    "aws:networkfirewall/loggingConfiguration:LoggingConfiguration": (
        Way("loggingConfiguration.logDestinationConfigs.logDestination.bucketName", bucket, BUCKETS),
    ),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": (Way("logDestinationConfigs", sink, _SINKS),),
    "aws:s3/bucketLogging:BucketLogging": (Way("targetBucket", bucket, BUCKETS),),
    "aws:ssm/resourceDataSync:ResourceDataSync": (Way("s3Destination.region", REGION),),
}
"""Where each type of log goes."""

_STREAMS: _Ways = {
    _FIREHOSE: (
        Way("httpEndpointConfiguration.url", URL),
        Way("splunkConfiguration.hecEndpoint", URL),
        Way("snowflakeConfiguration.accountUrl", URL),
        Way("redshiftConfiguration.clusterJdbcurl", URL),
        Way("extendedS3Configuration.bucketArn", bucket, BUCKETS),
        Way("opensearchConfiguration.domainArn", ARN, ("aws:opensearch/domain:Domain",)),
    ),
    "aws:cloudwatch/metricStream:MetricStream": (Way("firehoseArn", ARN, (_FIREHOSE,)),),
    "aws:amp/scraper:Scraper": (Way("destination.amp.workspaceArn", ARN, ("aws:amp/workspace:Workspace",)),),
}
_COLLECTORS: _Ways = {
    "aws:oam/link:Link": (Way("sinkIdentifier", ARN, ("aws:oam/sink:Sink",)),),
    "aws:cfg/aggregateAuthorization:AggregateAuthorization": (
        Way("authorizedAwsRegion", REGION),
        Way("region", REGION),
    ),
    "aws:securityhub/findingAggregator:FindingAggregator": (Way("specifiedRegions", REGION),),
    "aws:securityhub/aggregatorV2:AggregatorV2": (Way("linkedRegions", REGION),),
    "aws:cfg/configurationAggregator:ConfigurationAggregator": (
        Way("accountAggregationSource.regions", REGION),
        Way("organizationAggregationSource.regions", REGION),
    ),
    "aws:notifications/notificationHub:NotificationHub": (Way("notificationHubRegion", REGION),),
    "aws:ssmincidents/replicationSet:ReplicationSet": (Way("regions.name", REGION),),
    "aws:route53/healthCheck:HealthCheck": (Way("cloudwatchAlarmRegion", REGION),),
    "aws:cur/reportDefinition:ReportDefinition": (Way("s3Region", REGION),),
}
_EVENTS: _Ways = {
    "aws:cloudwatch/eventTarget:EventTarget": (
        Way("arn", ARN, (*_SINKS, "aws:sns/topic:Topic", "aws:sqs/queue:Queue")),
    ),
    "aws:cloudwatch/eventApiDestination:EventApiDestination": (Way("invocationEndpoint", URL),),
    "aws:cloudwatch/eventEndpoint:EventEndpoint": (Way("routingConfig.failoverConfig.secondary.route", REGION),),
    "aws:pipes/pipe:Pipe": (Way("source", reference), Way("target", reference)),
    "aws:scheduler/schedule:Schedule": (Way("target.arn", ARN),),
}


@residency_rule(
    "FJ-RES-060",
    "Logs are kept in the home region",
    Severity.CRITICAL,
    ("RES-7", "A.8.15", "A.5.34", "ZT-7"),
    tuple(LOGS),
    "Send logs to a group, a stream or a bucket of the home region; declare the bucket in this stack.",
    kind="log sink",
    reads=_SINKS,
)
def log_sinks(resource: Resource, context: Context) -> Iterator[Crossing]:
    """Logs hold names, addresses and often data."""
    yield from follow(resource, LOGS[resource.type], context, "is not a destination that is known to be at home")


@residency_rule(
    "FJ-RES-061",
    "Streams of logs and metrics end in the home region",
    Severity.CRITICAL,
    ("RES-7", "A.8.16", "A.8.12", "ZT-7"),
    tuple(_STREAMS),
    "Deliver to a store or a collector of the home region; name hosts that are at home in homeDomains.",
    kind="telemetry",
    reads=(*BUCKETS, _FIREHOSE),
)
def streams(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A service that reads metrics is mostly somebody else's, in another country."""
    yield from follow(resource, _STREAMS[resource.type], context, "is not a destination that is known to be at home")


@residency_rule(
    "FJ-RES-062",
    "No other region collects what is found here",
    Severity.HIGH,
    ("RES-7", "A.8.16", "A.5.34"),
    tuple(_COLLECTORS),
    "Collect findings, metrics and configuration in the home region only.",
    kind="telemetry",
)
def collectors(resource: Resource, context: Context) -> Iterator[Crossing]:
    """Links, aggregators and hubs move findings and configuration between regions."""
    yield from follow(resource, _COLLECTORS[resource.type], context, "is a region that is not home")


@residency_rule(
    "FJ-RES-063",
    "Events go to receivers in the home region",
    Severity.HIGH,
    ("RES-7", "A.8.12", "A.8.22"),
    tuple(_EVENTS),
    "Send events to a bus, queue, function or host of the home region.",
    kind="telemetry",
    reads=(*_SINKS, "aws:sns/topic:Topic", "aws:sqs/queue:Queue"),
)
def events(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A rule may send to a bus of another region, and to any host of the world."""
    yield from follow(resource, _EVENTS[resource.type], context, "is not a receiver in the home region")


@residency_rule(
    "FJ-RES-064",
    "Messages are delivered in the home region",
    Severity.HIGH,
    ("RES-7", "A.8.12", "A.5.14"),
    ("aws:sns/topicSubscription:TopicSubscription",),
    "Subscribe queues, functions and hosts of the home region; register deliveries by mail or text message.",
    kind="telemetry",
    reads=("aws:sqs/queue:Queue", "aws:lambda/function:Function", _FIREHOSE),
)
def messages(subscription: Resource, context: Context) -> Iterator[Crossing]:
    """Mail and text messages leave AWS, by ways that nobody can follow."""
    protocol = subscription["protocol"]
    outside = protocol.among(("email", "email-json", "sms", "application"))
    yield Crossing(outside, "messages leave by mail, text or push", GLOBAL)
    if outside.truth is not True:
        by_url = str(protocol.value).startswith("http")
        from_types = ("aws:sqs/queue:Queue", "aws:lambda/function:Function", _FIREHOSE)
        way = Way("endpoint", URL) if by_url else Way("endpoint", ARN, from_types)
        yield from follow(subscription, (way,), context, "is not a receiver in the home region")


RULES: tuple[Rule, ...] = (log_sinks, streams, collectors, events, messages)
