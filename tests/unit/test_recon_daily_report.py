"""`honnin.recon.daily_report`: which days are missing, from when on that is said, and what the one mail tells."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from honnin.recon import daily_report, days, report_words
from honnin.recon.closing import Found, StoredFacts, doubt
from honnin.recon.daily_report import DailyReport
from honnin.recon.days import NOT_TRIED
from honnin.recon.file_names import warnings
from honnin.recon.file_types import FILE_TYPES, KEPT_DAYS
from honnin.recon.notification import IGNORED
from honnin.recon.report_api import recon_report
from honnin.store import ReceivedDay, ReconFile, Store
from tests.fakes import FakeClock, FakeTopic
from tests.fakes.memory import dynamodb, memory_aws
from tests.fakes.recon_file import became
from tests.tables import create_table

KYC, RISK, ACCOUNT_STATUS = FILE_TYPES
# 10:15 in Tokyo, 1 April.
NOW = datetime(2026, 4, 1, 1, 15, tzinfo=UTC)
YESTERDAY = "2026-03-31"
COUNTS = {
    "rows": 1_234,
    "upToDate": 1_000,
    "reRead": 200,
    "changed": 3,
    "notRead": 4,
    "webhookNeverReceived": 5,
    "notLinkedHere": 6,
    "erased": 7,
    "malformed": 8,
    "warnings": 1,
}


def days_ago(days: int) -> str:
    return (date(2026, 4, 1) - timedelta(days=days)).isoformat()


class Office:
    """The report at 10:15, over a table that a test fills."""

    def __init__(self) -> None:
        self.db = dynamodb()
        self.store = Store(create_table(self.db, "StateTable"), self.db, now=FakeClock())
        self.topic = FakeTopic()
        self._number = 0

    def notified(self, day: str = YESTERDAY, file_type: str = KYC, **fields: str) -> ReconFile:
        self._number += 1
        name = fields.pop("file_name", f"file-{day}.csv")
        received_at = fields.pop("received_at", f"{day}T23:00:01.000Z")
        deadline = fields.pop("deadline", f"{(date.fromisoformat(day) + timedelta(days=1)).isoformat()}T01:00:01.000Z")
        state = fields.pop("state", "ANNOUNCED")
        reason = fields.pop("reason", None)
        file = ReconFile(file_type, day, name, state, deadline=deadline, received_at=received_at, reason=reason)
        self.store.recon.notified(file)
        found = self.store.recon.file(file_type, day, name)
        assert found is not None
        return found

    def stored(self, day: str = YESTERDAY, file_type: str = KYC) -> ReconFile:
        file = self.notified(day, file_type)
        self.store.recon.stored(replace(file, sha256="ab", size=3, stored_at=f"{day}T19:00:00.000Z"))
        return file

    def compared(self, day: str = YESTERDAY, file_type: str = KYC, **facts: object) -> None:
        known = {"compared_at": f"{day}T20:00:00.000Z"}
        became(self.store.table, self.stored(day, file_type), "COMPARED", known | facts)

    def received(self, day: str = YESTERDAY, kind: str = "kyc") -> None:
        at = f"{day}T03:00:00.000Z"
        self.store.received.note(ReceivedDay(kind, day, at, at, 1))

    def report(self, *file_types: str, empty_day_announced: bool = True) -> DailyReport:
        ids = {"merchant_id": "m-1", "client_id": "c-1"}
        return DailyReport(
            self.store, "arn:topic", ids, file_types or (KYC,), empty_day_announced, client=self.topic.client
        )

    def missing(self, now: datetime = NOW, *, empty_day_announced: bool = True) -> list[str]:
        return self.report(empty_day_announced=empty_day_announced).run(now)[KYC]

    def mail(self, now: datetime = NOW, *file_types: str) -> str:
        """The text of the one mail of a run."""
        self.topic.mails.clear()
        self.report(*file_types).run(now)
        [mail] = self.topic.mails
        return mail["Message"]


@pytest.fixture
def office() -> Iterator[Office]:
    with memory_aws():
        yield Office()


# --- one day ---


def test_a_day_that_is_compared_is_told_all_the_same(office: Office) -> None:
    """The mail is the same every day, good or bad."""
    office.received()
    office.compared(counts=COUNTS)
    text = office.mail()
    assert office.topic.mails[0]["Subject"] == "Honnin daily report 2026-04-01: all compared"
    japanese, english = text.split("=" * 78)
    assert "直近 7 日間のファイルはすべて照合済みです。" in japanese
    assert "行数 1,234 / 照会済み 1,000 / 再照会 200 / ステータス変更 3 / 照会できず 4 / Webhook 未着 5" in japanese
    assert (
        "rows 1,234 / up to date 1,000 / re-read 200 / changed 3 / not read 4 / webhook never received 5 / "
        "not linked here 6 / erased 7 / malformed 8 / warnings 1\n" in english
    )
    assert "last webhook received: 2026-03-31 12:00 JST\n" in english
    assert "please" not in text.lower()


def test_a_missing_day_comes_with_its_request(office: Office) -> None:
    office.compared(days_ago(2))
    assert office.missing() == [YESTERDAY]
    [mail] = office.topic.mails
    assert mail["Subject"] == "Honnin daily report 2026-04-01: days to ask PayPay about: 1"
    japanese, english = mail["Message"].split("=" * 78)
    assert f"件名: リコンファイル通知の再送のお願い（{KYC}、{YESTERDAY}）" in japanese
    assert "・加盟店ID（merchant_id）: m-1\n" in japanese
    assert f"  {YESTERDAY}: 通知を受信しておりません\n" in japanese
    assert f"Subject: Please resend the recon file notification ({KYC}, {YESTERDAY})" in english


@pytest.mark.parametrize("hour", [0, 2, 9])
def test_nothing_is_missing_before_ten(office: Office, hour: int) -> None:
    """Base document: notifications come until 10:00. Somebody may run the report by hand at any time."""
    office.compared(days_ago(2))
    now = datetime(2026, 4, 1, hour, 59, 59, tzinfo=UTC) - timedelta(hours=9)
    assert office.missing(now) == []
    assert "Please" not in office.topic.mails[0]["Message"]
    assert office.topic.mails[0]["Subject"].endswith("days not compared yet: 1")
    assert [each.state for each in office.store.recon.files(KYC, YESTERDAY, YESTERDAY)] == []


@pytest.mark.parametrize("state", ["announced", "stored"])
def test_a_file_that_is_on_its_way_is_not_asked_for(office: Office, state: str) -> None:
    office.notified(reason="the response was HTTP 503") if state == "announced" else office.stored()
    assert office.missing() == []
    text = office.topic.mails[0]["Message"]
    assert office.topic.mails[0]["Subject"].endswith("days not compared yet: 1")
    assert "Please" not in text
    assert ("notification received, being downloaded" if state == "announced" else "stored, not compared yet") in text


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"state": "EXPIRED", "reason": "for a reason"}, "not downloaded in time (for a reason)"),
        # The download does not run at all: nobody has ended it.
        ({"deadline": "2026-03-31T21:00:00.000Z"}, "not downloaded in time (no download was attempted in time)"),
    ],
)
def test_a_lost_file_is_asked_for_and_why(office: Office, facts: dict[str, str], expected: str) -> None:
    office.notified(**facts)
    assert office.missing() == [YESTERDAY]
    assert expected in office.topic.mails[0]["Message"]


def test_each_language_says_why_in_its_own_words(office: Office) -> None:
    """Reasons and warnings, from the mail's first line to the requests; the API stays in English."""
    office.notified(days_ago(5), state="EXPIRED", reason=NOT_TRIED)
    office.notified(days_ago(4), state="IGNORED", reason=IGNORED)
    strangers = doubt(Found(99, 2, 0, looks_like_ids=True, is_only_the_header=False), StoredFacts())
    office.compared(days_ago(2), doubt=strangers)
    name, received_at = "kyc_passport_risk_x_20260301_20260301.csv", datetime(2026, 4, 1, tzinfo=UTC)
    office.compared(doubt=strangers, counts=COUNTS, warnings=list(warnings(name, KYC, received_at, "m-1")))
    japanese, english = office.mail().split("=" * 78)

    for expected in (
        "期限内に取得が一度も行われなかった",
        "この種別はパラメーター ReconFileTypes に含まれていない",
        "連携済みの利用者が 1 人も記載されておらず、ファイル名に自社の ID もない",
        f"警告: ファイル名が {RISK} のものである",
        "警告: ファイル名の merchant_id が自社のものではない",
        "通知なし",
    ):
        assert expected in japanese
        assert expected not in english
    assert not re.search(r"(?i)\b(the|nobody|never|this)\b", japanese)
    assert "no user in the file is linked here" in english
    [week] = [each.week for each in recon_report(office.store, YESTERDAY, NOW).types if each.file_type == KYC]
    assert json.loads(week[0].model_dump_json())["reason"] == str(strangers)


