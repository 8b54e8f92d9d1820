"""PayPay's recon file notices: from the webhook to the announced file in the table."""

import json
from typing import Any

import pytest

from tests.integration.deployment import Deployment, Function, sample

NAME = "kyc_passport_900000000000000001_20260331_20260331.csv"
URL = f"https://recon.example.jp/files/{NAME}?signature=sample"


@pytest.fixture
def webhook(stack: Deployment) -> Function:
    return stack.function("paypay_recon_webhook")


def notice(**fields: object) -> dict[str, Any]:
    event = sample("paypay_recon_webhook")
    return event | {"body": json.dumps({**json.loads(event["body"]), **fields})}


def announced(stack: Deployment) -> list[dict[str, Any]]:
    return [item for item in stack.items() if item["pk"].startswith("RECON#")]


def test_the_sample_event_is_acknowledged_and_queued(stack: Deployment, webhook: Function) -> None:
    answer = webhook(sample("paypay_recon_webhook"))

    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    [message] = stack.receive()
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


@pytest.mark.parametrize(
    ("path", "requested_at", "day"),
    [
        ("https://a.jp/kyc_passport_risk_9_20260228_20260228.csv", "1775012400", "2026-02-28"),
        ("https://a.jp/kyc_passport_account_status_9_20260331000000_20260331235959.csv", "1775012400", "2026-03-31"),
        # No day in the name: the day before the request, as Japan counts. 14:59:59Z and 15:00:00Z of 31 March.
        ("https://a.jp/other.csv", "1774969199", "2026-03-30"),
        ("https://a.jp/other.csv", "1774969200", "2026-03-31"),
        ("https://a.jp/kyc_passport_9_20269999_20269999.csv", "1774969200", "2026-03-31"),
    ],
)
def test_the_day_of_a_file(stack: Deployment, webhook: Function, path: str, requested_at: str, day: str) -> None:
    webhook(notice(path=path, requestedAt=requested_at))
    assert stack.process(stack.function("event_processor")) == []
    [file] = announced(stack)
    assert file["day"] == day


@pytest.mark.parametrize(
    "path",
    ["https://a.jp/", "https://a.jp/a%2Fb.csv", "https://a.jp/..", "nothing", "https://[::1", "https://a℀b.jp/x.csv"],
)
def test_a_path_without_a_usable_name_is_announced_all_the_same(
    stack: Deployment, webhook: Function, path: str
) -> None:
    assert webhook(notice(path=path, notification_id="n-1"))["statusCode"] == 200
    assert stack.process(stack.function("event_processor")) == []
    [file] = announced(stack)
    assert (file["url"], file["state"]) == (path, "ANNOUNCED")
    if path != "nothing":
        assert file["file_name"] == "unnamed-n-1"


@pytest.mark.parametrize("field", ["fileType", "path", "requestedAt"])
def test_without_a_field_it_is_400(stack: Deployment, webhook: Function, field: str) -> None:
    event = sample("paypay_recon_webhook")
    body = json.loads(event["body"])
    del body[field]
    answer = webhook(event | {"body": json.dumps(body)})
    assert answer["statusCode"] == 400
    assert field in answer["body"]
    assert stack.receive() == []


def test_a_recon_notice_leaves_no_line_in_a_ledger(stack: Deployment, webhook: Function) -> None:
    webhook(notice())
    stack.process(stack.function("event_processor"))
    assert [item for item in stack.items() if item["pk"].startswith("LEDGER#")] == []
