"""10:15 in Tokyo: the daily report, from the deployed function's settings to the one mail on the topic."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from honnin import times
from honnin.recon.file_types import FILE_TYPES
from sandbox.server import RunningSandbox
from tests.fakes.deployment import PAYPAY, Deployment, sample

KYC, RISK, ACCOUNT_STATUS = FILE_TYPES


def day(days_ago: int = 1) -> str:
    return times.jst_day(datetime.now(UTC) - timedelta(days=days_ago))


def check(stack: Deployment) -> dict[str, list[str]]:
    """One run of the scheduled function."""
    found: dict[str, list[str]] = stack.function("recon_deadline")(sample("recon_deadline"))
    return found


def mail(stack: Deployment) -> str:
    """The text of the one mail since the last call."""
    [letter] = stack.letters()
    return letter["Message"]


def begin(stack: Deployment, *file_types: str, days_ago: int = 2) -> None:
    """A file of each type was compared some days ago: from then on they are waited for."""
    for file_type in file_types:
        file = ReconFile(file_type, day(days_ago), "first.csv", "COMPARED")
        became(stack.store.table, file, "COMPARED", {"compared_at": f"{day(days_ago)}T20:00:00.000Z"})


@pytest.fixture(autouse=True)
def in_the_morning(stack: Deployment) -> None:
    """It is past 10:00 in Japan, whenever the tests run."""
    now = datetime.now(UTC)
    if now.astimezone(times.JST).hour < 11:
        stack.pass_time(hours=11)


class Night:
    """PayPay's files of yesterday, and the functions that fetch and compare them."""

    def __init__(self, stack: Deployment, box: RunningSandbox) -> None:
        self.stack = stack
        self.box = box

    def announce(self) -> dict[str, str]:
        """Make and announce the three files; returns their names by type."""
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
        told = self.stack.function("recon_plan")(file)
        for part in json.loads(self.stack.s3.get_object(Bucket=told["bucket"], Key=told["key"])["Body"].read()):
            self.stack.function("recon_compare")(file | {"etag": told["etag"], "range": part})
        self.stack.function("recon_summary")(file)


@pytest.fixture
def night(stack: Deployment, box: RunningSandbox) -> Night:
    return Night(stack, box)


def test_a_night_without_files_is_told_once_for_each_type(stack: Deployment) -> None:
    stack.store.recon.note_request_id("paypay", "OPA0123456789", "2026-04-01T00:00:00.000Z")
    assert check(stack) == {file_type: [day()] for file_type in FILE_TYPES}

    letters = {letter["Subject"].rpartition(" ")[2]: letter["Message"] for letter in stack.letters()}
    assert sorted(letters) == sorted(FILE_TYPES)
    for file_type, text in letters.items():
        assert f"件名: リコンファイル通知の再送のお願い（{file_type}、{day()}）" in text
        assert f"・対象日（日本時間）: {day()}" in text
        assert f"- day (JST): {day()}" in text
        assert text.count("OPA0123456789") == 2
        assert "never announced" in text
    assert letters[KYC].count(PAYPAY.merchant_id) == 2
    for file_type in (RISK, ACCOUNT_STATUS):
        assert letters[file_type].count(PAYPAY.client_id) == 2


def test_what_is_not_known_is_blank(stack: Deployment) -> None:
    stack.put_providers_secret({})
    stack.parameters["PayPayTokenAudience"] = ""
    check(stack)
    letters = {letter["Subject"].rpartition(" ")[2]: letter["Message"] for letter in stack.letters()}
    assert letters[KYC].count("<your merchant id>") == 2
    assert letters[RISK].count("<your client id>") == 2
    assert "- our last X-REQUEST-ID: -\n" in letters[KYC]


def test_only_enabled_types_are_looked_for(stack: Deployment) -> None:
    stack.parameters["ReconFileTypes"] = f"{RISK}, {KYC}"
    assert check(stack) == {RISK: [day()], KYC: [day()]}
    assert sorted(told_types(stack)) == sorted((RISK, KYC))


