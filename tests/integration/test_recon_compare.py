"""A recon file against what was heard: from S3's notification to the repairs, the report and the alarm."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from honnin import aws, times
from honnin.recon import bucket
from honnin.recon.compare import check_name
from honnin.store import SHARDS, ledger_shard
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, Function, sample
from tests.fakes.merchant import Merchant
from tests.fakes.recon_day import ReconDay

KYC, RISK, ACCOUNT = (
    "kyc_passport_sync_recon",
    "kyc_passport_risk_sync_recon",
    "kyc_passport_account_status_sync_recon",
)
HEADER = "userAuthorizationId"


def ids(count: int, first: int = 1) -> list[str]:
    """Invented authorization ids in the form of the base document's example."""
    return [
        str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for number in range(first, first + count)
    ]


A, B, C, D = ids(4)


@pytest.fixture
def recon(stack: Deployment) -> ReconDay:
    return ReconDay(stack)


@pytest.fixture
def processor(stack: Deployment) -> Function:
    return stack.function("event_processor")


class Calls:
    """The calls to AWS that the functions make: `counts` by operation, and hooks that let one fail."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.keys_asked: list[str] = []
        self._failing: dict[str, int] = {}
        for client in (aws.dynamodb(), aws.s3(read_timeout_s=bucket._READ_TIMEOUT_S), aws.sqs(), aws.events()):
            client.meta.events.register("provide-client-params", self._count)

    def fail(self, operation: str, call: int = 1) -> None:
        """Let the n-th call of an operation from now on fail, and no other."""
        self._failing[operation] = self.counts[operation] + call

    def _count(self, params: dict[str, Any], model: Any, **_: object) -> None:
        self.counts[model.name] += 1
        if model.name == "BatchGetItem":
            [asked] = params["RequestItems"].values()
            self.keys_asked += [key["pk"]["S"] for key in asked["Keys"]]
        if self._failing.get(model.name) == self.counts[model.name]:
            raise ConnectionResetError("the test cut the connection")


@pytest.fixture
def calls(stack: Deployment) -> Calls:
    return Calls()


def counts(recon: ReconDay, **expected: int) -> bool:
    """Whether the file's counts are these, and all others 0."""
    return dict(recon.file().counts) == {
        **dict.fromkeys(
            ("rows", "matched", "missed", "extra", "extraFirstHour", "duplicates", "unknownUsers", "rechecked"), 0
        ),
        "erasedUsers": 0,
        "badRows": 0,
        **expected,
    }


# What was found


def test_the_sample_event_compares_the_file_that_it_names(stack: Deployment, recon: ReconDay) -> None:
    recon.announce()
    recon.store(recon.listing(A))
    stack.drain("CompareQueue")

    answer = stack.function("recon_compare")(sample("recon_compare"), 900_000)

    assert answer == {"batchItemFailures": []}
    assert recon.file().state == "COMPARED"


def test_each_kind_of_row_is_counted(recon: ReconDay) -> None:
    recon.heard(A, B, "only-heard")
    recon.link(C, "user-c")
    recon.arrive(recon.listing(A, B, A, C, D, C, C))

    assert recon.compare() == []

    assert counts(recon, rows=7, matched=2, missed=2, extra=1, duplicates=3, unknownUsers=1)
    assert recon.repaired() == sorted([C, D])
    assert recon.file().extra_sample == ("only-heard",)
    assert sorted(recon.file().missed_sample) == sorted([C, D])


@pytest.mark.parametrize("file_type", [KYC, RISK, ACCOUNT])
def test_each_type_of_file_is_compared_with_its_own_ledger(stack: Deployment, file_type: str) -> None:
    days = {each: ReconDay(stack, each) for each in (KYC, RISK, ACCOUNT)}
    for each, day in days.items():
        day.heard(B if each == file_type else A)
    recon = days[file_type]
    recon.arrive(recon.listing(A, B))

    assert recon.compare() == []

    assert recon.repaired() == [A]
    assert counts(recon, rows=2, matched=1, missed=1, unknownUsers=1)


def test_every_shard_of_the_ledger_is_compared(recon: ReconDay) -> None:
    heard, missed, extra = ids(20), ids(60, 201), ids(30, 401)
    assert {ledger_shard(each.encode()) for each in missed} == set(SHARDS)
    recon.heard(*heard, *extra)
    recon.arrive(recon.listing(*missed, *heard))

    assert recon.compare() == []

    assert recon.repaired() == sorted(missed)
    assert counts(recon, rows=80, matched=20, missed=60, extra=30, unknownUsers=60)
    assert recon.file().shards_done == set(SHARDS)
    assert len(recon.file().extra_sample) == 20
    assert set(recon.file().extra_sample) <= set(extra)


