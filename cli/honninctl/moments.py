"""Moments as they are typed (a day in Japan, or a moment with its offset from UTC), and as they are shown."""

from datetime import UTC, date, datetime, timedelta

from honninctl.failures import UsageError
from honninctl.language import _


def day(word: str, now: datetime) -> str:
    """`today` and `yesterday` as a day in Japan; every other text as it is."""
    from honnin import times

    back = {"today": 0, "yesterday": 1}.get(word)
    return word if back is None else (date.fromisoformat(times.jst_day(now)) - timedelta(days=back)).isoformat()


def shown(moment: str | None) -> str:
    """A stored moment as Japan's time, for people; empty for None."""
    from honnin import times

    return f"{datetime.fromisoformat(moment).astimezone(times.JST):%Y-%m-%d %H:%M:%S}" if moment else ""


def moment(option: str, text: str, *, ends: bool = False) -> datetime:
    """A moment with its offset, or the beginning (with `ends` the end) of a day in Japan.

    Raises `UsageError`, which names the option, for what is neither.
    """
    from honnin import times

    try:
        found = datetime.fromisoformat(text)
        if len(text) == len("2026-11-20"):
            found = found.replace(tzinfo=times.JST) + timedelta(days=ends)
        if found.tzinfo is None:
            raise ValueError
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            _("{option} {text!r} is neither a day in Japan (2026-11-20) nor a time (2026-11-20T03:00:00Z)").format(
                option=option, text=text
            )
        ) from None
