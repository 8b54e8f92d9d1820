"""The mass-change stop: a wrong key or header must not unlink everybody (docs/architecture.md, "Mass change").

A provider that takes us for somebody else may answer of every user that there is no such link. Each such answer looks
like a fact about that user; only their number shows that it is none. So all readings of an hour are counted, and those
that take a user out of VERIFIED or APPROVED. When these are too many, everything that can wait is stopped until a
person has looked: the queues of repairs and of rereads. Live events go on, for a person waits for each of them.

A loss is counted *before* it is applied, by one atomic update that answers with all counts. So repairs and rereads
never take more users out of VERIFIED or APPROVED within an hour than the limit allows, however many workers there are.
Of what else they change, a worker that is in the midst of a batch may apply the rest of that batch:
ProcessorConcurrency times the size of a batch for each of the two queues.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from honnin.errors import ConcurrentUpdateError, HonninError, RepairsStoppedError
from honnin.observability import logger
from honnin.status import PayPayStatus, VexoraStatus
from honnin.store import Counted, Effect, Loss, Stop, Store
from honnin.times import utc_text

# Fewer users than these are no mass, whatever their share of the readings.
LEAST_USERS = 20

_PROOFS = frozenset({PayPayStatus.VERIFIED, VexoraStatus.APPROVED})

# A count that cannot be made must not stand in the way of a person who waits.
_NOT_COUNTED = (BotoCoreError, ClientError, ConcurrentUpdateError)


def is_mass_change(lost: int, readings: int, percent: Decimal) -> bool:
    """Whether so many of the readings took users out of VERIFIED or APPROVED that no more may be. 0 percent: never."""
    return percent > 0 and lost >= LEAST_USERS and lost * 100 > percent * readings


def is_reading(effect: Effect) -> bool:
    """Whether the effect is a provider's answer, and not for example a link that ends by the clock."""
    return effect.after.read_at != (effect.before.read_at if effect.before else None)


def loss_of(effect: Effect) -> Loss | None:
    """How a reading takes the user out of VERIFIED or APPROVED; None where it does not.

    A link that has ended when it was to end is none. PayPay is asked about each end on time (`honnin.paypay.expiry`),
    and links that were made on one day may all end on one. Nor is a new link, of which no KYC has been read yet: that
    is the user's own doing, whom the merchant may have asked for another scope.
    """
    before, after = effect.before, effect.after
    if effect.links:
        return None
    if before is None or before.status not in _PROOFS or before.status == after.status or not is_reading(effect):
        return None
    end = before.link_expires_at
    if after.status == PayPayStatus.EXPIRED and end and end <= (after.read_at or ""):
        return None
    return Loss(after.provider, before.status, after.status, effect.cause)


class Watch(Protocol):
    """Sees every effect that is applied."""

    def over(self, effect: Effect) -> AbstractContextManager[None]:
        """The effect is applied inside; raises `RepairsStoppedError` before, where it must not be."""


class CountedAfterwards:
    """The watch of those who are never stopped: each reading is counted at once, after it was applied."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @contextmanager
    def over(self, effect: Effect) -> Iterator[None]:
        """Count the reading, if it is one."""
        yield
        if is_reading(effect):
            loss = loss_of(effect)
            try:
                self._store.mass_change.add(1, {loss: 1} if loss else None)
            except _NOT_COUNTED as error:
                logger().warning("reading not counted", error=type(error).__name__)


class BatchWatch:
    """The watch of a worker, for one batch after the other. Its methods but `begin` and `end` may run in any thread.

    Parameters
    ----------
    percent
        The parameter `MassChangePercent`; 0: nothing is stopped by itself. A stop that a person makes always holds.
    carry_out
        Is told of a stop of which people do not know, or in spite of which a batch came: see `honnin.repairs_stop`.
    """

    def __init__(
        self, store: Store, percent: Decimal, carry_out: Callable[[Stop], None], now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._percent = percent
        self._carry_out = carry_out
        self._now = now
        self._lock = Lock()
        self.begin(may_wait=False)

    def begin(self, *, may_wait: bool) -> None:
        """A batch begins. `may_wait`: it came from the queue of repairs or of rereads, and can be stopped."""
        self._may_wait = may_wait
        self._readings = 0
        self._counted: Counted | None = None

    def check(self) -> None:
        """Raise `RepairsStoppedError` where this batch is to wait. Once for a batch it looks into the table."""
        if not self._may_wait:
            return
        with self._lock:
            if self._counted is None:
                self._counted = self._store.mass_change.read()
        if self._counted.stop:
            raise RepairsStoppedError("repairs and rereads are stopped: honninctl repairs status")

    def read(self) -> None:
        """Count a reading that takes nobody out of VERIFIED or APPROVED; it is written with others."""
        with self._lock:
            self._readings += 1

    @contextmanager
    def over(self, effect: Effect) -> Iterator[None]:
        """Count the effect; a loss before it is applied, and not if it certainly was not."""
        self.check()
        loss = loss_of(effect)
        if loss is None:
            yield
            if is_reading(effect):
                self.read()
            return
        self._lose(loss)
        try:
            yield
        except HonninError:
            # A condition failed: nothing was written. If this is not counted, there is one loss too many.
            with suppress(*_NOT_COUNTED):
                self._add(0, {loss: -1})
            raise

    def end(self) -> None:
        """The batch has ended: write what was counted, and see that a stop is carried out. Raises nothing."""
        try:
            if readings := self._taken():
                self._add(readings)
            if self._counted:
                self._stop_if_too_many(self._counted)
        except _NOT_COUNTED as error:
            logger().warning("readings not counted", error=type(error).__name__)
        stop = self._counted.stop if self._counted else None
        if stop and (self._may_wait or not stop.told_at):
            self._carry_out(stop)

    def _lose(self, loss: Loss) -> None:
        try:
            self._stop_if_too_many(self._add(self._taken() + 1, {loss: 1}))
        except _NOT_COUNTED as error:
            if self._may_wait:
                raise
            logger().warning("reading not counted", error=type(error).__name__)
        # Counted all the same: it is a reading that says so, though it is not applied.
        self.check()

    def _stop_if_too_many(self, counted: Counted) -> None:
        is_limited = utc_text(self._now()) >= (counted.no_limit_until or "")
        if not counted.stop and is_limited and is_mass_change(counted.lost, counted.readings, self._percent):
            self._store.mass_change.stop(counted)
            self._known(self._store.mass_change.read())

    def _add(self, readings: int, losses: Mapping[Loss, int] | None = None) -> Counted:
        counted = self._store.mass_change.add(readings, losses)
        self._known(counted)
        return counted

    def _known(self, counted: Counted) -> None:
        with self._lock:
            # Another thread may have learnt of a stop from a later answer.
            if self._counted is None or not self._counted.stop:
                self._counted = counted

    def _taken(self) -> int:
        with self._lock:
            taken, self._readings = self._readings, 0
        return taken