def test_of_a_file_that_is_there_nobody_says_that_it_could_not_be_obtained(office: Office) -> None:
    office.compared(doubt="the file is empty")
    assert office.missing() == [YESTERDAY]
    text = office.topic.mails[0]["Message"]
    assert "a file that cannot be accepted for its day (the file is empty)" in text
    assert "取得できません" not in text
    assert "could not" not in text


def test_sixty_dud_notifications_are_one_mail_and_none_about_a_compared_day(office: Office) -> None:
    office.compared()
    for number in range(60):
        office.notified(file_name=f"dud-{number}.csv", state="EXPIRED", reason="the response was HTTP 404")
    assert office.missing() == []
    [mail] = office.topic.mails
    assert "dud-" not in mail["Message"]
    for number in range(60):
        day = days_ago(2 + number % 6)
        office.notified(day, file_name=f"dud-{number}.csv", state="EXPIRED", reason="the response was HTTP 404")
    assert len(office.missing()) == 6
    assert len(office.topic.mails) == 2


def test_a_type_that_was_not_taken_when_its_notification_came_says_so(office: Office) -> None:
    office.notified(state="IGNORED", reason="the parameter ReconFileTypes does not list this file type")
    assert office.missing() == [YESTERDAY]
    assert "(the parameter ReconFileTypes does not list this file type)" in office.topic.mails[0]["Message"]


