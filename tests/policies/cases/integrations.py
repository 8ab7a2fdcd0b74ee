"""Services that carry data on: what passes, what fails, and what cannot be decided."""

from policies.placing import in_bucket, named_by_arn, placed, regional

from falaj.policies.values import UNKNOWN

_MODEL = "arn:aws:bedrock:me-central-1::foundation-model/anthropic.model-v1"
_PROFILE = "arn:aws:bedrock:me-central-1:123456789012:inference-profile/{}.anthropic.model-v1"
CASES = [
    in_bucket("FJ-RES-070", "aws:datasync/s3Location:S3Location", "s3BucketArn", form="arn:aws:s3:::{}"),
    *(
        placed("FJ-RES-070", type_, path, "10.1.2.3", "files.example.com")
        for type_, path in (
            ("aws:datasync/locationObjectStorage:LocationObjectStorage", "serverHostname"),
            ("aws:datasync/nfsLocation:NfsLocation", "serverHostname"),
            ("aws:datasync/locationSmb:LocationSmb", "serverHostname"),
            ("aws:dms/endpoint:Endpoint", "serverName"),
        )
    ),
    placed(
        "FJ-RES-070",
        "aws:datasync/locationAzureBlob:LocationAzureBlob",
        "containerUrl",
        "https://blobs.internal/data",
        "https://account.blob.core.windows.net/data",
    ),
    in_bucket("FJ-RES-070", "aws:dms/s3Endpoint:S3Endpoint", "bucketName"),
    placed(
        "FJ-RES-070", "aws:transfer/connector:Connector", "url", "sftp://partner.internal", "sftp://files.example.com"
    ),
    regional("FJ-RES-070", "aws:storagegateway/nfsFileShare:NfsFileShare", "bucketRegion"),
    regional("FJ-RES-070", "aws:storagegateway/smbFileShare:SmbFileShare", "bucketRegion"),
    in_bucket(
        "FJ-RES-070",
        "aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation",
        "dataRepositoryPath",
        form="s3://{}/data",
    ),
    in_bucket("FJ-RES-070", "aws:dynamodb/tableExport:TableExport", "s3Bucket"),
    named_by_arn("FJ-RES-070", "aws:lambda/eventSourceMapping:EventSourceMapping", "eventSourceArn", "sqs"),
    placed("FJ-RES-071", "aws:appflow/flow:Flow", "destinationFlowConfigs.connectorType", "S3", "Salesforce"),
    placed(
        "FJ-RES-072",
        "aws:bedrock/inferenceProfile:InferenceProfile",
        "modelSource.copyFrom",
        _MODEL,
        _PROFILE.format("apac"),
    ),
    placed(
        "FJ-RES-072",
        "aws:bedrock/agentAgent:AgentAgent",
        "foundationModel",
        "anthropic.model-v1",
        "global.anthropic.model-v1",
    ),
    placed(
        "FJ-RES-072",
        "aws:bedrock/guardrail:Guardrail",
        "crossRegionConfig.guardrailProfileIdentifier",
        None,
        "arn:aws:bedrock:us-east-1:123456789012:guardrail-profile/us.guardrail.v1:0",
    ),
    *(
        regional("FJ-RES-073", type_, "regions", is_list=True)
        for type_ in (
            "aws:cloudformation/stackInstances:StackInstances",
            "aws:resiliencehub/v2Service:V2Service",
            "aws:arcregionswitch/plan:Plan",
        )
    ),
    placed(
        "FJ-RES-073",
        "aws:cloudformation/stackSetInstance:StackSetInstance",
        "stackSetInstanceRegion",
        "me-central-1",
        "eu-west-1",
        unknown=UNKNOWN,
    ),
]
