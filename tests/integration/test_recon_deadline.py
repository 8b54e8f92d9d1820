"""10:15 in Tokyo: the daily report, from the deployed function's settings to the one mail on the topic."""

import json
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from honnin import times
from honnin.recon import days
from honnin.recon.file_types import FILE_TYPES
from honnin.store import ReconFile
from sandbox.server import RunningSandbox
from tests.fakes.deployment import PAYPAY, Deployment, sample
from tests.fakes.recon_file import became

KYC, RISK, ACCOUNT_STATUS = FILE_TYPES


def day(days_ago: int = 1) -> str:
    return times.jst_day(datetime.now(UTC) - timedelta(days=days_ago))


def check(stack: Deployment) -> dict[str, list[str]]:
    """One run of the scheduled function."""
    found: dict[str, list[str]] = stack.function("recon_deadline")(sample("recon_deadline"))
    return found


def mail(stack: Deployment) -> str:
    """The text of the one mail since the last call."""
    [mail] = stack.mails()
    return mail["Message"]


def begin(stack: Deployment, *file_types: str, days_ago: int = 2) -> None:
    """A file of each type was compared some days ago: from then on they are waited for."""
    for file_type in file_types:
        file = ReconFile(file_type, day(days_ago), "first.csv", "COMPARED")
        became(stack.store.table, file, "COMPARED", {"compared_at": f"{day(days_ago)}T20:00:00.000Z"})