def test_one_compared_file_among_others_is_enough(office: Office) -> None:
    """A file that proves nothing and its good revision: what PayPay sent again has healed the day."""
    office.compared(doubt="the file is empty")
    assert office.missing() == [YESTERDAY]
    became(office.store.table, office.notified(file_name="file.csv.rev-1"), "COMPARED", {"revision_of": "file.csv"})
    assert office.missing() == []
    assert "file.csv.rev-1 (a revision)\n" in office.topic.mails[1]["Message"]


def test_what_did_not_fit_and_the_pace_are_told(office: Office) -> None:
    office.compared(
        counts=COUNTS, repairs_open=1_500, done_at="2026-04-01T04:30:00.000Z", warnings=["the name says nothing"]
    )
    text = office.mail()
    assert "warning: the name says nothing\n" in text
    assert (
        "1500 users still have to be read; at the present rate the last one is read at 2026-04-01 13:30 JST.\n" in text
    )


def test_the_file_of_today_is_told_once_it_is_there(office: Office) -> None:
    office.compared()
    assert "2026-04-01  " not in office.mail()
    office.compared("2026-04-01", counts=COUNTS)
    assert "    2026-04-01  compared (changed: 3, waiting: 0)\n" in office.mail()


def test_of_a_day_that_is_not_over_paypay_is_not_asked(office: Office) -> None:
    """By a forged notification, or a name whose day was misread."""
    office.compared()
    office.notified("2026-04-01", state="EXPIRED", reason="the response was HTTP 404")
    assert office.missing() == []
    assert "Please" not in office.topic.mails[0]["Message"]
    assert "2026-04-01  not downloaded in time (the response was HTTP 404)" in office.topic.mails[0]["Message"]


# --- which days ---