def test_a_file_is_missed_until_it_is_announced_stored_and_compared(stack: Deployment, night: Night) -> None:
    stack.parameters["ReconFileTypes"] = KYC
    assert check(stack) == {KYC: [day()]}
    [letter] = stack.letters()
    assert f"reason / 理由: {day()}: never announced" in letter["Message"]

    names = night.announce()
    assert check(stack) == {KYC: [day()]}
    [letter] = stack.letters()
    assert f"{day()}: announced, but not fetched yet" in letter["Message"]

    assert night.download() == {"stored": 1}
    assert check(stack) == {KYC: [day()]}
    [letter] = stack.letters()
    assert f"{day()}: stored, but not compared yet" in letter["Message"]

    night.compare(KYC, names[KYC])
    assert check(stack) == {KYC: []}
    assert stack.letters() == []


def test_an_expired_file_is_missed(stack: Deployment, night: Night) -> None:
    stack.parameters["ReconFileTypes"] = KYC
    night.announce()
    night.box.sandbox.core.advance(7201)
    assert night.download() == {"failed": 1}
    stack.pass_time(hours=2)
    assert night.download() == {"expired": 1}
    stack.letters()
    assert check(stack) == {KYC: [day()]}
    [letter] = stack.letters()
    assert "not fetched in time (the answer was HTTP 403)" in letter["Message"]


def test_a_file_that_is_no_file_is_missed(stack: Deployment, night: Night) -> None:
    stack.parameters["ReconFileTypes"] = KYC
    names = night.announce()
    night.box.paypay.recon.put(names[KYC], b"\xff\xfe\x00\x00 not a file")
    assert night.download() == {"stored": 1}
    night.compare(KYC, names[KYC])
    stack.letters()
    assert check(stack) == {KYC: [day()]}
    [letter] = stack.letters()
    assert f"{day()}: compared, but it does not close the day (" in letter["Message"]


def test_a_quiet_day_may_go_without_a_file(stack: Deployment) -> None:
    stack.parameters |= {"ReconEmptyDayAnnounced": "false", "ReconFileTypes": KYC}
    assert check(stack) == {KYC: []}
    assert stack.letters() == []


def test_a_day_with_a_webhook_may_not(stack: Deployment) -> None:
    """A webhook of somebody whom nobody knows is heard as well."""
    stack.parameters |= {"ReconEmptyDayAnnounced": "false", "ReconFileTypes": f"{KYC},{RISK}"}
    assert stack.function("paypay_risk_webhook")(sample("paypay_risk_webhook"))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    assert check(stack) == {KYC: [], RISK: []}
    stack.pass_time(days=1)
    assert check(stack) == {KYC: [], RISK: [day(0)]}
    assert told_types(stack) == [RISK]


def test_a_hole_is_told_on_seven_mornings_and_no_more(stack: Deployment) -> None:
    """Nothing ever comes: on each morning all days that PayPay still has are in one letter."""
    stack.parameters["ReconFileTypes"] = KYC
    first = day()
    mornings = []
    for passed in range(9):
        stack.pass_time(days=passed)
        mornings.append(check(stack)[KYC])
    assert [len(days) for days in mornings] == [1, 2, 3, 4, 5, 6, 7, 7, 7]
    assert [first in days for days in mornings] == [True] * 7 + [False] * 2
    assert told_types(stack) == [KYC] * 9


def test_a_file_that_comes_late_closes_its_hole(stack: Deployment, night: Night) -> None:
    stack.parameters["ReconFileTypes"] = KYC
    assert check(stack) == {KYC: [day()]}
    names = night.announce()
    assert night.download() == {"stored": 1}
    night.compare(KYC, names[KYC])
    stack.pass_time(days=1)
    assert check(stack) == {KYC: [day(0)]}


def test_the_letters_of_a_run_are_in_no_log_line(stack: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    check(stack)
    written = capsys.readouterr().out
    assert "recon files missing" in written
    assert PAYPAY.merchant_id not in written
    assert PAYPAY.client_id not in written
