"""Repairs: which events go on the queue, in which batches, and that a refused one is not taken for sent."""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from honnin.event import Event
from honnin.event_queue import NotQueuedError
from honnin.recon.repair import Repairs, event_id
from honnin.store import Comparison

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

NOW = datetime(2026, 4, 1, 18, 5, tzinfo=UTC)
LINKED = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"


class FakeQueue:
    """The SQS client as far as `Repairs` uses it; what is in `refuses` is taken first."""

    def __init__(self) -> None:
        self.queues: list[str] = []
        self.batches: list[Sequence[Mapping[str, str]]] = []
        self.refuses: deque[list[dict[str, str]]] = deque()

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, str]]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl in ("repairs", "rereads")
        self.queues.append(QueueUrl)
        assert len({each["Id"] for each in Entries}) == len(Entries)
        self.batches.append(Entries)
        return {"Failed": self.refuses.popleft()} if self.refuses else {"Successful": []}


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def repairs(queue: FakeQueue) -> Repairs:
    return Repairs(repair_queue_url="repairs", reread_queue_url="rereads", client=cast("SQSClient", queue))


def comparison(
    file_type: str = "kyc_passport_sync_recon", day: str = "2026-03-31", name: str = "a.csv", number: int = 1
) -> Comparison:
    return Comparison(file_type, day, name, number)


@pytest.mark.parametrize(
    ("file_type", "kind"),
    [
        ("kyc_passport_sync_recon", "kyc"),
        ("kyc_passport_risk_sync_recon", "risk"),
        ("kyc_passport_account_status_sync_recon", "account_status"),
    ],
)
def test_a_repair_is_an_event_of_the_kind_whose_webhook_was_lost(
    repairs: Repairs, queue: FakeQueue, file_type: str, kind: str
) -> None:
    repairs.repair(comparison(file_type), [LINKED], NOW)

    [[entry]] = queue.batches
    event = Event.from_json(entry["MessageBody"])
    assert event == Event(
        f"recon:{file_type}:2026-03-31:{LINKED}:1",
        "paypay",
        kind,
        "recon",
        LINKED,
        "2026-04-01T18:05:00.000Z",
        {"file": "a.csv", "day": "2026-03-31"},
    )


def test_the_id_differs_by_type_day_user_and_comparison_and_by_nothing_else() -> None:
    ids = {
        event_id(comparison(file_type, day, number=number), user)
        for file_type in ("kyc_passport_sync_recon", "kyc_passport_risk_sync_recon")
        for day in ("2026-03-31", "2026-04-01")
        for user in ("a", "b")
        for number in (1, 2)
    }

    assert len(ids) == 16
    assert event_id(comparison(name="a.csv.rev-1"), "a") in ids


def test_who_can_wait_is_on_a_queue_of_its_own(repairs: Repairs, queue: FakeQueue) -> None:
    repairs.repair(comparison(), ["a"], NOW)
    repairs.reread(comparison(), ["b"], NOW)

    assert queue.queues == ["repairs", "rereads"]


@pytest.mark.parametrize(("count", "batches"), [(0, []), (1, [1]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
def test_sqs_takes_ten_at_once(repairs: Repairs, queue: FakeQueue, count: int, batches: list[int]) -> None:
    ids = [f"user-{number}" for number in range(count)]

    repairs.repair(comparison(), ids, NOW)

    assert [len(each) for each in queue.batches] == batches
    sent = [json.loads(entry["MessageBody"])["subject"] for batch in queue.batches for entry in batch]
    assert sent == ids


def test_ten_events_with_the_longest_ids_fit_into_one_call(repairs: Repairs, queue: FakeQueue) -> None:
    longest = comparison("kyc_passport_account_status_sync_recon", name="n" * 255, number=10_000)

    repairs.repair(longest, [f"{number}".ljust(64, "x") for number in range(10)], NOW)

    assert sum(len(each["MessageBody"]) for each in queue.batches[0]) < 256 * 1024


def test_one_event_that_is_not_taken_is_an_error_that_time_mends(repairs: Repairs, queue: FakeQueue) -> None:
    queue.refuses += [[], [{"Id": "3", "Code": "InternalError", "Message": LINKED}]]

    with pytest.raises(NotQueuedError, match="1 of 10 events: InternalError") as refused:
        repairs.repair(comparison(), [f"user-{number}" for number in range(30)], NOW)

    assert refused.value.retryable
    assert LINKED not in str(refused.value)
    # What comes after it is not sent; all of it will be sent again.
    assert len(queue.batches) == 2
