"""S3's object lock: a lock that was set is kept, as AWS keeps it.

moto refuses to delete what is locked, but lets anybody shorten the lock or suspend the versions that it is about, and
answers the object to who asks after its lock; it refuses to change a bucket's default lock once there are objects,
which AWS allows.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.s3.exceptions import AccessDeniedByLock, InvalidBucketState, S3ClientError
from moto.s3.models import FakeKey, S3Backend
from moto.s3.responses import S3Response

COMPLIANCE, GOVERNANCE = "COMPLIANCE", "GOVERNANCE"


def keep_locks() -> None:
    """Let locks only be lengthened, versions of locked buckets only be kept, and default locks be changed."""
    get, put_retention = S3Response.get_object, S3Response.put_object_retention
    put_versioning = S3Backend.put_bucket_versioning

    def get_object(self: S3Response) -> Any:
        if "retention" not in self.querystring:
            return get(self)
        key = _key(self)
        if not key or not key.lock_mode:
            raise S3ClientError(
                "NoSuchObjectLockConfiguration", "The specified object does not have an ObjectLock configuration"
            )
        self.data["Action"] = "GetObjectRetention"
        retention = {"Mode": key.lock_mode, "RetainUntilDate": key.lock_until}
        return self.serialized(ActionResult({"Retention": retention}))

    def put_object_retention(self: S3Response) -> Any:
        key = _key(self)
        bypass = self.headers.get("x-amz-bypass-governance-retention", "").lower() == "true"
        mode, until = self._mode_until_from_body()  # pyright: ignore[reportPrivateUsage]  # moto's reading of the body
        if key and _loosens(key, mode, until, bypass=bypass):
            raise AccessDeniedByLock
        return put_retention(self)

    def put_bucket_versioning(self: S3Backend, bucket_name: str, status: str) -> None:
        if status != "Enabled" and self.get_bucket(bucket_name).object_lock_enabled:
            raise InvalidBucketState(
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
            )
        put_versioning(self, bucket_name, status)

    def put_object_lock_configuration(  # noqa: PLR0917 - moto calls it so
        self: S3Backend,
        bucket_name: str,
        lock_enabled: bool,
        mode: str | None = None,
        days: int | None = None,
        years: int | None = None,
    ) -> None:
        bucket = self.get_bucket(bucket_name)
        if not bucket.is_versioned:
            raise InvalidBucketState("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
        bucket.object_lock_enabled = bucket.object_lock_enabled or lock_enabled
        bucket.default_lock_mode, bucket.default_lock_days, bucket.default_lock_years = mode, days, years

    S3Response.get_object = get_object
    S3Response.put_object_retention = put_object_retention
    S3Backend.put_bucket_versioning = put_bucket_versioning
    S3Backend.put_object_lock_configuration = put_object_lock_configuration


def _key(request: S3Response) -> FakeKey | None:
    """Return the version of an object that a request is about, if there is one that can be locked."""
    version = request._get_param("versionId")  # pyright: ignore[reportPrivateUsage]  # moto's reading of the query
    key = request.backend.get_object(request.bucket_name, request.parse_key_name(), version_id=version)
    return key if isinstance(key, FakeKey) else None


def _loosens(key: FakeKey, mode: str | None, until: str | None, *, bypass: bool) -> bool:
    """Tell whether a new lock is weaker than the one that still holds, for who may not weaken it."""
    if key.lock_mode is None or key.lock_until is None or _moment(key.lock_until) <= utcnow():
        return False
    if key.lock_mode == GOVERNANCE and bypass:
        return False
    changed = mode != key.lock_mode and not (key.lock_mode == GOVERNANCE and mode == COMPLIANCE)
    return changed or until is None or _moment(until) < _moment(key.lock_until)


def _moment(text: str) -> datetime:
    """Return a time as moto tells the present: in UTC, without saying so."""
    return datetime.fromisoformat(text).replace(tzinfo=None)
