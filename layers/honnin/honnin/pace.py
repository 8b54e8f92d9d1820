"""Limits how fast the providers are called: one rate for each provider, shared by all environments.

Neither provider publishes how many calls it accepts (docs/providers.md). So you set a maximum rate. Each answer 429
lowers the rate to half of what was being called at that moment; after that the rate rises again slowly.

**Slots.** Each second of a provider is an item in the table (`store.pace`). It has as many evenly spaced slots as the
rate is. Each call waits for its own slot, so no period of one second has more calls than the maximum, wherever it
begins. Threads that wait at the same time get their slots with one write.

**Live before repair.** A live call may reserve a slot as late as the end of the next second. Repairs and rereads only
get slots that are about to come, and only their share of them. They cannot have slots that live calls have reserved.
A live call finds at most a tenth of a second of slots taken by them. Calls for the merchant API never wait; they are
counted, so the others get fewer slots.

**Clocks.** An item belongs to a second on the clock of the environment that asks. If clocks differ by seconds, the
environments use the same items at different times. On average the rate still holds. A single second may then have as
many times the maximum as there are different clocks, and the environment with the slow clock gets the slots that the
others have left. (Lambda keeps its clocks together within milliseconds.)
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
from honnin.observability import count, count_for_alarm, logger
from honnin.store.pace import Ask, Paces, PaceSecond, Slowed

# After a refusal the rate is halved for `_HALF_S`. Within `_BACK_S` it then rises to nine tenths of the refused rate,
# and within half an hour to the maximum. So the rate is mostly below a limit that the provider does not publish, and
# only seldom tries to exceed it.
_HALF_S = 10.0
_BACK_S = 60.0
_NEARLY = 0.9
_FROM_NOTHING_S = 1800.0

# Calls that were already on their way when the rate was halved may be refused too; these do not halve it again.
_ONCE_IN_S = 7.0
_KNOWN_FOR_S = 4.0
_LONGEST_PAUSE_S = 30.0

_MOST_AT_ONCE = 10
# The threads of a batch ask for slots at almost the same time. The first one waits this long for the others. What can
# wait gets only slots of the next tenth of a second: with a longer pause, several of them come with one write.
_TOGETHER_S = 0.01
_LATER_TOGETHER_S = 0.06
_SOON_S = 0.1
_SELDOM_S = 0.7
_TRIES = 5

# Without the counter, each environment uses a fiftieth of the maximum for this time before it asks the table again.
_ALONE_PART = 50
_ALONE_S = 10.0

# Time after the wait for the call (12 s), the commit and the answer to SQS.
_KEPT_MS = 20_000


class Work(StrEnum):
    """What a call is made for. The values are the names of the counts in a second's item."""

    LIVE = "live"
    API = "api"
    REPAIR = "repairs"
    REREAD = "rereads"


@dataclass(frozen=True)
class Wait:
    """There is no slot before `until` (epoch seconds)."""

    until: float


# --- pure ---


def rate_at(most: int, slowed: Slowed | None, now: float) -> int:
    """Calls a second at this moment; 0 while the provider has asked for a pause, otherwise at least 1."""
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
    """The slots to ask for in a second, from what is known of it; or until when to wait before asking again.

    `rate` is used if the second has no rate yet. `share` is the percentage of the rate that this kind of work may use.
    None means all of it; only then may slots be reserved ahead.
    """
    rate = seen.rate or rate
    # The small number prevents a rounding error: a whole number of slots must not become slightly more.
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
    """Seconds given by a `Retry-After` (seconds or a date), limited to 0 to 30; 0 if it is neither."""
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
    """One environment's view of the rate towards one provider. Any thread may call it.

    Parameters
    ----------
    most
        The maximum calls a second.
    shares
        Percent of the rate that repairs and rereads may use.
    clock, sleep
        A function that returns epoch seconds, and one that waits.
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
        self._counting, self._leasing, self._slowing = Lock(), Lock(), Lock()
        self._waiting = 0
        self._slots: deque[float] = deque()
        self._seen: dict[int, PaceSecond] = {}
        self._refusals = 0
        self._slowed: Slowed | None = None
        self._slowed_read_at = -math.inf
        self._alone_until = self._alone_next = -math.inf

    def begin(self, work: Work, left_ms: int) -> None:
        """Set what the next calls are for (at first: the API), and how many milliseconds the function has left."""
        self._work = work
        self._until = self._clock() + (left_ms - _KEPT_MS) / 1000
        self._slots.clear()

    def before_call(self) -> None:
        """Wait until a call may be made; a call for the merchant API does not wait.

        Raises
        ------
        NoLeaseError
            No slot comes early enough for the call to end before the function's time-out.
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
                # Do this before the lock is released: otherwise the next thread would lease a slot for this thread,
                # too.
                with self._counting:
                    self._waiting -= 1
        self._sleep(max(0.0, slot - self._clock()))

    def limited(self, retry_after: str | None = None) -> None:
        """The provider answered that there were too many calls. `retry_after` is its `Retry-After` header."""
        if not self._slowing.acquire(blocking=False):
            return  # another thread is doing this now
        try:
            self._slow_down(self._clock(), retry_after)
        except (BotoCoreError, ClientError) as error:
            self._without_counter(error)
            self._alone_next = self._clock() + max(_ALONE_S, pause_s(retry_after, self._clock()))
        finally:
            self._slowing.release()

    def lease(self, wanted: int) -> list[float] | Wait:
        """Get up to `wanted` moments (epoch seconds) at which a call may be made, without waiting for them."""
        now = self._clock()
        if now >= self._alone_until:
            try:
                return self._shared(wanted, now)
            except (BotoCoreError, ClientError) as error:
                self._without_counter(error)
        self._alone_next = max(now, self._alone_next + _ALONE_PART / self._most)
        return [self._alone_next]

    def _wait_for_slots(self) -> list[float]:
        # The other threads of a batch come within this moment, and one write serves all of them.
        self._sleep(_TOGETHER_S if self._work is Work.LIVE else _LATER_TOGETHER_S)
        while True:
            # Only threads that already wait use the slots: none is stored for later.
            found = self.lease(min(self._waiting, _MOST_AT_ONCE))
            at = found.until if isinstance(found, Wait) else found[-1]
            if at > self._until:
                raise NoLeaseError(self._provider, "the shared call rate allowed no call in time")
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
        # Live calls come first. Each refused request costs a write, so where many wait, they ask less often.
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
            # The rate that was really called, if it is less than the allowed rate. Otherwise, when the calls are far
            # below the allowed rate, it would take several halvings until there are fewer calls.
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
            "the shared call rate cannot be written; a fixed rate is used",
            provider=self._provider,
            error=type(error).__name__,
            aws_error=code,
        )
        count("PaceUnshared", provider=self._provider)
        if aws.is_denied(error):
            count_for_alarm("ConfigurationFault")
