"""Services that carry data on: copies, connectors, models and deployments that would reach past the home region."""

import re
from collections.abc import Iterator, Mapping

from falaj.policies.model import Context, Resource, Rule, Severity
from falaj.policies.residency.crossings import (
    ARN,
    BUCKETS,
    HOST,
    REGION,
    URL,
    Crossing,
    Way,
    bucket,
    follow,
    residency_rule,
)
from falaj.policies.residency.places import GLOBAL
from falaj.policies.values import View

_CARRIERS: Mapping[str, tuple[Way, ...]] = {
    "aws:datasync/s3Location:S3Location": (Way("s3BucketArn", bucket, BUCKETS),),
    "aws:datasync/locationObjectStorage:LocationObjectStorage": (Way("serverHostname", HOST),),
    "aws:datasync/locationAzureBlob:LocationAzureBlob": (Way("containerUrl", URL),),
    "aws:datasync/nfsLocation:NfsLocation": (Way("serverHostname", HOST),),
    "aws:datasync/locationSmb:LocationSmb": (Way("serverHostname", HOST),),
    "aws:dms/endpoint:Endpoint": (Way("serverName", HOST),),
    "aws:dms/s3Endpoint:S3Endpoint": (Way("bucketName", bucket, BUCKETS),),
    "aws:transfer/connector:Connector": (Way("url", URL),),
    "aws:storagegateway/nfsFileShare:NfsFileShare": (Way("bucketRegion", REGION),),
    "aws:storagegateway/smbFileShare:SmbFileShare": (Way("bucketRegion", REGION),),
    "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation": (Way("dataRepositoryPath", bucket, BUCKETS),),
    "aws:dynamodb/tableExport:TableExport": (Way("s3Bucket", bucket, BUCKETS),),
    "aws:lambda/eventSourceMapping:EventSourceMapping": (
        Way("eventSourceArn", ARN, ("aws:sqs/queue:Queue", "aws:kinesis/stream:Stream", "aws:dynamodb/table:Table")),
    ),
}
# Connectors of AppFlow that end in AWS itself.
_OWN_CONNECTORS = ("S3", "Redshift", "EventBridge", "LookoutMetrics", "CustomerProfiles", "Honeycode", "Upsolver")
_SPREAD = re.compile(r"(^|[:/])(us|eu|apac|us-gov|jp|au|ca|global)\.[a-z0-9-]+\.")


@residency_rule(
    "FJ-RES-070",
    "Data is carried to places at home only",
    Severity.CRITICAL,
    ("RES-4", "RES-5", "A.5.14", "A.8.12"),
    tuple(_CARRIERS),
    "Carry data between stores of the home region: declare buckets in this stack, name hosts at home in homeDomains.",
    reads=(*BUCKETS, "aws:sqs/queue:Queue", "aws:kinesis/stream:Stream", "aws:dynamodb/table:Table"),
)
def carriers(resource: Resource, context: Context) -> Iterator[Crossing]:
    """These services exist to move data, in whole stores at a time."""
    yield from follow(resource, _CARRIERS[resource.type], context, "is not a place that is known to be at home")


@residency_rule(
    "FJ-RES-071",
    "Flows end in AWS",
    Severity.CRITICAL,
    ("RES-4", "A.5.14", "A.8.12"),
    ("aws:appflow/flow:Flow",),
    "End flows in a store of the home region; or enter the receiver in the transfer register.",
)
def flows(flow: Resource, _: Context) -> Iterator[Crossing]:
    """AppFlow writes to services of others as readily as it reads from them."""
    for destination in flow["destinationFlowConfigs"].each():
        yield Crossing(~destination["connectorType"].among(_OWN_CONNECTORS), "data goes to a service of others", GLOBAL)


@residency_rule(
    "FJ-RES-072",
    "Models answer in the home region",
    Severity.HIGH,
    ("RES-5", "RES-4", "A.5.34", "A.5.23"),
    (
        "aws:bedrock/inferenceProfile:InferenceProfile",
        "aws:bedrock/agentAgent:AgentAgent",
        "aws:bedrock/guardrail:Guardrail",
    ),
    "Name a model of the home region; a profile whose name begins with an area, as eu. or global., spreads requests.",
)
def models(resource: Resource, context: Context) -> Iterator[Crossing]:
    """A cross-region profile sends prompts to whichever region of an area has room."""
    sources = (
        resource["modelSource"]["copyFrom"],
        resource["foundationModel"],
        resource["crossRegionConfig"]["guardrailProfileIdentifier"],
    )
    for source in sources:
        if source.value is not None:
            yield Crossing(source.test(_spreads), "requests are spread over several regions", GLOBAL)
            yield from _elsewhere(resource, source, context)


def _spreads(text: object) -> bool:
    return bool(_SPREAD.search(str(text)))


def _elsewhere(resource: Resource, source: View, context: Context) -> Iterator[Crossing]:
    if str(source.value).startswith("arn:"):
        yield from follow(resource, (Way(source.path, ARN),), context, "is a model of another region")


@residency_rule(
    "FJ-RES-073",
    "Nothing is deployed to other regions by other means",
    Severity.HIGH,
    ("RES-1", "A.5.23", "A.8.32"),
    (
        "aws:cloudformation/stackInstances:StackInstances",
        "aws:cloudformation/stackSetInstance:StackSetInstance",
        "aws:resiliencehub/v2Service:V2Service",
        "aws:arcregionswitch/plan:Plan",
    ),
    "Deploy to home regions only.",
)
def deployments(resource: Resource, context: Context) -> Iterator[Crossing]:
    """Stack sets make resources that no rule here sees."""
    ways = (Way("regions", REGION), Way("stackSetInstanceRegion", REGION))
    yield from follow(resource, ways, context, "is a region that is not home")


RULES: tuple[Rule, ...] = (carriers, flows, models, deployments)
