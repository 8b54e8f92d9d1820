"""The end of a user's contract: the merchant reports it, and after `PersonalDataRetentionDays` the user is erased.

Honnin cannot know when a contract ended, and a duty to keep counts from there (docs/erasure.md, "The end of a
contract"). So nothing becomes due by itself: only what the merchant has reported.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import partial

from honnin.erasure import Erasure, ErasureRequest
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    HonninError,
    InvalidFieldError,
    NotFoundError,
    ProviderError,
)
from honnin.observability import logger
from honnin.problem_codes import ProblemCode
from honnin.store import Certificate, Contract, Store
from honnin.times import JST, jst_day, utc_text

# Nobody is erased sooner than this after the end was reported, however long ago it was: a wrong year can be corrected.
NOTICE = timedelta(days=7)

# For so long after the day on which a user is to be erased, PayPay is asked to end the authorizations first. After that
# the user is erased without it.
_UNLINK_FOR = timedelta(days=7)

# What the timeline says when a user is submitted to Vexora or links an account of PayPay's.
_BEGINNINGS = ("submission_started", "linked")

# If the user is being changed at the moment, the end is written again.
_ROUNDS = 5

# An erasure takes 30 s at most.
_MIN_LEFT_MS = 45_000


class NotErasedError(HonninError):
    """Some users could not be erased although they are due. The next run tries again."""


class ContractEnds:
    """What the merchant reports the ends of contracts. `days` is `PersonalDataRetentionDays`."""

    def __init__(self, store: Store, days: int, now: Callable[[], datetime]) -> None:
        self._store = store
        self._days = days
        self._now = now

    def tell(self, user_id: str, ended_on: str, *, reason: str | None, told_by: str | None) -> Contract:
        """Keep that a contract ended on a JST day (`yyyy-mm-dd`); returns what is kept now.

        The latest statement counts. The same statement once more changes nothing. With another day or reason, it
        replaces the one before, and the time of `NOTICE` (`NOTICE`) begins anew.

        Raises
        ------
        InvalidFieldError
            The day does not exist, or is in the future.
        NotFoundError
            No provider knows the user, or the user was erased.
        ConflictError
            The user was submitted or linked after that day: that contract is not the present one.
        ConcurrentUpdateError
            The user is being changed at this moment. Repeat the call.
        """
        now = self._now()
        day = _day(ended_on, now)
        for _ in range(_ROUNDS):
            status = next(iter(self._store.users.statuses(user_id)), None)
            if status is None:
                raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)
            known = self._store.contracts.get(user_id)
            if (known.ended_on, known.reason) == (ended_on, reason):
                return known
            started_at = known.started_at or self._started_at(user_id)
            if started_at >= utc_text(_begin_of(day + timedelta(days=1))):
                raise ConflictError(
                    "the user was submitted or linked after that day", code=ProblemCode.CONTRACT_STARTED_AGAIN
                )
            told_at = utc_text(now)
            ended = replace(known, ended_on=ended_on, told_at=told_at, told_by=told_by, reason=reason)
            ended = replace(ended, due_at=due_at(ended, self._days))
            try:
                self._store.contracts.end(known, ended, status)
            except ConcurrentUpdateError:
                continue
            logger().info("the end of a contract was reported", user_id=user_id, due_at=ended.due_at)
            return ended
        raise ConcurrentUpdateError("the user is being changed at this moment")

    def _started_at(self, user_id: str) -> str:
        """When the user was last submitted or linked before contracts were kept (UTC); "" if that is not known."""
        return max(
            (each.at for each in self._store.users.whole_timeline(user_id) if each.what in _BEGINNINGS), default=""
        )

    def cancel(self, user_id: str) -> Contract:
        """Forget that a contract ended. Repeating it does no harm. Raises as `tell`."""
        for _ in range(_ROUNDS):
            known = self._store.contracts.get(user_id)
            if known.ended_on is None:
                if not self._store.users.statuses(user_id):
                    raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)
                return known
            if self._store.contracts.cancel(known):
                logger().info("the end of a contract was cancelled", user_id=user_id)
        raise ConcurrentUpdateError("the user is being changed at this moment")


def ended_reason(ended_on: str, reason: str | None) -> str:
    """Why a user is erased whose contract ended on a JST day; `reason` is a person's."""
    return f"the contract ended on {ended_on}: {reason}" if reason else f"the contract ended on {ended_on}"


