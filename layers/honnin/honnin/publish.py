"""Domain events to EventBridge (`honnin.domain_events`). Ids, statuses and counts, no personal data.

The content of a domain event is part of the event's record, which is written with the effect. It is published after
that commit and then marked. If a crash leaves it without a mark, it is published when the event comes again, or by the
next poll. So each is published at least once, and consumers must drop repeats by `eventId`.
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
    """Publishes the domain events of one table on one bus."""

    def __init__(self, bus: str, store: Store, client: "EventBridgeClient | None" = None) -> None:
        self._bus = bus
        self._store = store
        self._given = client

    def publish(self, record: EventRecord) -> None:
        """Publish an applied event's change and mark it as published.

        Does nothing if there is no change or it is marked.

        Raises
        ------
        PublishError
            EventBridge accepted the call but not the entry. Errors of the call itself are botocore's.
        """
        if record.change and not record.published:
            self._put(record.detail_type, _detail(record))
            # If it stays without a mark, the poll publishes it again, so nothing needs to wait for the mark.
            with suppress(ConcurrentUpdateError):
                self._store.events.mark_published(record.event_id, times.utc_now())

    def publish_or_leave(self, effect: Effect) -> None:
        """Publish all content of an effect while a caller of the API waits.

        If that fails, the poll publishes it later.
        """
        if effect.change:
            self._publish_or_leave(effect.event_id)
        self.publish_expiry_events(effect)

    def publish_expiry_events(self, effect: Effect) -> None:
        """Publish the content of an effect other than the status change. If that fails, the poll publishes it later."""
        for expiry_event in effect.expiry_events:
            self._publish_or_leave(expiry_event.event_id)

    def _publish_or_leave(self, event_id: str) -> None:
        try:
            if record := self._store.events.get(event_id):
                self.publish(record)
        except (PublishError, BotoCoreError, ClientError) as error:
            logger().warning(
                "a domain event was not published; the poll publishes it later",
                event_id=loggable(event_id),
                error=type(error).__name__,
            )

    def user_erased(self, certificate: Certificate) -> None:
        """Publish that a user was erased. If that fails, the poll publishes it later."""
        record = EventRecord(
            certificate.report_id,
            certificate.completed_at or "",
            published=False,
            change=certificate.report,
            detail_type=USER_ERASED,
        )
        try:
            self.publish(record)
        except (PublishError, BotoCoreError, ClientError) as error:
            logger().warning(
                "the event UserErased was not published; the poll publishes it later",
                event_id=record.event_id,
                error=type(error).__name__,
            )

    def recon_completed(self, detail: ReconCompleted) -> None:
        """Publish that a recon file was compared. Raises as `publish`."""
        self._put(RECON_COMPLETED, detail)

    def again(self, records: Sequence[EventRecord]) -> list[EventRecord]:
        """Publish up to ten events again, with the same ids; returns those that EventBridge did not accept."""
        client = self._given or aws.events()
        answer = client.put_events(Entries=[self._entry(each.detail_type, _detail(each)) for each in records])
        return [each for each, result in zip(records, answer["Entries"], strict=True) if result.get("ErrorCode")]

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
    """The content for the bus, with the null values that the table does not store."""
    first = {"from": None} if record.detail_type == KYC_STATUS_CHANGED else {}
    return {**first, **(record.change or {})}
