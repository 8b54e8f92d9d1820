"""Erasing a user's personal data, and keeping it erased.

What goes: every version of the user's objects in the vault, the PayPay link, and in the table whatever identifies the
user at a provider (authorization and code ids, ledger lines, waiting events, details of the timeline).
What stays: the timeline's dates and statuses under the merchant's own id (its event ids name our own submission ids,
which lead to nobody any more), a tombstone, and the certificate.

An erased authorization is remembered by its hash alone, so that events that come later are dropped unread. A worker
that was reading the user at that moment may still put an object into the vault: a quarter of an hour later the vault
is swept once more.
"""

import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from honnin import jst
from honnin.errors import ConcurrentUpdateError, MalformedEventError, NotFoundError, UserAnswerError
from honnin.observability import count, logger
from honnin.paypay.client import PayPayClient
from honnin.paypay.outcomes import PROVIDER as PAYPAY
from honnin.recon import repair
from honnin.recon.file_types import FILE_TYPES
from honnin.store import EVENT_KEPT, Certificate, Dropped, Footprint, ReconFile, Store, utc_text
from honnin.vault import Vault
from honnin.webhook import Event

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PROVIDER = "honnin"
SWEEP = "erasure_sweep"

# Longer than any function runs that reads a user; SQS's longest delay.
_SWEEP_AFTER_S = 900

# A user who is being read at the moment is tried again.
_ROUNDS = 5


@cache
def _client() -> "SQSClient":
    return boto3.client("sqs", config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard"}))


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

        Repeating it changes nothing, and gives the same certificate. A run that broke off is completed by the next.

        Raises
        ------
        NotFoundError
            Nothing was ever known under this id.
        ProviderError
            PayPay did not unlink. Nothing was erased yet; repeat it, or leave the unlinking out.
        ConcurrentUpdateError
            The user is being read again and again at this moment; repeat it.
        """
        footprint = self._store.footprint(user_id)
        known = next(reversed(self._store.certificates(user_id)), None)
        if known and known.completed_at and footprint.is_empty:
            return known
        if known is None and footprint.is_empty and not footprint.entries:
            raise NotFoundError("no user is known under this id")
        unlinked = self._unlink(footprint) if unlink else False
        begun = known if known and not known.completed_at else None
        certificate = begun or Certificate(str(uuid.uuid4()), user_id, utc_text(self._now()))
        self._store.begin_erasure(certificate)
        if unlinked and not certificate.counts.get("unlinkedAtPayPay"):
            self._store.count_erased(certificate, {"unlinkedAtPayPay": 1})
        self._forget(footprint, certificate)
        self._store.count_erased(certificate, {"vaultObjects": self._vault.erase(user_id)})
        self._sweep_later(self._sweep(certificate))
        completed = self._store.end_erasure(certificate, utc_text(self._now()))
        logger().info("user erased", extra={"certificate_id": completed.certificate_id, "erased": completed.counts})
        count("UserErased")
        return completed

    def _forget(self, footprint: Footprint, certificate: Certificate) -> None:
        """Empty the table of the user; anew when a worker has moved the user in between."""
        for _ in range(_ROUNDS):
            if self._store.forget(footprint, certificate, partial(_repair_ids, until=certificate.begun_at)):
                return
            footprint = self._store.footprint(footprint.user_id)
        raise ConcurrentUpdateError("the user is being read at this moment")

    def _unlink(self, footprint: Footprint) -> bool:
        """End the present authorization at PayPay; one that PayPay has ended itself is as good."""
        for status in footprint.statuses:
            if status.provider == PAYPAY and status.user_authorization_id:
                try:
                    self._paypay().unlink(status.user_authorization_id)
                except UserAnswerError as error:
                    logger().info("nothing to unlink", extra={"provider_code": error.code})
                return True
        return False

    def _sweep(self, certificate: Certificate) -> Event:
        return Event(
            event_id=_sweep_id(certificate),
            provider=PROVIDER,
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

    def effect(self, event: Event) -> Dropped:
        """Sweep, unless the user has come back meanwhile: then the objects are the new ones.

        Many may write to the queue, so the event alone is no reason: it must name the user's own certificate.
        """
        if event.event_id not in map(_sweep_id, self._store.certificates(event.subject)):
            raise MalformedEventError("a sweep without an erasure")
        if self._store.status(event.subject, PAYPAY) is None:
            swept = self._vault.erase(event.subject)
            if swept:
                count("ErasureSwept", swept)
        return Dropped(event.event_id, "swept")

    def written(self) -> None:
        """Nothing to remember."""


def _sweep_id(certificate: Certificate) -> str:
    return f"erase:{certificate.certificate_id}"


def _repair_ids(user_authorization_id: str, *, until: str) -> Iterator[str]:
    """The ids of all repairs that recon can have made of a user, as long as events are remembered."""
    last = date.fromisoformat(jst.day(datetime.fromisoformat(until)))
    for back in range(EVENT_KEPT.days + 1):
        day = (last - timedelta(days=back)).isoformat()
        for file_type in FILE_TYPES:
            yield repair.event_id(ReconFile(file_type, day, "", ""), user_authorization_id)


def sweep_later(queue_url: str, event: Event) -> None:
    """Put the sweep on the events queue, to be taken up when no reading from before can be under way any more."""
    _client().send_message(QueueUrl=queue_url, MessageBody=event.to_json(), DelaySeconds=_SWEEP_AFTER_S)
