"""What the bus was told, to be told once more: `honninctl events replay`. No function uses it."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import batched

from honnin.domain_events import KYC_STATUS_CHANGED, SUBMISSION_STALE
from honnin.store.events import EVENT_KEPT, EventRecord, event_record
from honnin.store.expiries import expiry_record
from honnin.store.keys import entry_key, event_key
from honnin.store.overview import Overview, Told
from honnin.store.table import Table
from honnin.times import utc_text

# One PutEvents takes ten.
_AT_ONCE = 10


class Replay:
    """Reads what the bus was told of a time."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._overview = Overview(table)

    def told(self, since: str, until: str, user_id: str | None = None) -> Iterator[list[EventRecord]]:
        """The records of what the bus was told from `since` up to, without, `until` (UTC), the oldest first, in tens.

        An erased user's are not among them: each ten are looked up in the table, not in its index, when they are asked
        for. Nor are those whose record has ended (400 days): of days before that, and of days to come, nothing is read.
        """
        now = self._table.now()
        since, until = max(since, utc_text(now - EVENT_KEPT)), min(until, utc_text(now + timedelta(days=1)))
        found = (each for each in self._overview.told(since, until) if user_id in (None, each.user_id))
        for some in batched(found, _AT_ONCE, strict=False):
            records = self._records(some)
            yield from map(list, batched(records, _AT_ONCE, strict=False))

    def _records(self, some: Sequence[Told]) -> list[EventRecord]:
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
                # The one record of a residence period may tell of a later end.
                if record and record.change and record.change["eventId"] == event_id:
                    records.append(record)
        return records


def _records_of(told: Told) -> dict[str, str]:
    """The ids of the records that hold what was told, each with the `eventId` that was told."""
    besides = {
        kind: f"{told.event_id}:{kind}" for kind in told.told if kind not in (KYC_STATUS_CHANGED, SUBMISSION_STALE)
    }
    own = {} if len(besides) == len(told.told) else {told.event_id: told.event_id}
    return own | {expiry_record(told.event_id, kind, told.user_id): name for kind, name in besides.items()}
