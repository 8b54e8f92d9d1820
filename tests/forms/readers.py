"""What today's code makes of an item of each kind: the store's own readers, one item at a time."""

from collections.abc import Callable, Mapping
from typing import Any

from honnin.store import Comparison, Store
from honnin.store.footprint import former_of
from honnin.store.overview import PLACES
from honnin.store.rereads import Phase
from tests.forms.kinds import kind_of
from tests.forms.shape import plain
from tests.forms.table import AT, ERASED_AUTHORIZATION, LATER, store_of

_EVER = "9999"


def read(item: Mapping[str, Any]) -> Any:
    """What the store's readers give for an item (in DynamoDB's format), as JSON."""
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    return plain(READERS[kind_of(item)](store_of(dict(item)), pk.partition("#")[2], sk))


def _after(text: str, mark: str = "#") -> str:
    return text.partition(mark)[2]


def _status(store: Store, user_id: str, sk: str) -> Any:
    found = store.users.status(user_id, _after(sk))
    assert found
    listed = [each for place in PLACES for each in store.overview.of_shard(found.provider, found.status, place)]
    return [found, listed]


def _entry(store: Store, user_id: str, sk: str) -> Any:
    return [store.users.whole_timeline(user_id), list(store.overview.published("2026-11-27T00:00:00.000Z", LATER))]


def _comparison(store: Store, file_type: str, sk: str) -> Any:
    day, name = sk.split("#", 1)
    file = Comparison(file_type, day, name, 0)
    return [store.comparisons.of(file), store.comparisons.made(file), store.comparisons.due(_EVER)]


def _segment(store: Store, _: str, sk: str) -> Any:
    """The pages that a rebuilding of this run still reads in the segment: none if it is done."""
    pages: list[Any] = []
    position = store.table.get({"pk": "OVERVIEW", "sk": sk}) or {}
    if after := position.get("after"):
        store.table.put([after])
    store.reindex.run(store.reindex.begin(AT, 1), pages.append)
    return len(pages)


def _mark(store: Store, name: str, sk: str) -> Any:
    phase, what = sk.split("#", 1)
    return store.rereads.marked(name, Phase(phase), what)


READERS: Mapping[str, Callable[[Store, str, str], Any]] = {
    "status": _status,
    "expiry": lambda store, user_id, _: [store.expiries.of(user_id), list(store.expiries.due(_EVER, _EVER))],
    "contract": lambda store, user_id, _: [store.contracts.get(user_id), list(store.contracts.due(_EVER))],
    "entry": _entry,
    "former": lambda store, user_id, _: list(former_of(store.table, user_id)),
    "erasing": lambda store, user_id, _: store.erasure.claim(user_id, AT, LATER),
    "certificate": lambda store, user_id, _: [
        store.erasure.certificates(user_id),
        list(store.erasure.unfinished(_EVER)),
    ],
    "submission": lambda store, name, _: [store.submissions.get(name), list(store.submissions.due(_EVER))],
    "session": lambda store, name, _: store.links.session(name),
    "code": lambda store, name, _: store.links.passport_qr(name),
    "link": lambda store, name, _: store.links.get(name),
    "waiting": lambda store, name, _: store.links.waiting(name),
    "event": lambda store, name, _: [store.events.get(name), list(store.events.unpublished(_EVER))],
    "failure": lambda store, name, kind: store.events.count_failure(name, kind),
    "received": lambda store, name, _: store.received.of(*name.split("#", 1)),
    "comparison": _comparison,
    "comparison_count": lambda store, file_type, _: store.comparisons.numbers(file_type),
    "recon": lambda store, file_type, sk: store.recon.file(file_type, *sk.split("#", 1)),
    "notification": lambda store, *_: store.notifications.to_fetch(),
    "last_reported": lambda store, *_: store.notifications.last_reported(),
    "own_ids": lambda store, *_: store.recon.own_ids(),
    "provider": lambda store, provider, _: store.recon.last_request_id(provider),
    "word": lambda store, provider, _: store.users.words(provider),
    "refusal": lambda store, provider, sk: store.users.count_refusal(provider, *_after(sk).split("#", 1)),
    "rebuilding": lambda store, *_: store.reindex.under_way(),
    "segment": _segment,
    "reread": lambda store, _, name: store.rereads.get(name),
    "mark": _mark,
    "readings": lambda store, *_: store.mass_change.read(),
    "webhook_circuit": lambda store, *_: store.circuit.read(),
    "pace_second": lambda store, name, _: store.paces.second(name.split("#")[0], int(name.split("#")[1])),
    "slowed": lambda store, provider, _: store.paces.slowed(provider),
    "access": lambda store, user_id, _: store.access.page(user_id or None, 10),
    "erased": lambda store, *_: store.erasure.is_erased(ERASED_AUTHORIZATION),
}
