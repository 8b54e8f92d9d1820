"""Days as PayPay counts them: 00:00:00 to 23:59:59 Japan Standard Time, which has no summer time."""

from datetime import datetime, timedelta, timezone

JST = timezone(timedelta(hours=9), "JST")


def day(moment: datetime) -> str:
    """The JST day of an aware moment, `yyyy-mm-dd`."""
    return moment.astimezone(JST).date().isoformat()
