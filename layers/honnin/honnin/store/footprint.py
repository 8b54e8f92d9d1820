"""What the table holds about a user. An erasure erases it, and an export shows it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from honnin.event import Provider
from honnin.store.keys import Item, former_key, link_key, named_in
from honnin.store.table import Table, encode, read
from honnin.store.users import Former, UserStatus


@dataclass(frozen=True)
class Footprint:
    """What the table holds that identifies a user at a provider. `entries` are items of the timeline.

    `former` lists everything that the user has or had, including what is present. `taken` are those of the PayPay
    authorizations in it whose link now belongs to another user. Of these, only what was written about this user belongs
    to this user.
    """

    user_id: str
    statuses: tuple[UserStatus, ...]
    former: tuple[Former, ...]
    entries: tuple[Mapping[str, Any], ...] = field(repr=False)
    taken: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def authorization_ids(self) -> tuple[str, ...]:
        """The PayPay authorizations that do not belong to another user now, the present one first."""
        return tuple(each for each in self._ids(Provider.PAYPAY) if each not in self.taken)

    @property
    def submission_ids(self) -> tuple[str, ...]:
        """The Vexora submissions, the present one first."""
        return self._ids(Provider.VEXORA)

    @property
    def present(self) -> frozenset[str]:
        """The authorizations and submissions in the statuses."""
        ids = [each for status in self.statuses for each in (status.user_authorization_id, status.submission_id)]
        return frozenset(filter(None, ids))

    @property
    def is_empty(self) -> bool:
        """Whether everything is erased: there are no ids, and no entry has details or is in a list."""
        left = any(each["detail"] or each.get("told") for each in self.entries)
        return not self.statuses and not self.former and not left

    def _ids(self, provider: Provider) -> tuple[str, ...]:
        found = [each.name for each in self.former if each.provider == provider]
        return tuple(sorted(found, key=lambda name: name not in self.present))


def footprint(table: Table, user_id: str, *, expired: bool) -> Footprint:
    """What the table holds about a user; the statuses are read first."""
    statuses = [read(UserStatus, item) for item in table.under(f"USER#{user_id}", "STATUS#")]
    former = {(each.provider, each.name): each for each in former_of(table, user_id)}
    for each in statuses:
        for provider, name in ((Provider.PAYPAY, each.user_authorization_id), (Provider.VEXORA, each.submission_id)):
            if name:
                former.setdefault((provider, name), Former(provider, name))
    entries = table.under(f"USER#{user_id}", "AT#", expired=expired)
    taken = taken_over(table, user_id, (name for provider, name in former if provider == Provider.PAYPAY))
    in_order = sorted(former.values(), key=lambda each: (each.left_at or "", each.provider, each.name))
    return Footprint(user_id, tuple(statuses), tuple(in_order), tuple(entries), taken)


def taken_over(table: Table, user_id: str, authorization_ids: Iterable[str]) -> frozenset[str]:
    """Those of a user's PayPay authorizations whose link now belongs to another user."""
    links = table.batch(map(link_key, authorization_ids), consistent=True)
    return frozenset(str(each["pk"]).removeprefix("PAYPAY#") for each in links if each["user_id"] != user_id)


def former_of(table: Table, user_id: str) -> Iterator[Former]:
    """The authorizations and submissions of a user that have `Former` items."""
    for item in table.under(f"USER#{user_id}", "FORMER#"):
        _, provider, name = str(item["sk"]).split("#", 2)
        yield Former(provider, name, item.get("left_at"), item.get("erased_by"), counts_of(item))


def stamped_delete(table: Table, user_id: str, former: Former) -> Item:
    """The delete of a `Former` item, on condition that it still has this stamp."""
    return {
        "TableName": table.name,
        "Key": encode(former_key(user_id, former.provider, former.name)),
        "ConditionExpression": "attribute_not_exists(pk) OR erased_by = :stamp",
        "ExpressionAttributeValues": encode({":stamp": former.erased_by}),
    }


def counts_of(item: Item) -> Mapping[str, int]:
    """The counts of an item: its attributes `n_…`."""
    return {name.removeprefix("n_"): int(number) for name, number in item.items() if name.startswith("n_")}


def without_names(event_id: str, names: Mapping[str, str]) -> str:
    """An event's id without the authorization in it. (The authorization may contain colons.)"""
    found = next((each for each in names if each in named_in(event_id)), None)
    return event_id.replace(f":{found}", f":{names[found]}", 1) if found else event_id
