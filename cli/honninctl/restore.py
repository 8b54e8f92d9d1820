"""Bring back what was deleted from the state table, out of one that was restored beside it: `honninctl restore`.

Items that the live table does not have are copied; what is there, and so at least as new, is not touched. Running it
twice, or stopping in the middle, does no harm.

A restored table also holds what was deleted on purpose. These are left out:

- whatever names a user who was erased since, or a PayPay authorization of one: it stays erased;
- the mark of an erased authorization that is linked again since: its events would be dropped;
- what waited for a link that has been made since: it was moved to the user's timeline then;
- what has expired since;
- how far a rebuilding of the index `overview` was.

An access to a user who was erased since comes back, but without its reason (docs/erasure.md).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import batched
from threading import Event, Lock
from typing import TYPE_CHECKING

from honnin.store import Store, authorization_hash
from honnin.store.restore import Stored
from honnin.store.segments import AT_ONCE, side_by_side
from honninctl.deployment import Deployment
from honninctl.failures import CommandError
from honninctl.language import N_, _

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# One BatchGetItem.
_TOGETHER = 100

# A link that is made takes away what these are.
_UNTIL_LINKED = ("erased", "waiting")

# An erasure leaves these (docs/erasure.md).
_STAYING = ("certificate", "access")

Advance = Callable[[int], object]


class RestoreError(CommandError):
    """Nothing can be brought back; the message says why."""


@dataclass(frozen=True)
class LiveFacts:
    """What the live table says that the restored one could not know.

    `erased_users`: those erased since. `erased` and `linked` are SHA-256 of PayPay authorizations: those of erased
    users, and those that belong to a user now.
    """

    erased_users: frozenset[str]
    erased: frozenset[str] = field(repr=False)
    linked: frozenset[str] = field(repr=False)


@dataclass
class Outcome:
    """What was done: items brought back by kind, items left out by reason."""

    brought: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def live_facts(restored: Store, live: Store, since: str, also_erased: Iterable[str], advance: Advance) -> LiveFacts:
    """Read both tables for what must not come back.

    `since` is UTC as the table writes it. `also_erased` are users whose certificates the live table has lost.
    `advance` is called with each number of items that were read.
    """
    # What a link may have ended is little; the links themselves are as many as there are users.
    ended_by_link: set[str] = set()
    users: set[str] = set(also_erased)
    erased: set[str] = set()
    linked: set[str] = set()

    def of_restored(some: Sequence[Stored]) -> None:
        for each in some:
            if each.kind in _UNTIL_LINKED:
                ended_by_link.update(each.authorizations)

    def of_live(some: Sequence[Stored]) -> None:
        for each in some:
            if each.kind == "certificate" and (each.completed_at is None or each.completed_at >= since):
                users.add(str(each.user_id))
            elif each.kind == "erased" and each.expires_at is None:  # an expired mark was ended by a link
                erased.update(each.authorizations)
            elif each.kind in ("link", "status", "former"):
                linked.update(each.authorizations & ended_by_link)

    _read_all(restored, lambda some: some, of_restored, advance)
    _read_all(live, lambda some: some, of_live, advance)
    for user_id in users:
        footprint = restored.erasure.footprint(user_id)
        erased |= {authorization_hash(each) for each in footprint.authorization_ids}
    return LiveFacts(frozenset(users), frozenset(erased), frozenset(linked))


def bring_back(
    restored: Store, live: Store, facts: LiveFacts, *, now: int, dry_run: bool = False, advance: Advance
) -> Outcome:
    """Copy what the live table does not have, and leave out what must not come back.

    `now` is in epoch seconds. With `dry_run` nothing is written, and the outcome is what would be done.
    """
    outcome = Outcome()

    def copy(some: Sequence[Stored]) -> Outcome:
        done = Outcome()
        for each in live.restore.missing(some):
            reason = why_left_out(each, facts, now)
            if reason:
                done.left_out[reason] += 1
            elif dry_run or live.restore.put_back(each, facts.erased, without=_not_of(each, facts)):
                done.brought[each.kind] += 1
        return done

    def add(done: Outcome) -> None:
        outcome.brought.update(done.brought)
        outcome.left_out.update(done.left_out)

    _read_all(restored, copy, add, advance)
    return outcome


def _read_all[R](
    store: Store, work: Callable[[Sequence[Stored]], R], collect: Callable[[R], None], advance: Advance
) -> None:
    """Read a whole table in segments side by side: `work` in their threads, `collect` what it gives one by one."""
    lock = Lock()

    def read(stop: Event, segment: int) -> None:
        items = store.restore.everything(segment, AT_ONCE)
        for some in batched(items, _TOGETHER, strict=False):
            result = work(some)
            with lock:
                collect(result)
                advance(len(some))
            if stop.is_set():
                return

    side_by_side(AT_ONCE, read)


def why_left_out(stored: Stored, facts: LiveFacts, now: int) -> str | None:
    """Why an item must not come back; None where it may."""
    if stored.expires_at is not None and stored.expires_at <= now:
        return N_("expired since")
    if stored.kind == "overview":
        return N_("of a rebuilding of the index")
    if stored.kind in _STAYING:
        return None  # it proves the erasure, or who looked, and names nobody at a provider
    if stored.user_id in facts.erased_users:
        return N_("of users erased since")
    # The mark itself belongs to an erased authorization. What has a user was decided by the user.
    if stored.kind != "erased" and stored.user_id is None and stored.authorizations & facts.erased:
        return N_("of users erased since")
    if stored.kind in _UNTIL_LINKED and stored.authorizations & facts.linked:
        return N_("of authorizations linked since")
    return None


def _not_of(stored: Stored, facts: LiveFacts) -> Sequence[str]:
    """The attributes of an item that an erasure since has removed."""
    return ("reason",) if stored.kind == "access" and stored.user_id in facts.erased_users else ()


def stores(deployment: Deployment, restored: str) -> tuple[Store, Store, int | None]:
    """The restored and the live table, and about how many items there are to read in all (None: not known).

    Raises
    ------
    RestoreError
        There is no such table, or it is the live one.
    """
    live = deployment.output("StateTableName")
    if restored == live:
        raise RestoreError(_("{name} is the live table itself; name the restored copy").format(name=restored))
    db: DynamoDBClient = deployment.client("dynamodb")
    # DynamoDB counts every six hours only; a table that was just restored may count as empty.
    counts = [db.describe_table(TableName=name)["Table"].get("ItemCount", 0) for name in (restored, live)]
    total = 2 * counts[0] + counts[1] if all(counts) else None
    return Store(restored, db), Store(live, db), total
