"""The register of a crowd of users: rows per second of one process, and its memory. `python -m bench.register USERS`.

Real: the register, boto3 with its signing and parsing, the CSV. A stand-in answers in place of the network, and makes
each answer when it is asked for, so that the crowd itself takes no memory. Its own time is measured and taken off.
"""

import io
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore.awsrequest import AWSResponse

from honnin.register import VERIFIED, Register
from honnin.store import Store
from honnin.store.overview import PLACES, day_begins
from honnin.times import jst_day, utc_text
from honninctl.register import Writer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_FIRST, _LAST = "2026-10-01", "2026-10-31"
_NOW = datetime(2026, 11, 15, tzinfo=UTC)
_PAGE = 1000
_SHA = "0123456789abcdef" * 4

_HEADERS = {"content-type": "application/x-amz-json-1.0"}

type Attributes = dict[str, dict[str, Any]]


class Crowd:
    """Users at PayPay: of four, two have been verified since before the period, and two became verified in it, one of
    whom was flagged after it. Each has a timeline of six or seven entries."""

    def __init__(self, users: int) -> None:
        self._users = users
        self.spent_s = 0.0
        self.calls = 0

    def answer(self, request: Any, **_: Any) -> AWSResponse:
        """The answer to a call, in place of sending it."""
        begun = time.thread_time()
        asked = json.loads(request.body)
        body = json.dumps(self._query(asked) if "KeyConditionExpression" in asked else {}).encode()
        self.calls += 1
        self.spent_s += time.thread_time() - begun
        raw = io.BytesIO(body)
        raw.stream = lambda *_a, **_k: iter([body])  # type: ignore[attr-defined]
        return AWSResponse(request.url, 200, cast("Any", _HEADERS), cast("Any", raw))

    def _query(self, asked: Any) -> dict[str, Any]:
        values = {name: value["S"] for name, value in asked["ExpressionAttributeValues"].items()}
        after = int(asked.get("ExclusiveStartKey", {}).get("number", {"S": "-1"})["S"])
        kind, *names = values[":pk"].split("#")
        if kind == "USER":
            return {"Items": self._timeline(int(names[0].partition("-")[2]))}
        found = self._standing(names, after) if kind == "STATUS" else self._changes(names, after)
        items: list[Attributes] = []
        for number, item in found:
            items.append(item)
            if len(items) == _PAGE:
                return {"Items": items, "LastEvaluatedKey": {"number": {"S": str(number)}}}
        return {"Items": items}

    def _standing(self, names: list[str], after: int) -> Iterator[tuple[int, Attributes]]:
        """Who is verified now; the number of a user is the place in the shard."""
        provider, status, shard = names
        if (provider, status) != ("paypay", "VERIFIED"):
            return
        for number in self._of_shard(shard, after):
            if number % 4 < 2:
                since = self._verified(number)
                yield number, _texts(user_id=f"user-{number}", overview_sk=f"{since}#user-{number}")

    def _changes(self, names: list[str], after: int) -> Iterator[tuple[int, Attributes]]:
        """Who became verified on a day, in order: users who become so in the period do it by their number."""
        day, shard = names
        if not _FIRST <= day <= _LAST:
            return
        for number in self._of_shard(shard, after):
            if number % 4 >= 2 and jst_day(datetime.fromisoformat(self._verified(number))) == day:
                item = next(each for each in self._timeline(number) if each["to_status"]["S"] == "VERIFIED")
                place = {"S": f"{item['at']['S']}#{number}"}
                yield number, {**item, "overview_sk": place, "told": {"L": [{"S": "KycStatusChanged"}]}}

    def _of_shard(self, shard: str, after: int) -> range:
        first = PLACES.index(shard)
        return range(first if after < 0 else after + len(PLACES), self._users, len(PLACES))

    def _verified(self, number: int) -> str:
        start, days = ("2026-10-01", 30) if number % 4 >= 2 else ("2026-08-01", 50)
        return utc_text(datetime.fromisoformat(day_begins(start)) + timedelta(days=days) * (number / self._users))

    def _timeline(self, number: int) -> list[Attributes]:
        verified = datetime.fromisoformat(self._verified(number))
        steps = [("LINK_PENDING", -60), ("LINKED", -30), ("VERIFIED", 0), *(("VERIFIED", 60 * n) for n in (1, 15, 30))]
        steps += [("RISK_FLAGGED", 86400 * 45)] if number % 4 == 3 else []
        entries, before = [], None
        for step, (status, seconds) in enumerate(steps):
            at = utc_text(verified + timedelta(seconds=seconds))
            name = f"paypay:kyc:{number:036}:{step}"
            entry = _texts(pk=f"USER#user-{number}", sk=f"AT#{at}#{name}", at=at, event_id=name, provider="paypay")
            entry |= _texts(what="kyc_read", cause="webhook", to_status=status)
            entry |= _texts(from_status=before) if before else {}
            key = f"paypay/user-{number}/kyc_passport/{at}-{_SHA}.json"
            kept = _texts(snapshot=key, sha256=_SHA) if status == "VERIFIED" else {}
            detail = _texts(requestId=f"{number:032}", product="kyc_passport", providerCode="SUCCESS") | kept
            entries.append(entry | {"detail": {"M": detail}})
            before = status
        return entries


def _texts(**values: str) -> Attributes:
    return {name: {"S": value} for name, value in values.items()}


def floor(users: int) -> float:
    """The seconds of CPU for the timelines alone: one bare call of boto3 for each user, its answer thrown away."""
    crowd = Crowd(users)
    client = _client(crowd)
    begun = time.process_time()
    for number in range(users):
        client.query(
            TableName="StateTable",
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": f"USER#user-{number}"}, ":sk": {"S": "AT#"}},
            ConsistentRead=True,
        )
    return time.process_time() - begun - crowd.spent_s


def _client(crowd: Crowd) -> "DynamoDBClient":
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    client = session.create_client("dynamodb", region_name="ap-northeast-1")
    client.meta.events.register("before-send.dynamodb", cast("Any", crowd.answer))
    return cast("DynamoDBClient", client)


def measure(users: int) -> dict[str, float]:
    """The rows, the seconds of CPU for them without the stand-in's, the calls, and the highest memory (MiB)."""
    crowd = Crowd(users)
    store = Store("StateTable", _client(crowd), now=lambda: _NOW)
    begun = time.process_time()
    with Path("/dev/null").open("wb") as stream:
        writer = Writer(stream, "csv", "ja")
        for row in Register(store, VERIFIED, day_begins(_FIRST), day_begins("2026-11-01")).rows():
            writer.row(row)
    seconds = time.process_time() - begun - crowd.spent_s
    memory = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"rows": writer.rows, "seconds": seconds, "calls": crowd.calls, "MiB": int(memory.split()[1]) / 1024}


if __name__ == "__main__":
    found = measure(int(sys.argv[1]))
    bare = floor(sample := min(int(sys.argv[1]), 20_000)) / sample
    ratios = {"timesBareCalls": found["seconds"] / found["rows"] / bare, "callsPerUser": found["calls"] / found["rows"]}
    print(json.dumps(found | {"rowsPerSecond": found["rows"] / found["seconds"]} | ratios))
