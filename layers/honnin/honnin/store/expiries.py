"""Ends at times that are known before: of account links, and of residence periods if they are watched.

Each end has an item of its own next to the status. It is written together with the status, so the two always agree. It
is put when the end becomes known or moves, expires with the link, and is deleted by an erasure. In the index `due` it
is listed at its end. It has one kind until the end was reported to the merchant, and another kind after that. Between
the two, while PayPay is to be asked, it has a third kind, and is listed at the time of the next question.
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from honnin.domain_events import AUTHORIZATION_EXPIRED, AUTHORIZATION_EXPIRING, RESIDENCE_PERIOD_EXPIRING
from honnin.event import Provider
from honnin.status import EXPIRE_AT, Link, PayPayStatus
from honnin.store.keys import Item, due, event_key, expiry_key
from honnin.store.table import UNSTORED, Table, attributes, encode, read
from honnin.store.users import UserStatus
from honnin.times import JST, utc_text

# The things that end.
LINK, RESIDENCE = "link", "residence"

# The kinds in the index `due`.
_UNREPORTED, _ASKED, _REPORTED = "expiry_unreported", "expiry_asked", "expiry_reported"


@dataclass(frozen=True)
class Expiry:
    """An end that is known before: `what` is LINK or RESIDENCE, `ends_at` (UTC) the first moment after it.

    `subject` is the PayPay authorization for the question to PayPay. `is_reported`: the end was reported before, or
    has come. `asked`: PayPay is asked before the end is reported; that question is on the queue. `due_at` (UTC) is when
    the item is processed: at the end, and again as long as it is unknown what happened, or whether the end has moved.
    """

    what: str
    user_id: str
    provider: str
    subject: str = field(repr=False)
    ends_at: str
    is_reported: bool = field(metadata=UNSTORED)
    due_at: str = field(metadata=UNSTORED)
    asked: bool = field(default=False, metadata=UNSTORED)

    @property
    def kind(self) -> str:
        """The kind in the index `due`."""
        return _ASKED if self.asked else _REPORTED if self.is_reported else _UNREPORTED


@dataclass(frozen=True)
class ExpiryEvent:
    """A domain event other than `KycStatusChanged`. `event_id` is that of the record from which it is published."""

    event_id: str
    detail_type: str
    content: Mapping[str, Any]


class Expiries:
    """Reads the ends, and changes the time at which each is processed. `honnin.store.events` writes them."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def due(self, now: str, ahead: str) -> Iterator[Expiry]:
        """The ends to ask about by `now`, then unreported ones that come by `ahead` (UTC), the earliest first."""
        yield from self._found(_REPORTED, now)
        yield from self._found(_ASKED, now)
        yield from self._found(_UNREPORTED, ahead)

    def expiring(self, until: str, *, since: str = "") -> Iterator[Expiry]:
        """The ends in the future, from `since` to `until` (UTC), the earliest first.

        An end that is reported meanwhile may come twice.
        """
        now = utc_text(self._table.now())
        begin = max(now, since)
        if begin > until:
            # DynamoDB refuses a range that ends before it begins.
            return iter(())
        reported = (each for each in self._found(_REPORTED, until, begin) if each.due_at == each.ends_at)
        # They are read in the order in which an end changes its kind, so that no end is missed while it changes.
        found = heapq.merge(self._found(_UNREPORTED, until, begin), self._asked(), reported, key=attrgetter("ends_at"))
        return (each for each in found if begin <= each.ends_at <= until and now < each.ends_at)

    def _asked(self) -> Iterator[Expiry]:
        """The ends about which PayPay is being asked.

        These are few, and not listed by their end, so they are sorted here.
        """
        yield from sorted(self._found(_ASKED, "~"), key=attrgetter("ends_at"))

    def of(self, user_id: str) -> list[Expiry]:
        """The known ends of a user."""
        return [_read(item) for item in self._table.under(f"USER#{user_id}", "EXPIRY#") if "due_kind" in item]

    def records(self, user_id: str, event_ids: Iterable[str]) -> list[str]:
        """The ids of the records by which these events, or any event of this user, may have reported an end."""
        kinds = (AUTHORIZATION_EXPIRING, AUTHORIZATION_EXPIRED)
        return [_residence_record(user_id), *(f"{each}:{kind}" for each in event_ids for kind in kinds)]

    def look_again(self, expiry: Expiry, due_at: str | None) -> None:
        """Process it again at `due_at` (UTC), or never.

        Does nothing if it has moved, was reported or has ended meanwhile.
        """
        key = expiry_key(expiry.user_id, expiry.what)
        known = {f"known_{name}": value for name, value in due(expiry.kind, expiry.due_at, key).items()}
        unchanged = "#due_kind = :known_due_kind AND #due_at = :known_due_at"
        if due_at is None:
            ended: Item = {"expires_at": self._table.epoch}
            remove = ("due_kind", "due_at")
            self._table.attempt(self._table.update(key, ended, unchanged, known=known, remove=remove))
        else:
            kind = _ASKED if due_at < expiry.ends_at else _REPORTED
            self._table.attempt(self._table.update(key, due(kind, due_at, key), unchanged, known=known))

    def _found(self, kind: str, until: str, since: str = "0") -> Iterator[Expiry]:
        for item in self._table.due(kind, until, since=since):
            yield _read(item)


