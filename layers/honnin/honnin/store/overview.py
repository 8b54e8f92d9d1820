"""The index `overview`: which status users have now, and what changed on a day (docs/overview.md).

Two kinds of items have a place in it, which is written in the transaction that changes the user:

- a status, under `STATUS#<provider>#<status>#<shard>`, by when it began. A reading that changes nothing does not change
  the place or the projected attributes, and then DynamoDB writes nothing to the index;
- a timeline entry about which an event was published, under `CHANGED#<JST day>#<shard>`, by its moment.

A place follows from the item alone (`placed`), so it can be computed again at any time (`honnin.store.reindex`). The
shard is a hash of the user id, because a partition of an index takes 1,000 writes a second, and a throttled index also
throttles its table. Readers merge the shards. An erased or expired item also leaves the index.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from heapq import merge
from itertools import batched
from typing import Any

from botocore.exceptions import ClientError

from honnin.domain_events import KYC_STATUS_CHANGED
from honnin.errors import HonninError
from honnin.event import Provider
from honnin.status import PayPayStatus, VexoraStatus
from honnin.store.keys import Item, rebuilding_key
from honnin.store.table import Table, encode
from honnin.times import JST, jst_day, utc_text

INDEX = "overview"

# The shards of each partition of the index.
PLACES = tuple("0123456789abcdef")

# The statuses of each provider that has statuses.
STATUSES: Mapping[str, type[PayPayStatus] | type[VexoraStatus]] = {
    Provider.VEXORA: VexoraStatus,
    Provider.PAYPAY: PayPayStatus,
}

# How many days without any change one page reads at most: each takes a query for every shard.
_DAYS_A_PAGE = 31

# Shards that are counted at the same time: fewer than a client keeps connections (`aws.CONNECTIONS`).
_AT_ONCE = 8

# Items of a shard that one call reads at most.
_MOST_TOGETHER = 1000

# Texts that sort before and after every sort key of the index; the keys begin with a year.
_FIRST, _LAST = "0", "~"


@dataclass(frozen=True)
class Standing:
    """A user's status at a provider, and since when (UTC)."""

    user_id: str
    provider: str
    status: str
    since: str


@dataclass(frozen=True)
class PublishedEntry:
    """A timeline entry about which events were published. `told` are the types of these events."""

    at: str
    user_id: str
    event_id: str
    provider: str
    cause: str
    from_status: str | None
    to_status: str
    told: tuple[str, ...]

    @property
    def is_change(self) -> bool:
        """Whether it is a change of the KYC status; `from_status` may be the same if only a flag was set or cleared."""
        return KYC_STATUS_CHANGED in self.told


@dataclass(frozen=True)
class Page[R]:
    """One page of a list, and the place at which the next page begins (None: there is none).

    A page may have fewer entries than requested, or none, although there is a next page, because entries are filtered.
    """

    found: list[R]
    following: str | None


@dataclass(frozen=True)
class Counts:
    """How many users have each status, by provider and status.

    If not `exact`, it is estimated from some of the shards.
    """

    users: Mapping[tuple[str, str], int]
    exact: bool


class IndexNotReadyError(HonninError):
    """The index does not exist, is being filled (CloudFormation does not wait for that), or is too slow to count."""

    retryable = True

    def __init__(self, why: str = "is not there, or is being filled") -> None:
        super().__init__(f"the index {INDEX} of the table {why}")


# --- places ---


def placed(item: Item) -> Item:
    """A status or a timeline entry as it is stored: with its place in the index, if it has one."""
    place = _place(item)
    kept = {name: value for name, value in item.items() if name not in ("overview_pk", "overview_sk")}
    return kept | ({"overview_pk": place[0], "overview_sk": place[1]} if place else {})


def unplaced(item: Mapping[str, Any]) -> Item:
    """A timeline entry without a place in the index, which also gets none later."""
    return {name: value for name, value in item.items() if name not in ("told", "overview_pk", "overview_sk")}


def _whole(counted: Mapping[tuple[str, str], int | None]) -> Mapping[tuple[str, str], int] | None:
    """The numbers of a shard, if all of it was counted."""
    numbers = {name: number for name, number in counted.items() if number is not None}
    return numbers if len(numbers) == len(counted) else None


def _place(item: Item) -> tuple[str, str] | None:
    family, _, user_id = str(item["pk"]).partition("#")
    kind, _, name = str(item["sk"]).partition("#")
    if family == "USER" and kind == "STATUS" and item.get("since"):
        return _partition("STATUS", name, str(item["status"]), shard=_shard(user_id)), f"{item['since']}#{user_id}"
    if family == "USER" and kind == "AT" and item.get("told"):
        at = str(item["at"])
        # The id itself may contain an authorization, and API callers send this value back to get the next page.
        distinct = hashlib.sha256(str(item["event_id"]).encode()).hexdigest()[:16]
        return _partition("CHANGED", _day_of(at), shard=_shard(user_id)), f"{at}#{distinct}"
    return None


