"""Links that end, on the deployed stack: the schedule fires, IAM is enforced, PayPay is the sandbox."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from local import demo
from local.demo_paypay import account_link, press_allow
from local.stack import Stack

pytestmark = pytest.mark.e2e

_SCHEDULE = "ExpiryWatchFunctionEveryHour"
_DAY = 86_400


def _linked(stack: Stack) -> str:
    user_id = f"user.{uuid.uuid4().hex[:12]}"
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()["status"] == "VERIFIED"
    return user_id


def _ends(stack: Stack, user_id: str, end: int) -> None:
    stack.sandbox("POST", f"/paypay/users/{user_id}/authorization", json={"expireAt": end})


def _paypay(stack: Stack, user_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = stack.merchant.request("GET", f"/users/{user_id}").json()
    paypay: dict[str, Any] = answer["providers"]["paypay"]
    return answer | paypay


def _received(stack: Stack) -> Callable[[str], list[dict[str, Any]]]:
    """What is published about a user from now on."""
    sqs, events = stack.client("sqs"), stack.client("events")
    queue = sqs.create_queue(QueueName="expiry-listener")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = stack.outputs["EventBusName"]
    events.put_rule(Name="listen-expiry", EventBusName=bus, EventPattern='{"source":["honnin"]}')
    events.put_targets(Rule="listen-expiry", EventBusName=bus, Targets=[{"Id": "listener", "Arn": arn}])
    received: list[dict[str, Any]] = []

    def of(user_id: str) -> list[dict[str, Any]]:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            received.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [each for each in received if each["detail"]["userId"] == user_id]

    return of


def _known(stack: Stack, user_id: str, end: int) -> None:
    """Have Honnin read when the link ends."""
    _ends(stack, user_id, end)
    stack.sandbox("POST", f"/paypay/users/{user_id}/notify", json={"type": "account_status"})
    assert demo.wait_for(lambda: _end_of(stack, user_id) == end)


def _end_of(stack: Stack, user_id: str) -> float:
    said = _paypay(stack, user_id)["linkExpiresAt"]
    return datetime.fromisoformat(said).timestamp() if said else 0


def test_a_link_expires_on_time_and_one_that_was_extended_does_not(stack: Stack) -> None:
    received = _received(stack)
    expired, extended = _linked(stack), _linked(stack)
    end = int(time.time()) + 2 * _DAY
    for user_id in (expired, extended):
        _known(stack, user_id, end)
    _ends(stack, extended, end + 365 * _DAY)
    stack.fire(_SCHEDULE)
    # The end is near: it is published for the one that PayPay has not extended.
    assert demo.wait_for(lambda: "AuthorizationExpiring" in [each["detail-type"] for each in received(expired)])
    assert demo.wait_for(lambda: _end_of(stack, extended) == end + 365 * _DAY)
    assert _paypay(stack, expired)["status"] == "VERIFIED"
    # Nobody waits for two days: PayPay has it end soon.
    # The settling reads of the notification are over by then.
    soon = int(time.time()) + 30
    _ends(stack, expired, soon)
    stack.sandbox("POST", f"/paypay/users/{expired}/notify", json={"type": "account_status"})
    assert demo.wait_for(lambda: _end_of(stack, expired) == soon)
    time.sleep(max(0.0, soon + 1 - time.time()))
    stack.fire(_SCHEDULE)
    assert demo.wait_for(lambda: _paypay(stack, expired)["status"] == "EXPIRED")
    assert not _paypay(stack, expired)["verified"]
    assert _paypay(stack, extended)["status"] == "VERIFIED"
    assert demo.wait_for(lambda: "AuthorizationExpired" in [each["detail-type"] for each in received(expired)])
    stack.fire(_SCHEDULE)
    event_types = [each["detail-type"] for each in received(expired) if each["detail-type"].startswith("Authorization")]
    assert sorted(event_types) == ["AuthorizationExpired", "AuthorizationExpiring"]
    assert not [each for each in received(extended) if each["detail-type"].startswith("Authorization")]
    entry = stack.merchant.request("GET", f"/users/{expired}/timeline?limit=1").json()["entries"][0]
    assert (entry["cause"], entry["from"], entry["to"]) == ("poll", "VERIFIED", "EXPIRED")
