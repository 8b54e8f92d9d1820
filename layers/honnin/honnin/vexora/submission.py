"""Submitting a user to Vexora so that no crash, time-out or repeat ever causes a blind second application."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from honnin import webhook
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from honnin.publish import Publisher
from honnin.status import BY_AUTHENTICATION_STATUS, VexoraStatus, after_reading, may_submit
from honnin.store import AlreadyAppliedError, Effect, Store, Submission, UserStatus, utc_text, with_former
from honnin.vexora import schedule
from honnin.vexora.client import PROVIDER, VexoraClient

# The submission function ends after 29 s at the latest: older than this, no call of it is under way any more.
IN_FLIGHT = timedelta(seconds=40)


class Submissions:
    """Takes users to Vexora.

    Parameters
    ----------
    webhook_api_url
        Gives the base URL that callbacks come to (it arrives with each request).
    callback_key
        Gives the key of the tokens in callback URLs.
    poll_delays_s
        Seconds after the submission at which it is polled first.
    unknown_user_codes
        Vexora's codes for "no application of this user". Any other refusal says nothing about the application.
    """

    def __init__(
        self,
        *,
        store: Store,
        client: VexoraClient,
        publisher: Publisher,
        webhook_api_url: Callable[[], str],
        callback_key: Callable[[], str],
        poll_delays_s: Sequence[int],
        now: Callable[[], datetime],
        unknown_user_codes: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._client = client
        self._publisher = publisher
        self._webhook_api_url = webhook_api_url
        self._callback_key = callback_key
        self._poll_delays_s = poll_delays_s
        self._now = now
        self._unknown_user_codes = unknown_user_codes
        self._first_poll = timedelta(seconds=poll_delays_s[0])

    def submit(self, user_id: str, username_furigana: str) -> UserStatus:
        """Apply for one user; the returned status is SUBMITTING when Vexora's answer did not come in time.

        Raises
        ------
        ConflictError
            The user has an open submission or is approved.
        ProviderRefusedError
            Vexora refused the application; the status is FAILED (SUBMITTING if an unclear one went before), and a
            new submission is allowed.
        ProviderUnavailableError
            Vexora's answer does not tell whether it took the application; the poll will find out.
        """
        before = self._free_to_submit(user_id)
        # Everything that can be wrong with our own deployment shows before anything is written.
        key = self._callback_key()
        self._client.check_configuration()
        submission_id = str(uuid.uuid4())
        callback_url = self._callback_url(submission_id, key)
        started = self._start(user_id, before, submission_id)
        try:
            reading = self._client.apply(
                user_id=user_id,
                username_furigana=username_furigana,
                callback_url=callback_url,
            )
        except ProviderRefusedError as error:
            # After an unclear submission the refusal may mean "this user has applied already": then only the poll
            # can tell, so it goes on.
            unclear = before is not None and before.status == VexoraStatus.SUBMITTING
            status = VexoraStatus.SUBMITTING if unclear else VexoraStatus.FAILED
            outcome = "unclear" if unclear else None
            error.state = self._record(started, status, "submission_refused", error.facts(), outcome=outcome).status
            raise
        except ProviderUnavailableError as error:
            after = self._record(
                started, VexoraStatus.SUBMITTING, "submission_unclear", error.facts(), outcome="unclear"
            )
            if isinstance(error, ProviderTimeoutError):
                return after
            error.state = after.status
            raise
        status = after_reading(VexoraStatus.SUBMITTING, BY_AUTHENTICATION_STATUS[reading])
        return self._record(started, status, "submission_accepted", {}, reading=reading)

    def _free_to_submit(self, user_id: str) -> UserStatus | None:
        """The present status, when it allows a submission; raises `ConflictError` otherwise.

        A submission whose fate is unclear is asked for first. Another one is allowed only when Vexora says, by a code
        that is known to mean it, that it has none, and the first poll is due as well (so that no late arrival is
        overlooked).
        """
        before = self._store.status(user_id, PROVIDER)
        if before is None or may_submit(VexoraStatus(before.status)):
            return before
        if before.status == VexoraStatus.SUBMITTING and self._is_unclear(before):
            before = self._ask(before)
            lost = before.status == VexoraStatus.SUBMITTING and self._age(before) > self._first_poll
            if lost or may_submit(VexoraStatus(before.status)):
                return before
        raise ConflictError(
            "the user has a submission already", state=before.status, submission_id=before.submission_id
        )

    def _is_unclear(self, before: UserStatus) -> bool:
        submission = self._store.submission(before.submission_id or "")
        unclear = submission is not None and submission.outcome == "unclear"
        return unclear or self._age(before) > IN_FLIGHT

    def _age(self, status: UserStatus) -> timedelta:
        now = self._now()
        return now - datetime.fromisoformat(status.submitted_at or utc_text(now))

    def _ask(self, before: UserStatus) -> UserStatus:
        """What Vexora knows of an unclear submission. SUBMITTING again means: it has never heard of it."""
        try:
            reading = self._client.query_status(before.user_id)
        except ProviderRefusedError as error:
            if error.code in self._unknown_user_codes:
                return before
            raise ConflictError(
                f"an earlier submission is still unclear: Vexora answers {error.code!r}",
                state=before.status,
                submission_id=before.submission_id,
            ) from None
        except ProviderError:
            raise ConflictError(
                "an earlier submission is still unclear and Vexora cannot be asked now",
                state=before.status,
                submission_id=before.submission_id,
            ) from None
        status = after_reading(VexoraStatus.SUBMITTING, BY_AUTHENTICATION_STATUS[reading])
        return self._record(before, status, "result_read", {}, reading=reading)

    def _start(self, user_id: str, before: UserStatus | None, submission_id: str) -> UserStatus:
        now = self._now()
        _, first_poll = schedule.next_poll(now, 0, self._poll_delays_s, now)
        after = UserStatus(
            user_id=user_id,
            provider=PROVIDER,
            status=VexoraStatus.SUBMITTING,
            version=before.version + 1 if before else 1,
            submission_id=submission_id,
            submitted_at=utc_text(now),
            stale_at=utc_text(schedule.stale_at(now, self._poll_delays_s)),
        )
        after = with_former(before, after)
        effect = Effect(
            event_id=f"api:{submission_id}:started",
            what="submission_started",
            cause="api",
            at=utc_text(now),
            before=before,
            after=after,
            detail={"submissionId": submission_id},
            opens=Submission(
                submission_id=submission_id,
                user_id=user_id,
                status=after.status,
                submitted_at=utc_text(now),
                due_at=utc_text(first_poll) if first_poll else None,
            ),
        )
        try:
            self._store.apply(effect)
        except ConcurrentUpdateError:
            raise ConflictError("another submission of this user has just started") from None
        self._publisher.announce_or_leave(effect)
        return after

    def _record(
        self,
        before: UserStatus,
        status: VexoraStatus,
        what: str,
        facts: Mapping[str, str],
        *,
        reading: str | None = None,
        outcome: str | None = None,
    ) -> UserStatus:
        """Write what became of the call. If a callback was faster, its status stands and is returned."""
        while True:
            at = utc_text(self._now())
            after = replace(
                before,
                status=status,
                version=before.version + 1,
                provider_status=reading or before.provider_status,
                read_at=at if reading else before.read_at,
            )
            effect = Effect(
                event_id=f"api:{before.submission_id}:{what}:{before.version}",
                what=what,
                cause="api",
                at=at,
                before=before,
                after=after,
                detail={"submissionId": before.submission_id or "", **facts},
                outcome=outcome,
            )
            try:
                self._store.apply(effect)
            except (ConcurrentUpdateError, AlreadyAppliedError):
                now = self._store.status(before.user_id, PROVIDER)
                if now is None:
                    return after  # the user was erased meanwhile
                if (now.status, now.submission_id) != (VexoraStatus.SUBMITTING, before.submission_id):
                    return now
                # Somebody asked and learned nothing; what we know still stands.
                before = now
            else:
                self._publisher.announce_or_leave(effect)
                return after

    def _callback_url(self, submission_id: str, key: str) -> str:
        token = webhook.callback_token(submission_id, key)
        return f"{self._webhook_api_url()}/webhooks/vexora/kyc-result/{submission_id}/{token}"
