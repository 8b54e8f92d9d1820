"""Repairing what a webhook failed to tell: each missed user becomes an event, on the queue of repairs."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from honnin import aws, event_queue
from honnin.event import Event, Provider, repair_id
from honnin.recon.file_types import FILE_TYPES
from honnin.store import ReconFile
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def event_id(file: ReconFile, user_authorization_id: str) -> str:
    """The id of a repair. It names file type, day and user, so that it takes effect once, however often it is sent."""
    return repair_id(file.file_type, file.day, user_authorization_id)


class Repairs:
    """Puts repairs on their queue."""

    def __init__(self, queue_url: str, client: "SQSClient | None" = None) -> None:
        self._queue_url = queue_url
        self._given = client

    def send(self, file: ReconFile, user_authorization_ids: Iterable[str], now: datetime) -> None:
        """Queue one event for each id. Raises `event_queue.NotQueuedError` when one was not taken."""
        events = (_event(file, each, now) for each in user_authorization_ids)
        event_queue.send_all(self._queue_url, events, self._given or aws.sqs())


def _event(file: ReconFile, user_authorization_id: str, now: datetime) -> Event:
    return Event(
        event_id=event_id(file, user_authorization_id),
        provider=Provider.PAYPAY,
        kind=FILE_TYPES[file.file_type].kind,
        cause="recon",
        subject=user_authorization_id,
        received_at=utc_text(now),
        detail={"file": file.name, "day": file.day},
    )
