"""A wrong `X-ASSUME-MERCHANT` on the deployed stack stops repairs and rereads at `MassChangePercent`, and resumes."""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from local import demo
from local.demo_paypay import account_link, press_allow
from local.stack import Stack
from tests.e2e.program import honninctl, ok

pytestmark = pytest.mark.e2e

# Enough that 20 of them are far more than 5 percent of what the test itself reads.
_USERS = 30
_LEAST_USERS = 20
_WORKED_OFF_S = 120


def _linked(stack: Stack) -> str:
    """A linked and verified user."""
    user_id = f"mass.{uuid.uuid4().hex[:12]}"
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"unkind": {"all": False}, "wrong_merchant": "answered"})
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()["status"] == "VERIFIED"
    return user_id


def _statuses(stack: Stack, users: Sequence[str]) -> list[str]:
    return [str(demo.status(stack, each, "paypay")) for each in users]


def _reread(stack: Stack, users: Sequence[str]) -> None:
    """What recon and `honninctl reread` queue, at once for all."""
    table = stack.outputs["StateTableName"]
    for user_id in users:
        key = {"pk": {"S": f"USER#{user_id}"}, "sk": {"S": "STATUS#paypay"}}
        item = stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        event = {
            "v": 1,
            "event_id": f"operator:{uuid.uuid4()}",
            "provider": "paypay",
            "kind": "account_status",
            "cause": "operator",
            "subject": item["user_authorization_id"]["S"],
            "received_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "detail": {},
        }
        stack.client("sqs").send_message(QueueUrl=stack.outputs["RereadQueueUrl"], MessageBody=json.dumps(event))


@contextmanager
def _wrong_header(stack: Stack) -> Iterator[None]:
    """The processor is deployed with somebody else's X-ASSUME-MERCHANT, as a new version behind its alias."""
    client, name = stack.client("lambda"), stack.function_name("EventProcessorFunction")
    right = client.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    wrong = {**variables, "PAYPAY_ASSUME_MERCHANT": "somebody-else"}
    client.update_function_configuration(FunctionName=name, Environment={"Variables": wrong})
    version = client.publish_version(FunctionName=name)["Version"]
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    try:
        yield
    finally:
        client.update_alias(FunctionName=name, Name="live", FunctionVersion=right)
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def _state(stack: Stack) -> Any:
    return honninctl(stack, "repairs", "status", "--json").json


@pytest.mark.timeout(600)
def test_a_wrong_header_stops_repairs_and_rereads_and_unlinks_few(stack: Stack) -> None:
    with ThreadPoolExecutor(5) as pool:
        users = list(pool.map(lambda _: _linked(stack), range(_USERS)))
    # The limit holds from now on (conftest.py), and what other tests have read would make twenty users too few.
    assert ok(stack, "repairs", "resume", "--yes")["running"]
    try:
        with _wrong_header(stack):
            _reread(stack, users)
            assert demo.wait_for(lambda: _state(stack)["stop"] is not None, _WORKED_OFF_S), _statuses(stack, users)
            stopped = demo.wait_for(lambda: set(_state(stack)["mappings"].values()) == {"Disabled"}, 60)
            assert stopped, _state(stack)
            # Others in the hour may have lost a user or two as well; never more than the limit in all.
            assert 1 <= _statuses(stack, users).count("UNLINKED") < _LEAST_USERS
            losses = _state(stack)["stop"]["losses"]
            assert ("paypay", "VERIFIED", "UNLINKED") in {
                (each["provider"], each["from"], each["to"]) for each in losses
            }

            # Nothing more of them is applied, though more is queued; live events go on.
            lost = [each for each in users if demo.status(stack, each, "paypay") == "UNLINKED"]
            live = next(each for each in users if each not in lost)
            _reread(stack, users)
            stack.sandbox("POST", f"/paypay/users/{live}/notify", json={"type": "account_status"})
            assert demo.wait_for(lambda: demo.status(stack, live, "paypay") == "UNLINKED", _WORKED_OFF_S)
            assert _statuses(stack, users).count("UNLINKED") == len(lost) + 1
            failing = [
                each for each in honninctl(stack, "doctor", "--json").json["checks"] if each["topic"] == "repairs"
            ]
            assert [each["verdict"] for each in failing] == ["fail"]
    finally:
        resumed = honninctl(stack, "repairs", "resume", "--yes", "--json")
    assert resumed.code == 0, resumed.stderr
    assert resumed.json["running"]

    # What was received at the stop comes again within 15 minutes; here everybody is asked about anew.
    _reread(stack, users)
    assert demo.wait_for(lambda: set(_statuses(stack, users)) == {"VERIFIED"}, _WORKED_OFF_S), _statuses(stack, users)
    assert _state(stack)["stop"] is None
    ok(stack, "repairs", "resume", "--no-limit-for", "24", "--yes")
    # Those messages are no other test's: these wait until the queues are empty.
    for queue in ("RepairQueueUrl", "RereadQueueUrl"):
        stack.client("sqs").purge_queue(QueueUrl=stack.outputs[queue])
