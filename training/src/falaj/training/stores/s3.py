"""A store in S3: an object appears when its upload is complete, and S3 makes it durable before it says so."""

import io
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import Buffer

from falaj.training.errors import RefusedError
from falaj.training.stores import check_name

PART = 16 << 20
"""Bytes of an upload's part; S3 takes 10,000 of them, so that a file may have 160 GB."""
UPLOADS = 4
"""Parts that are sent at once: as much memory as that is used for a file that is written."""
AHEAD = 8 << 20
"""Bytes that a reader asks for at once."""
MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
TAKEN = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
"""How S3 refuses a write on the condition that nothing is there: something is, or somebody writes it right now."""


class S3Store:
    """Objects below ``prefix`` in a bucket; credentials come from the environment, as for all of AWS.

    Where ``region`` is given, a bucket of another region is refused before the first object is written to it.
    """

    def __init__(self, bucket: str, prefix: str, region: str | None = None) -> None:
        self.bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        config = Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 5},
            max_pool_connections=2 * UPLOADS,
        )
        make: Callable[..., Any] = boto3.client  # its stubs know services by their literal names only
        self._s3 = make("s3", region_name=region, config=config)
        self._region, self._checked = region, region is None

    @contextmanager
    def write(self, name: str) -> Generator[BinaryIO]:
        """Write an object; what is small is sent as one, what is large in parts, several at once."""
        self._check_region()
        upload = Upload(self._ask, self._key(name))
        try:
            yield cast(BinaryIO, upload)
            upload.complete()
        except BaseException:
            with suppress(OSError):
                upload.abort()
            raise

    def create(self, name: str, data: bytes) -> None:
        """Write an object that must not be there yet, by a conditional put."""
        self._check_region()
        try:
            self._ask("put_object", Key=self._key(name), Body=data, IfNoneMatch="*")
        except FileExistsError:
            # An attempt whose answer was lost is made again, and then meets itself.
            if not self._holds(name, data):
                raise

    def read(self, name: str) -> BinaryIO:
        """Return a reader of the object."""
        return cast(BinaryIO, io.BufferedReader(Download(self._ask, self._key(name), self.size(name)), AHEAD))

    def names(self, prefix: str = "") -> Sequence[str]:
        """Return the names that begin with ``prefix``."""
        found = self._pages("list_objects_v2", "Contents", Prefix=self._prefix + prefix)
        return sorted(item["Key"][len(self._prefix) :] for item in found)

    def begun(self, prefix: str = "") -> Sequence[str]:
        """Return the objects below ``prefix`` whose upload was begun and neither completed nor given up."""
        found = self._pages("list_multipart_uploads", "Uploads", Prefix=self._prefix + prefix)
        return sorted(item["Key"][len(self._prefix) :] for item in found)

    def size(self, name: str) -> int:
        """Return an object's size in bytes."""
        return self._ask("head_object", Key=self._key(name))["ContentLength"]

    def delete(self, name: str) -> None:
        """Remove an object; in a bucket with versions, its newest one."""
        self._ask("delete_object", Key=self._key(name))

    def discard(self, folder: str) -> None:
        """Remove all objects of a folder, and the uploads to it that were never completed."""
        start = self._key(folder) + "/"
        for item in self._pages("list_multipart_uploads", "Uploads", Prefix=start):
            with suppress(FileNotFoundError):
                self._ask("abort_multipart_upload", Key=item["Key"], UploadId=item["UploadId"])
        for name in self.names(f"{check_name(folder)}/"):
            self.delete(name)

    def _check_region(self) -> None:
        if not self._checked:
            found = self._guard(self._bucket_region)
            if found != self._region:
                remedy = f"must be a bucket in {self._region}, the region that the data must stay in; it is in {found}"
                raise RefusedError("location", f"s3://{self.bucket}", remedy)
            self._checked = True

    def _bucket_region(self) -> str | None:
        """Ask for the bucket's region, which S3 tells also whom it lets list nothing but a folder."""
        try:
            return self._s3.head_bucket(Bucket=self.bucket).get("BucketRegion")
        except ClientError as error:
            told = error.response.get("ResponseMetadata", {})
            if told.get("HTTPStatusCode") != 403:
                raise
            return told.get("HTTPHeaders", {}).get("x-amz-bucket-region")

    def _holds(self, name: str, data: bytes) -> bool:
        try:
            return self.size(name) == len(data) and self.read(name).read() == data
        except FileNotFoundError:
            return False

    def _key(self, name: str) -> str:
        return self._prefix + check_name(name)

    def _pages(self, action: str, field: str, **told: Any) -> Sequence[Any]:
        pages = self._s3.get_paginator(action)
        return self._guard(
            lambda: [item for page in pages.paginate(Bucket=self.bucket, **told) for item in page.get(field, [])]
        )

    def _ask(self, action: str, **told: Any) -> Any:
        return self._guard(lambda: getattr(self._s3, action)(Bucket=self.bucket, **told))

    def _guard(self, do: Callable[[], Any]) -> Any:
        try:
            return do()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code in MISSING:
                raise FileNotFoundError(f"s3://{self.bucket}: {error}") from error
            if code in TAKEN:
                raise FileExistsError(f"s3://{self.bucket}: {error}") from error
            raise OSError(f"s3://{self.bucket}: {error}") from error
        except BotoCoreError as error:
            raise OSError(f"s3://{self.bucket}: {error}") from error