def test_a_repair_is_the_event_that_a_webhook_would_have_been(stack: Deployment, recon: ReconDay) -> None:
    recon.arrive(recon.listing(A))

    recon.compare()

    [event] = stack.drain("RepairQueue")
    received_at = event.pop("received_at")
    assert datetime.now(UTC) - datetime.fromisoformat(received_at) < timedelta(minutes=5)
    assert event == {
        "v": 1,
        "event_id": f"recon:{KYC}:2026-03-31:{A}",
        "provider": "paypay",
        "kind": "kyc",
        "cause": "recon",
        "subject": A,
        "detail": {"file": recon.name, "day": "2026-03-31"},
    }


@pytest.mark.parametrize(
    "content",
    [
        f"{A}\n{B}\n",
        f'\ufeff"{HEADER}"\r\n"{A}"\r\n"{B}"\r\n\r\n',
        f'{A}\r\n"{B}"\n{B}',
    ],
)
def test_every_form_of_a_file_is_compared_alike(recon: ReconDay, content: str) -> None:
    recon.heard(B)
    recon.arrive(content)

    assert recon.compare() == []

    assert recon.repaired() == [A]
    assert (recon.file().counts["matched"], recon.file().counts["badRows"]) == (1, 0)


@pytest.mark.parametrize("content", ["", f"{HEADER}\r\n"])
def test_a_file_without_rows_is_compared_and_repairs_nothing(recon: ReconDay, content: str) -> None:
    recon.heard(A)
    recon.arrive(content)

    assert recon.compare() == []

    assert recon.file().state == "COMPARED"
    assert counts(recon, extra=1)
    assert recon.repaired() == []


def test_the_facts_of_the_file_are_kept(recon: ReconDay) -> None:
    content = recon.listing(A, "bad row", *ids(150, 10))
    recon.arrive(content)

    recon.compare()

    file = recon.file()
    assert file.size == len(content)
    assert re.fullmatch("[0-9a-f]{64}", file.sha256 or "")
    assert file.sha256 != "0" * 64
    assert file.compare_ms is not None
    assert file.compare_ms >= 0
    assert file.counts["badRows"] == 1
    assert recon.report()["badRows"] == [{"line": 3, "reason": "the row has a character that no id has"}]
    assert "bad row" not in json.dumps(recon.report())


# The hour after midnight


def test_a_webhook_counts_for_its_japanese_day_and_for_an_hour_after_it(recon: ReconDay, processor: Function) -> None:
    heard = [("00:00:00.000", 0), ("23:59:59.000", 0), ("23:59:59.999", 0), ("00:00:00.000", 1), ("00:59:59.999", 1)]
    not_heard = [("23:59:59.999", -1), ("01:00:00.000", 1), ("12:00:00.000", 1)]
    named = ids(len(heard + not_heard))
    for each, (time_of_day, days) in zip(named, heard + not_heard, strict=True):
        recon.hear(processor, each, recon.at(time_of_day, days))
    recon.arrive(recon.listing(*named))

    assert recon.compare() == []

    assert recon.repaired() == sorted(named[len(heard) :])
    assert counts(recon, rows=8, matched=5, missed=3, unknownUsers=3)


def test_an_extra_of_the_first_hour_is_told_apart(recon: ReconDay, processor: Function) -> None:
    first_hour = [("00:00:00.000", 0), ("00:30:00.000", 0), ("00:59:59.999", 0)]
    later = [("01:00:00.000", 0), ("23:59:59.999", 0)]
    of_other_days = [("23:59:59.999", -1), ("00:00:00.000", 1), ("00:30:00.000", 1)]
    times = [*first_hour, *later, *of_other_days]
    for each, (time_of_day, days) in zip(ids(len(times)), times, strict=True):
        recon.hear(processor, each, recon.at(time_of_day, days))
    recon.arrive(recon.listing())

    assert recon.compare() == []

    assert counts(recon, extra=5, extraFirstHour=3)


def test_a_user_heard_on_the_day_and_after_midnight_is_matched_once(recon: ReconDay, processor: Function) -> None:
    for time_of_day, days in (("12:00:00", 0), ("00:10:00", 1)):
        recon.hear(processor, A, recon.at(time_of_day, days))
    recon.arrive(recon.listing(A))

    recon.compare()

    assert counts(recon, rows=1, matched=1)


def test_a_webhook_after_midnight_stands_for_both_days(stack: Deployment, processor: Function) -> None:
    first, second = ReconDay(stack), ReconDay(stack, day="2026-04-01")
    first.hear(processor, A, first.at("00:10:00", 1))
    for recon in (first, second):
        recon.arrive(recon.listing(A))

    assert first.compare() == []

    for recon in (first, second):
        assert counts(recon, rows=1, matched=1)
        assert recon.repaired() == []


def test_what_recon_itself_repaired_is_not_heard(stack: Deployment, recon: ReconDay, processor: Function) -> None:
    recon.arrive(recon.listing(A))
    recon.compare()
    assert stack.process(processor, 120_000) == []
    # The same day again, as a revision.
    recon.arrive(recon.listing(A) + "\r\n", name=f"{recon.name}.rev-20260401T000000Z")

    assert recon.compare() == []

    assert recon.file(f"{recon.name}.rev-20260401T000000Z").counts["missed"] == 1
    assert recon.repaired() == [A]


