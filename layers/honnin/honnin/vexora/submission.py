"""Submits a user to Vexora so that no crash, time-out or repeat ever causes an unwanted second application."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from honnin import commit, webhook
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    NotSentError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from honnin.event import Provider
from honnin.problem_codes import ProblemCode
from honnin.publish import Publisher
from honnin.status import BY_AUTHENTICATION_STATUS, OPEN, VexoraStatus, after_reading, may_submit
from honnin.store import AlreadyAppliedError, Contract, Effect, Store, Submission, UserStatus
from honnin.times import utc_text
from honnin.vexora import schedule
from honnin.vexora.archive import VexoraArchive
from honnin.vexora.client import VexoraClient
from honnin.vexora.models import REJECTED, Reading

# The submission function ends after at most 29 s. After this time, none of its calls is running any more.
IN_FLIGHT = timedelta(seconds=40)


class Submissions:
    """Submits users to Vexora.

    Parameters
    ----------
    webhook_api_url
        Returns the base URL for callbacks (it comes with each request).
    callback_key
        Returns the key of the tokens in callback URLs.
    poll_delays_s
        Seconds after the submission at which it is polled first.
    unknown_user_codes
        Vexora's codes for "no application of this user". Any other refusal says nothing about the application.
    archive
        Stores the answers that decide something (None: they are not stored).
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
        archive: VexoraArchive | None = None,
    ) -> None:
        self._store = store
        self._client = client
        self._commits = commit.Commits(store, publisher.publish_or_leave, now)
        self._webhook_api_url = webhook_api_url
        self._callback_key = callback_key
        self._poll_delays_s = poll_delays_s
        self._now = now
        self._unknown_user_codes = unknown_user_codes
        self._archive = archive
        self._first_poll = timedelta(seconds=poll_delays_s[0])

    def submit(self, user_id: str, username_furigana: str) -> UserStatus:
        """Apply for one user; the returned status is SUBMITTING if Vexora's answer did not come in time.

        Raises
        ------
        ConflictError
            The user has an open submission or is approved, or the erasure of the user has begun and is not completed.
        NotSentError
            The application was never sent. The user has the same status as before (FAILED if there was none), and the
            same call may be made again.
        ProviderRefusedError
            Vexora refused the application. Vexora was then asked what it knows about the user, and `state` is the
            user's status now: FAILED if it knows nothing, SUBMITTING if that is unclear.
        ProviderUnavailableError
            Vexora's answer does not say whether it accepted the application; the poll will find out.
        """
        before = self._free_to_submit(user_id)
        if self._store.erasure.is_under_way(user_id):
            raise ConflictError("the erasure of the user has begun", code=ProblemCode.ERASURE_BEGUN)
        # All errors in our own deployment must appear before anything is written.
        key = self._callback_key()
        self._client.check_configuration()
        submission_id = str(uuid.uuid4())
        callback_url = self._callback_url(submission_id, key)
        started = self._start(user_id, before, submission_id)
        begun = self._now()
        try:
            reading = self._client.apply(
                user_id=user_id,
                username_furigana=username_furigana,
                callback_url=callback_url,
            )
        except NotSentError as error:
            error.state = self._not_sent(before, started, error).status
            raise
        except ProviderRefusedError as error:
            error.state = self._refused(before, started, error).status
            raise
        except ProviderUnavailableError as error:
            after = self._record(started, "submission_unclear", _unchanged, error.facts(), outcome="unclear")
            if isinstance(error, ProviderTimeoutError):
                return after
            error.state = after.status
            raise
        return self._record(started, "submission_accepted", _applied(reading, begun), reading=reading)

    def _not_sent(self, before: UserStatus | None, started: UserStatus, error: ProviderError) -> UserStatus:
        """The user's status before the application; FAILED if there was none."""
        what = "submission_not_sent"
        if before is None:
            return self._record(started, what, failed, error.facts(), was_sent=False)

        def back(now: UserStatus) -> UserStatus:
            return replace(before, read_at=now.read_at or before.read_at)

        withdrawn = started.submission_id
        return self._record(started, what, back, error.facts(), was_sent=False, withdraws=withdrawn)

    def _earlier_contract(self, user_id: str, submission_id: str) -> Contract | None:
        """The contract before a submission that was not sent; None if something was said or done since."""
        submission = self._store.submissions.get(submission_id)
        if submission is None or self._store.contracts.get(user_id).submission_id != submission_id:
            return None
        return Contract(user_id, submission_id=submission_id, **(submission.earlier_contract or {}))

    def _refused(self, before: UserStatus | None, started: UserStatus, error: ProviderError) -> UserStatus:
        """The status of a user whose application was refused: what Vexora knows of the user, otherwise see `failed`."""
        what = "submission_refused"
        if before is not None and before.status == VexoraStatus.SUBMITTING:
            # The refusal may mean "this user has applied already". Only the poll can find that out, so it continues.
            return self._record(started, what, _unchanged, error.facts(), outcome="unclear")

        def still(now: UserStatus) -> UserStatus:
            rejected = before is not None and before.status == VexoraStatus.REJECTED
            return replace(now, provider_status=REJECTED if rejected else None)

        begun = self._now()
        try:
            # The user may have been approved there before we applied; Vexora refuses a repeated application also
            # elsewhere (docs/providers.md §2, "repeats elsewhere").
            reading = self._client.query_status(started.user_id)
        except ProviderRefusedError:
            return self._record(started, what, lambda now: failed(still(now), before), error.facts())
        except ProviderError:
            return self._record(started, what, still, error.facts(), outcome="refused")
        return self._record(started, what, _applied(reading, begun), error.facts(), reading=reading)

    def _free_to_submit(self, user_id: str) -> UserStatus | None:
        """The present status, if it allows a submission; raises `ConflictError` otherwise.

        If it is unclear what happened to the last submission, or if it is open for a month, Vexora is asked about it
        first. Another submission is allowed in two cases. Either Vexora has decided the last one. Or Vexora says, by a
        code that is known to mean it, that it has none, and the first poll is due as well (so that no late arrival is
        missed).
        """
        before = self._store.users.status(user_id, Provider.VEXORA)
        if before is None or may_submit(VexoraStatus(before.status)):
            return before
        submission = self._store.submissions.get(before.submission_id or "")
        if self._is_to_be_asked(before, submission):
            asked = self._ask(before, submission)
            if asked is None and self._age(before) > self._first_poll:
                return before
            before = asked or before
            if may_submit(VexoraStatus(before.status)):
                return before
        raise ConflictError(
            f"the user already has a submission, made at {before.submitted_at}",
            code=(
                ProblemCode.ALREADY_APPROVED if before.status == VexoraStatus.APPROVED else ProblemCode.SUBMISSION_OPEN
            ),
            state=before.status,
            submission_id=before.submission_id,
        )

    def _is_to_be_asked(self, before: UserStatus, submission: Submission | None) -> bool:
        if before.status not in OPEN:
            return False
        if before.stale_at is not None and before.stale_at <= utc_text(self._now()):
            return True
        unclear = submission is not None and submission.outcome is not None
        return before.status == VexoraStatus.SUBMITTING and (unclear or self._age(before) > IN_FLIGHT)

    def _age(self, status: UserStatus) -> timedelta:
        now = self._now()
        return now - datetime.fromisoformat(status.submitted_at or utc_text(now))

    def _ask(self, before: UserStatus, submission: Submission | None) -> UserStatus | None:
        """What Vexora knows about an open submission; None if it does not know the user."""
        begun = self._now()
        try:
            reading = self._client.query_status(before.user_id)
        except ProviderRefusedError as error:
            if before.status == VexoraStatus.SUBMITTING and submission and submission.outcome == "refused":
                return self._record(before, "submission_refused", failed, error.facts())
            if error.code in self._unknown_user_codes:
                return None
            raise _still_unclear(before, "Vexora refused to answer", error.code) from None
        except ProviderError:
            raise _still_unclear(before, "Vexora could not be asked") from None
        if proves_nothing(before, submission, reading, utc_text(self._now())):
            return before
        return self._record(before, "result_read", _applied(reading, begun), reading=reading)

    def _start(self, user_id: str, before: UserStatus | None, submission_id: str) -> UserStatus:
        now = self._now()
        _, first_poll = schedule.next_poll(now, 0, self._poll_delays_s, now)
        after = UserStatus(
            user_id=user_id,
            provider=Provider.VEXORA,
            status=VexoraStatus.SUBMITTING,
            version=0,
            submission_id=submission_id,
            submitted_at=utc_text(now),
            stale_at=utc_text(schedule.stale_at(now, self._poll_delays_s)),
        )
        opens = Submission(
            submission_id=submission_id,
            user_id=user_id,
            status=after.status,
            submitted_at=utc_text(now),
            due_at=utc_text(first_poll) if first_poll else None,
        )
        started = commit.effect(
            f"api:{submission_id}:started",
            "submission_started",
            before,
            after,
            {"submissionId": submission_id},
            at=now,
        )
        starting = ConflictError(
            "another submission of this user has just started", code=ProblemCode.SUBMISSION_STARTING
        )
        tries: list[UserStatus | None] = []

        def decide() -> Effect:
            # The race may have been lost to a change at PayPay, because `verified` depends on PayPay, too. That is no
            # conflict.
            tries.append(self._store.users.status(user_id, Provider.VEXORA) if tries else before)
            if tries[-1] != before:
                raise starting
            return replace(started, opens=opens)

        try:
            self._commits.run(decide, until=now + commit.CALLER_WAITS)
        except ConcurrentUpdateError:
            raise starting from None
        return started.after

    def _record(
        self,
        before: UserStatus,
        what: str,
        becomes: Callable[[UserStatus], UserStatus],
        facts: Mapping[str, str] | None = None,
        *,
        outcome: str | None = None,
        withdraws: str | None = None,
        was_sent: bool = True,
        reading: Reading | None = None,
    ) -> UserStatus:
        """Write what became of the call, by the answer that said so. If a callback was faster, its status stands and is
        returned. If the application was not sent, nobody came back: an end of the contract that was reported stands.
        """
        decided: list[Effect] = []

        def decide() -> Effect | UserStatus:
            now = self._store.users.status(before.user_id, Provider.VEXORA) if decided else before
            if now is None:
                return decided[-1].after  # the user was erased meanwhile
            if (now.status, now.submission_id) != (before.status, before.submission_id):
                return now
            # The faster worker has asked and learned nothing new, so what we know is still valid.
            at = self._now()
            after = becomes(now)
            event_id = f"api:{now.submission_id}:{what}:{now.version}"
            detail = {"submissionId": now.submission_id or "", **(facts or {}), **rejection_reason(now, after)}
            evidence = self._archive.keep(now, after, at, reading) if self._archive and reading else None
            effect = commit.effect(event_id, what, now, after, detail, at=at, evidence=evidence)
            restores = None if was_sent else self._earlier_contract(now.user_id, now.submission_id or "")
            decided.append(replace(effect, outcome=outcome, withdraws=withdraws, restores=restores))
            return decided[-1]

        # Two calls with the same result for the same version have the same event id. The second has lost the race, too.
        done = self._commits.run(decide, lost=(ConcurrentUpdateError, AlreadyAppliedError))
        return done.after if isinstance(done, Effect) else done

    def _callback_url(self, submission_id: str, key: str) -> str:
        token = webhook.callback_token(submission_id, key)
        return f"{self._webhook_api_url()}/webhooks/vexora/kyc-result/{submission_id}/{token}"