def _read(item: Item) -> Expiry:
    kind = str(item["due_kind"]).partition("#")[0]
    return read(Expiry, item, is_reported=kind == _REPORTED, asked=kind == _ASKED, due_at=item["due_at"])


def expiry_puts(table: Table, before: UserStatus | None, after: UserStatus) -> list[Item]:
    """The puts that make the user's ends agree with the status."""
    old, new = known_ends(before), known_ends(after)
    changed = [what for what in (LINK, RESIDENCE) if old.get(what) != new.get(what)]
    keys = {what: expiry_key(after.user_id, what) for what in changed}
    # An end that is over is not deleted: of the roles that write statuses, only the erasure's may delete.
    over = {"expires_at": table.epoch - 60}
    items = [keys[what] | (_attributes(new[what], keys[what]) if what in new else over) for what in changed]
    return [{"TableName": table.name, "Item": encode(item)} for item in items]


def _attributes(expiry: Expiry, key: Item) -> Item:
    return attributes(expiry) | due(expiry.kind, expiry.due_at, key)


def expiry_deletes(table: Table, user_id: str) -> list[Item]:
    """The deletes of a user's ends, and of the record of the reported residence period."""
    keys = [*(expiry_key(user_id, what) for what in (LINK, RESIDENCE)), event_key(_residence_record(user_id))]
    return [{"TableName": table.name, "Key": encode(key)} for key in keys]


def _residence_record(user_id: str) -> str:
    """The one record of what was reported about a user's residence period.

    It is only one, so that an erasure finds it.
    """
    return f"residence:{hashlib.sha256(user_id.encode()).hexdigest()}"


def expiry_record(event_id: str, kind: str, user_id: str) -> str:
    """The id of the record from which an event of this kind is published, caused by the event with that id."""
    return _residence_record(user_id) if kind == RESIDENCE_PERIOD_EXPIRING else f"{event_id}:{kind}"


def known_ends(status: UserStatus | None) -> dict[str, Expiry]:
    """The known ends of a user, by what ends."""
    if status is None or status.provider != Provider.PAYPAY or not status.user_authorization_id:
        return {}
    link = (status.facets or {}).get("link")
    # PayPay is asked about an end that it has not confirmed, until it confirms it.
    stands = link == Link.ACTIVE or status.is_over
    found: dict[str, Expiry] = {}
    user = Expiry(LINK, status.user_id, status.provider, status.user_authorization_id, "", is_reported=False, due_at="")
    if status.link_expires_at and stands:
        end, is_reported = status.link_expires_at, status.link_end_reported == status.link_expires_at
        found[LINK] = replace(user, ends_at=end, due_at=end, is_reported=is_reported)
    if status.residence_ends_on and link == Link.ACTIVE and status.residence_end_reported != status.residence_ends_on:
        end = _end_of_day(status.residence_ends_on)
        found[RESIDENCE] = replace(user, what=RESIDENCE, ends_at=end, due_at=end)
    return found


def _end_of_day(day: str) -> str:
    """The first moment after a JST day."""
    return utc_text(datetime.fromisoformat(day).replace(tzinfo=JST) + timedelta(days=1))


def expiry_events(before: UserStatus | None, after: UserStatus, event_id: str, at: str) -> list[ExpiryEvent]:
    """The events about ends for the change from `before` to `after`."""

    def changed(name: str) -> Any:
        value = getattr(after, name)
        return value if value != (before and getattr(before, name)) else None

    events: list[tuple[str, Mapping[str, Any]]] = []
    if end := changed("link_end_reported"):
        events.append((AUTHORIZATION_EXPIRING, {"status": after.status, "linkExpiresAt": end}))
    if end := changed("expired_at"):
        said = after.provider_status if after.status == PayPayStatus.EXPIRED else EXPIRE_AT
        events.append((AUTHORIZATION_EXPIRED, {"expiredAt": end, "providerStatus": said}))
    if day := changed("residence_end_reported"):
        events.append((RESIDENCE_PERIOD_EXPIRING, {"status": after.status, "residenceEndsOn": day}))
    user = {"userId": after.user_id, "provider": after.provider}
    return [
        ExpiryEvent(
            expiry_record(event_id, kind, after.user_id),
            kind,
            {**user, **content, "occurredAt": at, "eventId": f"{event_id}:{kind}"},
        )
        for kind, content in events
    ]
