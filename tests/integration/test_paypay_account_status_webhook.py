"""PayPay's account status events: what is acknowledged is on the queue, what is refused is not."""

import json
from typing import Any

import pytest

from tests.fakes.deployment import Deployment, Function, sample

USER = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"


@pytest.fixture
def webhook(stack: Deployment) -> Function:
    return stack.function("paypay_account_status_webhook")


def queued(stack: Deployment) -> list[dict[str, Any]]:
    return [json.loads(message["Body"]) for message in stack.receive()]


def test_the_sample_event_is_acknowledged_and_queued(stack: Deployment, webhook: Function) -> None:
    answer = webhook(sample("paypay_account_status_webhook"))

    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    [event] = queued(stack)
    assert event["event_id"].startswith("paypay:account_status:evt_aXnbdeFt2Ke:")
    assert event["kind"] == "account_status"
    assert event["subject"] == USER
    assert stack.items() == []


@pytest.mark.parametrize("name", ["paypay_kyc_webhook", "paypay_recon_webhook"])
def test_a_notification_of_another_type_is_taken_for_what_it_says(
    stack: Deployment, webhook: Function, name: str
) -> None:
    # PayPay configures the URLs by hand: nothing may be lost because one was entered in the wrong place.
    assert webhook(sample(name))["statusCode"] == 200
    [event] = queued(stack)
    assert event["kind"] == {"paypay_kyc_webhook": "kyc", "paypay_recon_webhook": "recon_file"}[name]


def test_without_its_user_it_is_queued_as_unrecognised(stack: Deployment, webhook: Function) -> None:
    event = sample("paypay_account_status_webhook")
    body = json.loads(event["body"])
    del body["user_authorization_id"]
    answer = webhook(event | {"body": json.dumps(body)})
    assert answer["statusCode"] == 200
    [event] = queued(stack)
    assert (event["kind"], event["detail"]["type"]) == ("unrecognised", body["notification_type"])


def test_another_address_is_403(stack: Deployment, webhook: Function) -> None:
    event = sample("paypay_account_status_webhook")
    event["requestContext"]["identity"]["sourceIp"] = "203.0.113.9"
    assert webhook(event)["statusCode"] == 403
    assert queued(stack) == []
