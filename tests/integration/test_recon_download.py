"""From a notification to the stored file: webhook, processor, download, against the sandbox and its bad transfers."""

import json
from datetime import date
from typing import Any

import pytest

from honnin.recon import transfer
from honnin.store import ReconFile
from sandbox.server import RunningSandbox
from tests.fakes.deployment import PAYPAY, Deployment, sample
from tests.fakes.recon_file import became

KYC, RISK = "kyc_passport_sync_recon", "kyc_passport_risk_sync_recon"
DAY = "2026-03-31"
NAME = "kyc_passport_900000000000000001_20260331_20260331.csv"
KEY = f"recon/{KYC}/2026/03/31/{NAME}"
ROWS = 1000


class PayPay:
    """The sandbox as the one who makes files, and the functions as those who are notified of them."""

    def __init__(self, stack: Deployment, box: RunningSandbox) -> None:
        self.stack = stack
        self.box = box
        self.processor = stack.function("event_processor")

    def make(self, content: bytes | int = ROWS) -> None:
        """Make the file of a day, or give it other bytes, without a notification."""
        self.box.paypay.recon.put(NAME, content, KYC, date(2026, 3, 31))

    def dials(self, **dials: Any) -> None:
        self.box.paypay.dials.put(dials, NAME)

    def notify(self) -> None:
        """Send the file's notification to the webhook function; the processor records it."""
        view = self.box.paypay.recon.resend(NAME, self.box.url)
        body = {
            "notification_type": "file.created",
            "notification_id": view["notification_id"],
            "fileType": KYC,
            "path": view["path"],
            "requestedAt": str(int(self.box.sandbox.core.clock.now())),
        }
        webhook = self.stack.function("paypay_recon_webhook")
        assert webhook(sample("paypay_recon_webhook") | {"body": json.dumps(body)})["statusCode"] == 200
        assert self.stack.process(self.processor) == []

    def download(self, remaining_ms: int = 60_000) -> dict[str, int]:
        """One run of the scheduled function."""
        outcomes: dict[str, int] = self.stack.function("recon_download")(sample("recon_download"), remaining_ms)
        return outcomes

    def fetch(self) -> dict[str, int]:
        self.notify()
        return self.download()

    def file(self, name: str = NAME) -> ReconFile:
        found = self.stack.store.recon.file(KYC, DAY, name)
        assert found is not None
        return found

    def view(self) -> dict[str, Any]:
        """What the sandbox knows of the file: `sha256`, `bytes`, `requests`."""
        [found] = self.box.paypay.recon.views()
        return found

    def stored(self, key: str = KEY) -> bytes:
        return self.stack.s3.get_object(Bucket="recon", Key=key)["Body"].read()

    def is_bucket_empty(self) -> bool:
        """No object, and no half of one."""
        listed = self.stack.s3.list_objects_v2(Bucket="recon").get("Contents", [])
        return not listed and not self.stack.s3.list_multipart_uploads(Bucket="recon").get("Uploads")


@pytest.fixture
def paypay(stack: Deployment, box: RunningSandbox) -> PayPay:
    made = PayPay(stack, box)
    made.make()
    return made


def test_without_a_notification_there_is_nothing_to_do(paypay: PayPay) -> None:
    assert paypay.download() == {}


def test_a_file_is_stored_as_it_is(paypay: PayPay) -> None:
    assert paypay.fetch() == {"stored": 1}
    file = paypay.file()
    assert (file.state, file.sha256, file.size) == ("STORED", paypay.view()["sha256"], paypay.view()["bytes"])
    assert len(paypay.stored()) == file.size
    assert (file.own_name, file.warnings) == (PAYPAY.merchant_id == "900000000000000001", file.warnings)
    assert paypay.download() == {"waits_for_comparison": 1}
    assert paypay.stack.mails() == []


def test_an_empty_file_is_a_file(paypay: PayPay) -> None:
    paypay.make(b"")
    assert paypay.fetch() == {"stored": 1}
    assert (paypay.file().size, paypay.stored()) == (0, b"")