# What cannot be believed


def assert_invalid(stack: Deployment, recon: ReconDay, reason: str, name: str = "") -> None:
    assert recon.compare() == []
    file = recon.file(name)
    assert file.state == "INVALID"
    assert reason in (file.reason or "")
    [letter] = stack.letters()
    assert recon.type.name in letter["Subject"]
    for part in ("再送のお願い", "Please resend", recon.day, reason):
        assert part in letter["Message"]
    assert stack.drain("RepairQueue") == []
    assert stack.published() == []
    keys = [each["Key"] for each in stack.s3.list_objects_v2(Bucket="recon")["Contents"]]
    assert not [key for key in keys if key.startswith("reports/")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("kyc_passport_900000000000000001_20260330_20260330.csv", "its name says the days 2026-03-30"),
        ("kyc_passport_900000000000000001_20260401_20260401.csv", "its name says the days 2026-04-01"),
        ("kyc_passport_900000000000000001_20260331_20260402.csv", "2026-03-31 to 2026-04-02"),
        ("kyc_passport_900000000000000001_20260331_20260330.csv", "2026-03-31 to 2026-03-30"),
        ("kyc_passport_risk_client_20260331_20260331.csv", f"its name says {RISK}"),
        ("kyc_passport_account_status_client_20260331_20260331.csv", f"its name says {ACCOUNT}"),
    ],
)
def test_a_file_whose_name_says_another_day_or_type_repairs_nothing(
    stack: Deployment, recon: ReconDay, name: str, reason: str
) -> None:
    recon.arrive(recon.listing(A), name)

    assert_invalid(stack, recon, reason, name)


@pytest.mark.parametrize(("time_of_day", "days"), [("23:59:59", -1), ("00:00:00", 9), ("03:00:00", 400)])
def test_a_file_that_was_announced_before_its_day_or_long_after_repairs_nothing(
    stack: Deployment, recon: ReconDay, time_of_day: str, days: int
) -> None:
    recon.arrive(recon.listing(A), requested_at=recon.at(time_of_day, days))

    assert_invalid(stack, recon, "and it was announced on")


@pytest.mark.parametrize(("time_of_day", "days"), [("01:30:00", 1), ("23:59:59", 8)])
def test_a_file_may_be_announced_as_long_as_paypay_keeps_it(recon: ReconDay, time_of_day: str, days: int) -> None:
    recon.announce(requested_at=recon.at(time_of_day, days))

    check_name(recon.file())


@pytest.mark.parametrize("last", ["20260331", "20260401", "20260331235959", "20260401000000"])
def test_a_name_may_end_with_the_day_or_with_the_midnight_after_it(recon: ReconDay, last: str) -> None:
    name = f"kyc_passport_9_20260331_{last}.csv"
    recon.announce(name)

    check_name(recon.file(name))


def test_a_file_with_more_than_one_percent_of_bad_rows_repairs_nothing(stack: Deployment, recon: ReconDay) -> None:
    recon.arrive(recon.listing(*ids(98), "two, columns"))

    assert_invalid(stack, recon, "1 of 99 rows are no ids")


def test_a_file_with_exactly_one_percent_of_bad_rows_is_believed(recon: ReconDay) -> None:
    recon.arrive(recon.listing(*ids(99), "two, columns"))

    assert recon.compare() == []

    assert counts(recon, rows=99, missed=99, unknownUsers=99, badRows=1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{HEADER}\n{A}\n".encode("utf-16"), "not UTF-8"),
        (f"{A}\n".encode() * 500 + b"\xff\n", "not UTF-8"),
        (b"a" * 200_000, "64 KiB"),
        (f"{A}\n\0".encode(), "NUL"),
    ],
)
def test_a_file_that_is_no_text_repairs_nothing(
    stack: Deployment, recon: ReconDay, content: bytes, reason: str
) -> None:
    recon.arrive(content)

    assert_invalid(stack, recon, reason)


def test_an_invalid_file_is_not_looked_at_again(stack: Deployment, recon: ReconDay) -> None:
    recon.arrive("no, ids\n")
    assert_invalid(stack, recon, "1 of 1 rows")
    recon.tell(recon.file_id().key)

    assert recon.compare() == []

    assert recon.file().state == "INVALID"
    assert stack.letters() == []


# Messages that are no new file


def test_the_same_notification_again_does_nothing(stack: Deployment, recon: ReconDay, calls: Calls) -> None:
    recon.arrive(recon.listing(A))
    recon.compare()
    assert recon.repaired() == [A]
    assert len(stack.published()) == 1
    before = calls.counts.copy()
    recon.tell(recon.file_id().key)
    recon.tell(recon.file_id().key, recon.file_id().key)

    assert recon.compare() == []

    assert recon.repaired() == []
    assert stack.published() == []
    assert calls.counts - before == Counter(GetItem=3)


