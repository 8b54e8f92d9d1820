"""The report: everybody who was missed is in it, with what the repair led to by then, and no file fills the memory."""

import json
import tracemalloc
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest

from chaos.dynamodb import MemoryDynamoDB
from chaos.s3 import MemoryS3
from honnin.recon import report
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.compare import ShardResult
from honnin.store import ReconFile, Store
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

NOW = datetime(2026, 3, 31, 18, 6, tzinfo=UTC)
ID = FileId("kyc_passport_sync_recon", "2026-03-31", "a.csv")
FILE = ReconFile(
    ID.file_type,
    ID.day,
    ID.name,
    "COMPARED",
    requested_at="2026-03-31T18:00:00.000Z",
    deadline="2026-03-31T20:00:00.000Z",
    stored_at="2026-03-31T18:05:00.000Z",
    compared_at="2026-03-31T18:05:10.000Z",
    compare_ms=310,
    sha256="ab" * 32,
    size=120,
    counts={"rows": 4, "missed": 3},
    bad_sample=({"line": 2, "reason": "the row is empty"},),
)


class Shelf:
    """A table and a bucket in memory."""

    def __init__(self) -> None:
        self.table, self.objects = MemoryDynamoDB(), MemoryS3()
        self.store = Store("table", cast("DynamoDBClient", self.table), now=FakeClock())
        self.bucket = ReconBucket("recon", cast("S3Client", self.objects))

    def missed(self, shard: str, ids: Iterable[str]) -> None:
        """What the comparison of a shard found."""
        result = ShardResult(1, 0, 0, 0, 0, 0, missed=list(ids))
        self.bucket.put_result(ID, shard, result.__dict__)

    def applied(self, linked: str, **record: Any) -> None:
        """The record of a repair."""
        event_id = f"recon:{ID.file_type}:{ID.day}:{linked}"
        texts = {"pk": f"EVENT#{event_id}", "sk": "EVENT", "event_id": event_id, "applied_at": "2026-03-31T18:05:30Z"}
        change = record.pop("change", None)
        item: dict[str, Any] = {name: {"S": value} for name, value in (texts | record).items()}
        if change:
            item["change"] = {"M": {name: {"S": value} for name, value in change.items()}}
        self.table.put_item(Item=item)

    def written(self) -> dict[str, Any]:
        """Write the report and read it."""
        repairs = report.write(self.store, self.bucket, FILE, NOW)
        found: dict[str, Any] = json.loads(self.objects.objects[ID.report_key])
        assert found["repairs"] == dict(repairs)
        return found


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_the_facts_are_those_of_the_file_without_its_url(shelf: Shelf) -> None:
    assert shelf.written() == {
        "fileType": "kyc_passport_sync_recon",
        "day": "2026-03-31",
        "fileName": "a.csv",
        "revisionOf": None,
        "state": "COMPARED",
        "reason": None,
        "warnings": [],
        "doubt": None,
        "requestedAt": "2026-03-31T18:00:00.000Z",
        "deadline": "2026-03-31T20:00:00.000Z",
        "storedAt": "2026-03-31T18:05:00.000Z",
        "comparedAt": "2026-03-31T18:05:10.000Z",
        "reportedAt": "2026-03-31T18:06:00.000Z",
        "compareMs": 310,
        "sha256": "ab" * 32,
        "bytes": 120,
        "counts": {"rows": 4, "missed": 3},
        "badRows": [{"line": 2, "reason": "the row is empty"}],
        "missed": [],
        "repairs": {"applied": 0, "changed": 0, "waiting": 0},
    }
    assert b"signature" not in shelf.objects.objects[ID.report_key]


