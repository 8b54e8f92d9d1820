"""Notifications of recon files: from the webhook to the file's record in the table."""

import hashlib
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from honnin.recon.notification import file_of
from honnin.times import jst_day
from tests.fakes.deployment import Deployment, Function, sample

NAME = "kyc_passport_900000000000000001_20260331_20260331.csv"
URL = f"https://recon.example.jp/files/{NAME}?signature=sample"


@pytest.fixture
def webhook(stack: Deployment) -> Function:
    # The hosts that the samples name.
    stack.parameters["ReconAllowedHosts"] = "recon.example.jp, .files.example.jp"
    return stack.function("paypay_recon_webhook")


def notification(**fields: object) -> dict[str, Any]:
    event = sample("paypay_recon_webhook")
    return event | {"body": json.dumps({**json.loads(event["body"]), **fields})}


def notified(stack: Deployment) -> list[dict[str, Any]]:
    return [item for item in stack.items() if item["pk"].startswith("RECON#")]


def urls(stack: Deployment) -> list[str]:
    return [each.url for each in stack.store.notifications.to_fetch()]


def test_the_sample_event_is_acknowledged_and_queued(stack: Deployment, webhook: Function) -> None:
    answer = webhook(sample("paypay_recon_webhook"))

    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    [message] = stack.receive("ReconNoticeQueue")
    event = json.loads(message["Body"])
    assert (event["kind"], event["subject"]) == ("recon_file", "kyc_passport_sync_recon")
    assert event["detail"]["path"] == URL
    assert stack.items() == []


@pytest.mark.parametrize("requested_at", ["1775012400", 1775012400, "1775012400000", 1775012400000, 1775012400.0])
def test_the_file_is_to_be_fetched_until_two_hours_after_its_notification_came(
    stack: Deployment, webhook: Function, requested_at: object
) -> None:
    before = datetime.now(UTC)
    webhook(notification(requestedAt=requested_at))
    assert stack.process(stack.function("event_processor")) == []
    [file] = notified(stack)
    assert (file["pk"], file["sk"]) == ("RECON#kyc_passport_sync_recon", f"2026-03-31#{NAME}")
    assert (file["state"], urls(stack)) == ("ANNOUNCED", [URL])
    until = datetime.fromisoformat(file["deadline"]) - timedelta(hours=2)
    assert before.replace(microsecond=0) <= until <= datetime.now(UTC)


def test_every_url_is_known_and_each_once(stack: Deployment, webhook: Function) -> None:
    processor = stack.function("event_processor")
    fresh = URL.replace("sample", "fresh")
    for each in (notification(), notification(notification_id="second", path=fresh), notification(), notification()):
        webhook(each)
        assert stack.process(processor) == []
    assert sorted(urls(stack)) == sorted([URL, fresh])
    assert len(notified(stack)) == 1


def test_the_very_same_notification_about_a_lost_file_lets_it_be_fetched_again(
    stack: Deployment, webhook: Function
) -> None:
    processor = stack.function("event_processor")
    webhook(notification())
    stack.process(processor)
    [found] = stack.store.notifications.to_fetch()
    stack.store.recon.expired(file_of(found), "the response was HTTP 403")
    stack.store.notifications.end(found, "the response was HTTP 403")
    time.sleep(0.01)  # a moment is a millisecond
    webhook(notification())
    assert stack.process(processor) == []
    assert urls(stack) == [URL]
    assert notified(stack)[0]["state"] == "ANNOUNCED"


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("kyc_passport_risk_9_20260228_20260228.csv", "2026-02-28"),
        ("kyc_passport_account_status_9_20260330150000_20260331145959.csv", "2026-03-31"),
        ("other.csv", ""),
        ("kyc_passport_9_20269999_20269999.csv", ""),
    ],
)
def test_the_day_of_a_file(stack: Deployment, webhook: Function, name: str, day: str) -> None:
    """Without one in its name, the day before the notification came, whatever that says of itself."""
    before = datetime.now(UTC)
    webhook(notification(path=f"https://a.files.example.jp/{name}", requestedAt="1774969199"))
    assert stack.process(stack.function("event_processor")) == []
    [file] = notified(stack)
    moments = (before, datetime.now(UTC))
    assert file["day"] in ([day] if day else [jst_day(each - timedelta(days=1)) for each in moments])


