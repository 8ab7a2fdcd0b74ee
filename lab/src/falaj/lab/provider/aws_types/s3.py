"""S3: buckets and objects."""

import base64
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

from falaj.lab.provider.aws_types.session import Aws
from falaj.lab.provider.aws_types.table import Put, as_pairs, camelize, resource
from falaj.lab.provider.kind import Autoname, Change, GoneError, Kind, ProviderError
from falaj.lab.provider.values import Asset, Props, is_empty


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
    versioning = aws.call("s3.get_bucket_versioning", Bucket=identifier)
    lock = (_setting(aws, "object_lock_configuration", identifier) or {}).get("ObjectLockConfiguration")
    return {
        "bucket": identifier,
        "arn": aws.arn("s3", identifier, region="", account=""),
        "bucketRegion": region,
        "bucketDomainName": f"{identifier}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{identifier}.s3.{region}.amazonaws.com",
        "grants": [_grant(grant) for grant in aws.call("s3.get_bucket_acl", Bucket=identifier)["Grants"]],
        "versioning": {
            "enabled": versioning.get("Status") == "Enabled",
            "mfaDelete": versioning.get("MFADelete") == "Enabled",
        },
        "objectLockEnabled": lock is not None,
        "objectLockConfiguration": lock and {"objectLockEnabled": "Enabled", "rule": camelize(lock.get("Rule"))},
        "tags": (_setting(aws, "bucket_tagging", identifier) or {}).get("TagSet"),
    }


def _grant(grant: Props) -> Props:
    grantee = grant["Grantee"]
    return {
        "id": grantee.get("ID", ""),
        "type": grantee["Type"],
        "uri": grantee.get("URI", ""),
        "permissions": [grant["Permission"]],
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


def _empty(aws: Aws, bucket: str) -> None:
    """Remove every version of every object; an answer lists a thousand at most."""
    while True:
        page = aws.call("s3.list_object_versions", Bucket=bucket)
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not found:
            return
        objects = [{"Key": version["Key"], "VersionId": version["VersionId"]} for version in found]
        answer = aws.call("s3.delete_objects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if answer.get("Errors"):
            refused = answer["Errors"][0]
            raise ProviderError(f"s3 DeleteObjects: {refused.get('Key')}: {refused.get('Message')}")


def _delete_bucket(aws: Aws, identifier: str, state: Props) -> None:
    if state.get("forceDestroy"):
        _empty(aws, identifier)
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
    computed="objectLockEnabled objectLockConfiguration grants versioning",
    name=Autoname("bucket", prefix="bucketPrefix", longest=63, lower=True),
    key="bucket",
)


def _body(props: Props) -> bytes:
    """Return what an object is to hold: text, base64, or a file or text given as an asset."""
    if props.get("contentBase64"):
        return base64.b64decode(props["contentBase64"])
    source = props.get("source")
    if not isinstance(source, Asset):
        return str(props.get("content") or "").encode()
    if source.fields.get("text") is not None:
        return str(source.fields["text"]).encode()
    path = source.fields.get("path")
    if not path:
        raise ProviderError("an object's source must be a file or a text: archives and remote assets are not emulated")
    try:
        return Path(str(path)).read_bytes()
    except OSError as error:
        raise ProviderError(f"cannot read the object's source {path}: {error.strerror}") from error


_HEADERS = {
    "cacheControl": "CacheControl",
    "contentDisposition": "ContentDisposition",
    "contentEncoding": "ContentEncoding",
    "contentLanguage": "ContentLanguage",
    "contentType": "ContentType",
    "metadata": "Metadata",
    "serverSideEncryption": "ServerSideEncryption",
    "kmsKeyId": "SSEKMSKeyId",
    "bucketKeyEnabled": "BucketKeyEnabled",
    "storageClass": "StorageClass",
    "websiteRedirect": "WebsiteRedirectLocation",
}


def _put_object(aws: Aws, props: Props) -> str:
    parameters = {key: props[name] for name, key in _HEADERS.items() if not is_empty(props.get(name))}
    if props.get("kmsKeyId"):
        parameters.setdefault("ServerSideEncryption", "aws:kms")
    if props.get("tags"):
        parameters["Tagging"] = urlencode(props["tags"])
    aws.call("s3.put_object", Bucket=props["bucket"], Key=props["key"], Body=_body(props), **parameters)
    return f"{props['bucket']}/{props['key']}"


def _read_object(aws: Aws, identifier: str, known: Props) -> Props:
    bucket, _, key = identifier.removeprefix("s3://").partition("/")
    head = aws.call("s3.head_object", Bucket=bucket, Key=key)
    found = {name: head.get(header) for name, header in _HEADERS.items()}
    etag = str(head["ETag"]).strip('"')
    # What the object holds is known by its tag alone: when that changed behind its back, the content has drifted.
    drifted = known.get("etag") and known["etag"] != etag
    content = next((name for name in ("content", "contentBase64", "source") if known.get(name)), None)
    return {
        **found,
        **({content: f"changed elsewhere (etag {etag})"} if drifted and content else {}),
        "bucket": bucket,
        "key": key,
        "etag": etag,
        "versionId": head.get("VersionId"),
        "arn": aws.arn("s3", f"{bucket}/{key}", region="", account=""),
        "tags": aws.call("s3.get_object_tagging", Bucket=bucket, Key=key).get("TagSet"),
    }


def _delete_object(aws: Aws, identifier: str, state: Props) -> None:
    bucket, _, key = identifier.partition("/")
    if state.get("forceDestroy"):
        for version in aws.call("s3.list_object_versions", Bucket=bucket, Prefix=key).get("Versions", []):
            if version["Key"] == key:
                aws.call("s3.delete_object", Bucket=bucket, Key=key, VersionId=version["VersionId"])
    aws.call("s3.delete_object", Bucket=bucket, Key=key)


def _object(token: str) -> Kind[Aws]:
    return resource(
        token,
        create=_put_object,
        read=_read_object,
        update=[
            Put(
                " ".join(["content contentBase64 source sourceHash tags", *_HEADERS]),
                lambda aws, _, change: _put_object(aws, change.wanted),
            )
        ],
        delete=_delete_object,
        replace="bucket key",
        local="forceDestroy",
        defaults={"forceDestroy": False},
        computed="contentType storageClass serverSideEncryption kmsKeyId bucketKeyEnabled etag",
        volatile="etag versionId",
        name=Autoname("key", longest=1024),
        key=lambda p: f"{p['bucket']}/{p['key']}",
    )


KINDS = [
    BUCKET,
    replace(BUCKET, token="aws:s3/bucketV2:BucketV2"),  # noqa: S106 (a type's name)
    _object("aws:s3/bucketObject:BucketObject"),
    _object("aws:s3/bucketObjectv2:BucketObjectv2"),
]
