"""Objects of one S3 bucket: JSON that is read and written whole, and large files that are read in pieces."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from honnin import aws

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

_READ_BYTES = 256 * 1024
# A part of a large file has 8 MiB and more.
_READ_TIMEOUT_S = 30


def record_of[R](kind: type[R], found: Mapping[str, Any]) -> R:
    """A record that was stored as JSON; unknown fields are ignored, because a later release may have written them."""
    names = {each.name for each in fields(cast("Any", kind))}
    return kind(**{name: value for name, value in found.items() if name in names})


class JsonObjects:
    """One bucket. Errors of S3 are botocore's."""

    def __init__(self, name: str, client: "S3Client | None" = None) -> None:
        self._name = name
        self._given = client

    @property
    def _s3(self) -> "S3Client":
        return self._given or aws.s3(read_timeout_s=_READ_TIMEOUT_S)

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self._name

    def put(self, key: str, found: Any) -> None:
        """Store an object as JSON, and replace an earlier one."""
        self._put(key, found)

    def put_new(self, key: str, found: Any) -> bool:
        """Store an object as JSON; False if it exists already, and then nothing was written."""
        try:
            self._put(key, found, IfNoneMatch="*")
        except ClientError as error:
            # 409 is not included: another writer is writing now, and may still fail.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 412:
                return False
            raise
        return True

    def get(self, key: str) -> Any:
        """An object that is JSON, or None if it does not exist."""
        try:
            answer = self._s3.get_object(Bucket=self._name, Key=key)
        except self._s3.exceptions.NoSuchKey:
            return None
        with answer["Body"] as body:
            return json.loads(body.read())

    def pieces(self, key: str) -> tuple[str, Iterator[bytes]]:
        """An object's ETag, and its bytes in pieces."""
        answer = self._s3.get_object(Bucket=self._name, Key=key)
        return answer["ETag"], _pieces(answer["Body"])

    def pieces_between(self, key: str, etag: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end` of the object that has this ETag, in pieces.

        Raises botocore's error with the code PreconditionFailed if the object has another ETag by now.
        """
        if start == end:
            return iter(())
        span = f"bytes={start}-{end - 1}"
        return _pieces(self._s3.get_object(Bucket=self._name, Key=key, Range=span, IfMatch=etag)["Body"])

    def _put(self, key: str, found: Any, **condition: Any) -> None:
        self._s3.put_object(
            Bucket=self._name,
            Key=key,
            Body=json.dumps(found, separators=(",", ":")).encode(),
            ContentType="application/json",
            **condition,
        )


def _pieces(body: "StreamingBody") -> Iterator[bytes]:
    with body:
        while piece := body.read(_READ_BYTES):
            yield piece
