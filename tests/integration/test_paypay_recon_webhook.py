"""PayPay's recon file notices: from the webhook to the announced file in the table."""

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.fakes.deployment import Deployment, Function, sample

NAME = "kyc_passport_900000000000000001_20260331_20260331.csv"
URL = f"https://recon.example.jp/files/{NAME}?signature=sample"


@pytest.fixture
def webhook(stack: Deployment) -> Function:
    # The hosts that the samples name.
    stack.parameters["ReconAllowedHosts"] = "recon.example.jp, .files.example.jp"
    return stack.function("paypay_recon_webhook")


def notice(**fields: object) -> dict[str, Any]:
    event = sample("paypay_recon_webhook")
    return event | {"body": json.dumps({**json.loads(event["body"]), **fields})}


def announced(stack: Deployment) -> list[dict[str, Any]]:
    return [item for item in stack.items() if item["pk"].startswith("RECON#")]


def test_the_sample_event_is_acknowledged_and_queued(stack: Deployment, webhook: Function) -> None:
    answer = webhook(sample("paypay_recon_webhook"))

    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    [message] = stack.receive("ReconNoticeQueue")
    event = json.loads(message["Body"])
    assert (event["kind"], event["subject"]) == ("recon_file", "kyc_passport_sync_recon")
    assert event["detail"]["path"] == URL
    assert stack.items() == []


@pytest.mark.parametrize("requested_at", ["1775012400", 1775012400, "1775012400000", 1775012400000])
def test_the_file_is_announced_until_two_hours_after_the_request(
    stack: Deployment, webhook: Function, requested_at: str | int
) -> None:
    webhook(notice(requestedAt=requested_at))
    assert stack.process(stack.function("event_processor")) == []
    [file] = announced(stack)
    assert (file["pk"], file["sk"]) == ("RECON#kyc_passport_sync_recon", f"2026-03-31#{NAME}")
    assert (file["state"], file["url"]) == ("ANNOUNCED", URL)
    assert file["requested_at"] == "2026-04-01T03:00:00.000Z"
    assert file["deadline"] == "2026-04-01T05:00:00.000Z"


def test_a_second_notice_renews_the_url_and_a_repeated_one_does_nothing(stack: Deployment, webhook: Function) -> None:
    processor = stack.function("event_processor")
    webhook(notice())
    stack.process(processor)
    fresh = URL.replace("sample", "fresh")
    webhook(notice(notification_id="second", path=fresh, requestedAt="1775016000"))
    stack.process(processor)
    webhook(notice())
    stack.process(processor)
    [file] = announced(stack)
    assert (file["url"], file["deadline"]) == (fresh, "2026-04-01T06:00:00.000Z")


def test_a_notice_about_a_fetched_file_changes_nothing(stack: Deployment, webhook: Function) -> None:
    processor = stack.function("event_processor")
    webhook(notice())
    stack.process(processor)
    [file] = announced(stack)
    stack.dynamodb.update_item(
        TableName="StateTable",
        Key={"pk": {"S": file["pk"]}, "sk": {"S": file["sk"]}},
        UpdateExpression="SET #state = :stored REMOVE #url",
        ExpressionAttributeNames={"#state": "state", "#url": "url"},
        ExpressionAttributeValues={":stored": {"S": "STORED"}},
    )
    webhook(notice(notification_id="second"))
    assert stack.process(processor) == []
    [file] = announced(stack)
    assert file["state"] == "STORED"
    assert "url" not in file


def test_a_renewed_notice_about_a_fetched_file_lets_it_be_looked_at_again(stack: Deployment, webhook: Function) -> None:
    processor = stack.function("event_processor")
    webhook(notice())
    stack.process(processor)
    [found] = stack.store.recon.to_fetch()
    stack.store.recon.stored(found, name=NAME, sha256="ab", size=3, at="2026-04-01T03:05:00.000Z")
    webhook(notice(notification_id="second", requestedAt="1775016000"))
    assert stack.process(processor) == []
    [file] = announced(stack)
    assert (file["state"], file["sha256"], file["url"]) == ("STORED", "ab", URL)


@pytest.mark.parametrize(
    ("name", "requested_at", "day"),
    [
        ("kyc_passport_risk_9_20260228_20260228.csv", "1775012400", "2026-02-28"),
        (
            "kyc_passport_account_status_9_20260331000000_20260331235959.csv",
            "1775012400",
            "2026-03-31",
        ),
        # No day in the name: the day before the request, as Japan counts. 14:59:59Z and 15:00:00Z of 31 March.
        ("other.csv", "1774969199", "2026-03-30"),
        ("other.csv", "1774969200", "2026-03-31"),
        ("kyc_passport_9_20269999_20269999.csv", "1774969200", "2026-03-31"),
    ],
)
def test_the_day_of_a_file(stack: Deployment, webhook: Function, name: str, requested_at: str, day: str) -> None:
    webhook(notice(path=f"https://a.files.example.jp/{name}", requestedAt=requested_at))
    assert stack.process(stack.function("event_processor")) == []
    [file] = announced(stack)
    assert file["day"] == day


