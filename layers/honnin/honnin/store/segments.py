"""The whole table, read in segments, several of them at the same time (DynamoDB's guide, "Parallel scan")."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from honnin.store.keys import Item
from honnin.store.table import Table, decode, encode

# Segments that are read at the same time: fewer than a client keeps connections (`aws.CONNECTIONS`).
AT_ONCE = 8


def pages(
    table: Table, segment: int, segments: int, after: Item | None = None, **request: Any
) -> Iterator[tuple[Sequence[Mapping[str, Any]], Item | None]]:
    """The pages of one segment after the key `after`.

    With each page comes the key from which the next page continues. That key is None on the last page. Each page is
    requested only when it is used.
    """
    while True:
        start: Any = {"ExclusiveStartKey": encode(after)} if after else {}
        page = table.db.scan(TableName=table.name, Segment=segment, TotalSegments=segments, **request, **start)
        last = page.get("LastEvaluatedKey")
        after = decode(last) if last else None
        yield page["Items"], after
        if after is None:
            return


def side_by_side(segments: int, work: Callable[[Event, int], object]) -> None:
    """Call `work(stop, segment)` for every segment, `AT_ONCE` at the same time.

    If one fails, `stop` is set, so that the others can end after their present page. Its error is raised.
    """
    stop = Event()

    def run(segment: int) -> None:
        try:
            work(stop, segment)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(min(segments, AT_ONCE), thread_name_prefix="segment") as threads:
        try:
            for _ in threads.map(run, range(segments)):
                pass
        except BaseException:
            # Ctrl-C must end all threads, too.
            stop.set()
            raise
