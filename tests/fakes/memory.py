"""AWS in memory under boto3's names: `with memory_aws():` is to a unit test what `mock_aws` is to an integration test.

The services are those of the fault harness, which tests hold to moto and to the emulator.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
from botocore.exceptions import ClientError

from chaos.dynamodb import MemoryDynamoDB
from chaos.paging import Paginator
from chaos.s3 import MemoryS3

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

_KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]


@contextmanager
def memory_aws() -> Iterator[None]:
    """Empty services, which `boto3.client` gives until the block ends."""
    clients: Mapping[str, _Client] = {"dynamodb": _Tables(), "s3": _Buckets()}

    def client(service: str, **_: Any) -> "_Client":
        return clients[service]

    with mock.patch.object(boto3, "client", client):
        yield


def dynamodb() -> "DynamoDBClient":
    """The client of the tables."""
    return boto3.client("dynamodb")


def s3(bucket: str = "") -> "S3Client":
    """The client of the buckets; one of that name is made."""
    client = boto3.client("s3")
    if bucket:
        client.create_bucket(Bucket=bucket)
    return client


class _Client:
    """Hands each operation to the table or bucket that the request names, between botocore's events."""

    service = ""
    missing = ""

    def __init__(self) -> None:
        self._places: dict[str, Any] = {}
        self._hooks: list[tuple[str, Callable[..., None]]] = []
        self.meta = mock.Mock(events=mock.Mock(register=self._register, unregister=self._unregister))

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        name = "".join(part.title() for part in operation.split("_"))

        def call(**request: Any) -> Any:
            self._tell(f"provide-client-params.{self.service}.{name}", params=request)
            self._tell("before-call")
            place = self._places.get(self._place(request))
            if place is None:
                raise ClientError({"Error": {"Code": self.missing, "Message": "there is none"}}, name)
            answer = getattr(place, operation)(**request)
            self._tell("after-call")
            return answer

        return call

    def get_paginator(self, operation: str) -> Paginator:
        """Pages, each of them one call."""
        return Paginator(getattr(self, operation), self._tokens(operation))

    def _place(self, request: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def _tokens(self, operation: str) -> Mapping[str, str]:
        raise NotImplementedError

    def _register(self, event: str, hook: Callable[..., None]) -> None:
        self._hooks.append((event, hook))

    def _unregister(self, event: str, hook: Callable[..., None]) -> None:
        self._hooks.remove((event, hook))

    def _tell(self, event: str, **facts: Any) -> None:
        for wanted, hook in list(self._hooks):
            if wanted == event:
                hook(**facts)


class _Tables(_Client):
    service = "dynamodb"
    missing = "ResourceNotFoundException"
    exceptions = MemoryDynamoDB.exceptions

    def create_table(self, *, TableName: str, KeySchema: list[Any], **_: Any) -> None:  # noqa: N803
        """Make a table with the keys that the state table has."""
        if KeySchema != _KEYS:
            raise NotImplementedError(f"{TableName} has other keys")
        self._places[TableName] = MemoryDynamoDB()

    def _place(self, request: Mapping[str, Any]) -> str:
        if "RequestItems" in request:
            [name] = request["RequestItems"]
        elif "TransactItems" in request:
            [name] = {each["TableName"] for write in request["TransactItems"] for each in write.values()}
        else:
            name = request["TableName"]
        return str(name)

    def _tokens(self, operation: str) -> Mapping[str, str]:
        return {"LastEvaluatedKey": "ExclusiveStartKey"}


class _Buckets(_Client):
    service = "s3"
    missing = "NoSuchBucket"
    exceptions = MemoryS3.exceptions

    def create_bucket(self, *, Bucket: str) -> None:  # noqa: N803
        """Make a bucket; it keeps versions."""
        self._places[Bucket] = MemoryS3()

    def upload_fileobj(self, Fileobj: Any, Bucket: str, Key: str, **options: Any) -> None:  # noqa: N803
        """boto3's own, which takes its arguments by place."""
        self._places[Bucket].upload_fileobj(Fileobj, Bucket, Key, **options)

    def _place(self, request: Mapping[str, Any]) -> str:
        return str(request["Bucket"])

    def _tokens(self, operation: str) -> Mapping[str, str]:
        if operation == "list_object_versions":
            return {"NextKeyMarker": "KeyMarker", "NextVersionIdMarker": "VersionIdMarker"}
        return {}
