"""Erasing a user's personal data, and keeping it erased.

What goes: every version of the user's objects in the vault, the PayPay link, and in the table whatever identifies the
user at a provider (authorization and code ids, ledger lines, waiting events, details of the timeline).
What stays: the timeline's dates and statuses under the merchant's own id (its event ids name our own submission ids,
which lead to nobody any more), a tombstone, and the certificate.

An erased authorization is remembered by its hash alone, so that events that come later are dropped unread. A worker
that was reading the user at that moment may still put an object into the vault: a quarter of an hour later what was
read until shortly after the erasure is swept once more.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial

from honnin import aws, times
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    EventNotReadyError,
    MalformedEventError,
    NotFoundError,
    ProviderTimeoutError,
    UserAnswerError,
)
from honnin.event import Event, Provider, repair_id
from honnin.http_client import Deadline
from honnin.observability import count, logger
from honnin.paypay.client import PayPayClient
from honnin.problem_codes import ProblemCode
from honnin.recon.file_types import FILE_TYPES
from honnin.store import EVENT_KEPT, Certificate, Dropped, Footprint, Store
from honnin.times import utc_text
from honnin.vault import Vault
from honnin.vexora.event_ids import submission_of

SWEEP = "erasure_sweep"

# Longer than any function runs that reads a user; SQS's longest delay.
_SWEEP_AFTER_S = 900

# Who looked a user up before an erasure has asked PayPay by then: the processor's time-out (template.yaml).
_STILL_READS = timedelta(minutes=2)

# One erasure of a user at a time; one that died is completed by a call after this (kyc_status runs 29 s at most).
_LONGEST_RUN = timedelta(seconds=30)

# A user who is being read at the moment is tried again.
_ROUNDS = 5

# What PayPay answers about an authorization that is over (base document, result codes).
_ENDED = frozenset({"INVALID_USER_AUTHORIZATION_ID", "EXPIRED_USER_AUTHORIZATION_ID", "CANCELED_USER"})

_UNLINKED = "unlinkedAtPayPay"

# No further authorization is begun with after this: the rest of kyc_status's 29 s is for the erasing.
_UNLINK_S = 8.0


class Erasure:
    """Erases users. `unlink` ends an authorization at PayPay; `sweep_later` has the vault swept again."""

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        paypay: Callable[[], PayPayClient],
        sweep_later: Callable[[Event], None],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._vault = vault
        self._paypay = paypay
        self._sweep_later = sweep_later
        self._now = now

    def erase(self, user_id: str, *, unlink: bool) -> Certificate:
        """Erase what identifies a user; the certificate says what, how much and when.

        Repeating it gives the same certificate, and takes what a worker may have put into the vault meanwhile. A run
        that broke off is completed by the next.

        Raises
        ------
        NotFoundError
            Nothing was ever known under this id.
        ConflictError
            `unlink` came too late: the user was erased without it, and the authorization is not known here any more.
        ProviderError
            PayPay did not unlink, or (`ProviderTimeoutError`) did not say whether it did. Nothing was erased yet;
            repeat it, or leave the unlinking out.
        ConcurrentUpdateError
            The user is being read, or erased, at this very moment; repeat it.
        """
        now = self._now()
        if not self._store.erasure.claim(user_id, utc_text(now), claim := utc_text(now + _LONGEST_RUN)):
            raise ConcurrentUpdateError("the user is being erased at this moment")
        try:
            return self._erase(user_id, unlink=unlink)
        finally:
            self._store.erasure.release(user_id, claim)

    def _erase(self, user_id: str, *, unlink: bool) -> Certificate:
        footprint = self._store.erasure.footprint(user_id, submission_of)
        known = next(reversed(self._store.erasure.certificates(user_id)), None)
        if known is None and footprint.is_empty and not footprint.entries:
            raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)
        if known and unlink and not footprint.authorization_ids and _is_linked_still(known):
            raise ConflictError(
                "the user was erased without unlink, and the authorization is not known here any more",
                code=ProblemCode.ERASED_WITHOUT_UNLINK,
            )
        if known and known.completed_at and footprint.is_empty:
            return _swept(known, self._store, self._vault)
        unlinked = self._unlink(footprint) if unlink else 0
        begun = known if known and not known.completed_at else None
        certificate = begun or Certificate(str(uuid.uuid4()), user_id, utc_text(self._now()))
        self._store.erasure.begin(certificate)
        if not certificate.counts.get(_UNLINKED):
            self._store.erasure.count(certificate, {_UNLINKED: unlinked})
        self._forget(footprint, certificate)
        self._vault.erase(
            user_id, erased=lambda number: self._store.erasure.count(certificate, {"vaultObjects": number})
        )
        self._sweep_later(self._sweep(certificate))
        completed = self._store.erasure.end(certificate, utc_text(self._now()))
        logger().info("user erased", extra={"certificate_id": completed.certificate_id, "erased": completed.counts})
        count("UserErased")
        return completed

    def _forget(self, footprint: Footprint, certificate: Certificate) -> None:
        """Empty the table of the user; anew when a worker has moved the user in between."""
        for _ in range(_ROUNDS):
            known = footprint.authorization_ids
            done = self._store.erasure.forget(
                footprint, certificate, partial(_repair_ids, until=certificate.begun_at), FILE_TYPES
            )
            footprint = self._store.erasure.footprint(footprint.user_id, submission_of)
            # What waited may have been attached behind our back, when nothing names its authorization any more.
            if done and footprint.is_empty:
                return
            ids = dict.fromkeys((*known, *footprint.authorization_ids))
            footprint = replace(footprint, authorization_ids=tuple(ids))
        raise ConcurrentUpdateError("the user is being read at this moment")

    def _unlink(self, footprint: Footprint) -> int:
        """End every authorization that the user has had at PayPay; one that PayPay has ended itself is as good."""
        begin = Deadline(_UNLINK_S)
        for each in footprint.authorization_ids:
            if begin.remaining_s <= 0:
                raise ProviderTimeoutError(
                    Provider.PAYPAY, "unlinking takes too long; repeat it, what has ended stays ended"
                )
            try:
                self._paypay().unlink(each)
            except UserAnswerError as error:
                if error.code not in _ENDED:
                    raise
                logger().info("nothing to unlink", extra=error.logged())
        return len(footprint.authorization_ids)

    def _sweep(self, certificate: Certificate) -> Event:
        return Event(
            event_id=_sweep_id(certificate),
            provider=Provider.HONNIN,
            kind=SWEEP,
            cause="api",
            subject=certificate.user_id,
            received_at=utc_text(self._now()),
        )


class ErasureSweep:
    """The rule for our own events: the vault of an erased user is emptied once more."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    def decide(self, event: Event) -> Dropped:
        """Sweep. Many may write to the queue, so the event alone is no reason: it must name the user's certificate.

        Raises
        ------
        MalformedEventError
            There is no such erasure.
        EventNotReadyError
            The erasure broke off. Somebody has to repeat it, and this event waits for that.
        """
        own = [each for each in self._store.erasure.certificates(event.subject) if _sweep_id(each) == event.event_id]
        if not own:
            raise MalformedEventError("a sweep without an erasure")
        if not own[0].completed_at:
            raise EventNotReadyError("the erasure broke off; repeat it")
        _swept(own[0], self._store, self._vault)
        return Dropped(event.event_id, "swept")


