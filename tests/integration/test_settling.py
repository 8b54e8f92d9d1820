"""Settling through the deployed processor: what it puts on the rereads queue, and what that leads to."""

import json
import time

import pytest

from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, sample
from tests.fakes.merchant import Merchant

USER = "user-0001"


def _notify(stack: Deployment, kind: str) -> str:
    linked = stack.store.users.status(USER, "paypay")
    assert linked
    event = sample(f"paypay_{kind}_webhook")
    body = {**json.loads(event["body"]), "user_authorization_id": linked.user_authorization_id}
    assert stack.function(f"paypay_{kind}_webhook")(event | {"body": json.dumps(body)})["body"] == "OK"
    return str(linked.user_authorization_id)


def _waiting(stack: Deployment) -> tuple[int, int]:
    """The messages of the rereads queue: those that can be received, those that are delayed."""
    url = stack.sqs.get_queue_url(QueueName="RereadQueue")["QueueUrl"]
    found = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesDelayed"])


@pytest.mark.parametrize(("delays", "sent"), [("60,900", 2), ("900", 1), ("", 0)])
def test_a_webhook_is_followed_by_as_many_events_as_the_parameter_says(
    stack: Deployment, box: RunningSandbox, delays: str, sent: int
) -> None:
    stack.parameters = {**stack.parameters, "SettleDelays": delays}
    Merchant(stack).link(USER, scopes=["mini_app_kyc_passport"])
    _notify(stack, "kyc")
    assert stack.process(stack.function("event_processor"), 120_000) == []
    assert _waiting(stack) == (0, sent)


def test_a_change_that_the_reads_show_later_is_found_once_and_nothing_new_leaves_nothing(
    stack: Deployment, box: RunningSandbox
) -> None:
    stack.parameters = {**stack.parameters, "SettleDelays": "1,2"}
    Merchant(stack).link(USER, scopes=["mini_app_kyc_passport"])
    processor = stack.function("event_processor")
    linked = _notify(stack, "risk")
    assert stack.process(processor, 120_000) == []
    before = stack.store.users.status(USER, "paypay")
    assert before
    assert before.status == "VERIFIED"

    box.paypay.register.user(linked).risk_flag = "UNACCEPTABLE_OP"
    time.sleep(2.1)
    assert stack.work(processor, "RereadQueue", 120_000) == []

    after = stack.store.users.status(USER, "paypay")
    assert after
    assert after.status == "RISK_FLAGGED"
    assert after.version > before.version
    newest, older = stack.store.users.timeline(USER, 2)[0]
    assert (newest.cause, newest.from_status, newest.to_status) == ("settle", "VERIFIED", "RISK_FLAGGED")
    assert older.cause == "webhook"
    assert _waiting(stack) == (0, 0), "what settles sends nothing"
