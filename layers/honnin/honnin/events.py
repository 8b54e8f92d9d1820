"""How an event is applied: read the truth back, then one transaction, then publish.

The envelope is `honnin.webhook.Event`. Whatever caused an event (webhook, poll, recon), it takes this path.

Why the order of events does not matter: the user's version is read *before* the provider is asked, and the
effect is written only if it is still the same. So every applied reading began after the one applied before it
had ended, and the last one is the newest that anybody asked for. A worker that loses this race asks again.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from honnin.errors import (
    ConcurrentUpdateError,
    EventNotReadyError,
    MalformedEventError,
    ProviderRefusedError,
)
from honnin.observability import count
from honnin.publish import Publisher
from honnin.status import BY_AUTHENTICATION_STATUS, VexoraStatus, after_reading
from honnin.store import AlreadyAppliedError, Effect, Store, UserStatus, utc_text
from honnin.vexora.client import PROVIDER as VEXORA
from honnin.vexora.client import VexoraClient
from honnin.vexora.submission import IN_FLIGHT
from honnin.webhook import Event

# How long a worker goes on asking anew after losing races. Then the queue gives the event another time.
_RACING = timedelta(seconds=5)


class EventProcessor:
    """Applies events one by one. `now` gives aware UTC moments."""

    def __init__(
        self,
        *,
        store: Store,
        publisher: Publisher,
        vexora: VexoraClient,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._vexora = vexora
        self._now = now

    def process(self, event: Event) -> None:
        """Apply an event once, however often it comes, and publish what it changed.

        Raises
        ------
        MalformedEventError
            Nobody knows this kind of event, or its subject.
        HonninError, with `retryable` set
            A provider or another worker stood in the way; the event must come again.
        """
        record = self._store.event(event.event_id)
        if record is None:
            self._apply(event)
            record = self._store.event(event.event_id)
        else:
            count("EventRepeated", provider=event.provider)
        if record:
            self._publisher.announce(record)

    def _apply(self, event: Event) -> None:
        if (event.provider, event.kind) != (VEXORA, "kyc_result"):
            raise MalformedEventError(f"no rule for {event.provider}/{event.kind}")
        begun = self._now()
        while True:
            try:
                self._store.apply(self._read_vexora(event))
            except AlreadyAppliedError:
                return
            except ConcurrentUpdateError:
                if self._now() - begun > _RACING:
                    raise
            else:
                count("EventApplied", provider=event.provider, cause=event.cause)
                return

    def _read_vexora(self, event: Event) -> Effect:
        """Ask Vexora for the user of the event's submission; the effect of what it says."""
        submission = self._store.submission(event.subject)
        before = self._store.status(submission.user_id, VEXORA) if submission else None
        if before is None:
            raise MalformedEventError(f"submission {event.subject} is unknown")
        detail = {"submissionId": event.subject, **event.detail}
        try:
            reading = self._vexora.query_status(before.user_id)
        except ProviderRefusedError as error:
            # The hint cannot be confirmed, so nothing changes; an open submission stays on the poll.
            count("ReadingRefused", provider=VEXORA)
            after = replace(before, version=before.version + 1)
            return self._effect(event, "reading_refused", before, after, {**detail, "providerCode": error.code or ""})
        current, said = VexoraStatus(before.status), BY_AUTHENTICATION_STATUS[reading]
        if said is VexoraStatus.REJECTED and self._in_flight(before):
            # It may speak of the rejected application before this one, which has not arrived yet.
            raise EventNotReadyError(f"submission {before.submission_id} is being sent")
        after = replace(
            before,
            status=after_reading(current, said),
            version=before.version + 1,
            provider_status=reading,
            read_at=utc_text(self._now()),
        )
        return self._effect(event, "result_read", before, after, detail)

    def _in_flight(self, status: UserStatus) -> bool:
        if status.status != VexoraStatus.SUBMITTING or not status.submitted_at:
            return False
        submission = self._store.submission(status.submission_id or "")
        unclear = submission is not None and submission.outcome == "unclear"
        return not unclear and self._now() - datetime.fromisoformat(status.submitted_at) <= IN_FLIGHT

    def _effect(self, event: Event, what: str, before: UserStatus, after: UserStatus, detail: dict[str, str]) -> Effect:
        return Effect(
            event_id=event.event_id,
            what=what,
            cause=event.cause,
            at=utc_text(self._now()),
            before=before,
            after=after,
            detail=detail,
        )
