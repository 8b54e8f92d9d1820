"""Notifications of recon files: where each file can be fetched, and until when.

There is one item for each URL. If a notification is recorded twice, the result is the same as once, and no notification
replaces another one. PayPay may send the same notification again; then it counts as a newer one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from honnin.store.keys import Item, due, last_reported_key, notification_key
from honnin.store.table import FETCH, Table, attributes, read
from honnin.times import utc_text

# Base document: "File acquisition period: 2 hours". It is counted from when we received the notification, because no
# other moment is certain.
ACQUISITION_PERIOD = timedelta(hours=2)

# How long a processed notification is remembered, so that a message that comes twice does not start it again.
_KEPT = timedelta(days=40)

# The URL contains a signature, so it is deleted as soon as there is nothing to fetch.
_FETCH_ATTRIBUTES = ("url", "due_kind", "due_at", "claimed_until")


@dataclass(frozen=True)
class Notification:
    """A notification that there is a recon file at a URL. Times are UTC, `day` is JST.

    `requested_at` is what the notification itself says; it is only shown. `tried` counts the tries, and `reason` says
    why the last one failed. `gave` is the name of the stored file that the URL has given. `whole`: the file came twice,
    or the server gave its length. `reported_at` is when a mail said that it fails.
    """

    file_type: str
    day: str
    file_name: str
    url: str = field(repr=False)
    received_at: str
    requested_at: str | None = None
    tried: int = 0
    reason: str | None = None
    gave: str | None = None
    whole: bool = False
    reported_at: str | None = None

    @property
    def until(self) -> datetime:
        """The end of the time in which the file can be fetched."""
        return datetime.fromisoformat(self.received_at) + ACQUISITION_PERIOD


class Notifications:
    """Records notifications, and the results of fetching them."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def record(self, notification: Notification) -> None:
        """Record a notification, unless this one or a newer one of this URL is recorded already."""
        key = _key(notification)
        values = attributes(notification) | due(FETCH, utc_text(notification.until), key)
        values["expires_at"] = int((self._table.now() + _KEPT).timestamp())
        newer = "attribute_not_exists(pk) OR received_at < :received_at"
        remove = ("reason", "gave", "reported_at")
        self._table.attempt(self._table.update(key, values, newer, remove=remove))

    def to_fetch(self) -> list[Notification]:
        """All notifications whose file can be fetched, the oldest first."""
        return [read(Notification, item) for item in self._table.due(FETCH, "9999")]

    def claim(self, notification: Notification, now: str, until: str) -> bool:
        """Claim a notification for one try, until `until` (UTC); False if another worker has it, or it is over."""
        return self._update(
            notification,
            {"claimed_until": until, "tried": notification.tried + 1},
            "attribute_exists(#url) AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
            known={"now": now},
            names=("url",),
        )

    def release(self, notification: Notification, until: str, reason: str) -> None:
        """Release a notification that is still claimed until `until`, with the reason of the failure.

        It is tried again.
        """
        known, remove = {"ours": until}, ("claimed_until",)
        self._update(notification, {"reason": reason}, "claimed_until = :ours", known=known, remove=remove)

    def gave(self, notification: Notification, name: str, *, whole: bool) -> None:
        """Record that the URL gave the file stored under `name`. It is tried again until that file closes its day."""
        self._update(notification, {"gave": name, "whole": whole}, _IS_THIS, known=_this(notification))

    def note_reported(self, notification: Notification, at: str) -> None:
        """Record that a mail said that this one fails."""
        self._update(notification, {"reported_at": at}, _IS_THIS, known=_this(notification))

    def end(self, notification: Notification, reason: str) -> bool:
        """Record that there is nothing more to fetch.

        False if the notification came again meanwhile; then nothing is written.
        """
        values, known = {"reason": reason}, _this(notification)
        return self._update(notification, values, _IS_THIS, known=known, remove=_FETCH_ATTRIBUTES)

    # --- mails about failures, and not too many of them ---

    def last_reported(self) -> str | None:
        """When a mail last said that downloads fail (UTC)."""
        item = self._table.get(last_reported_key())
        return str(item["at"]) if item else None

    def note_last_reported(self, at: str) -> None:
        """Record that such a mail was sent at this moment (UTC)."""
        self._table.attempt(self._table.update(last_reported_key(), {"at": at}, ""))

    def _update(
        self,
        notification: Notification,
        values: Mapping[str, Any],
        condition: str,
        *,
        known: Mapping[str, Any],
        remove: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> bool:
        key = _key(notification)
        return self._table.attempt(self._table.update(key, values, condition, known=known, remove=remove, names=names))


_IS_THIS = "received_at = :received"


def _this(notification: Notification) -> Item:
    return {"received": notification.received_at}


def _key(notification: Notification) -> Item:
    named = f"{notification.file_type}\n{notification.url}"
    return notification_key(hashlib.sha256(named.encode()).hexdigest())
