"""`Comparison` itself: what it leaves on the disk, when it refuses to count, and where a run that ended goes on."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest

from chaos.dynamodb import MemoryDynamoDB
from chaos.s3 import MemoryS3
from honnin.errors import ReconError
from honnin.recon import compare
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.compare import Comparison
from honnin.recon.repair import Repairs
from honnin.store import SHARDS, ReconFile, Store, ledger_shard
from honnin.worker import NotEnoughTimeError
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

FILE = FileId("kyc_passport_sync_recon", "2026-03-31", "a.csv")
ENOUGH, TOO_LITTLE = 900_000, 59_999


class Bench:
    """A comparison over a table, a bucket and a queue in memory; nobody was heard."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.batches_until_the_cut = -1
        self.objects = MemoryS3()
        self.store = Store("table", cast("DynamoDBClient", MemoryDynamoDB()), now=FakeClock())
        self._comparison = Comparison(
            store=self.store,
            bucket=ReconBucket("recon", cast("S3Client", self.objects)),
            repairs=Repairs("events", cast("SQSClient", self)),
            now=lambda: datetime(2026, 3, 31, 18, 5, tzinfo=UTC),
        )

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        """The repairs queue, which takes everything, but for one batch that the test may cut."""
        self.batches_until_the_cut -= 1
        if self.batches_until_the_cut == -1:
            raise ConnectionResetError("the test cut the connection")
        self.sent += [json.loads(each["MessageBody"])["subject"] for each in request["Entries"]]
        return {}

    def put(self, *ids: str) -> None:
        """Put the file into the bucket."""
        self.objects.put_object(Key=FILE.key, Body="".join(f"{each}\n" for each in ids).encode())

    def run(self, *left_ms: int) -> ReconFile:
        """One run, which asks how much time is left: one answer a question, the last one stays."""
        left = list(left_ms or (ENOUGH,))
        return self._comparison.run(self.file(), lambda: left.pop(0) if len(left) > 1 else left[0])

    def file(self) -> ReconFile:
        """The file in the table; one that nobody announced at first."""
        found = self.store.recon.file(FILE.file_type, FILE.day, FILE.name)
        return found or ReconFile(FILE.file_type, FILE.day, FILE.name, "STORED")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def ids(count: int, shard: str = "") -> list[str]:
    """Invented authorization ids, of one shard of the ledger where it is named."""
    named: Iterator[str] = (str(UUID(int=number)) for number in range(100_000))
    those = (each for each in named if not shard or ledger_shard(each.encode()) == shard)
    return [next(those) for _ in range(count)]


# The disk


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind(disk: Path, name: str) -> Path:
    """What a run that was killed has left: a directory with a shard's ids."""
    directory = disk / name
    directory.mkdir()
    (directory / "0").write_text(ids(1)[0])
    return directory


def test_what_a_dead_process_left_on_the_disk_goes(bench: Bench, disk: Path) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    left = left_behind(disk, f"recon-dealt-{process.pid}-abc")
    bench.put()

    bench.run()

    assert not left.exists()


def test_what_an_earlier_run_of_this_process_left_on_the_disk_goes(bench: Bench, disk: Path) -> None:
    left = left_behind(disk, f"recon-dealt-{os.getpid()}-abc")
    bench.put()

    bench.run()

    assert not left.exists()


@pytest.mark.parametrize("name", [f"recon-dealt-{os.getppid()}-abc", "recon-other", "tmpabc"])
def test_what_belongs_to_a_living_process_or_to_something_else_stays(bench: Bench, disk: Path, name: str) -> None:
    left = left_behind(disk, name)
    bench.put()

    bench.run()

    assert (left / "0").exists()


def test_a_run_leaves_nothing_on_the_disk_however_it_ends(bench: Bench, disk: Path) -> None:
    bench.put(*ids(3))

    with pytest.raises(NotEnoughTimeError):
        bench.run(ENOUGH, TOO_LITTLE)
    assert list(disk.iterdir()) == []

    bench.run()
    assert list(disk.iterdir()) == []


# A result that is gone


@pytest.mark.parametrize("shard", ["0", "e"])
def test_without_the_result_of_a_shard_nothing_is_counted(bench: Bench, shard: str) -> None:
    bench.put(*ids(64))
    with pytest.raises(NotEnoughTimeError):
        bench.run(*[ENOUGH] * 15, TOO_LITTLE)
    assert bench.file().shards_done == set(SHARDS[:15])
    bench.objects.delete_object(Key=FILE.shard_key(shard))

    with pytest.raises(ReconError, match=f"the result of shard {shard} is gone") as gone:
        bench.run()

    # A later run finds it anew, so the message stays on its queue.
    assert gone.value.retryable
    assert bench.file().state == "STORED"
    assert bench.file().counts == {}


# An erasure between two runs


def test_who_was_erased_between_two_runs_is_not_shown(bench: Bench) -> None:
    missed = ids(64)
    bench.put(*missed)
    with pytest.raises(NotEnoughTimeError):
        bench.run(*[ENOUGH] * 15, TOO_LITTLE)
    [erased, *_] = [each for each in missed if ledger_shard(each.encode()) == "0"]
    bench.store.erasure.mark(erased, "2026-03-31T18:05:00.000Z")

    file = bench.run()

    assert set(file.missed_sample) == {*missed} - {erased} | {"erased"}
    assert len(file.missed_sample) == file.counts["missed"] == 64


def test_who_is_erased_while_the_samples_are_written_is_not_shown_either(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The erasure looks at the samples when there are none yet; its mark is there by then."""
    missed = ids(4)
    bench.put(*missed)
    end = bench.store.recon.end_comparison

    def erased_first(*arguments: Any) -> None:
        bench.store.erasure.mark(missed[0], "2026-03-31T18:05:00.000Z")
        end(*arguments)

    monkeypatch.setattr(bench.store.recon, "end_comparison", erased_first)

    assert sorted(bench.run().missed_sample) == sorted(["erased", *missed[1:]])


# Too little time inside a shard


def test_sending_goes_on_inside_a_shard_where_the_time_ran_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "_SENT_AT_ONCE", 10)
    missed = ids(35, "7")
    bench.put(*missed)
    # Shards 0 to 7, and before the third ten.
    with pytest.raises(NotEnoughTimeError, match="the rest of its events"):
        bench.run(*[ENOUGH] * 9, TOO_LITTLE)
    assert bench.sent == missed[:20]
    assert bench.file().sent == {"7": 20}
    assert bench.file().shards_done == set(SHARDS[:7])

    # Those before the mark do not go out again.
    with pytest.raises(NotEnoughTimeError):
        bench.run(ENOUGH, ENOUGH, TOO_LITTLE)
    assert bench.sent == missed[:30]
    file = bench.run()

    assert bench.sent == missed
    assert (file.state, file.counts["missed"], file.counts["rows"]) == ("COMPARED", 35, 35)


def test_a_run_that_is_killed_while_it_sends_is_followed_from_its_last_mark(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went out since the mark goes out again: an event that comes twice takes effect once."""
    monkeypatch.setattr(compare, "_SENT_AT_ONCE", 20)
    missed = ids(45, "7")
    bench.put(*missed)
    bench.batches_until_the_cut = 3
    with pytest.raises(ConnectionResetError):
        bench.run()
    assert bench.file().sent == {"7": 20}

    bench.run()

    assert bench.sent == missed[:30] + missed[20:]
