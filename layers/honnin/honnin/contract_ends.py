"""The end of a user's contract: the merchant reports it, and after `PersonalDataRetentionDays` the user is erased.

Honnin cannot know when a contract ended, and a duty to keep counts from there (docs/erasure.md, "The end of a
contract"). So nothing becomes due by itself: only what the merchant has reported.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import partial

from honnin.erasure import Erasure, ErasureRequest, claimed
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
from honnin.store import Certificate, Contract, Store, UserStatus
from honnin.times import JST, jst_day, utc_text

# Nobody is erased sooner than this after the end was reported, however long ago it was: a wrong year can be corrected.
_CORRECTED_WITHIN = timedelta(days=7)

# For so long after the day on which a user is to be erased, PayPay is asked to end the authorizations first. After that
# the user is erased without it.
_UNLINK_FOR = timedelta(days=7)

# A user who is still not erased so long after that day is reported to people.
_OVERDUE = timedelta(days=8)

# The clocks of two functions differ by less than this.
_CLOCKS = timedelta(minutes=5)

# If the user is being changed at the moment, the end is written again.
_ROUNDS = 5

# An erasure takes 30 s at most.
_MIN_LEFT_MS = 45_000


class NotErasedError(HonninError):
    """Some users could not be erased although they are due. The next run tries again."""


class ManyDueError(HonninError):
    """On one day more users are due than `MaxErasuresPerDay` allows. Nobody is erased until a person has looked."""


class ContractEnds:
    """What the merchant reports of the ends of contracts. `days` is `PersonalDataRetentionDays`."""

    def __init__(self, store: Store, days: int, now: Callable[[], datetime]) -> None:
        self._store = store
        self._days = days
        self._now = now

    def get(self, user_id: str) -> Contract:
        """What is known of a user's contract. Raises `NotFoundError` if no provider knows the user."""
        self._status(user_id)
        return self._store.contracts.get(user_id)

    def report(self, user_id: str, ended_on: str, *, reason: str | None, reported_by: str | None) -> Contract:
        """Keep that a contract ended on a JST day (`yyyy-mm-dd`); returns what is kept now.

        The latest report counts. The same once more changes nothing. With another day or reason, it replaces the one
        before, and the time for corrections begins anew.

        Raises
        ------
        InvalidFieldError
            The day does not exist, or is in the future.
        NotFoundError
            No provider knows the user, or the user was erased.
        ConflictError
            The user was submitted or linked after that day: that contract is not the present one. Or the erasure of the
            user has begun.
        ConcurrentUpdateError
            The user is being changed or erased at this moment. Repeat the call.
        """
        now = self._now()
        day = _day(ended_on, now)

        def ended(known: Contract) -> Contract:
            if (known.ended_on, known.reason) == (ended_on, reason):
                return known
            if (known.started_at or "") >= utc_text(_begin_of(day + timedelta(days=1))):
                raise ConflictError(
                    "the user was submitted or linked after that day", code=ProblemCode.CONTRACT_STARTED_AGAIN
                )
            made = Contract(user_id, known.started_at, None, ended_on, utc_text(now), reported_by, reason)
            return replace(made, due_at=due_at(made, self._days))

        return self._change(user_id, ended)

    def cancel(self, user_id: str) -> Contract:
        """Forget that a contract ended. Repeating it does no harm. Raises as `report`."""
        return self._change(user_id, lambda known: Contract(user_id, known.started_at))

    def _change(self, user_id: str, change: Callable[[Contract], Contract]) -> Contract:
        begun_at = utc_text(self._now())
        for _ in range(_ROUNDS):
            status = self._status(user_id)
            known = self._store.contracts.get(user_id)
            wanted = change(known)
            try:
                if wanted != known:
                    self._write(known, wanted, status)
            except ConcurrentUpdateError:
                continue
            self._refuse_if_erased(user_id, begun_at)
            logger().info("what is known of the end of a contract", user_id=user_id, due_at=wanted.due_at)
            return wanted
        raise ConcurrentUpdateError("the user is being changed or erased at this moment")

    def _status(self, user_id: str) -> UserStatus:
        for status in self._store.users.statuses(user_id):
            return status
        raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)

    def _write(self, known: Contract, wanted: Contract, status: UserStatus) -> None:
        now = self._now()
        if known.due_at is None or known.due_at > utc_text(now + _CLOCKS):
            self._store.contracts.change(known, wanted, status)
            return
        # A run may be ending the user's authorizations at this moment: then it is too late, or it is to be said later.
        with claimed(self._store, known.user_id, now):
            self._store.contracts.change(known, wanted, status)

    def _refuse_if_erased(self, user_id: str, begun_at: str) -> None:
        """Raise if the user's erasure has begun.

        It is asked after the change is written: an erasure that begins after that finds the change.
        """
        for certificate in self._store.erasure.certificates(user_id):
            if certificate.completed_at is None:
                raise ConflictError("the erasure of the user has begun", code=ProblemCode.ERASURE_BEGUN)
            if certificate.completed_at >= begun_at:
                raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)


