"""S3: a bucket is created with its tags. AWS keeps those of ``CreateBucketConfiguration``, moto drops them."""

from typing import Any

import xmltodict
from moto.s3.responses import S3Response


def keep_creation_tags() -> None:
    """Let CreateBucket keep the tags."""
    create = S3Response._bucket_response_put  # pyright: ignore[reportPrivateUsage]  # moto has no public place for it

    def put(self: S3Response, request: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
        answer = create(self, request, bucket_name, querystring)
        tags = {} if querystring else _tags(self.body)
        if tags:
            self.backend.put_bucket_tagging(bucket_name, tags)
        return answer

    S3Response._bucket_response_put = put  # pyright: ignore[reportPrivateUsage]


def _tags(body: str | bytes) -> dict[str, str]:
    """Return the tags in the body of a CreateBucket, which is empty in us-east-1."""
    configuration = (xmltodict.parse(body, force_list={"Tag"}) if body else {}).get("CreateBucketConfiguration") or {}
    return {tag["Key"]: tag["Value"] or "" for tag in (configuration.get("Tags") or {}).get("Tag", [])}
