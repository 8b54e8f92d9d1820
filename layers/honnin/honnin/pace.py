"""How fast the providers are called: one rate for each, over all environments, that follows what they refuse.

Neither provider publishes how many calls it takes (docs/providers.md). So there is a most that you set, and each answer
429 makes the rate half of what was called just then; it comes back slowly.

**Slots.** Each second of a provider is an item of the table (`store.pace`), with as many slots as the rate is, evenly
spaced. A call waits for its own slot, so no second of any beginning sees more calls than the most. Threads that wait at
the same time get their slots by one write.

**Live before repair.** A live call may reserve its slot up to the end of the next second. Repairs and rereads get slots
that are about to come only, and no more of them than their share: what live calls have reserved is not there for them,
and a live call finds at most a tenth of a second taken. Calls of the merchant API never wait; they are counted, and the
others have fewer.

**Clocks.** An item belongs to a second of the clock of whoever asks. Environments whose clocks differ by seconds use
the same items one after the other: on average the rate holds, a single second may see as many times the most as there
are clocks, and who is late finds what the others have left. (Lambda keeps its clocks together within milliseconds.)
"""

import math
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from threading import Lock

from botocore.exceptions import BotoCoreError, ClientError

from honnin import aws
from honnin.errors import NoLeaseError
from honnin.observability import count, logger
from honnin.store.pace import Ask, Paces, PaceSecond, Slowed

# After a refusal: half for so long, then in so long to nine tenths of what was refused, then the most within half an
# hour. So the rate stays below a limit that the provider does not tell, and seldom tries what is above it.
_HALF_S = 10.0
_BACK_S = 60.0
_NEARLY = 0.9
_FROM_NOTHING_S = 1800.0

# Refusals of calls that were on their way when the rate was halved do not halve it once more.
_ONCE_IN_S = 7.0
_KNOWN_FOR_S = 4.0
_LONGEST_PAUSE_S = 30.0

_MOST_AT_ONCE = 10
_SOON_S = 0.1
_SELDOM_S = 0.7
_TRIES = 5

# Without the counter each environment makes a fiftieth of the most, for so long before it asks again.
_ALONE_PART = 50
_ALONE_S = 10.0

# What the call (12 s), the commit and the answer to SQS take after the wait.
_KEPT_MS = 20_000


class Work(StrEnum):
    """Whom a call is for; the values are the names of the counts in the item of a second."""

    LIVE = "live"
    API = "api"
    REPAIR = "repairs"
    REREAD = "rereads"


@dataclass(frozen=True)
class Wait:
    """There is no slot before this moment (epoch seconds)."""

    until: float


# --- pure ---


def rate_at(most: int, slowed: Slowed | None, now: float) -> int:
    """Calls a second at this moment; 0 while the provider wants to be left alone, else at least 1."""
    if slowed is None:
        return most
    if now * 1000 < slowed.until_ms:
        return 0
    since = now - max(slowed.at_ms, slowed.until_ms) / 1000
    half, nearly = slowed.rate / 2, slowed.rate * _NEARLY
    if since <= _HALF_S:
        rate = half
    elif since <= _HALF_S + _BACK_S:
        rate = half + (nearly - half) * (since - _HALF_S) / _BACK_S
    else:
        rate = nearly + most * (since - _HALF_S - _BACK_S) / _FROM_NOTHING_S
    return max(1, min(most, int(rate)))


