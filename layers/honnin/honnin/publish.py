"""Domain events to EventBridge: `KycStatusChanged`, `ReconCompleted`. Ids, statuses and counts, no personal data.

A change is part of the event's record, written with the effect. It is published after that commit and then
marked; what a crash leaves unmarked is published when the event comes again, or by the next poll. Hence at
least once: consumers drop repeats by `eventId`.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from honnin import aws, times
from honnin.errors import ConcurrentUpdateError, PublishError
from honnin.observability import loggable, logger
from honnin.store import Effect, EventRecord, Store

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "honnin"
KYC_STATUS_CHANGED = "KycStatusChanged"
RECON_COMPLETED = "ReconCompleted"


class Publisher:
    """Puts the changes of one table on one bus."""

    def __init__(self, bus: str, store: Store, client: "EventBridgeClient | None" = None) -> None:
        self._bus = bus
        self._store = store
        self._given = client

    def announce(self, record: EventRecord) -> None:
        """Publish an applied event's change and mark it so; nothing when there is none or it is marked.

        Raises
        ------
        PublishError
            EventBridge took the call but not the entry. Errors of the call itself are botocore's.
        """
        if record.change and not record.published:
            self._put(KYC_STATUS_CHANGED, {"from": None, **record.change})
            # What stays unmarked is published once more by the poll; nobody has to wait for that.
            with suppress(ConcurrentUpdateError):
                self._store.events.mark_published(record.event_id, times.utc_now())

    def announce_or_leave(self, effect: Effect) -> None:
        """Publish the change of an effect that a caller of the API waits for; leave it to the poll on failure."""
        try:
            record = self._store.events.get(effect.event_id) if effect.change else None
            if record:
                self.announce(record)
        except (PublishError, BotoCoreError, ClientError) as error:
            logger().warning("change not published yet", event_id=loggable(effect.event_id), error=type(error).__name__)

    def recon_completed(self, detail: Mapping[str, Any]) -> None:
        """Publish that a recon file was compared. Raises as `announce`."""
        self._put(RECON_COMPLETED, detail)

    def _put(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        client = self._given or aws.events()
        answer = client.put_events(
            Entries=[
                {
                    "EventBusName": self._bus,
                    "Source": SOURCE,
                    "DetailType": detail_type,
                    "Detail": json.dumps(detail, separators=(",", ":")),
                }
            ]
        )
        if answer["FailedEntryCount"]:
            raise PublishError(f"EventBridge refused an event: {answer['Entries'][0].get('ErrorCode')}")
