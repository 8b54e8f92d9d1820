"""What a Vexora result does (a callback or a poll): call `kycStatusQuery`, then decide what the user becomes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from honnin import commit, settling
from honnin.errors import EventNotReadyError, MalformedEventError, ProviderRefusedError
from honnin.event import Event, Provider
from honnin.observability import count, count_for_alarm
from honnin.questions import since
from honnin.status import OPEN, VexoraStatus
from honnin.store import Dropped, Effect, Known, Store, Submission, UserStatus
from honnin.times import utc_text
from honnin.vault import Evidence
from honnin.vexora.archive import VexoraArchive
from honnin.vexora.client import VexoraClient
from honnin.vexora.models import REJECTED
from honnin.vexora.submission import IN_FLIGHT, applied, failed, proves_nothing, rejection_reason


class VexoraResults:
    """The rule for Vexora's events. `now` gives aware UTC moments. Without an archive no answer is stored."""

    def __init__(
        self, store: Store, client: VexoraClient, now: Callable[[], datetime], archive: VexoraArchive | None = None
    ) -> None:
        self._store = store
        self._client = client
        self._now = now
        self._archive = archive

    def decide(self, event: Event, known: Known) -> Effect | Dropped:
        """The effect of Vexora's present answer about the user of the event's submission."""
        if event.kind != "kyc_result":
            raise MalformedEventError(f"events of kind vexora/{event.kind} are unknown")
        submission = known.submission(event.subject)
        if submission and not submission.user_id:
            return Dropped(event.event_id, "erased")
        before = known.status(submission.user_id, Provider.VEXORA) if submission else None
        if before is None:
            raise MalformedEventError(f"submission {event.subject} is unknown")
        if settling.is_needless(event, before):
            return Dropped(event.event_id, "needless")
        detail = {"submissionId": event.subject, **event.detail}
        if before.submission_id == event.subject and (before.read_at or "") > since(event):
            # Vexora was asked about this submission after the event was received.
            return self._effect(event, "result_read", before, before, {**detail, settling.TAKEN: before.read_at or ""})
        begun = utc_text(self._now())
        try:
            reading = self._client.query_status(before.user_id)
        except ProviderRefusedError as error:
            return self._refused(event, before, {**detail, **error.facts()})
        current = self._store.submissions.get(before.submission_id or "")
        now = self._now()
        if reading.status == REJECTED and _in_flight(before, current, now):
            # The answer may be about the rejected application before this one, because this one has not arrived yet.
            raise EventNotReadyError(f"submission {before.submission_id} is being sent")
        if proves_nothing(before, current, reading, utc_text(now)):
            # This hint is done. The submission stays on the poll, which asks again when it is due.
            return self._effect(event, "result_read", before, before, {**detail, "about": "an earlier application"})
        after = applied(reading, before, begun)
        evidence = self._archive.keep(before, after, now, reading) if self._archive else None
        return self._effect(
            event, "result_read", before, after, {**detail, **rejection_reason(before, after)}, evidence
        )

    def _refused(self, event: Event, before: UserStatus, detail: dict[str, str]) -> Effect:
        current = self._store.submissions.get(before.submission_id or "")
        if before.status == VexoraStatus.SUBMITTING and current and current.outcome == "refused":
            # Vexora had refused the application, and now says that it does not know the user either.
            return self._effect(event, "submission_refused", before, failed(before), detail)
        # The hint cannot be confirmed, so nothing changes. An open submission stays on the poll.
        count("ReadingRefused", provider=Provider.VEXORA)
        count_for_alarm("VexoraRefused")
        return self._effect(event, "reading_refused", before, before, detail)

    def _effect(
        self,
        event: Event,
        what: str,
        before: UserStatus,
        after: UserStatus,
        detail: dict[str, str],
        evidence: Evidence | None = None,
    ) -> Effect:
        now = self._now()
        stale = _is_newly_stale(before, after, utc_text(now))
        after = settling.noted(event, replace(after, stale_reported=after.submission_id) if stale else after)
        effect = commit.effect(
            event.event_id, what, before, after, detail, at=now, cause=event.cause, evidence=evidence
        )
        return replace(effect, stale=stale)


def _is_newly_stale(before: UserStatus, after: UserStatus, now: str) -> bool:
    """Whether to report that the submission is stale: only once, and only if no change is reported. `now` is UTC."""
    if after.status != before.status or after.status not in OPEN or after.submission_id == after.stale_reported:
        return False
    return after.stale_at is not None and after.stale_at <= now


def _in_flight(status: UserStatus, submission: Submission | None, now: datetime) -> bool:
    """Whether the function that sends the application may still be running."""
    if status.status != VexoraStatus.SUBMITTING or not status.submitted_at or (submission and submission.outcome):
        return False
    return now - datetime.fromisoformat(status.submitted_at) <= IN_FLIGHT
