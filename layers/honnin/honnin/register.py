"""The register: who had a status in a period, with the evidence (docs/overview.md, "The register").

It is read from the index `overview` and the timelines, row by row, so its memory does not grow with the number of
users. No user is missed or given twice while others move, because it says what was known at one moment, `as_of`:

1. Who has the status now, and has had it since before the period, is listed into a temporary file.
2. Then it is `as_of`. Whoever got or lost the status between the beginning of the period and `as_of` has changes in
   the index. The first of them, and no other, stands for the user.
3. Whoever is in the file, and was not given in step 2, follows.

What happened after `as_of` is left out of each timeline. An erased user has no place in the index; erased users are
found by reading the whole table, on request, and are given without their id.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import batched
from tempfile import TemporaryFile
from typing import TextIO

from honnin import history
from honnin.event import Provider
from honnin.history import Period
from honnin.status import PayPayStatus, VexoraStatus
from honnin.store import Store, TimelineEntry
from honnin.store.overview import PLACES, PublishedEntry
from honnin.times import utc_text
from honnin.vault import digest_of, product_of, read_at_of

# The status of each provider that verifies a user.
VERIFIED: Mapping[str, str] = {Provider.PAYPAY: PayPayStatus.VERIFIED, Provider.VEXORA: VexoraStatus.APPROVED}

# Timelines that are read at the same time: fewer than a client keeps connections (`aws.CONNECTIONS`).
_AT_ONCE = 8
# Users whose timelines are in memory at the same time.
_TOGETHER = 64

# The index is updated a moment after the table, and clocks differ. A change this long before the list of step 1 may
# have been missing in it.
_UNSURE = timedelta(minutes=10)


@dataclass(frozen=True)
class Row:
    """One period of a user's at a provider, with its evidence. All moments are UTC.

    `since` is empty if it is not kept any more. `event_id`, `cause`, `product`, `request_id` (the provider's
    X-REQUEST-ID), `object` (the key in the vault) and `sha256` belong to the answer by which the period began;
    `object_version` is the version of the object in the bucket, if it was asked for. `until` and `ended_by` (the next
    status) are None while it lasts. `flags` were set by PayPay since it began. `erased_at`: the user was erased; then
    there is no id, and nothing of the evidence.
    """

    user_id: str | None
    provider: str
    status: str
    since: str
    cause: str | None = None
    event_id: str | None = None
    product: str | None = None
    request_id: str | None = None
    object: str | None = field(default=None, repr=False)
    object_version: str | None = None
    sha256: str | None = None
    until: str | None = None
    ended_by: str | None = None
    flags: tuple[tuple[str, str], ...] = ()
    erased_at: str | None = None


@dataclass(frozen=True)
class _Place:
    """A user to look at: one who has the status since `since` (step 1), or who got or lost it by an event (step 2)."""

    user_id: str
    provider: str
    since: str | None = None
    change: tuple[str, str] | None = None


class Register:
    """Who had a status in a period.

    Parameters
    ----------
    wanted
        The status by provider: `VERIFIED`, or a part of it, or any other status.
    first, end
        The period (UTC): from `first` up to, without, `end`.
    version_of
        Gives the version of an object in the vault; None: versions are not wanted.
    seen
        Is called with each number of users that were looked at.

    Attributes
    ----------
    as_of
        The moment (UTC) whose knowledge the rows give; set before the first row comes.
    """

    def __init__(
        self,
        store: Store,
        wanted: Mapping[str, str],
        first: str,
        end: str,
        *,
        version_of: Callable[[str], str | None] | None = None,
        seen: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._first = first
        self._end = end
        self._version_of = version_of
        self._seen = seen
        self.as_of = ""

    def rows(self, *, erased: bool = False) -> Iterator[Row]:
        """Every row, in no particular order, and with `erased` those of users who were erased.

        Raises
        ------
        IndexNotReadyError
            The index does not exist, or is being filled.
        """
        with TemporaryFile("w+", encoding="utf-8") as listed, ThreadPoolExecutor(_AT_ONCE) as threads:
            unsure = utc_text(self._store.table.now() - _UNSURE)
            self._list(listed)
            as_of = self.as_of = utc_text(self._store.table.now())
            given: set[tuple[str, str]] = set()
            for place, rows in self._looked_at(threads, self._changed(as_of), as_of):
                if rows and place.change and place.change[0] >= unsure:
                    given.add((place.user_id, place.provider))
                yield from rows
            left = (each for each in _read(listed) if (each.user_id, each.provider) not in given)
            for _, rows in self._looked_at(threads, left, as_of):
                yield from rows
            if erased:
                for some in batched(self._store.restore.erased_users(), _TOGETHER, strict=False):
                    for rows in threads.map(partial(self._of_erased, as_of), some):
                        yield from rows
                    self._seen(len(some))

    # --- who is looked at ---

    def _list(self, listed: TextIO) -> None:
        """Write down who has the status since before the period."""
        for provider, status in self._wanted.items():
            for shard in PLACES:
                for user_id, place in self._store.overview.of_shard(provider, status, shard):
                    since = place.removesuffix(f"#{user_id}")
                    if since >= self._first:
                        break  # they are in order
                    listed.write(json.dumps([user_id, provider, since]) + "\n")
        listed.seek(0)

    def _changed(self, as_of: str) -> Iterator[_Place]:
        """Whoever got the status in the period, or lost it since the period began, once for each change."""
        just_after = utc_text(datetime.fromisoformat(as_of) + timedelta(milliseconds=1))
        for each in self._store.overview.published(self._first, just_after):
            if self._counts(each):
                yield _Place(each.user_id, each.provider, change=(each.at, each.event_id))

    def _counts(self, change: PublishedEntry) -> bool:
        status = self._wanted.get(change.provider)
        return bool(status) and _crosses(change, status) and (change.to_status != status or change.at < self._end)

    def _looked_at(
        self, threads: ThreadPoolExecutor, places: Iterable[_Place], as_of: str
    ) -> Iterator[tuple[_Place, list[Row]]]:
        for some in batched(places, _TOGETHER, strict=False):
            yield from zip(some, threads.map(partial(self._of, as_of), some), strict=True)
            self._seen(len(some))

    # --- the rows of one user ---

    def _of(self, as_of: str, place: _Place) -> list[Row]:
        _, entries = history.lives(self._timeline(place.user_id, as_of))
        if place.change:
            status = self._wanted[place.provider]
            mine = (each for each in entries if each.provider == place.provider and _crosses(each, status))
            crossing = next((each for each in mine if each.at >= self._first), None)
            if crossing is None or (crossing.at, crossing.event_id) != place.change:
                return []
        found = self._periods(entries, place.provider)
        rows = [self._row(place, each, entries) for each in found]
        if place.since and not rows and not any(each.provider == place.provider for each in entries):
            # No entry is kept any more. An erased user has one, and has no row here.
            rows = self._of_status(place)
        return rows

    def _timeline(self, user_id: str, as_of: str) -> list[TimelineEntry]:
        return [each for each in self._store.users.whole_timeline(user_id) if each.at <= as_of]

    def _periods(self, entries: Iterable[TimelineEntry], *providers: str) -> list[Period]:
        return [
            each
            for each in history.periods(entries)
            if each.provider in providers
            and each.status == self._wanted[each.provider]
            and each.overlaps(self._first, self._end)
        ]

    def _row(self, place: _Place, period: Period, entries: Iterable[TimelineEntry]) -> Row:
        began, evidence = period.began, period.evidence
        detail = evidence.detail if evidence else {}
        key = detail.get("snapshot")
        return Row(
            user_id=place.user_id,
            provider=period.provider,
            status=period.status,
            since=period.since or place.since or "",
            cause=began.cause if began else None,
            event_id=began.event_id if began else None,
            product=history.product(evidence) if evidence else None,
            request_id=(began.detail.get("requestId") if began else None) or detail.get("requestId"),
            object=key,
            object_version=self._version_of(key) if self._version_of and key else None,
            sha256=detail.get("sha256"),
            until=period.until,
            ended_by=period.ended.to_status if period.ended else None,
            flags=tuple(history.flags_since(entries, period.provider, period.since)),
        )

    def _of_status(self, place: _Place) -> list[Row]:
        """The row of a user whose timeline is not kept any more, by the status alone."""
        status = self._store.users.status(place.user_id, place.provider)
        if status is None or status.status != self._wanted[place.provider]:
            return []
        snapshots = [each["snapshot"] for each in (status.kept or {}).values()]
        kept = max(snapshots, key=read_at_of, default=None)
        return [
            Row(
                place.user_id,
                place.provider,
                status.status,
                since=status.since or "",
                product=product_of(kept) if kept else None,
                object=kept,
                object_version=self._version_of(kept) if self._version_of and kept else None,
                sha256=digest_of(kept) if kept else None,
            )
        ]

    def _of_erased(self, as_of: str, erasure: tuple[str, str]) -> list[Row]:
        """The rows of what a user was before an erasure, without anything that says who it was."""
        user_id, certificate_id = erasure
        erased, _ = history.lives(self._timeline(user_id, as_of))
        mine = [each for each in erased if each[-1].event_id == f"erase:{certificate_id}"]
        return [
            Row(
                None,
                period.provider,
                period.status,
                since=period.since,
                cause=period.began.cause if period.began else None,
                until=period.until,
                ended_by=period.ended.to_status if period.ended else None,
                erased_at=life[-1].at,
            )
            for life in mine
            for period in self._periods(life, *self._wanted)
        ]


def _crosses(change: PublishedEntry | TimelineEntry, status: str | None) -> bool:
    """Whether a user got or lost the status by a change."""
    return (change.from_status == status) != (change.to_status == status)


def _read(listed: TextIO) -> Iterator[_Place]:
    for line in listed:
        user_id, provider, since = json.loads(line)
        yield _Place(user_id, provider, since=since)