def test_two_files_in_one_message_are_both_compared(recon: ReconDay, stack: Deployment) -> None:
    other = ReconDay(stack, RISK)
    recon.arrive(recon.listing(A))
    other.arrive(other.listing(B))
    stack.drain("CompareQueue")
    recon.tell(recon.file_id().key, other.file_id().key)

    assert recon.compare() == []

    assert (recon.file().state, other.file().state) == ("COMPARED", "COMPARED")


def test_s3s_test_event_is_taken(stack: Deployment, recon: ReconDay) -> None:
    event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-04-01T00:00:00.000Z", "Bucket": "recon"}
    stack.send(json.dumps(event), "CompareQueue")

    assert recon.compare() == []

    assert stack.items() == []


@pytest.mark.parametrize(
    "key",
    [
        "recon/readme.txt",
        "recon/kyc_passport_sync_recon/2026/03/31/",
        "recon/unknown_type/2026/03/31/x.csv",
        "recon/kyc_passport_sync_recon/2026/03/31/a/b.csv",
        "recon/kyc_passport_sync_recon/2026/03/31/..%2Fx.csv",
        "reports/kyc_passport_sync_recon/2026/03/31/x.csv/report.json",
        "other/kyc_passport_sync_recon/2026/03/31/x.csv",
    ],
)
def test_an_object_that_is_no_recon_file_is_left_alone(stack: Deployment, recon: ReconDay, key: str) -> None:
    recon.tell(key)

    assert recon.compare() == []

    assert stack.items() == []
    assert stack.published() == []


@pytest.mark.parametrize("body", ["{", "[]", "null", '{"Records": [{"s3": {}}]}', '{"report": 7}'])
def test_a_message_that_nobody_understands_stays_on_the_queue(stack: Deployment, recon: ReconDay, body: str) -> None:
    stack.send(body, "CompareQueue")

    assert len(recon.compare()) == 1

    # It comes again later, until SQS moves it to the dead letters.
    assert stack.receive("CompareQueue") == []


def test_a_file_that_is_gone_stays_on_the_queue(recon: ReconDay, stack: Deployment) -> None:
    recon.announce()
    recon.tell(recon.file_id().key)

    assert len(recon.compare()) == 1

    assert recon.file().state == "ANNOUNCED"


def test_one_bad_message_does_not_stop_another(stack: Deployment, recon: ReconDay) -> None:
    stack.send("{", "CompareQueue")
    recon.arrive(recon.listing(A))

    assert len(recon.compare()) == 1

    assert recon.file().state == "COMPARED"


def test_a_file_that_nobody_announced_is_compared(stack: Deployment, recon: ReconDay) -> None:
    recon.store(recon.listing(A, B))

    assert recon.compare() == []

    assert (recon.file().state, recon.file().counts["missed"]) == ("COMPARED", 2)
    assert recon.repaired() == sorted([A, B])
    assert recon.report()["state"] == "COMPARED"
    assert len(stack.published()) == 1


def test_a_file_that_nobody_announced_is_resumed(recon: ReconDay) -> None:
    recon.store(recon.listing(*ids(40)))
    assert len(recon.compare(900_000, 900_000, 900_000, 1_000)) == 1

    assert recon.compare() == []

    assert recon.file().state == "COMPARED"


def test_a_file_that_nobody_announced_is_in_nobodys_way_while_it_is_compared(
    stack: Deployment, recon: ReconDay
) -> None:
    recon.store(recon.listing(*ids(40)))
    recon.compare(900_000, 900_000, 900_000, 1_000)

    [file] = stack.store.recon.files(KYC, recon.day, recon.day)

    assert (file.name, file.state) == (recon.name, "STORED")


def test_a_revision_is_compared_too(stack: Deployment, recon: ReconDay) -> None:
    recon.arrive(recon.listing(A))
    recon.compare()
    revision = f"{recon.name}.rev-20260402T000000000Z"
    stack.store.recon.stored(recon.file(), name=revision, sha256="1" * 64, size=9, at=recon.at("09:00:00", days=2))
    recon.store(recon.listing(A, B), revision)

    assert recon.compare() == []

    file = recon.file(revision)
    assert (file.state, file.revision_of, file.counts["rows"]) == ("COMPARED", recon.name, 2)
    # A's repair of the first file has the same id: it takes effect once.
    assert recon.repaired() == sorted([A, A, B])
    assert recon.report(revision)["revisionOf"] == recon.name
    assert [each["detail"]["fileName"] for each in stack.published()] == [recon.name, revision]


