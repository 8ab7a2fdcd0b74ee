"""S3: buckets, their companions of AWS provider 7, and objects."""

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Put, as_pairs, resource
from falaj.lab.provider.kind import Autoname, Change, GoneError, ProviderError
from falaj.lab.provider.values import Props


def _create_bucket(aws: Aws, props: Props) -> str:
    parameters: Props = {"Bucket": props["bucket"], "ObjectLockEnabledForBucket": bool(props.get("objectLockEnabled"))}
    if aws.region != "us-east-1":
        parameters["CreateBucketConfiguration"] = {"LocationConstraint": aws.region}
    aws.call("s3.create_bucket", **parameters)
    return props["bucket"]


def _read_bucket(aws: Aws, identifier: str, known: Props) -> Props:
    del known
    aws.call("s3.head_bucket", Bucket=identifier)
    region = aws.call("s3.get_bucket_location", Bucket=identifier).get("LocationConstraint") or "us-east-1"
    return {
        "bucket": identifier,
        "arn": aws.arn("s3", identifier, region="", account=""),
        "bucketRegion": region,
        "bucketDomainName": f"{identifier}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{identifier}.s3.{region}.amazonaws.com",
        "objectLockEnabled": _setting(aws, "object_lock_configuration", identifier) is not None,
        "tags": (_setting(aws, "bucket_tagging", identifier) or {}).get("TagSet"),
    }


def _setting(aws: Aws, name: str, bucket: str) -> Props | None:
    """Return one of a bucket's settings, None when it has none of its kind."""
    try:
        return aws.call(f"s3.get_{name}", Bucket=bucket)
    except GoneError as error:
        if "NoSuchBucket" in str(error):
            raise
        return None


def _tag_bucket(aws: Aws, identifier: str, change: Change) -> None:
    tags = change.wanted.get("tags")
    if tags:
        aws.call("s3.put_bucket_tagging", Bucket=identifier, Tagging={"TagSet": as_pairs(tags)})
    else:
        aws.call("s3.delete_bucket_tagging", Bucket=identifier)


def _delete_bucket(aws: Aws, identifier: str, state: Props) -> None:
    if state.get("forceDestroy"):
        pages = aws.client("s3").get_paginator("list_object_versions").paginate(Bucket=identifier)
        for page in pages:
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                aws.call("s3.delete_object", Bucket=identifier, Key=version["Key"], VersionId=version["VersionId"])
    try:
        aws.call("s3.delete_bucket", Bucket=identifier)
    except ProviderError as error:
        if "BucketNotEmpty" in str(error):
            raise ProviderError(
                f"the bucket {identifier} is not empty; set forceDestroy to remove it with all in it"
            ) from error
        raise


BUCKET = resource(
    "aws:s3/bucket:Bucket",
    create=_create_bucket,
    read=_read_bucket,
    update=[Put("tags", _tag_bucket)],
    delete=_delete_bucket,
    replace="objectLockEnabled",
    local="forceDestroy",
    defaults={"forceDestroy": False},
    computed="objectLockEnabled",
    name=Autoname("bucket", prefix="bucketPrefix", longest=63, lower=True),
    key="bucket",
)

KINDS = [BUCKET]
