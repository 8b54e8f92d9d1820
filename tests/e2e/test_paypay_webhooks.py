"""PayPay's webhooks on the deployed stack: races, load, outages, redrive. What moto cannot show, ministack does."""

import json
import random
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from honnin.times import utc_text
from honninctl.redrive import move, sending
from local import demo
from local.demo_paypay import account_link, flag_unnoticed, press_allow
from local.stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture
def linked(stack: Stack) -> tuple[str, str]:
    """A user with a linked and verified PayPay account: merchant's id and authorization id."""
    return _link(stack)


def _link(stack: Stack) -> tuple[str, str]:
    user_id = f"user.{uuid.uuid4().hex[:12]}"
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()["status"] == "VERIFIED"
    return user_id, _authorization(stack, user_id)


def _authorization(stack: Stack, user_id: str) -> str:
    item = _item(stack, f"USER#{user_id}", "STATUS#paypay")
    assert item is not None
    return str(item["user_authorization_id"]["S"])


def _item(stack: Stack, pk: str, sk: str) -> dict[str, Any] | None:
    answer = stack.client("dynamodb").get_item(
        TableName=stack.outputs["StateTableName"], Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
    )
    item: dict[str, Any] | None = answer.get("Item")
    return item


def _applied(stack: Stack, *event_ids: str) -> set[str]:
    """Which of the ids, each without its mark of subject and day, have a record."""
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.outputs["StateTableName"],
            FilterExpression="sk = :sk",
            ExpressionAttributeValues={":sk": {"S": "EVENT"}},
            ConsistentRead=True,
        )
    )
    records = {item["pk"]["S"].removeprefix("EVENT#").rpartition(":")[0] for page in pages for item in page["Items"]}
    return records & set(event_ids)


def _notify(stack: Stack, kind: str, authorization_id: str, notification_id: str) -> int:
    output, notification_type = {
        "kyc": ("PayPayKycWebhookUrl", "kyc_passport.kyc_info.updated"),
        "risk": ("PayPayRiskWebhookUrl", "kyc_passport.risk.update"),
        "account_status": ("PayPayAccountStatusWebhookUrl", "kyc_passport.account_status.updated"),
    }[kind]
    body = {
        "notification_type": notification_type,
        "notification_id": notification_id,
        "user_authorization_id": authorization_id,
    }
    return requests.post(stack.outputs[output], json=body, timeout=30).status_code


def _sqs_event(stack: Stack, *bodies: dict[str, Any]) -> dict[str, Any]:
    name = stack.outputs["EventQueueUrl"].rpartition("/")[2]
    return {
        "Records": [
            {
                "messageId": str(uuid.uuid4()),
                "receiptHandle": "none",
                "body": json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1775012400000"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{stack.region}:000000000000:{name}",
            }
            for body in bodies
        ]
    }


def _event(kind: str, authorization_id: str, event_id: str) -> dict[str, Any]:
    return {
        "v": 1,
        "event_id": event_id,
        "provider": "paypay",
        "kind": kind,
        "cause": "webhook",
        "subject": authorization_id,
        # Else the reading by which the user was linked would answer it already.
        "received_at": utc_text(datetime.now(UTC)),
        "detail": {},
    }


def _entries(stack: Stack, user_id: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = stack.merchant.request("GET", f"/users/{user_id}/timeline?limit=100{cursor}").json()
        entries += page["entries"]
        if page["cursor"] is None:
            return entries
        cursor = f"&cursor={page['cursor']}"


def test_the_same_event_twice_at_once_takes_effect_once(stack: Stack, linked: tuple[str, str]) -> None:
    user_id, authorization_id = linked
    event_id = f"paypay:kyc:{uuid.uuid4()}"
    batch = _sqs_event(stack, _event("kyc", authorization_id, event_id))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: stack.invoke("EventProcessorFunction", batch), range(4)))
    assert answers == [{"batchItemFailures": []}] * 4
    assert [each["eventId"] for each in _entries(stack, user_id)].count(event_id) == 1