def ended_reason(ended_on: str, reason: str | None) -> str:
    """Why a user is erased whose contract ended on a JST day; `reason` is a person's."""
    return f"the contract ended on {ended_on}: {reason}" if reason else f"the contract ended on {ended_on}"


def due_at(contract: Contract, days: int) -> str:
    """From when on (UTC) the user of an ended contract is to be erased: the first moment after the last day kept."""
    ended, reported = date.fromisoformat(contract.ended_on or ""), datetime.fromisoformat(contract.reported_at or "")
    last = max(ended + timedelta(days=days), reported.astimezone(JST).date() + _CORRECTED_WITHIN)
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
    """Erases the users whose contracts ended long enough ago, over the one way of an erasure.

    `most_a_day` is `MaxErasuresPerDay`: how many users may be due on one JST day (0: any number).
    """

    def __init__(
        self, store: Store, erasure: Erasure, *, days: int, most_a_day: int, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._erasure = erasure
        self._days = days
        self._most_a_day = most_a_day
        self._now = now
        self._counts = {"erased": 0, "moved": 0, "cancelled": 0, "later": 0, "failed": 0}

    def run(self, left_ms: Callable[[], int]) -> dict[str, int]:
        """Complete interrupted erasures, whoever began them, and erase who is due; returns the numbers.

        What is not done (`later`: the user is busy, PayPay does not answer, or there is no time left) stays due.

        Raises
        ------
        NotErasedError
            Some failed in another way, or are overdue. All others were tried nevertheless.
        ManyDueError
            Too many are due on one day: a report may be wrong. Nobody was erased but by interrupted erasures.
        """
        now = self._now()
        overdue = utc_text(now - _OVERDUE)
        for since, user_id, step in self._steps(utc_text(now)):
            if left_ms() < _MIN_LEFT_MS:
                logger().warning("not all users who are due were erased; the next run continues")
                self._counts["failed"] += since < overdue
                break
            self._try(user_id, step, is_overdue=since < overdue)
        logger().info("users whose contracts ended were erased", erased=self._counts)
        if self._counts["failed"]:
            raise NotErasedError(f"{self._counts['failed']} users who are due could not be erased; see the log")
        return self._counts

    def _steps(self, begun_at: str) -> Iterator[tuple[str, str, Callable[[], str]]]:
        """Since when a user is to be erased, who it is, and what erases the user."""
        for each in self._store.erasure.unfinished(begun_at):
            yield each.begun_at, each.user_id, partial(self._finish, each)
        for contract in self._due(begun_at):
            step = partial(self._erase_if_due, contract.user_id, begun_at)
            yield contract.due_at or begun_at, contract.user_id, step

    def _due(self, begun_at: str) -> Iterable[Contract]:
        due = self._store.contracts.due(begun_at)
        if not self._most_a_day:
            return due
        found, by_day = [], Counter[str]()
        for each in due:
            found.append(each)
            if due_at(each, self._days) > begun_at:
                continue  # PersonalDataRetentionDays was raised since: the user is not erased, but moved
            by_day[day := jst_day(datetime.fromisoformat(each.due_at or ""))] += 1
            if by_day[day] > self._most_a_day:
                raise ManyDueError(f"more users are due on {day} than MaxErasuresPerDay; nobody is erased")
        return found

    def _try(self, user_id: str, step: Callable[[], str], *, is_overdue: bool) -> None:
        try:
            done = step()
        except (ConcurrentUpdateError, ProviderError) as error:
            # One for whom this goes on for days is reported as well.
            done = "failed" if is_overdue else "later"
            logger().warning("a user who is due will be erased later", user_id=user_id, error=type(error).__name__)
        except Exception as error:  # one user must not keep the others from being erased
            done = "failed"
            logger().error("a user who is due could not be erased", user_id=user_id, error=type(error).__name__)
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
            self._store.contracts.change(contract, replace(contract, due_at=due))
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
        request = ErasureRequest(contract.reported_by, ended_reason(contract.ended_on or "", contract.reason), None)
        self._erasure.erase(contract.user_id, unlink=unlink, request=request, contract=contract)
