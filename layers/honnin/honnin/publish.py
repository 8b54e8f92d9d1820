"""Domain events to EventBridge (`honnin.domain_events`). Ids, statuses and counts, no personal data.

What an event tells is part of its record, written with the effect. It is published after that commit and then
marked; what a crash leaves unmarked is published when the event comes again, or by the next poll. Hence at
least once: consumers drop repeats by `eventId`.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from honnin import aws, times
from honnin.domain_events import KYC_STATUS_CHANGED, RECON_COMPLETED, SOURCE, USER_ERASED, ReconCompleted
from honnin.errors import ConcurrentUpdateError, PublishError
from honnin.observability import loggable, logger
from honnin.store import Certificate, Effect, EventRecord, Store

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef


class Publisher:
    """Puts what the events of one table tell on one bus."""

    def __init__(self, bus: str, store: Store, client: "EventBridgeClient | None" = None) -> None:
        self._bus = bus
        self._store = store
        self._given = client

    def publish(self, record: EventRecord) -> None:
        """Publish an applied event's change and mark it so; nothing when there is none or it is marked.

        Raises
        ------
        PublishError
            EventBridge took the call but not the entry. Errors of the call itself are botocore's.
        """
        if record.change and not record.published:
            self._put(record.detail_type, _detail(record))
            # What stays unmarked is published once more by the poll; nobody has to wait for that.
            with suppress(ConcurrentUpdateError):
                self._store.events.mark_published(record.event_id, times.utc_now())

    def publish_or_leave(self, effect: Effect) -> None:
        """Publish all that an effect tells, which a caller of the API waits for; leave it to the poll on failure."""
        if effect.change:
            self._publish_or_leave(effect.event_id)
        self.publish_expiry_events(effect)

    def publish_expiry_events(self, effect: Effect) -> None:
        """Publish what an effect tells beside the change of the status; leave it to the poll on failure."""
        for expiry_event in effect.expiry_events:
            self._publish_or_leave(expiry_event.event_id)

    def _publish_or_leave(self, event_id: str) -> None:
        try:
            if record := self._store.events.get(event_id):
                self.publish(record)
        except (PublishError, BotoCoreError, ClientError) as error:
            logger().warning("change not published yet", event_id=loggable(event_id), error=type(error).__name__)

    def user_erased(self, certificate: Certificate) -> None:
        """Publish that a user was erased; leave it to the poll on failure."""
        told = EventRecord(
            certificate.told_by,
            certificate.completed_at or "",
            published=False,
            change=certificate.told,
            detail_type=USER_ERASED,
        )
        try:
            self.publish(told)
        except (PublishError, BotoCoreError, ClientError) as error:
            logger().warning("erasure not published yet", event_id=told.event_id, error=type(error).__name__)

    def recon_completed(self, detail: ReconCompleted) -> None:
        """Publish that a recon file was compared. Raises as `publish`."""
        self._put(RECON_COMPLETED, detail)

    def again(self, records: Sequence[EventRecord]) -> list[EventRecord]:
        """Publish up to ten events once more, under their ids; returns those that EventBridge did not take."""
        client = self._given or aws.events()
        answer = client.put_events(Entries=[self._entry(each.detail_type, _detail(each)) for each in records])
        return [each for each, told in zip(records, answer["Entries"], strict=True) if told.get("ErrorCode")]

    def _put(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        client = self._given or aws.events()
        answer = client.put_events(Entries=[self._entry(detail_type, detail)])
        if answer["FailedEntryCount"]:
            raise PublishError(f"EventBridge refused an event: {answer['Entries'][0].get('ErrorCode')}")

    def _entry(self, detail_type: str, detail: Mapping[str, Any]) -> "PutEventsRequestEntryTypeDef":
        return {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": detail_type,
            "Detail": json.dumps(detail, separators=(",", ":")),
        }


def _detail(record: EventRecord) -> Mapping[str, Any]:
    """What the bus is told: the table keeps no null."""
    first = {"from": None} if record.detail_type == KYC_STATUS_CHANGED else {}
    return {**first, **(record.change or {})}
