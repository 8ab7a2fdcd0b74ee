"""Queues, topics, streams and buses: encrypted with customer keys, and never in the clear."""

from falaj.policies.demands import Table, customer_key, demanded, none_of, not_on, on, one_of
from falaj.policies.model import Checks, Context, Resource, Rule, Severity, must, never, rule

_QUEUE = "aws:sqs/queue:Queue"
_BROKER = "aws:mq/broker:Broker"
_FIREHOSE = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
_KEYS: Table = {
    _QUEUE: {"kmsMasterKeyId": customer_key},
    "aws:sns/topic:Topic": {"kmsMasterKeyId": customer_key},
    "aws:kinesis/stream:Stream": {"encryptionType": one_of("KMS"), "kmsKeyId": customer_key},
    "aws:kinesis/videoStream:VideoStream": {"kmsKeyId": customer_key},
    "aws:cloudwatch/eventBus:EventBus": {"kmsKeyIdentifier": customer_key},
    "aws:sfn/stateMachine:StateMachine": {
        "encryptionConfiguration.type": one_of("CUSTOMER_MANAGED_KMS_KEY"),
        "encryptionConfiguration.kmsKeyId": customer_key,
    },
    _BROKER: {"encryptionOptions.useAwsOwnedKey": one_of(False), "encryptionOptions.kmsKeyId": customer_key},
}
_DELIVERY_KEYS: Table = {
    _FIREHOSE: {
        "serverSideEncryption.enabled": on,
        "serverSideEncryption.keyType": one_of("CUSTOMER_MANAGED_CMK"),
        "serverSideEncryption.keyArn": customer_key,
    }
}
_LOGGED: Table = {
    "aws:sfn/stateMachine:StateMachine": {"loggingConfiguration.level": one_of("ALL", "ERROR", "FATAL")},
    "aws:cloudwatch/eventBus:EventBus": {"logConfig.level": one_of("ERROR", "INFO", "TRACE")},
    "aws:pipes/pipe:Pipe": {"logConfiguration.level": one_of("ERROR", "INFO", "TRACE")},
}


@rule(
    "FJ-MSG-001",
    "Messages are encrypted with a customer key",
    Severity.HIGH,
    ("A.8.24", "A.5.34"),
    (*_KEYS, _FIREHOSE),
    "Name your own key: kmsMasterKeyId, kmsKeyId, kmsKeyIdentifier, encryptionOptions or serverSideEncryption.",
)
def keys(channel: Resource, _: Context) -> Checks:
    """A delivery stream that reads another stream is encrypted as that one is."""
    message = "messages are not encrypted with a customer key"
    if channel.type != _FIREHOSE:
        yield from demanded(channel, _KEYS, message)
        return
    reads = channel["kinesisSourceConfiguration"].is_set() | channel["mskSourceConfiguration"].is_set()
    for check in demanded(channel, _DELIVERY_KEYS, message):
        yield never(check.violated & ~reads, message)


@rule(
    "FJ-MSG-002",
    "Topics deliver over TLS",
    Severity.HIGH,
    ("A.8.24", "A.8.21", "ZT-2"),
    ("aws:sns/topicSubscription:TopicSubscription",),
    "Subscribe by https, or by a queue, a function or a stream.",
)
def subscriptions(subscription: Resource, _: Context) -> Checks:
    """Over HTTP every hop reads along."""
    yield must(none_of("http")(subscription["protocol"]), "messages are delivered in the clear")


@rule(
    "FJ-MSG-003",
    "Message brokers have no public address",
    Severity.CRITICAL,
    ("A.8.20", "A.8.22"),
    (_BROKER,),
    "Leave publiclyAccessible false.",
    fix={"publiclyAccessible": False},
)
def private_brokers(broker: Resource, _: Context) -> Checks:
    """A password is then all that is between the messages and the internet."""
    yield must(not_on(broker["publiclyAccessible"]), "the broker has a public address")


@rule(
    "FJ-MSG-004",
    "Workflows and buses log what they do",
    Severity.MEDIUM,
    ("A.8.15", "A.8.16", "ZT-7"),
    tuple(_LOGGED),
    "Set the level of loggingConfiguration, logConfig or logConfiguration to something else than OFF.",
)
def logs(flow: Resource, _: Context) -> Checks:
    """The default is to log nothing."""
    yield from demanded(flow, _LOGGED, "nothing of what happens is logged")


@rule(
    "FJ-MSG-005",
    "Logs of workflows hold no data",
    Severity.MEDIUM,
    ("A.8.12", "A.8.11"),
    ("aws:sfn/stateMachine:StateMachine", "aws:pipes/pipe:Pipe"),
    "Leave loggingConfiguration.includeExecutionData false, and logConfiguration.includeExecutionDatas empty.",
)
def payloads(flow: Resource, _: Context) -> Checks:
    """Who may read logs may not always read the data."""
    yield never(flow["loggingConfiguration"]["includeExecutionData"].is_true(), "the data goes to the log")
    yield never(flow["logConfiguration"]["includeExecutionDatas"].is_set(), "the data goes to the log")


RULES: tuple[Rule, ...] = (keys, subscriptions, private_brokers, logs, payloads)
