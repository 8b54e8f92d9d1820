"""Erasing a user's personal data, and keeping it erased.

What is erased: every version of the user's objects in the vault, the PayPay link, all data in the table that
identifies the user at a provider (authorization and code ids, waiting events, details of the timeline), and the user's
rows in kept registers, and the reasons in the access record.
What stays: the timeline's dates and statuses under the merchant's own id, a mark of the erasure, and the certificate.
(The timeline's event ids contain our own submission ids, which no longer lead to any person.)

Only a hash of an erased authorization is kept, so that later events about it are dropped without being read. A worker
that was reading the user at the moment of the erasure may still put an object into the vault. So a quarter of an hour
later, everything that was read until shortly after the erasure is deleted from the vault once more.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from honnin import aws, secret_store
from honnin.config import Settings
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    EventNotReadyError,
    MalformedEventError,
    NotFoundError,
    ProviderTimeoutError,
    UserAnswerError,
)
from honnin.event import Event, Provider, recon_event_id
from honnin.http_client import Deadline
from honnin.kept_registers import KeptRegisters
from honnin.observability import count, logger
from honnin.pace import Pace
from honnin.paypay.client import PayPayClient
from honnin.problem_codes import ProblemCode
from honnin.publish import Publisher
from honnin.recon.file_types import FILE_TYPES
from honnin.store import UNLINKED, Certificate, Contract, Dropped, Footprint, Known, Store
from honnin.times import utc_text
from honnin.vault import Vault

SWEEP = "erasure_sweep"

# It is longer than the run of any function that reads a user, and is the longest delay of SQS.
_SWEEP_AFTER_S = 900

# A worker that found the user before the erasure has asked PayPay by then: the processor's time-out (template.yaml).
_STILL_READS = timedelta(minutes=2)

# Only one erasure of a user runs at a time. If a run was killed, a call after this time completes it (the function runs
# for 29 s at most).
_LONGEST_RUN = timedelta(seconds=30)

# If the user is being read at the moment, the erasure is tried again.
_ROUNDS = 5

# PayPay's answers about an authorization that has ended (base document, result codes).
_ENDED = frozenset({"INVALID_USER_AUTHORIZATION_ID", "EXPIRED_USER_AUTHORIZATION_ID", "CANCELED_USER"})

# After this time no other authorization is unlinked. One takes 10 s at most (functions/erasure). So there is time left
# to erase, however slow PayPay is.
_UNLINK_S = 6.0

# After this time no other step is started. A step takes a few seconds (`forget`), and so does the work after the last.
_RUN_S = 20.0


@dataclass(frozen=True)
class ErasureRequest:
    """Who asked for an erasure, why, and the ticket of it; for the certificate."""

    requested_by: str | None = field(default=None, repr=False)
    reason: str | None = field(default=None, repr=False)
    ticket: str | None = field(default=None, repr=False)


# Nobody said anything.
UNEXPLAINED = ErasureRequest()


class Erasure:
    """Erases users. `sweep_later` has the vault emptied again later; `publish` reports it (`Publisher.user_erased`)."""

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        registers: KeptRegisters,
        paypay: Callable[[], PayPayClient],
        sweep_later: Callable[[Event], None],
        publish: Callable[[Certificate], None],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._vault = vault
        self._registers = registers
        self._paypay = paypay
        self._sweep_later = sweep_later
        self._publish = publish
        self._now = now

    @classmethod
    def from_settings(cls, settings: Settings) -> "Erasure":
        """The erasure of this deployment."""
        store = Store(settings.state_table, timeline_days=settings.timeline_retention_days)
        return cls(
            store=store,
            vault=Vault(settings.personal_data_bucket),
            registers=KeptRegisters(settings.recon_bucket),
            paypay=lambda: PayPayClient.from_settings(
                settings,
                secret_store.paypay_credentials,
                tries=2,
                total_s=10,
                pace=Pace(Provider.PAYPAY, store.paces, settings.paypay_max_calls_per_second),
            ),
            sweep_later=partial(sweep_later, settings.event_queue_url),
            publish=Publisher(settings.event_bus, store).user_erased,
            now=lambda: datetime.now(UTC),
        )

    def erase(
        self, user_id: str, *, unlink: bool, request: ErasureRequest = UNEXPLAINED, contract: Contract | None = None
    ) -> Certificate:
        """Erase the data that identifies a user. The certificate says what was erased, how much, when, and for whom.

        Repeating it gives the same certificate, and also erases what a worker may have put into the vault meanwhile. If
        a run was interrupted, the next run continues it (see `honnin.store.erasure`), at the latest the hourly one. The
        certificate keeps the request that began the erasure. With `contract`, nothing is erased and no authorization is
        ended if the contract has changed.

        Raises
        ------
        NotFoundError
            Nothing was ever known under this id.
        ConflictError
            `unlink` came too late: the user was erased without it, and the authorization is no longer known here.
        ProviderError
            PayPay did not unlink, or (`ProviderTimeoutError`) did not say whether it did. Nothing was erased yet.
            Repeat the call, or make it without unlinking.
        ConcurrentUpdateError
            The user is being read or erased at this moment, the contract has changed, or there is more to erase than
            one run has time for. Repeat the call.
        """
        with claimed(self._store, user_id, self._now()):
            return self._erase(user_id, Deadline(_RUN_S), unlink=unlink, request=request, contract=contract)

    def finish(self, begun: Certificate) -> None:
        """Complete this erasure, which was interrupted, and begin no other: who came back after it stays.

        Raises `ConcurrentUpdateError` as `erase`.
        """
        with claimed(self._store, begun.user_id, self._now()):
            known = next(reversed(self._store.erasure.certificates(begun.user_id)), None)
            if known is None or known.certificate_id != begun.certificate_id or known.completed_at:
                return
            if known.counted_at:
                self._complete(known, _until(Deadline(_RUN_S)))
            else:
                self._erase(begun.user_id, Deadline(_RUN_S), unlink=False, request=UNEXPLAINED, contract=None)

    def _erase(
        self, user_id: str, deadline: Deadline, *, unlink: bool, request: ErasureRequest, contract: Contract | None
    ) -> Certificate:
        may_go_on = _until(deadline)
        erasures = self._store.erasure
        known = next(reversed(erasures.certificates(user_id)), None)
        if known and known.counted_at and not known.completed_at:
            known = self._complete(known, may_go_on)
        footprint = erasures.footprint(user_id)
        if known is None and footprint.is_empty and not footprint.entries:
            # Somebody may have looked for the user, and have said why.
            self._forget_reasons(user_id, may_go_on)
            raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)
        if known and unlink and not footprint.authorization_ids and _is_linked_still(known):
            raise ConflictError(
                "the user was erased without unlink=true, and the authorization is no longer known here",
                code=ProblemCode.ERASED_WITHOUT_UNLINK,
            )
        if known and known.completed_at and footprint.is_empty:
            self._forget_reasons(user_id, may_go_on)
            self._registers.forget(user_id, known.completed_at, may_go_on=may_go_on)
            return _swept(known, self._store, self._vault)
        if contract and self._store.contracts.get(user_id) != contract:
            # What PayPay has ended cannot be taken back, so this is checked before it, and once more when it begins.
            raise ConcurrentUpdateError("the contract has changed")
        if unlink:
            self._unlink(footprint)
        certificate = known if known and not known.completed_at else None
        if certificate is None:
            made = Certificate(str(uuid.uuid4()), user_id, utc_text(self._now()))
            certificate = replace(made, **asdict(request))
            erasures.begin(certificate, contract)
        self._forget(footprint, certificate, may_go_on)
        completed = self._complete(certificate, may_go_on)
        logger().info("user erased", extra={"certificate_id": completed.certificate_id, "erased": completed.counts})
        count("UserErased")
        return completed

    def _forget(self, footprint: Footprint, certificate: Certificate, may_go_on: Callable[[], None]) -> None:
        """Erase a user and count it. Do it again if a worker has changed the user meanwhile."""
        numbers = {each: self._store.comparisons.numbers(each) for each in FILE_TYPES}
        event_ids = partial(_recon_ids, numbers=numbers)
        for _ in range(_ROUNDS):
            statuses = self._store.erasure.forget(footprint, certificate, event_ids, FILE_TYPES, may_go_on)
            if statuses is not None:
                may_go_on()
                _empty(certificate, self._store, self._vault)
                if self._store.erasure.settle(certificate, statuses, utc_text(self._now())):
                    return
            footprint = self._store.erasure.footprint(footprint.user_id)
        raise ConcurrentUpdateError("the user is being read at this moment")

    def _complete(self, certificate: Certificate, may_go_on: Callable[[], None]) -> Certificate:
        """Do the steps that remain after everything is erased and counted."""
        user_id = certificate.user_id
        self._sweep_later(self._sweep(certificate))
        self._forget_reasons(user_id, may_go_on)
        clean = self._registers.forget(user_id, may_go_on=may_go_on)
        completed = self._store.erasure.end(certificate, utc_text(self._now()))
        # A register that was begun in between may have read the timeline before it said that the user is erased.
        self._registers.forget(user_id, completed.completed_at, clean, may_go_on)
        self._publish(completed)
        return completed

    def _forget_reasons(self, user_id: str, may_go_on: Callable[[], None]) -> None:
        self._store.access.forget_reasons(user_id, utc_text(self._now()), may_go_on)

    def _unlink(self, footprint: Footprint) -> None:
        """End every authorization that the user has had at PayPay. One that PayPay itself has ended needs no call."""
        begin = Deadline(_UNLINK_S)
        ended = {each.name for each in footprint.former if UNLINKED in each.counts} - footprint.present
        for each in footprint.authorization_ids:
            if each in ended:
                continue
            if begin.remaining_s <= 0:
                raise ProviderTimeoutError(
                    Provider.PAYPAY, "ending the authorizations takes too long; repeat the call, and it continues"
                )
            try:
                self._paypay().unlink(each)
            except UserAnswerError as error:
                if error.code not in _ENDED:
                    raise
                logger().info("PayPay has already ended the authorization; no unlink is needed", extra=error.logged())
            self._store.erasure.unlinked(footprint.user_id, each, utc_text(self._now()))

    def _sweep(self, certificate: Certificate) -> Event:
        return Event(
            event_id=_sweep_id(certificate),
            provider=Provider.HONNIN,
            kind=SWEEP,
            cause="api",
            subject=certificate.user_id,
            received_at=utc_text(self._now()),
        )


@contextmanager
def claimed(store: Store, user_id: str, now: datetime) -> Iterator[None]:
    """No erasure of the user runs meanwhile. Raises `ConcurrentUpdateError` if one runs already."""
    if not store.erasure.claim(user_id, utc_text(now), claim := utc_text(now + _LONGEST_RUN)):
        raise ConcurrentUpdateError("the user is being erased at this moment")
    try:
        yield
    finally:
        store.erasure.release(user_id, claim)


def _until(deadline: Deadline) -> Callable[[], None]:
    """Raises `ConcurrentUpdateError` once there is no time left."""

    def may_go_on() -> None:
        if deadline.remaining_s <= 0:
            raise ConcurrentUpdateError(
                "the erasure is not finished; repeat the call, and it continues where it stopped"
            )

    return may_go_on


class ErasureSweep:
    """The rule for our own events: the vault of an erased user is emptied again."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    def decide(self, event: Event, known: Known) -> Dropped:  # noqa: ARG002 -- a certificate is no part of it
        """Empty the vault again. Many senders may write to the queue, so the event must name an existing certificate.

        Raises
        ------
        MalformedEventError
            There is no such erasure.
        EventNotReadyError
            The erasure was interrupted. It must be repeated, and this event waits for that.
        """
        own = [each for each in self._store.erasure.certificates(event.subject) if _sweep_id(each) == event.event_id]
        if not own:
            raise MalformedEventError("there is no erasure for this sweep")
        if not own[0].completed_at:
            raise EventNotReadyError("the erasure was interrupted; repeat it")
        _swept(own[0], self._store, self._vault)
        return Dropped(event.event_id, "swept")


