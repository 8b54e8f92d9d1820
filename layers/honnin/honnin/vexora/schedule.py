"""When to ask about an open submission: after the delays of the template parameter, daily for 30 days, then weekly."""

from collections.abc import Sequence
from datetime import datetime, timedelta

_DAILY_POLLS = 30


def offset(poll: int, delays_s: Sequence[int]) -> timedelta:
    """The time of a poll (counted from 0) after the submission. `delays_s` are seconds, rising. The polls never end."""
    later = poll - len(delays_s) + 1
    if later <= 0:
        return timedelta(seconds=delays_s[poll])
    weeks = max(later - _DAILY_POLLS, 0)
    return timedelta(seconds=delays_s[-1]) + timedelta(days=min(later, _DAILY_POLLS), weeks=weeks)


def next_poll(submitted_at: datetime, polls: int, delays_s: Sequence[int], now: datetime) -> tuple[int, datetime]:
    """How many polls count as done once the next time is set, and that time.

    If polls were missed (the schedule did not run), they are not made up for. The next poll is the first one after
    `now`.
    """
    while submitted_at + offset(polls, delays_s) <= now:
        polls += 1
    return polls, submitted_at + offset(polls, delays_s)


def stale_at(submitted_at: datetime, delays_s: Sequence[int]) -> datetime:
    """From when on an open submission is called stale: the time of its last daily poll."""
    return submitted_at + offset(len(delays_s) - 1 + _DAILY_POLLS, delays_s)
