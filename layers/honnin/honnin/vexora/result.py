"""What a Vexora result does (a callback or a poll): ask `kycStatusQuery`, then say what becomes of the user."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from honnin.errors import EventNotReadyError, MalformedEventError, ProviderRefusedError
from honnin.observability import count
from honnin.status import BY_AUTHENTICATION_STATUS, VexoraStatus, after_reading
from honnin.store import Dropped, Effect, Store, UserStatus, utc_text
from honnin.vexora.client import PROVIDER, VexoraClient
from honnin.vexora.submission import IN_FLIGHT
from honnin.webhook import Event


class VexoraResults:
    """The rule for Vexora's events. `now` gives aware UTC moments."""

    def __init__(self, store: Store, client: VexoraClient, now: Callable[[], datetime]) -> None:
        self._store = store
        self._client = client
        self._now = now

    def effect(self, event: Event) -> Effect | Dropped:
        """The effect of what Vexora says now about the user of the event's submission."""
        if event.kind != "kyc_result":
            raise MalformedEventError(f"no rule for vexora/{event.kind}")
        submission = self._store.submission(event.subject)
        if submission and not submission.user_id:
            return Dropped(event.event_id, "erased")
        before = self._store.status(submission.user_id, PROVIDER) if submission else None
        if before is None:
            raise MalformedEventError(f"submission {event.subject} is unknown")
        detail = {"submissionId": event.subject, **event.detail}
        try:
            reading = self._client.query_status(before.user_id)
        except ProviderRefusedError as error:
            # The hint cannot be confirmed, so nothing changes; an open submission stays on the poll.
            count("ReadingRefused", provider=PROVIDER)
            return self._effect(event, "reading_refused", before, before, {**detail, **error.facts()})
        current, said = VexoraStatus(before.status), BY_AUTHENTICATION_STATUS[reading]
        if said is VexoraStatus.REJECTED and self._in_flight(before):
            # It may speak of the rejected application before this one, which has not arrived yet.
            raise EventNotReadyError(f"submission {before.submission_id} is being sent")
        after = replace(
            before,
            status=after_reading(current, said),
            provider_status=reading,
            read_at=utc_text(self._now()),
        )
        return self._effect(event, "result_read", before, after, detail)

    def written(self) -> None:
        """Nothing to remember: each event asks for itself."""

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
            after=replace(after, version=before.version + 1),
            detail=detail,
        )