def test_a_revision_whose_notification_is_faster_than_the_table_is_compared(stack: Deployment, recon: ReconDay) -> None:
    recon.arrive(recon.listing(A))
    recon.compare()
    revision = f"{recon.name}.rev-20260402T000000000Z"
    recon.store(recon.listing(A, B), revision)
    assert recon.compare() == []

    stack.store.recon.stored(recon.file(), name=revision, sha256="1" * 64, size=9, at=recon.at("09:00:00", days=2))

    file = recon.file(revision)
    assert (file.state, file.revision_of, file.counts["rows"]) == ("COMPARED", recon.name, 2)


# ReconRecheck=all


def today() -> str:
    return times.jst_day(datetime.now(UTC))


def two_changes_behind_one_webhook(stack: Deployment, box: RunningSandbox, recon: ReconDay, processor: Function) -> str:
    """A user whose first change of the day was heard, and the second not; returns the authorization."""
    Merchant(stack).link("user-0001", scopes=["mini_app_kyc_passport"])
    status = stack.store.users.status("user-0001", "paypay")
    assert status is not None
    linked = status.user_authorization_id or ""
    recon.hear(processor, linked, datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    box.paypay.register.user("user-0001").risk_flag = "UNACCEPTABLE_OP"
    return linked


@pytest.mark.parametrize(("recheck", "status"), [("all", "RISK_FLAGGED"), ("missed", "VERIFIED")])
def test_with_recheck_all_the_second_change_behind_one_webhook_is_found(
    stack: Deployment, box: RunningSandbox, processor: Function, recheck: str, status: str
) -> None:
    stack.parameters["ReconRecheck"] = recheck
    recon = ReconDay(stack, RISK, today())
    linked = two_changes_behind_one_webhook(stack, box, recon, processor)
    recon.arrive(recon.listing(linked))

    assert recon.compare() == []
    assert stack.process(processor, 120_000) == []

    assert (stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")).status == status
    assert counts(recon, rows=1, matched=1, rechecked=recheck == "all")


@pytest.mark.parametrize(("read_at", "is_read"), [("23:59:59.999", True), ("00:00:00.000", False)])
def test_who_was_read_after_the_day_is_not_read_again(stack: Deployment, read_at: str, is_read: bool) -> None:
    stack.parameters["ReconRecheck"] = "all"
    recon = ReconDay(stack)
    recon.heard(A, B)
    recon.link(A, "user-a", recon.at(read_at, days=0 if is_read else 1))
    recon.arrive(recon.listing(A, B))

    assert recon.compare() == []

    # B is nobody's: there is nothing to read again.
    assert recon.repaired() == ([A] if is_read else [])
    assert counts(recon, rows=2, matched=2, rechecked=is_read)


def test_with_recheck_all_who_was_missed_is_queued_once(stack: Deployment) -> None:
    stack.parameters["ReconRecheck"] = "all"
    recon = ReconDay(stack)
    recon.link(A, "user-a")
    recon.arrive(recon.listing(A))

    recon.compare()

    assert recon.repaired() == [A]
    assert counts(recon, rows=1, missed=1)


def test_a_reading_of_the_account_after_the_day_does_not_stand_for_one_of_the_kyc(
    stack: Deployment, box: RunningSandbox, processor: Function
) -> None:
    stack.parameters["ReconRecheck"] = "all"
    yesterday = times.jst_day(datetime.now(UTC) - timedelta(days=1))
    recon, account = ReconDay(stack, RISK, yesterday), ReconDay(stack, ACCOUNT, today())
    stack.pass_time(days=-1)
    Merchant(stack).link("user-0001", scopes=["mini_app_kyc_passport"])
    status = stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")
    linked = status.user_authorization_id or ""
    recon.hear(processor, linked, recon.at("12:00:00"))
    box.paypay.register.user("user-0001").risk_flag = "UNACCEPTABLE_OP"
    stack.pass_time()
    account.hear(processor, linked, account.at("00:00:01"))
    recon.arrive(recon.listing(linked))

    assert recon.compare() == []

    assert recon.repaired() == [linked]


# What it costs


def test_reads_grow_with_the_pages_of_the_ledger_and_not_with_the_rows(
    stack: Deployment, recon: ReconDay, calls: Calls
) -> None:
    heard = ids(48)
    recon.heard(*heard)
    page = 2
    lines = [len([each for each in heard if ledger_shard(each.encode()) == shard]) for shard in SHARDS]
    # moto, unlike DynamoDB, knows that a full page was the last one.
    pages = sum(max(1, math.ceil(number / page)) for number in lines)

    def small_pages(params: dict[str, Any], **_: object) -> None:
        if params["ExpressionAttributeValues"][":pk"]["S"].startswith("LEDGER#"):
            params["Limit"] = page

    aws.dynamodb().meta.events.register("provide-client-params.dynamodb.Query", small_pages)
    queries: list[int] = []
    for number, rows in enumerate((heard[:10], heard, heard * 50)):
        before = calls.counts["Query"]
        recon.arrive(recon.listing(*rows), name=f"file-{number}.csv")
        assert recon.compare() == []
        assert recon.file(f"file-{number}.csv").counts["rows"] == len(rows)
        queries.append(calls.counts["Query"] - before)

    # The ledger's pages once; the lines of both hours after midnight once a shard.
    assert queries == [pages + 2 * len(SHARDS)] * 3
    # Nobody was missed. Of those who were extra in the first file, twenty are shown, unless they were erased (looked up
    # before and after).
    assert calls.counts["BatchGetItem"] == 2
    assert calls.counts["Scan"] == 0


def test_only_missed_users_are_looked_up_and_a_hundred_a_call(recon: ReconDay, calls: Calls) -> None:
    heard, missed = ids(60), ids(40, 101)
    recon.heard(*heard)
    recon.arrive(recon.listing(*heard, *missed))

    recon.compare()

    links = [key for key in calls.keys_asked if key.startswith("PAYPAY#")]
    assert sorted(links) == sorted(f"PAYPAY#{each}" for each in missed)
    shards = {ledger_shard(each.encode()) for each in missed}
    # Links, marks of erased users, records of the repairs: a few look-ups, each one call for a shard's missed users.
    # Those who are shown are looked for among the erased twice more, all at once: before and after.
    look_ups, others = divmod(len(calls.keys_asked) - 2 * len(missed), len(missed))
    assert (look_ups in (3, 4), others) == (True, 0)
    assert calls.counts["BatchGetItem"] == look_ups * len(shards) + 2
    assert not [key for key in calls.keys_asked if any(each in key for each in heard)]


def test_repairs_are_queued_ten_a_call(recon: ReconDay, calls: Calls) -> None:
    missed = [each for each in ids(800) if ledger_shard(each.encode()) == "7"][:25]
    assert len(missed) == 25
    recon.arrive(recon.listing(*missed))

    recon.compare()

    assert calls.counts["SendMessageBatch"] == 3
    assert recon.repaired() == sorted(missed)


# Killed anywhere, and too little time


def test_with_too_little_time_the_rest_comes_at_once_in_the_next_run(
    stack: Deployment, recon: ReconDay, calls: Calls
) -> None:
    everybody = ids(64)
    recon.arrive(recon.listing(*everybody))
    # The worker asks for the time left once, the comparison before each shard.
    assert len(recon.compare(*[900_000] * 6, 59_999)) == 1
    assert recon.file().shards_done == set(SHARDS[:5])
    assert recon.file().state == "STORED"
    assert stack.published() == []
    first = recon.repaired()
    assert {ledger_shard(each.encode()) for each in first} == set(SHARDS[:5])
    before = calls.counts["Query"]

    # At once: no visibility time-out is waited for.
    assert recon.compare() == []

    assert recon.file().state == "COMPARED"
    assert counts(recon, rows=64, missed=64, unknownUsers=64)
    assert sorted([*first, *recon.repaired()]) == sorted(everybody)
    assert calls.counts["Query"] - before == 3 * 11
    assert len(stack.published()) == 1


def test_without_time_for_one_shard_nothing_is_lost(recon: ReconDay, stack: Deployment) -> None:
    recon.arrive(recon.listing(A))

    assert len(recon.compare(59_999)) == 1
    assert recon.repaired() == []
    assert recon.compare(60_000) == []

    assert recon.repaired() == [A]


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("GetItem", 1),
        ("GetObject", 1),
        ("Query", 20),
        ("BatchGetItem", 1),
        ("PutObject", 9),
        ("SendMessageBatch", 7),
        ("UpdateItem", 16),
        ("UpdateItem", 17),
        ("UpdateItem", 18),
    ],
)
def test_after_a_failure_the_next_run_completes_with_nothing_missing_and_nothing_doubled(
    stack: Deployment, recon: ReconDay, calls: Calls, monkeypatch: pytest.MonkeyPatch, operation: str, call: int
) -> None:
    monkeypatch.setattr("honnin.worker.backoff_s", lambda _receives, **_: 0)
    heard, missed = ids(16), ids(32, 101)
    recon.heard(*heard)
    recon.arrive(recon.listing(*heard, *missed))
    calls.fail(operation, call)
    assert len(recon.compare()) == 1

    assert recon.compare() == []

    assert counts(recon, rows=48, matched=16, missed=32, unknownUsers=32)
    assert set(recon.repaired()) == set(missed)
    # Once; a failure just after it was told leads to a second time, which `sha256` and `comparedAt` show to be one.
    told = stack.published()
    assert len(told) == (2 if (operation, call) == ("UpdateItem", 18) else 1)
    assert [each["detail"] for each in told] == [told[0]["detail"]] * len(told)
    assert {each["outcome"] for each in recon.report()["missed"]} == {"waiting"}
    assert sorted(each["userAuthorizationId"] for each in recon.report()["missed"]) == sorted(missed)


