"""Has the users in a recon file read again: each user becomes an event, on the queue for its urgency."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from honnin import aws, event_queue
from honnin.event import Event, Provider, recon_event_id
from honnin.recon.file_types import FILE_TYPES
from honnin.store import Comparison
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def event_id(comparison: Comparison, user_authorization_id: str) -> str:
    """The id of a comparison's event about a user. It stays the same, so the event takes effect only once."""
    number = comparison.number
    return recon_event_id(comparison.file_type, comparison.day, user_authorization_id, number)


class Repairs:
    """Puts users to be read again on two queues. Users whose webhook never came go before those who can wait."""

    def __init__(self, *, repair_queue_url: str, reread_queue_url: str, client: "SQSClient | None" = None) -> None:
        self._repair_queue_url = repair_queue_url
        self._reread_queue_url = reread_queue_url
        self._given = client

    def repair(self, comparison: Comparison, user_authorization_ids: Sequence[str], now: datetime) -> None:
        """Queue users whose webhook never came. Raises `event_queue.NotQueuedError` if an event could not be sent."""
        self._send(self._repair_queue_url, comparison, user_authorization_ids, now)

    def reread(self, comparison: Comparison, user_authorization_ids: Sequence[str], now: datetime) -> None:
        """Queue users who can wait. Raises the same as `repair`."""
        self._send(self._reread_queue_url, comparison, user_authorization_ids, now)

    def _send(self, queue_url: str, comparison: Comparison, ids: Iterable[str], now: datetime) -> None:
        events = (_event(comparison, each, now) for each in ids)
        event_queue.send_side_by_side(queue_url, events, self._given or aws.sqs())


def _event(comparison: Comparison, user_authorization_id: str, now: datetime) -> Event:
    return Event(
        event_id=event_id(comparison, user_authorization_id),
        provider=Provider.PAYPAY,
        kind=FILE_TYPES[comparison.file_type].kind,
        cause="recon",
        subject=user_authorization_id,
        received_at=utc_text(now),
        detail={"file": comparison.file_name, "day": comparison.day},
    )
