"""Reads what was published on the bus, so that it can be published again: `honninctl events replay`."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import batched

from honnin.domain_events import KYC_STATUS_CHANGED, SUBMISSION_STALE
from honnin.store.events import EVENT_KEPT, EventRecord, event_record
from honnin.store.expiries import expiry_record
from honnin.store.keys import entry_key, event_key
from honnin.store.overview import Overview, PublishedEntry
from honnin.store.table import Table
from honnin.times import utc_text

# The maximum of PutEvents is ten.
_AT_ONCE = 10


class Replay:
    """Reads what was published on the bus in a period."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._overview = Overview(table)

    def published(self, since: str, until: str, user_id: str | None = None) -> Iterator[list[EventRecord]]:
        """The records of what was published from `since` to before `until` (UTC), the oldest first, in groups of ten.

        Erased users are not included: each group is looked up in the table (not in its index) when it is requested.
        Events whose record has expired (after 400 days) are not included either. Days before that, and future days, are
        not read.
        """
        now = self._table.now()
        since, until = max(since, utc_text(now - EVENT_KEPT)), min(until, utc_text(now + timedelta(days=1)))
        found = (each for each in self._overview.published(since, until) if user_id in (None, each.user_id))
        for some in batched(found, _AT_ONCE, strict=False):
            records = self._records(some)
            yield from map(list, batched(records, _AT_ONCE, strict=False))

    def _records(self, some: Sequence[PublishedEntry]) -> list[EventRecord]:
        places = {each: entry_key(each.user_id, each.at, each.event_id) for each in some}
        keys = [event_key(record_id) for each in some for record_id in _records_of(each)]
        found = self._table.batch([*places.values(), *keys], consistent=True)
        items = {(item["pk"], item["sk"]): item for item in found}
        records: list[EventRecord] = []
        for each, place in places.items():
            if "told" not in items.get((place["pk"], place["sk"]), {}):
                continue
            for record_id, event_id in _records_of(each).items():
                key = event_key(record_id)
                record = event_record(items[key["pk"], key["sk"]]) if (key["pk"], key["sk"]) in items else None
                # A residence period has only one record, so it may already be about a later end.
                if record and record.change and record.change["eventId"] == event_id:
                    records.append(record)
        return records


def _records_of(entry: PublishedEntry) -> dict[str, str]:
    """The ids of the records of what was published, each with the published `eventId`."""
    besides = {
        kind: f"{entry.event_id}:{kind}" for kind in entry.told if kind not in (KYC_STATUS_CHANGED, SUBMISSION_STALE)
    }
    own = {} if len(besides) == len(entry.told) else {entry.event_id: entry.event_id}
    return own | {expiry_record(entry.event_id, kind, entry.user_id): name for kind, name in besides.items()}