def _empty(
    certificate: Certificate, store: Store, vault: Vault, read_until: str = "", keep: Collection[str] = ()
) -> Certificate:
    """Empty the user's vault.

    The objects are counted before they are deleted, so an interrupted run is counted, too.
    """
    noted = partial(store.erasure.note_objects, certificate)
    vault.erase(certificate.user_id, read_until, keep, found=noted)
    return noted(0)


def _swept(certificate: Certificate, store: Store, vault: Vault) -> Certificate:
    """Delete objects that were read until shortly after an erasure and that no status refers to.

    Data that a returned user has given since then stays, because the timeline names it. It does not name what a worker
    stored that came too late.
    """
    until = datetime.fromisoformat(certificate.completed_at or "") + _STILL_READS
    entries = store.erasure.footprint(certificate.user_id).entries
    named = {value for each in entries for name, value in each["detail"].items() if name in ("snapshot", "selfie")}
    swept = _empty(certificate, store, vault, utc_text(until), named)
    if (number := swept.counts.get("vaultObjects", 0) - certificate.counts.get("vaultObjects", 0)) > 0:
        count("ErasureSwept", number)
    return swept


def _is_linked_still(certificate: Certificate) -> bool:
    """Whether an authorization still exists at PayPay after an erasure."""
    return certificate.counts.get("links", 0) > certificate.counts.get(UNLINKED, 0)


def _sweep_id(certificate: Certificate) -> str:
    return f"erase:{certificate.certificate_id}"


def _recon_ids(user_authorization_id: str, *, numbers: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """The ids of all events that recon may have sent about a user, from the number of comparisons on each day."""
    for file_type, by_day in numbers.items():
        for day, last in by_day.items():
            for number in range(1, last + 1):
                yield recon_event_id(file_type, day, user_authorization_id, number)


def sweep_later(queue_url: str, event: Event) -> None:
    """Queue the event that empties the vault again. It comes when no earlier reading can still be running."""
    aws.sqs().send_message(QueueUrl=queue_url, MessageBody=event.to_json(), DelaySeconds=_SWEEP_AFTER_S)