@pytest.mark.parametrize("operation", ["PutEvents", "SendMessage"])
def test_a_failure_after_the_report_loses_neither_the_reminder_nor_the_event(
    stack: Deployment, recon: ReconDay, calls: Calls, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr("honnin.worker.backoff_s", lambda _receives, **_: 0)
    recon.arrive(recon.listing(A))
    calls.fail(operation)
    assert len(recon.compare()) == 1
    before = calls.counts.copy()

    assert recon.compare() == []

    assert len(stack.published()) == 1
    assert operation == "PutEvents" or (calls.counts - before)["SendMessage"] == 1


def test_a_reminder_that_is_faster_than_the_second_try_does_not_swallow_the_event(
    stack: Deployment, recon: ReconDay, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("honnin.worker.backoff_s", lambda _receives, **_: 0)
    recon.arrive(recon.listing(A))
    calls.fail("PutEvents")
    assert len(recon.compare()) == 1
    [again] = stack.drain("CompareQueue")
    stack.send(json.dumps({"report": recon.file_id().key, "reminders": 1}), "CompareQueue")
    assert recon.compare() == []

    stack.send(json.dumps(again), "CompareQueue")
    assert recon.compare() == []

    assert len(stack.published()) == 1


def test_a_file_that_fails_three_times_is_among_the_dead_letters_of_comparisons(
    stack: Deployment, recon: ReconDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("honnin.worker.backoff_s", lambda _receives, **_: 0)
    monkeypatch.setattr("honnin.recon.compare.deal", breaks)
    recon.arrive(recon.listing(A))

    assert [len(recon.compare()) for _ in range(3)] == [1, 1, 0]

    [parked] = stack.receive("CompareDeadLetterQueue")
    assert json.loads(parked["Body"])["Records"][0]["s3"]["object"]["key"] == recon.file_id().key
    assert parked["MessageAttributes"]["errorType"]["StringValue"] == "RuntimeError"
    assert stack.receive("CompareQueue") == []


def test_a_shard_whose_result_is_written_is_not_compared_anew(
    stack: Deployment, recon: ReconDay, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("honnin.worker.backoff_s", lambda _receives, **_: 0)
    [alone] = [each for each in ids(200) if ledger_shard(each.encode()) == "0"][:1]
    recon.arrive(recon.listing(alone))
    calls.fail("SendMessageBatch")
    assert len(recon.compare()) == 1
    # Heard by now; but the first run found it missed, and may have told so already.
    recon.heard(alone)

    assert recon.compare() == []

    assert recon.repaired() == [alone]
    assert counts(recon, rows=1, missed=1, unknownUsers=1)


def test_of_two_runs_at_once_the_first_result_counts(
    stack: Deployment, recon: ReconDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    [alone] = [each for each in ids(200) if ledger_shard(each.encode()) == "0"][:1]
    recon.arrive(recon.listing(alone))
    recon.tell(recon.file_id().key)
    [first, second] = stack.receive("CompareQueue")
    put_result = bucket.ReconBucket.put_result
    others: Iterator[Any] = iter([second])

    def faster(self: bucket.ReconBucket, *arguments: Any) -> bool:
        # Another run does the whole file just before this one writes its first result.
        for message in others:
            answer = stack.function("recon_compare")(
                {"Records": [sample("recon_compare")["Records"][0] | {"body": message["Body"]}]}, 900_000
            )
            assert answer == {"batchItemFailures": []}
            recon.heard(alone)
        return put_result(self, *arguments)

    monkeypatch.setattr(bucket.ReconBucket, "put_result", faster)

    assert first["Body"] == second["Body"]
    assert recon.compare() == []

    assert counts(recon, rows=1, missed=1, unknownUsers=1)
    assert set(recon.repaired()) == {alone}


# What the repairs led to


def test_a_lost_webhook_is_repaired_and_the_report_says_what_came_of_it(
    stack: Deployment, box: RunningSandbox, processor: Function
) -> None:
    recon = ReconDay(stack, RISK)
    Merchant(stack).link("user-0001", scopes=["mini_app_kyc_passport"])
    stack.published()
    status = stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")
    linked = status.user_authorization_id or ""
    box.paypay.register.user("user-0001").risk_flag = "UNACCEPTABLE_OP"
    recon.arrive(recon.listing(linked, A))
    assert recon.compare() == []
    waiting = recon.report()
    assert waiting["repairs"] == {"applied": 0, "changed": 0, "waiting": 2}
    assert {each["outcome"] for each in waiting["missed"]} == {"waiting"}

    assert stack.process(processor, 120_000) == []
    stack.send(json.dumps({"report": recon.file_id().key, "reminders": 1}), "CompareQueue")
    assert recon.compare() == []

    assert (stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")).status == "RISK_FLAGGED"
    entry = stack.store.users.timeline("user-0001", 1)[0][0]
    assert (entry.event_id, entry.cause) == (f"recon:{RISK}:{recon.day}:{linked}", "recon")
    report = recon.report()
    assert report["repairs"] == {"applied": 2, "changed": 1, "waiting": 0}
    missed = {each["userAuthorizationId"]: each for each in report["missed"]}
    applied_at = missed[linked].pop("appliedAt")
    assert datetime.fromisoformat(applied_at)
    assert missed[linked] == {
        "userAuthorizationId": linked,
        "outcome": "kyc_read",
        "from": "LINKED",
        "to": "RISK_FLAGGED",
    }
    assert missed[A]["outcome"] == "unknown_user"
    assert recon.file().repairs == {"applied": 2, "changed": 1, "waiting": 0}
    told = Counter(each["detail-type"] for each in stack.published())
    assert told == {"ReconCompleted": 1, "KycStatusChanged": 1}


def test_a_user_who_has_unlinked_is_read_and_found_unlinked(
    stack: Deployment, box: RunningSandbox, recon: ReconDay, processor: Function
) -> None:
    Merchant(stack).link("user-0001", scopes=["get_kyc_info"])
    status = stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")
    linked = status.user_authorization_id or ""
    box.paypay.register.user("user-0001").authorizations[-1].unlinked = True
    recon.arrive(recon.listing(linked))

    recon.compare()
    assert stack.process(processor, 120_000) == []

    assert counts(recon, rows=1, missed=1)
    assert (stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")).status == "UNLINKED"


def test_an_old_authorization_of_a_user_who_has_linked_anew_changes_nothing(
    stack: Deployment, box: RunningSandbox, recon: ReconDay, processor: Function
) -> None:
    merchant = Merchant(stack)
    merchant.link("user-0001", scopes=["get_kyc_info"])
    old = (stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")).user_authorization_id or ""
    box.paypay.register.user("user-0001").authorizations[-1].unlinked = True
    merchant.kyc("user-0001")
    merchant.link("user-0001", scopes=["get_kyc_info"])
    before = stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")
    assert before.user_authorization_id != old
    recon.arrive(recon.listing(old))

    recon.compare()
    assert stack.process(processor, 120_000) == []

    after = stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")
    assert (after.status, after.user_authorization_id) == (before.status, before.user_authorization_id)
    assert stack.store.users.timeline("user-0001", 1)[0][0].what == "other_authorization"


def test_an_erased_user_is_not_read_again_for_being_in_a_file(
    stack: Deployment, recon: ReconDay, box: RunningSandbox
) -> None:
    Merchant(stack).link("user-0001", scopes=["get_kyc_info"])
    linked = (stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")).user_authorization_id or ""
    assert stack.function("erasure")(sample("erasure"))["statusCode"] == 200
    stack.drain("EventQueue")
    recon.arrive(recon.listing(linked, A))

    assert recon.compare() == []

    assert recon.repaired() == [A]
    assert counts(recon, rows=2, missed=1, unknownUsers=1, erasedUsers=1)
    assert linked not in json.dumps(recon.report())


# What is told


def test_recon_completed_comes_over_the_bus_without_anybodys_id(stack: Deployment, recon: ReconDay) -> None:
    recon.heard(B)
    recon.arrive(recon.listing(A, B))

    recon.compare()

    [event] = stack.published()
    assert (event["source"], event["detail-type"]) == ("honnin", "ReconCompleted")
    file = recon.file()
    assert event["detail"] == {
        "fileType": KYC,
        "day": "2026-03-31",
        "fileName": recon.name,
        "comparedAt": file.compared_at,
        "sha256": file.sha256,
        "counts": dict(file.counts),
        "reportKey": f"reports/{KYC}/2026/03/31/{recon.name}/report.json",
    }
    assert A not in json.dumps(event)


def test_no_authorization_id_and_no_url_is_in_the_log(
    stack: Deployment, recon: ReconDay, processor: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    recon.heard(B)
    recon.arrive(recon.listing(A, B, "some body", *ids(200, 10)))
    recon.compare()
    stack.process(processor, 120_000)
    other = ReconDay(stack, RISK)
    other.arrive(f"{A} \n")
    other.compare()
    recon.tell(f"recon/{A}")
    stack.send(json.dumps({"report": recon.file_id().key, "reminders": 1}), "CompareQueue")
    recon.compare()

    printed = "".join(capsys.readouterr())

    assert "recon file compared" in printed
    assert "recon file invalid" in printed
    for each in (B, *ids(200, 10), "some body", "signature=sample"):
        assert each not in printed


def test_missed_users_and_comparisons_are_counted(
    stack: Deployment, recon: ReconDay, capsys: pytest.CaptureFixture[str]
) -> None:
    recon.arrive(recon.listing(A, B))
    capsys.readouterr()

    recon.compare()

    records = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    told = {name: each[name] for each in records for name in ("ReconCompared", "ReconMissed") if name in each}
    assert told == {"ReconCompared": [1.0], "ReconMissed": [2.0]}
    assert {each["kind"] for each in records if "ReconMissed" in each} == {"kyc"}
