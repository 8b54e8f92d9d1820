"""Moments as they are typed: a day in Japan, or a moment with its offset from UTC."""

from datetime import UTC, datetime, timedelta

from honninctl.failures import UsageError


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
            f"{option} {text!r} is neither a day in Japan (2026-11-20) nor a time (2026-11-20T03:00:00Z)"
        ) from None