def _partition(*names: str, shard: str) -> str:
    return "#".join((*names, shard))


def _shard(user_id: str) -> str:
    return hashlib.sha256(user_id.encode()).hexdigest()[0]


def _day_of(place: str) -> str:
    """The JST day of a moment, or of a place that begins with one."""
    return jst_day(datetime.fromisoformat(place.partition("#")[0]))


def day_begins(day: str) -> str:
    """The moment (UTC) at which a JST day begins."""
    return utc_text(datetime.combine(datetime.fromisoformat(day), time(), JST))


def _day_after(day: str, days: int = 1) -> str:
    return (datetime.fromisoformat(day) + timedelta(days=days)).date().isoformat()


# --- readers ---


@dataclass(frozen=True)
class _End:
    """The position where a shard's query ended before its last item, because of the filter.

    The page ends here as well.
    """

    place: str


@contextmanager
def _readable() -> Iterator[None]:
    """Raises `IndexNotReadyError` if DynamoDB cannot read the index. (If it is missing, a query is invalid.)"""
    try:
        yield
    except ClientError as error:
        if error.response["Error"].get("Code") in ("ValidationException", "ResourceNotFoundException"):
            raise IndexNotReadyError from error
        raise


class Overview:
    """Reads the index. It is updated a moment later than the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def rebuilding(self) -> bool:
        """Whether `honninctl reindex` is running, so that users and changes may be missing."""
        return self._table.get(rebuilding_key()) is not None

    def users(
        self, provider: str, status: str, *, limit: int, since: str = _FIRST, before: str | None = None
    ) -> Page[Standing]:
        """Users who have this status since `since` (UTC) or later, the latest first, from the place `before` on."""
        if before is not None and before < since:
            # DynamoDB refuses a range that ends before it begins.
            return Page([], None)
        with _readable():
            page = self._page(self._newest_first(("STATUS", provider, status), limit, since, before or _LAST), limit)
        return Page([_standing(item) for item in page.found], page.following)

    def of_shard(self, provider: str, status: str, shard: str, after: str | None = None) -> Iterator[tuple[str, str]]:
        """Users of a shard (one of `PLACES`) with this status, the earliest change first.

        Each comes with the place to continue at. The list begins after the place `after`. A user who leaves the status
        meanwhile and returns is given again, after all others.
        """
        query = self._query(_partition("STATUS", provider, status, shard=shard), after or _FIRST, _LAST)
        request = {name: value for name, value in query.items() if name != "TableName"}
        with _readable():
            for item in self._table.items("query", **request):
                if (place := str(item["overview_sk"])) != after:
                    yield str(item["user_id"]), place

    def count(self, provider: str, status: str) -> int:
        """How many users have this status."""
        counted = partial(self._count, lambda: True)
        with _readable(), ThreadPoolExecutor(_AT_ONCE) as threads:
            return sum(each or 0 for each in threads.map(counted, [(shard, provider, status) for shard in PLACES]))

    def changes(
        self,
        from_day: str,
        to_day: str,
        *,
        limit: int,
        before: str | None = None,
        provider: str | None = None,
        to_status: str | None = None,
    ) -> Page[PublishedEntry]:
        """The changes of status of these JST days (both included), the latest first, from the place `before` on."""
        wanted = {"provider": provider, "to_status": to_status}
        found: list[PublishedEntry] = []
        day = to_day if before is None else min(to_day, _day_of(before))
        for _ in range(_DAYS_A_PAGE):
            if day < from_day:
                return Page(found, None)
            items = self._newest_first(("CHANGED", day), limit, _FIRST, before or _LAST, wanted)
            with _readable():
                page = self._page(filter(_is_change_or_end, items), limit - len(found))
            found += map(_published_entry, page.found)
            if page.following:
                return Page(found, page.following)
            day = _day_after(day, -1)
            if len(found) == limit:
                break
        return Page(found, day_begins(_day_after(day)) if day >= from_day else None)

    def published(self, since: str, until: str) -> Iterator[PublishedEntry]:
        """Every event that was published from `since` to before `until` (UTC), the oldest first."""
        day = _day_of(since)
        while day_begins(day) < until:
            shards = [
                self._table.items(
                    "query",
                    IndexName=INDEX,
                    KeyConditionExpression="overview_pk = :pk AND overview_sk BETWEEN :first AND :last",
                    ExpressionAttributeValues=encode(
                        {":pk": _partition("CHANGED", day, shard=shard), ":first": since, ":last": until}
                    ),
                )
                for shard in PLACES
            ]
            with _readable():
                yield from map(_published_entry, merge(*shards, key=_place_of))
            day = _day_after(day)

    def counts(self, may_go_on: Callable[[], bool]) -> Counts:
        """How many users have each status.

        `may_go_on` is called before each page of some thousands. If it returns False, the rest is estimated from the
        shards that are counted: a user's shard is a hash, so each shard has nearly the same number of users.

        Raises
        ------
        IndexNotReadyError
            Not even one shard could be counted.
        """
        names = [(provider, str(status)) for provider, statuses in STATUSES.items() for status in statuses]
        # The shards are counted one after the other, so that some are complete when the time is over.
        parts = [(shard, *name) for shard in PLACES for name in names]
        with _readable(), ThreadPoolExecutor(_AT_ONCE) as threads:
            numbers = list(threads.map(partial(self._count, may_go_on), parts))
        shards = [dict(zip(names, some, strict=True)) for some in batched(numbers, len(names), strict=True)]
        whole = [counted for shard in shards if (counted := _whole(shard))]
        if not whole:
            raise IndexNotReadyError("was too slow to count any part of it")
        share = len(PLACES) / len(whole)
        users = {name: round(sum(each[name] for each in whole) * share) for name in names}
        return Counts({name: number for name, number in users.items() if number}, exact=len(whole) == len(PLACES))

    def _count(self, may_go_on: Callable[[], bool], part: tuple[str, str, str]) -> int | None:
        """The users of one shard, provider and status; None if it was not counted completely."""
        shard, provider, status = part
        request = self._query(_partition("STATUS", provider, status, shard=shard), _FIRST, _LAST)
        pages = iter(self._table.db.get_paginator("query").paginate(**request, Select="COUNT"))
        number = 0
        while may_go_on():
            page = next(pages, None)
            if page is None:
                return number
            number += page["Count"]
        return None

    def _newest_first(
        self,
        names: tuple[str, ...],
        limit: int,
        first: str,
        before: str,
        wanted: Mapping[str, str | None] | None = None,
    ) -> Iterator[Item | _End]:
        """The items of all shards of a partition before a place, merged.

        An `_End` marks a shard that was not read on.
        """
        shards = [self._shard(_partition(*names, shard=each), limit, first, before, wanted or {}) for each in PLACES]
        return merge(*shards, key=_place_of, reverse=True)

    def _shard(
        self, pk: str, limit: int, first: str, before: str, wanted: Mapping[str, str | None]
    ) -> Iterator[Item | _End]:
        request = self._query(pk, first, before) | {"ScanIndexForward": False}
        named = {name: value for name, value in wanted.items() if value}
        if named:
            request["FilterExpression"] = " AND ".join(f"{name} = :{name}" for name in named)
            request["ExpressionAttributeValues"] |= encode({f":{name}": value for name, value in named.items()})
        else:
            # A shard has about a sixteenth of the page.
            request["Limit"] = limit // 8 + 2
        while True:
            page, last = self._table.page(request)
            yield from (item for item in page if item["overview_sk"] != before)
            if last is None:
                return
            if named:
                # One page of the index is enough for one call, however few of its entries pass the filter.
                yield _End(str(last["overview_sk"]))
                return
            request["ExclusiveStartKey"] = encode(last)
            # If many entries are no change, more must be read. A larger limit avoids a call for every few entries.
            request["Limit"] = min(2 * request["Limit"], _MOST_TOGETHER)

    def _query(self, pk: str, first: str, last: str) -> dict[str, Any]:
        return {
            "TableName": self._table.name,
            "IndexName": INDEX,
            "KeyConditionExpression": "overview_pk = :pk AND overview_sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": encode({":pk": pk, ":first": first, ":last": last}),
        }

    def _page(self, found: Iterator[Item | _End], limit: int) -> Page[Item]:
        items: list[Item] = []
        for each in found:
            if isinstance(each, _End):
                return Page(items, each.place)
            if len(items) == limit:
                return Page(items, str(items[-1]["overview_sk"]))
            items.append(each)
        return Page(items, None)


def _place_of(item: Item | _End) -> str:
    return item.place if isinstance(item, _End) else str(item["overview_sk"])


def _is_change_or_end(item: Item | _End) -> bool:
    return isinstance(item, _End) or _published_entry(item).is_change


def _standing(item: Item) -> Standing:
    return Standing(str(item["user_id"]), str(item["provider"]), str(item["status"]), str(item["since"]))


def _published_entry(item: Item) -> PublishedEntry:
    return PublishedEntry(
        at=item["at"],
        user_id=str(item["pk"]).removeprefix("USER#"),
        event_id=item["event_id"],
        provider=item["provider"],
        cause=item["cause"],
        from_status=item.get("from_status"),
        to_status=item["to_status"],
        told=tuple(item["told"]),
    )
