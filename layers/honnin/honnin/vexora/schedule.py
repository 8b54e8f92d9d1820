"""When an open submission is asked for: after the delays of the template parameter, then daily for 30 days."""

from collections.abc import Sequence
from datetime import datetime, timedelta

_DAILY_POLLS = 30


def offsets(delays_s: Sequence[int]) -> tuple[timedelta, ...]:
    """Every poll, as time after the submission; `delays_s` in seconds, rising."""
    early = [timedelta(seconds=delay) for delay in delays_s]
    return (*early, *(early[-1] + timedelta(days=day) for day in range(1, _DAILY_POLLS + 1)))


def next_poll(
    submitted_at: datetime, polls: int, delays_s: Sequence[int], now: datetime
) -> tuple[int, datetime | None]:
    """How many polls count as done once the next time is set, and that time (None: there is no further one).

    Polls that were missed (the schedule did not run) are not made up for one by one: the next is the first one
    after `now`.
    """
    plan = offsets(delays_s)
    for done in range(polls, len(plan)):
        at = submitted_at + plan[done]
        if at > now:
            return done, at
    return len(plan), None


def stale_at(submitted_at: datetime, delays_s: Sequence[int]) -> datetime:
    """From when on a submission that is still open is called stale: the time of its last poll."""
    return submitted_at + offsets(delays_s)[-1]