def test_two_workers_on_one_user_apply_every_event_once_and_the_newest_reading_stands(
    stack: Stack, linked: tuple[str, str]
) -> None:
    user_id, authorization_id = linked
    version = int((_item(stack, f"USER#{user_id}", "STATUS#paypay") or {})["version"]["N"])
    ids = [f"paypay:risk:{uuid.uuid4()}" for _ in range(12)]
    flag_unnoticed(stack, user_id)
    batches = [_sqs_event(stack, *(_event("risk", authorization_id, each) for each in ids[n::4])) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda batch: stack.invoke("EventProcessorFunction", batch), batches))
    assert answers == [{"batchItemFailures": []}] * 4
    after = _item(stack, f"USER#{user_id}", "STATUS#paypay") or {}
    entries = _entries(stack, user_id)
    counted = Counter(each["eventId"] for each in entries)
    assert {each: counted[each] for each in ids} == dict.fromkeys(ids, 1)
    assert after["status"]["S"] == "RISK_FLAGGED"
    # The version is the time of the newest entry in milliseconds, and one more for each entry that was not later.
    newest_ms = 1000 * max(datetime.fromisoformat(each["at"]).timestamp() for each in entries)
    assert version + len(ids) <= int(after["version"]["N"]) <= newest_ms + len(entries)


def test_after_a_load_of_webhooks_every_id_is_applied_once(stack: Stack) -> None:
    users = [_link(stack) for _ in range(5)]
    draw = random.Random(20261121)
    unique = [
        (draw.choice(users)[1], draw.choice(["kyc", "risk", "account_status"]), str(uuid.uuid4())) for _ in range(200)
    ]
    sent = unique + draw.sample(unique, 50)  # 20 % duplicates
    draw.shuffle(sent)

    def deliver(each: tuple[str, str, str]) -> list[int]:
        """As PayPay does: what is not acknowledged comes again, ten times in all, 500 ms apart (docs/providers.md)."""
        answers = [_notify(stack, each[1], each[0], each[2])]
        while len(answers) < 10 and 200 not in answers:
            time.sleep(0.5)
            answers.append(_notify(stack, each[1], each[0], each[2]))
        return answers

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(deliver, sent))
    # Phase one: each is acknowledged in the end, and until then it is said that it was not.
    assert Counter(each[-1] for each in answers) == {200: len(sent)}
    assert {said for each in answers for said in each[:-1]} <= {503}

    ids = [f"paypay:{kind}:{each}" for _, kind, each in unique]

    def waiting() -> int:
        return len(ids) - len(_applied(stack, *ids))

    # Phase two: everything acknowledged is applied, exactly once.
    assert demo.wait_for(lambda: waiting() == 0, 180), f"{waiting()} of {len(unique)} are missing"
    counted = Counter(each["eventId"].rpartition(":")[0] for user_id, _ in users for each in _entries(stack, user_id))
    assert {each: counted[each] for each in ids} == dict.fromkeys(ids, 1)


def test_an_outage_keeps_events_waiting_and_loses_none(stack: Stack, linked: tuple[str, str]) -> None:
    user_id, authorization_id = linked
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"kyc_passport_fault": {"kind": "SERVICE_ERROR"}})
    notification_id = str(uuid.uuid4())
    before = stack.sandbox("GET", f"/paypay/users/{user_id}")
    assert _notify(stack, "risk", authorization_id, notification_id) == 200

    def asked() -> bool:
        now: dict[str, Any] = stack.sandbox("GET", f"/paypay/users/{user_id}")
        return bool(now["calls"] != before["calls"])

    assert demo.wait_for(asked)
    event_id = f"paypay:risk:{notification_id}"
    assert not _applied(stack, event_id)
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"kyc_passport_fault": None})
    assert demo.wait_for(lambda: bool(_applied(stack, event_id)), 60)


def test_a_redriven_event_takes_effect_once(stack: Stack, linked: tuple[str, str]) -> None:
    user_id, authorization_id = linked
    sqs, outputs = stack.client("sqs"), stack.outputs
    event_id = f"paypay:kyc:{uuid.uuid4()}"
    body = json.dumps(_event("kyc", authorization_id, event_id))
    for _ in range(2):
        sqs.send_message(QueueUrl=outputs["DeadLetterQueueUrl"], MessageBody=body)
    put_back = sending(sqs, outputs["DeadLetterQueueUrl"], lambda _: outputs["EventQueueUrl"])
    assert move(sqs, outputs["DeadLetterQueueUrl"], put_back).done.total() >= 2
    assert demo.wait_for(lambda: _item(stack, f"EVENT#{event_id}", "EVENT") is not None, 60)
    assert [each["eventId"] for each in _entries(stack, user_id)].count(event_id) == 1


