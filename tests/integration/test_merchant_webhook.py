"""`merchant_webhook` as the template has it, on moto: its variables, queue and secret."""

import json
from collections.abc import Iterator

import pytest
from standardwebhooks import Webhook

from tests.fakes import LoopbackServer, Reply
from tests.fakes.deployment import WEBHOOK_KEY, Deployment, Function, sample

QUEUE = "MerchantWebhookQueue"


@pytest.fixture
def receiver(stack: Deployment) -> Iterator[LoopbackServer]:
    with LoopbackServer(Reply(204, b"")) as server:
        stack.parameters = {**stack.parameters, "MerchantWebhookUrl": f"{server.url}/hooks"}
        yield server


@pytest.fixture
def webhook(stack: Deployment, receiver: LoopbackServer) -> Function:
    return stack.function("merchant_webhook")


def test_what_is_on_the_queue_is_sent_signed(stack: Deployment, webhook: Function, receiver: LoopbackServer) -> None:
    [record] = sample("merchant_webhook")["Records"]
    stack.send(record["body"], QUEUE)
    assert stack.work(webhook, QUEUE, 120_000) == []
    [request] = receiver.received
    assert Webhook(f"whsec_{WEBHOOK_KEY}").verify(request.body, dict(request.headers)) == {
        "type": "kyc.status.changed",
        "timestamp": "2026-04-01T03:00:00.000Z",
        "data": {
            "userId": "user-1", "provider": "paypay", "from": "LINKED", "to": "VERIFIED", "providerStatus": "COMPLETED",
            "verified": True, "verifiedReason": "PAYPAY_VERIFIED", "cause": "webhook", "version": 1775012400000,
            "occurredAt": "2026-04-01T03:00:00.000Z",
        },
    }  # fmt: skip


def test_what_the_endpoint_does_not_take_stays_on_the_queue(
    stack: Deployment, webhook: Function, receiver: LoopbackServer
) -> None:
    receiver.replies[0] = Reply(500)
    [record] = sample("merchant_webhook")["Records"]
    stack.send(record["body"], QUEUE)
    assert len(stack.work(webhook, QUEUE, 120_000)) == 1
    assert stack.store.circuit.read().failures == 1
    receiver.replies[0] = Reply(200)
    stack.send(record["body"], QUEUE)
    assert stack.work(webhook, QUEUE, 120_000) == []
    assert stack.store.circuit.read().failures == 0
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_test_says_what_became_of_it(webhook: Function, receiver: LoopbackServer) -> None:
    answer = webhook({"test": True}, 120_000)
    assert answer.keys() == {"delivered", "status", "reason", "seconds"}
    assert (answer["delivered"], answer["status"], answer["reason"]) == (True, 204, "")
    receiver.replies[0] = Reply(401)
    answer = webhook({"test": True}, 120_000)
    assert (answer["delivered"], answer["status"], answer["reason"]) == (False, 401, "the response was HTTP 401")
    assert answer["japanese"] == "レスポンスが HTTP 401 だった"
    assert [json.loads(each.body)["type"] for each in receiver.received] == ["honnin.test"] * 2
