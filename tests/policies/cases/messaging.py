"""Queues, topics, streams and buses: what passes, what fails, and what cannot be decided."""

from typing import Any

from policies.cases.storage import KEY_ARN, each, nested, varied
from policies.making import simple

from falaj.policies.values import UNKNOWN

FIREHOSE = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"
BROKER = "aws:mq/broker:Broker"
WORKFLOW = "aws:sfn/stateMachine:StateMachine"
BUS = "aws:cloudwatch/eventBus:EventBus"
PIPE = "aws:pipes/pipe:Pipe"
TOPIC = "aws:sns/topic:Topic"
_DELIVERY = {
    "serverSideEncryption.enabled": True,
    "serverSideEncryption.keyType": "CUSTOMER_MANAGED_CMK",
    "serverSideEncryption.keyArn": KEY_ARN,
}
_WORKFLOW = {
    "encryptionConfiguration.type": "CUSTOMER_MANAGED_KMS_KEY",
    "encryptionConfiguration.kmsKeyId": KEY_ARN,
}
_BROKER = {"encryptionOptions.useAwsOwnedKey": False, "encryptionOptions.kmsKeyId": KEY_ARN}

CASES = [
    *each(
        "FJ-MSG-001",
        {
            "aws:sqs/queue:Queue": ({"kmsMasterKeyId": KEY_ARN}, "kmsMasterKeyId", "alias/aws/sqs"),
            TOPIC: ({"kmsMasterKeyId": KEY_ARN}, "kmsMasterKeyId", None),
            "aws:kinesis/stream:Stream": (
                {"encryptionType": "KMS", "kmsKeyId": KEY_ARN},
                "kmsKeyId",
                "alias/aws/kinesis",
            ),
            "aws:kinesis/videoStream:VideoStream": ({"kmsKeyId": KEY_ARN}, "kmsKeyId", None),
            BUS: ({"kmsKeyIdentifier": KEY_ARN}, "kmsKeyIdentifier", None),
            WORKFLOW: (_WORKFLOW, "encryptionConfiguration.type", "AWS_OWNED_KEY"),
            BROKER: (_BROKER, "encryptionOptions.useAwsOwnedKey", None),
            FIREHOSE: (_DELIVERY, "serverSideEncryption.keyType", "AWS_OWNED_CMK"),
        },
    ),
    simple(
        "FJ-MSG-001",
        FIREHOSE,
        {"kinesisSourceConfiguration": {"kinesisStreamArn": "arn"}},
        {},
        nested(_DELIVERY | {"serverSideEncryption.enabled": UNKNOWN}),
    ),
    varied("FJ-MSG-002", "aws:sns/topicSubscription:TopicSubscription", {"protocol": "https"}, "protocol", "http"),
    varied("FJ-MSG-003", BROKER, {"publiclyAccessible": False}, "publiclyAccessible", True),
    varied("FJ-MSG-004", WORKFLOW, {"loggingConfiguration.level": "ERROR"}, "loggingConfiguration.level", "OFF"),
    varied("FJ-MSG-004", BUS, {"logConfig.level": "INFO"}, "logConfig.level", None),
    varied("FJ-MSG-004", PIPE, {"logConfiguration.level": "INFO"}, "logConfiguration.level", "OFF"),
    varied(
        "FJ-MSG-005",
        WORKFLOW,
        {"loggingConfiguration.includeExecutionData": False},
        "loggingConfiguration.includeExecutionData",
        True,
    ),
    varied(
        "FJ-MSG-005",
        PIPE,
        {"logConfiguration.includeExecutionDatas": []},
        "logConfiguration.includeExecutionDatas",
        ["ALL"],
    ),
]

MUTATIONS: list[tuple[str, list[str | int], Any, set[str]]] = [
    (TOPIC, ["kmsMasterKeyId"], None, {"FJ-MSG-001"}),
    (TOPIC, ["kmsMasterKeyId"], "alias/aws/sns", {"FJ-MSG-001"}),
]
