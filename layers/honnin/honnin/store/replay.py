"""What the bus was told, to be told once more: `honninctl events replay`. No function uses it."""

from collections.abc import Iterator, Sequence
from itertools import batched

from honnin.store.events import EventRecord, event_record
from honnin.store.keys import entry_key, event_key
from honnin.store.overview import Overview, Told
from honnin.store.table import Table

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
        for. Nor are those whose record has ended (400 days).
        """
        found = (each for each in self._overview.told(since, until) if user_id in (None, each.user_id))
        for some in batched(found, _AT_ONCE, strict=False):
            records = self._records(some)
            yield from map(list, batched(records, _AT_ONCE, strict=False))

    def _records(self, some: Sequence[Told]) -> list[EventRecord]:
        ids = [event_id for each in some for event_id in _ids(each)]
        places = {each: entry_key(each.user_id, each.at, each.event_id) for each in some}
        items = {
            (item["pk"], item["sk"]): item
            for item in self._table.batch([*places.values(), *map(event_key, ids)], consistent=True)
        }
        still = [each for each, key in places.items() if "told" in items.get((key["pk"], key["sk"]), {})]
        keys = [event_key(event_id) for each in still for event_id in _ids(each)]
        records = [event_record(items[key["pk"], key["sk"]]) for key in keys if (key["pk"], key["sk"]) in items]
        return [each for each in records if each.change]


def _ids(told: Told) -> list[str]:
    """The event's own record, and those of what was told besides, under ids of their own."""
    return [told.event_id, *(f"{told.event_id}:{each}" for each in told.told)]
