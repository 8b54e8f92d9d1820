"""Settling on the deployed stack: a read side that lags, many webhooks about one user, and what waits elsewhere."""

import json
import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from honnin.times import utc_text
from local import demo
from local.demo_paypay import account_link, flag_unnoticed, press_allow
from local.stack import Stack

pytestmark = pytest.mark.e2e

# `SettleDelays` of the local stack, and time enough for the last of them to be worked off.
_DELAYS_S = (2, 10)
_SETTLED_S = _DELAYS_S[-1] + 6


def _verified(stack: Stack) -> str:
    """A user with a linked and verified PayPay account, whose answers differ only where something has changed."""
    made = f"user.{uuid.uuid4().hex[:12]}"
    stack.sandbox("PUT", f"/dials/paypay/{made}", json={"unkind": {"all": False}})
    press_allow(account_link(stack, made))
    assert stack.merchant.request("GET", f"/paypay/users/{made}/kyc-passport").json()["status"] == "VERIFIED"
    return made


@pytest.fixture
def user_id(stack: Stack) -> str:
    """One for each test."""
    return _verified(stack)


@pytest.fixture(scope="module")
def erased(stack: Stack) -> tuple[str, float]:
    """A user who was erased after a webhook, and when."""
    user_id = _verified(stack)
    stack.sandbox("POST", f"/paypay/users/{user_id}/notify", json={"type": "kyc"})
    assert demo.wait_for(lambda: "webhook" in {each["cause"] for each in _entries(stack, user_id)}, 60)
    assert stack.merchant.request("DELETE", f"/users/{user_id}/personal-data").status_code == 200
    return user_id, time.monotonic()


def _status(stack: Stack, user_id: str) -> str:
    return str(stack.merchant.request("GET", f"/users/{user_id}").json()["providers"]["paypay"]["status"])


def _entries(stack: Stack, user_id: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = stack.merchant.request("GET", f"/users/{user_id}/timeline?limit=100").json()[
        "entries"
    ]
    return entries


def _item(stack: Stack, user_id: str) -> dict[str, Any]:
    table = stack.outputs["StateTableName"]
    key = {"pk": {"S": f"USER#{user_id}"}, "sk": {"S": "STATUS#paypay"}}
    item: dict[str, Any] = stack.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    return item


def test_a_change_that_the_reads_show_after_the_webhook_is_found(stack: Stack, user_id: str) -> None:
    stack.sandbox("PUT", f"/dials/paypay/{user_id}", json={"read_lag_s": _DELAYS_S[-1] - 1})
    # A machine that is busy for longer than the reads lag sees the change at the webhook: then once more.
    for flag, status in [("UNACCEPTABLE_OP", "RISK_FLAGGED"), (None, "VERIFIED")] * 4:
        stack.sandbox("POST", f"/paypay/users/{user_id}/risk", json={"flag": flag})
        assert demo.wait_for(lambda wanted=status: _status(stack, user_id) == wanted, 60)  # type: ignore[misc]
        changed, before = [each for each in _entries(stack, user_id) if each["what"] == "kyc_read"][:2]
        assert changed["to"] == status != changed["from"]
        if changed["cause"] == "settle":
            break
    assert changed["cause"] == "settle"
    assert changed["detail"]["secondsAfterWebhook"] in map(str, _DELAYS_S)
    assert (before["cause"], before["from"], before["to"]) == ("webhook", changed["from"], changed["from"])


# With the erased one, so that one wait does for both tests.
@pytest.mark.usefixtures("erased")
def test_many_webhooks_about_one_user_are_settled_together_and_nothing_new_leaves_nothing(
    stack: Stack, user_id: str
) -> None:
    for _ in range(12):
        stack.sandbox("POST", f"/paypay/users/{user_id}/notify", json={"type": "kyc"})

    def all_applied() -> bool:
        return Counter(each["cause"] for each in _entries(stack, user_id))["webhook"] >= 12

    assert demo.wait_for(all_applied, 60)
    version = _item(stack, user_id)["version"]
    time.sleep(_SETTLED_S)
    item = _item(stack, user_id)
    assert item["version"] == version
    assert set(item["received"]["M"]) == {"kyc"}
    assert "settle" not in {each["cause"] for each in _entries(stack, user_id)}


def test_an_erased_user_leaves_nothing_to_settle(stack: Stack, erased: tuple[str, float]) -> None:
    user_id, erased_at = erased
    time.sleep(max(0.0, erased_at + _SETTLED_S - time.monotonic()))
    assert stack.merchant.request("GET", f"/users/{user_id}").status_code == 404


def test_a_repair_is_worked_from_its_own_queue(stack: Stack, user_id: str) -> None:
    """As recon sends it; the permissions of the processor are those of the deployed role."""
    authorization = _item(stack, user_id)["user_authorization_id"]["S"]
    event = {
        "v": 1,
        "event_id": f"recon:kyc_passport_risk_sync_recon:2026-03-31:{authorization}",
        "provider": "paypay",
        "kind": "risk",
        "cause": "recon",
        "subject": authorization,
        "received_at": utc_text(datetime.now(UTC)),
        "detail": {},
    }
    flag_unnoticed(stack, user_id)
    stack.client("sqs").send_message(QueueUrl=stack.outputs["RepairQueueUrl"], MessageBody=json.dumps(event))
    assert demo.wait_for(lambda: _status(stack, user_id) == "RISK_FLAGGED", 60)
    assert _entries(stack, user_id)[0]["cause"] == "recon"