def test_a_type_without_notifications_is_one_line_and_no_alarm(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    """PayPay sends two of the three on request only."""
    office.compared()
    office.compared(days_ago(5))
    for back in range(3):
        office.mail(NOW + timedelta(days=back), RISK, ACCOUNT_STATUS)
    text = office.mail(NOW, KYC, RISK, ACCOUNT_STATUS)
    [line] = [each for each in text.splitlines() if RISK in each and "ever received" in each]
    assert line.startswith(f"Risk flags ({RISK}): no notification was ever received.")
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["fileType"] for line in written if line.get("counted") == "ReconFileMissing"} == {KYC}
    assert office.store.recon.files(RISK, "2026-01-01", "2026-12-31") == []


def test_with_nothing_known_at_all_nothing_is_said_to_be_fine(office: Office) -> None:
    text = office.mail()
    assert office.topic.mails[0]["Subject"] == "Honnin daily report 2026-04-01: no notification so far"
    assert "There is nothing to do." not in text
    assert "no webhook received within 40 days" not in text


def test_a_day_after_the_first_known_one_counts(office: Office) -> None:
    office.compared(days_ago(4))
    assert office.missing() == [days_ago(3), days_ago(2), YESTERDAY]


def test_a_long_silence_counts_although_no_report_was_made_in_it(office: Office) -> None:
    office.compared(days_ago(30))
    assert office.missing() == [days_ago(back) for back in range(7, 0, -1)]


def test_it_looks_back_over_seven_days_and_no_further(office: Office) -> None:
    assert KEPT_DAYS == 7
    for back in (8, 7, 1):
        office.notified(days_ago(back), state="EXPIRED")
    for back in (2, 3, 4, 5, 6):
        office.compared(days_ago(back))
    assert office.missing() == [days_ago(7), YESTERDAY]


def test_a_day_is_missing_until_it_is_seven_days_old_in_one_mail_a_day(office: Office) -> None:
    """The file of 31 March never comes; all others do."""
    office.compared(days_ago(2))
    expected = []
    for back in range(10):
        now = NOW + timedelta(days=back)
        if back:
            office.compared((date(2026, 3, 31) + timedelta(days=back)).isoformat())
        expected.append(office.missing(now))
    assert expected == [[YESTERDAY]] * 7 + [[]] * 3
    assert len(office.topic.mails) == 10


def test_a_missing_day_goes_when_its_file_has_been_compared(office: Office) -> None:
    office.compared(days_ago(2))
    assert office.missing() == [YESTERDAY]
    office.compared()
    assert office.missing() == []


def test_a_run_that_is_repeated_says_the_same(office: Office) -> None:
    office.compared(days_ago(2))
    office.missing()
    office.missing(NOW + timedelta(seconds=59))
    first, second = office.topic.mails
    assert first == second
    [file] = office.store.recon.files(KYC, YESTERDAY, YESTERDAY)
    assert (file.state, file.name) == ("MISSING", "")


@given(st.integers(1_577_836_800, 4_102_358_400), st.integers(0, 999_999))
def test_a_day_is_on_time_until_ten_of_the_next_morning_in_japan(epoch: int, microseconds: int) -> None:
    """At any moment from 2020 to 2099."""
    now = datetime.fromtimestamp(epoch, UTC) + timedelta(microseconds=microseconds)
    in_japan = now + timedelta(hours=9)
    yesterday = (in_japan.date() - timedelta(days=1)).isoformat()
    assert days.yesterday(now) == yesterday
    assert days.is_on_time(yesterday, now) is (in_japan.hour < 10)
    assert days.is_on_time(in_japan.date().isoformat(), now)
    assert not days.is_on_time((in_japan.date() - timedelta(days=2)).isoformat(), now)


# --- days on which nothing happened ---


def test_a_day_without_webhooks_needs_no_notification(office: Office) -> None:
    office.compared(days_ago(2))
    assert office.missing(empty_day_announced=False) == []


def test_a_day_with_webhooks_needs_a_notification(office: Office) -> None:
    office.compared(days_ago(2))
    office.received()
    assert office.missing(empty_day_announced=False) == [YESTERDAY]


