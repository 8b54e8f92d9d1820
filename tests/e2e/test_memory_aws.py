"""AWS in memory (`chaos/`) answers as the emulator does, request by request; moto is asked in tests/integration."""

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.contract import dynamodb, s3, sqs
from tests.contract.comparing import differing, memory_bucket, memory_queue, memory_table
from tests.contract.differences import MINISTACK
from tests.contract.recorder import Case, Recorder

pytestmark = pytest.mark.e2e

# Of this test alone: nobody else takes the messages, and no notification leads anywhere.
_NAME = "contract"


@pytest.fixture(scope="module")
def queue(stack: Stack) -> Iterator[str]:
    """The URL of a queue."""
    url: str = stack.client("sqs").create_queue(QueueName=_NAME)["QueueUrl"]
    yield url
    stack.client("sqs").delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def bucket(stack: Stack) -> Iterator[str]:
    """The name of a bucket that keeps versions."""
    client = stack.client("s3")
    client.create_bucket(Bucket=_NAME, CreateBucketConfiguration={"LocationConstraint": stack.region})
    client.put_bucket_versioning(Bucket=_NAME, VersioningConfiguration={"Status": "Enabled"})
    yield _NAME
    for page in client.get_paginator("list_object_versions").paginate(Bucket=_NAME):
        for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=_NAME, Key=each["Key"], VersionId=each["VersionId"])
    client.delete_bucket(Bucket=_NAME)


@pytest.fixture(scope="module")
def table(stack: Stack) -> Iterator[str]:
    """The name of a table with the keys and the indexes of the state table.

    The state table itself is not used: the emulator keeps an item without its sort key, which nobody can delete.
    """
    client = stack.client("dynamodb")
    known = client.describe_table(TableName=stack.outputs["StateTableName"])["Table"]
    client.create_table(
        TableName=_NAME,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=known["KeySchema"],
        AttributeDefinitions=known["AttributeDefinitions"],
        GlobalSecondaryIndexes=[
            {name: each[name] for name in ("IndexName", "KeySchema", "Projection")}
            for each in known["GlobalSecondaryIndexes"]
        ],
    )
    yield _NAME
    client.delete_table(TableName=_NAME)


def _name(case: Case) -> str:
    return case.__name__


def _check(case: Case, ours: Recorder, emulator: Recorder) -> None:
    found = differing(case, ours, emulator)
    assert bool(found) == (case in MINISTACK), found or f"no difference any more: {MINISTACK[case]}"


@pytest.mark.parametrize("case", dynamodb.CASES, ids=_name)
def test_the_table_answers_as_the_emulators(stack: Stack, table: str, case: Case) -> None:
    _check(case, memory_table(), Recorder(stack.client("dynamodb"), "TableName", table))


@pytest.mark.parametrize("case", sqs.CASES, ids=_name)
def test_the_queue_answers_as_the_emulators(stack: Stack, queue: str, case: Case) -> None:
    stack.client("sqs").purge_queue(QueueUrl=queue)

    _check(case, memory_queue(), Recorder(stack.client("sqs"), "QueueUrl", queue))


@pytest.mark.parametrize("case", s3.CASES, ids=_name)
def test_the_bucket_answers_as_the_emulators(stack: Stack, bucket: str, case: Case) -> None:
    _check(case, memory_bucket(), Recorder(stack.client("s3"), "Bucket", bucket))