def ask(seen: PaceSecond, now: float, rate: int, work: Work, wanted: int, share: int | None) -> Ask | Wait:
    """What to ask of a second, as far as it is known; or until when to wait before asking again.

    `rate` counts if the second has none yet. `share` is the percentage of the rate that the work may take (None: all,
    and then slots may be reserved ahead).
    """
    rate = seen.rate or rate
    # The small number: what is a whole number of slots must not become a little more by the arithmetic.
    floor = max(0, math.ceil((now - seen.second) * rate - 1e-6))
    line = max(seen.used, floor)
    end, before = rate, None
    if share is not None:
        soon = max(_SOON_S, 1 / rate)
        end = min(rate, math.floor((now + soon - seen.second) * rate) + 1)
        most = max(1, rate * share // 100)
        before = most - getattr(seen, work)
        if before <= 0 or line >= rate:
            return Wait(seen.second + 1)
        if line >= end:
            return Wait(seen.second + line / rate - soon)
    number = min(wanted, end - line, before if before is not None else wanted)
    if number <= 0:
        return Wait(seen.second + 1)
    work_before = None if before is None else getattr(seen, work) + before - number
    return Ask(seen.second, work, number, rate, floor, end - number, work_before, is_behind=seen.used < floor)


def pause_s(retry_after: str | None, now: float) -> float:
    """Seconds of a `Retry-After` (seconds or a date), from 0 to 30; 0 for what is neither."""
    text = (retry_after or "").strip()
    found = 0.0
    if text.isascii() and text.isdecimal():
        found = float(text[:9])
    else:
        with suppress(ValueError, TypeError, OverflowError):
            at = parsedate_to_datetime(text)
            found = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now
    return min(max(found, 0.0), _LONGEST_PAUSE_S)


# --- the rate as an environment keeps it ---


class Pace:
    """The rate towards one provider, as one environment keeps it. Any thread may call it.

    Parameters
    ----------
    most
        Calls a second, at most.
    shares
        Percent of the rate that repairs and rereads may take.
    clock, sleep
        Epoch seconds, and how to wait.
    """

    def __init__(
        self,
        provider: str,
        paces: Paces,
        most: int,
        shares: Mapping[Work, int] | None = None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._provider = provider
        self._paces = paces
        self._most = most
        self._shares = shares or {}
        self._clock = clock
        self._sleep = sleep
        self._work = Work.API
        self._until = math.inf
        self._counting, self._leasing, self._telling = Lock(), Lock(), Lock()
        self._waiting = 0
        self._slots: deque[float] = deque()
        self._seen: dict[int, PaceSecond] = {}
        self._refusals = 0
        self._slowed: Slowed | None = None
        self._slowed_read_at = -math.inf
        self._alone_until = self._alone_next = -math.inf

    def begin(self, work: Work, left_ms: int) -> None:
        """Whom the calls are for from now on, and how many milliseconds the function has left. At first: the API."""
        self._work = work
        self._until = self._clock() + (left_ms - _KEPT_MS) / 1000
        self._slots.clear()

    def before_call(self) -> None:
        """Wait until a call may be made; a call for the merchant API does not wait.

        Raises
        ------
        NoLeaseError
            There will be no slot while the function has time for the call.
        """
        if self._work is Work.API:
            self._mark()
            return
        with self._counting:
            self._waiting += 1
        with self._leasing:
            try:
                if not self._slots:
                    self._slots.extend(self._wait_for_slots())
                slot = self._slots.popleft()
            finally:
                # Before the lock is free: the next one must not lease a slot for this thread, too.
                with self._counting:
                    self._waiting -= 1
        self._sleep(max(0.0, slot - self._clock()))

    def limited(self, retry_after: str | None = None) -> None:
        """The provider answered that there are too many calls; `Retry-After` as it gave it."""
        if not self._telling.acquire(blocking=False):
            return  # another thread is telling the same
        try:
            self._slow_down(self._clock(), retry_after)
        except (BotoCoreError, ClientError) as error:
            self._without_counter(error)
            self._alone_next = self._clock() + max(_ALONE_S, pause_s(retry_after, self._clock()))
        finally:
            self._telling.release()

    def lease(self, wanted: int) -> list[float] | Wait:
        """Up to so many moments (epoch seconds) at which a call may be made, without waiting for them."""
        now = self._clock()
        if now >= self._alone_until:
            try:
                return self._shared(wanted, now)
            except (BotoCoreError, ClientError) as error:
                self._without_counter(error)
        self._alone_next = max(now, self._alone_next + _ALONE_PART / self._most)
        return [self._alone_next]

    def _wait_for_slots(self) -> list[float]:
        while True:
            # All slots that are given are taken by threads that wait already: none is kept for later.
            found = self.lease(min(self._waiting, _MOST_AT_ONCE))
            at = found.until if isinstance(found, Wait) else found[-1]
            if at > self._until:
                raise NoLeaseError(self._provider, "the shared rate leaves no room for the call in time")
            if not isinstance(found, Wait):
                return found
            self._sleep(max(0.01, at - self._clock()))

    def _shared(self, wanted: int, now: float) -> list[float] | Wait:
        slowed = self._known_slowed(now)
        rate = rate_at(self._most, slowed, now)
        if slowed and not rate:
            return Wait(slowed.until_ms / 1000)
        share = None if self._work is Work.LIVE else self._shares.get(self._work, 100)
        seconds = (int(now), int(now) + 1)
        self._seen = {second: self._seen.get(second) or PaceSecond(second) for second in seconds}
        self._refusals, waits = 0, []
        wish = partial(ask, now=now, rate=rate, work=self._work, wanted=wanted, share=share)
        for second in seconds:
            found = self._of_second(second, wish)
            if not isinstance(found, Wait):
                return found
            waits.append(found.until)
        if share is None:
            return Wait(min(waits))
        # Live calls come first. Where many wait, a write for each that is not granted would be dear: they ask seldom.
        longest = _SELDOM_S if self._refusals else _SOON_S
        return Wait(max(now, min(waits)) + random.uniform(0.005, longest))

    def _of_second(self, second: int, ask_of: Callable[[PaceSecond], Ask | Wait]) -> list[float] | Wait:
        for _ in range(_TRIES):
            asked = ask_of(self._seen[second])
            if isinstance(asked, Wait):
                return asked
            granted, seen = self._paces.take(self._provider, asked)
            self._seen[second] = seen
            self._refusals += not granted
            if granted:
                return [second + slot / asked.rate for slot in range(seen.used - asked.number, seen.used)]
        return Wait(self._clock() + _SOON_S)

    def _mark(self) -> None:
        now = self._clock()
        if now < self._alone_until:
            return
        try:
            self._paces.mark(self._provider, int(now), self._work)
        except (BotoCoreError, ClientError) as error:
            self._without_counter(error)

    def _known_slowed(self, now: float) -> Slowed | None:
        if now - self._slowed_read_at >= _KNOWN_FOR_S:
            self._slowed = self._paces.slowed(self._provider)
            self._slowed_read_at = now
        return self._slowed

    def _slow_down(self, now: float, retry_after: str | None) -> None:
        known, now_ms = self._paces.slowed(self._provider), round(now * 1000)
        pause = pause_s(retry_after, now)
        until_ms = max(known.until_ms if known else 0, round((now + pause) * 1000) if pause else 0)
        if known and (now_ms - known.at_ms < _ONCE_IN_S * 1000 or now_ms < known.until_ms):
            slowed = replace(known, until_ms=until_ms)
        else:
            # What was called, if that is less than what might have been: else an idle rate would take several halvings.
            called = max(self._paces.second(self._provider, int(now) - back).calls for back in range(3))
            slowed = Slowed(max(1, min(rate_at(self._most, known, now), called)), now_ms, until_ms)
        if slowed != known and self._paces.slow(self._provider, slowed, known):
            logger().warning("the provider is called less often", provider=self._provider, refused_per_s=slowed.rate)
            count("ProviderSlowed", provider=self._provider)
        self._slowed_read_at = -math.inf

    def _without_counter(self, error: Exception) -> None:
        self._alone_until = self._clock() + _ALONE_S
        code = error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""
        logger().warning(
            "the shared rate cannot be kept", provider=self._provider, error=type(error).__name__, aws_error=code
        )
        count("PaceUnshared", provider=self._provider)
        if aws.is_denied(error):
            count("ConfigurationFault")
