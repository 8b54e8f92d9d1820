"""AWS in memory answers as moto does: request by request, and call by call of some generated schedules."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from chaos import generate
from chaos.checks import plain
from chaos.dynamodb import MemoryDynamoDB
from chaos.environment import prepared
from chaos.generate import Game
from chaos.paypay_generate import PAYPAY
from chaos.paypay_world import Parts as PayPayParts
from chaos.recon_generate import RECON
from chaos.recon_world import Parts as ReconParts
from chaos.vexora_generate import VEXORA
from chaos.vexora_world import Parts as VexoraParts
from tests.contract import dynamodb, s3, sqs
from tests.contract.comparing import differing, memory_bucket, memory_queue, memory_table
from tests.contract.differences import MOTO
from tests.contract.recorder import Case, Recorder, recorded
from tests.moto_state import moto
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.usefixtures("aws_environment", "_moto")


@pytest.fixture
def _moto(aws_environment: None) -> Iterator[None]:
    with moto():
        yield


def _name(case: Case) -> str:
    return case.__name__


def _check(case: Case, ours: Recorder, moto: Recorder) -> None:
    found = differing(case, ours, moto)
    assert bool(found) == (case in MOTO), found or f"no difference any more: {MOTO[case]}"


@pytest.mark.parametrize("case", dynamodb.CASES, ids=_name)
def test_the_table_answers_as_motos(case: Case) -> None:
    client = boto3.client("dynamodb")
    create_table(client, "StateTable")

    _check(case, memory_table(), Recorder(client, "TableName", "StateTable"))


@pytest.mark.parametrize("case", sqs.CASES, ids=_name)
def test_the_queue_answers_as_motos(case: Case) -> None:
    client = boto3.client("sqs")
    url = client.create_queue(QueueName="contract")["QueueUrl"]

    _check(case, memory_queue(), Recorder(client, "QueueUrl", url))


@pytest.mark.parametrize("case", s3.CASES, ids=_name)
def test_the_bucket_answers_as_motos(case: Case) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="contract", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    client.put_bucket_versioning(Bucket="contract", VersioningConfiguration={"Status": "Enabled"})

    _check(case, memory_bucket(), Recorder(client, "Bucket", "contract"))


# --- schedules on both ---


class Twin(MemoryDynamoDB):
    """Makes each call on both tables and compares the answers. `last` is the newest one."""

    moto: "DynamoDBClient"
    last: "Twin"
    compared = 0

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        Twin.last = self
        with suppress(self.moto.exceptions.ResourceNotFoundException):
            self.moto.delete_table(TableName="StateTable")
        create_table(self.moto, "StateTable")

    def __getattribute__(self, name: str) -> Any:
        ours = super().__getattribute__(name)
        if not name.startswith(("get_item", "put_", "update_", "delete_", "batch_", "query", "scan", "transact")):
            return ours

        def both(**request: Any) -> Any:
            answer, error = _outcome(lambda: ours(**request))
            moto_answer, moto_error = _outcome(lambda: getattr(self.moto, name)(**request))
            assert _code(error) == _code(moto_error), (name, request)
            if request.get("ReturnValues") == "UPDATED_NEW" and answer and moto_answer:
                # moto names the keys of an item that was made, and leaves out what was set to the value that it had.
                set_anew = {
                    each: value for each, value in moto_answer["Attributes"].items() if each not in ("pk", "sk")
                }
                moto_answer["Attributes"] = answer["Attributes"] | set_anew
            # A page that ends with the last item is the one difference that is known.
            for each in ("Item", "Items", "Attributes", "Responses"):
                assert _in_order((answer or {}).get(each)) == _in_order((moto_answer or {}).get(each)), (name, request)
            Twin.compared += 1
            if error:
                raise error
            return answer

        return both


def _in_order(part: Any) -> Any:
    """Part of an answer; items of an index that are due at the same moment come in any order."""
    if isinstance(part, list) and any("due_at" in item for item in part):
        part = sorted(part, key=lambda item: (item.get("due_at", {}).get("S", ""), str(item["pk"])))
    return recorded(part)


def _outcome(call: Callable[[], Any]) -> tuple[Any, ClientError | None]:
    try:
        return call(), None
    except ClientError as error:
        return None, error


def _code(error: ClientError | None) -> object:
    if error is None:
        return None
    answer: Any = error.response
    return answer["Error"]["Code"], [reason["Code"] for reason in answer.get("CancellationReasons", [])]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("game", "parts", "schedules"),
    [
        (PAYPAY, PayPayParts(table=Twin), 4),
        (VEXORA, VexoraParts(table=Twin), 4),
        # Each has many more calls.
        (RECON, ReconParts(table=Twin), 2),
    ],
    ids=["PayPay", "Vexora", "recon"],
)
def test_a_handful_of_schedules_gets_the_same_answers_from_moto(
    monkeypatch: pytest.MonkeyPatch, game: Game, parts: object, schedules: int
) -> None:
    monkeypatch.setattr(Twin, "compared", 0)
    client = boto3.client("dynamodb")
    monkeypatch.setattr(Twin, "moto", client, raising=False)

    _, failure = generate.explore(game, schedules, seed_number=4, parts=parts)
    with prepared():
        game.run(game.life(()), parts)

    pages = client.get_paginator("scan").paginate(TableName="StateTable")
    assert failure is None
    assert Twin.compared > 100
    assert _sorted([item for page in pages for item in page["Items"]]) == _sorted(list(Twin.last.items()))


def _sorted(items: list[Any]) -> list[dict[str, Any]]:
    return sorted((recorded(plain(item)) for item in items), key=lambda item: (item["pk"], item["sk"]))
