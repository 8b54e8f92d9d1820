"""What the table knows about the events of a batch. It is read once, at the beginning."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from honnin.event import Event, Provider
from honnin.store.events import Effect, EventRecord, event_record
from honnin.store.keys import Item, erased_key, event_key, link_key, status_key, submission_key
from honnin.store.links import Link
from honnin.store.submissions import Submission
from honnin.store.table import Table, read
from honnin.store.users import PROVIDERS, UserStatus, began

type _Name = tuple[str, str]


class Known:
    """What is known about the users of some events. It may be out of date; then a commit fails by the version.

    Only one thread uses it. `answers` and `asked` belong to the provider's rule: the answers that it has received since
    all this was read, and the users it has asked about.
    """

    def __init__(self, table: Table, items: dict[_Name, Item | None]) -> None:
        self._table = table
        self._items = items
        self._statuses: dict[_Name, UserStatus] = {}
        self._records: dict[str, EventRecord] = {}
        self.answers: set[Any] = set()
        self.asked: set[str] = set()

    @classmethod
    def of(cls, table: Table, events: Sequence[Event]) -> "Known":
        """Read the events' records and the users whom the events concern, in two round trips."""
        items: dict[_Name, Item | None] = {}
        _add(table, items, [key for each in events for key in _keys(each)])
        found = cls(table, items)
        _add(table, items, [key for each in events for key in _status_keys(found, each)])
        return found

    def copy(self) -> "Known":
        """A copy for another thread."""
        return self.__class__(self._table, dict(self._items))

    def user(self, event: Event) -> str | None:
        """Our id of the user whom an event is about, if it is known."""
        match event.provider:
            case Provider.PAYPAY:
                of: Link | Submission | None = self.link(event.subject)
            case Provider.VEXORA:
                of = self.submission(event.subject)
            case _:
                return event.subject
        return of.user_id if of else None

    def record(self, event_id: str) -> EventRecord | None:
        """The record of an event, if it has taken effect."""
        return self._records.get(event_id) or self._get(event_key(event_id), event_record)

    def is_erased(self, user_authorization_id: str) -> bool:
        """Whether the user of a PayPay authorization was erased."""
        return self._get(erased_key(user_authorization_id), bool) is not None

    def link(self, user_authorization_id: str) -> Link | None:
        """The link of a PayPay authorization."""
        return self._get(link_key(user_authorization_id), lambda item: read(Link, item))

    def submission(self, submission_id: str) -> Submission | None:
        """An application at Vexora."""
        return self._get(submission_key(submission_id), lambda item: read(Submission, item))

    def status(self, user_id: str, provider: str) -> UserStatus | None:
        """The user's status at one provider."""
        key = status_key(user_id, provider)
        after = self._statuses.get(_name(key))
        return after or self._get(key, lambda item: read(UserStatus, item))

    def beside(self, user_id: str, provider: str) -> list[UserStatus]:
        """The user's status at the other provider, if that provider knows the user."""
        found = (self.status(user_id, each) for each in PROVIDERS if each != provider)
        return [each for each in found if each]

    def applied(self, effect: Effect, record: EventRecord) -> None:
        """An effect is now in the table: keep it as the user's present data."""
        self._records[effect.event_id] = record
        if effect.links or effect.link or effect.opens or effect.withdraws:
            self.forget()
            return
        if effect.after.submission_id:
            self._items.pop(_name(submission_key(effect.after.submission_id)), None)
        after = replace(effect.after, since=began(effect.before, effect.after.status, effect.at))
        self._statuses[_name(status_key(after.user_id, after.provider))] = after

    def published(self, record: EventRecord) -> None:
        """What an event changed was published on the bus."""
        self._records[record.event_id] = replace(record, published=True)

    def forget(self) -> None:
        """Forget everything, so that it is read again: another worker was faster, or a write may have failed."""
        self._items.clear()
        self._statuses.clear()
        self.asked.clear()

    def _get[R](self, key: Item, of: Callable[[Item], R]) -> R | None:
        name = _name(key)
        if name not in self._items:
            self._items[name] = self._table.get(key)
        item = self._items[name]
        return of(item) if item else None


def _is_settle(event: Event) -> bool:
    return event.cause == "settle"


def _keys(event: Event) -> Iterator[Item]:
    if not _is_settle(event):
        # A settle event leaves a record only if it changes something, which is seldom.
        yield event_key(event.event_id)
    if event.provider == Provider.PAYPAY:
        yield erased_key(event.subject)
        yield link_key(event.subject)
    elif event.provider == Provider.VEXORA:
        yield submission_key(event.subject)


def _status_keys(known: Known, event: Event) -> Iterator[Item]:
    """The statuses that an event needs. A settle event seldom changes anything, and only a change needs the other."""
    if user := known.user(event):
        of = (event.provider,) if _is_settle(event) and event.provider in PROVIDERS else PROVIDERS
        yield from (status_key(user, provider) for provider in of)


def _add(table: Table, items: dict[_Name, Item | None], keys: Iterable[Item]) -> None:
    wanted = list(keys)
    items.update((_name(key), None) for key in wanted)
    items.update((_name(item), item) for item in table.batch(wanted, consistent=True))


def _name(key: Item) -> _Name:
    return key["pk"], key["sk"]
