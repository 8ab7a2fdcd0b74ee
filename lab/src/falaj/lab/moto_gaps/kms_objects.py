"""S3: an object is no more readable than its key is usable; moto keeps which key an object has, and asks no more."""

from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.models import Key, kms_backends
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeBucket, FakeKey, S3Backend
from moto.s3.responses import S3Response

from falaj.lab.moto_gaps.kms_keys import refuse_use


def judge_objects() -> None:
    """Let S3 refuse to read and to write objects whose KMS key refuses, as S3 says it; keys not in moto go unjudged."""
    get, put, copy = S3Response.get_object, S3Backend.put_object, S3Backend.copy_object

    def get_if_usable(self: S3Response) -> Any:
        found, unmodified = self._get_key()  # pyright: ignore[reportPrivateUsage]  # moto has no public place for it
        if not unmodified:
            _judge(self.backend, found)
        return get(self)

    def put_if_usable(self: S3Backend, bucket_name: str, key_name: str, *rest: Any, **more: Any) -> Any:
        bucket = self.get_bucket(bucket_name)
        usual: dict[str, str] = (bucket.encryption or {}).get("Rule", {}).get("ApplyServerSideEncryptionByDefault", {})
        if str(more.get("encryption") or usual.get("SSEAlgorithm")).startswith("aws:kms"):
            _refuse(bucket, more.get("kms_key_id") or usual.get("KMSMasterKeyID"))
        return put(self, bucket_name, key_name, *rest, **more)

    def copy_if_usable(self: S3Backend, src_key: FakeKey, *rest: Any, **more: Any) -> Any:
        _judge(self, src_key)
        return copy(self, src_key, *rest, **more)

    S3Response.get_object = get_if_usable
    S3Backend.put_object = put_if_usable
    S3Backend.copy_object = copy_if_usable


def _judge(backend: S3Backend, found: FakeKey) -> None:
    if str(found.encryption).startswith("aws:kms"):
        _refuse(backend.get_bucket(str(found.bucket_name)), found.kms_key_id)


def _refuse(bucket: FakeBucket, named: str | None) -> None:
    """Refuse where KMS would; ``named`` is an identifier, an alias or the ARN of either."""
    key = _key(bucket, named) if named else None
    if key is None:
        return
    try:
        refuse_use(key)
    except JsonRESTError as error:
        raise S3ClientError(f"KMS.{error.error_type}", error.message) from None


def _key(bucket: FakeBucket, named: str) -> Key | None:
    arn = named.split(":")
    account, region = (arn[4], arn[3]) if named.startswith("arn:") else (bucket.account_id, bucket.region_name)
    backend = kms_backends[account][region]
    identifier = backend.get_key_id(backend.get_alias_name(named))
    if identifier.startswith("alias/"):
        identifier = backend.get_key_id_from_alias(identifier) or ""
    return backend.keys.get(identifier)
