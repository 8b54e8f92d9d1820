"""Builds the index `overview` again: `honninctl reindex`. No function uses it.

The places are attributes of the items themselves, so a restored table already has them. This is for items that were
written without a place, or changed by hand. While it is running, there is a marker in the table, and readers say so.
The position in each segment of the table is stored after each page, together with the run that reached it. The next run
continues an interrupted run. Positions of other runs are ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event

from honnin.store.keys import Item, rebuilding_key, segment_key
from honnin.store.overview import placed
from honnin.store.segments import pages, side_by_side
from honnin.store.table import Table, decode, encode
from honnin.times import utc_text

# The attributes that decide an item's place, and that show whether the item has changed since.
_NEEDED = ("pk", "sk", "version", "status", "read_at", "since", "at", "event_id", "told", "overview_pk", "overview_sk")

# Items on a page: after each page, the position in the segment is stored.
_PAGE = 1000


@dataclass(frozen=True)
class Rebuilding:
    """A run: since when (UTC), and over how many segments of the table."""

    started_at: str
    segments: int


@dataclass(frozen=True)
class Progress:
    """The result of one page: items read, and items that got another place."""

    looked_at: int
    mended: int


class Reindex:
    """Rebuilds the index, with several segments at the same time."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def under_way(self) -> Rebuilding | None:
        """The run that has begun and not ended, if there is one."""
        item = self._table.get(rebuilding_key())
        return Rebuilding(str(item["started_at"]), int(item["segments"])) if item else None

    def begin(self, at: str, segments: int) -> Rebuilding:
        """Begin a run, or continue the one that was interrupted, which keeps its number of segments."""
        said = {"started_at": at, "segments": segments}
        self._table.attempt(self._table.update(rebuilding_key(), said, "attribute_not_exists(pk)"))
        return self.under_way() or Rebuilding(at, segments)

    def run(self, rebuilding: Rebuilding, advance: Callable[[Progress], object]) -> None:
        """Check every item, then remove the marker. `advance` is called for each page, in any thread.

        Raises
        ------
        ClientError, BotoCoreError
            A call failed; the marker stays, and the next run continues from there.
        """
        side_by_side(rebuilding.segments, partial(self._segment, rebuilding, advance))
        self._table.delete(map(segment_key, range(rebuilding.segments)))
        self._end(rebuilding)

    def _end(self, rebuilding: Rebuilding) -> None:
        """Remove the marker, unless it belongs to a run that has begun since."""
        gone = {
            "TableName": self._table.name,
            "Key": encode(rebuilding_key()),
            "ConditionExpression": "started_at = :ours",
            "ExpressionAttributeValues": encode({":ours": rebuilding.started_at}),
        }
        self._table.write(self._table.db.delete_item, gone)

    def _segment(self, run: Rebuilding, advance: Callable[[Progress], object], stop: Event, segment: int) -> None:
        known = self._table.get(segment_key(segment)) or {}
        if known.get("run") != run.started_at:
            known = {}
        if known.get("done"):
            return
        names = {f"#{name}": name for name in _NEEDED}
        wanted = {"Limit": _PAGE, "ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        for items, after in pages(self._table, segment, run.segments, known.get("after"), **wanted):
            mended = sum(map(self._correct, map(decode, items)))
            place = {"after": after} if after else {"done": True}
            self._table.put([segment_key(segment) | {"run": run.started_at, **place}])
            advance(Progress(len(items), mended))
            if stop.is_set():
                return

    def _correct(self, item: Item) -> bool:
        """Write an item's place; False if the item has the right place, or has changed since it was read."""
        kind, _, provider = str(item["sk"]).partition("#")
        if not str(item["pk"]).startswith("USER#"):
            return False
        right = item
        # An item that was written by hand may lack any attribute. Such an item must not stop the others.
        if kind == "STATUS" and {"status", "version"} <= item.keys():
            right = item if item.get("since") else item | {"since": self._began(item, provider)}
            unmoved, known = "version = :known", item["version"]
        elif kind == "AT" and item.get("told") and {"at", "event_id"} <= item.keys():
            # An item that was erased meanwhile gets no place.
            unmoved, known = "told = :known", item["told"]
        else:
            return False
        right = placed(right)
        place = {name: right.get(name) for name in ("since", "overview_pk", "overview_sk")}
        if all(item.get(name) == value for name, value in place.items()):
            return False
        key = {"pk": item["pk"], "sk": item["sk"]}
        return self._table.attempt(self._table.update(key, place, unmoved, known={"known": known}))

    def _began(self, item: Item, provider: str) -> str:
        """When a status began that does not store this: the moment of the latest change in the timeline."""
        entries = self._table.items(
            "query",
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues=encode({":pk": item["pk"], ":sk": "AT#"}),
            ScanIndexForward=False,
        )
        changes = (each for each in entries if each.get("provider") == provider and "at" in each)
        changed = (str(each["at"]) for each in changes if each.get("from_status") != each.get("to_status"))
        return next(changed, None) or str(item.get("read_at") or utc_text(self._table.now()))
