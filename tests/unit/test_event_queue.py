"""An array of notifications on its way to events of their own."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import pytest

from honnin import event_queue, webhook
from honnin.errors import MalformedEventError
from honnin.event import Event

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

AT = "2026-04-01T03:00:00.000Z"


class FakeQueues:
    """The SQS client as far as it is used: what was sent to which queue; from the `refuses`th batch on, nothing."""

    def __init__(self, refuses: int = 99) -> None:
        self.sent: list[tuple[str, Event]] = []
        self.batches: list[int] = []
        self._refuses = refuses

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        self.batches.append(len(Entries))
        if len(self.batches) >= self._refuses:
            return {"Failed": [{"Id": "0", "Code": "InternalError"}]}
        self.sent += [(QueueUrl, Event.from_json(each["MessageBody"])) for each in Entries]
        return {"Successful": []}


def several(count: int) -> Event:
    """What the acknowledgement queues for an array of so many notifications of users, and one of a file."""
    users = [
        {"notification_type": "kyc_passport.kyc_info.updated", "user_authorization_id": str(number)}
        for number in range(count)
    ]
    file = {"notification_type": "file.created", "fileType": "t", "path": "https://x"}
    return webhook._paypay_event(json.dumps([*users, file]).encode())


def split(event: Event, queues: FakeQueues) -> None:
    event_queue.send_split(
        event, events_url="events", recon_notifications_url="notifications", client=cast("SQSClient", queues)
    )


@pytest.mark.parametrize(("count", "batches"), [(1, [1, 1]), (10, [1, 10]), (25, [1, 10, 10, 5])])
def test_each_notification_goes_where_it_would_have_gone_alone(count: int, batches: list[int]) -> None:
    queues = FakeQueues()
    event = several(count)
    split(event, queues)
    assert queues.batches == batches
    assert [(url, each.kind) for url, each in queues.sent] == [
        ("notifications", "recon_file"),
        *[("events", "kyc")] * count,
    ]
    assert [each.subject for _, each in queues.sent[1:]] == [str(number) for number in range(count)]
    # The time of the webhook, and so its day, is that of the array.
    assert {each.received_at for _, each in queues.sent} == {event.received_at}


def test_splitting_again_gives_the_same_events() -> None:
    # So that it is safe to do when some were not taken, or when the message comes twice.
    event = several(25)
    first, again = FakeQueues(), FakeQueues()
    with pytest.raises(event_queue.NotQueuedError) as refused:
        split(event, FakeQueues(refuses=3))
    assert refused.value.retryable
    split(event, first)
    split(event, again)
    assert first.sent == again.sent


@pytest.mark.parametrize(
    "detail",
    [
        {},
        {"sha256": "x"},
        {"sha256": "x", "notifications": "{"},
        {"sha256": "x", "notifications": "1"},
        {"sha256": "x", "notifications": "[1]"},
    ],
)
def test_what_is_no_array_is_malformed(detail: dict[str, str]) -> None:
    with pytest.raises(MalformedEventError):
        split(Event("paypay:several:1", "paypay", webhook.SEVERAL, "webhook", "-", AT, detail), FakeQueues())
