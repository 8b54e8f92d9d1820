"""`Idempotency-Key`: what AWS does to the table is AWS's error, and what was done is not undone by it."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from honnin.errors import ConflictError, NotSentError
from honnin.idempotency import Idempotency
from tests.fakes import FakeLambdaContext
from tests.moto_state import moto

pytestmark = pytest.mark.usefixtures("aws_environment", "fresh_caches")

TABLE = "IdempotencyTable"
THROTTLED = ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "slow"}}, "PutItem")
OUT_OF_REACH = EndpointConnectionError(endpoint_url="https://dynamodb")


@pytest.fixture
def idempotency() -> Iterator[Idempotency]:
    with moto():
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        made = Idempotency(TABLE, lambda: "fingerprint-key")
        made.register(FakeLambdaContext())
        yield made


def fail(monkeypatch: pytest.MonkeyPatch, idempotency: Idempotency, operation: str, error: Exception) -> None:
    def failing(*_args: object, **_fields: object) -> None:
        raise error

    monkeypatch.setattr(idempotency._persistence.client, operation, failing)


def work(calls: list[str], outcome: Exception | None = None) -> Callable[[], dict[str, Any]]:
    def do() -> dict[str, Any]:
        calls.append("called")
        if outcome:
            raise outcome
        return {"submissionId": "s"}

    return do


@pytest.mark.parametrize("error", [THROTTLED, OUT_OF_REACH], ids=["throttled", "out of reach"])
def test_before_the_work_the_error_is_awss_own_and_nothing_was_done(
    idempotency: Idempotency, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    calls: list[str] = []
    with monkeypatch.context() as broken:
        fail(broken, idempotency, "put_item", error)
        with pytest.raises(type(error)) as caught:
            idempotency.once("key", "{}", work(calls))
    assert (caught.value, calls) == (error, [])
    assert idempotency.once("key", "{}", work(calls)) == {"submissionId": "s"}


def test_after_the_work_its_answer_counts(idempotency: Idempotency, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    with monkeypatch.context() as broken:
        fail(broken, idempotency, "update_item", THROTTLED)
        assert idempotency.once("key", "{}", work(calls)) == {"submissionId": "s"}
    with pytest.raises(ConflictError):
        idempotency.once("key", "{}", work(calls))
    assert calls == ["called"]


def test_after_the_work_its_error_counts(idempotency: Idempotency, monkeypatch: pytest.MonkeyPatch) -> None:
    not_sent = NotSentError("vexora", "no connection")
    fail(monkeypatch, idempotency, "update_item", THROTTLED)
    with pytest.raises(NotSentError) as caught:
        idempotency.once("key", "{}", work([], not_sent))
    assert caught.value is not_sent