@pytest.mark.parametrize(("day", "kind"), [("2026-03-30", "kyc"), ("2026-04-01", "kyc"), (YESTERDAY, "risk")])
def test_webhooks_of_another_day_or_kind_do_not_count(office: Office, day: str, kind: str) -> None:
    office.compared(days_ago(2))
    office.received(day, kind)
    assert office.missing(empty_day_announced=False) == []


# --- since when no webhook came ---


@pytest.mark.parametrize(
    ("back", "expected"),
    [
        (0, "last webhook received: 2026-04-01 12:00 JST\n"),
        (1, "last webhook received: 2026-03-31 12:00 JST\n"),
        (12, "last webhook received: 2026-03-20 12:00 JST; none for 12 days: check the URL"),
        (39, "last webhook received: 2026-02-21 12:00 JST; none for 39 days"),
        (None, "no webhook received within 40 days: check the URL"),
    ],
)
def test_it_says_since_when_no_webhook_came(office: Office, back: int | None, expected: str) -> None:
    """A registration that is dead shows here."""
    office.compared()
    if back is not None:
        office.store.table.now = lambda: NOW
        office.received(days_ago(back))
        office.received(days_ago(39))
    office.received("2026-04-01", "risk")
    assert expected in office.mail()


# --- what SNS takes ---


def test_the_subject_is_one_that_sns_takes(office: Office) -> None:
    """SNS: ASCII, no line break, fewer than 100 characters, beginning with a letter."""
    for back in (7, 2):
        office.compared(days_ago(back), doubt="理由")
    office.report(*FILE_TYPES).run(NOW)
    subject = office.topic.mails[0]["Subject"]
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100


def test_a_mail_that_is_too_long_is_cut_in_each_language_and_says_so(office: Office) -> None:
    """SNS takes 262,144 bytes; how many of them the whole message has, tests/unit/test_people.py counts."""
    for back in range(1, 8):
        for number in range(60):
            doubt = f"{number}" + "理" * 2_000
            file = office.notified(days_ago(back), file_name=f"{number}.csv")
            became(office.store.table, file, "COMPARED", {"doubt": doubt, "warnings": [doubt] * 30})
    text = office.mail()
    assert 100 * 1024 < len(text.encode()) <= 121 * 1024
    for words in (report_words.JAPANESE, report_words.ENGLISH):
        assert words.too_long in text
        assert words.title.format(day="2026-04-01") in text
    # What is to be sent is whole all the same.
    assert text.count("よろしくお願いいたします。") == text.count("Thank you very much.") == 1


def test_all_words_are_there_in_both_languages() -> None:
    for words in (report_words.JAPANESE, report_words.ENGLISH):
        assert set(words.types) == set(FILE_TYPES)
        assert set(words.states) == set(days.DayState)
        assert set(words.counts) == set(daily_report._COUNTS)


# --- who gets it ---


def test_all_types_are_in_one_mail(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.compared(days_ago(3))
    office.compared(days_ago(2))
    office.compared(days_ago(2), RISK)
    office.compared(YESTERDAY, ACCOUNT_STATUS)
    found = office.report(KYC, RISK, ACCOUNT_STATUS).run(NOW)

    assert found == {KYC: [YESTERDAY], RISK: [YESTERDAY], ACCOUNT_STATUS: []}
    [mail] = office.topic.mails
    assert mail["Message"].count("件名:") == mail["Message"].count("Subject:") == 2
    assert "client id: c-1" in mail["Message"]
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    missing = [line for line in written if line.get("counted") == "ReconFileMissing"]
    assert {line["fileType"]: line["value"] for line in missing} == {KYC: 1, RISK: 1}
    assert "m-1" not in str(written)


def test_an_error_of_sns_fails_the_run_so_that_it_is_repeated(office: Office) -> None:
    office.compared(days_ago(2))
    office.topic.failures.append(ClientError({"Error": {"Code": "InternalError", "Message": "m"}}, "Publish"))
    with pytest.raises(ClientError):
        office.report().run(NOW)
    assert office.missing() == [YESTERDAY]
