"""`honnin.recon.deadline`: which days have no compared file, on which days that is looked for, and who is told."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.recon.deadline import DeadlineCheck, Hole
from honnin.recon.file_types import FILE_TYPES, KEPT_DAYS
from honnin.recon.resend import Letterhead, ResendAlarm
from honnin.store import ReceivedDay, ReconFile, Store
from honnin.store.recon import Recon
from tests.fakes import FakeClock, FakeTopic
from tests.fakes.memory import dynamodb, memory_aws
from tests.fakes.recon_file import became
from tests.tables import create_table

KYC, RISK, ACCOUNT_STATUS = FILE_TYPES
JST_OFFSET = timedelta(hours=9)
# 10:15 in Tokyo, 1 April.
NOW = datetime(2026, 4, 1, 1, 15, tzinfo=UTC)
YESTERDAY = "2026-03-31"


def days_ago(days: int) -> str:
    return (date(2026, 4, 1) - timedelta(days=days)).isoformat()


class Office:
    """The check at 10:15, over a table that a test fills."""

    def __init__(self) -> None:
        self.db = dynamodb()
        self.store = Store(create_table(self.db, "StateTable"), self.db, now=FakeClock())
        self.topic = FakeTopic()
        self._number = 0

    def announced(self, day: str = YESTERDAY, file_type: str = KYC, **fields: str) -> ReconFile:
        self._number += 1
        name = fields.pop("file_name", f"file-{day}.csv")
        received_at = fields.pop("received_at", f"{day}T18:00:01.000Z")
        deadline = f"{day}T20:00:00.000Z"
        state = fields.pop("state", "ANNOUNCED")
        reason = fields.pop("reason", None)
        file = ReconFile(file_type, day, name, state, deadline=deadline, received_at=received_at, reason=reason)
        self.store.recon.announced(file)
        found = self.store.recon.file(file_type, day, name)
        assert found is not None
        return found

    def stored(self, day: str = YESTERDAY, file_type: str = KYC) -> ReconFile:
        file = self.announced(day, file_type)
        self.store.recon.stored(replace(file, sha256="ab", size=3, stored_at=f"{day}T19:00:00.000Z"))
        return file

    def compared(self, day: str = YESTERDAY, file_type: str = KYC, doubt: str | None = None) -> None:
        became(self.store.table, self.stored(day, file_type), "COMPARED", {"doubt": doubt})

    def heard(self, day: str = YESTERDAY, kind: str = "kyc") -> None:
        at = f"{day}T03:00:00.000Z"
        self.store.received.note(ReceivedDay(kind, day, at, at, 1))

    def check(self, *file_types: str, empty_day_announced: bool = True) -> DeadlineCheck:
        alarm = ResendAlarm("arn:topic", lambda: Letterhead("m-1", "c-1", "OPA1"), self.topic.client)
        return DeadlineCheck(self.store, alarm, file_types or (KYC,), empty_day_announced)

    def holes(self, now: datetime = NOW, *, empty_day_announced: bool = True) -> list[Hole]:
        return self.check(empty_day_announced=empty_day_announced).holes(KYC, now)


@pytest.fixture
def office() -> Iterator[Office]:
    with memory_aws():
        yield Office()


# --- one day ---


def test_a_compared_file_is_all_there_has_to_be(office: Office) -> None:
    office.compared()
    assert office.check().run(NOW) == {KYC: []}
    assert office.topic.letters == []


def test_nothing_at_all_is_a_hole(office: Office) -> None:
    assert office.holes() == [Hole(YESTERDAY, "never announced")]


def test_an_announced_file_is_a_hole(office: Office) -> None:
    office.announced()
    assert office.holes() == [Hole(YESTERDAY, "announced, but not fetched yet")]


def test_an_announced_file_tells_why_it_was_not_fetched(office: Office) -> None:
    file = office.announced()
    office.store.recon.not_yet(file, "the answer was HTTP 503")
    assert office.holes() == [Hole(YESTERDAY, "announced, but not fetched yet (the answer was HTTP 503)")]


def test_a_stored_file_that_was_not_compared_is_a_hole(office: Office) -> None:
    office.stored()
    [hole] = office.holes()
    assert hole.reason == "stored, but not compared yet: look at the executions of ReconComparison"


def test_a_file_that_proves_nothing_is_a_hole(office: Office) -> None:
    office.compared(doubt="the file is empty")
    assert office.holes() == [Hole(YESTERDAY, "compared, but it does not close the day (the file is empty)")]


def test_a_lost_file_is_a_hole(office: Office) -> None:
    office.store.recon.expired(office.announced(), "for a reason")
    assert office.holes() == [Hole(YESTERDAY, "not fetched in time (for a reason)")]


def test_another_name_that_was_lost_later_does_not_hide_a_file_under_way(office: Office) -> None:
    office.announced()
    office.store.recon.expired(office.announced(file_name="other.csv", received_at=f"{YESTERDAY}T19:00:00.000Z"), "x")
    assert office.holes() == [Hole(YESTERDAY, "announced, but not fetched yet")]


def test_an_ignored_notice_is_no_file(office: Office) -> None:
    office.announced(state="IGNORED", reason="this file type is not among ReconFileTypes")
    assert office.holes() == [Hole(YESTERDAY, "never announced")]


def test_a_compared_file_stays_one_when_it_is_announced_again(office: Office) -> None:
    office.compared()
    office.announced(received_at="2026-04-01T00:00:01.000Z")
    assert office.holes() == []


def test_one_compared_file_among_others_is_enough(office: Office) -> None:
    """A file that proves nothing and its good revision: what PayPay sent again has healed the day."""
    office.compared(doubt="the file is empty")
    office.announced(file_name="another.csv")
    assert len(office.holes()) == 1
    file = office.announced(file_name="file.csv.rev-1")
    became(office.store.table, file, "COMPARED", {})
    assert office.holes() == []


def test_of_several_files_the_last_one_tells_the_reason(office: Office) -> None:
    first = office.announced(file_name="b.csv", received_at=f"{YESTERDAY}T18:00:00.000Z")
    office.store.recon.expired(first, "the answer was HTTP 403")
    office.announced(file_name="a.csv", received_at=f"{YESTERDAY}T19:00:00.000Z")
    assert office.holes() == [Hole(YESTERDAY, "announced, but not fetched yet")]


# --- which days ---


def test_today_is_not_looked_at(office: Office) -> None:
    office.compared()
    office.announced("2026-04-01")
    assert office.holes() == []


def test_a_new_stack_misses_nothing_older_than_yesterday(office: Office) -> None:
    assert [hole.day for hole in office.holes()] == [YESTERDAY]


def test_a_day_after_the_first_known_one_counts(office: Office) -> None:
    office.compared(days_ago(4))
    assert [hole.day for hole in office.holes()] == [days_ago(3), days_ago(2), YESTERDAY]


def test_it_looks_back_over_seven_days_and_no_further(office: Office) -> None:
    assert KEPT_DAYS == 7
    for back in (8, 7, 1):
        office.announced(days_ago(back))
    for back in (2, 3, 4, 5, 6):
        office.compared(days_ago(back))
    assert [hole.day for hole in office.holes()] == [days_ago(7), YESTERDAY]


def test_a_hole_stays_until_it_is_seven_days_old(office: Office) -> None:
    """The file of 31 March never comes; all others do."""
    check = office.check()
    alarmed = []
    for back in range(10):
        now = NOW + timedelta(days=back)
        if back:
            office.compared((date(2026, 3, 31) + timedelta(days=back)).isoformat())
        alarmed.append(check.run(now)[KYC])
    assert alarmed == [[YESTERDAY]] * 7 + [[]] * 3
    assert len(office.topic.letters) == 7


def test_a_hole_goes_when_its_file_has_been_compared(office: Office) -> None:
    check = office.check()
    assert check.run(NOW) == {KYC: [YESTERDAY]}
    office.compared()
    office.compared("2026-04-01")
    assert check.run(NOW + timedelta(days=1)) == {KYC: []}


def test_the_same_hole_is_remembered_once(office: Office) -> None:
    check = office.check()
    check.run(NOW)
    check.run(NOW + timedelta(minutes=5))
    [file] = office.store.recon.files(KYC, YESTERDAY, YESTERDAY)
    assert (file.state, file.name) == ("MISSING", "")


@given(st.integers(1_577_836_800, 4_102_358_400), st.integers(0, 999_999))
def test_the_last_day_looked_at_is_the_one_before_todays_in_japan(epoch: int, microseconds: int) -> None:
    """At any moment from 2020 to 2099."""
    now = datetime.fromtimestamp(epoch, UTC) + timedelta(microseconds=microseconds)

    class Asked(Recon):
        """Knows nothing, and remembers what it was asked for."""

        days: tuple[str, str] = ("", "")

        def files(self, file_type: str, first_day: str, last_day: str) -> list[ReconFile]:
            self.days = (first_day, last_day)
            return []

    store = Store("none")
    store.recon = asked = Asked(store.table)
    alarm = ResendAlarm("arn:topic", lambda: Letterhead("", "", None), FakeTopic().client)
    [hole] = DeadlineCheck(store, alarm, (KYC,), empty_day_announced=True).holes(KYC, now)
    today = (now + JST_OFFSET).date()
    assert hole.day == asked.days[1] == (today - timedelta(days=1)).isoformat()
    assert asked.days[0] == (today - timedelta(days=7)).isoformat()


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 3, 31, 14, 59, 59, 999_999, tzinfo=UTC), "2026-03-30"),
        (datetime(2026, 3, 31, 15, 0, tzinfo=UTC), "2026-03-31"),
        (datetime(2026, 4, 1, 10, 15, tzinfo=UTC), "2026-03-31"),
        (datetime(2027, 1, 1, 1, 15, tzinfo=UTC), "2026-12-31"),
        (datetime(2028, 3, 1, 1, 15, tzinfo=UTC), "2028-02-29"),
    ],
)
def test_days_end_at_midnight_in_japan(office: Office, now: datetime, day: str) -> None:
    assert [hole.day for hole in office.holes(now)] == [day]


# --- days on which nothing happened ---


def test_a_day_on_which_nobody_was_heard_need_not_be_announced(office: Office) -> None:
    assert office.holes(empty_day_announced=False) == []


def test_a_day_on_which_somebody_was_heard_must_be_announced(office: Office) -> None:
    office.heard()
    assert office.holes(empty_day_announced=False) == [Hole(YESTERDAY, "never announced")]


@pytest.mark.parametrize(("day", "kind"), [("2026-03-30", "kyc"), ("2026-04-01", "kyc"), (YESTERDAY, "risk")])
def test_what_was_heard_of_another_day_or_kind_does_not_count(office: Office, day: str, kind: str) -> None:
    office.heard(day, kind)
    assert office.holes(empty_day_announced=False) == []


@pytest.mark.parametrize("state", ["ANNOUNCED", "STORED", "doubtful"])
def test_a_file_that_was_announced_is_missed_on_a_quiet_day_too(office: Office, state: str) -> None:
    match state:
        case "ANNOUNCED":
            office.announced()
        case "STORED":
            office.stored()
        case _:
            office.compared(doubt="x")
    assert [hole.day for hole in office.holes(empty_day_announced=False)] == [YESTERDAY]


# --- who is told ---


def test_each_type_with_a_hole_gets_one_letter_with_all_its_days(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.compared(days_ago(3))
    office.stored(days_ago(2))
    office.compared(YESTERDAY, ACCOUNT_STATUS)
    found = office.check(KYC, RISK, ACCOUNT_STATUS).run(NOW)

    assert found == {KYC: [days_ago(2), YESTERDAY], RISK: [YESTERDAY], ACCOUNT_STATUS: []}
    assert [letter["Subject"].rpartition(" ")[2] for letter in office.topic.letters] == [KYC, RISK]
    kyc, risk = (letter["Message"] for letter in office.topic.letters)
    assert f"・対象日（日本時間）: {days_ago(2)}, {YESTERDAY}\n" in kyc
    assert f"{days_ago(2)}: stored, but not compared yet" in kyc
    assert f"{YESTERDAY}: never announced" in kyc
    assert "merchant id: m-1" in kyc
    assert "client id: c-1" in risk
    assert "OPA1" in kyc
    assert "OPA1" in risk
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["fileType"]: line["ReconFileMissing"] for line in written if "_aws" in line} == {KYC: [2], RISK: [1]}
    assert "secret" not in str(written)


def test_a_type_that_is_not_enabled_is_not_looked_for(office: Office) -> None:
    office.compared()
    assert office.check(KYC).run(NOW) == {KYC: []}
    assert office.store.recon.files(RISK, "2026-01-01", "2026-12-31") == []


def test_a_hole_is_remembered_before_anybody_is_told(office: Office) -> None:
    """When SNS fails, the run fails; what was found is not forgotten, and the next run tells it."""
    office.topic.failures.append(RuntimeError("no SNS"))
    with pytest.raises(RuntimeError, match="no SNS"):
        office.check().run(NOW)
    assert [file.state for file in office.store.recon.files(KYC, YESTERDAY, YESTERDAY)] == ["MISSING"]
    office.compared("2026-04-01")
    assert office.check().run(NOW + timedelta(days=1)) == {KYC: [YESTERDAY]}


def test_a_hole_without_a_name_does_not_hide_the_file_that_comes_later(office: Office) -> None:
    office.check().run(NOW)
    office.announced()
    assert office.holes() == [Hole(YESTERDAY, "announced, but not fetched yet")]
