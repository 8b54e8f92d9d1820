"""Many events on a queue, ten in one call."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import TYPE_CHECKING

from honnin.errors import HonninError, MalformedEventError
from honnin.event import Event
from honnin.webhook import split_notifications

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# The maximum of SendMessageBatch.
_MOST_MESSAGES = 10

# The number of calls at the same time, and of events that each thread takes at a time.
_THREADS = 8
_AT_ONCE = 500


class NotQueuedError(HonninError):
    """SQS did not accept every event of a batch. It is safe to send all again: an event takes effect once."""

    retryable = True


def send_all(queue_url: str, events: Iterable[Event], client: "SQSClient") -> None:
    """Put every event on the queue. Raises `NotQueuedError` when one was not accepted."""
    send_later(queue_url, ((each, 0) for each in events), client)


def send_side_by_side(queue_url: str, events: Iterable[Event], client: "SQSClient") -> None:
    """The same as `send_all`, with several threads."""

    def send(some: Sequence[Event]) -> None:
        send_all(queue_url, some, client)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="send") as threads:
        for _ in threads.map(send, batched(events, _AT_ONCE, strict=False)):
            pass


def send_later(queue_url: str, events: Iterable[tuple[Event, int]], client: "SQSClient") -> None:
    """Put every event on the queue, each with a delay in seconds (SQS allows at most 900). Raises as `send_all`."""
    for some in batched(events, _MOST_MESSAGES, strict=False):
        answer = client.send_message_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(number), "MessageBody": each.to_json(), "DelaySeconds": delay_s}
                for number, (each, delay_s) in enumerate(some)
            ],
        )
        # SQS answers HTTP 200 even if some events were not accepted.
        if failed := answer.get("Failed"):
            raise NotQueuedError(f"SQS refused {len(failed)} of {len(some)} events: {failed[0].get('Code')}")


def send_split(event: Event, *, events_url: str, recon_notifications_url: str, client: "SQSClient") -> None:
    """Put each notification of an array on the queue for its kind, so that each is processed and retried separately.

    Raises
    ------
    MalformedEventError
        The event contains no array of notifications.
    NotQueuedError
        One of them was not accepted.
    """
    try:
        found = split_notifications(event)
    except (KeyError, ValueError, TypeError, AttributeError):
        raise MalformedEventError("the message is not an array of notifications") from None
    # Notifications of recon files are sent first, because a file can be fetched for two hours only.
    send_all(recon_notifications_url, (each for each in found if each.kind == "recon_file"), client)
    send_all(events_url, (each for each in found if each.kind != "recon_file"), client)