@pytest.mark.parametrize("path", ["/", "/a%2Fb.csv", "/..", "/%2e%2e%2f%2e%2e%2fx.csv"])
def test_a_path_without_a_usable_name_is_announced_all_the_same(
    stack: Deployment, webhook: Function, path: str
) -> None:
    url = f"https://recon.example.jp{path}"
    assert webhook(notice(path=url, notification_id="n-1"))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    [file] = announced(stack)
    assert (file["url"], file["state"]) == (url, "ANNOUNCED")
    assert re.fullmatch(r"unnamed-[0-9a-f]+", file["file_name"])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("nothing", "not https"),
        (f"http://recon.example.jp/{NAME}", "not https"),
        ("https://[::1", "cannot be read"),
        (f"https://a℀b.files.example.jp/{NAME}", "cannot be read"),
        (f"https://evilfiles.example.jp/{NAME}", "not on the list"),
        (f"https://user@recon.example.jp/{NAME}", "credentials"),
        (f"https://recon.example.jp:8443/{NAME}", "another port"),
        (f"https://169.254.169.254/{NAME}", "an address"),
    ],
)
def test_a_url_that_breaks_a_rule_is_acknowledged_and_recorded_as_refused(
    stack: Deployment, webhook: Function, capsys: pytest.CaptureFixture[str], path: str, reason: str
) -> None:
    assert webhook(notice(path=path, notification_id="n-1"))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    [file] = announced(stack)
    assert file["state"] == "REFUSED"
    assert reason in file["reason"]
    assert not {"url", "due_kind", "due_at"} & file.keys()
    assert '"ReconFileRefused":[1.0]' in capsys.readouterr().out


def test_a_refused_notice_does_not_take_the_place_of_a_good_one(stack: Deployment, webhook: Function) -> None:
    processor = stack.function("event_processor")
    webhook(notice())
    stack.process(processor)
    before = announced(stack)
    webhook(notice(notification_id="second", path=URL.replace("https", "http"), requestedAt="1775016000"))
    assert stack.process(processor) == []
    assert announced(stack) == before


@pytest.mark.parametrize("file_type", ["another_file_type", "kyc_passport_risk_sync_recon"])
def test_a_type_that_is_not_enabled_is_acknowledged_and_ignored(
    stack: Deployment, webhook: Function, file_type: str
) -> None:
    stack.parameters["ReconFileTypes"] = "kyc_passport_sync_recon"
    assert webhook(notice(fileType=file_type))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    [file] = announced(stack)
    assert (file["pk"], file["state"]) == (f"RECON#{file_type}", "IGNORED")
    assert "url" not in file


@pytest.mark.parametrize("field", ["fileType", "path"])
def test_a_notice_that_names_no_file_is_kept_as_its_hash(stack: Deployment, webhook: Function, field: str) -> None:
    event = sample("paypay_recon_webhook")
    body = json.loads(event["body"])
    del body[field]
    answer = webhook(event | {"body": json.dumps(body)})
    assert answer["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    assert announced(stack) == []
    [item] = [item for item in stack.items() if item["pk"] == "PAYPAY#-"]
    assert item["detail"] == {
        "type": "file.created",
        "sha256": hashlib.sha256(json.dumps(body).encode()).hexdigest(),
    }


@pytest.mark.parametrize("given", [None, "", "now", "2026-04-01T12:00:00+09:00", [1775012400], 10**30])
def test_a_notice_without_a_readable_time_is_taken_as_requested_now(
    stack: Deployment, webhook: Function, given: object
) -> None:
    event = sample("paypay_recon_webhook")
    body = json.loads(event["body"]) | {"requestedAt": given}
    before = datetime.now(UTC)
    assert webhook(event | {"body": json.dumps(body)})["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    [file] = announced(stack)
    assert datetime.fromisoformat(file["requested_at"]) >= before.replace(microsecond=0)


def test_a_recon_notice_does_not_count_as_received(stack: Deployment, webhook: Function) -> None:
    webhook(notice())
    stack.process(stack.function("event_processor"))
    assert [item for item in stack.items() if item["pk"].startswith("RECEIVED#")] == []