@pytest.mark.parametrize(
    ("transfer", "requests"),
    [
        (["broken"], 2),
        (["broken", "chunked"], 2),
        (["broken", "no_range"], 2),
        (["broken", "no_range", "chunked"], 2),
        (["error"], 2),
        (["slow"], 1),
        (["chunked"], 1),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else str(value),
)
def test_a_bad_transfer_ends_well(paypay: PayPay, transfer: list[str], requests: int) -> None:
    paypay.dials(recon_transfer=transfer, recon_times=1, recon_bytes_per_s=100_000)
    assert paypay.fetch() == {"stored": 1}
    assert (paypay.file().sha256, paypay.view()["requests"]) == (paypay.view()["sha256"], requests)
    assert not paypay.stack.s3.list_multipart_uploads(Bucket="recon").get("Uploads")


def test_a_transfer_that_breaks_again_and_again_gets_on(paypay: PayPay) -> None:
    """Each answer breaks off after 5000 bytes; every one goes on where the last one ended."""
    paypay.dials(recon_transfer="broken", recon_break_at=5000)
    assert paypay.fetch() == {"stored": 1}
    assert paypay.file().sha256 == paypay.view()["sha256"]
    assert paypay.view()["requests"] == -(-paypay.view()["bytes"] // 5000)


def test_a_file_that_changes_while_it_is_fetched_is_one_or_the_other(paypay: PayPay) -> None:
    """Other bytes and another ETag from the second request on."""
    paypay.dials(recon_transfer=["broken", "changed"], recon_times=1)
    assert paypay.fetch() == {"stored": 1}
    stored = paypay.file()
    assert stored.sha256 != paypay.view()["sha256"]
    assert len(paypay.stored().splitlines()) == ROWS + 2


def test_a_stall_is_resumed(paypay: PayPay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_READ_TIMEOUT_S", 0.3)
    paypay.dials(recon_transfer="stall", recon_times=1, recon_stall_s=2)
    assert paypay.fetch() == {"stored": 1}
    assert paypay.file().sha256 == paypay.view()["sha256"]


@pytest.mark.parametrize("transfer", ["endless", ["endless", "slow"]], ids=["fast", "slow"])
def test_a_body_without_end_is_given_up_at_the_cap(paypay: PayPay, transfer: Any) -> None:
    paypay.stack.parameters["ReconMaxBytes"] = "100000"
    paypay.dials(recon_transfer=transfer, recon_bytes_per_s=1_000_000)
    assert paypay.fetch() == {"failed": 1}
    assert (paypay.file().state, paypay.file().reason) == ("ANNOUNCED", "the file is larger than 100000 bytes")
    assert paypay.is_bucket_empty()


def test_a_content_length_over_the_cap_is_given_up_at_once(paypay: PayPay) -> None:
    paypay.stack.parameters["ReconMaxBytes"] = "1000"
    assert paypay.fetch() == {"failed": 1}
    assert paypay.is_bucket_empty()


def test_a_body_that_goes_on_behind_its_content_length_ends_there(paypay: PayPay) -> None:
    paypay.dials(recon_transfer="short_length")
    assert paypay.fetch() == {"stored": 1}
    assert paypay.file().sha256 == paypay.view()["sha256"]


@pytest.mark.parametrize(
    ("transfer", "reason"),
    [
        ("gzip", "the file is larger than 100000 bytes"),
        ("redirect", "the response was HTTP 302"),
        ("error", "the response was HTTP 500"),
    ],
)
def test_what_is_no_file_is_not_kept_and_asked_for_again(paypay: PayPay, transfer: str, reason: str) -> None:
    """The bomb is 4 GiB of zeros, the redirect leads to the instance metadata."""
    paypay.stack.parameters["ReconMaxBytes"] = "100000"
    paypay.dials(recon_transfer=transfer)
    assert paypay.fetch() == {"failed": 1}
    assert (paypay.file().state, paypay.file().reason) == ("ANNOUNCED", reason)
    assert paypay.is_bucket_empty()
    paypay.dials(recon_transfer="whole")
    assert paypay.download() == {"stored": 1}


def test_what_is_no_file_for_two_hours_is_lost(paypay: PayPay) -> None:
    paypay.dials(recon_transfer="redirect")
    assert paypay.fetch() == {"failed": 1}
    assert paypay.stack.mails() == []
    paypay.stack.pass_time(hours=2, minutes=1)
    assert paypay.download() == {"expired": 1}
    assert paypay.file().state == "EXPIRED"


@pytest.mark.parametrize(("transfer", "status"), [("forbidden", 403), ("gone", 410), ("not_found", 404)])
def test_a_url_that_seems_over_is_tried_on_and_told_to_people(paypay: PayPay, transfer: str, status: int) -> None:
    paypay.dials(recon_transfer=transfer)
    assert paypay.fetch() == {"failed": 1}
    assert (paypay.file().state, paypay.file().reason) == ("ANNOUNCED", f"the response was HTTP {status}")
    assert paypay.stack.mails() == []
    paypay.stack.pass_time(minutes=31)
    assert paypay.download() == {"failed": 1}
    [mail] = paypay.stack.mails()
    assert f"127.0.0.1: the response was HTTP {status}" in mail["Message"]

    paypay.dials(recon_transfer="whole")
    assert paypay.download() == {"stored": 1}


def test_a_url_that_the_server_has_ended_is_renewed_by_another_notification(paypay: PayPay) -> None:
    paypay.notify()
    paypay.box.sandbox.core.advance(7201)
    assert paypay.download() == {"failed": 1}
    paypay.notify()
    # Both URLs are tried side by side: the old one fails, or finds what the new one has just stored.
    outcomes = paypay.download()
    assert (outcomes["stored"], sum(outcomes.values())) == (1, 2)


def test_the_file_is_stored_without_a_secret(paypay: PayPay) -> None:
    paypay.notify()
    paypay.stack.put_providers_secret({})
    assert paypay.download() == {"stored": 1}
    assert not paypay.file().own_name


def test_other_bytes_under_the_same_name_are_a_revision(paypay: PayPay) -> None:
    assert paypay.fetch() == {"stored": 1}
    first = paypay.stored()
    paypay.make(b"userAuthorizationId\r\na85fe9e9-b4c9-45cf-a392-834c57d83af7\r\n")
    for each in paypay.stack.store.recon.files(KYC, DAY, DAY):
        became(paypay.stack.store.table, each, "COMPARED", {})
    # A URL of the sandbox is another one a second later.
    paypay.box.sandbox.core.advance(1)
    assert paypay.fetch() == {"revision": 1, "done": 1}
    [revision] = [file for file in paypay.stack.store.recon.files(KYC, DAY, DAY) if file.revision_of]
    assert revision.sha256 == paypay.view()["sha256"]
    assert paypay.stored() == first
    became(paypay.stack.store.table, revision, "COMPARED", {})
    paypay.box.sandbox.core.advance(1)
    assert paypay.fetch() == {"unchanged": 1, "done": 1}
    assert len(paypay.stack.store.recon.files(KYC, DAY, DAY)) == 2


def test_without_the_loopback_switch_nothing_is_fetched_from_this_machine(paypay: PayPay) -> None:
    paypay.stack.parameters["LoopbackFiles"] = "false"
    paypay.notify()
    assert paypay.download() == {"failed": 1}
    assert (paypay.file().state, paypay.file().reason) == ("ANNOUNCED", "the URL is not https")
    assert paypay.view()["requests"] == 0


def test_a_run_with_little_time_left_begins_nothing(paypay: PayPay) -> None:
    paypay.notify()
    assert paypay.download(remaining_ms=29_000) == {"no_time_left": 1}
    assert paypay.view()["requests"] == 0
    assert paypay.download() == {"stored": 1}


@pytest.mark.parametrize("transfer", ["whole", "broken", "forbidden", "redirect", "error", "gzip"])
def test_neither_url_nor_rows_are_in_a_log_line_of_the_whole_run(
    paypay: PayPay, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, transfer: str
) -> None:
    caplog.set_level("INFO")
    paypay.stack.parameters["ReconMaxBytes"] = "100000"  # else it takes a while to unpack the bomb
    paypay.dials(recon_transfer=transfer)
    paypay.notify()
    url = paypay.stack.store.notifications.to_fetch()[0].url
    assert "signature=" in url
    paypay.download()
    out, err = capsys.readouterr()
    written = out + err + caplog.text
    assert "recon download done" in written
    assert "EventQueued" in written
    for secret in (url, url.partition("?")[2], url.rpartition("signature=")[2], "signature="):
        assert secret not in written
    if transfer == "whole":
        assert paypay.stored().splitlines()[5].decode() not in written
    mails = str(paypay.stack.mails())
    assert "signature" not in mails
    assert "signature" not in str([item for item in paypay.stack.items() if "url" not in item])
