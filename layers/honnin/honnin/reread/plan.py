"""The plan of a reread: first the sources in which users are looked up, then the parts found in these."""

from collections.abc import Iterator
from typing import Any

from honnin.recon.plan import ranges
from honnin.reread.bucket import RereadBucket, ids_key, part_name, parts_key, sources_key
from honnin.store import Reread, Store
from honnin.store.overview import PLACES
from honnin.store.rereads import Kind, Phase

# The ids of a range of a file are listed within a minute.
_ROWS = 100_000


def sources(bucket: RereadBucket, reread: Reread, rows: int = _ROWS) -> dict[str, Any]:
    """Write the list of a reread's sources, once; returns its key, for the state machine."""
    key = sources_key(reread.name)
    if bucket.get(key) is None:
        bucket.put_new(
            key, [{"name": f"{number:04}", **each} for number, each in enumerate(_sources(bucket, reread, rows))]
        )
    return {"bucket": bucket.name, "key": key}


def parts(store: Store, bucket: RereadBucket, reread: Reread) -> dict[str, Any]:
    """Write the list of the parts that are not done. Returns its key, and in `any` whether there are such parts.

    All sources must have been listed before.
    """
    done = store.rereads.marks(reread.name, Phase.DONE).keys()
    listed = store.rereads.marks(reread.name, Phase.LISTED)
    every = (part_name(source, number + 1) for source, mark in listed.items() for number in range(mark.parts))
    found = [each for each in every if each not in done]
    key = parts_key(reread.name)
    bucket.put(key, found)
    return {"bucket": bucket.name, "key": key, "any": bool(found)}


def _sources(bucket: RereadBucket, reread: Reread, rows: int) -> Iterator[dict[str, Any]]:
    match reread.kind:
        case Kind.STATUS:
            # The shards of the index `overview`.
            yield from ({"shard": each} for each in PLACES)
        case Kind.ALL:
            # Not the index: a user who moves from one status to another meanwhile could be missing from both lists.
            yield from ({"segment": each} for each in range(reread.segments))
        case Kind.FILE:
            etag, pieces = bucket.pieces(ids_key(reread.name))
            yield from ({"etag": etag, "start": each.start, "end": each.end} for each in ranges(pieces, rows))
