"""Which webhooks were received on a JST day: for statistics and for closing a day. It decides nothing about a user."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from honnin.store.keys import received_key
from honnin.store.table import Table, encode, read

# Recon uses the last 7 days. These counts are kept longer than any file that PayPay may send again.
RECEIVED_KEPT = timedelta(days=40)

# The kinds of webhooks whose users PayPay also lists in a recon file.
RECON_KINDS = ("kyc", "risk", "account_status")


@dataclass(frozen=True)
class ReceivedDay:
    """The webhooks of one kind that were received on a JST day: how many, the first and the last moment (UTC).

    If the queue delivers a webhook twice, it may be counted twice.
    """

    kind: str
    day: str
    first: str
    last: str
    count: int


class Received:
    """Counts webhooks by kind and JST day."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def note(self, more: ReceivedDay) -> None:
        """Count further webhooks of a day."""
        expires = datetime.fromisoformat(more.last) + RECEIVED_KEPT
        values = {
            ":kind": more.kind,
            ":day": more.day,
            ":first": more.first,
            ":last": more.last,
            ":more": more.count,
            ":end": int(expires.timestamp()),
        }
        update = {
            "TableName": self._table.name,
            "Key": encode(received_key(more.kind, more.day)),
            "UpdateExpression": "SET kind = :kind, #day = :day, #first = if_not_exists(#first, :first), #last = :last,"
            " expires_at = :end ADD #count :more",
            "ExpressionAttributeNames": {"#day": "day", "#first": "first", "#last": "last", "#count": "count"},
            "ExpressionAttributeValues": encode(values),
        }
        self._table.settled(self._table.db.update_item, update)

    def of(self, kind: str, day: str) -> ReceivedDay | None:
        """What was received of a kind on a JST day; None if nothing was, or if it is no longer stored."""
        item = self._table.get(received_key(kind, day))
        return read(ReceivedDay, item) if item else None

    def last(self, kind: str, today: str) -> ReceivedDay | None:
        """The last JST day up to today on which webhooks of a kind were received, as far back as they are stored."""
        last = date.fromisoformat(today)
        days = [(last - timedelta(days=back)).isoformat() for back in range(RECEIVED_KEPT.days + 1)]
        found = [read(ReceivedDay, item) for item in self._table.batch([received_key(kind, day) for day in days])]
        return max(found, key=lambda each: each.day, default=None)