@pytest.mark.parametrize("path", ["/", "/a%2Fb.csv", "/..", "/%2e%2e%2f%2e%2e%2fx.csv"])
def test_a_path_without_a_usable_name_is_recorded_all_the_same(stack: Deployment, webhook: Function, path: str) -> None:
    url = f"https://recon.example.jp{path}"
    assert webhook(notification(path=url, notification_id="n-1"))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    [file] = notified(stack)
    assert (urls(stack), file["state"]) == ([url], "ANNOUNCED")
    assert re.fullmatch(r"[A-Za-z0-9.-]+", file["file_name"])


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        f"http://recon.example.jp/{NAME}",
        "https://[::1",
        f"https://a℀b.files.example.jp/{NAME}",
        f"https://evilfiles.example.jp/{NAME}",
        f"https://user@recon.example.jp/{NAME}",
        f"https://169.254.169.254/{NAME}",
    ],
)
def test_a_url_that_breaks_a_rule_is_recorded_for_the_download_to_tell_of(
    stack: Deployment, webhook: Function, path: str
) -> None:
    assert webhook(notification(path=path, notification_id="n-1"))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    [file] = notified(stack)
    assert (file["state"], urls(stack)) == ("ANNOUNCED", [path])


@pytest.mark.parametrize("file_type", ["another_file_type", "kyc_passport_risk_sync_recon"])
def test_a_type_that_is_not_enabled_is_acknowledged_and_ignored(
    stack: Deployment, webhook: Function, file_type: str
) -> None:
    stack.parameters["ReconFileTypes"] = "kyc_passport_sync_recon"
    assert webhook(notification(fileType=file_type))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    [file] = notified(stack)
    assert (file["pk"], file["state"]) == (f"RECON#{file_type}", "IGNORED")
    assert urls(stack) == []


def test_a_notification_without_a_type_has_that_of_its_files_name(stack: Deployment, webhook: Function) -> None:
    webhook(notification(fileType=None))
    assert stack.process(stack.function("event_processor")) == []
    assert (notified(stack)[0]["pk"], urls(stack)) == ("RECON#kyc_passport_sync_recon", [URL])


def test_a_notification_without_a_url_is_kept_as_its_hash(stack: Deployment, webhook: Function) -> None:
    event = sample("paypay_recon_webhook")
    body = json.loads(event["body"])
    del body["path"]
    answer = webhook(event | {"body": json.dumps(body)})
    assert answer["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    assert notified(stack) == []
    [item] = [item for item in stack.items() if item["pk"] == "PAYPAY#-"]
    assert item["detail"] == {
        "type": "file.created",
        "sha256": hashlib.sha256(json.dumps(body).encode()).hexdigest(),
    }


@pytest.mark.parametrize("given", [None, "", "now", "2026-04-01T12:00:00+09:00", [1775012400], 10**30, {}, True])
def test_no_requested_at_is_refused(stack: Deployment, webhook: Function, given: object) -> None:
    assert webhook(notification(requestedAt=given))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    assert urls(stack) == [URL]


@pytest.mark.parametrize("function", ["paypay_kyc_webhook", "paypay_risk_webhook", "paypay_account_status_webhook"])
@pytest.mark.parametrize("in_array", [False, True])
def test_at_every_url_it_goes_to_the_queue_of_the_notifications(
    stack: Deployment, function: str, in_array: bool
) -> None:
    event = sample("paypay_recon_webhook")
    body = json.loads(event["body"])
    kyc = json.loads(sample("paypay_kyc_webhook")["body"])
    text = json.dumps([kyc, body] if in_array else body)
    assert stack.function(function)(event | {"body": text})["statusCode"] == 200
    assert len(stack.receive("ReconNoticeQueue")) == 1
    assert stack.receive("EventQueue") == []


def test_a_recon_notification_does_not_count_as_received(stack: Deployment, webhook: Function) -> None:
    webhook(notification())
    stack.process(stack.function("event_processor"))
    assert [item for item in stack.items() if item["pk"].startswith("RECEIVED#")] == []