@pytest.fixture(autouse=True)
def in_the_morning(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is past the time by which files are there, whenever the tests run."""
    monkeypatch.setattr(days, "ON_TIME_UNTIL", time(0))


class Night:
    """PayPay's files of yesterday, and the functions that fetch and compare them."""

    def __init__(self, stack: Deployment, box: RunningSandbox) -> None:
        self.stack = stack
        self.box = box

    def notify(self) -> dict[str, str]:
        """Make the three files and send their notifications; returns their names by type."""
        files: list[Any] = self.box.paypay.recon.night(None, list(FILE_TYPES), self.box.url)
        webhook, processor = self.stack.function("paypay_recon_webhook"), self.stack.function("event_processor")
        for file in files:
            body = {
                "notification_type": "file.created",
                "notification_id": file["notification_id"],
                "fileType": file["fileType"],
                "path": file["path"],
                "requestedAt": str(int(datetime.now(UTC).timestamp())),
            }
            webhook(sample("paypay_recon_webhook") | {"body": json.dumps(body)})
        assert self.stack.process(processor) == []
        return {file["fileType"]: file["name"] for file in files}

    def download(self) -> dict[str, int]:
        outcomes: dict[str, int] = self.stack.function("recon_download")(sample("recon_download"), 60_000)
        return outcomes

    def compare(self, file_type: str, name: str) -> None:
        """What the execution comes to that the download has started."""
        file = {"file": {"fileType": file_type, "day": day(), "fileName": name, "number": 1}}
        planned = self.stack.function("recon_plan")(file)
        for part in json.loads(self.stack.s3.get_object(Bucket=planned["bucket"], Key=planned["key"])["Body"].read()):
            self.stack.function("recon_compare")(file | {"etag": planned["etag"], "range": part})
        self.stack.function("recon_summary")(file)


@pytest.fixture
def night(stack: Deployment, box: RunningSandbox) -> Night:
    return Night(stack, box)


def test_a_night_without_files_is_one_mail_with_a_request_for_each_type(stack: Deployment) -> None:
    begin(stack, *FILE_TYPES)
    stack.store.recon.note_request_id("paypay", "OPA0123456789", "2026-04-01T00:00:00.000Z")
    assert check(stack) == {file_type: [day()] for file_type in FILE_TYPES}
    text = mail(stack)
    for file_type in FILE_TYPES:
        assert f"件名: リコンファイル通知の再送のお願い（{file_type}、{day()}）" in text
        assert f"Subject: Please resend the recon file notification ({file_type}, {day()})" in text
    assert text.count("OPA0123456789") == 6
    assert text.count(PAYPAY.merchant_id) == 2
    assert text.count(PAYPAY.client_id) == 4


def test_what_is_not_known_is_blank(stack: Deployment) -> None:
    begin(stack, *FILE_TYPES)
    stack.put_providers_secret({})
    stack.parameters["PayPayTokenAudience"] = ""
    check(stack)
    text = mail(stack)
    assert text.count("<your merchant id>") == 2
    assert text.count("<your client id>") == 4
    assert "- our last X-REQUEST-ID: -\n" in text


def test_only_enabled_types_are_looked_for(stack: Deployment) -> None:
    begin(stack, *FILE_TYPES)
    stack.parameters["ReconFileTypes"] = f"{RISK}, {KYC}"
    assert check(stack) == {RISK: [day()], KYC: [day()]}
    assert ACCOUNT_STATUS not in mail(stack)


def test_a_file_is_missing_until_its_notification_and_open_until_it_is_compared(
    stack: Deployment, night: Night
) -> None:
    begin(stack, KYC)
    stack.parameters["ReconFileTypes"] = KYC
    assert check(stack) == {KYC: [day()]}
    assert f"{day()}  missing (no notification was received)" in mail(stack)

    names = night.notify()
    assert check(stack) == {KYC: []}
    text = mail(stack)
    assert f"{day()}  notification received, being downloaded" in text
    assert "再送のお願い" not in text

    assert night.download() == {"stored": 1}
    assert check(stack) == {KYC: []}
    assert f"{day()}  stored, not compared yet" in mail(stack)

    night.compare(KYC, names[KYC])
    assert check(stack) == {KYC: []}
    text = mail(stack)
    assert f"{day()}  compared" in text
    assert "There is nothing to do." in text


def test_an_expired_file_is_missing(stack: Deployment, night: Night) -> None:
    stack.parameters["ReconFileTypes"] = KYC
    night.notify()
    night.box.sandbox.core.advance(7201)
    assert night.download() == {"failed": 1}
    stack.pass_time(hours=2)
    assert night.download() == {"expired": 1}
    stack.pass_time()
    stack.mails()
    assert check(stack) == {KYC: [day()]}
    assert "not downloaded in time (the response was HTTP 403)" in mail(stack)


def test_a_file_that_is_no_file_is_missing(stack: Deployment, night: Night) -> None:
    stack.parameters["ReconFileTypes"] = KYC
    names = night.notify()
    night.box.paypay.recon.put(names[KYC], b"\xff\xfe\x00\x00 not a file")
    assert night.download() == {"stored": 1}
    night.compare(KYC, names[KYC])
    stack.mails()
    assert check(stack) == {KYC: [day()]}
    assert f"{day()}  a file that cannot be accepted for its day (" in mail(stack)


def test_a_quiet_day_may_go_without_a_file(stack: Deployment) -> None:
    begin(stack, KYC)
    stack.parameters |= {"ReconEmptyDayAnnounced": "false", "ReconFileTypes": KYC}
    assert check(stack) == {KYC: []}
    assert "再送のお願い" not in mail(stack)


def test_a_day_with_a_webhook_may_not(stack: Deployment) -> None:
    """A webhook about somebody whom nobody knows is one as well."""
    begin(stack, KYC, RISK)
    stack.parameters |= {"ReconEmptyDayAnnounced": "false", "ReconFileTypes": f"{KYC},{RISK}"}
    assert stack.function("paypay_risk_webhook")(sample("paypay_risk_webhook"))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    assert check(stack) == {KYC: [], RISK: []}
    stack.mails()
    stack.pass_time(days=1)
    assert check(stack) == {KYC: [], RISK: [day(0)]}
    assert f"（{RISK}、{day(0)}）" in mail(stack)


def test_a_missing_day_is_told_on_seven_mornings_and_no_more(stack: Deployment) -> None:
    """Nothing ever comes: on each morning all days that PayPay still has are in one mail."""
    begin(stack, KYC)
    stack.parameters["ReconFileTypes"] = KYC
    first = day()
    mornings = []
    for passed in range(9):
        stack.pass_time(days=passed)
        mornings.append(check(stack)[KYC])
    assert [len(days) for days in mornings] == [1, 2, 3, 4, 5, 6, 7, 7, 7]
    assert [first in days for days in mornings] == [True] * 7 + [False] * 2
    assert len(stack.mails()) == 9


def test_types_that_come_on_request_only_are_a_line_and_no_request(stack: Deployment) -> None:
    begin(stack, KYC, days_ago=1)
    for passed in range(3):
        stack.pass_time(days=passed)
        assert check(stack)[RISK] == check(stack)[ACCOUNT_STATUS] == []
    assert all(each["Message"].count("no notification was ever received") == 2 for each in stack.mails())


def test_the_ids_of_a_run_are_in_no_log_line(stack: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    begin(stack, *FILE_TYPES)
    check(stack)
    written = capsys.readouterr().out
    assert "recon files missing" in written
    assert PAYPAY.merchant_id not in written
    assert PAYPAY.client_id not in written
