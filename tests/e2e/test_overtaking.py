"""A live risk flag overtakes 50,000 repairs that wait on the deployed stack."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from honnin.recon.repair import Repairs
from honnin.store import Comparison
from honnin.times import jst_day
from local import demo
from local.stack import Stack
from tests.e2e import crowds

pytestmark = pytest.mark.e2e

_RISK = "kyc_passport_risk_sync_recon"
_WAITING = 50_000
_USERS = 200
_STILL_WAITING = 40_000
_FLAGGED_WITHIN_S = 30.0


def _repairs(stack: Stack) -> int:
    """How many repairs wait, not counting those that the processor has received."""
    return _counted(stack, "ApproximateNumberOfMessages")


def _counted(stack: Stack, attribute: str) -> int:
    answer = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.outputs["RepairQueueUrl"], AttributeNames=[attribute]
    )
    return int(answer["Attributes"][attribute])


def _receives(stack: Stack, *, enabled: bool) -> None:
    mapping = stack.physical_id("RepairSource")
    stack.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=enabled)


@contextmanager
def _fifty_thousand_wait(stack: Stack, authorizations: list[str]) -> Iterator[None]:
    """Comparisons have found that the webhooks of these users never came; the processor reads them one by one.

    What was not worked off at the end is taken away, so that nobody else's repairs stand behind it.
    """
    sender = Repairs(
        repair_queue_url=stack.outputs["RepairQueueUrl"],
        reread_queue_url=stack.outputs["RereadQueueUrl"],
        client=stack.client("sqs"),
    )
    now = datetime.now(UTC)
    day = jst_day(now - timedelta(days=30))

    def found(number: int) -> None:
        sender.repair(Comparison(_RISK, day, f"kyc_passport_risk_{number}.csv", number), authorizations, now)

    try:
        # Filled first: both at once would take the emulator minutes.
        _receives(stack, enabled=False)
        with ThreadPoolExecutor(8) as some:
            list(some.map(found, range(1, _WAITING // len(authorizations) + 1)))
        assert _repairs(stack) == _WAITING
        _receives(stack, enabled=True)
        yield
    finally:
        _receives(stack, enabled=False)
        demo.wait_for(lambda: _counted(stack, "ApproximateNumberOfMessagesNotVisible") == 0, 60)
        stack.client("sqs").purge_queue(QueueUrl=stack.outputs["RepairQueueUrl"])
        _receives(stack, enabled=True)


def test_a_live_risk_flag_overtakes_fifty_thousand_repairs(stack: Stack, record_property: Any) -> None:
    [live] = crowds.linked(stack, 1)
    others = crowds.linked(stack, _USERS)
    stack.sandbox("PUT", f"/dials/paypay/{live}", json={"unkind": {"all": False}})
    began = time.monotonic()
    with _fifty_thousand_wait(stack, list(others.values())):
        filled_s = time.monotonic() - began
        # The processor is at the repairs already.
        assert demo.wait_for(lambda: bool(crowds.recon_events(stack, next(iter(others)))), 60)

        flagged = time.monotonic()
        stack.sandbox("POST", f"/paypay/users/{live}/risk", json={"flag": "UNACCEPTABLE_OP"})
        assert demo.wait_for(lambda: demo.status(stack, live, "paypay") == "RISK_FLAGGED", 2 * _FLAGGED_WITHIN_S)
        took_s = time.monotonic() - flagged

        waiting = _repairs(stack)
        said = f"a risk flag stood here {took_s:.1f} s after PayPay had it, while {waiting:,} repairs waited"
        print(f"{said} ({_WAITING:,} were queued in {filled_s:.0f} s)")
        record_property("overtaking", said)
        assert waiting > _STILL_WAITING
        assert took_s < _FLAGGED_WITHIN_S
        [entry] = [each for each in demo.timeline(stack, live) if each.moved_to == "RISK_FLAGGED"]
        assert entry.cause == "webhook"
    assert _repairs(stack) == 0
    crowds.removed(stack, others)