def due_at(contract: Contract, days: int) -> str:
    """From when on (UTC) the user of an ended contract is to be erased: the first moment after the last day kept."""
    ended, told = date.fromisoformat(contract.ended_on or ""), datetime.fromisoformat(contract.told_at or "")
    last = max(ended + timedelta(days=days), told.astimezone(JST).date() + NOTICE)
    return utc_text(_begin_of(last + timedelta(days=1)))


def kept_until(contract: Contract) -> str | None:
    """The last JST day on which the data of an ended contract is kept."""
    return jst_day(datetime.fromisoformat(contract.due_at) - timedelta(days=1)) if contract.due_at else None


def _day(text: str, now: datetime) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidFieldError("endedOn", "must be a day that exists") from None
    if text > jst_day(now):
        raise InvalidFieldError("endedOn", "must not be in the future")
    return day


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), JST)


class DueErasures:
    """Erases the users whose contracts ended long enough ago, over the one way of an erasure."""

    def __init__(self, store: Store, erasure: Erasure, days: int, now: Callable[[], datetime]) -> None:
        self._store = store
        self._erasure = erasure
        self._days = days
        self._now = now
        self._counts = {"erased": 0, "moved": 0, "cancelled": 0, "later": 0, "failed": 0}

    def run(self, left_ms: Callable[[], int]) -> dict[str, int]:
        """Erase who is due, those of interrupted runs first; returns the numbers.

        What is not done (`later`: the user is busy, PayPay does not answer, or there is no time left) stays due.

        Raises
        ------
        NotErasedError
            Some failed in another way. All others were tried nevertheless.
        """
        begun_at = utc_text(self._now())
        for certificate in self._store.erasure.unfinished(begun_at):
            if not self._has_time(left_ms):
                break
            self._try(certificate.user_id, partial(self._finish, certificate))
        for contract in self._store.contracts.due(begun_at):
            if not self._has_time(left_ms):
                break
            self._try(contract.user_id, partial(self._erase_if_due, contract.user_id, begun_at))
        logger().info("users whose contracts ended were erased", erased=self._counts)
        if self._counts["failed"]:
            raise NotErasedError(f"{self._counts['failed']} users who are due could not be erased; see the log")
        return self._counts

    def _has_time(self, left_ms: Callable[[], int]) -> bool:
        if left_ms() >= _MIN_LEFT_MS:
            return True
        logger().warning("not all users who are due were erased; the next run continues")
        return False

    def _try(self, user_id: str, step: Callable[[], str]) -> None:
        try:
            done = step()
        except (ConcurrentUpdateError, ProviderError) as error:
            logger().warning("a user who is due will be erased later", user_id=user_id, error=type(error).__name__)
            done = "later"
        except Exception as error:  # one user must not keep the others from being erased
            logger().error("a user who is due could not be erased", user_id=user_id, error=type(error).__name__)
            done = "failed"
        self._counts[done] += 1

    def _finish(self, certificate: Certificate) -> str:
        """Complete an erasure that was interrupted. What could be unlinked was unlinked before it began."""
        self._erasure.finish(certificate)
        return "erased"

    def _erase_if_due(self, user_id: str, now: str) -> str:
        contract = self._store.contracts.get(user_id)
        if contract.due_at is None or contract.due_at > now:
            return "cancelled"
        if (due := due_at(contract, self._days)) > now:
            # PersonalDataRetentionDays was raised since.
            self._store.contracts.move(contract, due)
            return "moved"
        # From the later of both: what became due by a shorter PersonalDataRetentionDays has its week, too.
        late = datetime.fromisoformat(now) - datetime.fromisoformat(max(contract.due_at, due))
        try:
            self._erase(contract, unlink=True)
        except ConflictError:
            # An earlier erasure has left an authorization that is not known any more. Nobody can end it here.
            self._erase(contract, unlink=False)
        except ProviderError:
            if late < _UNLINK_FOR:
                raise
            self._erase(contract, unlink=False)
        return "erased"

    def _erase(self, contract: Contract, *, unlink: bool) -> None:
        request = ErasureRequest(contract.told_by, ended_reason(contract.ended_on or "", contract.reason), None)
        self._erasure.erase(contract.user_id, unlink=unlink, request=request, contract=contract)