def _swept(certificate: Certificate, store: Store, vault: Vault) -> Certificate:
    """Take what was read until shortly after an erasure, and came to nothing.

    What a user who came back has given since stays: the timeline names it, and not what an overtaken worker kept.
    """
    until = datetime.fromisoformat(certificate.completed_at or "") + _STILL_READS
    entries = store.erasure.footprint(certificate.user_id, submission_of).entries
    named = {value for each in entries for name, value in each["detail"].items() if name in ("snapshot", "selfie")}
    if not (number := vault.erase(certificate.user_id, utc_text(until), named)):
        return certificate
    count("ErasureSwept", number)
    swept = {"vaultObjects": number}
    store.erasure.count(certificate, swept)
    return replace(certificate, counts=Counter(certificate.counts) + Counter(swept))


def _is_linked_still(certificate: Certificate) -> bool:
    """Whether an erasure left an authorization standing at PayPay."""
    return bool(certificate.counts.get("links")) and not certificate.counts.get(_UNLINKED)


def _sweep_id(certificate: Certificate) -> str:
    return f"erase:{certificate.certificate_id}"


def _repair_ids(user_authorization_id: str, *, until: str) -> Iterator[str]:
    """The ids of all repairs that recon can have made of a user, as long as events are remembered."""
    last = date.fromisoformat(times.jst_day(datetime.fromisoformat(until)))
    for back in range(EVENT_KEPT.days + 1):
        day = (last - timedelta(days=back)).isoformat()
        for file_type in FILE_TYPES:
            yield repair_id(file_type, day, user_authorization_id)


def sweep_later(queue_url: str, event: Event) -> None:
    """Put the sweep on the events queue, to be taken up when no reading from before can be under way any more."""
    aws.sqs().send_message(QueueUrl=queue_url, MessageBody=event.to_json(), DelaySeconds=_SWEEP_AFTER_S)