class Upload(io.RawIOBase):
    """An object that is being written."""

    def __init__(self, ask: Callable[..., Any], key: str) -> None:
        super().__init__()
        self._ask, self._key = ask, key
        self._part = bytearray()
        self._id: str | None = None
        self._sent: list[Future[str]] = []
        self._pool = ThreadPoolExecutor(UPLOADS, "s3-upload")

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: Buffer, /) -> int:
        """Take bytes, and send those that make a whole part; raise what sending an earlier one failed with."""
        self._part += memoryview(data).cast("B")
        while len(self._part) >= PART:
            self._send(bytes(memoryview(self._part)[:PART]))
            del self._part[:PART]
        return memoryview(data).nbytes

    def complete(self) -> None:
        """Send what is left, and make the object appear."""
        if self._id is None:
            self._ask("put_object", Key=self._key, Body=bytes(self._part))
        else:
            if self._part:
                self._send(bytes(self._part))
            parts = [{"PartNumber": number, "ETag": sent.result()} for number, sent in enumerate(self._sent, 1)]
            self._ask("complete_multipart_upload", Key=self._key, UploadId=self._id, MultipartUpload={"Parts": parts})
        self._pool.shutdown()

    def abort(self) -> None:
        """Give the upload up, so that its parts are not kept."""
        self._pool.shutdown(cancel_futures=True)
        if self._id is not None:
            self._ask("abort_multipart_upload", Key=self._key, UploadId=self._id)

    def _send(self, part: bytes) -> None:
        if self._id is None:
            self._id = str(self._ask("create_multipart_upload", Key=self._key)["UploadId"])
        if len(self._sent) >= UPLOADS:
            self._sent[-UPLOADS].result()
        self._sent.append(self._pool.submit(self._upload, len(self._sent) + 1, part))

    def _upload(self, number: int, part: bytes) -> str:
        return self._ask("upload_part", Key=self._key, UploadId=self._id, PartNumber=number, Body=part)["ETag"]


class Download(io.RawIOBase):
    """An object that is being read, by ranges."""

    def __init__(self, ask: Callable[..., Any], key: str, size: int) -> None:
        super().__init__()
        self._ask, self._key, self._size = ask, key, size
        self._position = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position."""
        self._position = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence] + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readall(self) -> bytes:
        """Return what is left, by one request: the base class would ask for 8 KiB at a time."""
        rest = bytearray(max(0, self._size - self._position))
        return bytes(rest[: self.readinto(rest)])

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill ``buffer`` from the position on; less only at the object's end."""
        target = memoryview(buffer).cast("B")
        target = target[: max(0, self._size - self._position)]
        if not target:
            return 0
        wanted = f"bytes={self._position}-{self._position + len(target) - 1}"
        body = self._ask("get_object", Key=self._key, Range=wanted)["Body"].read()
        target[: len(body)] = body
        self._position += len(body)
        return len(body)
