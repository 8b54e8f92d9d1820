"""Lists the users of one source of a reread, in parts of some hundred users.

The parts are written in order, each once, together with the position in the source after its last user. So the next
run continues where a killed run ended. If an index changes meanwhile, no user moves from one part to another.
"""

from collections.abc import Iterator, Mapping
from itertools import batched, chain, groupby, islice
from operator import itemgetter
from typing import Any

from honnin.recon.rows import Rows
from honnin.reread.bucket import Part, RereadBucket, ids_key, part_name
from honnin.store import Reread, Store
from honnin.store.rereads import Kind, Phase

# Users in a part. On the queue, each waits for about a minute with the users of the other parts that are being read.
_USERS = 500


def run(store: Store, bucket: RereadBucket, reread: Reread, source: Mapping[str, Any], size: int = _USERS) -> None:
    """List a source; does nothing if it is listed or the reread is paused. Repeating it does no harm."""
    name = str(source["name"])
    if reread.is_paused or store.rereads.marked(reread.name, Phase.LISTED, name):
        return
    users = parts = 0
    for part in _parts(store, bucket, reread, source, size):
        users += len(part.users)
        parts += 1
    store.rereads.mark(reread.name, Phase.LISTED, name, {"users": users}, parts=parts)


def _parts(store: Store, bucket: RereadBucket, reread: Reread, source: Mapping[str, Any], size: int) -> Iterator[Part]:
    """The parts of a source: first those that exist (from any run), then those that this run writes."""
    number, after = 1, None
    while True:
        while found := bucket.part(reread.name, part_name(source["name"], number)):
            yield found
            number, after = number + 1, found.after
        for some in batched(_users(store, bucket, reread, source, after), size, strict=False):
            part = Part([user_id for user_id, _ in some], some[-1][1])
            if not bucket.put_part(reread.name, part_name(source["name"], number), part):
                # Another run has written this part meanwhile; that one is used.
                break
            yield part
            number += 1
        else:
            return


def _users(
    store: Store, bucket: RereadBucket, reread: Reread, source: Mapping[str, Any], after: Any
) -> Iterator[tuple[str, Any]]:
    """Each user of a source after a position, together with the position after that user."""
    match reread.kind:
        case Kind.STATUS:
            return store.overview.of_shard(reread.provider or "", reread.status or "", source["shard"], after)
        case Kind.ALL:
            found = store.users.in_segment(source["segment"], reread.segments, reread.provider, after)
            # A user whom both providers know counts once, and the position is after both items.
            return (list(same)[-1] for _, same in groupby(found, itemgetter(0)))
    span = bucket.pieces_between(ids_key(reread.name), source["etag"], source["start"], source["end"])
    ids = dict.fromkeys(each.decode() for each in chain.from_iterable(Rows(span, begins=False)))
    return islice(((each, place) for place, each in enumerate(ids, start=1)), after or 0, None)
