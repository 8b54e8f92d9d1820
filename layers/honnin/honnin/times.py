"""Moments as texts in UTC, and days as PayPay counts them.

A day of PayPay's is 00:00:00 to 23:59:59 Japan Standard Time, which has no summer time. Standard library only: the
webhook functions write the time at which a webhook was received.
"""

from datetime import UTC, datetime, timedelta, timezone

JST = timezone(timedelta(hours=9), "JST")


def utc_text(moment: datetime) -> str:
    """An aware moment as we store and send it: UTC, ISO 8601, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_now() -> str:
    """The present moment as `utc_text` writes it."""
    return utc_text(datetime.now(UTC))


def jst_day(moment: datetime) -> str:
    """The JST day of an aware moment, `yyyy-mm-dd`."""
    return moment.astimezone(JST).date().isoformat()
