"""Makes the index `overview` anew: `honninctl reindex`. No function uses it.

The places are attributes of the items themselves, so a restored table brings them along. What this is for: items that
were written without a place, or changed by hand. While it is at work a marker stands in the table, and readers say so.
How far each segment of the table is, is kept with each page and with the run that got there: a run that broke off is
carried on by the next one, and what another run has left behind counts for nothing.
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

# What says where an item belongs, and whether that is still so.
_NEEDED = ("pk", "sk", "version", "status", "read_at", "since", "at", "event_id", "told", "overview_pk", "overview_sk")

# Items of a page: after each, how far the segment is, is kept.
_PAGE = 1000


@dataclass(frozen=True)
class Rebuilding:
    """A run: since when (UTC), and over how many segments of the table."""

    started_at: str
    segments: int


@dataclass(frozen=True)
class Progress:
    """What one page came to: items looked at, and items that were given another place."""

    looked_at: int
    mended: int


class Reindex:
    """Rebuilds the index, segment by segment, side by side."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def under_way(self) -> Rebuilding | None:
        """The run that has begun and not ended."""
        item = self._table.get(rebuilding_key())
        return Rebuilding(str(item["started_at"]), int(item["segments"])) if item else None

    def begin(self, at: str, segments: int) -> Rebuilding:
        """Begin a run, or carry on with the one that broke off, which keeps its number of segments."""
        said = {"started_at": at, "segments": segments}
        self._table.attempt(self._table.update(rebuilding_key(), said, "attribute_not_exists(pk)"))
        return self.under_way() or Rebuilding(at, segments)

    def run(self, rebuilding: Rebuilding, advance: Callable[[Progress], object]) -> None:
        """Look at every item; when that is done, the marker goes. `advance` is called with each page, by any thread.

        Raises
        ------
        ClientError, BotoCoreError
            A call failed; the marker stays, and the next run goes on from there.
        """
        side_by_side(rebuilding.segments, partial(self._segment, rebuilding, advance))
        self._table.delete(map(segment_key, range(rebuilding.segments)))
        self._end(rebuilding)

    def _end(self, rebuilding: Rebuilding) -> None:
        """Take the marker away, unless it is that of a run that has begun since."""
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
            mended = sum(map(self._mend, map(decode, items)))
            place = {"after": after} if after else {"done": True}
            self._table.put([segment_key(segment) | {"run": run.started_at, **place}])
            advance(Progress(len(items), mended))
            if stop.is_set():
                return

    def _mend(self, item: Item) -> bool:
        """Give an item its place; False where it has it, or has moved since it was read."""
        # The local emulator takes an item without its keys, which DynamoDB refuses.
        kind, _, provider = str(item.get("sk")).partition("#")
        if not str(item.get("pk")).startswith("USER#"):
            return False
        right = item
        # Written by hand it may lack anything; no odd item may stop the others.
        if kind == "STATUS" and {"status", "version"} <= item.keys():
            right = item if item.get("since") else item | {"since": self._began(item, provider)}
            unmoved, known = "version = :known", item["version"]
        elif kind == "AT" and item.get("told") and {"at", "event_id"} <= item.keys():
            # What is erased meanwhile is told no more.
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
        """When a status that does not say it began: by the latest change on the timeline."""
        entries = self._table.items(
            "query",
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues=encode({":pk": item["pk"], ":sk": "AT#"}),
            ScanIndexForward=False,
        )
        changes = (each for each in entries if each.get("provider") == provider and "at" in each)
        changed = (str(each["at"]) for each in changes if each.get("from_status") != each.get("to_status"))
        return next(changed, None) or str(item.get("read_at") or utc_text(self._table.now()))
