"""The mass-change stop: a wrong key or header must not unlink all users (docs/architecture.md, "Mass change").

If a provider takes us for another merchant, it may answer for every user that there is no such link. Each single answer
looks like a fact about that user. Only the number of such answers shows that something is wrong. So all readings of an
hour are counted, and so are those that take a user out of VERIFIED or APPROVED. When there are too many of these, the
repairs and rereads queues are stopped until a person has looked. Live events go on, because a user waits for each.

A loss (a user taken out of VERIFIED or APPROVED) is counted *before* it is applied, by one atomic update that returns
all counts. So repairs and rereads never cause more losses within an hour than the limit allows, however many workers
there are. Their other changes may go on a little longer: a worker that is processing a batch may apply the rest of it.
That is at most ProcessorConcurrency times the batch size, for each of the two queues.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from honnin.errors import ConcurrentUpdateError, HonninError, RepairsStoppedError
from honnin.observability import logger
from honnin.status import PayPayStatus, VexoraStatus
from honnin.store import Counted, Effect, Loss, Stop, Store
from honnin.times import utc_text

# Fewer lost users than this are never a mass change, whatever their share of the readings is.
LEAST_USERS = 20

# An environment keeps the readings of live batches this long, or until there are this many, before it writes them. So
# it never keeps more of them than one batch of ten makes.
_TOGETHER = timedelta(minutes=1)
_MOST_KEPT = 10

# Readings older than this would be counted in the wrong hour: counts are kept by five minutes.
_TOO_OLD = timedelta(minutes=5)

_PROOFS = frozenset({PayPayStatus.VERIFIED, VexoraStatus.APPROVED})

# If the count fails, the event of a person who waits must still go on quickly.
_NOT_COUNTED = (BotoCoreError, ClientError, ConcurrentUpdateError)


def is_mass_change(lost: int, readings: int, percent: Decimal) -> bool:
    """Whether the losses have reached the limit, so that no more are allowed. With 0 percent there is no limit."""
    return percent > 0 and lost >= LEAST_USERS and lost * 100 > percent * readings


def is_reading(effect: Effect) -> bool:
    """Whether the effect comes from a provider's answer, and not, for example, from a link that has expired."""
    return effect.after.read_at != (effect.before.read_at if effect.before else None)


def loss_of(effect: Effect) -> Loss | None:
    """How a reading takes the user out of VERIFIED or APPROVED; None if it does not.

    A link that ended on its expected date is not a loss. PayPay is asked about each link at that time
    (`honnin.paypay.expiry`), and many links that were made on one day may end on one day. A new link whose KYC has not
    been read yet is not a loss either. There the user has linked again, perhaps because the merchant asked for another
    scope.
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
    """Is called around every effect that is applied."""

    def over(self, effect: Effect) -> AbstractContextManager[None]:
        """Apply the effect inside this context.

        It raises `RepairsStoppedError` first if the effect must not be applied.
        """


class CountedAfterwards:
    """The watch of callers that are never stopped: each reading is counted immediately after it was applied."""

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
                logger().warning("a reading was not counted for the mass-change check", error=type(error).__name__)


class BatchWatch:
    """The watch of a worker; it is used for one batch after another.

    All methods but `begin` and `end` may run in any thread.

    Parameters
    ----------
    percent
        The parameter `MassChangePercent`; 0: there is no automatic stop. A stop that a person makes always holds.
    carry_out
        Is called with a stop that people do not know of yet, or with one during which a batch still came. See
        `honnin.repairs_stop`.
    """

    def __init__(
        self, store: Store, percent: Decimal, carry_out: Callable[[Stop], None], now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._percent = percent
        self._carry_out = carry_out
        self._now = now
        self._lock = Lock()
        self._readings = 0
        self._written_at: datetime | None = None
        self.begin(may_wait=False)

    def begin(self, *, may_wait: bool) -> None:
        """A batch begins. `may_wait`: it came from the repairs or the rereads queue, and can be stopped."""
        self._may_wait = may_wait
        self._counted: Counted | None = None
        if self._written_at and self._now() > self._written_at + _TOO_OLD:
            # The environment was frozen meanwhile.
            self._readings = 0

    @property
    def may_wait(self) -> bool:
        """Whether the batch can be stopped."""
        return self._may_wait

    def check(self) -> None:
        """Raise `RepairsStoppedError` if this batch must wait. The table is read once for each batch."""
        if not self._may_wait:
            return
        with self._lock:
            if self._counted is None:
                self._counted = self._store.mass_change.read()
        if self._counted.stop:
            raise RepairsStoppedError("repairs and rereads are stopped; `honninctl repairs status` says why")

    def read(self) -> None:
        """Count a reading that takes nobody out of VERIFIED or APPROVED. The count is written later, with others."""
        with self._lock:
            self._readings += 1

    @contextmanager
    def over(self, effect: Effect) -> Iterator[None]:
        """Count the effect.

        A loss is counted before it is applied; if it certainly was not applied, it is taken back.
        """
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
            # A condition failed: nothing was written. If the count cannot be taken back now, it is one loss too high.
            with suppress(*_NOT_COUNTED):
                self._add(0, {loss: -1})
            raise

    def end(self) -> None:
        """The batch has ended: write the counts, and have a stop carried out if there is one. Raises nothing.

        Live batches are small, so their readings are written ten together, or once a minute. A loss is never late: it
        is written at once, and the kept readings with it. If an environment ends before it has written them, fewer than
        ten readings without a loss are missing, and a mass change is noticed a little sooner.
        """
        now = self._now()
        is_time = self._may_wait or self._written_at is None or now >= self._written_at + _TOGETHER
        is_time = is_time or self._readings >= _MOST_KEPT
        try:
            if is_time and (readings := self._taken()):
                self._written_at = now
                self._add(readings)
            if self._counted:
                self._stop_if_too_many(self._counted)
        except _NOT_COUNTED as error:
            logger().warning("readings were not counted for the mass-change check", error=type(error).__name__)
        stop = self._counted.stop if self._counted else None
        if stop and (self._may_wait or not stop.reported_at):
            self._carry_out(stop)

    def _lose(self, loss: Loss) -> None:
        try:
            self._stop_if_too_many(self._add(self._taken() + 1, {loss: 1}))
        except _NOT_COUNTED as error:
            if self._may_wait:
                raise
            logger().warning("a reading was not counted for the mass-change check", error=type(error).__name__)
        # It is counted although it is not applied, because the provider did answer this.
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
            # Another thread may have received a stop with a later answer.
            if self._counted is None or not self._counted.stop:
                self._counted = counted

    def _taken(self) -> int:
        with self._lock:
            taken, self._readings = self._readings, 0
        return taken