def test_each_repair_says_what_it_led_to(shelf: Shelf) -> None:
    shelf.missed("0", ["changed", "same"])
    shelf.missed("f", ["nobodys", "waits", "new"])
    moved = {"from": "VERIFIED", "to": "RISK_FLAGGED", "userId": "user-1"}
    shelf.applied("changed", what="kyc_read", user_id="user-1", to_status="RISK_FLAGGED", change=moved)
    shelf.applied("same", what="kyc_read", user_id="user-2", to_status="VERIFIED")
    shelf.applied("nobodys", what="unknown_user")
    shelf.applied("new", what="linked", user_id="user-3", to_status="LINKED", change={"to": "LINKED"})

    found = shelf.written()

    # Whose authorization it is, is in the table alone: a report in the bucket cannot be erased user by user.
    assert b"user-" not in shelf.objects.objects[ID.report_key]
    told = {each.pop("userAuthorizationId"): tuple(each.values()) for each in found["missed"]}
    assert list(told) == ["changed", "same", "nobodys", "waits", "new"]
    at = "2026-03-31T18:05:30Z"
    assert told == {
        "changed": ("kyc_read", "VERIFIED", "RISK_FLAGGED", at),
        "same": ("kyc_read", "VERIFIED", "VERIFIED", at),
        "nobodys": ("unknown_user", None, None, at),
        "waits": ("waiting", None, None, None),
        "new": ("linked", None, "LINKED", at),
    }
    assert found["repairs"] == {"applied": 4, "changed": 2, "waiting": 1}


def test_the_repair_of_an_erased_user_is_neither_applied_nor_waited_for(shelf: Shelf) -> None:
    shelf.missed("0", ["erased", "read-and-erased", "waits"])
    shelf.applied("read-and-erased", what="kyc_read", to_status="VERIFIED")
    for each in ("erased", "read-and-erased"):
        shelf.store.erasure.mark(each, "2026-03-31T18:05:40.000Z")

    found = shelf.written()

    assert [each["outcome"] for each in found["missed"]] == ["erased", "kyc_read", "waiting"]
    assert found["repairs"] == {"applied": 1, "changed": 0, "waiting": 1}


def test_the_report_is_written_anew(shelf: Shelf) -> None:
    shelf.missed("7", ["a"])
    assert shelf.written()["repairs"]["waiting"] == 1
    shelf.applied("a", what="kyc_read", user_id="user-1", to_status="VERIFIED")

    assert shelf.written()["repairs"] == {"applied": 1, "changed": 0, "waiting": 0}


def test_memory_holds_a_shard_and_not_the_file(shelf: Shelf) -> None:
    for shard in "0123456789abcdef":
        shelf.missed(shard, (str(UUID(int=int(shard, 16) * 10_000 + number)) for number in range(2_000)))
    stored = len(shelf.objects.objects[ID.shard_key("0")])
    tracemalloc.start()
    try:
        repairs = report.write(shelf.store, shelf.bucket, FILE, NOW)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert repairs["waiting"] == 32_000
    written = len(shelf.objects.objects[ID.report_key])
    assert written > 3_500_000
    # The bucket in memory takes the written report in; beside it, one shard's ids and a thousand records.
    assert peak - written < 40 * stored


@pytest.mark.parametrize("states", [["MISSING"], ["MISSING", "COMPARED"], ["ANNOUNCED", "MISSING"], ["COMPARED"]])
def test_the_mark_of_a_missing_file_goes_once_one_is_named(states: list[str]) -> None:
    files = [ReconFile(ID.file_type, ID.day, state.lower(), state) for state in states]

    told = [each.state for each in report.telling(files)]

    assert told == ([state for state in states if state != "MISSING"] or states)


@pytest.mark.parametrize("state", ["ANNOUNCED", "STORED", "INVALID", "EXPIRED", "MISSING"])
def test_a_file_that_was_not_compared_has_no_report(state: str) -> None:
    assert report.key(ReconFile(ID.file_type, ID.day, ID.name, state)) is None
    assert report.key(FILE) == ID.report_key


def test_a_tally_of_nobody_names_every_figure() -> None:
    assert report.tally([]) == {"applied": 0, "changed": 0, "waiting": 0}