def applied(reading: Reading, before: UserStatus, at: str) -> UserStatus:
    """The user after a reading that was requested at `at` (UTC), after `before` had been read."""
    status = after_reading(VexoraStatus(before.status), BY_AUTHENTICATION_STATUS[reading.status])
    reason = (reading.reason or before.reason) if status is VexoraStatus.REJECTED else None
    read_at = max(at, before.read_at or "")
    return replace(before, status=status, provider_status=reading.status, read_at=read_at, reason=reason)


def _applied(reading: Reading, begun: datetime) -> Callable[[UserStatus], UserStatus]:
    return lambda now: applied(reading, now, utc_text(begun))


def failed(now: UserStatus, before: UserStatus | None = None) -> UserStatus:
    """The user after an application that was not accepted: FAILED. If Vexora's last answer was a rejection, that stays.

    `before` is the user before the application, if it is known.
    """
    if now.provider_status != REJECTED:
        return replace(now, status=VexoraStatus.FAILED)
    return replace(now, status=VexoraStatus.REJECTED, reason=before.reason if before else None)


def proves_nothing(status: UserStatus, submission: Submission | None, reading: Reading, now: str) -> bool:
    """Whether a rejection may be about an application before this one.

    An answer about the user is not an answer about this submission. If we have no answer to this application, it may
    still be on its way until the first poll is due. Until then Vexora's answer may be about the earlier application. If
    Vexora refused this application, it is not on its way. `now` is UTC.
    """
    if status.status != VexoraStatus.SUBMITTING or submission is None or submission.outcome == "refused":
        return False
    return BY_AUTHENTICATION_STATUS[reading.status] is VexoraStatus.REJECTED and submission.awaits_first_poll(now)


def rejection_reason(before: UserStatus, after: UserStatus) -> dict[str, str]:
    """The facts about a rejection for the timeline entry, if there is a new reason."""
    return {"reason": after.reason} if after.reason and after.reason != before.reason else {}


def _unchanged(now: UserStatus) -> UserStatus:
    return now


def _still_unclear(status: UserStatus, why: str, provider_code: str | None = None) -> ConflictError:
    return ConflictError(
        f"it is not known whether the submission made at {status.submitted_at} arrived: {why}",
        code=ProblemCode.SUBMISSION_UNCLEAR,
        provider_code=provider_code,
        state=status.status,
        submission_id=status.submission_id,
    )
