"""PayPay's KYC events: what is acknowledged is on the queue, what is refused is not."""

import json
from typing import Any

import pytest

from tests.fakes.deployment import Deployment, Function, sample

USER = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"

# docs/providers.md §1.4, production, then sandbox.
PAYPAY_ADDRESSES = """
    52.68.128.8 52.68.128.84 52.192.112.175 13.115.29.37 13.208.67.224 13.208.235.224 13.208.127.89
    13.112.237.64 52.199.148.9 52.199.148.95 54.199.212.149 13.208.106.122 13.208.115.200 13.208.152.196
"""


@pytest.fixture
def webhook(stack: Deployment) -> Function:
    return stack.function("paypay_kyc_webhook")


def queued(stack: Deployment) -> list[dict[str, Any]]:
    return [json.loads(message["Body"]) for message in stack.receive()]


def test_the_sample_event_is_acknowledged_and_queued(stack: Deployment, webhook: Function) -> None:
    answer = webhook(sample("paypay_kyc_webhook"))

    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    [event] = queued(stack)
    assert event["event_id"].startswith("paypay:kyc:evt_aXnbdeFt2Ke:")
    assert (event["kind"], event["subject"]) == ("kyc", USER)
    assert stack.items() == []


@pytest.mark.parametrize(
    "source",
    PAYPAY_ADDRESSES.split(),
)
def test_each_address_of_paypay_may_call(webhook: Function, source: str) -> None:
    event = sample("paypay_kyc_webhook")
    event["requestContext"]["identity"]["sourceIp"] = source
    assert webhook(event)["statusCode"] == 200


def test_another_address_is_403_and_nothing_is_queued(
    stack: Deployment, webhook: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    event = sample("paypay_kyc_webhook")
    event["requestContext"]["identity"]["sourceIp"] = "203.0.113.9"
    assert webhook(event)["statusCode"] == 403
    assert queued(stack) == []
    assert '"source_ip": "203.0.113.9"' in capsys.readouterr().out


def test_503_while_sqs_is_down_and_200_at_the_next_try(stack: Deployment, webhook: Function) -> None:
    stack.stand_in.fail_with = 500
    assert webhook(sample("paypay_kyc_webhook"))["statusCode"] == 503
    assert queued(stack) == []
    stack.stand_in.fail_with = 0
    assert webhook(sample("paypay_kyc_webhook"))["statusCode"] == 200
    assert len(queued(stack)) == 1
