"""The recon bucket: the files as PayPay gave them, and the results of comparisons. Only this module knows its keys.

``recon/<fileType>/<yyyy>/<mm>/<dd>/<file name>`` is a file, written once. ``reports/<fileType>/<yyyy>/<mm>/<dd>/<file
name>/`` holds ``report.json`` and one folder for each comparison of the file, named by the comparison's number. In it,
``plan.json`` lists the file's ranges and ``open.json`` lists the ranges in which some user still waits. Each range has
three objects. ``<range>.json`` lists the users to be read again and is written once. ``<range>.done`` holds the counts;
it is written as soon as all the range's events are on a queue. ``<range>.outcome.json`` holds what these events have
led to so far.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from honnin.errors import ReconError
from honnin.json_objects import JsonObjects
from honnin.store import Comparison, ReconFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FILES = "recon/"

# S3 takes at most 10,000 parts. Each of them but the last must have at least 5 MiB.
_LEAST_PART_BYTES = 8 * 1024 * 1024
_MOST_PARTS = 10_000


@dataclass(frozen=True)
class FileId:
    """Which file: its type, its JST processing day (`yyyy-mm-dd`) and its name."""

    file_type: str
    day: str
    name: str

    @classmethod
    def of(cls, file: ReconFile) -> "FileId":
        """The file of an item in the table."""
        return cls(file.file_type, file.day, file.name)

    @property
    def key(self) -> str:
        """Where the file is kept."""
        return f"{FILES}{self.file_type}/{self.day.replace('-', '/')}/{self.name}"

    @property
    def report_key(self) -> str:
        """Where its report is kept."""
        return f"{self._results}/report.json"

    @property
    def _results(self) -> str:
        return f"reports/{self.file_type}/{self.day.replace('-', '/')}/{self.name}"

    @classmethod
    def compared(cls, comparison: Comparison) -> "FileId":
        """The file that a comparison is about."""
        return cls(comparison.file_type, comparison.day, comparison.file_name)

    def part_key(self, number: int, name: str) -> str:
        """Where an object of a comparison is kept, by the comparison's number."""
        return f"{self._results}/{number}/{name}"


class ReconBucket(JsonObjects):
    """One recon bucket. Errors of S3 are botocore's."""

    def has(self, file: FileId) -> bool:
        """Whether the file is stored."""
        try:
            self._s3.head_object(Bucket=self._name, Key=file.key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True

    def read(self, file: FileId) -> Iterator[bytes]:
        """The file's bytes, in pieces."""
        return self.open(file)[1]

    def open(self, file: FileId) -> tuple[str, Iterator[bytes]]:
        """The file's ETag, and its bytes in pieces."""
        return self.pieces(file.key)

    def read_range(self, file: FileId, etag: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end` of the file that has this ETag, in pieces.

        Raises botocore's error with the code PreconditionFailed if the file has another ETag by now.
        """
        return self.pieces_between(file.key, etag, start, end)

    def measure(self, file: FileId) -> tuple[str, int]:
        """The SHA-256 (hexadecimal) and the size in bytes of a stored file, read whole in bounded memory."""
        digest, size = hashlib.sha256(), 0
        for piece in self.read(file):
            digest.update(piece)
            size += len(piece)
        return digest.hexdigest(), size

    def writer(self, file: FileId, largest: int) -> "FileWriter":
        """Begin to write a file of at most `largest` bytes."""
        return FileWriter(self._s3, self._name, file.key, max(_LEAST_PART_BYTES, -(-largest // _MOST_PARTS)))

    def put_once(self, file: FileId, number: int, name: str, found: Any) -> bool:
        """Store an object of a comparison as JSON; False if it exists already, and then nothing was written."""
        return self.put_new(file.part_key(number, name), found)

    def put_part(self, file: FileId, number: int, name: str, found: Any) -> str:
        """Store an object of a comparison as JSON, and replace an earlier one; returns its key."""
        key = file.part_key(number, name)
        self.put(key, found)
        return key

    def part(self, file: FileId, number: int, name: str) -> Any:
        """An object of a comparison, or None if it does not exist."""
        return self.get(file.part_key(number, name))

    def put_report(self, file: FileId, report: IO[bytes], locked_until: datetime | None = None) -> None:
        """Write the report again, from an open file, in bounded memory.

        With `locked_until`, S3 does not delete this version before then. The bucket then needs Object Lock (parameter
        `ReconReportLockDays`).
        """
        more: dict[str, Any] = {"ContentType": "application/json"}
        if locked_until:
            # S3 takes a lock only together with a checksum (its guide, "Object Lock considerations").
            more |= {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": locked_until}
            more["ChecksumAlgorithm"] = "SHA256"
        self._s3.upload_fileobj(report, self._name, file.report_key, ExtraArgs=more)

    def report(self, file: FileId) -> dict[str, Any] | None:
        """The report as it was last written."""
        found: dict[str, Any] | None = self.get(file.report_key)
        return found


class AlreadyStoredError(ReconError):
    """There is an object under the key; nothing was written."""


class FileWriter:
    """Writes one object, once. If it is larger than a part, it is a multipart upload; only one part is in memory.

    Nothing appears under the key before `finish`. If the object is not finished, call `abort`. Otherwise its parts
    would be stored (and paid for) until the bucket's life cycle removes them.
    """

    def __init__(self, s3: "S3Client", bucket: str, key: str, part_bytes: int) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._key = key
        self._part_bytes = part_bytes
        self._digest = hashlib.sha256()
        # The bytes are joined as they arrive: a piece may be a single byte, and each Python object takes fifty.
        self._held = bytearray()
        self._upload_id: str | None = None
        self._parts: list[Any] = []
        self.size = 0

    @property
    def sha256(self) -> str:
        """The hash of all bytes so far, in hexadecimal."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Take some bytes."""
        self._digest.update(data)
        self._held += data
        self.size += len(data)
        if len(self._held) >= self._part_bytes:
            self._flush()

    def finish(self) -> None:
        """Make the object appear. Raises `AlreadyStoredError` if the key exists: no object is ever overwritten."""
        try:
            if self._upload_id is None:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=self._key,
                    Body=self._take(),
                    ContentType="text/csv; charset=utf-8",
                    IfNoneMatch="*",
                )
                return
            if self._held:
                self._flush()
            self._s3.complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._key,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": self._parts},
                IfNoneMatch="*",
            )
            self._upload_id = None
        except ClientError as error:
            # 412: the object exists. 409: another writer is finishing it now.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                raise AlreadyStoredError from None
            raise
        finally:
            self.abort()

    def abort(self) -> None:
        """Discard what was written; does nothing after the object is finished."""
        if self._upload_id is not None:
            # S3 may have completed an upload and still have answered with an error.
            with suppress(self._s3.exceptions.NoSuchUpload):
                self._s3.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload_id)
        self._upload_id = None
        self._take()

    def _flush(self) -> None:
        if self._upload_id is None:
            made = self._s3.create_multipart_upload(
                Bucket=self._bucket, Key=self._key, ContentType="text/csv; charset=utf-8"
            )
            self._upload_id = made["UploadId"]
        number = len(self._parts) + 1
        answer = self._s3.upload_part(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=self._take(),
        )
        self._parts.append({"ETag": answer["ETag"], "PartNumber": number})

    def _take(self) -> bytes:
        """Return the buffered bytes and clear the buffer, so that a part is in memory only once while it is sent."""
        taken, self._held = self._held, bytearray()
        return bytes(taken)
