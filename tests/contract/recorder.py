"""Makes requests and keeps what was answered, in a form in which two implementations can be compared."""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

type Case = Callable[["Recorder"], None]

# Ids and times that nobody else can know; what they mean is seen by what follows.
_OWN = {
    "ResponseMetadata",
    "ConsumedCapacity",
    "ItemCollectionMetrics",
    "MessageId",
    "ReceiptHandle",
    "VersionId",
    "UploadId",
    "NextVersionIdMarker",
}
# What Honnin does not read, and not everybody gives.
_UNREAD = {
    "AcceptRanges",
    "Bucket",
    "ChecksumCRC32",
    "ChecksumCRC64NVME",
    "ChecksumType",
    "ContentType",
    "DeleteMarkers",
    "ETag",
    "Expiration",
    "Key",
    "LastModified",
    "Location",
    "MD5OfMessageAttributes",
    "Metadata",
    "SequenceNumber",
    "ServerSideEncryption",
}


class Recorder:
    """`target` is the table, queue URL or bucket, which every request is given under `name`."""

    def __init__(self, client: Any, name: str, target: str) -> None:
        self.client = client
        self.target = target
        self.answers: list[Any] = []
        self.keys: list[Any] = []
        self._name = name

    def __call__(self, operation: str, **request: Any) -> Any:
        """Make one request; returns the answer, empty where it was refused."""
        if self._name and operation not in ("batch_get_item", "batch_write_item", "transact_write_items"):
            request = {self._name: self.target, **request}
        try:
            answer = getattr(self.client, operation)(**request)
        except ClientError as error:
            self.answers.append((operation, _refusal(error)))
            return {}
        if "Body" in answer:
            answer = {**answer, "Body": answer["Body"].read()}
        self.answers.append((operation, recorded(answer)))
        return answer


def _refusal(error: ClientError) -> Any:
    answer: Any = error.response
    reasons = [each.get("Code", "None") for each in answer.get("CancellationReasons", [])]
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode") if "404" in str(error) else None
    there = {"item": recorded(answer["Item"])} if "Item" in answer else {}
    return {"refused": answer["Error"]["Code"], "reasons": reasons, "status": status, **there}


def recorded(answer: Any) -> Any:
    """An answer without what is its maker's own; sets, and items in no order, are sorted."""
    if isinstance(answer, Mapping):
        names = set(answer) - _OWN - _UNREAD
        return {name: _sorted(name, recorded(answer[name])) for name in sorted(names) if answer[name] not in ([], {})}
    if isinstance(answer, list):
        return [recorded(each) for each in answer]
    return answer


def _sorted(name: str, value: Any) -> Any:
    if name in ("SS", "Successful", "Failed"):
        return sorted(value, key=repr)
    if name == "Responses":
        return sorted((each for items in value.values() for each in items), key=repr)
    return value