def test_an_event_of_nobody_waits_and_is_attached_when_the_link_appears(stack: Stack) -> None:
    user_id = f"user.{uuid.uuid4().hex[:12]}"
    # The user agrees, but the browser is slow to come back; meanwhile PayPay cannot say whose authorization it is.
    back = requests.post(
        account_link(stack, user_id), data={"decision": "allow"}, timeout=30, allow_redirects=False
    ).headers["Location"]
    (link,) = stack.sandbox("GET", f"/paypay/users/{user_id}")["authorizations"]
    authorization_id = link["id"]
    fault = {"kind": "INVALID_USER_AUTHORIZATION_ID", "times": 1}
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"authorization_fault": fault})
    notification_id = str(uuid.uuid4())
    assert _notify(stack, "kyc", authorization_id, notification_id) == 200
    event_id = f"paypay:kyc:{notification_id}"
    assert demo.wait_for(lambda: bool(_applied(stack, event_id)), 60)
    waiting = stack.client("dynamodb").query(
        TableName=stack.outputs["StateTableName"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"PAYPAY#{authorization_id}"}},
    )["Items"]
    assert [each["what"]["S"] for each in waiting] == ["unknown_user"]

    assert requests.get(back, timeout=30, allow_redirects=False).status_code == 303

    entries = _entries(stack, user_id)
    assert [each["what"] for each in entries if each["eventId"].startswith(event_id)] == ["unknown_user"]
    assert demo.status(stack, user_id, "paypay") == "LINKED"


def test_a_lost_redirect_heals_through_the_first_notification(stack: Stack) -> None:
    user_id = f"user.{uuid.uuid4().hex[:12]}"
    # Only `referenceIds` tells whose the authorization is, and PayPay does not promise it.
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"unkind": {"authorization_keys": False}})
    link = account_link(stack, user_id)
    # The user agrees, but the browser never comes back.
    requests.post(link, data={"decision": "allow"}, timeout=30, allow_redirects=False)
    assert demo.status(stack, user_id, "paypay") == "LINK_PENDING"
    stack.sandbox("POST", f"/paypay/users/{user_id}/kyc-updated", json={"data": {"expiryDate": "2032-01-31"}})
    assert demo.wait_for(lambda: demo.status(stack, user_id, "paypay") == "VERIFIED", 60)


def test_a_recon_notification_is_recorded(stack: Stack) -> None:
    name = f"kyc_passport_100000000000000001_20261120_20261120{uuid.uuid4().hex[:6]}.csv"
    notification = {
        "fileType": "kyc_passport_sync_recon",
        "path": f"https://files.paypay.ne.jp/{name}?signature=x",
        "requestedAt": "1795215600",
    }
    stack.sandbox("POST", "/paypay/recon-notification", json=notification)
    pk = "RECON#kyc_passport_sync_recon"

    def found() -> list[dict[str, Any]]:
        answer = stack.client("dynamodb").query(
            TableName=stack.outputs["StateTableName"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
        )
        return [each for each in answer["Items"] if each["file_name"]["S"] == name]

    assert demo.wait_for(lambda: bool(found()), 60)
    (item,) = found()
    assert item["state"]["S"] == "ANNOUNCED"
    # What the notification says of itself decides nothing: two hours from when it came.
    received, deadline = (datetime.fromisoformat(item[name]["S"]) for name in ("received_at", "deadline"))
    assert deadline - received == timedelta(hours=2)


def test_a_notification_from_a_foreign_address_is_refused(stack: Stack) -> None:
    event = json.loads(_WEBHOOK_EVENT)
    event["requestContext"]["identity"]["sourceIp"] = "203.0.113.9"
    assert stack.invoke("PayPayKycWebhookFunction", event)["statusCode"] == 403


_WEBHOOK_EVENT = json.dumps(
    {
        "requestContext": {"identity": {"sourceIp": "127.0.0.1"}},
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(
            {
                "notification_type": "kyc_passport.kyc_info.updated",
                "notification_id": "evt_1",
                "user_authorization_id": "a85fe9e9-b4c9-45cf-a392-834c57d83af7",
            }
        ),
        "isBase64Encoded": False,
    }
)
