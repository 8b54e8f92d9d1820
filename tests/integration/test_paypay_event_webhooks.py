"""PayPay's KYC, risk and account status events: what is acknowledged is on the queue, what is refused is not."""

import json
from typing import Any

import pytest

from tests.fakes.deployment import Deployment, Function, sample

USER = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
KINDS = {
    "paypay_kyc_webhook": "kyc",
    "paypay_risk_webhook": "risk",
    "paypay_account_status_webhook": "account_status",
}
OTHERS = {**KINDS, "paypay_recon_webhook": "recon_file"}

# docs/providers.md §1.4, production, then sandbox.
PAYPAY_ADDRESSES = """
    52.68.128.8 52.68.128.84 52.192.112.175 13.115.29.37 13.208.67.224 13.208.235.224 13.208.127.89
    13.112.237.64 52.199.148.9 52.199.148.95 54.199.212.149 13.208.106.122 13.208.115.200 13.208.152.196
"""


@pytest.fixture
def kyc(stack: Deployment) -> Function:
    return stack.function("paypay_kyc_webhook")


def queued(stack: Deployment, queue: str = "EventQueue") -> list[dict[str, Any]]:
    return [json.loads(message["Body"]) for message in stack.receive(queue)]


@pytest.mark.parametrize("name", KINDS)
def test_the_sample_event_is_acknowledged_and_queued(stack: Deployment, name: str) -> None:
    answer = stack.function(name)(sample(name))

    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    [event] = queued(stack)
    assert (event["event_id"].rpartition(":")[0], event["kind"]) == (
        f"paypay:{KINDS[name]}:evt_aXnbdeFt2Ke",
        KINDS[name],
    )
    assert event["subject"] == USER
    assert stack.items() == []


@pytest.mark.parametrize("name", KINDS)
def test_a_notification_of_another_type_is_taken_for_what_it_says(stack: Deployment, name: str) -> None:
    # PayPay configures the URLs by hand: nothing may be lost because one was entered in the wrong place.
    webhook = stack.function(name)
    others = [each for each in OTHERS if each != name]
    assert [webhook(sample(other))["statusCode"] for other in others] == [200] * len(others)
    kinds = {queue: [event["kind"] for event in queued(stack, queue)] for queue in ("EventQueue", "ReconNoticeQueue")}
    assert kinds == {"EventQueue": [OTHERS[each] for each in others[:-1]], "ReconNoticeQueue": ["recon_file"]}


@pytest.mark.parametrize("name", KINDS)
def test_without_its_user_it_is_queued_as_unrecognised(stack: Deployment, name: str) -> None:
    event = sample(name)
    body = json.loads(event["body"])
    del body["user_authorization_id"]
    answer = stack.function(name)(event | {"body": json.dumps(body)})
    assert (answer["statusCode"], answer["body"]) == (200, "OK")
    [event] = queued(stack)
    assert (event["kind"], event["detail"]["type"]) == ("unrecognised", body["notification_type"])


@pytest.mark.parametrize("name", KINDS)
def test_another_address_is_403_and_nothing_is_queued(
    stack: Deployment, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    event = sample(name)
    event["requestContext"]["identity"]["sourceIp"] = "203.0.113.9"
    assert stack.function(name)(event)["statusCode"] == 403
    assert queued(stack) == []
    assert '"source_ip":"203.0.113.9"' in capsys.readouterr().out


def test_each_address_of_paypay_may_call(stack: Deployment, kyc: Function) -> None:
    event = sample("paypay_kyc_webhook")
    addresses = PAYPAY_ADDRESSES.split()
    for source in addresses:
        event["requestContext"]["identity"]["sourceIp"] = source
        assert kyc(event)["statusCode"] == 200, source
    assert len(addresses) == 14


def test_503_while_sqs_is_down_and_200_at_the_next_try(stack: Deployment, kyc: Function) -> None:
    stack.stand_in.fail_with = 500
    assert kyc(sample("paypay_kyc_webhook"))["statusCode"] == 503
    assert queued(stack) == []
    stack.stand_in.fail_with = 0
    assert kyc(sample("paypay_kyc_webhook"))["statusCode"] == 200
    assert len(queued(stack)) == 1
